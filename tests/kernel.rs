//! Do the programs in the kernel decide as the core does, count what they did, and copy to the right slaves?
//!
//! `BPF_PROG_TEST_RUN` cannot set a frame's packet type or tag, and refuses frames without a whole header: such cases are
//! skipped here, and counted. Copies are really sent, out of veth pairs in a netns of their own.

#[path = "kernel/agreement.rs"]
mod agreement;
#[path = "kernel/devices.rs"]
mod devices;
#[path = "kernel/dhcp.rs"]
mod dhcp;
#[path = "kernel/explained.rs"]
mod explained;
#[path = "kernel/programs.rs"]
mod programs;

use devices::{Devices, MASTER, sent};
use ipvl_control::read::snapshot::Snapshot;
use ipvl_core::maps::DropKey;
use ipvl_core::wire::ETH_HLEN;
use ipvl_core::{
    Action, FloodThen, QUOTE_4, QUOTE_6, Reason, Reply, Router, Slot, Verdict, WIRE, digest, egress, icmp_error_v4,
    icmp_error_v6, ingress,
};
use ipvl_testbed::packet::dhcp_request;
use ipvl_testbed::{MASTER_MAC, require_kernel, require_root};
use ipvl_tests::frame::TRANSACTION;
use ipvl_tests::names::SLAVES;
use ipvl_tests::outcome::{audience, words};
use ipvl_tests::scenario::{Case, corpus};
use programs::{Counted, Outcome, Programs};
use std::collections::BTreeMap;

#[test]
fn every_scenario_ends_as_expected() {
    require_root!();
    let devices = Devices::new();
    devices.within(|| {
        let mut judge = Judge { programs: Programs::load(), devices: &devices, skipped: BTreeMap::new() };
        let cases = corpus();
        let failures: Vec<_> = cases.iter().flat_map(|case| judge.judge(case)).collect();
        println!("{} cases, of which not tried: {:?}", cases.len(), judge.skipped);
        assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
    });
}

/// The verifier takes 1.5 us for each instruction, and the first slave of a master waits for it. The kernel's limit is a
/// million.
#[test]
fn the_verifier_is_soon_done() {
    require_root!();
    require_kernel!("5.16", "a program's count of verified instructions");
    let verified = Programs::load().verified().expect("a count");
    assert!(verified.iter().all(|&count| count < 95_000), "{verified:?} instructions");
    let of_policies = Programs::verified_of_policies().expect("a count");
    println!("{verified:?} instructions, of policies {of_policies:?}");
    assert!(of_policies.iter().all(|&count| count < 95_000), "{of_policies:?} instructions of policies");
}

struct Judge<'a> {
    programs: Programs,
    devices: &'a Devices,
    skipped: BTreeMap<&'static str, usize>,
}

impl Judge<'_> {
    /// What is wrong, if anything.
    fn judge(&mut self, case: &Case) -> Vec<String> {
        if let Some(why) = cannot_be_tried(case) {
            *self.skipped.entry(why).or_default() += 1;
            return Vec::new();
        }
        let devices = self.devices;
        let mut snapshot = case.world.snapshot_at(devices.master(), |slot| devices.host_end(slot));
        self.programs.fill(&snapshot);
        self.send_before(case);
        snapshot = case.snapshot(snapshot);
        let before = copies_sent();
        let (outcome, native) = match case.sender() {
            Some(slot) => {
                (self.programs.egress(&case.frame, devices.host_end(slot)), egress(&case.frame, &snapshot, Some(slot)))
            }
            None => (self.programs.ingress(&case.frame, devices.master()), ingress(&case.frame, &snapshot)),
        };
        let Some(outcome) = outcome else {
            return self.refused(case);
        };
        let tried = Tried { case, snapshot: &snapshot, native, outcome, copies: difference(before, copies_sent()) };
        tried.problems(&self.programs)
    }

    /// The kernel tries no frame that ends within its Ethernet or its IP header.
    fn refused(&mut self, case: &Case) -> Vec<String> {
        let header = match case.frame.data.get(12..14) {
            Some([0x08, 0x00]) => 20,
            Some([0x86, 0xdd]) => 40,
            _ => 0,
        };
        if case.frame.data.len() >= 14 + header {
            return vec![format!("{}: the kernel refuses to try it", case.title)];
        }
        *self.skipped.entry("a frame without a whole header").or_default() += 1;
        Vec::new()
    }

    /// Runs what slaves had sent before through their own programs.
    fn send_before(&mut self, case: &Case) {
        for name in &case.world.asked {
            let request = dhcp_request(MASTER_MAC, TRANSACTION, &[53, 1, 1], 300);
            self.programs.egress(&request.into(), self.devices.host_end(case.world.member(name).slot()));
        }
        self.programs.forget_counters();
        let Some(name) = &case.after else { return };
        let slot = case.world.member(name).slot();
        self.programs.egress(&case.frame, self.devices.host_end(slot));
        self.programs.forget_counters();
    }
}

