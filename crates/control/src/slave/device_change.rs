//! What does a change of a slave change of its device, as `ip link set` would in the slave's netns?

use crate::kernel::netlink::LinkChange;
use crate::model::Change;
use std::os::fd::BorrowedFd;

/// What to change of the device, with the opened netns that it moves to; none if nothing of it changes.
pub fn device_change<'a>(change: &'a Change, netns: Option<BorrowedFd<'a>>) -> Option<LinkChange<'a>> {
    let is_any = (change.up, &change.name, change.mtu, &change.netns) != (None, &None, None, &None);
    let device =
        LinkChange { up: change.up, name: change.name.as_deref(), mtu: change.mtu, netns, ..LinkChange::default() };
    is_any.then_some(device)
}
