//! Are slaves made as files describe them, does a second run do nothing, and is nothing else changed?

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use ipvl_testbed::{Lab, ipvl_path, require_root};

use crate::common::{Probe, exec, host_ends, link_value, run, soon, traces};

#[test]
fn slaves_are_made_and_a_second_time_there_is_nothing_to_do() {
    require_root!();
    let lab = Lab::new(2);
    let file = Etc::new(&lab);
    file.write("a.toml", &link(&lab, 0, "mode = \"l2\"\naddresses = [\"10.0.0.10/24\", \"fd00::10/64\"]\nmtu = 1400"));
    file.write("b.toml", &link(&lab, 1, "mode = \"l2\"\naddresses = [\"10.0.0.11/24\"]\ndeclared = [\"10.0.1.0/28\"]"));
    file.write("b.toml.old", "not read");
    let shown = file.apply("--dry-run");
    assert!(host_ends(&lab.host).is_empty(), "{shown}");
    assert!(shown.contains("2 to make, 0 to change, 0 to delete, 0 as they should be"), "{shown}");
    assert_eq!(file.apply(""), shown, "what is said is what is done");
    assert!(lab.pings(&lab.slaves[0], "10.0.0.11") && lab.pings(&lab.ext, "10.0.0.10"), "at once");
    assert!(lab.ipvl("addr show").contains("10.0.1.0/28"));
    assert_eq!(link_value(&lab.slaves[0], "ipvl0", "mtu"), 1400);
    let before = picture(&lab);
    assert_eq!(file.apply(""), "Nothing to do: 2 of 2 slaves are as the files say.\n");
    assert_eq!(picture(&lab), before);
}

#[test]
fn what_is_no_file_or_never_ends_is_not_read() {
    require_root!();
    let lab = Lab::new(0);
    for (command, why) in [
        ("apply /dev/zero", "cannot read \"/dev/zero\": it is not a regular file"),
        ("-batch /dev/zero", "\"/dev/zero\" for reading: it has more than 1048576 bytes, the most that is read"),
    ] {
        let refused = lab.try_ipvl(command);
        assert!(!refused.ok && refused.stderr.contains(why), "{command}: {}", refused.stderr);
    }
    let file = Etc::new(&lab);
    file.write("a.toml", &"# a long line ".repeat(1 << 17));
    let refused = file.refused("");
    assert!(refused.contains("a.toml\": it has more than 1048576 bytes"), "{refused}");
}

#[test]
fn a_live_slave_is_changed_in_place() {
    require_root!();
    let lab = Lab::new(2);
    let file = Etc::new(&lab);
    let both = |first: &str| link(&lab, 0, first) + &link(&lab, 1, "mode = \"l2\"\naddresses = [\"10.0.0.11/24\"]");
    file.write(
        "a.toml",
        &both("mode = \"l2\"\naddresses = [\"10.0.0.10/24\", \"10.0.0.20/24\"]\ndeclared = [\"10.0.1.1\"]"),
    );
    file.apply("");
    let probe = Probe::start(&lab.slaves[1], &lab.slaves[0], "10.0.0.10:7");
    let rest = "mode = \"l2\"\nguard = \"strict\"\nhost = true\nmtu = 1300";
    file.write("a.toml", &both(&format!("{rest}\naddresses = [\"10.0.0.10/24\", \"10.0.0.30/24\"]\ndeclared = []")));
    let shown = file.apply("");
    for line in [
        "guard owned -> strict, host off -> on, mtu 1500 -> 1300",
        "-     address 10.0.0.20/24",
        "+     address 10.0.0.30/24",
        "-     declared 10.0.1.1/32",
        "0 to make, 1 to change, 0 to delete, 1 as they should be",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    probe.expect_no_loss("a slave that is changed");
    let table = lab.ipvl("addr show");
    assert!(table.contains("10.0.0.30") && !table.contains("10.0.0.20") && !table.contains("10.0.1.1"), "{table}");
    assert!(file.apply("").starts_with("Nothing to do"));
    run(&lab.slaves[0], "ip addr del 10.0.0.10/24 dev ipvl0");
    run(&lab.slaves[0], "ip link set ipvl0 down");
    file.apply("");
    soon("what others undid is done again", || lab.pings(&lab.ext, "10.0.0.10"));
}

#[test]
fn a_slave_is_known_wherever_it_was_moved() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    file.write("a.toml", "[[link]]\nmaster = \"eth0\"\nname = \"free\"\n");
    file.write("b.toml", &link(&lab, 0, "addresses = [\"10.1.0.1/24\"]"));
    file.apply("");
    let container = lab.slaves[0].name();
    run(&lab.host, &format!("ip link set free netns {container}"));
    run(&lab.slaves[0], "ip link set free up");
    assert!(file.apply("").starts_with("Nothing to do"), "one without a netns may be anywhere");
    run(&lab.slaves[0], "ip link set ipvl0 netns 1 name stray");
    let stray = || lab.ipvl("link show");
    assert!(stray().contains("stray"), "{}", stray());
    let shown = file.apply("");
    assert!(shown.contains("name stray -> ipvl0, netns - -> ") && shown.contains("10.1.0.1/24"), "{shown}");
    assert!(exec(&lab.slaves[0], "ip addr show dev ipvl0 up").stdout.contains("10.1.0.1/24"));
    assert!(file.apply("").starts_with("Nothing to do"));
}

