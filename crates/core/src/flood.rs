//! Which slaves get a copy of a flooded frame, and may its source have that many copies made?

use crate::abi::{PortEntry, Slot, WIRE};
use crate::frame::Frame;
use crate::group::{Group, Members};
use crate::options::Flag;
use crate::slave::Slave;
use crate::tables::Tables;
use crate::verdict::{Flood, FloodThen, FloodTo};
use crate::wire::Ethernet;

/// One source may have 32,768 copies made each second, which takes about a tenth of a CPU.
const NANOS_PER_COPY: u64 = 1_000_000_000 / 32_768;
/// The wire stands for many sources: four times as many.
const WIRE_NANOS_PER_COPY: u64 = NANOS_PER_COPY / 4;
/// A burst may have the copies of two seconds: sixteen broadcasts to the largest possible number of slaves.
const BURST_NANOS: u64 = 2_000_000_000;
/// Mask and value of a comparison that fails for every slave.
const NO_SLAVE: (u32, u32) = (0, 1);

impl Flood {
    /// The slots to look at: the first, and one past the last.
    #[inline(always)]
    pub fn slots(&self, port: &PortEntry) -> (u32, u32) {
        match self.to {
            FloodTo::Nobody => (0, 0),
            FloodTo::One(Slot(slot)) => (slot, slot + 1),
            FloodTo::All | FloodTo::Bridged | FloodTo::Reflected(_) => (0, port.slots),
        }
    }

    /// Which slaves get a copy of `frame`.
    #[inline(always)]
    pub fn filter<'a>(&self, frame: &impl Frame, tables: &'a impl Tables) -> FloodFilter<'a> {
        let (mask, want) = match self.to {
            FloodTo::Nobody => NO_SLAVE,
            FloodTo::One(_) | FloodTo::All => Slave::L2_AND_UP,
            FloodTo::Bridged => Slave::L2_AND_UP_BRIDGE,
            FloodTo::Reflected(sender) => reflected(sender),
        };
        let group = self.group(frame);
        let everybody = group.is_none_or(|group| !group.is_of_reports() && tables.is_joining());
        let exempt = if everybody { Slave::UP } else { Slave::ALL_GROUPS };
        let members = group.and_then(|group| tables.members(group));
        FloodFilter { mask, want, from: self.from.0, exempt, members }
    }

    /// The group that slaves must have joined to get a copy; `None` if there is none, or if the copy is for one slave alone.
    #[inline(always)]
    pub fn group(&self, frame: &impl Frame) -> Option<Group> {
        if matches!(self.to, FloodTo::One(_)) { None } else { Group::of(Ethernet::parse(frame)?.dst) }
    }

    /// Whether the frame itself goes out of the master.
    #[inline(always)]
    pub fn reaches_wire(&self) -> bool {
        matches!(self.then, FloodThen::Wire | FloodThen::WireAndHost)
    }
}

/// Mask and value for [`FloodTo::Reflected`].
#[inline(always)]
fn reflected(sender: Flag) -> (u32, u32) {
    match sender {
        Flag::Bridge => Slave::L2_AND_UP_VEPA,
        Flag::Vepa => Slave::L2_AND_UP_NOT_PRIVATE,
        Flag::Private => NO_SLAVE,
    }
}

/// [`FloodTo`] as a comparison of bits, so that thousands of slaves are filtered with one branch each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloodFilter<'a> {
    /// The bits of a slave that are compared.
    pub mask: u32,
    /// The value that they must have.
    pub want: u32,
    /// The slot that gets no copy: the sender's.
    pub from: u32,
    /// A slave with one of these properties gets a copy without being a member.
    pub exempt: u32,
    /// The group's members.
    pub members: Option<&'a Members>,
}

impl FloodFilter<'_> {
    /// Whether the slave in `slot` gets a copy. A vacant slot is not up.
    #[inline(always)]
    pub fn admits(&self, slot: Slot, slave: Slave) -> bool {
        let matches = slave.matches(self.mask, self.want) && slot.0 != self.from;
        matches && (slave.has(self.exempt) || self.members.is_some_and(|members| members.has(slot)))
    }
}

