//! Which id does this netns have for another?

use super::socket::{Netlink, about};
use super::uapi::*;
use super::wire::{Attribute, Message, Reply, attributes};
use crate::error::Result;
use crate::place::NsId;
use std::os::fd::{AsFd, AsRawFd};

/// `struct rtgenmsg`, padded.
pub(super) const RTGENMSG: usize = 4;

impl Netlink {
    /// The same, after giving it one if it has none, as the kernel does for the other end of a pair.
    pub fn ensure_nsid(&self, netns: impl AsFd) -> Result<Option<NsId>> {
        if let Some(nsid) = self.nsid_of_fd(&netns)? {
            return Ok(Some(nsid));
        }
        let fd = netns.as_fd().as_raw_fd().cast_unsigned();
        let message =
            Message::new(RTM_NEWNSID, NLM_F_ACK, &[0; RTGENMSG]).u32(NETNSA_FD, fd).nsid(NETNSA_NSID, NsId(-1));
        match self.order(about("give an id to", &"a network namespace"), message) {
            Err(error) if !error.is_exists() => Err(error),
            _ => self.nsid_of_fd(netns),
        }
    }

    /// The id that this netns has for `netns`; none if it has not given it one.
    pub fn nsid_of_fd(&self, netns: impl AsFd) -> Result<Option<NsId>> {
        let fd = netns.as_fd().as_raw_fd();
        let message = Message::new(RTM_GETNSID, NLM_F_ACK, &[0; RTGENMSG]).u32(NETNSA_FD, fd.cast_unsigned());
        let mut nsid = None;
        self.ask(about("read the id of", &"a network namespace"), message, |reply| nsid = parse(reply))?;
        Ok(nsid)
    }
}

/// The id in a message.
pub(super) fn parse(reply: Reply<'_>) -> Option<NsId> {
    let rest = reply.payload.get(RTGENMSG..)?;
    attributes(rest).find(|a| a.kind == NETNSA_NSID).and_then(Attribute::nsid)
}
