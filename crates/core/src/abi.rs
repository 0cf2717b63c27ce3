//! What do the kernel's programs and the control plane write to each other, and in which layout?
//!
//! One set of maps a port (a master). Every value is a plain array of words without padding, so that both sides
//! may treat it as bytes.

use crate::addr::{Addr, Mac};
use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How many slaves one master can have.
pub const MAX_SLAVES: u32 = 4096;
/// The slot that stands for the wire where a table wants a slave: a source of floods, a line of statistics.
pub const WIRE: Slot = Slot(MAX_SLAVES);
/// A slave's number on its master: the index of its entry in the map `SLAVES`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, IntoBytes, FromBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Slot(pub u32);

/// A network device's number in its netns; 0 stands for none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, IntoBytes, FromBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct IfIndex(pub u32);

impl IfIndex {
    /// No device.
    pub const NONE: Self = Self(0);
    /// The loopback device of any netns.
    pub const LOOPBACK: Self = Self(1);
}

impl fmt::Display for IfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far up a slave's own stack works (`IPVLAN_MODE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mode {
    /// The slave's stack does everything; frames are switched.
    L2 = 0,
    /// The slave's stack works up to L3; the master's stack routes.
    L3 = 1,
    /// As l3, but through the master's stack and its netfilter hooks.
    L3s = 2,
}

/// Whom a slave's siblings may be reached by (`IPVLAN_F_*`). Ordered: the greater is the stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Flag {
    /// Slaves of one master talk to each other directly.
    Bridge = 0,
    /// What slaves say to each other goes out to the switch, which may send it back (802.1Qbg).
    Vepa = 1,
    /// Slaves of one master do not talk to each other.
    Private = 2,
}

/// Which source addresses a slave may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Guard {
    /// Any but those of the host and of other slaves.
    Owned = 0,
    /// Only its own.
    Strict = 1,
    /// Any.
    Off = 2,
}

/// One slave, in one machine word so that a change is one write that no packet sees half of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct Slave {
    /// The ifindex of its host end; 0 where there is no slave.
    pub host_end: IfIndex,
    bits: u32,
}

/// The properties of a [`Slave`], unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlaveConfig {
    /// l2, l3 or l3s.
    pub mode: Mode,
    /// bridge, vepa or private.
    pub flag: Flag,
    /// Which source addresses it may use.
    pub guard: Guard,
    /// Whether host and slave reach each other. An l3s slave always has it, see [`Slave::host`].
    pub host: bool,
    /// Whether the slave is up, and its host end and the master with it: what is delivered to it arrives.
    pub up: bool,
    /// Whether the slave sits in the netns of its master, where `bpf_redirect_peer` does not reach it.
    pub local: bool,
    /// Whether it gets every multicast frame, whatever it has joined: it asks for that, or we do not know its groups (yet).
    pub all_groups: bool,
    /// Whether we answer ARP and neighbour discovery from the wire for it. Its own stack does so in l2.
    pub proxied: bool,
    /// Whether its host end has a queue that what is for the slave must pass, as whoever limits a slave's bandwidth wants.
    pub queued: bool,
    /// Whether an l3s slave and siblings that allow it meet directly, and not in the host's stack. Other modes always allow
    /// it.
    pub direct: bool,
}

impl SlaveConfig {
    /// Of a slave that is down, and of which nothing was said.
    pub const DEFAULT: Self = Self {
        mode: Mode::L3,
        flag: Flag::Bridge,
        guard: Guard::Owned,
        host: false,
        up: false,
        local: false,
        all_groups: false,
        proxied: false,
        queued: false,
        direct: false,
    };

    /// The same, with what nobody sets but what is found of its devices: whether it is up, where it is, and behind a queue.
    pub fn found_as(self, Self { up, local, queued, .. }: Self) -> Self {
        Self { up, local, queued, ..self }
    }
}

const MODE: u32 = 3;
const FLAG: u32 = 3 << 2;
const PRIVATE: u32 = (Flag::Private as u32) << 2;
const VEPA: u32 = (Flag::Vepa as u32) << 2;
const HOST: u32 = 1 << 6;
const UP: u32 = 1 << 7;
const LOCAL: u32 = 1 << 8;
const ALL_GROUPS: u32 = 1 << 9;
const PROXIED: u32 = 1 << 10;
const QUEUED: u32 = 1 << 11;
/// It follows from others: in l3s and not `DIRECT`, so that one look tells of both.
const HOOKED: u32 = 1 << 30;
const DIRECT: u32 = 1 << 31;

