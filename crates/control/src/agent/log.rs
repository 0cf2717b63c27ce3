//! How does the agent report an error that does not stop it?

use crate::error::Error;
use ipvl_core::IfIndex;

/// Reports that something could not be handled.
pub fn log_error(what: &str, error: &Error) {
    eprintln!("ipvl agent: cannot handle {what}: {error}");
}

/// Reports an error of one slave or one master. The others are still looked after.
pub fn log_link_error(ifindex: IfIndex, error: &Error) {
    eprintln!("ipvl agent: link {ifindex}: {error}");
}
