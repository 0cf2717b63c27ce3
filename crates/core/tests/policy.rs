//! Does a policy do what a naive model of its rules says, for a million random packets?
//!
//! `SEED` repeats a run, `TIMES` makes it longer.

#[path = "policy/model.rs"]
mod model;
#[path = "policy/packet.rs"]
mod packet;
#[path = "policy/random.rs"]
mod random;

use ipvl_core::policy::{
    Cause, Connection, Direction, Flow, FragmentKey, Judgement, Peer, PeerKind, Policy, PolicyTables, Rule, judge,
};
use ipvl_core::{Addr, Owner, Slot};
use model::{Model, SECOND, Station, Why};
use packet::{AT, Packet};
use random::Random;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

const SLAVE: Slot = Slot(0);
/// Times the packets of each, a million.
const RULE_SETS: u64 = 20_000;
const PACKETS: u64 = 50;

/// What a body keeps in its maps.
#[derive(Default)]
struct Body {
    stations: HashMap<Addr, Station>,
    connections: HashMap<Flow, Connection>,
    fragments: HashMap<FragmentKey, u64>,
    now: u64,
}

impl PolicyTables for Body {
    fn peer(&self, addr: Addr) -> Peer {
        match self.stations.get(&addr) {
            Some(Station::Host) => Peer { owner: Owner::Host, labels: 0 },
            Some(Station::Slave(slot, labels)) => Peer { owner: Owner::Slave(Slot(*slot)), labels: mask(labels) },
            Some(Station::Nobody) | None => Peer { owner: Owner::Nobody, labels: 0 },
        }
    }

    fn connection(&self, flow: &Flow) -> Option<Connection> {
        self.connections.get(flow).copied()
    }

    fn fragment(&self, key: &FragmentKey) -> Option<u64> {
        self.fragments.get(key).copied()
    }

    fn now(&self) -> u64 {
        self.now
    }
}

impl Body {
    fn judge(&mut self, packet: &Packet, direction: Direction, policy: &Policy) -> Judgement {
        let judged = judge(&&packet.frame()[..], AT, (SLAVE, direction), policy, self);
        self.connections.extend(judged.connection);
        self.fragments.extend(judged.fragment.map(|key| (key, self.now)));
        judged
    }
}

#[test]
fn it_does_what_the_model_says() {
    let seed = from_environment("SEED").unwrap_or(1);
    let mut seen = BTreeMap::new();
    for round in 0..RULE_SETS * from_environment("TIMES").unwrap_or(1) {
        let mut random = Random((seed << 32 | round) + 1);
        play(&mut random, &mut seen, &format!("SEED={seed}, round {round}"));
    }
    println!("{seen:?}");
    for cause in (0..64).map(Cause).chain([Cause::DEFAULT, Cause::FRAGMENT]) {
        for passes in [true, false] {
            assert!(seen.contains_key(&(cause, passes)), "{cause:?} never said {passes}");
        }
    }
    for cause in [Cause::ESTABLISHED, Cause::RELATED, Cause::LINK] {
        assert!(seen.contains_key(&(cause, true)), "{cause:?} never let a packet pass");
    }
}

/// One set of rules, its packets, and a change of the rules on the way.
fn play(random: &mut Random, seen: &mut BTreeMap<(Cause, bool), u64>, context: &str) {
    let stations = random.stations();
    let in_core = stations.iter().map(|(addr, station)| (Addr::from(*addr), station.clone())).collect();
    let mut body = Body { stations: in_core, now: 1000 * SECOND, ..Body::default() };
    let mut model = Model::among(stations);
    let mut policy = change(random, &mut model, 1);
    for number in 0..PACKETS {
        if number == PACKETS / 2 && random.once_in(2) {
            policy = change(random, &mut model, 2);
        }
        let direction = if random.once_in(2) { Direction::In } else { Direction::Out };
        let packet = random.packet(direction);
        body.now += if random.once_in(8) { random.below(300) * SECOND } else { random.below(SECOND) };
        let judged = body.judge(&packet, direction, &policy);
        let (passes, why) = model.judge(&packet, direction, body.now);
        let of_core = (judged.passes, judged.cause);
        let rules = &model.rules;
        assert_eq!(of_core, (passes, cause_of(&why)), "{context}, {number}: {direction:?} {packet:?} by {rules:?}");
        *seen.entry((judged.cause, judged.passes)).or_default() += 1;
    }
}

