//! How is a program attached to a device without tcx (before Linux 6.6)? As a filter of clsact.

use super::socket::{Netlink, about, unless_gone};
use super::uapi::*;
use super::wire::{Attribute, Message, Reply, attributes, read_ifindex, read_u32};
use crate::error::Result;
use ipvl_core::IfIndex;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd};

/// `struct tcmsg`.
pub(super) const TCMSG: usize = 20;
const HANDLE: u32 = 1;

/// Where a filter is attached: at one device, or at the ingress of all devices that share a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterPoint {
    /// The clsact ingress of this link.
    Device(IfIndex),
    /// Its egress.
    Egress(IfIndex),
    /// A shared block.
    Block(u32),
}

/// A BPF filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BpfFilter {
    /// The program's id; 0 if the kernel does not report it.
    pub prog_id: u32,
    /// The name that it was added with.
    pub name: String,
    /// Lower ones run first.
    pub priority: u16,
    /// Its handle within the priority.
    pub handle: u32,
}

impl Netlink {
    /// Adds a clsact to a link, with its ingress in `block` if given; false if the link has one already.
    pub fn add_clsact(&self, ifindex: IfIndex, block: Option<u32>) -> Result<bool> {
        let header = tcmsg(ifindex, CLSACT_HANDLE, TC_H_CLSACT, 0);
        let message = Message::new(RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &header)
            .str(TCA_KIND, "clsact")
            .option(block, |m, block| m.u32(TCA_INGRESS_BLOCK, block));
        match self.order(about("add clsact to", &format_args!("link {ifindex}")), message) {
            Err(error) if error.is_exists() => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Deletes a link's clsact with all its filters, ours or not; false if there was none.
    pub fn delete_clsact(&self, ifindex: IfIndex) -> Result<bool> {
        let header = tcmsg(ifindex, CLSACT_HANDLE, TC_H_CLSACT, 0);
        let message = Message::new(RTM_DELQDISC, NLM_F_ACK, &header);
        unless_absent(self.order(about("delete clsact from", &format_args!("link {ifindex}")), message))
    }

    /// The BPF filters at a point.
    pub fn bpf_filters(&self, point: FilterPoint) -> Result<Vec<BpfFilter>> {
        let message = || Message::new(RTM_GETTFILTER, NLM_F_DUMP, &point.header(0, 0));
        let result = self.list(about("list filters of", &point), message, parse);
        match result {
            Err(error) if error.errno() == Some(libc::EINVAL) => Ok(Vec::new()),
            other => Ok(unless_gone(other)?.unwrap_or_default()),
        }
    }

    /// Whether a link's clsact has any filter, in either direction.
    pub fn has_filters(&self, ifindex: IfIndex) -> Result<bool> {
        for parent in [TC_H_CLSACT_INGRESS, TC_H_CLSACT_EGRESS] {
            let message = || Message::new(RTM_GETTFILTER, NLM_F_DUMP, &tcmsg(ifindex, 0, parent, 0));
            let object = format_args!("link {ifindex}");
            let filters = self.list(about("list filters of", &object), message, |reply| Some(reply.kind));
            if unless_gone(filters)?.is_some_and(|filters| !filters.is_empty()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Attaches a program to a point. Replaces the one of the same priority, if there is one: each packet meets exactly one.
    pub fn add_bpf_filter(&self, point: FilterPoint, program: impl AsFd, name: &str, priority: u16) -> Result<()> {
        let fd = program.as_fd().as_raw_fd().cast_unsigned();
        let message = Message::new(RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE, &point.header(HANDLE, priority))
            .str(TCA_KIND, "bpf")
            .nest(TCA_OPTIONS, |m| {
                m.u32(TCA_BPF_FD, fd).str(TCA_BPF_NAME, name).u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT)
            });
        self.order(about("add a filter to", &point), message)
    }

    /// Deletes the filter of this priority; false if it is gone already.
    pub fn delete_bpf_filter(&self, point: FilterPoint, priority: u16) -> Result<bool> {
        let message = Message::new(RTM_DELTFILTER, NLM_F_ACK, &point.header(HANDLE, priority)).str(TCA_KIND, "bpf");
        unless_absent(self.order(about("delete the filter from", &point), message))
    }
}

impl FilterPoint {
    fn header(self, handle: u32, priority: u16) -> [u8; TCMSG] {
        let (ifindex, parent) = match self {
            Self::Device(ifindex) => (ifindex, TC_H_CLSACT_INGRESS),
            Self::Egress(ifindex) => (ifindex, TC_H_CLSACT_EGRESS),
            Self::Block(block) => (IfIndex(TCM_IFINDEX_MAGIC_BLOCK), block),
        };
        let protocol = if priority == 0 { 0 } else { u32::from((libc::ETH_P_ALL as u16).to_be()) };
        tcmsg(ifindex, handle, parent, u32::from(priority) << 16 | protocol)
    }
}

impl fmt::Display for FilterPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(ifindex) => write!(f, "link {ifindex}"),
            Self::Egress(ifindex) => write!(f, "the egress of link {ifindex}"),
            Self::Block(block) => write!(f, "block {block}"),
        }
    }
}

/// False instead of an error that says there is no clsact or no such filter, which the kernel calls EINVAL.
fn unless_absent(result: Result<()>) -> Result<bool> {
    match result {
        Err(error) if error.errno() == Some(libc::EINVAL) => Ok(false),
        other => unless_gone(other).map(|done| done.is_some()),
    }
}

fn parse(reply: Reply<'_>) -> Option<BpfFilter> {
    let (header, rest) = reply.payload.split_at_checked(TCMSG)?;
    let kind = attributes(rest).find(|a| a.kind == TCA_KIND).map(Attribute::string);
    let handle = read_u32(header, 8);
    let mut filter =
        BpfFilter { prog_id: 0, name: String::new(), priority: (read_u32(header, 16) >> 16) as u16, handle };
    for option in attributes(rest).filter(|a| a.kind == TCA_OPTIONS).flat_map(Attribute::nested) {
        match option.kind {
            TCA_BPF_ID => filter.prog_id = option.u32(),
            TCA_BPF_NAME => filter.name = option.string(),
            _ => {}
        }
    }
    // The kernel also lists each priority itself, with handle 0.
    (kind.as_deref() == Some("bpf") && handle != 0).then_some(filter)
}

/// The link in a message about a queueing discipline, if that is the link's root.
pub(super) fn link_of_root(reply: Reply<'_>) -> Option<IfIndex> {
    let header = reply.payload.get(..TCMSG)?;
    (read_u32(header, 12) == TC_H_ROOT).then(|| read_ifindex(header, 4))
}

pub(super) fn tcmsg(ifindex: IfIndex, handle: u32, parent: u32, info: u32) -> [u8; TCMSG] {
    let mut header = [0; TCMSG];
    for (place, word) in [(4, ifindex.0), (8, handle), (12, parent), (16, info)] {
        header[place..place + 4].copy_from_slice(&word.to_ne_bytes());
    }
    header
}
