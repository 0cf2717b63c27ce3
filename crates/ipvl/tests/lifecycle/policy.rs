//! Does a slave send and receive what its policy says, whichever way a packet comes, and does a change meet every packet?

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use ipvl_testbed::{
    EXT_V4, EXT_V6, HOST_V4, Lab, Netns, bound, require_device, require_kernel, require_root, wait_until,
};
use serde_json::Value;

use crate::common::{Probe, kill_agent, pings_now, run, shell, soon};

/// For what is to be dropped.
pub const MOMENT: Duration = Duration::from_millis(300);
/// For what is to pass.
pub const LONG: Duration = Duration::from_secs(3);

#[test]
fn rules_decide_whichever_way_a_packet_comes() {
    require_root!();
    for options in ["mode l2 host on", "mode l3 host on", "mode l3s"] {
        let lab = lab(options);
        lab.ipvl("policy set dev ipvl1 in drop rules in tcp dport 80 accept");
        for (whence, netns) in [("a sibling", &lab.slaves[0]), ("outside", &lab.ext), ("the host", &lab.host)] {
            for address in ["10.0.0.11", "[fd00::11]"] {
                let told = || format!("{options}, from {whence} to {address}: {}", lab.ipvl("-s policy show"));
                assert!(connects(netns, &lab.slaves[1], &format!("{address}:80"), LONG), "{}", told());
                assert!(!connects(netns, &lab.slaves[1], &format!("{address}:81"), MOMENT), "{}", told());
            }
            assert!(!pings_now(netns, "10.0.0.11"), "{options}, from {whence}");
        }
        // What it opens itself, it may receive.
        assert!(connects(&lab.slaves[1], &lab.ext, &format!("{EXT_V4}:81"), LONG), "{options}");
        assert!(connects(&lab.slaves[1], &lab.slaves[0], "[fd00::10]:81", LONG), "{options}");
        assert!(lab.pings(&lab.slaves[1], &EXT_V4.to_string()), "{options}");
        assert!(dropped(&lab, "ipvl0") > 0 && dropped(&lab, "eth0") > 0, "{options}: {}", lab.ipvl("stats"));
    }
}

#[test]
fn what_a_slave_may_send_is_decided_too() {
    require_root!();
    let lab = lab("mode l2 host on");
    lab.ipvl(
        "policy set dev ipvl1 out drop rules out to 10.0.0.254 tcp dport 80 accept; out to slave ipvl0 accept; \
         out to host icmp accept",
    );
    let from = &lab.slaves[1];
    assert!(connects(from, &lab.ext, &format!("{EXT_V4}:80"), LONG));
    assert!(!connects(from, &lab.ext, &format!("{EXT_V4}:81"), MOMENT));
    assert!(!connects(from, &lab.ext, &format!("[{EXT_V6}]:80"), MOMENT));
    assert!(
        connects(from, &lab.slaves[0], "10.0.0.10:81", LONG) && connects(from, &lab.slaves[0], "[fd00::10]:81", LONG)
    );
    assert!(lab.pings(from, &HOST_V4.to_string()) && !connects(from, &lab.host, &format!("{HOST_V4}:80"), MOMENT));
    // Others may open connections to it, and it may answer.
    assert!(connects(&lab.ext, from, "10.0.0.11:81", LONG) && connects(&lab.host, from, "10.0.0.11:81", LONG));
    assert!(dropped(&lab, "ipvl1") > 0, "{}", lab.ipvl("stats"));
    lab.ipvl("policy flush dev ipvl1");
    assert!(connects(from, &lab.ext, &format!("{EXT_V4}:81"), LONG), "{}", lab.ipvl("policy show dev ipvl1"));
    assert!(lab.ipvl("policy show dev ipvl1").contains("no policy"));
}

#[test]
fn an_icmp_error_about_a_known_connection_passes() {
    require_root!();
    let lab = lab("mode l2");
    lab.ipvl("policy set dev ipvl1 in drop");
    for target in [format!("{EXT_V4}:99"), format!("[{EXT_V6}]:99"), "10.0.0.10:99".to_owned()] {
        let refused = lab.slaves[1].within(|| {
            let any = if target.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(any).expect("bind");
            socket.set_read_timeout(Some(LONG)).expect("a timeout");
            socket.connect(&target).expect("connect");
            socket.send(b"?").expect("send");
            socket.recv(&mut [0; 1]).expect_err("nobody answers").kind()
        });
        assert_eq!(refused, ErrorKind::ConnectionRefused, "{target}: {}", lab.ipvl("-s policy show"));
    }
}