fn change(random: &mut Random, model: &mut Model, generation: u32) -> Policy {
    (model.rules, model.defaults) = (random.rules(), random.directions());
    let rules: Vec<Rule> = model.rules.iter().map(stored).collect();
    Policy::new(generation, bits(&model.defaults), &rules).expect("they fit")
}

fn stored(rule: &model::Rule) -> Rule {
    let peer = match &rule.peer {
        model::Peer::Any => PeerKind::Any,
        model::Peer::Network(addr, len) => PeerKind::Network(Addr::from(*addr), *len),
        model::Peer::Host => PeerKind::Host,
        model::Peer::Slave(slot) => PeerKind::Slave(Slot(*slot)),
        model::Peer::Labelled(labels) => PeerKind::Labelled(mask(labels)),
    };
    let pass = if rule.passes { Rule::PASS } else { 0 };
    let any = Rule::about(peer, bits(&rule.directions) | pass);
    assert_eq!(any.peer(), peer);
    any.on(rule.protocol.unwrap_or(0), rule.ports.clone().unwrap_or(0..=u16::MAX))
}

fn bits(directions: &[Direction]) -> u8 {
    directions.iter().map(|direction| if *direction == Direction::In { Rule::IN } else { Rule::OUT }).sum()
}

fn mask(labels: &[u8]) -> u64 {
    labels.iter().map(|label| 1 << label).sum()
}

fn cause_of(why: &Why) -> Cause {
    match why {
        Why::Rule(place) => Cause(*place as u8),
        Why::Default => Cause::DEFAULT,
        Why::Established => Cause::ESTABLISHED,
        Why::Related => Cause::RELATED,
        Why::Fragment => Cause::FRAGMENT,
        Why::Link => Cause::LINK,
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A policy that lets nothing pass but TCP to port 443 of the slave.
fn only_https() -> Policy {
    let https = Rule::about(PeerKind::Any, Rule::IN | Rule::PASS).on(packet::TCP, 443..=443);
    Policy::new(1, 0, &[https]).expect("one rule")
}

fn tcp(src: &str, dst: &str, (from, to): (u16, u16), flags: u8) -> Packet {
    let addr = |text: &str| text.parse::<IpAddr>().expect("an address");
    let body = packet::Body::Ports { protocol: packet::TCP, from, to, flags };
    Packet { src: addr(src), dst: addr(dst), body, piece: packet::Piece::Whole, options: false }
}

#[test]
fn a_server_answers_and_opens_nothing() {
    for (client, server) in [("192.0.2.1", "10.0.0.2"), ("2001:db8::1", "fd00::2")] {
        let (mut body, policy) = (Body::default(), only_https());
        let mut passes = |packet: &Packet, direction| body.judge(packet, direction, &policy).passes;
        let answer = tcp(server, client, (443, 5000), packet::SYN | packet::ACK);
        assert!(!passes(&answer, Direction::Out), "nobody has asked");
        assert!(passes(&tcp(client, server, (5000, 443), packet::SYN), Direction::In));
        assert!(passes(&answer, Direction::Out));
        assert!(!passes(&tcp(client, server, (5000, 80), packet::SYN), Direction::In));
        assert!(!passes(&tcp(server, client, (5000, 443), packet::SYN), Direction::Out));
        assert!(!passes(&tcp(server, client, (443, 5000), packet::SYN), Direction::Out), "by the same ports");
    }
}

#[test]
fn what_is_cut_or_noise_never_passes_a_policy_that_lets_nothing_pass() {
    let policy = Policy::new(1, 0, &[]).expect("no rule");
    let mut random = Random(7);
    for _ in 0..100_000 {
        let mut frame = random.packet(Direction::In).frame();
        frame.truncate(random.below(frame.len() as u64 + 1) as usize);
        for _ in 0..random.below(4) {
            let at = random.below(frame.len().max(1) as u64) as usize;
            if let Some(byte) = frame.get_mut(at) {
                *byte = random.below(256) as u8;
            }
        }
        let judged = judge(&&frame[..], AT, (SLAVE, Direction::In), &policy, &Body::default());
        assert!(!judged.passes || judged.cause == Cause::LINK, "{judged:?} for {frame:02x?}");
    }
}

#[test]
fn there_is_room_for_so_many_rules_and_no_more() {
    let rules = vec![Rule::default(); ipvl_core::policy::MAX_RULES + 1];
    assert!(Policy::new(1, 0, &rules[1..]).is_some());
    assert!(Policy::new(1, 0, &rules).is_none());
}
