//! What becomes of a frame? All of IPVLAN's packet logic, as pure functions from bytes and tables to a verdict.
//!
//! The kernel runs this crate as eBPF; unit tests, the fuzzer and `ipvl explain` run the same code natively. It asks the
//! world through two traits: [`Frame`] (the bytes) and [`Tables`] (the owners of addresses).
//!
//! The modules stand on four floors, and each uses only those below it, or earlier ones of its own floor:
//! `egress`, `ingress`, `output`, `fastpath` (and, beside them, `maps`); `redirect`, `guard`, `flood`, `reply`, `icmp_error`, `route`,
//! `digest`, `dhcp`, `arrival`, `question`, `rate`, `policy`;
//! `wire`, `tables`; and the values at the bottom: `addr`, `abi`, `options`, `slave`, `owner`, `group`, `verdict`, `frame`.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod abi;
mod addr;
mod arrival;
pub mod dhcp;
mod digest;
mod egress;
pub mod fastpath;
mod flood;
mod frame;
mod group;
mod guard;
mod icmp_error;
mod ingress;
pub mod maps;
mod options;
mod output;
mod owner;
pub mod policy;
mod question;
mod rate;
mod redirect;
mod reply;
mod route;
mod slave;
mod tables;
mod verdict;
pub mod wire;

pub use abi::*;
pub use addr::{Addr, Mac, Words};
pub use digest::digest;
pub use egress::egress;
pub use flood::{FloodFilter, TokenBucket};
pub use frame::Frame;
pub use group::{Group, Members};
pub use icmp_error::{ICMP_ERROR_V4_LEN, ICMP_ERROR_V6_LEN, QUOTE_4, QUOTE_6, icmp_error_v4, icmp_error_v6};
pub use ingress::{ingress, receive};
pub use options::*;
pub use output::output;
pub use owner::{MoveReason, Moved, Origin, Owner, OwnerEntry, link_local};
pub use question::{Question, address_of_sender};
pub use rate::{RateEntry, wire_bytes, within_rate};
pub use redirect::refuse_redirect;
pub use reply::{ADVERTISEMENT_HEAD, ADVERTISEMENT_LEN, Reply};
pub use route::{RouteAnswer, RouteLookup, WayOut, destination};
pub use slave::{Slave, State};
pub use tables::{Asker, Tables};
pub use verdict::{Action, Flood, FloodThen, FloodTo, Reason, Verdict};
pub use wire::is_membership_report;
