//! What becomes of a frame? All of IPVLAN's packet logic, as pure functions from bytes and tables to a verdict.
//!
//! The kernel runs this crate as eBPF; unit tests, the fuzzer and `ipvl explain` run the same code natively. It asks
//! the world through two traits: [`Frame`] (the bytes) and [`Tables`] (who owns which address).
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod abi;
mod addr;
mod complaint;
mod digest;
mod egress;
mod flood;
mod frame;
pub mod glance;
mod group;
mod guard;
mod ingress;
mod owner;
mod reply;
mod route;
mod trip;
mod verdict;
pub mod wire;

pub use abi::*;
pub use addr::{Addr, Mac, Words};
pub use complaint::{COMPLAINT_4_LEN, COMPLAINT_6_LEN, QUOTE_4, QUOTE_6, complaint_4, complaint_6};
pub use digest::digest;
pub use egress::egress;
pub use flood::{Bucket, Filter};
pub use frame::{Frame, Tables};
pub use group::{Group, Members, tells_of_groups};
pub use ingress::ingress;
pub use owner::{Nearby, Owner, OwnerEntry, Seat};
pub use reply::{ADVERTISEMENT_HEAD, ADVERTISEMENT_LEN, ARP_LEN, Reply};
pub use route::{Lookup, Way, destination};
pub use trip::{Remembered, TRIPS, Trip};
pub use verdict::{Action, Audience, Flood, MAX_REASONS, Reason, Then, Verdict};
