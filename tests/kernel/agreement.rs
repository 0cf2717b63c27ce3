//! Do the programs decide as the core does on random frames?

use crate::devices::Devices;
use crate::programs::{Outcome, Programs};
use ipvl_control::read::snapshot::{Bytes, Snapshot};
use ipvl_core::{Action, Slot, Verdict, digest, egress, ingress};
use ipvl_testbed::require_root;
use ipvl_tests::outcome::words;
use ipvl_tests::random::{cases, plain_frame, source, world};
use ipvl_tests::world::World;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use std::cell::{Cell, RefCell};

const WORLDS: u32 = 150;
const FRAMES: usize = 40;

#[test]
fn the_programs_decide_as_the_core_does() {
    require_root!();
    let devices = Devices::new();
    devices.within(|| {
        let programs = RefCell::new(Programs::load());
        let tried = Cell::new(0);
        let inputs = (world(), vec((source(), plain_frame()), FRAMES));
        let result = TestRunner::new(cases(WORLDS)).run(&inputs, |(world, frames)| {
            tried.set(tried.get() + agree(&mut programs.borrow_mut(), &devices, &world, &frames)?);
            Ok(())
        });
        println!("{} frames tried", tried.get());
        result.unwrap_or_else(|error| panic!("{error}"));
    });
}

/// Each frame from its slave, if it has one, and then from the wire, as if a switch had sent it back. How many of them
/// the kernel was willing to try.
fn agree(
    programs: &mut Programs,
    devices: &Devices,
    world: &World,
    frames: &[(Option<Slot>, Bytes)],
) -> Result<usize, TestCaseError> {
    let mut snapshot = world.snapshot_at(devices.master(), |slot| devices.host_end(slot));
    programs.fill(&snapshot);
    let mut tried = 0;
    for (source, frame) in frames {
        if let Some(slot) = source {
            let native = from_slave(frame, &snapshot, *slot);
            tried += same(programs.egress(frame, devices.host_end(*slot)), native, frame, &snapshot)?;
            remember(&mut snapshot, frame, native);
        }
        let native = ingress(frame, &snapshot);
        tried += same(programs.ingress(frame, devices.master()), native, frame, &snapshot)?;
    }
    Ok(tried)
}

fn same(kernel: Option<Outcome>, native: Verdict, frame: &Bytes, snapshot: &Snapshot) -> Result<usize, TestCaseError> {
    let Some(kernel) = kernel else { return Ok(0) };
    let (there, here) = (words(kernel.verdict, frame, snapshot), words(native, frame, snapshot));
    prop_assert_eq!(kernel.verdict, native, "{} there, {} here, {:?}", there, here, frame);
    Ok(1)
}

/// A host end without a slave is in no table.
fn from_slave(frame: &Bytes, snapshot: &Snapshot, slot: Slot) -> Verdict {
    egress(frame, snapshot, snapshot.slaves.contains_key(&slot).then_some(slot))
}

/// As the programs do, so that a later copy of the frame is a reflection.
fn remember(snapshot: &mut Snapshot, frame: &Bytes, verdict: Verdict) {
    if let Action::Flood(flood) = verdict.action()
        && flood.reaches_wire()
    {
        snapshot.sent.insert(digest(frame), flood.from);
    }
}
