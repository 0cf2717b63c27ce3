//! Which drop counters grow right now?

use super::finding::finding;
use crate::error::Result;
use crate::model::{Finding, Severity, Statistics};
use crate::read::explain::remedy;
use crate::read::view;
use ipvl_core::{IfIndex, Reason};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

/// The time between the two readings.
const MOMENT: Duration = Duration::from_millis(200);

/// A finding for each counter that grew, of the slaves with these host ends and of their masters.
pub fn growing(links: &[IfIndex]) -> Result<Vec<Finding>> {
    let before = counted(&view::statistics()?);
    thread::sleep(MOMENT);
    let after = view::statistics()?;
    let mut findings = Vec::new();
    for line in after.iter().filter(|line| links.contains(&line.ifindex)) {
        for (reason, count) in &line.drops {
            let grown = count.saturating_sub(before.get(&(line.ifindex, *reason)).copied().unwrap_or_default());
            if grown > 0 {
                findings.push(told(line, *reason, grown));
            }
        }
    }
    Ok(findings)
}

fn counted(all: &[Statistics]) -> BTreeMap<(IfIndex, Reason), u64> {
    let each =
        |line: &Statistics| line.drops.iter().map(|(reason, n)| ((line.ifindex, *reason), *n)).collect::<Vec<_>>();
    all.iter().flat_map(each).collect()
}

fn told(line: &Statistics, reason: Reason, grown: u64) -> Finding {
    let packets = if grown == 1 { "packet was" } else { "packets were" };
    let text = format!("{grown} {packets} dropped in {} ms as {reason}:{}", MOMENT.as_millis(), reason.meaning());
    finding(severity(reason), &line.name, &text, remedy(reason))
}

/// A drop that flags, guard or mode ask for may be meant; the others are not.
fn severity(reason: Reason) -> Severity {
    match reason {
        Reason::NoSlave
        | Reason::MasterGone
        | Reason::SlaveDown
        | Reason::NotOwned
        | Reason::NotDeclared
        | Reason::SpoofedHost
        | Reason::SpoofedSlave
        | Reason::Undeclared
        | Reason::TooBig
        | Reason::CloneFailed
        | Reason::ActionFailed => Severity::Bad,
        _ => Severity::Limited,
    }
}
