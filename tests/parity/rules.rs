//! Why may a frame end otherwise than with the kernel's driver? One rule for each reason that a row of the document has.
//!
//! A rule is as narrow as its row: what ipvl's core says of the frame, and what either driver must then have done with it.

use crate::recorder::Record;
use ipvl_control::snapshot::Bytes;
use ipvl_core::wire::{HEADER_LEN, Packet};
use ipvl_core::{Addr, Flag, Mode, Slot, egress, ingress};
use ipvl_testbed::MASTER_MAC;
use ipvl_tests::names::SLAVES;
use ipvl_tests::outcome::{Expected, words};
use ipvl_tests::world::World;
use std::fmt;

/// One reason.
pub struct Rule {
    /// What happens.
    pub name: &'static str,
    /// The row of `docs/parity.md` that says so.
    pub row: &'static str,
    /// Whether it explains this difference.
    pub explains: fn(&Meeting) -> bool,
}

/// A frame that did not end the same.
pub struct Meeting<'a> {
    /// Who is there.
    pub world: &'a World,
    /// Who sent it.
    pub from: Option<Slot>,
    /// The frame.
    pub frame: Bytes,
    /// Who saw it with the kernel's driver.
    pub kernel: Record,
    /// Who saw it with ipvl.
    pub ipvl: Record,
    /// What ipvl's core says of it.
    pub verdict: String,
}

