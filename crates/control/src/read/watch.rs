//! Which packets pass the slaves of this netns, and what becomes of them? As flows, or packet by packet.

use super::record::{UNKNOWN, master_of, readable_peer, shown_name};
use super::watcher::{Watcher, now};
use crate::error::{Result, io_error, refused};
use crate::kernel::netlink::Netlink;
use crate::kernel::sys;
use crate::port::Port;
use crate::refusal::Refusal;
use crate::slave::module;
use ipvl_core::maps::{FlowCount, FlowKey, PacketTold, Watch};
use ipvl_core::{Action, Addr, Reason, Slot, Verdict, WIRE};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

const SECOND: Duration = Duration::from_secs(1);
/// A flow without packets for so long has ended.
const SILENCE: u64 = 30_000_000_000;

/// What to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Only what this slave sends and gets; all slaves by default.
    pub slave: Option<String>,
    /// Only drops for this reason.
    pub reason: Option<Reason>,
    /// Only drops.
    pub drops: bool,
    /// Bytes of each packet; 0 for flows.
    pub snap: u32,
}

/// What one packet or flow is, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The master.
    pub master: String,
    /// The slave that sent it; none if it came from outside.
    pub from: Option<String>,
    /// The slave that it is for; none if that is no slave, or none alone.
    pub to: Option<String>,
    /// What becomes of it.
    pub action: Action,
    /// The EtherType.
    pub ethertype: u16,
    /// The protocol in IP.
    pub protocol: u8,
    /// Source address, of IP or ARP.
    pub src: Addr,
    /// Destination address, or ARP target.
    pub dst: Addr,
    /// Source port of TCP and UDP; type and code of ICMP.
    pub src_port: u16,
    /// Destination port of TCP and UDP.
    pub dst_port: u16,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A flow, or what has been added to it.
    Flow {
        /// Which one.
        passage: Passage,
        /// When its last packet came.
        at: SystemTime,
        /// Whether it has just begun.
        new: bool,
        /// Packets since it began.
        packets: u64,
        /// Their bytes, Ethernet header included; a GSO packet counts as one.
        bytes: u64,
    },
    /// A packet.
    Packet {
        /// Which one.
        passage: Passage,
        /// When it came.
        at: SystemTime,
        /// Its length in bytes.
        len: u32,
        /// Its first bytes.
        bytes: Vec<u8>,
    },
    /// So many were not seen, because there were more than could be told.
    Lost(u64),
}

/// Watches the masters of this netns.
pub struct Watching {
    netlink: Netlink,
    ports: Vec<Watched>,
    /// Slaves of our kernel module.
    unwatched: Vec<String>,
    renewed: Instant,
}

/// One master that is watched.
struct Watched {
    master: String,
    watcher: Watcher,
    /// Names of slaves, by slot.
    names: BTreeMap<Slot, String>,
    /// Flows that were reported, with the number of packets that were.
    reported: HashMap<FlowKey, u64>,
}

impl Watching {
    /// Begins to watch.
    pub fn open(interest: &Interest) -> Result<Self> {
        let netlink = Netlink::open()?;
        let mut ports = Vec::new();
        for port in Port::all(&netlink)? {
            let names = names(&netlink, &port)?;
            let slot = match &interest.slave {
                None => Some(WIRE),
                Some(wanted) => names.iter().find(|(_, name)| *name == wanted).map(|(slot, _)| *slot),
            };
            let Some(slot) = slot else { continue };
            let master = master_of(&netlink, &port)?.name;
            let want = Watch {
                until: 0,
                snap: interest.snap,
                slot,
                reason: interest.reason.map_or(0, |reason| reason as u32 + 1),
                drops: interest.drops.into(),
            };
            let watcher = Watcher::open(port, want, &master)?;
            ports.push(Watched { master, watcher, names, reported: HashMap::new() });
        }
        let unwatched: Vec<String> = module::all(&netlink)?.into_iter().map(|slave| slave.device.name).collect();
        match (&interest.slave, ports.is_empty()) {
            (Some(slave), true) if unwatched.contains(slave) => {
                Err(refused("watch", slave.clone(), Refusal::ModuleTellsNobody))
            }
            (Some(slave), true) => Err(refused("watch", slave.clone(), Refusal::NoSlave)),
            (None, true) if !unwatched.is_empty() => {
                Err(refused("watch", unwatched.join(", "), Refusal::ModuleTellsNobody))
            }
            (asked, _) => {
                let unwatched = if asked.is_none() { unwatched } else { Vec::new() };
                Ok(Self { netlink, ports, unwatched, renewed: Instant::now() })
            }
        }
    }

    /// The masters that are watched.
    pub fn masters(&self) -> impl Iterator<Item = &str> {
        self.ports.iter().map(|port| port.master.as_str())
    }

    /// Slaves of our kernel module, which tells nobody what becomes of packets.
    pub fn unwatched(&self) -> &[String] {
        &self.unwatched
    }

