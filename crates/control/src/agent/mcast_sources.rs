//! From where does the agent learn that a slave may have joined or left a multicast group?

use super::join_counter::JoinCounter;
use crate::error::Result;
use crate::kernel::netlink::Events;
use ipvl_core::IfIndex;
use std::time::{Duration, Instant};

/// Set to `kernel` or `reports` to use that source alone.
const CHOICE: &str = "IPVL_GROUPS";
/// How long a join that no source reports may go unseen while there are few slaves.
const SWEEP: Duration = Duration::from_secs(2);
/// How many slaves are read again in one sweep.
const PER_SWEEP: usize = 256;

/// The sources of multicast events.
pub struct McastSources {
    /// The kernel's own events (Linux 6.14).
    pub kernel: Option<Events>,
    /// What counts joins at their very moment; none where the kernel does not report them, or does not allow that.
    pub joins: Option<JoinCounter>,
    /// Whether our programs report the IGMP and MLD reports that they see.
    pub reports: bool,
    /// Reading every slave now and then.
    sweep: Option<Sweep>,
}

/// When slaves are read again that no source reports.
#[derive(Clone, Copy)]
struct Sweep {
    due: Instant,
    /// The last host end that was read.
    last: IfIndex,
}

impl McastSources {
    /// Opens the sources that this kernel has.
    pub fn open() -> Result<Self> {
        let choice = std::env::var(CHOICE).ok();
        let kernel = if choice.as_deref() == Some("reports") { None } else { Events::open_groups()? };
        let reports = kernel.is_none() && choice.as_deref() != Some("kernel");
        let sweep = choice.is_none().then(|| Sweep::after(IfIndex::NONE));
        let joins = kernel.as_ref().and_then(|events| JoinCounter::attach(events).ok());
        Ok(Self { kernel, joins, reports, sweep })
    }

    /// The slaves to read again now, out of all `host_ends`, which are in order; none while no sweep is due.
    pub fn next_sweep(&mut self, host_ends: impl FnOnce() -> Vec<IfIndex>) -> Option<Vec<IfIndex>> {
        let last = self.sweep.filter(|sweep| sweep.due <= Instant::now())?.last;
        let host_ends = host_ends();
        let after: Vec<IfIndex> = host_ends.iter().copied().filter(|host_end| *host_end > last).collect();
        let mut next = if after.is_empty() { host_ends } else { after };
        next.truncate(PER_SWEEP);
        self.sweep = Some(Sweep::after(next.last().copied().unwrap_or(IfIndex::NONE)));
        Some(next)
    }
}

impl Sweep {
    fn after(last: IfIndex) -> Self {
        Self { due: Instant::now() + SWEEP, last }
    }
}