/// The first that explains a difference counts.
pub const RULES: &[Rule] = &[
    // What slaves send.
    Rule { name: "no tag leaves a slave", row: "C18", explains: |m| m.refused(&["tagged"]) },
    Rule { name: "no foreign MAC address leaves a slave", row: "C20", explains: |m| m.refused(&["foreign-mac"]) },
    Rule { name: "no MAC control leaves a slave", row: "C16", explains: |m| m.refused(&["mac-control"]) },
    Rule {
        name: "nobody sends in another's name",
        row: "C20",
        explains: |m| m.refused(&["spoofed-slave", "spoofed-host", "not-owned"]),
    },
    Rule {
        name: "what is malformed does not leave",
        row: "C20",
        explains: |m| m.l2() && m.refused(MALFORMED) && !m.to_us(),
    },
    Rule {
        name: "what is malformed does not reach the host",
        row: "C19",
        explains: |m| m.l2() && m.refused(MALFORMED) && m.to_us(),
    },
    Rule { name: "what is malformed is not repaired", row: "C40", explains: |m| !m.l2() && m.refused(MALFORMED) },
    Rule {
        name: "nothing for a slave that is down reaches the host",
        row: "C3",
        explains: |m| m.refused(&["slave-down"]) && m.kernel.only(&["host"]),
    },
    Rule {
        name: "a question for a slave that is down is not flooded",
        row: "C8",
        explains: |m| m.refused(&["slave-down"]) && m.kernel_floods(),
    },
    Rule {
        name: "no host access, no host",
        row: "C4",
        explains: |m| m.refused(&["no-host-access"]) && m.kernel.only(&["host"]),
    },
    Rule {
        name: "no host access, no host, whatever it is",
        row: "C15",
        explains: |m| m.l2() && m.refused(&["not-ip"]) && m.kernel.only(&["host"]),
    },
    Rule {
        name: "a packet to its own sender ends",
        row: "C50",
        explains: |m| m.refused(&["own-frame"]) && m.kernel.one_of(&[m.sender(), "ext"]),
    },
    Rule {
        name: "private slaves do not hear questions for each other",
        row: "C8",
        explains: |m| m.refused(&["private"]) && m.kernel_floods(),
    },
    Rule { name: "a question goes to its owner alone", row: "C8", explains: |m| m.delivered() && m.kernel_floods() },
    Rule {
        name: "a question for the sender's own address concerns the outside",
        row: "C12",
        explains: |m| m.bridge() && m.verdict == "flood then wire" && m.ipvl.only(&["ext"]) && m.kernel_floods(),
    },
    Rule {
        name: "what private and vepa slaves say to all goes out alone",
        row: "C6",
        explains: |m| !m.bridge() && m.ipvl.only(&["ext"]) && m.kernel_floods(),
    },
    Rule {
        name: "no group for l3 slaves",
        row: "C38",
        explains: |m| !m.l2() && m.refused(&["group", "not-ip"]) && m.kernel.one_slave(),
    },
    Rule {
        name: "no IPv6 group for l3 slaves",
        row: "C37",
        explains: |m| !m.l2() && m.refused(&["group"]) && m.kernel.only(&["ext"]),
    },
    Rule {
        name: "a sibling takes a packet whatever its MAC address",
        row: "C30",
        explains: |m| !m.l2() && m.delivered() && m.kernel.nobody() && !m.to_us(),
    },
    Rule {
        name: "a question goes to its owner, whatever frame it is in",
        row: "C8",
        explains: |m| m.l2() && m.delivered() && m.question() && !m.to_group() && m.kernel.one_of(&["ext", "host"]),
    },
    Rule {
        name: "nothing from an IPv6 group leaves",
        row: "C37",
        explains: |m| !m.l2() && m.verdict == "route" && m.ipvl.nobody() && m.source().is_some_and(Addr::is_group),
    },
    Rule {
        name: "what comes from an IPv4 group leaves",
        row: "C37",
        explains: |m| !m.l2() && m.ipvl.only(&["ext"]) && m.kernel.nobody() && m.source().is_some_and(Addr::is_group),
    },
    Rule {
        name: "a packet to 0.0.0.0 is not the host's",
        row: "C31",
        explains: |m| !m.l2() && m.kernel.only(&["host"]) && m.destination().is_some_and(Addr::is_unspecified),
    },
    // What comes from the wire.
    Rule {
        name: "a packet to one slave in a broadcast frame is that slave's",
        row: "D4",
        explains: |m| m.delivered() && m.kernel_copies(),
    },
    Rule {
        name: "a question from outside goes to its owner and the host",
        row: "D7",
        explains: |m| m.ipvl.host_and_one_slave() && m.kernel_copies(),
    },
    Rule {
        name: "ARP and probes for l3 slaves are the host's",
        row: "D7",
        explains: |m| !m.l2() && m.from_wire() && m.ipvl.only(&["host"]) && m.kernel.one_slave(),
    },
    Rule {
        name: "a question from outside for a slave that is down is the host's",
        row: "D25",
        explains: |m| m.verdict == "flood then host" && m.ipvl.only(&["host"]) && m.kernel_copies(),
    },
    Rule {
        name: "what is malformed goes to no slave",
        row: "D20",
        explains: |m| {
            m.from_wire() && m.malformed() && m.ipvl.only(&["host"]) && (m.kernel_copies() || m.kernel.one_slave())
        },
    },
    Rule {
        name: "what is tagged goes to no slave",
        row: "D15",
        explains: |m| m.from_wire() && m.frame.vlan.is_some_and(|id| id != 0) && m.ipvl.nobody(),
    },
    Rule {
        name: "our own frames, back from the switch, go to whom they have not reached",
        row: "D22",
        explains: |m| m.from_wire() && m.from_us() && m.to_group() && m.ipvl.only(&["host"]) && m.kernel_copies(),
    },
    Rule {
        name: "our own frames, back from the switch, reach those that they could not reach directly",
        row: "D21",
        explains: |m| m.from_us() && m.kernel.only(&["host"]) && m.verdict.starts_with("flood ") && m.as_decided(),
    },
    Rule {
        name: "what says it comes from :: is for whom it is sent to",
        row: "D11",
        explains: |m| {
            m.from_wire() && m.delivered() && m.kernel.only(&["host"]) && m.source().is_some_and(Addr::is_unspecified)
        },
    },
    Rule {
        name: "MAC control from outside is a multicast like others",
        row: "D18",
        explains: |m| m.l2() && m.from_wire() && m.kind() == 0x8808 && m.kernel.nobody() && m.as_decided(),
    },
    Rule {
        name: "what private slaves send to each other, or to themselves, gains nothing by the switch",
        row: "D26",
        explains: |m| {
            m.from_wire() && m.from_us() && m.refused(&["reflected", "own-frame", "private"]) && m.kernel.one_slave()
        },
    },
    Rule {
        name: "the host is no substitute for a slave that is down",
        row: "D25",
        explains: |m| m.from_wire() && m.refused(&["slave-down"]) && (m.kernel.only(&["host"]) || m.kernel_copies()),
    },
    Rule {
        name: "a slave of l3s sees its packets itself",
        row: "E10",
        explains: |m| m.l3s() && m.from_wire() && m.kernel.only(&["host"]) && m.ipvl.host_and_one_slave(),
    },
    Rule {
        name: "l3s passes the host's stack on the way out",
        row: "E2",
        explains: |m| m.l3s() && !m.from_wire() && m.kernel.only(&["ext"]) && m.ipvl.only(&["ext", "host"]),
    },
    Rule {
        name: "l3s passes the host's stack between siblings",
        row: "E3",
        explains: |m| m.l3s() && !m.from_wire() && m.kernel.one_slave() && m.ipvl.host_and_one_slave(),
    },
];