#[test]
fn prune_deletes_what_apply_made_and_nothing_else() {
    require_root!();
    let lab = Lab::new(2);
    let file = Etc::new(&lab);
    file.write("a.toml", &link(&lab, 0, ""));
    file.write("b.toml", &link(&lab, 1, ""));
    file.apply("");
    lab.ipvl("link add link eth0 name mine type ipvlan");
    fs::remove_file(file.path("b.toml")).expect("remove a file");
    assert!(file.apply("").starts_with("Nothing to do: 1 of 1"));
    let shown = file.apply("--prune");
    assert!(shown.contains("- ipvl1 of eth0") && shown.contains("1 to delete, 1 as they"), "{shown}");
    assert!(!exec(&lab.slaves[1], "ip link show ipvl1").ok);
    assert!(exec(&lab.host, "ip link show mine").ok && exec(&lab.slaves[0], "ip link show ipvl0").ok);
}

#[test]
fn a_namespace_is_made_where_it_is_not() {
    require_root!();
    let lab = Lab::new(0);
    let file = Etc::new(&lab);
    let name = format!("{}-made", lab.host.name());
    let table = format!(
        "[[link]]\nmaster = \"eth0\"\nname = \"a\"\nnetns = \"{name}\"\nmode = \"l2\"\naddresses = [\"10.0.0.10/24\"]\n"
    );
    file.write("a.toml", &table);
    assert!(file.refused("").contains("there is no network namespace"), "not unless it is said");
    file.write("a.toml", &(table + &format!("[[netns]]\nname = \"{name}\"\n")));
    assert!(file.apply("").starts_with(&format!("+ netns {name}\n")));
    let ping = format!("ip netns exec {name} ping -n -q -c 1 -W 1 10.0.0.254");
    assert!(exec(&lab.host, &ping).ok, "its slave works");
    assert!(exec(&lab.host, &format!("ip -n {name} link show lo up")).stdout.contains("LOOPBACK"));
    assert!(file.apply("").starts_with("Nothing to do"));
    run(&lab.host, &format!("ip netns del {name}"));
}

#[test]
fn a_bad_file_changes_nothing_at_all() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    lab.ipvl("link add link eth0 name mine type ipvlan mode l2");
    run(&lab.host, "ip addr add 10.0.0.40/24 dev mine");
    soon("it is in the table", || lab.ipvl("addr show").contains("10.0.0.40"));
    let before = traces(&lab.host);
    let good = link(&lab, 0, "mode = \"l2\"");
    let new = |rest: &str| good.clone() + &format!("[[link]]\nmaster = \"eth0\"\nname = \"b\"\n{rest}\n");
    for (text, expected) in [
        (new("mode = \"l4\""), "a.toml:9: [[link]] 2: mode: unknown variant `l4`, expected one of `l2`, `l3`, `l3s`"),
        (good.replace("eth0", "eth9"), "a.toml: [[link]] 1 \"ipvl0\": master: there is no link eth9 here"),
        (good.replace("eth0", "lo"), "cannot add ipvl0 to lo: Invalid argument: the loopback device"),
        (new("addresses = [\"10.0.0.1/24\"]"), "[[link]] 2 \"b\": addresses: 10.0.0.1 belongs to the host"),
        (new("addresses = [\"10.0.0.40/24\"]"), "[[link]] 2 \"b\": addresses: 10.0.0.40 belongs to mine"),
        (new("type = \"ipvtap\"\nuser = \"nobody-has-this-name\""), "there is no user nobody-has-this-name"),
        (new("mtu = 9000"), "mtu: a slave's mtu cannot be larger than the master's, 1500"),
    ] {
        file.write("a.toml", &text);
        let said = file.refused("");
        assert!(said.contains(expected), "of\n{text}\nit is said\n{said}");
        assert_eq!(traces(&lab.host), before, "{text}");
    }
    assert!(file.refused("/no/such/file").contains("cannot read \"/no/such/file\": No such file or directory"));
}

