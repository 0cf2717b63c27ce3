//! What do the kernel's programs and the control plane write to each other, and in which layout?
//!
//! One set of maps a port (a master). Every value is a plain array of words without padding, so that both sides
//! may treat it as bytes.

use crate::addr::{Addr, Mac};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Raised whenever a map's layout or meaning changes; programs and tools of different numbers do not talk.
pub const ABI_VERSION: u32 = 5;
/// How many slaves one master can have.
pub const MAX_SLAVES: u32 = 4096;
/// The slot that stands for the wire where a table wants a slave: a source of floods, a line of statistics.
pub const WIRE: Slot = Slot(MAX_SLAVES);
/// How many entries the map `SLOT_CACHE` has.
pub const SLOT_CACHE: u32 = 1 << 14;
/// How many bits [`crate::Words::cache_index`] has, and with it how many entries the map `ADDR_CACHE`.
pub const ADDR_CACHE_BITS: u32 = 16;
/// How many copies of a flooded frame are made before the frame queues up again behind them: few beside the kernel's
/// default `netdev_max_backlog` (1000), and few for the verifier, which walks them one by one.
pub const FLOOD_CHUNK: u32 = 64;

/// A slave's number on its master: the index of its entry in the map `SLAVES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Slot(pub u32);

/// The one entry of the map `PORT`: the master, and what all its slaves share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PortEntry {
    /// [`ABI_VERSION`] of whoever made the maps.
    pub abi: u32,
    /// The master's ifindex.
    pub master: u32,
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

/// What went through one slave: the per-CPU value of the map `STATS`.
///
/// `rx` counts only what `bpf_redirect_peer` delivered. Everything else reaches the slave through its host end, whose
/// own transmit counter has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Counters {
    /// Packets that the slave sent and that were not dropped.
    pub tx_packets: u64,
    /// Their bytes, Ethernet header included; a GSO packet counts as one.
    pub tx_bytes: u64,
    /// Packets handed to the slave past its host end.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
}

/// The key of the per-CPU map `DROPS`; its value is a `u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DropKey {
    /// Whose frame it was: the sender's slot, or [`WIRE`].
    pub slot: u32,
    /// [`crate::Reason`] as a number.
    pub reason: u32,
}

/// Who sent a broadcast a moment ago: the value of the map `SENT`, keyed by the frame's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Sent {
    /// When, in nanoseconds of `CLOCK_MONOTONIC`.
    pub at: u64,
    /// The sender's slot.
    pub slot: u32,
    /// Always zero.
    pub reserved: u32,
}
