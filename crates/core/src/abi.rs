//! What is a port, and in which layout do the eBPF programs and the control plane share it?
//!
//! Each port (a master with its slaves) has maps of its own. A value is an array of words without padding, so that both
//! sides may treat it as bytes.

use crate::addr::{Addr, Mac};
use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How many slaves one master can have.
pub const MAX_SLAVES: u32 = 4096;
/// The slot that stands for the wire where a slave's slot is expected: as the source of a flood, or in statistics.
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

/// The only entry of the map `PORT`: the master, and what all its slaves share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PortEntry {
    /// The [`ABI_VERSION`](crate::maps::ABI_VERSION) of the tool that created the maps.
    pub abi: u32,
    /// The master's ifindex.
    pub master: IfIndex,
    /// The master's MTU in bytes.
    pub mtu: u32,
    /// One more than the highest slot in use. A flood ends there.
    pub slots: u32,
    /// [`PortEntry::IP_ONLY`] and the other constants below, combined.
    pub flags: u32,
    /// The slot to try first for the next new slave. It advances, so that a slot is not reused at once.
    pub cursor: u32,
    /// The id of the program `slave_xmit` that belongs to these maps.
    pub slave_xmit: u32,
    /// The MAC address of the master and of all its slaves; zero where frames have none.
    pub mac: Mac,
    /// Always zero.
    pub reserved: [u8; 2],
}

/// The only entry of the map `ROUTER`: the master's own addresses, which are the source of ICMP errors to slaves.
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
    /// The master has left the netns: nothing can be sent out of it.
    pub const MASTER_GONE: u32 = 1 << 2;
    /// We have enabled IPv4 forwarding at the master and must disable it in the end.
    pub const FORWARDING_4: u32 = 1 << 3;
    /// The same for IPv6 (`force_forwarding`).
    pub const FORWARDING_6: u32 = 1 << 4;
    /// Somebody watches packets or flows: none is decided by the fast path, which tells nobody. Programs that find all
    /// watchers gone clear it, and write no other bit of this byte.
    pub const WATCHED: u32 = 1 << 16;
    /// A slave has sent a DHCP request. The programs set it, and write no other bit of this byte: so they need no lock. If a
    /// writer of the entry overwrites it with an older value, the next request sets it again.
    pub const DHCP: u32 = 1 << 24;

    /// Whether `flag` is set.
    #[inline(always)]
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}
