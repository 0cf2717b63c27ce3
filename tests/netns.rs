//! Do real packets in real namespaces end as expected, and nowhere else?
//!
//! Every case's frame is sent by the slave or from outside, once. Observers on all slaves, outside, and before the host's
//! stack must see it once, or must not see it: marker frames prove that it will not come ([`Stage::settle`]). What was
//! dropped must have been counted.

use ipvl_control::read::snapshot::Bytes;
use ipvl_core::{Reason, Reply};
use ipvl_testbed::packet::with_tag;
use ipvl_testbed::{Driver, Frame, Pinned, require_root};
use ipvl_tests::names::SLAVES;
use ipvl_tests::scenario::{Case, corpus};
use ipvl_tests::stage::{PLACES, Stage, shows};
use ipvl_tests::world::World;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a frame that must come may take.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The test ends after so many failures.
const ENOUGH: usize = 40;

#[test]
fn every_scenario_ends_as_expected() {
    require_root!();
    let mut worlds: BTreeMap<World, Vec<Case>> = BTreeMap::new();
    let all = corpus();
    let total = all.len();
    for case in all.into_iter().filter(shows) {
        worlds.entry(case.world.clone()).or_default().push(case);
    }
    let mut stage = Stage::of(Driver::Ipvl);
    let mut failures = Vec::new();
    for (world, cases) in &worlds {
        stage.play(world);
        failures.extend(cases.iter().flat_map(|case| judge(&mut stage, case)));
        if failures.len() > ENOUGH {
            break;
        }
    }
    let shown: usize = worlds.values().map(Vec::len).sum();
    println!("{shown} of {total} cases in {} worlds", worlds.len());
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

/// What is wrong, if anything.
fn judge(stage: &mut Stage, case: &Case) -> Vec<String> {
    let frame = on_the_wire(&case.frame);
    let _one_queue = Pinned::here();
    if let Some(name) = &case.after {
        stage.inject(Some(case.world.member(name).slot()), &frame);
        stage.settle();
    }
    stage.clear();
    let reasons = reasons(case);
    let before = stage.drops(case.sender(), &reasons);
    stage.inject(case.sender(), &frame);
    let mut problems = Vec::new();
    for name in &case.expected.reaches {
        let count = stage.sightings(name, PATIENCE, |seen| same(seen, &frame, case));
        if count != 1 {
            problems.push(format!("{}: reaches {name} {count} times, not once", case.title));
        }
    }
    stage.settle();
    for name in observers() {
        let more = stage.sightings(name, Duration::ZERO, |seen| same(seen, &frame, case));
        if more > 0 {
            problems.push(format!("{}: reaches {name} {more} times that it must not", case.title));
        }
    }
    if !reasons.is_empty() && stage.drops(case.sender(), &reasons) == before {
        problems.push(format!("{}: {:?} is not counted", case.title, case.expected.verdicts));
    }
    problems.extend(answer_missing(stage, case));
    problems
}

/// What the sender must get when it is answered for another.
fn answer_missing(stage: &mut Stage, case: &Case) -> Option<String> {
    if case.expected.verdicts != ["answer"] {
        return None;
    }
    let reply = Reply::to(&case.frame, case.world.snapshot().port.mac).expect("a question");
    let reply = reply.arp().map_or_else(|| reply.advertisement().to_vec(), |arp| arp.to_vec());
    let sender = case.from.as_deref().unwrap_or("ext");
    let count = stage.sightings(sender, PATIENCE, |seen| seen.bytes == reply);
    (count != 1).then(|| format!("{}: {count} answers", case.title))
}

fn observers() -> impl Iterator<Item = &'static str> {
    SLAVES[..PLACES].iter().copied().chain(["ext", "host"])
}

fn reasons(case: &Case) -> Vec<Reason> {
    let names: Vec<_> = case.expected.verdicts.iter().filter_map(|verdict| verdict.strip_prefix("drop ")).collect();
    Reason::ALL.iter().copied().filter(|reason| names.contains(&reason.name())).collect()
}

/// A tag that the kernel is to keep apart is in the bytes when it is sent.
fn on_the_wire(frame: &Bytes) -> Vec<u8> {
    frame.vlan.map_or_else(|| frame.data.clone(), |id| with_tag(&frame.data, id))
}

/// Whether this is the frame: to the byte where frames are switched, but for what a router changes where they are routed.
fn same(seen: &Frame, sent: &[u8], case: &Case) -> bool {
    let verdict = &case.expected.verdicts[0];
    let routed = ["route", "on-link", "host"].iter().any(|way| verdict.starts_with(way));
    let (seen, sent) = (untagged(&seen.bytes), untagged(sent));
    if routed { as_routed(&seen) == as_routed(&sent) } else { seen == sent }
}

fn untagged(bytes: &[u8]) -> Vec<u8> {
    match bytes.get(12..14) {
        Some([0x81, 0x00]) => [&bytes[..12], bytes.get(16..).unwrap_or_default()].concat(),
        _ => bytes.to_vec(),
    }
}

/// A packet without its MAC addresses, its hops, their checksum, and padding.
fn as_routed(frame: &[u8]) -> Vec<u8> {
    let mut packet = frame.get(12..).unwrap_or_default().to_vec();
    let field = |packet: &[u8], at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
    match packet.get(..2) {
        Some([0x08, 0x00]) if packet.len() >= 22 => {
            packet.truncate((field(&packet, 4) + 2).max(22));
            packet[10] = 0;
            packet[12..14].fill(0);
        }
        Some([0x86, 0xdd]) if packet.len() >= 42 => {
            packet.truncate(field(&packet, 6) + 42);
            packet[9] = 0;
        }
        _ => (),
    }
    packet
}

/// Nothing is left out without a reason.
#[test]
fn what_cannot_be_shown_says_why() {
    let silent = |case: &Case| !shows(case) && case.not_in_netns.is_none() && case.world.port.is_empty();
    let unexplained: Vec<_> = corpus().into_iter().filter(silent).map(|case| case.title).collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
}
