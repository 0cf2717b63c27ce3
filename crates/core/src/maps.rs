//! Which further maps do the eBPF programs and the control plane share, and in which layout?
//!
//! Nothing here is part of a decision, and no other module of this crate uses it: another body than eBPF needs none of
//! it. It stands in this crate because `crates/ebpf` and `crates/control` both build this one, because the next-hop cache
//! and what watchers are told read headers, and because tests here run natively.

mod addr_cache;
mod counters;
mod joins;
mod nexthop_cache;
mod slot_cache;
mod watch;

pub use addr_cache::{ADDR_CACHE_BITS, AddrCacheEntry};
pub use counters::{Counters, DropKey, MAX_REASONS, Sent};
pub use joins::{JOINED, JOINS_LEN, SEEN};
pub use nexthop_cache::{CachedNexthop, NEXTHOPS_LEN, NexthopKey};
pub use slot_cache::{SLOT_CACHE_LEN, SlotCacheEntry};
pub use watch::{FlowCount, FlowKey, MAX_FLOWS, MAX_SNAP, PacketTold, WATCHERS, Watch};

/// The version of the layout and meaning of all maps. Programs and tools of different versions do not work together.
pub const ABI_VERSION: u32 = 8;

/// How many copies of a flooded frame are made before the frame is queued again behind them. Few compared with the
/// kernel's default `netdev_max_backlog` (1000), and few for the verifier, which follows the loop copy by copy.
pub const FLOOD_CHUNK: u32 = 64;
