//! What changes, in this netns and in all that have an id here?

use super::address::AddressInfo;
use super::link::LinkInfo;
use super::route::RouteInfo;
use super::socket::{BUFFER, Netlink};
use super::uapi::*;
use super::wire::{Reply, replies};
use super::{address, link, nsid, route, tc};
use crate::error::{Error, Result, io_error};
use crate::kernel::event_counter::EventCounter;
use crate::kernel::netns;
use crate::kernel::sys;
use crate::place::NsId;
use ipvl_core::IfIndex;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const GROUPS: [u32; 7] = [
    RTNLGRP_LINK,
    RTNLGRP_TC,
    RTNLGRP_IPV4_IFADDR,
    RTNLGRP_IPV6_IFADDR,
    RTNLGRP_NSID,
    RTNLGRP_IPV4_ROUTE,
    RTNLGRP_IPV6_ROUTE,
];
/// Linux 6.14. Older kernels do not have the first two.
const MULTICAST_GROUPS: [u32; 3] = [RTNLGRP_IPV4_MCADDR, RTNLGRP_IPV6_MCADDR, RTNLGRP_NSID];
/// Room for some ten thousand messages.
const RECEIVE_BUFFER: usize = 32 << 20;

/// A change, and the netns in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The id of the netns; none for our own.
    pub nsid: Option<NsId>,
    /// The change.
    pub what: What,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A link is new, or changed.
    NewLink(Box<LinkInfo>),
    /// A link is gone, or went to another netns.
    DelLink(Box<LinkInfo>),
    /// An address is new, or its flags changed.
    NewAddress(AddressInfo),
    /// An address is gone.
    DelAddress(AddressInfo),
    /// A route of the subscription's protocol was deleted, not because its link went down.
    DelRoute(RouteInfo),
    /// A link got or lost a root queueing discipline.
    Queue(IfIndex),
    /// Another netns got this id here.
    NewNsid(NsId),
    /// The id is free again: that netns is gone.
    DelNsid(NsId),
    /// A link joined or left a multicast group.
    Groups(IfIndex),
    /// Events were lost: everything must be read again.
    Overrun,
}

/// A subscription to changes.
pub struct Events {
    socket: Socket,
    netlink: Netlink,
    netns: OwnedFd,
    own: Option<NsId>,
    buffer: Box<[u8]>,
    queue: VecDeque<Event>,
}

impl Events {
    /// Subscribes in the calling thread's netns. Of routes, only deletions of those with this protocol number are reported.
    pub fn open(route_protocol: u8) -> Result<Self> {
        Self::subscribed(subscribe(&GROUPS, Some(route_protocol)).map_err(io_error("open", "a netlink subscription"))?)
    }

    /// Subscribes to links that join and leave multicast groups, apart from all other changes: any user can cause as many of
    /// these events as he likes. None if the kernel does not report them.
    pub fn open_groups() -> Result<Option<Self>> {
        match subscribe(&MULTICAST_GROUPS, None) {
            Ok(socket) => Self::subscribed(socket).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Counts joins in arrays of this length from now on, each at the moment when it happens.
    pub fn count_joins(&self, array_len: u32) -> Result<EventCounter> {
        EventCounter::attach(&self.socket, RTM_NEWMULTICAST, array_len)
    }

    fn subscribed(socket: Socket) -> Result<Self> {
        let netlink = Netlink::open()?;
        let netns = netns::own()?;
        let own = netlink.nsid_of_fd(&netns)?;
        Ok(Self { socket, netlink, netns, own, buffer: vec![0; BUFFER].into(), queue: VecDeque::new() })
    }

    /// The next event, if there is one. It does not wait: once it returns none, wait with `poll` on [`Events::as_fd`].
    #[expect(clippy::should_implement_trait, reason = "none does not mean the end, and an error may pass")]
    pub fn next(&mut self) -> Result<Option<Event>> {
        while self.queue.is_empty() {
            match sys::receive_with_nsid(self.socket.as_fd(), &mut self.buffer) {
                Ok((length, nsid)) => self.enqueue(length, nsid)?,
                Err(error) => return end_or_overrun(error),
            }
        }
        Ok(self.queue.pop_front())
    }

    fn enqueue(&mut self, length: usize, nsid: Option<NsId>) -> Result<()> {
        // Any process may give our own netns an id at any time.
        let fresh = replies(&self.buffer[..length]).any(|reply| reply.kind == RTM_NEWNSID);
        if fresh {
            self.own = self.netlink.nsid_of_fd(&self.netns)?;
        }
        let nsid = nsid.filter(|nsid| Some(*nsid) != self.own);
        let events = replies(&self.buffer[..length]).filter_map(parse).map(|what| Event { nsid, what });
        self.queue.extend(events);
        Ok(())
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn subscribe(groups: &[u32], route_protocol: Option<u8>) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.set_listen_all_namespaces(true)?;
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER)
        .or_else(|_| rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER))?;
    // On a router, more routes change in a second than there are slaves. Only deletions of the slaves' routes matter.
    if let Some(protocol) = route_protocol {
        sys::filter_routes(&socket, RTM_NEWROUTE, RTM_DELROUTE, protocol)?;
    }
    socket.bind_auto()?;
    groups.iter().try_for_each(|group| socket.add_membership(*group))?;
    Ok(socket)
}

fn end_or_overrun(error: io::Error) -> Result<Option<Event>> {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => Ok(None),
        Some(libc::ENOBUFS) => Ok(Some(Event { nsid: None, what: What::Overrun })),
        _ => Err(Error::Io { op: "read", object: "netlink events".to_owned(), source: error }),
    }
}

fn parse(reply: Reply<'_>) -> Option<What> {
    match reply.kind {
        RTM_NEWLINK => link::parse(reply).map(Box::new).map(What::NewLink),
        RTM_DELLINK => link::parse(reply).map(Box::new).map(What::DelLink),
        RTM_NEWADDR => address::parse(reply).map(What::NewAddress),
        RTM_DELADDR => address::parse(reply).map(What::DelAddress),
        RTM_DELROUTE => route::parse(reply).map(What::DelRoute),
        RTM_NEWQDISC | RTM_DELQDISC => tc::link_of_root(reply).map(What::Queue),
        RTM_NEWMULTICAST | RTM_DELMULTICAST => address::link_of(reply).map(What::Groups),
        RTM_NEWNSID => nsid::parse(reply).map(What::NewNsid),
        RTM_DELNSID => nsid::parse(reply).map(What::DelNsid),
        _ => None,
    }
}
