//! What is known about a frame that did not end the same with both drivers?

use crate::identity::header_is_sound;
use crate::recorder::Record;
use ipvl_control::read::snapshot::Bytes;
use ipvl_core::wire::Packet;
use ipvl_core::{Addr, Flag, Mode, Owner, Slot, Tables, WIRE, egress, ingress};
use ipvl_testbed::MASTER_MAC;
use ipvl_tests::names::SLAVES;
use ipvl_tests::outcome::{Expected, words};
use ipvl_tests::world::World;
use std::fmt;

/// A frame that did not end the same.
pub struct Meeting<'a> {
    /// The world that it was sent in.
    pub world: &'a World,
    /// Its sender.
    pub from: Option<Slot>,
    /// The frame.
    pub frame: Bytes,
    /// The stations that saw it with the kernel's driver.
    pub kernel: Record,
    /// The stations that saw it with ipvl.
    pub ipvl: Record,
    /// What ipvl's core says of it.
    pub verdict: String,
}

impl<'a> Meeting<'a> {
    /// Of these two records.
    pub fn new(world: &'a World, from: Option<Slot>, frame: &[u8], kernel: Record, ipvl: Record) -> Self {
        let (snapshot, frame) = (world.snapshot(), as_received(from, frame));
        let verdict = match from {
            Some(_) => egress(&frame, &snapshot, from),
            None => ingress(&frame, &snapshot),
        };
        let verdict = words(verdict, &frame, &snapshot);
        Self { world, from, frame, kernel, ipvl, verdict }
    }

    /// The mode of all.
    pub fn mode(&self) -> Mode {
        self.world.members[0].options().mode
    }

    /// The flag of all.
    pub fn flag(&self) -> Flag {
        self.world.members[0].options().flag
    }

    pub fn bridge(&self) -> bool {
        self.flag() == Flag::Bridge
    }

    pub fn l2(&self) -> bool {
        self.mode() == Mode::L2
    }

    pub fn l3s(&self) -> bool {
        self.mode() == Mode::L3s
    }

    pub fn by_wire(&self) -> bool {
        self.from.is_none()
    }

    pub fn to_group(&self) -> bool {
        self.frame.data[0] & 1 != 0
    }

    pub fn to_us(&self) -> bool {
        self.frame.data[..6] == MASTER_MAC
    }

    pub fn sender(&self) -> &'static str {
        self.from.map_or("wire", |Slot(slot)| SLAVES[slot as usize])
    }

    pub fn by_us(&self) -> bool {
        self.frame.data[6..12] == MASTER_MAC
    }

    pub fn kind(&self) -> u16 {
        u16::from_be_bytes([self.frame.data[12], self.frame.data[13]])
    }

    pub fn packet(&self) -> Option<Packet> {
        Packet::parse(&self.frame, self.kind()).ok()
    }

    pub fn question(&self) -> bool {
        self.packet().is_some_and(|packet| packet.is_solicitation())
    }

    pub fn source(&self) -> Option<Addr> {
        self.packet().map(|packet| packet.src)
    }

    pub fn destination(&self) -> Option<Addr> {
        self.packet().map(|packet| packet.dst)
    }

    /// A router may refuse it: it has no hops left, options for a router, a wrong sum, or a source that is not the sender's.
    pub fn odd(&self) -> bool {
        let hops = self.frame.data.get(if self.kind() == 0x0800 { 22 } else { 21 });
        let own = self.source().is_some_and(|source| self.world.snapshot().owner(source) == Owner::Slave(self.slot()));
        let options = match self.kind() {
            0x0800 => self.frame.data.get(14) != Some(&0x45),
            _ => self.frame.data.get(20) == Some(&0),
        };
        !own || options || hops.is_some_and(|hops| *hops <= 1) || !header_is_sound(&self.frame.data)
    }

    pub fn slot(&self) -> Slot {
        self.from.unwrap_or(WIRE)
    }

    /// ICMPv6 from `::`. The kernel's driver goes by the target that it thinks to see in there.
    pub fn anonymous_icmp(&self) -> bool {
        let nobody = self.source().is_some_and(Addr::is_unspecified);
        nobody && self.kind() == 0x86dd && self.frame.data.get(20) == Some(&58)
    }

    /// It is for a slave that is down.
    pub fn for_down(&self) -> bool {
        let snapshot = self.world.snapshot();
        let owner = self.packet().map(|packet| snapshot.owner(packet.dst));
        matches!(owner, Some(Owner::Slave(slot)) if !snapshot.slave(slot).up())
    }

    /// Those see it with ipvl that its core says; the host's stack, if it knows the protocol.
    pub fn as_decided(&self) -> bool {
        let due = Record::once(&Expected::parse(&self.verdict).reaches);
        let heard = |record: &Record| {
            let mut record = record.clone();
            record.0.remove("host");
            record
        };
        heard(&due) == heard(&self.ipvl)
    }

    /// ipvl's core does not know it for an IP packet or ARP message, though its type says that it is one.
    pub fn malformed(&self) -> bool {
        self.packet().is_none()
    }

    /// ipvl drops it for one of these reasons, and no station sees it.
    pub fn refused(&self, reasons: &[&str]) -> bool {
        self.ipvl.nobody() && self.verdict.strip_prefix("drop ").is_some_and(|reason| reasons.contains(&reason))
    }

    /// ipvl hands it to one slave, which alone sees it.
    pub fn delivered(&self) -> bool {
        self.verdict.strip_prefix("deliver ").is_some_and(|name| self.ipvl.only(&[name]))
    }

    /// The kernel's driver gives all other slaves a copy, besides these.
    pub fn copies_and(&self, more: &[&str]) -> bool {
        let others = self.world.members.iter().filter(|member| member.state().up && Some(member.slot()) != self.from);
        let names: Vec<_> = others.map(|member| member.name.as_str()).chain(more.iter().copied()).collect();
        self.kernel.only(&names)
    }

    /// The kernel's driver copies it to all siblings and sends it out.
    pub fn kernel_floods(&self) -> bool {
        self.l2() && !self.by_wire() && self.to_group() && self.copies_and(&["ext"])
    }

    /// The kernel's driver copies it to all slaves, and the host gets it too if it is for the host.
    pub fn kernel_copies(&self) -> bool {
        self.l2() && self.by_wire() && self.to_group() && (self.copies_and(&["host"]) || self.copies_and(&[]))
    }
}

/// A tag that a device receives is kept apart from the bytes.
fn as_received(from: Option<Slot>, frame: &[u8]) -> Bytes {
    let tagged = from.is_none() && frame.len() >= 18 && frame[12..14] == [0x81, 0x00];
    if !tagged {
        return frame.to_vec().into();
    }
    let vlan = Some(u16::from_be_bytes([frame[14], frame[15]]) & 0xfff);
    Bytes { vlan, ..Bytes::from([&frame[..12], &frame[16..]].concat()) }
}

/// One line: the sender, the frame, the world, and what became of it with both drivers.
impl fmt::Display for Meeting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: Vec<_> = self
            .world
            .members
            .iter()
            .map(|member| {
                let down = if member.state().up { "" } else { " down" };
                format!("{}{down}", member.name)
            })
            .collect();
        let from = self.from.map_or("wire", |Slot(slot)| SLAVES[slot as usize]);
        write!(f, "{:?} {:?} [{}] from {from}: ", self.mode(), self.flag(), members.join(", "))?;
        self.frame.data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, ": kernel {}, ipvl {} ({})", self.kernel, self.ipvl, self.verdict)
    }
}