impl Slave {
    /// No slave at all.
    pub const VACANT: Self = Self { host_end: IfIndex::NONE, bits: 0 };

    /// Packs `config` for the slave behind `host_end`.
    pub fn new(host_end: IfIndex, config: SlaveConfig) -> Self {
        let SlaveConfig { mode, flag, guard, host, up, local, all_groups, proxied, queued, direct } = config;
        let word = mode as u32 | (flag as u32) << 2 | (guard as u32) << 4;
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        let state = bit(up, UP) | bit(local, LOCAL) | bit(all_groups, ALL_GROUPS) | bit(queued, QUEUED);
        let hooked = bit(mode == Mode::L3s && !direct, HOOKED);
        let options = bit(host, HOST) | bit(proxied, PROXIED) | bit(direct, DIRECT);
        Self { host_end, bits: word | options | state | hooked }
    }

    /// Whether there is no slave.
    #[inline(always)]
    pub fn is_vacant(self) -> bool {
        self.host_end == IfIndex::NONE
    }

    /// Everything about the slave but where it is.
    pub fn config(self) -> SlaveConfig {
        SlaveConfig {
            mode: self.mode(),
            flag: self.flag(),
            guard: self.guard(),
            host: self.bits & HOST != 0,
            up: self.up(),
            local: self.local(),
            all_groups: self.bits & ALL_GROUPS != 0,
            proxied: self.bits & PROXIED != 0,
            queued: self.bits & QUEUED != 0,
            direct: self.bits & DIRECT != 0,
        }
    }

    /// l2, l3 or l3s.
    #[inline(always)]
    pub fn mode(self) -> Mode {
        match self.bits & 3 {
            0 => Mode::L2,
            1 => Mode::L3,
            _ => Mode::L3s,
        }
    }

    /// bridge, vepa or private.
    #[inline(always)]
    pub fn flag(self) -> Flag {
        match self.bits >> 2 & 3 {
            0 => Flag::Bridge,
            1 => Flag::Vepa,
            _ => Flag::Private,
        }
    }

    /// Which source addresses the slave may use.
    #[inline(always)]
    pub fn guard(self) -> Guard {
        match self.bits >> 4 & 3 {
            0 => Guard::Owned,
            1 => Guard::Strict,
            _ => Guard::Off,
        }
    }

    /// Whether host and slave reach each other: the option, or l3s, whose packets pass the host's stack anyway.
    #[inline(always)]
    pub fn host(self) -> bool {
        self.bits & HOST != 0 || self.mode() == Mode::L3s
    }

    /// Whether what is delivered to the slave arrives, see [`SlaveConfig::up`].
    #[inline(always)]
    pub fn up(self) -> bool {
        self.bits & UP != 0
    }

    /// A mask and what it must leave of a slave: in l2, and up.
    pub(crate) const L2_AND_UP: (u32, u32) = (MODE | UP, UP);
    /// The same, with flag bridge.
    pub(crate) const L2_AND_UP_BRIDGE: (u32, u32) = (MODE | UP | FLAG, UP);
    /// The same, with flag vepa.
    pub(crate) const L2_AND_UP_VEPA: (u32, u32) = (MODE | UP | FLAG, UP | VEPA);
    /// The same, without flag private.
    pub(crate) const L2_AND_UP_NOT_PRIVATE: (u32, u32) = (MODE | UP | PRIVATE, UP);

    /// Whether what it sends to `sibling` goes there directly, and arrives: both have flag bridge, neither meets siblings in
    /// the host's stack, and the sibling is up.
    #[inline(always)]
    pub(crate) fn meets(self, sibling: Self) -> bool {
        self.matches(FLAG | HOOKED, 0) && sibling.matches(FLAG | HOOKED | UP, UP)
    }

    /// Whether it meets its siblings in the host's stack and its hooks: in l3s, unless it allows the direct way.
    #[inline(always)]
    pub fn meets_by_host(self) -> bool {
        self.bits & HOOKED != 0
    }

    /// Whether we answer from the wire for the slave: it is up, and its own stack does not.
    #[inline(always)]
    pub fn is_answered_for(self) -> bool {
        self.bits & (PROXIED | UP) == PROXIED | UP && self.mode() != Mode::L2
    }

