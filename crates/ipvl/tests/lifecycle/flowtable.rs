//! Do established connections pass without the host's hooks, and nothing else, while devices and rules change?

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ipvl_testbed::{Lab, Netns, require_root, requires};

use crate::common::{agent, exec, kill, run, shell, soon};

const PATIENCE: Duration = Duration::from_millis(500);
/// Of so many answered datagrams the host may see a few, until the connection is established.
const MANY: u64 = 50;
const FEW: u64 = 6;
/// More than one fragment.
const LARGE: usize = 4000;

/// Two l3s slaves that the outside finds, a filter that drops what it does not know, and a count of what it sees.
fn lab() -> Lab {
    let lab = Lab::new(3);
    lab.host.sysctl("net/ipv6/conf/all/forwarding", "1");
    (0..2).for_each(|n| add(&lab, n));
    for rule in [
        "add table inet t",
        "add counter inet t seen",
        "add set inet t closed { type inet_service ; }",
        "add chain inet t f { type filter hook forward priority 0 ; policy drop ; }",
        "add rule inet t f counter name seen",
        "add rule inet t f udp dport @closed drop",
        "add rule inet t f ct state established,related accept",
        "add rule inet t f udp dport 1-9999 accept",
    ] {
        lab.host.run(["nft", rule]);
    }
    lab
}

fn add(lab: &Lab, n: usize) {
    lab.add_slave(n, "mode l3s neigh proxy", &[&format!("10.0.0.1{n}/24"), &format!("fd00::1{n}/64")]);
}

/// Leaves the test, loudly, on a kernel without flowtables.
macro_rules! require_flowtable {
    () => {
        let answer =
            exec(&Netns::new("probe"), "nft add table inet t ; add flowtable inet t f { hook ingress priority 0 ; }");
        if !requires(
            answer.ok,
            &format!("this kernel has no flowtables: {}", answer.stderr.lines().next().unwrap_or_default()),
        ) {
            return;
        }
    };
}

fn seen(lab: &Lab) -> u64 {
    let shown = run(&lab.host, "nft list counter inet t seen");
    let count = shown.split_whitespace().skip_while(|word| *word != "packets").nth(1);
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count in {shown}"))
}

/// A connection of datagrams that are answered, each by itself.
struct Echo {
    client: UdpSocket,
    server: UdpSocket,
}

impl Echo {
    fn new(from: &Netns, to: &Netns, target: &str) -> Self {
        let server = to.within(|| UdpSocket::bind(target)).expect("bind the server");
        let any = if target.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
        let client = from.within(|| UdpSocket::bind(any)).expect("bind the client");
        client.connect(target).expect("connect");
        for socket in [&client, &server] {
            socket.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
        }
        Self { client, server }
    }

    /// Whether a datagram of this length arrives, and its answer.
    fn answers(&self, length: usize) -> bool {
        let mut buffer = [0; 2 * LARGE];
        let _ = self.client.send(&vec![7; length]);
        match self.server.recv_from(&mut buffer) {
            Ok((got, from)) if got == length => {
                let _ = self.server.send_to(&buffer[..got], from);
                self.client.recv(&mut buffer).is_ok_and(|got| got == length)
            }
            _ => false,
        }
    }

    #[track_caller]
    fn expect_answers(&self, what: &str) {
        for n in 0..MANY {
            assert!(self.answers(64), "{what}: {n}");
        }
    }
}

fn ways(lab: &Lab, port: u16) -> Vec<(String, Echo)> {
    let [a, b, ..] = &lab.slaves[..] else { panic!("two slaves") };
    let ways = [(a, &lab.ext, "254"), (&lab.ext, a, "10"), (a, b, "11")];
    let both = |(from, to, last): (&Netns, &Netns, &str)| {
        [format!("10.0.0.{last}:{port}"), format!("[fd00::{last}]:{port}")]
            .map(|target| (format!("{} to {target}", from.label()), Echo::new(from, to, &target)))
    };
    ways.into_iter().flat_map(both).collect()
}

#[test]
fn the_hosts_hooks_see_no_more_than_the_first_packets_until_they_are_to_see_all_again() {
    require_root!();
    require_flowtable!();
    let lab = lab();
    run(&lab.host, "ip route add fd00::254/128 dev eth0");
    let before = doctor(&lab);
    assert!(before.contains("flowtable: off: connections"), "{before}");
    lab.ipvl("set flowtable on");
    lab.ipvl("set flowtable on");
    for (what, echo) in ways(&lab, 1000) {
        soon("the first answer", || echo.answers(64));
        let (before, counted) = (seen(&lab), received(&lab));
        echo.expect_answers(&what);
        assert!(seen(&lab) - before <= FEW, "{what}: {} were seen", seen(&lab) - before);
        assert!(received(&lab) - counted >= MANY, "{what}: slaves count what they receive");
        assert!(echo.answers(LARGE), "{what}: fragments pass, too");
        // A rule that comes later is for those that come later, and after `flush` for all.
        run(&lab.host, "nft add element inet t closed { 1000 }");
        assert!(echo.answers(64), "{what}: an established one does not see it");
        lab.ipvl("flush");
        assert!(!echo.answers(64), "{what}: now it does");
        run(&lab.host, "nft delete element inet t closed { 1000 }");
    }
    let (what, echo) = ways(&lab, 1001).remove(0);
    echo.expect_answers(&what);
    lab.ipvl("set flowtable off");
    let before = seen(&lab);
    echo.expect_answers("without");
    assert!(seen(&lab) - before >= 2 * MANY, "all of them are seen again");
    assert!(lab.try_ipvl("flush").stderr.contains("it is off; `ipvl set flowtable on` turns it on"));
}

