//! What is there, and what happens to a frame? Reads, and changes nothing.

mod degraded;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod monitor;
pub(crate) mod record;
pub mod snapshot;
mod table;
pub mod trace;
pub(crate) mod view;
