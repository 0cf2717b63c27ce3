//! What becomes of a frame? All of IPVLAN's packet logic, as pure functions from bytes and tables to a verdict.
//!
//! The kernel runs this crate as eBPF; unit tests, the fuzzer and `ipvl explain` run the same code natively. It asks
//! the world through two traits: [`Frame`] (the bytes) and [`Tables`] (who owns which address).
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod abi;
mod addr;
mod digest;
mod egress;
pub mod fastpath;
mod flood;
mod frame;
mod group;
mod guard;
mod icmp_error;
mod ingress;
mod nexthop_cache;
mod options;
mod owner;
mod reply;
mod route;
mod slave;
mod verdict;
pub mod wire;

pub use abi::*;
pub use addr::{Addr, Mac, Words};
pub use digest::digest;
pub use egress::egress;
pub use flood::{Bucket, Filter};
pub use frame::{Frame, Tables};
pub use group::{Group, Members, is_membership_report};
pub use icmp_error::{ICMP_ERROR_V4_LEN, ICMP_ERROR_V6_LEN, QUOTE_4, QUOTE_6, icmp_error_v4, icmp_error_v6};
pub use ingress::ingress;
pub use nexthop_cache::{CachedNexthop, NEXTHOPS, NexthopKey};
pub use options::*;
pub use owner::{AddrCacheEntry, Owner, OwnerEntry, SlotCacheEntry};
pub use reply::{ADVERTISEMENT_HEAD, ADVERTISEMENT_LEN, ARP_LEN, Reply};
pub use route::{Lookup, RouteAnswer, destination};
pub use slave::{Slave, State};
pub use verdict::{Action, Flood, FloodTo, Reason, Then, Verdict};
