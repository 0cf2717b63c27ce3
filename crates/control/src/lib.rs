//! How is ipvl set up in the kernel? All that reads and changes its devices, maps and programs is in this crate.
#![warn(missing_docs)]

mod agent;
pub mod apply;
mod attach;
pub mod error;
pub mod input;
pub mod kernel;
pub mod keys;
mod model;
mod place;
mod policy;
pub mod policy_words;
pub mod port;
mod quota;
pub mod rate;
pub mod read;
mod refusal;
mod report;
mod slave;
pub mod text;

pub use agent::{Term, run_agent};
pub use attach::{
    Attached, Attachment, Device, assign_addresses, attach, attach_all, attached, detach, device, hand_over,
};
pub use error::{Error, Result};
pub use kernel::finder::Names;
pub use kernel::netlink::SlaveRoute;
pub use model::*;
pub use place::{NsId, Place};
pub use policy::{CountedRule, PolicyChange, SlavePolicy, change_policy, policies};
pub use policy_words::{PolicyKeys, PolicyPeer, PolicyRule, PolicySpec};
pub use port::upgrade::Upgraded;
pub use rate::{Limit, Rates, RatesChange};
pub use read::doctor::{doctor, kernel_findings};
pub use read::explain::{Explanation, explain, remedy};
pub use read::inventory::Inventory;
pub use read::monitor::Monitor;
pub use read::next_hop::{NextHop, next_hop};
pub use read::overview::overview;
pub use read::permission::{require_master_here, require_rights};
pub use read::watch::{Interest, Passage, Seen, Watching};
pub use refusal::{PolicyRefusal, Refusal};
pub use report::{AgentCounters, AgentReport, BOUNDS, Latency, Overview, PortReport, SlaveReport};
pub use slave::declare::{declare, replace, withdraw};
pub use slave::flowtable::{flush_flowtable, set_flowtable};
pub use slave::parent::{Parent, ensure_parent, remove_parent};
pub use slave::remove::{delete, delete_all};
pub use slave::upgrade::upgrade;
pub use slave::uplink::default_master;
pub use slave::{add, probe, set};