#[test]
fn rates_are_those_of_the_file() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    file.write("a.toml", &link(&lab, 0, "mode = \"l2\"\nrate_in = \"100mbit\"\nrate_out = \"1gbit burst 2mb\""));
    assert!(file.apply("").contains(" rate_in 100mbit rate_out 1gbit burst 2097152b up"));
    assert!(lab.ipvl("link show").contains("ipvl rate in 100mbit out 1gbit burst 2097152b\n"));
    assert!(file.apply("").starts_with("Nothing to do"));
    file.write("a.toml", &link(&lab, 0, "mode = \"l2\"\nrateIn = \"50mbit\""));
    let shown = file.apply("");
    assert!(shown.contains("rate_in 100mbit -> 50mbit, rate_out 1gbit burst 2097152b -> off"), "{shown}");
    assert!(lab.ipvl("link show").contains("ipvl rate in 50mbit\n"));
    assert!(file.apply("").starts_with("Nothing to do"));
    file.write("a.toml", &link(&lab, 0, "rate_in = \"quick\""));
    assert!(file.refused("").contains("rate_in: \"quick\" is not a rate such as 100mbit"), "{}", file.refused(""));
}

#[test]
fn masters_may_be_waited_for() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    file.write("a.toml", &link(&lab, 0, "").replace("eth0", "late"));
    assert!(file.refused("--wait 1").contains("there is no link late"));
    let words = "sleep 0.5; ip link add late type veth peer name far";
    let mut later = lab.host.command(["bash", "-c", words]).spawn().expect("start a shell");
    assert!(file.apply("--wait 30").contains("1 to make"));
    later.wait().expect("wait for the shell");
}

/// What is there, without what traffic changes.
fn picture(lab: &Lab) -> String {
    lab.ipvl("-d link show") + &lab.ipvl("addr show")
}

/// A table for a slave in the `n`th namespace.
fn link(lab: &Lab, n: usize, rest: &str) -> String {
    let netns = lab.slaves[n].name();
    format!("[[link]]\nmaster = \"eth0\"\nname = \"ipvl{n}\"\nnetns = \"{netns}\"\n{rest}\n")
}

/// A directory of files.
struct Etc<'a> {
    lab: &'a Lab,
    dir: PathBuf,
}

impl<'a> Etc<'a> {
    fn new(lab: &'a Lab) -> Self {
        let dir = PathBuf::from(format!("/tmp/{}.d", lab.host.name()));
        fs::create_dir(&dir).expect("make a directory");
        Self { lab, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("write a file");
    }

    /// Not by `ip netns exec`: a namespace that is made there is invisible outside.
    fn exec(&self, words: &str) -> Said {
        let mut command = Command::new(ipvl_path());
        command.args(["-n", self.lab.host.name(), "apply"]).args(words.split_whitespace()).arg(&self.dir);
        let output = command.output().expect("run ipvl");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { ok: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    #[track_caller]
    fn apply(&self, words: &str) -> String {
        let output = self.exec(words);
        assert!(output.ok, "{}", output.stderr);
        output.stdout
    }

    #[track_caller]
    fn refused(&self, words: &str) -> String {
        let output = self.exec(words);
        assert!(!output.ok, "{}", output.stdout);
        output.stderr
    }
}

/// The output of a command.
struct Said {
    ok: bool,
    stdout: String,
    stderr: String,
}

impl Drop for Etc<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}
