//! By which routes does the host's stack reach slaves, and from which source address? With `host on` and in l3s there is
//! a route to each address of a slave.

use super::plan::SlavePlan;
use super::state::Agent;
use crate::error::Result;
use crate::kernel::netlink::RouteInfo;
use crate::slave::routes::{self, Route, Sources, route};
use ipvl_core::{Addr, IfIndex, OwnerEntry};
use std::collections::{BTreeMap, BTreeSet};

impl Agent {
    /// Makes the routes through one host end those that the plan has.
    pub fn sync_routes(&mut self, host_end: IfIndex, master: IfIndex, plan: &SlavePlan) -> Result<()> {
        let refused = self.registry.slave(host_end).map(|slave| &slave.refused);
        let is_refused = |addr: &Addr| refused.is_some_and(|refused| refused.contains(addr));
        let wanted = plan.routes.iter().copied().filter(|(_, (addr, _))| !is_refused(addr));
        let wanted: BTreeSet<Route> = wanted.collect();
        let present = self.registry.routes(host_end);
        for gone in present.difference(&wanted) {
            self.netlink.delete_route(&route(host_end, *gone, None))?;
            self.registry.remove_route(host_end, gone);
        }
        let fresh: Vec<Route> = wanted.difference(&present).copied().collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let sources = Sources::read(&self.netlink, master)?;
        for fresh in fresh {
            if self.add_route(host_end, fresh, &sources)? {
                self.registry.add_route(host_end, fresh);
            }
        }
        Ok(())
    }

    /// Adds a route, unless the host has one to that destination already. Returns whether it was added.
    fn add_route(&self, host_end: IfIndex, fresh: Route, sources: &Sources) -> Result<bool> {
        let (_, (addr, _)) = fresh;
        let source = sources.toward(&self.netlink, addr);
        Ok(!self.is_of_another_master(host_end, addr)? && self.netlink.add_route(&route(host_end, fresh, source))?)
    }

    /// Whether a slave of another master owns the address.
    fn is_of_another_master(&self, host_end: IfIndex, addr: Addr) -> Result<bool> {
        let own = self.registry.slave(host_end).map(|slave| slave.master);
        for port in self.ports.values().filter(|port| Some(port.master) != own) {
            if port.maps.owner(addr)?.is_some_and(|entry| entry.slot != OwnerEntry::HOST) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// After a change of the host's addresses: has routes made again that the kernel removed together with their source
    /// address, which it does not report, and routes that must have another source address now.
    pub fn sync_route_sources(&mut self) -> Result<()> {
        let all = self.netlink.routes_of_protocol(routes::PROTOCOL)?;
        let present: BTreeMap<(IfIndex, Route), RouteInfo> = all.into_iter().map(|info| (key(&info), info)).collect();
        let masters: Vec<IfIndex> = self.ports.keys().copied().collect();
        for master in masters {
            let sources = Sources::read(&self.netlink, master)?;
            for (host_end, route) in self.registry.routes_of(master) {
                let info = present.get(&(host_end, route)).copied();
                if !info.map(|info| self.correct_source(info, &sources)).transpose()?.unwrap_or(false) {
                    self.registry.remove_route(host_end, &route);
                    self.dirty.host_ends.insert(host_end);
                }
            }
        }
        Ok(())
    }

    /// Gives a route the source address that it must have; false if the route is gone.
    fn correct_source(&self, info: RouteInfo, sources: &Sources) -> Result<bool> {
        let prefsrc = sources.toward(&self.netlink, info.dst);
        Ok(info.prefsrc == prefsrc || self.netlink.change_route(&RouteInfo { prefsrc, ..info })?)
    }
}

fn key(info: &RouteInfo) -> (IfIndex, Route) {
    (info.oif, (info.table, (info.dst, info.prefix_len)))
}