/// A source's token bucket in one word: the time in nanoseconds of `CLOCK_MONOTONIC` when it will be full again (the generic
/// cell rate algorithm, ITU-T I.371). Zero is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket(pub u64);

impl TokenBucket {
    /// The bucket after `copies` for `source` at the time `now`; `None` if it has not enough tokens.
    #[inline(always)]
    pub fn take(self, source: Slot, copies: u32, now: u64) -> Option<Self> {
        let nanos = if source == WIRE { WIRE_NANOS_PER_COPY } else { NANOS_PER_COPY };
        let after = self.0.max(now) + nanos * u64::from(copies);
        (after - now <= BURST_NANOS).then_some(Self(after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::IfIndex;
    use crate::addr::{Addr, Mac};
    use crate::options::{Guard, HostAccess, Mode, Options};
    use crate::owner::Owner;
    use crate::slave::State;
    use crate::tables::Asker;
    use crate::wire::ETH_HLEN;

    const GROUP: [u8; 6] = [0x01, 0x00, 0x5e, 0x01, 0x02, 0x03];

    /// Tables in which one group has members; whether slaves may have joined more.
    struct Joined(Members, bool);

    impl Tables for Joined {
        fn port(&self) -> PortEntry {
            PortEntry::default()
        }
        fn port_ref(&self) -> Option<&PortEntry> {
            None
        }
        fn slave(&self, _: Slot) -> Slave {
            Slave::VACANT
        }
        fn owner(&self, _: Addr) -> Owner {
            Owner::Nobody
        }
        fn members(&self, group: Group) -> Option<&Members> {
            (group == Group::from(Mac(GROUP))).then_some(&self.0)
        }
        fn is_joining(&self) -> bool {
            self.1
        }
        fn sender_of(&self, _: u64) -> Option<Slot> {
            None
        }
        fn asker_of(&self, _: u32) -> Option<Asker> {
            None
        }
    }

    fn slave(mode: Mode, flag: Flag, up: bool) -> Slave {
        let options = Options { mode, flag, guard: Guard::Off, host: HostAccess::On, ..Options::DEFAULT };
        Slave::new(IfIndex(9), options, State { up, local: true, ..State::default() })
    }

    fn to(mac: [u8; 6]) -> [u8; ETH_HLEN] {
        let mut frame = [0; ETH_HLEN];
        Ethernet { dst: Mac(mac), src: Mac::default(), ethertype: 0 }.write(&mut frame);
        frame
    }

    /// Whether a frame to `mac` reaches the slave in slot 1, while slot 2 has joined [`GROUP`].
    fn reaches_at(mac: [u8; 6], to_whom: FloodTo, slave: Slave) -> bool {
        let mut tables = Joined(Members::NOBODY, false);
        tables.0.set(Slot(2), true);
        let flood = Flood { from: Slot(7), to: to_whom, then: FloodThen::Nowhere };
        flood.filter(&&to(mac)[..], &tables).admits(Slot(1), slave)
    }

    fn reaches(to: FloodTo, slave: Slave) -> bool {
        reaches_at([0xff; 6], to, slave)
    }

    #[test]
    fn an_audience_is_who_may_hear() {
        for flag in [Flag::Bridge, Flag::Vepa, Flag::Private] {
            let up = slave(Mode::L2, flag, true);
            assert!(reaches(FloodTo::All, up) && reaches(FloodTo::One(Slot(1)), up));
            assert!(!reaches(FloodTo::Nobody, up));
            assert!(!reaches(FloodTo::All, slave(Mode::L2, flag, false)));
            assert!(!reaches(FloodTo::All, slave(Mode::L3, flag, true)));
            assert_eq!(reaches(FloodTo::Bridged, up), flag == Flag::Bridge);
            for sender in [Flag::Bridge, Flag::Vepa, Flag::Private] {
                assert_eq!(reaches(FloodTo::Reflected(sender), up), sender.max(flag) == Flag::Vepa);
            }
        }
    }

    #[test]
    fn a_group_is_for_who_has_joined_it() {
        let joined = slave(Mode::L2, Flag::Bridge, true);
        let flood = Flood { from: WIRE, to: FloodTo::All, then: FloodThen::Host };
        let mut tables = Joined(Members::NOBODY, false);
        tables.0.set(Slot(1), true);
        let to_group = to(GROUP);
        let filter = flood.filter(&&to_group[..], &tables);
        assert!(filter.admits(Slot(1), joined) && !filter.admits(Slot(2), joined));
        let elsewhere = to([0x33, 0x33, 0, 1, 0, 3]);
        assert!(!flood.filter(&&elsewhere[..], &tables).admits(Slot(1), joined));
    }

    #[test]
    fn while_joins_are_not_known_all_may_have_joined() {
        let (up, down) = (slave(Mode::L2, Flag::Bridge, true), slave(Mode::L2, Flag::Bridge, false));
        let flood = Flood { from: WIRE, to: FloodTo::All, then: FloodThen::Host };
        let (to_group, tables) = (to(GROUP), Joined(Members::NOBODY, true));
        let filter = flood.filter(&&to_group[..], &tables);
        assert!(filter.admits(Slot(1), up) && !filter.admits(Slot(1), down));
    }

    #[test]
    fn a_join_does_not_bring_its_own_report_to_all() {
        let flood = Flood { from: WIRE, to: FloodTo::All, then: FloodThen::Host };
        let (reports, mut tables) = (to([0x33, 0x33, 0, 0, 0, 0x16]), Joined(Members::NOBODY, true));
        let up = slave(Mode::L2, Flag::Bridge, true);
        assert!(!flood.filter(&&reports[..], &tables).admits(Slot(1), up));
        tables.1 = false;
        assert!(!flood.filter(&&reports[..], &tables).admits(Slot(1), up));
        let router = up.with_state(State { all_groups: true, ..up.state() });
        assert!(flood.filter(&&reports[..], &tables).admits(Slot(1), router));
    }

    #[test]
    fn what_all_stations_hear_needs_no_joining() {
        let one = slave(Mode::L2, Flag::Bridge, true);
        for mac in [[0xff; 6], [1, 0, 0x5e, 0, 0, 0xfb], [0x33, 0x33, 0, 0, 0, 1]] {
            assert!(reaches_at(mac, FloodTo::All, one), "{mac:02x?}");
        }
        for mac in [GROUP, [1, 0, 0x5e, 1, 0, 1], [0x33, 0x33, 0, 0, 0, 0xfb], [1, 0x80, 0xc2, 0, 0, 0xe]] {
            assert!(!reaches_at(mac, FloodTo::All, one), "{mac:02x?}");
        }
    }

    #[test]
    fn who_gets_all_groups_needs_no_joining_either() {
        let one = slave(Mode::L2, Flag::Bridge, true);
        let greedy = one.with_state(State { all_groups: true, ..one.state() });
        assert!(reaches_at(GROUP, FloodTo::All, greedy) && !reaches_at(GROUP, FloodTo::Nobody, greedy));
        assert!(reaches_at(GROUP, FloodTo::One(Slot(1)), slave(Mode::L2, Flag::Bridge, true)));
    }

    #[test]
    fn a_sender_hears_nothing_of_itself() {
        let flood = Flood { from: Slot(1), to: FloodTo::All, then: FloodThen::Nowhere };
        let tables = Joined(Members::NOBODY, false);
        assert!(!flood.filter(&&to([0xff; 6])[..], &tables).admits(Slot(1), slave(Mode::L2, Flag::Bridge, true)));
    }

    #[test]
    fn a_source_has_two_seconds_at_once_and_its_rate_after_that() {
        let now = 5_000_000_000;
        let mut bucket = TokenBucket(0);
        let mut sent = 0;
        while let Some(next) = bucket.take(Slot(1), 4096, now) {
            bucket = next;
            sent += 1;
        }
        assert_eq!(sent, 16);
        assert!(bucket.take(Slot(1), 4096, now + 120_000_000).is_none());
        assert!(bucket.take(Slot(1), 4096, now + 130_000_000).is_some());
    }
}
