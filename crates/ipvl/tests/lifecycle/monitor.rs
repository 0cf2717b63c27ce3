//! Does `ipvl monitor` print every change, once, in order, whichever process is killed meanwhile?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipvl_testbed::{Lab, require_root, wait_until};
use serde_json::Value;

use crate::common::{agents, exec, expect_as_before, kill_agent, run, shell, soon, start_agent, traces};
use crate::watcher::Watcher;

/// For what takes a while with so many.
const LONG: Duration = Duration::from_secs(60);
const MANY: usize = 500;

/// Two l2 slaves with an address each, and no further changes to print.
fn lab() -> Lab {
    let lab = Lab::new(3);
    for (n, netns) in lab.slaves.iter().enumerate() {
        netns.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
        if n < 2 {
            lab.add_slave(n, "mode l2 bridge", &[&format!("10.0.0.1{n}/24")]);
        }
    }
    lab
}

/// A change, the program that makes it (`ipvl`, or `ip` in that slave's netns), and what the monitor prints.
type Step = (Option<usize>, &'static str, &'static [&'static str]);

const STEPS: &[Step] = &[
    (None, "link set ipvl0 type ipvlan mode l3", &["ipvl0 master eth0 mode l3 (was l2)"]),
    (None, "link set ipvl0 type ipvlan mode l2", &["ipvl0 master eth0 mode l2 (was l3)"]),
    (None, "link set ipvl0 type ipvlan private", &["ipvl0 master eth0 flag private (was bridge)"]),
    (None, "link set ipvl0 type ipvlan guard strict", &["ipvl0 master eth0 guard strict (was owned)"]),
    (None, "link set ipvl0 type ipvlan host on", &["ipvl0 master eth0 host on (was off)"]),
    (None, "link set ipvl0 mtu 1400", &["ipvl0 master eth0 mtu 1400 (was 1500)"]),
    (Some(0), "addr add 10.0.0.20/24 dev ipvl0", &["10.0.0.20 dev ipvl0 master eth0 device"]),
    (Some(1), "addr add 10.0.0.20/24 dev ipvl1", &["10.0.0.20 dev ipvl1 master eth0 conflict with ipvl0"]),
    (
        Some(0),
        "addr del 10.0.0.20/24 dev ipvl0",
        &[
            "Deleted 10.0.0.20 dev ipvl0 master eth0 device",
            "Deleted 10.0.0.20 dev ipvl1 master eth0 conflict with ipvl0",
            "10.0.0.20 dev ipvl1 master eth0 device",
        ],
    ),
    (None, "addr add 198.51.100.0/28 dev ipvl0", &["198.51.100.0/28 dev ipvl0 master eth0 declared"]),
    (None, "addr del 198.51.100.0/28 dev ipvl0", &["Deleted 198.51.100.0/28 dev ipvl0 master eth0 declared"]),
    (Some(1), "addr del 10.0.0.20/24 dev ipvl1", &["Deleted 10.0.0.20 dev ipvl1 master eth0 device"]),
    (
        Some(1),
        "link set ipvl1 down",
        &["ipvl1 master eth0 state down (was up)", "ipvl1 master eth0 carrier off (was on)"],
    ),
    (None, "link set ipvl1 type ipvlan vepa", &["ipvl1 master eth0 flag vepa (was bridge)"]),
    (Some(1), "link set ipvl1 name other", &["other master eth0 name other (was ipvl1)"]),
    (
        Some(1),
        "link set other up",
        &["other master eth0 state up (was down)", "other master eth0 carrier on (was off)"],
    ),
];

#[test]
fn every_change_is_told_once_and_in_order() {
    require_root!();
    let lab = lab();
    let (text, json) = (Watcher::start(&lab, "monitor"), Watcher::start(&lab, "-j monitor"));
    for (place, line, told) in STEPS {
        match place {
            None => _ = lab.ipvl(line),
            Some(n) => _ = run(&lab.slaves[*n], &format!("ip {line}")),
        }
        text.expect_all(told);
        json.expect_like(told);
    }
    // It does not matter whether the monitor could read in between.
    for mode in ["l3", "l3s", "l2", "l3", "l2"] {
        lab.ipvl(&format!("link set ipvl0 type ipvlan mode {mode}"));
    }
    let expected = ["l3 (was l2)", "l3s (was l3)", "l2 (was l3s)", "l3 (was l2)", "l2 (was l3)"];
    assert_eq!(text.next(5), expected.map(|change| format!("ipvl0 master eth0 mode {change}")));
    moves_ends_and_begins(&lab, &text);
    text.expect_nothing_more(&lab);
}

/// Simultaneous changes of links and addresses are printed in any order.
fn moves_ends_and_begins(lab: &Lab, text: &Watcher) {
    let [from, to] = [lab.slaves[1].name(), lab.slaves[2].name()];
    run(&lab.slaves[1], &format!("ip link set other netns {to}"));
    text.expect_all(&[
        "other master eth0 state down (was up)",
        "other master eth0 carrier off (was on)",
        &format!("other master eth0 netns {to} (was {from})"),
        "Deleted 10.0.0.11 dev other master eth0 device",
    ]);
    run(&lab.slaves[2], "ip link del other");
    let told = text.next(1).remove(0);
    assert!(
        told.starts_with("Deleted other mtu 1500 state down master eth0 mode l2 vepa guard owned host off slot 1 "),
        "{told}"
    );
    lab.ipvl(&format!("link add link eth0 name new netns {from} type ipvlan mode l3 private"));
    let told = text.next(1).remove(0);
    assert!(
        told.starts_with("new mtu 1500 state down master eth0 mode l3 private guard owned host off slot "),
        "{told}"
    );
    assert!(told.ends_with(&format!(" netns {from}")), "{told}");
    run(&lab.host, "ip link set eth0 address 02:00:00:00:00:33");
    let address = "address 02:00:00:00:00:33 (was 02:00:00:00:00:01)";
    text.expect_all(&[&format!("ipvl0 master eth0 {address}"), &format!("new master eth0 {address}")]);
    run(&lab.ext, "ip link set eth0 down");
    assert_eq!(text.next(1), ["ipvl0 master eth0 carrier off (was on)"]);
    run(&lab.ext, "ip link set eth0 up");
    assert_eq!(text.next(1), ["ipvl0 master eth0 carrier on (was off)"]);
}

#[test]
fn only_what_is_asked_for_is_told() {
    require_root!();
    let lab = lab();
    let (links, addresses) = (Watcher::start(&lab, "monitor link label"), Watcher::start(&lab, "-ts monitor"));
    let one = Watcher::start(&lab, "-ts monitor address label dev ipvl1");
    run(&lab.slaves[0], "ip addr add 10.0.0.20/24 dev ipvl0");
    run(&lab.slaves[1], "ip addr add 10.0.0.21/24 dev ipvl1");
    soon("both are known", || ["10.0.0.20", "10.0.0.21"].iter().all(|addr| lab.ipvl("addr show").contains(addr)));
    lab.ipvl("link set ipvl0 type ipvlan vepa");
    assert_eq!(links.next_raw(1)[0].split_once(": ").expect("an index").1, "ipvl0 master eth0 flag vepa (was bridge)");
    let told = one.next_raw(1).remove(0);
    assert!(told.starts_with("[20") && told.ends_with("] [ADDR]10.0.0.21 dev ipvl1 master eth0 device"), "{told}");
    assert_eq!(addresses.next(3).len(), 3);
}

#[test]
fn it_needs_no_agent() {
    require_root!();
    let lab = lab();
    let watcher = Watcher::start(&lab, "monitor");
    kill_agent(&lab.host);
    run(&lab.slaves[0], "ip link set ipvl0 mtu 1300");
    assert_eq!(watcher.next(1), ["ipvl0 master eth0 mtu 1300 (was 1500)"]);
    run(&lab.slaves[0], "ip addr add 10.0.0.20/24 dev ipvl0");
    run(&lab.slaves[1], "ip link set ipvl1 down");
    run(&lab.slaves[1], "ip link set ipvl1 mtu 1200");
    run(&lab.slaves[1], "ip link set ipvl1 up");
    let up = ["state down (was up)", "carrier off (was on)", "mtu 1200 (was 1500)", "state up (was down)"];
    assert_eq!(watcher.next(4), up.map(|change| format!("ipvl1 master eth0 {change}")));
    // The host end was not set down, so the carrier is back at once.
    assert_eq!(watcher.next(1), ["ipvl1 master eth0 carrier on (was off)"]);
    let mut agent = start_agent(&lab.host);
    assert_eq!(watcher.next(1), ["10.0.0.20 dev ipvl0 master eth0 device"]);
    kill_agent(&lab.host);
    agent.wait().expect("wait for the agent");
    lab.ipvl("link set ipvl0 type ipvlan mode l3");
    assert_eq!(watcher.next(1), ["ipvl0 master eth0 mode l3 (was l2)"]);
    assert_eq!(agents(&lab.host).len(), 1, "a command has started another");
    watcher.expect_nothing_more(&lab);
}

#[test]
fn a_master_that_leaves_is_told() {
    require_root!();
    let lab = lab();
    let watcher = Watcher::start(&lab, "monitor link dev ipvl1");
    run(&lab.host, &format!("ip link set eth0 netns {}", lab.slaves[2].name()));
    watcher.expect_all(&[
        "ipvl1 master ? carrier off (was on)",
        "ipvl1 master ? degraded its master has left this network namespace (was none)",
    ]);
    run(&lab.slaves[2], &format!("ip link set eth0 netns {}", lab.host.name()));
    let told = watcher.next(1).remove(0);
    assert!(told.ends_with("(was its master has left this network namespace)"), "{told}");
}

#[test]
fn it_ends_with_its_reader_or_by_a_signal_and_leaves_nothing() {
    require_root!();
    let lab = Lab::new(1);
    let before = traces(&lab.host);
    lab.add_slave(0, "mode l2 bridge", &["10.0.0.10/24"]);
    let mut interrupted = Watcher::start(&lab, "monitor");
    interrupted.interrupt();
    soon("it ends by SIGINT", || interrupted.has_ended());
    let mut deserted = Watcher::start_unread(&lab, "monitor");
    deserted.stop_reading();
    soon("it ends when nobody reads, although nothing happens", || deserted.has_ended());
    let watcher = Watcher::start(&lab, "-j monitor");
    lab.ipvl("link del ipvl0");
    expect_as_before(&lab.host, &before);
    drop(watcher);
}

#[test]
fn a_storm_does_not_hide_the_end() {
    require_root!();
    let lab = lab();
    let watcher = Watcher::start(&lab, "-j monitor");
    let netns = &lab.slaves[2];
    // It reads the first half at once, the second after all changes.
    let add = |from: usize, to: usize| {
        let line = format!("link add link eth0 name s$n netns {} type ipvlan mode l2", netns.name());
        let batch = |line: &str| format!("for n in {{{from}..{to}}}; do echo \"{line}\"; done");
        let mut done = shell(&lab.host, &format!("{} | $IPVL -batch -", batch(&line)));
        assert!(done.ok, "{}", done.stderr);
        let lines = "link set s$n up mtu 1400\naddr add 10.1.$((n / 200)).$((n % 200 + 1))/32 dev s$n";
        done = shell(netns, &format!("{} | ip -batch -", batch(lines)));
        assert!(done.ok, "{}", done.stderr);
    };
    add(0, MANY / 2 - 1);
    watcher.pause();
    add(MANY / 2, MANY - 1);
    for n in 0..10 {
        lab.ipvl(&format!("link set s{n} type ipvlan mode l3 private"));
        exec(netns, &format!("ip link del s{}", n + 20));
    }
    watcher.resume();
    let mut told = Told::default();
    let agrees = wait_until(LONG, || {
        watcher.pending().iter().for_each(|line| told.take(line));
        told.links.len() == MANY - 10 && told == Told::shown(&lab)
    });
    let shown = Told::shown(&lab);
    let differing = shown.links.iter().filter(|(end, link)| told.links.get(*end) != Some(link)).take(3);
    assert!(agrees, "{} {} {:?}", told.links.len(), told.addresses.len(), differing.collect::<Vec<_>>());
    assert!(told.addresses.len() >= MANY - 10);
}

/// The new slaves and their addresses, as the monitor printed them.
#[derive(Debug, Default, PartialEq)]
struct Told {
    /// By host end: what ipvl says of it, and whether it is up.
    links: BTreeMap<String, (Value, bool)>,
    addresses: BTreeSet<String>,
}

impl Told {
    fn take(&mut self, line: &str) {
        let news: Value = serde_json::from_str(line).expect("JSON");
        let is_new = |name: &Value| name.as_str().is_some_and(|name| name.starts_with('s'));
        let host_end = news["ipvl"]["host_end"].as_str().unwrap_or_default().to_owned();
        let gone = news["event"] == "delete";
        match news["object"].as_str() {
            Some("link") if is_new(&news["ifname"]) && gone => _ = self.links.remove(&host_end),
            Some("link") if is_new(&news["ifname"]) => {
                let (own, up) = self.links.entry(host_end).or_default();
                (*own, *up) = (news["ipvl"].clone(), news["state"] == "up");
            }
            Some("address") if is_new(&news["dev"]) && gone => _ = self.addresses.remove(&address(&news)),
            Some("address") if is_new(&news["dev"]) => _ = self.addresses.insert(address(&news)),
            _ => {}
        }
    }

    /// The same, as it is.
    fn shown(lab: &Lab) -> Self {
        let list = |words: &str| match serde_json::from_str(&lab.ipvl(words)).expect("JSON") {
            Value::Array(all) => all,
            other => panic!("no list: {other}"),
        };
        let mut told = Self::default();
        for link in list("-j link show").iter().filter(|link| link["ifname"].as_str().unwrap().starts_with('s')) {
            let up = link["flags"].as_array().expect("flags").iter().any(|flag| flag == "UP");
            let host_end = link["ipvl"]["host_end"].as_str().expect("a host end").to_owned();
            told.links.insert(host_end, (link["ipvl"].clone(), up));
        }
        let addresses = list("-j addr show").into_iter();
        let of_new = addresses.filter(|entry| entry["dev"].as_str().is_some_and(|dev| dev.starts_with('s')));
        told.addresses = of_new.map(|entry| address(&entry)).collect();
        told
    }
}

fn address(entry: &Value) -> String {
    format!("{} {} {} {}", entry["address"], entry["prefixlen"], entry["dev"], entry["origin"])
}
