//! How does the agent report an error that does not stop it?

use crate::error::Error;
use ipvl_core::{Addr, IfIndex};

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
