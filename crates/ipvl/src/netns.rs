//! How does the command enter the netns of `-n`?

use rustix::fs::{Mode, OFlags, open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

/// Moves this thread there: before there is any other. A name stands for `/run/netns/NAME`, as in `ip -n`.
pub fn enter(name: &str) -> io::Result<()> {
    let path = if name.contains('/') { Path::new(name).to_owned() } else { Path::new("/run/netns").join(name) };
    let netns = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?)
}
