//! What is there, and what becomes of a frame? Reads, and changes nothing.

pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod monitor;
pub mod snapshot;
pub(crate) mod view;