#[test]
fn later_fragments_follow_the_first() {
    require_root!();
    for options in ["mode l2", "mode l3"] {
        let lab = lab(options);
        lab.ipvl("policy set dev ipvl1 in drop rules in udp dport 53 accept");
        for address in ["10.0.0.11", "[fd00::11]"] {
            for from in [&lab.ext, &lab.slaves[0]] {
                let arrives = |port, patience| datagram(from, &lab.slaves[1], &format!("{address}:{port}"), patience);
                assert!(arrives(53, LONG), "{options} {address}: {}", lab.ipvl("-s policy show"));
                assert!(!arrives(54, MOMENT), "{options} {address}: {}", lab.ipvl("-s policy show"));
            }
        }
        let counted = lab.ipvl("-s policy show dev ipvl1");
        assert!(counted.contains("# fragment in packets"), "{counted}");
    }
}

#[test]
fn a_rule_names_siblings_by_name_and_by_label_and_never_a_later_slave_in_the_same_slot() {
    require_root!();
    let lab = lab("mode l2");
    lab.ipvl(
        "policy set dev ipvl1 in drop rules in from slave ipvl0 tcp dport 80 accept in from label web,db icmp accept",
    );
    let reaches =
        |port: u16, patience| connects(&lab.slaves[0], &lab.slaves[1], &format!("10.0.0.11:{port}"), patience);
    assert!(reaches(80, LONG) && !connects(&lab.ext, &lab.slaves[1], "10.0.0.11:80", MOMENT));
    lab.ipvl("policy label dev ipvl0 labels web");
    assert!(!pings_now(&lab.slaves[0], "10.0.0.11"));
    lab.ipvl("policy label dev ipvl0 labels web db");
    assert!(lab.pings(&lab.slaves[0], "10.0.0.11"), "{}", lab.ipvl("-s policy show"));
    assert!(lab.ipvl("policy show dev ipvl0").contains("label db,web"));
    // Slots are used again after a round: as many slaves come and go.
    lab.ipvl("link del ipvl0");
    let round = "for n in {1..64}; do echo link add link eth0 name p type ipvlan mode l2; echo link del p; done";
    let output = shell(&lab.host, &format!("{round} | $IPVL -b -"));
    assert!(output.ok, "{output:?}");
    let shown = lab.ipvl("policy show dev ipvl1");
    assert!(!shown.contains("slave"), "{shown}");
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    assert!(!reaches(80, MOMENT) && !pings_now(&lab.slaves[0], "10.0.0.11"));
}

#[test]
fn a_change_meets_every_packet_and_counts_go_on() {
    require_root!();
    let lab = lab("mode l2");
    lab.ipvl("policy set dev ipvl1 in drop out drop rules in udp dport 1000-1001 accept");
    let probes = [("sibling", &lab.slaves[0], 1000), ("outside", &lab.ext, 1001)]
        .map(|(whence, netns, port)| (whence, Probe::start(netns, &lab.slaves[1], &format!("10.0.0.11:{port}"))));
    for round in 0..20 {
        probes.iter().for_each(|(_, probe)| probe.more(10));
        match round % 4 {
            0 => lab.ipvl("policy add dev ipvl1 before 1 rule in tcp dport 22 accept"),
            1 => lab.ipvl("policy set dev ipvl1 rules in udp dport 1000-1001 accept out to host drop"),
            2 => lab.ipvl("policy set dev ipvl1 out accept rules in udp dport 1000-1001 accept"),
            _ => lab.ipvl("policy set dev ipvl1 out drop"),
        };
    }
    for (whence, probe) in probes {
        let loss = probe.finish();
        assert!(loss.lost.is_empty() && loss.sent > 200, "from the {whence}: {loss:?}");
    }
    let [policy] = &shown(&lab)[..] else { panic!("one policy") };
    assert_eq!((policy["rules"][0]["handle"].as_u64(), policy["rules"].as_array().map(Vec::len)), (Some(1), Some(1)));
    assert!(policy["rules"][0]["packets"].as_u64() >= Some(2), "{policy}");

    // And a rule that goes takes its connections with it, as does a label.
    expect_to_end(&lab, "policy delete dev ipvl1 handle 1");
    lab.ipvl("policy label dev ipvl0 labels web");
    lab.ipvl("policy set dev ipvl1 rules in from label web udp accept");
    expect_to_end(&lab, "policy label dev ipvl0 labels db");
}

/// Fails unless what the one slave sends to the other arrives until this command.
#[track_caller]
fn expect_to_end(lab: &Lab, command: &str) {
    let probe = Probe::start(&lab.slaves[0], &lab.slaves[1], "10.0.0.11:1000");
    probe.more(20);
    lab.ipvl(command);
    probe.more(100);
    let loss = probe.finish();
    assert!(loss.lost.len() > 50 && loss.sent as usize > loss.lost.len() + 10, "{command}: {loss:?}");
}

