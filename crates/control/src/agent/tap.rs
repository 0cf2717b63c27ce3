//! What does the agent do for a slave that is a tap device, and so its own host end? It keeps it beside its master.

use super::log::log_link_error;
use super::state::Agent;
use crate::error::Result;
use crate::kernel::netlink::{LinkChange, LinkInfo, Netlink};
use crate::kernel::netns;
use crate::place::NsId;
use crate::port::hook::Hook;
use crate::port::host_end::is_tap;
use crate::port::object::SLAVE_XMIT;
use crate::port::sysctl;
use crate::slave::find::unreachable_netns;
use crate::slave::tap;
use ipvl_core::{IfIndex, Slot};
use std::collections::BTreeSet;
use std::os::fd::AsFd as _;

impl Agent {
    /// Notes an event about a link of this netns, which may be a tap device. The kernel removes its routes when it goes
    /// down. If it went to another netns, it is brought back.
    pub fn note_tap(&mut self, link: &LinkInfo) {
        if !is_tap(link) || !self.registry.is_host_end(link.ifindex) {
            return;
        }
        if !link.is_up() {
            self.registry.set_routes(link.ifindex, BTreeSet::new());
        }
        if let (Some(nsid), Some(ifindex)) = (link.new_netnsid, link.new_ifindex) {
            eprintln!("ipvl agent: {} works only beside its master: it is brought back, and is down", link.name);
            if let Err(error) = self.bring_back(nsid, ifindex) {
                log_link_error(link.ifindex, &error);
            }
        }
    }

    /// The kernel set it down when it left. It stays down: in another netns its frames would have gone out by the devices
    /// there.
    fn bring_back(&mut self, nsid: NsId, ifindex: IfIndex) -> Result<()> {
        let there = self.finder.find(&self.netlink, nsid)?.ok_or_else(|| unreachable_netns(nsid))?;
        let here = netns::own()?;
        let home = LinkChange { netns: Some(here.as_fd()), ..LinkChange::default() };
        netns::within(there, || Netlink::open()?.set_link(ifindex, &home))?
    }

    /// Restores what a tap device may have lost in another netns: the program, if it was attached as a filter, and the
    /// settings that a new tap device gets.
    pub fn restore_tap(&self, link: &LinkInfo, master: IfIndex, slot: Slot) -> Result<()> {
        let Some(port) = self.ports.get(&master).filter(|_| is_tap(link)) else { return Ok(()) };
        if Hook::find(&self.netlink, link.ifindex, SLAVE_XMIT)?.is_none() {
            port.attach(&self.netlink, port.hook, link)?;
        }
        if !matches!(link.detail.addrgenmode.as_str(), "none" | "") {
            self.netlink.set_link(link.ifindex, &tap::silent())?;
            sysctl::prepare_host_end(&link.name, port.maps.slave(slot)?)?;
        }
        Ok(())
    }
}
