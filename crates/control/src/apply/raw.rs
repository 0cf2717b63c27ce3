//! How does a thread get a network namespace of its own?
#![expect(unsafe_code, reason = "a thread that leaves a namespace must promise not to be surprised")]

use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::io;

/// Leaves the calling thread in a new one. It must end soon: everything else here lives in the old.
pub fn enter_new_netns() -> io::Result<()> {
    // SAFETY: a network namespace is the thread's own affair; no memory and no descriptor is shared less by it.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?)
}
