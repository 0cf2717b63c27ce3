//! What holds for any frame among any slaves?

use ipvl_control::read::snapshot::{Bytes, Snapshot};
use ipvl_control::read::trace::Trace;
use ipvl_core::wire::{ETH_HLEN, Ethernet, Packet, Protocol};
use ipvl_core::{
    Action, Flag, FloodTo, Group, Guard, Mode, Options, Owner, PortEntry, Reply, RouteLookup, Slot, Tables, Verdict,
};
use ipvl_core::{destination, digest, egress, fastpath, ingress};
use ipvl_testbed::packet::{arp_request, neighbour_solicit};
use ipvl_tests::names::{SLAVES, slave_addresses};
use ipvl_tests::outcome::audience;
use ipvl_tests::random::{cases, frame, plain_frame, source, world};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn nothing_panics(world in world(), frame in frame(), source in source()) {
        let snapshot = world.snapshot();
        egress(&frame, &snapshot, source);
        ingress(&frame, &snapshot);
        digest(&frame);
        destination(&frame);
        RouteLookup::of(&frame);
        if let Some(reply) = Reply::to(&frame, snapshot.port.mac) {
            reply.arp();
            reply.advertisement();
        }
    }

    #[test]
    fn a_glance_sees_what_the_whole_decision_does(world in world(), frame in frame(), slot in slot()) {
        let snapshot = world.snapshot();
        let verdicts = [
            (fastpath::egress(&frame, &snapshot, slot), egress(&frame, &snapshot, Some(slot))),
            (fastpath::ingress(&frame, &snapshot), ingress(&frame, &snapshot)),
        ];
        for (fast, verdict) in verdicts {
            let Some(fast) = fast else { continue };
            prop_assert_eq!(fast.verdict, verdict);
            if let Action::Deliver(to) = verdict.action() {
                prop_assert_eq!(fast.to, snapshot.slave(to));
            }
        }
    }

    #[test]
    fn private_slaves_and_their_siblings_never_meet(world in world(), frame in frame(), Slot(from) in slot()) {
        let snapshot = world.snapshot();
        let sender = snapshot.slave(Slot(from));
        let verdict = egress(&frame, &snapshot, Some(Slot(from)));
        for (to, how) in meets(verdict, &frame, &snapshot, Slot(from)) {
            let strictest = sender.flag().max(snapshot.slave(to).flag());
            prop_assert_ne!(strictest, Flag::Private, "{} reaches {}: {:?}", SLAVES[from as usize], to.0, how);
            prop_assert_ne!(strictest, Flag::Vepa, "past the switch, {} reaches {}: {:?}", from, to.0, how);
        }
    }

    #[test]
    fn a_switch_that_reflects_changes_none_of_that(world in world(), frame in plain_frame(), Slot(from) in slot(), padded in any::<bool>()) {
        let mut snapshot = world.snapshot();
        prop_assume!(!snapshot.port.has(PortEntry::IP_ONLY));
        let sender = snapshot.slave(Slot(from));
        let Some(back) = reflected(&frame, &mut snapshot, Slot(from), padded) else { return Ok(()) };
        let verdict = ingress(&back, &snapshot);
        for to in recipients(verdict, &frame, &snapshot) {
            prop_assert_ne!(to, Slot(from), "gets its own frame back: {:?}", verdict);
            prop_assert_ne!(sender.flag().max(snapshot.slave(to).flag()), Flag::Private, "to {}: {:?}", to.0, verdict);
        }
    }

    #[test]
    fn padding_changes_no_digest(frame in plain_frame()) {
        prop_assume!(frame.data.len() >= 34);
        let mut padded = frame.clone();
        padded.data.resize(frame.data.len().max(60), 0);
        prop_assert_eq!(digest(&frame), digest(&padded));
    }

    #[test]
    fn nobody_gets_its_own_frame_or_one_while_down(world in world(), frame in frame(), source in source()) {
        let snapshot = world.snapshot();
        let verdicts = [(source, egress(&frame, &snapshot, source)), (None, ingress(&frame, &snapshot))];
        for (from, verdict) in verdicts {
            for to in recipients(verdict, &frame, &snapshot) {
                prop_assert_ne!(Some(to), from);
                prop_assert!(!snapshot.slave(to).is_vacant() && snapshot.slave(to).up(), "{:?}", verdict);
            }
        }
    }

    #[test]
    fn nobody_gets_a_group_that_it_has_not_joined(world in world(), frame in frame(), source in source()) {
        let snapshot = world.snapshot();
        prop_assume!(world.joined.is_some());
        let Some(group) = Ethernet::parse(&frame).and_then(|eth| Group::of(eth.dst)) else { return Ok(()) };
        for verdict in [egress(&frame, &snapshot, source), ingress(&frame, &snapshot)] {
            let Action::Flood(flood) = verdict.action() else { continue };
            for to in recipients(verdict, &frame, &snapshot) {
                let joined = snapshot.groups.get(&group).is_some_and(|members| members.has(to));
                prop_assert!(joined || flood.to == FloodTo::One(to), "{:?}", verdict);
            }
        }
    }

    #[test]
    fn no_foreign_mac_and_no_tag_leaves_a_slave(world in world(), frame in frame(), source in source()) {
        let snapshot = world.snapshot();
        let verdict = egress(&frame, &snapshot, source);
        let foreign = Ethernet::parse(&frame).is_none_or(|eth| eth.is_tagged() || eth.src != snapshot.port.mac);
        let foreign = if snapshot.port.has(PortEntry::IP_ONLY) { frame.data.len() < ETH_HLEN } else { foreign };
        if foreign || frame.vlan.is_some() {
            prop_assert!(is_drop(verdict), "{:?}", verdict);
        }
    }

    #[test]
    fn a_strict_guard_lets_nothing_foreign_pass(world in world(), frame in frame(), slot in slot()) {
        let snapshot = world.snapshot();
        prop_assume!(snapshot.slave(slot).guard() != Guard::Off);
        let Some(packet) = packet(&frame) else { return Ok(()) };
        if !is_drop(egress(&frame, &snapshot, Some(slot))) {
            let owner = snapshot.owner(packet.src);
            let nobodys = owner == Owner::Nobody && snapshot.slave(slot).guard() == Guard::Owned;
            prop_assert!(packet.src.is_unspecified() || nobodys || owner == Owner::Slave(slot), "{:?}", packet);
            prop_assert!(!snapshot.slave(slot).guard().is_strict() || packet.protocol != Protocol::Other, "{:?}", packet);
        }
    }

    #[test]
    fn no_probe_of_a_strict_slave_reaches_a_sibling(world in world(), slot in slot(), target in 0..8_u32, v4 in any::<bool>(), padded in any::<bool>()) {
        let mut snapshot = world.snapshot();
        prop_assume!(!snapshot.slave(slot).is_vacant() && !snapshot.port.has(PortEntry::IP_ONLY));
        let slave = snapshot.slave(slot);
        let strict = Options { guard: Guard::Strict, ..slave.options() };
        snapshot.slaves.insert(slot, slave.with_options(strict));
        let frame = Bytes::from(probe(snapshot.port.mac.0, target, v4));
        let verdict = egress(&frame, &snapshot, Some(slot));
        prop_assert!(recipients(verdict, &frame, &snapshot).is_empty(), "{:?}", verdict);
        let Some(back) = reflected(&frame, &mut snapshot, slot, padded) else { return Ok(()) };
        let verdict = ingress(&back, &snapshot);
        prop_assert!(recipients(verdict, &frame, &snapshot).is_empty(), "by the switch: {:?}", verdict);
    }

    #[test]
    fn no_slave_without_host_access_reaches_the_host(world in world(), frame in frame(), slot in slot()) {
        let snapshot = world.snapshot();
        prop_assume!(!snapshot.slave(slot).host());
        let verdict = egress(&frame, &snapshot, Some(slot));
        let to_host = match verdict.action() {
            Action::Host => packet(&frame).is_none_or(|packet| snapshot.owner(packet.dst) == Owner::Host || packet.len <= snapshot.port.mtu),
            Action::Flood(flood) => !matches!(flood.then, ipvl_core::FloodThen::Wire | ipvl_core::FloodThen::Nowhere),
            _ => false,
        };
        prop_assert!(!to_host, "{:?}", verdict);
    }

    #[test]
    fn nothing_leaves_by_a_master_that_has_left(world in world(), frame in frame(), slot in slot()) {
        let mut snapshot = world.snapshot();
        snapshot.port.flags |= PortEntry::MASTER_GONE;
        let verdict = egress(&frame, &snapshot, Some(slot));
        let out = match verdict.action() {
            Action::Wire | Action::Route | Action::OnLink => true,
            Action::Flood(flood) => flood.reaches_wire(),
            _ => false,
        };
        prop_assert!(!out, "{:?}", verdict);
    }

    #[test]
    fn who_writes_down_the_questions_gets_the_same_answer(world in world(), frame in frame(), source in source()) {
        let snapshot = world.snapshot();
        let asked = Trace::new(&snapshot, BTreeMap::new());
        prop_assert_eq!(egress(&frame, &asked, source), egress(&frame, &snapshot, source));
        prop_assert_eq!(ingress(&frame, &asked), ingress(&frame, &snapshot));
    }
}

