//! How do slaves follow their master: when it changes, fails over, leaves, returns, or is deleted?

use super::announce::announcement;
use super::log::log_error;
use super::mcast_query::send_queries;
use super::state::Agent;
use crate::error::Result;
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::LinkInfo;
use ipvl_core::{IfIndex, PortEntry};

impl Agent {
    /// Notes an event about a link of this netns, which may be a master, or may have been one.
    pub fn note_master(&mut self, link: &LinkInfo) {
        if !self.ports.contains_key(&link.ifindex) {
            return self.departed.note_here(link);
        }
        self.dirty.masters.insert(link.ifindex);
        self.departed.note_master(link);
        if let Err(error) = self.announce_again(link) {
            log_error("a failover", &error);
        }
    }

    /// Has the slaves of a master follow it.
    pub fn sync_master(&mut self, master: IfIndex) -> Result<()> {
        let link = self.netlink.link(master, None)?;
        if link.is_some() {
            self.missing.found(master);
        }
        let Some(port) = self.ports.get_mut(&master) else { return Ok(()) };
        // An event says whether a missing master left or was deleted. It may be unread: then the next turn decides.
        if link.is_none() && !self.departed.contains(master) && !self.missing.is_gone(master) {
            return Ok(());
        }
        let _lock = Lock::acquire(LOCK_WAIT)?;
        let old = port.maps.port()?;
        match link {
            Some(link) => port.update_master(&self.netlink, &link)?,
            None if self.departed.contains(master) => {
                port.maps.change_port(|port| port.flags |= PortEntry::MASTER_GONE)?
            }
            None => self.netlink.delete_links(&self.registry.of_master(master))?,
        }
        for host_end in self.registry.of_master(master) {
            self.old_mtus.entry(host_end).or_insert(old.mtu);
            self.dirty.host_ends.insert(host_end);
        }
        Ok(())
    }

    /// Looks whether links that arrived are departed masters. A link for which that fails is looked at again later.
    pub fn reattach_returned_masters(&mut self) -> Result<()> {
        let mut result = Ok(());
        for (ifindex, was) in self.departed.take_arrived() {
            if let Err(error) = self.reattach_returned_master(ifindex, was) {
                self.departed.put_back(ifindex, was);
                result = Err(error);
            }
        }
        result
    }

    fn reattach_returned_master(&mut self, ifindex: IfIndex, was: Option<IfIndex>) -> Result<()> {
        let Some(link) = self.netlink.link(ifindex, None)? else { return Ok(()) };
        let _lock = Lock::acquire(LOCK_WAIT)?;
        for port in self.ports.values_mut() {
            let announced = was == Some(port.master) && link.mac == Some(port.maps.port()?.mac);
            let old_ifindex = port.master;
            if port.master_returned(&self.netlink, &link, announced)? {
                self.departed.remove(old_ifindex);
                self.dirty.everything = true;
            }
        }
        Ok(())
    }

    /// After a failover the master may send through another switch port: announces the slaves' addresses again, and has
    /// slaves report their multicast groups again.
    fn announce_again(&self, link: &LinkInfo) -> Result<()> {
        let (true, Some(mac), Some(wire)) = (link.notify_peers, link.mac, &self.wire) else { return Ok(()) };
        for (host_end, announced) in self.registry.announced(link.ifindex) {
            for (_, addr) in announced.iter().filter(|(announced, _)| *announced == mac) {
                wire.send(link.ifindex, &announcement(*addr, mac))?;
            }
            if link.rejoin_groups {
                send_queries(wire, host_end, mac)?;
            }
        }
        Ok(())
    }
}
