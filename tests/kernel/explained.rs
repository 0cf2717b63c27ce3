//! Do the programs do what `ipvl explain` says, the host's routing table included?

use crate::devices::Devices;
use crate::programs::{Counted, Programs};
use ipvl_control::kernel::netlink::Netlink;
use ipvl_control::read::explain::{Explanation, Place, explain_at};
use ipvl_control::read::snapshot::{Bytes, Snapshot};
use ipvl_core::{Action, Mode, Reason, Slot};
use ipvl_testbed::packet::checksum;
use ipvl_testbed::{HOST_V4, MASTER_MAC, require_root};
use ipvl_tests::frame::{FrameSource, frames};
use ipvl_tests::names::SLAVES;
use ipvl_tests::random::{cases, plain_frame, world};
use ipvl_tests::world::{Member, World};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestCaseError, TestRunner};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

const WORLDS: u32 = 60;
const FRAMES: usize = 30;

/// Routes of every kind that the table can answer with.
const ROUTES: [&str; 6] = [
    "blackhole 198.18.1.0/24",
    "unreachable 198.18.2.0/24",
    "prohibit 198.18.3.0/24",
    "throw 198.18.4.0/24",
    "198.18.5.0/24 via 10.0.0.254 mtu lock 1000",
    "198.18.6.0/24 dev uplink",
];

#[test]
fn the_programs_do_what_explain_says() {
    require_root!();
    let devices = Devices::new();
    devices.routes(&ROUTES);
    devices.within(|| {
        let netlink = Netlink::open().expect("open netlink");
        let judge = RefCell::new(Judge { programs: Programs::load(), devices: &devices, netlink: &netlink });
        every_kind_of_route(&mut judge.borrow_mut());
        no_reply_is_made(&mut judge.borrow_mut());
        let outcomes = RefCell::new(BTreeMap::new());
        let tried = Cell::new(0);
        let inputs = (world(), vec((slot(), prop_oneof![plain_frame(), routed()]), FRAMES));
        let result = TestRunner::new(cases(WORLDS)).run(&inputs, |(world, frames)| {
            for told in judge.borrow_mut().judge(&world, &frames)? {
                *outcomes.borrow_mut().entry(told).or_insert(0) += 1;
                tried.set(tried.get() + 1);
            }
            Ok(())
        });
        println!("{} frames tried: {:?}", tried.get(), outcomes.borrow());
        result.unwrap_or_else(|error| panic!("{error}"));
    });
}

/// What the routing table answers is rare among random frames, so that each kind is tried on purpose.
fn every_kind_of_route(judge: &mut Judge) {
    let ends = judge.judge(&router(), &one_of_each()).unwrap_or_else(|error| panic!("{error}"));
    for expected in ["Route", "Host", "Drop(Blackhole)", "Drop(Unreachable)", "Drop(Prohibit)", "Drop(TooBig)"] {
        assert!(ends.iter().any(|end| end == expected), "no frame ends as {expected}: {ends:?}");
    }
}

/// A solicitation that would be answered, but stands behind an extension header.
fn no_reply_is_made(judge: &mut Judge) {
    let asked = frames("ask6 any > b, behind destination", FrameSource::Slave(Mode::L2));
    let asked: Vec<_> = asked.into_iter().map(|named| (Slot(0), named.frame)).collect();
    let ends = judge.judge(&slaves(2, ["l2", "bridge", "owned"]), &asked).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(ends, ["Drop(ActionFailed)"]);
}

/// One slave for which the host routes.
fn router() -> World {
    slaves(1, ["l3", "bridge", "off", "host"])
}

fn slaves<const N: usize>(count: usize, words: [&str; N]) -> World {
    let words = words.map(str::to_owned).to_vec();
    let members = SLAVES[..count].iter().map(|name| Member { name: (*name).to_owned(), words: words.clone() });
    World { members: members.collect(), declared: vec![], joined: None, asked: vec![], port: vec![] }
}

/// A packet by each of the routes, one that is too long for the one with an MTU, and one to the host.
fn one_of_each() -> Vec<(Slot, Bytes)> {
    let small = (1..=7).map(|network| routed_packet(far(network), 10, 60, true));
    let others = [routed_packet(far(5), 10, 1400, true), routed_packet(HOST_V4, 10, 60, true)];
    small.chain(others).map(|frame| (Slot(0), frame)).collect()
}