const MALFORMED: &[&str] = &["truncated", "malformed"];

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

    fn mode(&self) -> Mode {
        self.world.members[0].config().mode
    }

    fn flag(&self) -> Flag {
        self.world.members[0].config().flag
    }

    fn bridge(&self) -> bool {
        self.flag() == Flag::Bridge
    }

    fn l2(&self) -> bool {
        self.mode() == Mode::L2
    }

    fn l3s(&self) -> bool {
        self.mode() == Mode::L3s
    }

    fn from_wire(&self) -> bool {
        self.from.is_none()
    }

    fn to_group(&self) -> bool {
        self.frame.data[0] & 1 != 0
    }

    fn to_us(&self) -> bool {
        self.frame.data[..6] == MASTER_MAC
    }

    fn sender(&self) -> &'static str {
        self.from.map_or("wire", |Slot(slot)| SLAVES[slot as usize])
    }

    fn from_us(&self) -> bool {
        self.frame.data[6..12] == MASTER_MAC
    }

    fn kind(&self) -> u16 {
        u16::from_be_bytes([self.frame.data[12], self.frame.data[13]])
    }

    fn packet(&self) -> Option<Packet> {
        Packet::parse(&self.frame, HEADER_LEN, self.kind()).ok()
    }

    fn question(&self) -> bool {
        self.packet().is_some_and(|packet| packet.is_question())
    }

    fn source(&self) -> Option<Addr> {
        self.packet().map(|packet| packet.src)
    }

    fn destination(&self) -> Option<Addr> {
        self.packet().map(|packet| packet.dst)
    }

    /// Those see it with ipvl that its core says; the host's stack, if it knows the protocol.
    fn as_decided(&self) -> bool {
        let due = Record::once(&Expected::parse(&self.verdict).reaches);
        let heard = |record: &Record| {
            let mut record = record.clone();
            record.0.remove("host");
            record
        };
        heard(&due) == heard(&self.ipvl)
    }

    /// ipvl's core does not know it for an IP packet or ARP message, though its type says that it is one.
    fn malformed(&self) -> bool {
        self.packet().is_none()
    }

    /// ipvl drops it for one of these reasons, and nobody sees it.
    fn refused(&self, reasons: &[&str]) -> bool {
        self.ipvl.nobody() && self.verdict.strip_prefix("drop ").is_some_and(|reason| reasons.contains(&reason))
    }

    /// ipvl hands it to one slave, which alone sees it.
    fn delivered(&self) -> bool {
        self.verdict.strip_prefix("deliver ").is_some_and(|name| self.ipvl.only(&[name]))
    }

    /// The kernel's driver gives all other slaves a copy, besides these.
    fn copies_and(&self, more: &[&str]) -> bool {
        let others = self.world.members.iter().filter(|member| member.config().up && Some(member.slot()) != self.from);
        let names: Vec<_> = others.map(|member| member.name.as_str()).chain(more.iter().copied()).collect();
        self.kernel.only(&names)
    }

    /// The kernel's driver copies it to all siblings and sends it out.
    fn kernel_floods(&self) -> bool {
        self.l2() && !self.from_wire() && self.to_group() && self.copies_and(&["ext"])
    }

    /// The kernel's driver copies it to all slaves, and the host gets it too if it is for the host.
    fn kernel_copies(&self) -> bool {
        self.l2() && self.from_wire() && self.to_group() && (self.copies_and(&["host"]) || self.copies_and(&[]))
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

/// One line: who sent what in which world, and what became of it with both.
impl fmt::Display for Meeting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: Vec<_> = self
            .world
            .members
            .iter()
            .map(|member| {
                let down = if member.config().up { "" } else { " down" };
                format!("{}{down}", member.name)
            })
            .collect();
        let from = self.from.map_or("wire", |Slot(slot)| SLAVES[slot as usize]);
        write!(f, "{:?} {:?} [{}] from {from}: ", self.mode(), self.flag(), members.join(", "))?;
        self.frame.data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, ": kernel {}, ipvl {} ({})", self.kernel, self.ipvl, self.verdict)
    }
}