#[test]
fn a_policy_outlives_its_agent_and_moves_and_changes_of_the_slave() {
    require_root!();
    let lab = lab("mode l2");
    lab.ipvl("policy set dev ipvl1 in drop rules in tcp dport 80 accept");
    let before = lab.ipvl("policy show");
    let holds = |when: &str| {
        assert!(connects(&lab.slaves[0], &lab.slaves[1], "10.0.0.11:80", LONG), "{when}");
        assert!(!connects(&lab.slaves[0], &lab.slaves[1], "10.0.0.11:81", MOMENT), "{when}");
        assert_eq!(lab.ipvl("policy show"), before, "{when}");
    };
    holds("at first");
    kill_agent(&lab.host);
    holds("without an agent");
    lab.ipvl("link set ipvl0 type ipvlan guard strict");
    holds("with another agent");
    for change in ["guard strict", "private", "bridge"] {
        lab.ipvl(&format!("link set ipvl1 type ipvlan {change}"));
    }
    holds("after changes");
    lab.ipvl("upgrade again");
    holds("after an upgrade");
}

#[test]
fn explain_names_the_rule() {
    require_root!();
    let lab = lab("mode l2");
    lab.ipvl("policy set dev ipvl1 in drop rules in tcp dport 80-90 accept");
    lab.ipvl("policy set dev ipvl0 rules out tcp dport 85 drop");
    let explained = |words: &str| lab.ipvl(&format!("explain from ipvl0 to 10.0.0.11 {words}"));
    let passes = explained("tcp dport 80");
    assert!(passes.contains("rule 1: in tcp dport 80-90 accept") && passes.contains("delivered"), "{passes}");
    assert!(passes.contains("may ipvl0 send it, by its policy? yes: default (out)"), "{passes}");
    let by_sender = explained("tcp dport 85");
    assert!(by_sender.contains("no: rule 1: out tcp dport 85 drop") && by_sender.contains("policy"), "{by_sender}");
    let by_default = explained("udp dport 53");
    assert!(by_default.contains("may ipvl1 receive it, by its policy? no: default (in)"), "{by_default}");
    let outside = lab.ipvl("explain in eth0 to 10.0.0.11 tcp dport 91");
    assert!(outside.contains("no: default (in)") && outside.contains("dropped as policy"), "{outside}");
}

#[test]
fn a_policy_holds_by_either_hook() {
    require_root!();
    require_kernel!("6.6", "tcx, and so a choice of hooks");
    expect_to_hold("backend veth", "tcx");
    expect_to_hold("backend veth", "clsact");
}

#[test]
fn a_policy_holds_in_netkits_hook() {
    require_root!();
    require_device!("netkit");
    expect_to_hold("backend netkit", "tcx");
}

#[test]
fn what_cannot_be_is_refused() {
    require_root!();
    let lab = lab("mode l2");
    for (words, told) in [
        ("policy add dev ipvl1 rule in tcp dport 80", "accept or drop"),
        ("policy add dev ipvl1 rule in from slave nobody accept", "nobody"),
        ("policy delete dev ipvl1 handle 7", "no rule 7"),
        ("policy label dev ipvl1 labels averyveryverylonglabelwithmorethan32bytes", "label"),
        ("policy set dev nobody in drop", "nobody"),
    ] {
        let output = lab.try_ipvl(words);
        assert!(!output.ok && output.stderr.contains(told), "{words}: {output:?}");
    }
    let rule = "in tcp dport 80 accept ";
    assert!(lab.try_ipvl(&format!("policy set dev ipvl1 rules {}", rule.repeat(65))).stderr.contains("64 rules"));
    lab.ipvl(&format!("policy set dev ipvl1 in drop rules {}", rule.repeat(64)));
    assert!(!connects(&lab.slaves[0], &lab.slaves[1], "10.0.0.11:81", MOMENT));
    assert!(connects(&lab.slaves[0], &lab.slaves[1], "10.0.0.11:80", LONG));
}