fn slot() -> impl Strategy<Value = Slot> {
    (0..SLAVES.len() as u32).prop_map(Slot)
}

/// An IPv4 packet to somewhere that the routing table knows something of, from the slave's first address or another.
fn routed() -> impl Strategy<Value = Bytes> {
    let to = select(vec![1_u8, 2, 3, 4, 5, 5, 6, 7]);
    let from = select(vec![10_u8, 11, 12, 13]);
    (to, from, 28..1600_usize, any::<bool>())
        .prop_map(|(network, from, len, dont_fragment)| routed_packet(far(network), from, len, dont_fragment))
}

fn far(network: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, network, 9)
}

/// A datagram of `len` bytes from 10.0.0.`from`.
fn routed_packet(to: Ipv4Addr, from: u8, len: usize, dont_fragment: bool) -> Bytes {
    let to = to.octets();
    let total = (len as u16).to_be_bytes();
    let flags = if dont_fragment { 0x40 } else { 0 };
    let mut ip =
        [0x45, 0, total[0], total[1], 0, 0, flags, 0, 64, 17, 0, 0, 10, 0, 0, from, to[0], to[1], to[2], to[3]];
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    let mut data = [&MASTER_MAC[..], &MASTER_MAC, &[8, 0], &ip].concat();
    data.resize(14 + len, 0);
    Bytes::from(data)
}

struct Judge<'a> {
    programs: Programs,
    devices: &'a Devices,
    netlink: &'a Netlink,
}

impl Judge<'_> {
    /// How each frame ended that the kernel was willing to try.
    fn judge(&mut self, world: &World, frames: &[(Slot, Bytes)]) -> Result<Vec<String>, TestCaseError> {
        let snapshot = world.snapshot_at(self.devices.master(), |slot| self.devices.host_end(slot));
        self.programs.fill(&snapshot);
        let mut ends = Vec::new();
        for (slot, frame) in frames.iter().filter(|(slot, _)| snapshot.slaves.contains_key(slot)) {
            let explained = self.explain(&snapshot, *slot, frame);
            self.programs.forget_counters();
            if self.programs.egress(frame, self.devices.host_end(*slot)).is_some() {
                agree(&explained, &self.programs.counted(), *slot, frame)?;
                ends.push(word(&explained));
            }
        }
        Ok(ends)
    }

    fn explain(&self, snapshot: &Snapshot, slot: Slot, frame: &Bytes) -> Explanation {
        let source = Some((self.devices.host_end(slot), slot));
        let place = Place { netlink: self.netlink, master: self.devices.master(), source };
        explain_at(&place, snapshot, BTreeMap::new(), frame).expect("explain")
    }
}

/// A drop is counted by its reason, and all else as sent.
fn agree(explained: &Explanation, counted: &Counted, slot: Slot, frame: &Bytes) -> Result<(), TestCaseError> {
    let dropped: Vec<Reason> =
        counted.drops.keys().map(|key| Reason::from_number(key.reason)).filter(|r| !is_of_copies(*r)).collect();
    let sent = counted.counters.get(&slot).map_or(0, |counters| counters[0]);
    let expected = match explained.verdict.action() {
        // It was counted as sent before that.
        Action::Drop(reason @ Reason::ActionFailed) => (vec![reason], 1),
        Action::Drop(reason) => (vec![reason], 0),
        _ => (vec![], 1),
    };
    prop_assert_eq!((dropped, sent), expected, "{:?} of {:?}", explained, frame);
    Ok(())
}

/// Reasons that can apply to copies of a flooded frame, which are not verdicts.
fn is_of_copies(reason: Reason) -> bool {
    matches!(reason, Reason::FloodLimit | Reason::CloneFailed)
}

fn word(explained: &Explanation) -> String {
    match explained.verdict.action() {
        Action::Deliver(_) => "Deliver".to_owned(),
        Action::Flood(_) => "Flood".to_owned(),
        action => format!("{action:?}"),
    }
}