    /// What exempts a slave from having to join: nothing but being up, or getting all multicast.
    pub(crate) const UP: u32 = UP;
    /// See [`SlaveConfig::all_groups`].
    pub(crate) const ALL_GROUPS: u32 = ALL_GROUPS;

    /// Whether one of these properties is the slave's.
    #[inline(always)]
    pub(crate) fn has(self, properties: u32) -> bool {
        self.bits & properties != 0
    }

    /// Whether `mask` leaves `want` of the slave's properties.
    #[inline(always)]
    pub(crate) fn matches(self, mask: u32, want: u32) -> bool {
        self.bits & mask == want
    }

    /// Whether the slave sits in the netns of its master.
    #[inline(always)]
    pub fn local(self) -> bool {
        self.bits & LOCAL != 0
    }

    /// Whether what is for the slave goes by way of its host end: `bpf_redirect_peer` does not reach it, or would go past
    /// the host end's queue.
    #[inline(always)]
    pub fn by_host_end(self) -> bool {
        self.bits & (LOCAL | QUEUED) != 0
    }
}

/// The one entry of the map `PORT`: the master, and what all its slaves share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PortEntry {
    /// [`ABI_VERSION`] of whoever made the maps.
    pub abi: u32,
    /// The master's ifindex.
    pub master: IfIndex,
    /// The master's MTU in bytes.
    pub mtu: u32,
    /// One more than the highest slot in use: where a flood ends.
    pub slots: u32,
    /// `PortEntry::IP_ONLY` and its neighbours.
    pub flags: u32,
    /// The next slot to try for a new slave, so that numbers are not reused at once.
    pub cursor: u32,
    /// The id of the program `slave_xmit` that belongs to these maps.
    pub slave_xmit: u32,
    /// The MAC address that the master and all its slaves carry; zero where frames have none.
    pub mac: Mac,
    /// Always zero.
    pub reserved: [u8; 2],
}

/// The one entry of the map `ROUTER`: from which addresses, the master's own, errors come to slaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Router {
    /// IPv4; zero if there is none.
    pub v4: [u8; 4],
    /// IPv6; zero if there is none.
    pub v6: Addr,
}

impl PortEntry {
    /// The master has no Ethernet header (tun, wireguard): frames start with the IP header.
    pub const IP_ONLY: u32 = 1 << 0;
    /// The map `PREFIXES` is not empty.
    pub const PREFIXES: u32 = 1 << 1;
    /// The master has left: nothing can go out.
    pub const MASTER_GONE: u32 = 1 << 2;
    /// We switched IPv4 forwarding on at the master and must switch it off again.
    pub const FORWARDING_4: u32 = 1 << 3;
    /// The same for IPv6 (`force_forwarding`).
    pub const FORWARDING_6: u32 = 1 << 4;

    /// Whether `flag` is set.
    #[inline(always)]
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slave_survives_packing() {
        for (mode, flag, guard) in [
            (Mode::L2, Flag::Bridge, Guard::Owned),
            (Mode::L3, Flag::Vepa, Guard::Strict),
            (Mode::L3s, Flag::Private, Guard::Off),
        ] {
            let given = SlaveConfig { mode, flag, guard, host: true, local: true, ..SlaveConfig::DEFAULT };
            let config = SlaveConfig { all_groups: true, queued: true, direct: true, ..given };
            assert_eq!(Slave::new(IfIndex(7), config).config(), config);
        }
    }

    #[test]
    fn only_an_l3s_slave_that_does_not_allow_the_direct_way_meets_siblings_by_the_host() {
        for mode in [Mode::L2, Mode::L3, Mode::L3s] {
            for direct in [false, true] {
                let config = SlaveConfig { mode, direct, host: true, up: true, ..SlaveConfig::DEFAULT };
                let slave = Slave::new(IfIndex(7), config);
                let by_host = mode == Mode::L3s && !direct;
                assert_eq!((slave.meets_by_host(), slave.meets(slave)), (by_host, !by_host), "{config:?}");
                assert_eq!(slave.config().direct, direct, "kept in every mode");
            }
        }
    }

    #[test]
    fn a_slave_is_one_word_and_the_stricter_flag_is_the_greater() {
        assert_eq!(size_of::<Slave>(), 8);
        assert!(Flag::Private > Flag::Vepa && Flag::Vepa > Flag::Bridge);
    }
}
