//! What does a verdict cost, without the packet's path before and after it? `BPF_PROG_TEST_RUN` runs the programs of real
//! slaves on one frame, many times, and for comparison programs that do next to nothing.

use crate::bytecode::{self, Target};
use crate::candidate::{Backend, Candidate};
use crate::network::Network;
use crate::results::Results;
use crate::sys;
use ipvl_control::kernel::bpf::{AttachType, map_fd_by_id, prog_fd_by_id, prog_info, prog_query};
use ipvl_core::IfIndex;
use ipvl_testbed::packet::{Link, udp};
use ipvl_testbed::{EXT_MAC, HOST_V4, HOST_V6, MASTER_MAC};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::{env, fs};

const ROUNDS: usize = 5;
/// The kernel's timer is read once for this many runs.
const REPEAT: u32 = 20_000;
const PORT: u16 = 9;

/// A program, and a frame that it gets.
struct Case {
    names: [String; 3],
    program: OwnedFd,
    ifindex: u32,
    frame: Vec<u8>,
}

/// Times all cases in turns, and notes the programs' sizes.
pub fn verdicts() -> Results {
    let counting = env::var("COUNTING").is_ok_and(|value| !value.is_empty());
    let mut results = Results::new(counting);
    for mode in ["l2", "l3", "l3s"] {
        let network = Network::with_host(Candidate::Ipvl(mode, Backend::Veth)).expect("a network of ipvl's");
        network.host().within(|| {
            let cases = cases(&network, mode);
            sizes(&cases, &mut results);
            run(&cases, counting, &mut results);
        });
    }
    let network = Network::with_host(Candidate::Ipvl("l2", Backend::Veth)).expect("a network of ipvl's");
    network.host().within(|| {
        let cases = policies(&network);
        sizes(&cases, &mut results);
        run(&cases, counting, &mut results);
    });
    results
}

fn run(cases: &[Case], counting: bool, results: &mut Results) {
    let repeat = if counting { REPEAT / 100 } else { REPEAT };
    for _ in 0..ROUNDS {
        for case in cases {
            let time = sys::test_run(case.program.as_fd(), &case.frame, case.ifindex, repeat);
            let (_, nanoseconds) = time.expect("run a program");
            let [candidate, path, family] = case.names.each_ref().map(String::as_str);
            results.add([candidate, "verdict", path, family], f64::from(nanoseconds));
        }
    }
}

fn sizes(cases: &[Case], results: &mut Results) {
    for case in cases {
        let size = sys::size(case.program.as_fd()).expect("describe a program");
        let name = case.names[0].rsplit(' ').next().unwrap_or_default();
        let known = |what: &str, results: &Results| results.figure([name, "size", what, ""]).is_some();
        let all = [
            ("instructions", size.translated),
            ("bytes of machine code", size.machine_code),
            ("instructions verified", size.verified),
        ];
        for (what, number) in all {
            if !known(what, results) {
                results.add([name, "size", what, ""], f64::from(number));
            }
        }
    }
}

fn cases(network: &Network, mode: &str) -> Vec<Case> {
    let host_end = index(network, "ipvlh0");
    let master = index(network, "eth0");
    let mut cases = vec![];
    for v6 in [false, true] {
        let family = if v6 { "IPv6" } else { "IPv4" };
        let [slave, sibling, outside] = [0, 1, 2].map(|n| network.address(n, v6));
        let host = if v6 { HOST_V6.into() } else { HOST_V4.into() };
        let mut add = |candidate: String, path: &str, program, ifindex, frame| {
            cases.push(Case { names: [candidate, path.to_owned(), family.to_owned()], program, ifindex, frame });
        };
        let shared = Link::new(MASTER_MAC, MASTER_MAC);
        let out = if mode == "l2" { Link::new(MASTER_MAC, EXT_MAC) } else { shared };
        let sent = |link, to| datagram(link, slave, to);
        let egress = || attached(host_end);
        add(format!("{mode} slave_xmit"), "slave to slave", egress(), host_end, sent(shared, sibling));
        add(format!("{mode} slave_xmit"), "slave to outside", egress(), host_end, sent(out, outside));
        add(format!("{mode} slave_xmit"), "slave to host", egress(), host_end, sent(shared, host));
        let received = |to| datagram(Link::new(EXT_MAC, MASTER_MAC), outside, to);
        add(format!("{mode} master_rx"), "outside to slave", attached(master), master, received(slave));
        add(format!("{mode} master_rx"), "outside to host", attached(master), master, received(host));
        if mode == "l2" && !v6 {
            let frame = || sent(shared, sibling);
            let loaded = "load a program";
            add("nothing".into(), "floor", bytecode::nothing().expect(loaded), host_end, frame());
            let redirect = bytecode::redirect(Target::Peer(host_end)).expect(loaded);
            add("redirect_peer".into(), "floor", redirect, host_end, frame());
            add("lookup".into(), "floor", bytecode::lookup(&hash_map(host_end)).expect(loaded), host_end, frame());
        }
    }
    cases
}

