//! Do the rules let pass what a naive model of NetworkPolicy lets pass, for random policies, pods and packets?
//!
//! `PROPTEST_CASES` makes it longer.

#[path = "property/model.rs"]
mod model;
#[path = "../../core/tests/policy/packet.rs"]
#[allow(dead_code)]
mod packet;
#[path = "property/random.rs"]
mod random;

use ipvl_control::{
    PolicyPeer, PolicyRule,
    policy_words::{PolicySpec, rules},
};
use ipvl_core::policy::{Connection, Direction, Flow, FragmentKey, Peer, PeerKind, Policy, PolicyTables, Rule, judge};
use ipvl_core::{Addr, Owner, Slot};
use ipvl_kubernetes::{Cluster, Refusal, translate};
use model::{Protocol, World};
use packet::{AT, Body, Packet, Piece};
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

const SLAVE: Slot = Slot(0);
/// Of 4 worlds, 3 and more fit into a policy.
const CASES: u32 = 3000;

#[test]
fn they_do() {
    let seen: RefCell<BTreeMap<(&str, bool), u64>> = RefCell::default();
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    let mut runner = TestRunner::new_with_rng(
        Config { cases, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let result = runner.run(&random::world(), |world| {
        compare(&world, &mut seen.borrow_mut());
        Ok(())
    });
    println!("{:?}", seen.borrow());
    assert!(result.is_ok(), "{}", result.expect_err("checked"));
    for kind in ["in", "out"] {
        for passes in [true, false] {
            assert!(seen.borrow().get(&(kind, passes)).is_some_and(|count| *count > 10_000), "{kind} {passes}");
        }
    }
    let (refused, fit) = (seen.borrow()[&("too many", false)], seen.borrow()[&("fits", true)]);
    assert!(refused * 3 < fit, "{refused} refused, {fit} translated");
}

/// Each pod with each packet, against the model.
fn compare(world: &World, seen: &mut BTreeMap<(&'static str, bool), u64>) {
    let mut cluster = Cluster::default();
    world.objects().into_iter().for_each(|object| cluster.add(object).expect("understood"));
    let all = translate(&cluster);
    assert_eq!(all.len(), world.pods.len());
    for (pod, translated) in world.pods.iter().zip(all) {
        let policy = match translated.policy {
            Ok(policy) => policy,
            Err(Refusal::TooManyRules { .. }) => {
                *seen.entry(("too many", false)).or_default() += 1;
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        *seen.entry(("fits", true)).or_default() += 1;
        let stored = policy.as_ref().map(stored);
        for (peer, protocol, port) in &world.packets {
            let Some(own) = pod.addresses.iter().find(|own| own.is_ipv4() == peer.is_ipv4() && *own != peer) else {
                continue;
            };
            for (way, direction) in [("in", Direction::In), ("out", Direction::Out)] {
                let wanted = world.may_pass(pod, way, *peer, *protocol, *port);
                let packet = packet(*own, *peer, direction, *protocol, *port);
                let tables = Tables { node: world.node(peer.is_ipv4()) };
                let passes = stored
                    .as_ref()
                    .is_none_or(|policy| judge(&&packet.frame()[..], AT, (SLAVE, direction), policy, &tables).passes);
                assert_eq!(passes, wanted, "{way} {}: {packet:?} by {policy:?}", pod.name);
                *seen.entry((way, passes)).or_default() += 1;
            }
        }
    }
}

/// The policy as it is after it was written down and read again.
fn stored(policy: &PolicySpec) -> Policy {
    let words: Vec<String> = policy.rules.iter().map(ToString::to_string).collect();
    let read = rules(&words.join(", ")).expect("understood");
    assert_eq!(read, policy.rules);
    let default = [(policy.inward, Rule::IN), (policy.outward, Rule::OUT)];
    let default = default.iter().filter(|(passes, _)| *passes).map(|(_, bit)| bit).sum();
    Policy::new(1, default, &read.iter().map(stored_rule).collect::<Vec<_>>()).expect("they fit")
}

fn stored_rule(PolicyRule { directions, peer, protocol, ports, accept }: &PolicyRule) -> Rule {
    let peer = match peer {
        PolicyPeer::Any => PeerKind::Any,
        PolicyPeer::Network(addr, len) => PeerKind::Network(*addr, *len),
        PolicyPeer::Host => PeerKind::Host,
        other => panic!("{other:?} is never said"),
    };
    let bits = [(directions.0, Rule::IN), (directions.1, Rule::OUT), (*accept, Rule::PASS)];
    let bits = bits.iter().filter(|(is_on, _)| *is_on).map(|(_, bit)| bit).sum();
    Rule::about(peer, bits).on(protocol.unwrap_or(0), ports.clone().unwrap_or(0..=u16::MAX))
}

/// What opens a connection.
fn packet(own: IpAddr, peer: IpAddr, direction: Direction, protocol: Protocol, port: u16) -> Packet {
    let (src, dst) = if direction == Direction::In { (peer, own) } else { (own, peer) };
    let body = match protocol {
        Protocol::Icmp => Body::Echo { id: port, is_answer: false },
        Protocol::Tcp => Body::Ports { protocol: packet::TCP, from: 5000, to: port, flags: packet::SYN },
        Protocol::Udp => Body::Ports { protocol: packet::UDP, from: 5000, to: port, flags: 0 },
        Protocol::Sctp => Body::Ports { protocol: packet::SCTP, from: 5000, to: port, flags: 0 },
    };
    Packet { src, dst, body, piece: Piece::Whole, options: false }
}

struct Tables {
    node: IpAddr,
}

impl PolicyTables for Tables {
    fn peer(&self, addr: Addr) -> Peer {
        let owner = if addr == Addr::from(self.node) { Owner::Host } else { Owner::Nobody };
        Peer { owner, labels: 0 }
    }

    fn connection(&self, _: &Flow) -> Option<Connection> {
        None
    }

    fn fragment(&self, _: &FragmentKey) -> Option<u64> {
        None
    }

    fn now(&self) -> u64 {
        1
    }
}