fn doctor(lab: &Lab) -> String {
    lab.try_ipvl("doctor").stdout
}

fn received(lab: &Lab) -> u64 {
    let all = run(&lab.host, "ip -j -s link show");
    let links: serde_json::Value = serde_json::from_str(&all).expect("JSON");
    let ends = links.as_array().expect("a list").iter();
    let ends = ends.filter(|link| link["ifname"].as_str().is_some_and(|name| name.starts_with("ipvlh")));
    ends.map(|link| link["stats64"]["tx"]["packets"].as_u64().expect("a count")).sum()
}

#[test]
fn translated_connections_pass_and_slaves_come_and_go_without_a_loss() {
    require_root!();
    require_flowtable!();
    let lab = lab();
    lab.ipvl("set flowtable on");
    for rule in [
        "add table inet n",
        "add chain inet n to { type nat hook prerouting priority -100 ; }",
        "add rule inet n to meta nfproto ipv4 udp dport 53 dnat ip to 10.0.0.254:5353",
        "add chain inet n from { type nat hook postrouting priority 100 ; }",
        "add rule inet n from oifname eth0 masquerade",
    ] {
        lab.host.run(["nft", rule]);
    }
    run(&lab.slaves[0], "ip route add default dev ipvl0");
    let server = lab.ext.within(|| UdpSocket::bind("10.0.0.254:5353")).expect("bind the server");
    let client = lab.slaves[0].within(|| UdpSocket::bind("0.0.0.0:0")).expect("bind the client");
    client.connect("10.96.0.1:53").expect("connect");
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
    }
    let echo = Echo { client, server };
    soon("the first answer", || echo.answers(64));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                assert!(echo.answers(64), "{count} were answered");
                count += 1;
            }
            count
        });
        for _ in 0..3 {
            add(&lab, 2);
            soon("the agent adds it", || devices(&lab).contains("ipvlh2"));
            lab.ipvl("link del ipvl2");
            assert!(!devices(&lab).contains("ipvlh2"));
        }
        done.store(true, Ordering::Relaxed);
        let count: u64 = traffic.join().expect("no datagram is lost");
        assert!(count > MANY, "{count} were answered");
    });
    // With each change of the host's routes the kernel has connections pass the hooks once more.
    let before = seen(&lab);
    echo.expect_answers("afterwards");
    assert!(seen(&lab) - before <= FEW, "{} were seen afterwards", seen(&lab) - before);
}

fn apply(lab: &Lab, text: &str) -> String {
    let file = std::env::temp_dir().join(format!("ipvl-flowtable-{}.toml", std::process::id()));
    std::fs::write(&file, text).expect("write a file");
    let said = lab.ipvl(&format!("apply {}", file.display()));
    std::fs::remove_file(&file).expect("remove it");
    said
}

fn devices(lab: &Lab) -> String {
    run(&lab.host, "nft list flowtables")
}

#[test]
fn the_flowtable_has_the_devices_of_slaves_that_the_host_forwards_for_whatever_dies() {
    require_root!();
    require_flowtable!();
    let lab = lab();
    lab.ipvl("set flowtable on");
    lab.add_slave(2, "mode l3", &["10.0.0.12/24"]);
    assert!(!devices(&lab).contains("ipvlh2"), "the host forwards nothing for l3");
    kill(agent(&lab.host));
    lab.ipvl("link set ipvl2 type ipvlan host on");
    soon("the next agent adds it", || devices(&lab).contains("ipvlh2"));
    assert!(doctor(&lab).contains("flowtable: on: established connections"));
    let off = apply(&lab, "flowtable = false\n");
    assert!(off.contains("- flowtable") && !run(&lab.host, "nft list tables").contains("ipvl"), "{off}");
    assert!(apply(&lab, "flowtable = true\n").contains("+ flowtable") && devices(&lab).contains("ipvlh2"));
    assert!(apply(&lab, "flowtable = true\n").starts_with("Nothing to do"), "it is so already");
    run(&lab.host, "nft delete flowtable inet ipvl established { devices = { ipvlh2 } ; }");
    let said = doctor(&lab);
    assert!(said.contains("flowtable: on, but without ipvlh2"), "{said}");
    lab.ipvl("set flowtable on");
    assert!(devices(&lab).contains("ipvlh2"));
}

#[test]
fn what_cannot_be_turned_on_leaves_nothing_and_the_error_says_what_is_missing() {
    require_root!();
    let lab = Lab::new(0);
    let answer = shell(&lab.host, "unshare -m sh -c 'mount -t tmpfs none /usr/sbin && $IPVL set flowtable on'");
    let said = "cannot turn on the flowtable: No such file or directory: there is no command nft; install nftables";
    assert!(!answer.ok && answer.stderr.contains(said), "{answer:?}");
    let answer = lab.try_ipvl("set flowtable on");
    let tables = run(&lab.host, "nft list tables");
    // Some kernels have none.
    let said = "cannot turn on the flowtable: nft says: ";
    assert!(
        answer.ok == tables.contains("inet ipvl") && answer.ok != answer.stderr.contains(said),
        "{answer:?} {tables}"
    );
}