/// Makes two slaves so, and fails unless each one's policy holds.
#[track_caller]
fn expect_to_hold(options: &str, hook: &str) {
    let lab = Lab::new(2);
    for n in 0..2 {
        let netns = lab.slaves[n].name();
        let add = format!("link add link eth0 name ipvl{n} netns {netns} type ipvlan mode l2 {options}");
        let output = shell(&lab.host, &format!("IPVL_HOOK={hook} $IPVL {add}"));
        assert!(output.ok, "{output:?}");
        run(&lab.slaves[n], &format!("ip addr add 10.0.0.1{n}/24 dev ipvl{n}"));
        run(&lab.slaves[n], &format!("ip link set ipvl{n} up"));
    }
    soon("they reach each other", || lab.pings(&lab.slaves[0], "10.0.0.11"));
    lab.ipvl("policy set dev ipvl0 out drop rules out tcp dport 80-81 accept");
    lab.ipvl("policy set dev ipvl1 in drop rules in tcp dport 80 accept");
    let reaches =
        |port: u16, patience| connects(&lab.slaves[0], &lab.slaves[1], &format!("10.0.0.11:{port}"), patience);
    let told = || format!("{options}, {hook}: {}", lab.ipvl("-s policy show"));
    assert!(reaches(80, LONG) && !reaches(81, MOMENT) && !reaches(82, MOMENT), "{}", told());
    assert!(!connects(&lab.ext, &lab.slaves[1], "10.0.0.11:81", MOMENT), "{}", told());
    lab.ipvl("policy flush dev ipvl0");
    lab.ipvl("policy flush dev ipvl1");
    assert!(reaches(82, LONG), "{options}, {hook}");
}

/// Two slaves, which reach each other, the host and the outside in both families.
fn lab(options: &str) -> Lab {
    let lab = Lab::new(2);
    // Without it the host's stack would route no IPv6 to slaves before Linux 6.17.
    lab.host.sysctl("net/ipv6/conf/all/forwarding", "1");
    for n in 0..2 {
        lab.add_slave(n, options, &[&format!("10.0.0.1{n}/24"), &format!("fd00::1{n}/64")]);
        if !options.contains("l2") {
            run(&lab.ext, &format!("ip route add 10.0.0.1{n}/32 via 10.0.0.1"));
            run(&lab.ext, &format!("ip -6 route add fd00::1{n}/128 via fd00::1"));
        }
    }
    for n in 0..2 {
        soon("the slaves reach the outside", || lab.pings(&lab.slaves[n], &EXT_V4.to_string()));
        soon("in IPv6, too", || lab.pings(&lab.slaves[n], &EXT_V6.to_string()));
    }
    lab
}

/// Whether a connection can be opened and carries a byte each way.
pub fn connects(from: &Netns, to: &Netns, address: &str, patience: Duration) -> bool {
    let address: SocketAddr = address.parse().expect("address and port");
    let any = if address.is_ipv4() { "0.0.0.0" } else { "::" };
    let listener = to.within(|| bound(|| TcpListener::bind((any, address.port()))));
    listener.set_nonblocking(true).expect("no waiting");
    let server =
        thread::spawn(move || wait_until(patience, || listener.accept().is_ok_and(|(stream, _)| echo(stream))));
    let carried = from.within(|| {
        let mut stream = TcpStream::connect_timeout(&address, patience).ok()?;
        stream.set_read_timeout(Some(patience)).ok()?;
        stream.write_all(b"?").ok()?;
        stream.read_exact(&mut [0]).ok()
    });
    server.join().expect("the server");
    carried.is_some()
}

fn echo(mut stream: TcpStream) -> bool {
    let mut byte = [0];
    stream.set_nonblocking(false).is_ok()
        && stream.set_read_timeout(Some(LONG)).is_ok()
        && stream.read_exact(&mut byte).is_ok()
        && stream.write_all(&byte).is_ok()
}

/// Whether a datagram arrives that needs several fragments.
fn datagram(from: &Netns, to: &Netns, address: &str, patience: Duration) -> bool {
    const LEN: usize = 4000;
    let address: SocketAddr = address.parse().expect("address and port");
    let any = if address.is_ipv4() { "0.0.0.0" } else { "::" };
    let receiver = to.within(|| bound(|| UdpSocket::bind((any, address.port()))));
    receiver.set_read_timeout(Some(patience)).expect("a timeout");
    from.within(|| UdpSocket::bind((any, 0)).expect("bind").send_to(&[7; LEN], address)).expect("send");
    receiver.recv(&mut [0; LEN]).is_ok_and(|len| len == LEN)
}

fn shown(lab: &Lab) -> Vec<Value> {
    serde_json::from_str(&lab.ipvl("-j policy show")).expect("JSON")
}

/// How many frames of a slave, or from the wire, were dropped by a policy.
pub fn dropped(lab: &Lab, name: &str) -> u64 {
    let all: Value = serde_json::from_str(&lab.ipvl("-j stats")).expect("JSON");
    let line = all.as_array().into_iter().flatten().find(|line| line["ifname"] == name).expect("a line");
    line["dropped"]["policy"].as_u64().unwrap_or_default()
}
