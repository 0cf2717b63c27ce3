//! What does the agent have in its hands: sockets, ports, and what it must read again?

use super::clients::{Clients, Request};
use super::departed::DepartedMasters;
use super::dirty::Dirty;
use super::mcast_sources::McastSources;
use super::missing::Missing;
use super::registry::Registry;
use super::term::Term;
use crate::error::Result;
use crate::kernel::finder::Finder;
use crate::kernel::netlink::{Events, Netlink};
use crate::kernel::single::Single;
use crate::kernel::sys::FrameSocket;
use crate::port::Port;
use crate::slave::routes::PROTOCOL;
use ipvl_core::IfIndex;
use std::collections::{BTreeMap, BTreeSet};

/// The agent of one netns. The other files of this folder extend it.
pub struct Agent {
    /// How long it runs.
    pub term: Term,
    /// For questions and changes.
    pub netlink: Netlink,
    /// For frames that announce addresses; none without CAP_NET_RAW.
    pub wire: Option<FrameSocket>,
    /// What changes. Read only at the top of a turn.
    pub events: Events,
    /// What changes of multicast groups. Read only at the top of a turn.
    pub mcast: McastSources,
    /// Opens the namespaces of slaves.
    pub finder: Finder,
    /// The commands that are connected.
    pub clients: Clients,
    /// Requests that are not answered yet.
    pub requests: Vec<Request>,
    /// By master.
    pub ports: BTreeMap<IfIndex, Port>,
    /// What was last read and written.
    pub registry: Registry,
    /// What must be read again.
    pub dirty: Dirty,
    /// Links that were not found, and are looked for once more.
    pub missing: Missing,
    /// Host ends that are in no table: a command is making them, or was killed while it did.
    pub incomplete: BTreeSet<IfIndex>,
    /// Masters in another netns, which may return.
    pub departed: DepartedMasters,
    /// Whether the last wait ended without an event.
    pub idle: bool,
}

impl Agent {
    /// An agent that has subscribed to events and has read nothing yet.
    pub fn new(single: Single, term: Term) -> Result<Self> {
        Ok(Self {
            term,
            events: Events::open(PROTOCOL)?,
            mcast: McastSources::open()?,
            netlink: Netlink::open()?,
            wire: FrameSocket::open().ok(),
            finder: Finder::default(),
            clients: Clients::new(single, term)?,
            requests: Vec::new(),
            ports: BTreeMap::new(),
            registry: Registry::default(),
            dirty: Dirty::default(),
            missing: Missing::default(),
            incomplete: BTreeSet::new(),
            departed: DepartedMasters::default(),
            idle: false,
        })
    }

    /// Whether slaves wait for the next turn.
    pub fn has_work(&self) -> bool {
        !self.dirty.host_ends.is_empty() || !self.missing.is_empty()
    }

    /// An address is free: slaves that have it on their device may get it now.
    pub fn offer(&mut self, addr: ipvl_core::Addr) {
        self.dirty.host_ends.extend(self.registry.refused(addr));
    }
}
