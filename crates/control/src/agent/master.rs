//! How do slaves follow their master: when it changes, fails over, leaves, returns, or ceases to be?

use super::announce::announcement;
use super::{Agent, complain, rejoin, report};
use crate::error::Result;
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::LinkInfo;
use std::collections::BTreeMap;

/// Masters that are in other namespaces, and links that may be one of them, back under another number.
#[derive(Default)]
pub struct Departed {
    /// By the number that they had here: where they went.
    gone: BTreeMap<u32, Option<(i32, u32)>>,
    /// By the number that they are to have here: those of which the kernel said that they were coming.
    coming: BTreeMap<u32, u32>,
    /// What has come since: who it was, where that is known.
    arrived: BTreeMap<u32, Option<u32>>,
}

impl Departed {
    /// A master that is known to be elsewhere, though not where.
    pub fn left(&mut self, master: u32) {
        self.gone.entry(master).or_default();
    }

    fn note_here(&mut self, link: &LinkInfo) {
        if !self.gone.is_empty() {
            self.arrived.insert(link.ifindex, self.coming.remove(&link.ifindex));
        }
    }

    /// A link of another netns went on to a third, or comes here: the next news is who has that number now.
    pub fn note_elsewhere(&mut self, nsid: i32, link: &LinkInfo) {
        let place = Some((nsid, link.ifindex));
        let Some(master) = self.gone.iter().find(|(_, at)| **at == place).map(|(master, _)| *master) else { return };
        if let (true, Some(number)) = (link.moved, link.new_ifindex) {
            self.gone.insert(master, None);
            self.coming.insert(number, master);
        }
    }
}

impl Agent {
    /// Notes what the news of a link of our netns means, if it is a master, or was one.
    pub(super) fn note_master(&mut self, link: &LinkInfo) {
        let master = link.ifindex;
        if !self.ports.contains_key(&master) {
            return self.departed.note_here(link);
        }
        self.dirty.masters.insert(master);
        if link.moved {
            let number = link.new_ifindex.unwrap_or(master);
            self.departed.gone.insert(master, link.new_netnsid.map(|nsid| (nsid, number)));
        } else {
            self.departed.gone.remove(&master);
        }
        if let Err(error) = self.tell_again(link) {
            complain("a failover", &error);
        }
    }

    /// Lets the slaves of a master follow it.
    pub(super) fn sync_master(&mut self, master: u32) -> Result<()> {
        let link = self.netlink.link(master, None)?;
        // If it is not here any more, the news whether it left or died has come, but may not have been read.
        self.note_events()?;
        let Some(port) = self.ports.get_mut(&master) else { return Ok(()) };
        let lock = Lock::acquire(LOCK_WAIT)?;
        let old = port.maps.port()?;
        match link {
            Some(link) => port.update_master(&self.netlink, &link)?,
            None if self.departed.gone.contains_key(&master) => {
                port.maps.change_port(|port| port.flags |= ipvl_core::PortEntry::MASTER_GONE)?
            }
            None => self.netlink.delete_links(&self.registry.of_master(master))?,
        }
        drop(lock);
        for host_end in self.registry.of_master(master) {
            if let Err(error) = self.sync_slave_after(host_end, old.mtu) {
                report(host_end, &error);
            }
        }
        Ok(())
    }

    /// Looks whether a link that has come is a master that had left.
    pub(super) fn welcome_back(&mut self) -> Result<()> {
        for (ifindex, was) in std::mem::take(&mut self.departed.arrived) {
            let Some(link) = self.netlink.link(ifindex, None)? else { continue };
            let _lock = Lock::acquire(LOCK_WAIT)?;
            for port in self.ports.values_mut() {
                let told = was == Some(port.master) && link.mac == Some(port.maps.port()?.mac);
                let left = port.master;
                if port.master_returned(&self.netlink, &link, told)? {
                    self.departed.gone.remove(&left);
                    self.dirty.everything = true;
                }
            }
        }
        Ok(())
    }

    /// The wire may lead elsewhere now: who heard of the slaves before must hear it again.
    fn tell_again(&self, link: &LinkInfo) -> Result<()> {
        let (true, Some(mac), Some(wire)) = (link.notify_peers, link.mac, &self.wire) else { return Ok(()) };
        for (host_end, told) in self.registry.announced(link.ifindex) {
            for (_, addr) in told.iter().filter(|(announced, _)| *announced == mac) {
                wire.send(link.ifindex, &announcement(*addr, mac))?;
            }
            if link.rejoin_groups {
                rejoin::ask(wire, host_end, mac)?;
            }
        }
        Ok(())
    }
}
