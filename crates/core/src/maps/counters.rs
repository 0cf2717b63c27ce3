//! What do the eBPF programs count, and what do they note about frames that they sent?

use crate::abi::Slot;
use crate::verdict::Reason;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One slave's traffic: the per-CPU value of the map `STATS`.
///
/// `rx` counts only what `bpf_redirect_peer` delivered. Everything else reaches the slave through its host end, and is in
/// the host end's own transmit counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Counters {
    /// Packets that the slave sent and that were not dropped.
    pub tx_packets: u64,
    /// Their bytes, Ethernet header included; a GSO packet counts as one.
    pub tx_bytes: u64,
    /// Packets delivered to the slave past its host end.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
}

/// How many reasons for a drop can have a counter for each slot, in the map `DROPS`.
pub const MAX_REASONS: u32 = 64;

const _: () =
    assert!(Reason::ALL.len() <= MAX_REASONS as usize, "the map that counts drops has no room for so many reasons");

/// The key of the per-CPU map `DROPS`; its value is a `u64`, the number of drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DropKey {
    /// The sender's slot, or [`crate::WIRE`].
    pub slot: Slot,
    /// [`crate::Reason`] as a number.
    pub reason: u32,
}

/// The sender of a recent broadcast: the value of the map `SENT`, keyed by the frame's [digest](crate::digest()).
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Sent {
    /// The time in nanoseconds of `CLOCK_MONOTONIC`.
    pub at: u64,
    /// The sender's slot.
    pub slot: Slot,
    /// Always zero.
    pub reserved: u32,
}
