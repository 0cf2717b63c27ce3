//! By which routes does the host's stack reach slaves, and as whom? With `host on` and in l3s it has one to each address.

use super::Agent;
use crate::agent::plan::Plan;
use crate::error::Result;
use crate::kernel::netlink::RouteInfo;
use crate::slave::routes::{self, Route, Sources, route};
use ipvl_core::{Addr, OwnerEntry};
use std::collections::{BTreeMap, BTreeSet};

impl Agent {
    /// Makes the routes by one host end those that it should have.
    pub(super) fn settle_routes(&mut self, host_end: u32, master: u32, plan: &Plan) -> Result<()> {
        let refused = |addr: Addr| self.registry.wanting(addr).contains(&host_end);
        let wanted = plan.routes.iter().copied().filter(|(_, (addr, _))| !refused(*addr));
        let wanted: BTreeSet<Route> = wanted.collect();
        let present = self.registry.routes(host_end);
        for gone in present.difference(&wanted) {
            self.netlink.delete_route(&route(host_end, *gone, None))?;
        }
        let mut routed: BTreeSet<Route> = wanted.intersection(&present).copied().collect();
        if routed.len() < wanted.len() {
            let sources = Sources::read(&self.netlink, master)?;
            for fresh in wanted.difference(&present) {
                if self.add_route(host_end, *fresh, &sources)? {
                    routed.insert(*fresh);
                }
            }
        }
        self.registry.set_routes(host_end, routed);
        Ok(())
    }

    /// Where the host goes already, no slave leads it astray.
    fn add_route(&self, host_end: u32, fresh: Route, sources: &Sources) -> Result<bool> {
        let (_, (addr, _)) = fresh;
        let source = sources.toward(addr);
        Ok(!self.is_anothers(host_end, addr)? && self.netlink.add_route(&route(host_end, fresh, source))?)
    }

    /// Whether a slave of another master owns the address.
    fn is_anothers(&self, host_end: u32, addr: Addr) -> Result<bool> {
        let own = self.registry.slave(host_end).map(|known| known.master);
        for port in self.ports.values().filter(|port| Some(port.master) != own) {
            if port.maps.owner(addr)?.is_some_and(|entry| entry.slot != OwnerEntry::HOST) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// After a change of the host's addresses: routes that went with the address that they were for, which the kernel
    /// tells nobody, and those that are for another now, are made again.
    pub(super) fn review_sources(&mut self) -> Result<()> {
        let all = self.netlink.routes_of_protocol(routes::PROTOCOL)?;
        let present: BTreeMap<(u32, Route), RouteInfo> = all.into_iter().map(|info| (key(&info), info)).collect();
        let masters: Vec<u32> = self.ports.keys().copied().collect();
        for master in masters {
            let sources = Sources::read(&self.netlink, master)?;
            for (host_end, known) in self.registry.routes_of(master) {
                let info = present.get(&(host_end, known));
                let (_, (addr, _)) = known;
                if info.is_some_and(|info| info.prefsrc == sources.toward(addr)) {
                    continue;
                }
                info.map(|info| self.netlink.delete_route(info)).transpose()?;
                self.registry.unrouted(host_end, &known);
                self.dirty.host_ends.insert(host_end);
            }
        }
        Ok(())
    }
}

fn key(info: &RouteInfo) -> (u32, Route) {
    (info.oif, (info.table, (info.dst, info.prefix_len)))
}
