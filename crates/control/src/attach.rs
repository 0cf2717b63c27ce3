//! How does an engine get a slave that is ready for use, find its slaves again, and give them back?
//!
//! The alias of a slave's host end names the slave's owner, in the engine's words. So there is no file that could be lost,
//! and deleting the slave by other means deletes the record with it.

mod assign_addresses;
mod attachment;
mod claim;
mod create;
mod detach;
pub(crate) mod device;
mod list;

pub use assign_addresses::assign_addresses;
pub use attachment::{Attached, Attachment};
pub use create::{attach, attach_all};
pub use detach::{detach, hand_over};
pub use device::{Device, device};
pub use list::attached;
