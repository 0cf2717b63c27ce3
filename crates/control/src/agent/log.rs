//! How does the agent report an error that does not stop it?

use super::contests::Pair;
use super::retries::Task;
use crate::error::Error;
use ipvl_core::{Addr, IfIndex, MoveReason};

/// Reports that something could not be handled.
pub fn log_error(what: &str, error: &Error) {
    eprintln!("ipvl agent: cannot handle {what}: {error}");
}

/// Reports an error of one slave or one master. The others are still looked after.
pub fn log_link_error(ifindex: IfIndex, error: &Error) {
    eprintln!("ipvl agent: link {ifindex}: {error}");
}

/// Reports an address that the slave behind this host end does not get.
pub fn log_edge(host_end: IfIndex, addr: Addr) {
    eprintln!("ipvl agent: link {host_end}: its slave cannot own {addr}, the first or last address of its own network");
}

/// Reports that an address went from one slave to another.
pub fn log_move(addr: Addr, Pair { claimant, owner }: Pair, why: MoveReason) {
    let reason = match why {
        MoveReason::Down => "is down",
        MoveReason::Silent => "does not answer",
        MoveReason::Replaced | MoveReason::Host => "was told to yield",
    };
    eprintln!("ipvl agent: link {owner}: its slave {reason}, so {addr} belongs to the slave of link {claimant} now");
}

/// Reports that a task failed, which is tried again.
pub fn log_failure(task: Task, error: &Error) {
    match task {
        Task::Slave(link) | Task::Room(link) | Task::Groups(link) | Task::Master(link) | Task::MasterGroups(link) => {
            log_link_error(link, error)
        }
        Task::Joins => log_error("joins of multicast groups", error),
        Task::HostAddresses => log_error("the host's addresses", error),
        Task::Flowtable => log_error("the flowtable", error),
        Task::Arrivals => log_error("a new link", error),
    }
}
