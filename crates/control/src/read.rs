//! What is there, and what happens to a frame? Reads, and changes nothing.

mod degraded;
pub(crate) mod doctor;
pub mod explain;
mod holders;
mod inside;
pub(crate) mod inventory;
pub(crate) mod monitor;
pub(crate) mod next_hop;
pub(crate) mod overview;
pub(crate) mod permission;
pub(crate) mod record;
mod refused;
mod shown;
pub mod snapshot;
mod table;
pub mod trace;
pub(crate) mod view;
pub(crate) mod watch;
mod watcher;
