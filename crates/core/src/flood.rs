//! Who gets a copy of a flooded frame, and may its sender have that many?

use crate::abi::{Flag, Port, Slave, Slot, WIRE};
use crate::verdict::{Audience, Flood, Then};

/// One copy's share of a source's time: 65,536 copies a second.
const NANOS_PER_COPY: u64 = 1_000_000_000 / 65_536;
/// The wire stands for many sources.
const WIRE_NANOS_PER_COPY: u64 = NANOS_PER_COPY / 4;
/// A second's worth may come at once.
const BURST_NANOS: u64 = 1_000_000_000;

impl Flood {
    /// The slots to look at, first and one past the last.
    #[inline(always)]
    pub fn slots(&self, port: &Port) -> (u32, u32) {
        match self.to {
            Audience::Nobody => (0, 0),
            Audience::One(Slot(slot)) => (slot, slot + 1),
            Audience::All | Audience::Bridged | Audience::Reflected(_) => (0, port.slots),
        }
    }

    /// Which slaves get a copy.
    #[inline(always)]
    pub fn filter(&self) -> Filter {
        let (mask, want) = match self.to {
            Audience::Nobody => (0, 1),
            Audience::One(_) | Audience::All => Slave::L2_AND_UP,
            Audience::Bridged => Slave::L2_AND_UP_BRIDGE,
            Audience::Reflected(sender) => reflected(sender),
        };
        Filter { mask, want, from: self.from.0 }
    }

    /// Whether the frame itself goes out of the master.
    #[inline(always)]
    pub fn reaches_wire(&self) -> bool {
        matches!(self.then, Then::Wire | Then::WireAndHost)
    }
}

/// Those that can be reached only by way of the switch, given the sender's flag: vepa on either side, private on
/// neither.
#[inline(always)]
fn reflected(sender: Flag) -> (u32, u32) {
    match sender {
        Flag::Bridge => Slave::L2_AND_UP_VEPA,
        Flag::Vepa => Slave::L2_AND_UP_NOT_PRIVATE,
        Flag::Private => (0, 1),
    }
}

/// An audience as a comparison, so that looking through thousands of slaves takes one branch each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Which bits of a slave count.
    pub mask: u32,
    /// What they must be.
    pub want: u32,
    /// The slot that gets no copy: the sender's.
    pub from: u32,
}

impl Filter {
    /// Whether the slave in `slot` gets a copy.
    #[inline(always)]
    pub fn admits(&self, slot: Slot, slave: Slave) -> bool {
        !slave.is_vacant() && slave.matches(self.mask, self.want) && slot.0 != self.from
    }
}

/// When a source's allowance is used up, in nanoseconds of `CLOCK_MONOTONIC`: a token bucket in one word (the generic
/// cell rate algorithm, ITU-T I.371). Zero is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket(pub u64);

impl Bucket {
    /// The bucket after `source` has made `copies` at the time `now`; `None` if that is more than its share.
    #[inline(always)]
    pub fn take(self, source: Slot, copies: u32, now: u64) -> Option<Self> {
        let price = if source == WIRE { WIRE_NANOS_PER_COPY } else { NANOS_PER_COPY };
        let after = self.0.max(now) + price * u64::from(copies);
        (after - now <= BURST_NANOS).then_some(Self(after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{Guard, Mode, SlaveConfig};

    fn slave(mode: Mode, flag: Flag, up: bool) -> Slave {
        Slave::new(9, SlaveConfig { mode, flag, guard: Guard::Off, host: true, up, local: true })
    }

    #[test]
    fn an_audience_is_who_may_hear() {
        let reaches = |to, slave| Flood { from: Slot(7), to, then: Then::Nowhere }.filter().admits(Slot(1), slave);
        for flag in [Flag::Bridge, Flag::Vepa, Flag::Private] {
            let up = slave(Mode::L2, flag, true);
            assert!(reaches(Audience::All, up) && reaches(Audience::One(Slot(1)), up));
            assert!(!reaches(Audience::Nobody, up));
            assert!(!reaches(Audience::All, slave(Mode::L2, flag, false)));
            assert!(!reaches(Audience::All, slave(Mode::L3, flag, true)));
            assert_eq!(reaches(Audience::Bridged, up), flag == Flag::Bridge);
            for sender in [Flag::Bridge, Flag::Vepa, Flag::Private] {
                assert_eq!(reaches(Audience::Reflected(sender), up), sender.max(flag) == Flag::Vepa);
            }
        }
    }

    #[test]
    fn a_sender_hears_nothing_of_itself() {
        let flood = Flood { from: Slot(1), to: Audience::All, then: Then::Nowhere };
        assert!(!flood.filter().admits(Slot(1), slave(Mode::L2, Flag::Bridge, true)));
    }

    #[test]
    fn a_source_has_a_second_at_once_and_its_rate_after_that() {
        let now = 5_000_000_000;
        let mut bucket = Bucket(0);
        let mut sent = 0;
        while let Some(next) = bucket.take(Slot(1), 4096, now) {
            bucket = next;
            sent += 1;
        }
        assert_eq!(sent, 16);
        assert!(bucket.take(Slot(1), 4096, now + 60_000_000).is_none());
        assert!(bucket.take(Slot(1), 4096, now + 70_000_000).is_some());
    }
}