    /// Waits for something to be seen, a second at most, and takes it. Returns none once the other end of the pipe `reader`
    /// is closed.
    pub fn next(&mut self, reader: impl AsFd) -> Result<Option<Vec<Seen>>> {
        let left = SECOND.saturating_sub(self.renewed.elapsed());
        let told = self.ports.iter().map(|port| port.watcher.as_fd());
        if !sys::wait_for(told, reader.as_fd(), left).map_err(io_error("wait for", "packets"))? {
            return Ok(None);
        }
        let mut seen = Vec::new();
        for port in &mut self.ports {
            port.take(&self.netlink, &mut seen)?;
        }
        if self.renewed.elapsed() >= SECOND {
            self.renewed = Instant::now();
            for port in &mut self.ports {
                port.renew(&self.netlink, &mut seen)?;
            }
        }
        Ok(Some(seen))
    }
}

impl Watched {
    /// Takes what the programs have told.
    fn take(&mut self, netlink: &Netlink, seen: &mut Vec<Seen>) -> Result<()> {
        let mut told = Vec::new();
        self.watcher.take_packets(|head, bytes| told.push((head, bytes.to_vec())));
        self.learn_names(netlink, told.iter().map(|(head, _)| &head.key))?;
        for (head, bytes) in told {
            seen.push(if self.watcher.wants_packets() { self.packet(&head, bytes) } else { self.first_of_flow(&head) });
        }
        Ok(())
    }

    fn first_of_flow(&mut self, told: &PacketTold) -> Seen {
        // A flow that was forgotten for want of room may begin twice.
        self.reported.entry(told.key).or_insert(1);
        let (passage, at) = (self.passage(&told.key), wall_clock(told.at));
        Seen::Flow { passage, at, new: true, packets: 1, bytes: told.len.into() }
    }

    /// Renews the watch, and reports what has been added to flows since.
    fn renew(&mut self, netlink: &Netlink, seen: &mut Vec<Seen>) -> Result<()> {
        self.watcher.renew()?;
        let lost = self.watcher.take_lost()?;
        if lost > 0 {
            seen.push(Seen::Lost(lost));
        }
        if self.watcher.wants_packets() {
            return Ok(());
        }
        let flows = self.watcher.flows()?;
        self.learn_names(netlink, flows.iter().map(|(key, _)| key))?;
        let present: HashSet<FlowKey> = flows.iter().map(|(key, _)| *key).collect();
        self.reported.retain(|key, _| present.contains(key));
        flows.into_iter().try_for_each(|(key, count)| self.report(key, count, seen))
    }

    fn report(&mut self, key: FlowKey, count: FlowCount, seen: &mut Vec<Seen>) -> Result<()> {
        let reported = self.reported.insert(key, count.packets);
        if reported.unwrap_or(0) < count.packets {
            let FlowCount { packets, bytes, .. } = count;
            let (passage, at, new) = (self.passage(&key), wall_clock(count.last), reported.is_none());
            seen.push(Seen::Flow { passage, at, new, packets, bytes });
        }
        if now().saturating_sub(count.last) > SILENCE {
            self.reported.remove(&key);
            self.watcher.forget(&key)?;
        }
        Ok(())
    }

    /// Reads the names of slaves again if one of them is not known: it may be new.
    fn learn_names<'a>(&mut self, netlink: &Netlink, keys: impl Iterator<Item = &'a FlowKey>) -> Result<()> {
        let mut slots = keys.flat_map(|key| [key.from, key.to]);
        if slots.any(|slot| slot != WIRE && !self.names.contains_key(&slot)) {
            self.names = names(netlink, self.watcher.port())?;
        }
        Ok(())
    }

    fn packet(&self, told: &PacketTold, bytes: Vec<u8>) -> Seen {
        Seen::Packet { passage: self.passage(&told.key), at: wall_clock(told.at), len: told.len, bytes }
    }

    fn passage(&self, key: &FlowKey) -> Passage {
        Passage {
            master: self.master.clone(),
            from: self.name(key.from),
            to: self.name(key.to),
            action: Verdict::from_words(key.verdict).action(),
            ethertype: key.ethertype,
            protocol: key.protocol,
            src: key.src,
            dst: key.dst,
            src_port: key.src_port,
            dst_port: key.dst_port,
        }
    }

    fn name(&self, slot: Slot) -> Option<String> {
        (slot != WIRE).then(|| self.names.get(&slot).cloned().unwrap_or_else(|| UNKNOWN.to_owned()))
    }
}

/// The names of a port's slaves.
fn names(netlink: &Netlink, port: &Port) -> Result<BTreeMap<Slot, String>> {
    let mut names = BTreeMap::new();
    for (host_end, slot) in port.maps.slots()? {
        if let Some(link) = netlink.link(host_end, None)? {
            names.insert(slot, shown_name(readable_peer(netlink, &link).name));
        }
    }
    Ok(names)
}

/// The time of day at a moment of `CLOCK_MONOTONIC`.
fn wall_clock(at: u64) -> SystemTime {
    let age = Duration::from_nanos(now().saturating_sub(at));
    SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)
}
