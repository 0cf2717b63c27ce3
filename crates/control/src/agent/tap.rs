//! What does the agent do for a slave that is a tap device, and its own host end? It brings it back to its master.

use super::{Agent, report};
use crate::error::Result;
use crate::kernel::netlink::{LinkChange, LinkInfo, Netlink};
use crate::kernel::netns;
use crate::port::hook::Hook;
use crate::port::host_end::is_tap;
use crate::port::object::SLAVE_XMIT;
use crate::port::sysctl;
use crate::slave::find::unreachable_netns;
use crate::slave::tap;
use ipvl_core::Slot;
use std::collections::BTreeSet;
use std::os::fd::AsFd as _;

impl Agent {
    /// What the news of a tap device means besides: its routes go when it goes down, and it must not leave its master.
    pub(super) fn note_tap(&mut self, link: &LinkInfo) {
        if !is_tap(link) || !self.registry.is_host_end(link.ifindex) {
            return;
        }
        if !link.is_up() {
            self.registry.set_routes(link.ifindex, BTreeSet::new());
        }
        if let (Some(nsid), Some(ifindex)) = (link.new_netnsid, link.new_ifindex) {
            eprintln!("ipvl agent: {} works only beside its master: it is brought back, and is down", link.name);
            if let Err(error) = self.bring_back(nsid, ifindex) {
                report(link.ifindex, &error);
            }
        }
    }

    /// It was set down when it left, and stays so: from another netns its frames would go out of foreign devices.
    fn bring_back(&mut self, nsid: i32, ifindex: u32) -> Result<()> {
        let there = self.finder.find(&self.netlink, nsid)?.ok_or_else(|| unreachable_netns(nsid))?;
        let here = netns::own()?;
        let home = LinkChange { netns: Some(here.as_fd()), ..LinkChange::default() };
        netns::within(there, || Netlink::open()?.set_link(ifindex, &home))?
    }

    /// Makes sure that a tap device has what it may have lost on its way: the program, if it was a filter's, and the
    /// settings that it is born with.
    pub(super) fn keep_closed(&self, link: &LinkInfo, master: u32, slot: Slot) -> Result<()> {
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