fn cannot_be_tried(case: &Case) -> Option<&'static str> {
    if case.frame.vlan.is_some() {
        Some("a tag in metadata")
    } else if case.frame.loopback {
        Some("a packet type")
    } else {
        None
    }
}

/// A case and what came of it.
struct Tried<'a> {
    case: &'a Case,
    snapshot: &'a Snapshot,
    native: Verdict,
    outcome: Outcome,
    copies: BTreeMap<String, u64>,
}

impl Tried<'_> {
    fn problems(&self, programs: &Programs) -> Vec<String> {
        let title = &self.case.title;
        let mut problems = Vec::new();
        let mut expect = |good: bool, what: String| {
            if !good {
                problems.push(format!("{title}: {what}"));
            }
        };
        let verdict = words(self.outcome.verdict, &self.case.frame, self.snapshot);
        expect(
            self.case.expected.admits(self.outcome.verdict, &self.case.frame, self.snapshot),
            format!("{verdict} is not expected"),
        );
        expect(self.outcome.verdict == self.native, format!("{verdict}, but natively {:?}", self.native));
        let (counted, should) = (programs.counted(), self.counted());
        // What the host's table refuses after the verdict is counted as that.
        let refused = self.case.expected.verdicts == ["route"] && self.case.expected.reaches.is_empty();
        expect(refused || counted == should, format!("counted {counted:?}, not {should:?}"));
        expect(self.copies == self.copies_due(), format!("copies {:?}, not {:?}", self.copies, self.copies_due()));
        expect(self.outcome.data == self.data(), "the frame was changed".to_owned());
        expect(self.remembered(programs), "the sender was not remembered".to_owned());
        problems
    }

    /// What must be counted: one packet sent, unless dropped; one received, if delivered past the host end.
    fn counted(&self) -> Counted {
        let mut counted = Counted::default();
        let length = self.case.frame.data.len() as u64;
        let source = self.case.sender().unwrap_or(WIRE);
        if let Action::Drop(reason) = self.native.action() {
            counted.drops.insert(DropKey { slot: source, reason: reason as u32 }, 1);
            return counted;
        }
        if source != WIRE {
            counted.counters.entry(source).or_default()[..2].copy_from_slice(&[1, length]);
        }
        if let Action::Deliver(slot) = self.native.action()
            && !self.snapshot.slaves[&slot].local()
        {
            counted.counters.entry(slot).or_default()[2..].copy_from_slice(&[1, length]);
        }
        counted
    }

    /// The devices that must have got a copy.
    fn copies_due(&self) -> BTreeMap<String, u64> {
        let Action::Flood(flood) = self.native.action() else { return BTreeMap::new() };
        let slaves =
            audience(flood, &self.case.frame, self.snapshot).into_iter().map(|Slot(slot)| SLAVES[slot as usize]);
        let wire = (flood.then == FloodThen::WireAndHost).then_some(MASTER);
        slaves.chain(wire).map(|name| (name.to_owned(), 1)).collect()
    }

    /// The frame as it must be afterwards: untouched, unless it became the answer to itself, or an error about itself.
    fn data(&self) -> Vec<u8> {
        let (frame, port) = (&self.case.frame, &self.snapshot.port);
        match self.native.action() {
            Action::Answer => {
                let reply = Reply::to(frame, port.mac).expect("a question");
                reply.arp().map_or_else(|| reply.advertisement().to_vec(), |arp| arp.to_vec())
            }
            Action::Drop(reason) if self.case.sender().is_some() => self.problem(reason),
            _ => frame.data.clone(),
        }
    }

    fn problem(&self, reason: Reason) -> Vec<u8> {
        let (frame, port, nobody) = (&self.case.frame, &self.snapshot.port, Router::default());
        let quoted = |head: &[u8], len: usize| [head, &frame.data[ETH_HLEN..ETH_HLEN + len]].concat();
        icmp_error_v4(frame, reason, port.mtu, port.mac, &nobody)
            .map(|head| quoted(&head, QUOTE_4))
            .or_else(|| icmp_error_v6(frame, reason, port.mtu, port.mac, &nobody).map(|head| quoted(&head, QUOTE_6)))
            .unwrap_or_else(|| frame.data.clone())
    }

    fn remembered(&self, programs: &Programs) -> bool {
        match (self.native.action(), self.case.sender()) {
            (Action::Flood(flood), Some(slot)) if flood.reaches_wire() => {
                programs.sender_of(digest(&self.case.frame)) == Some(slot)
            }
            _ => true,
        }
    }
}

fn copies_sent() -> BTreeMap<String, u64> {
    SLAVES.into_iter().chain([MASTER]).map(|name| (name.to_owned(), sent(name))).collect()
}

fn difference(before: BTreeMap<String, u64>, after: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let each = after.into_iter().map(|(name, count)| (name.clone(), count - before[&name]));
    each.filter(|(_, count)| *count > 0).collect()
}