fn slot() -> impl Strategy<Value = Slot> {
    (0..SLAVES.len() as u32).prop_map(Slot)
}

/// The slaves that a verdict hands the frame to, itself or a copy.
fn recipients(verdict: Verdict, frame: &Bytes, snapshot: &Snapshot) -> Vec<Slot> {
    match verdict.action() {
        Action::Deliver(slot) => vec![slot],
        Action::Flood(flood) => audience(flood, frame, snapshot),
        _ => Vec::new(),
    }
}

/// Those, and whomever the host's stack would forward it to.
fn meets(verdict: Verdict, frame: &Bytes, snapshot: &Snapshot, from: Slot) -> Vec<(Slot, Verdict)> {
    let mut met = recipients(verdict, frame, snapshot);
    if verdict.action() == Action::Host
        && snapshot.slave(from).mode() != Mode::L2
        && let Some(Owner::Slave(to)) = packet(frame).map(|packet| snapshot.owner(packet.dst))
    {
        met.push(to);
    }
    met.into_iter().map(|slot| (slot, verdict)).collect()
}

/// A probe for the IPv4 or the IPv6 address of a slave.
fn probe(from: [u8; 6], target: u32, v4: bool) -> Vec<u8> {
    let (target_v4, target_v6) = slave_addresses(target);
    if v4 {
        arp_request(from, Ipv4Addr::UNSPECIFIED, target_v4)
    } else {
        neighbour_solicit(from, Ipv6Addr::UNSPECIFIED, target_v6)
    }
}

/// The frame as a switch sends it back, if it gets as far as the switch, and what is remembered of it.
fn reflected(frame: &Bytes, snapshot: &mut Snapshot, from: Slot, padded: bool) -> Option<Bytes> {
    let out = match egress(frame, snapshot, Some(from)).action() {
        Action::Flood(flood) if flood.reaches_wire() => {
            snapshot.sent.insert(digest(frame), from);
            true
        }
        action => action == Action::Wire,
    };
    let mut data = frame.data.clone();
    data.resize(data.len().max(if padded { 60 } else { 0 }), 0);
    out.then_some(Bytes::from(data))
}

fn packet(frame: &Bytes) -> Option<Packet> {
    let eth = Ethernet::parse(frame)?;
    Packet::parse(frame, eth.ethertype).ok()
}

fn is_drop(verdict: Verdict) -> bool {
    matches!(verdict.action(), Action::Drop(_))
}
