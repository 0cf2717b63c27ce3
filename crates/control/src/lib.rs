//! What must the kernel be told, and how is it told? Everything that writes to it goes through this crate.
#![warn(missing_docs)]

mod agent;
mod agent_client;
mod declare;
mod doctor;
pub mod error;
mod explain;
mod find;
pub mod hook;
mod host;
pub mod lock;
mod model;
mod monitor;
mod multicast;
pub mod netlink;
pub mod netns;
mod notice;
pub mod object;
mod plan;
pub mod port;
mod refusal;
mod remove;
mod routes;
pub mod single;
mod slave;
pub mod snapshot;
pub mod sys;
mod sysctl;
pub mod tables;
mod tap;
mod tidy;
mod uplink;
mod view;

pub use agent::{Term, run_agent};
pub use declare::{declare, withdraw};
pub use doctor::doctor;
pub use error::{Error, Result};
pub use explain::{Explanation, explain};
pub use model::*;
pub use monitor::Monitor;
pub use refusal::Refusal;
pub use remove::{delete, delete_all};
pub use slave::{add, set};
pub use uplink::default_master;
pub use view::{addresses, links, statistics};
