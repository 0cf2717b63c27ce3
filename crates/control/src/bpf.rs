//! Which programs hang where, and which maps have they? See `sys.rs` beside this.

mod sys;

pub use sys::*;
