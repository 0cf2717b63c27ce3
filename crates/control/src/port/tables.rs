//! What is in a port's maps, and how is it changed? The other side of `crates/ebpf/src/maps.rs`.

mod abi;
mod caches;
mod groups;
mod maps;
mod policy;

pub use abi::Abi;
pub(crate) use abi::{open_by_ids, removed, take, typed};
pub use caches::{AddrCache, SlotCache};
pub use groups::{Joins, Reports};
pub use maps::{Claim, PortMaps, SINGLE};
pub use policy::PolicyMaps;