/// The first slave may send to all, and receive what it has asked for; the second one has 64 rules, of which none fits.
fn policies(network: &Network) -> Vec<Case> {
    let ipvl = env::var("IPVL").expect("the command");
    let policy = |words: &str| network.host().run([&ipvl, "policy", "set", "dev"].into_iter().chain(words.split(' ')));
    policy("ipvlh0 in drop");
    policy(&format!("ipvlh1 in drop rules {}", "in from 203.0.113.0/24 udp dport 9 accept ".repeat(64).trim_end()));
    let mut cases = vec![];
    for (v6, family) in [(false, "IPv4"), (true, "IPv6")] {
        let [slave, sibling, outside] = [0, 1, 2].map(|n| network.address(n, v6));
        let [first, second] = ["ipvlh0", "ipvlh1"].map(|host_end| index(network, host_end));
        let received = |to| datagram(Link::new(EXT_MAC, MASTER_MAC), outside, to);
        let mut add = |program: &str, path: &str, at, ifindex, frame| {
            let names = [program, path, family].map(str::to_owned);
            cases.push(Case { names, program: attached_at(ifindex, at), ifindex, frame });
        };
        let sent = datagram(Link::new(MASTER_MAC, EXT_MAC), slave, outside);
        add("policy_out", "known connection", AttachType::TcxIngress, first, sent);
        add("policy_in", "known connection", AttachType::TcxEgress, first, received(slave));
        let unasked = udp(Link::new(EXT_MAC, MASTER_MAC), (outside, PORT + 1), (slave, PORT), &[0; 64]);
        add("policy_in", "no rule, dropped", AttachType::TcxEgress, first, unasked);
        add("policy_in", "64 rules, dropped", AttachType::TcxEgress, second, received(sibling));
    }
    cases
}

fn datagram(link: Link, from: IpAddr, to: IpAddr) -> Vec<u8> {
    udp(link, (from, PORT), (to, PORT), &[0; 64])
}

fn index(network: &Network, device: &str) -> u32 {
    let text = network.host().run(["cat", &format!("/sys/class/net/{device}/ifindex")]);
    text.trim().parse().expect("an ifindex")
}

fn attached(ifindex: u32) -> OwnedFd {
    attached_at(ifindex, AttachType::TcxIngress)
}

fn attached_at(ifindex: u32, at: AttachType) -> OwnedFd {
    let ids = prog_query(IfIndex(ifindex), at).expect("ask for the device's programs");
    prog_fd_by_id(ids[0]).expect("open the program")
}

/// A hash map of the program's with keys of four bytes: the one of all slaves.
fn hash_map(host_end: u32) -> OwnedFd {
    let ids = prog_info(attached(host_end)).expect("describe the program").map_ids;
    let fds = ids.into_iter().map(|id| map_fd_by_id(id).expect("open a map"));
    fds.into_iter().find(|map| is_hash(map) && bytecode::lookup(map).is_ok()).expect("a map")
}

/// `BPF_MAP_TYPE_HASH` is 1.
fn is_hash(map: &OwnedFd) -> bool {
    let said = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_raw_fd())).expect("describe a map");
    said.lines().any(|line| line == "map_type:\t1")
}
