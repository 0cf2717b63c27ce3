//! What is there to read about the command? Help, manual pages and completions, all made from the definition.

mod complete;
mod help;
mod man;
mod topics;
mod wrap;

pub use complete::{Candidate, candidates, script};
pub use help::help;
pub use man::{page, pages};
