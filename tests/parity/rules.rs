//! Why may a frame end otherwise than with the kernel's driver? One rule for each reason that a row of the document has.
//!
//! A rule is as narrow as its row: what ipvl's core says of the frame, and what either driver must then have done with it.

use crate::meeting::Meeting;
use ipvl_core::Addr;

/// One reason.
pub struct Rule {
    /// What happens.
    pub name: &'static str,
    /// The row of `docs/parity.md` that says so.
    pub row: &'static str,
    /// Whether it explains this difference.
    pub explains: fn(&Meeting) -> bool,
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
        explains: |m| m.for_down() && m.refused(DOWN) && m.kernel.only(&["host"]),
    },
    Rule {
        name: "nothing for an l3 slave that is down leaves",
        row: "C3",
        explains: |m| !m.l2() && m.for_down() && m.refused(DOWN) && m.kernel.only(&["ext"]),
    },
    Rule {
        name: "a question for a slave that is down is not flooded",
        row: "C8",
        explains: |m| m.refused(&["slave-down"]) && m.kernel_floods(),
    },
    Rule {
        name: "no host access, no host",
        row: "C4",
        explains: |m| m.refused(&["no-host-access", "undeclared"]) && m.kernel.only(&["host"]),
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
    Rule {
        name: "a probe for an address in use is answered, and ends there",
        row: "C12",
        explains: |m| {
            let theirs = m.kernel_floods() || m.kernel.one_slave() || m.kernel.one_at_most(&["ext", "host"]);
            m.l2() && !m.by_wire() && m.verdict == "answer" && m.ipvl.nobody() && theirs
        },
    },
    Rule {
        name: "an ARP reply to an address of nobody is for the siblings that may have asked",
        row: "C12",
        explains: |m| {
            let answers = m.packet().is_some_and(|packet| packet.is_arp_answer());
            m.l2() && !m.by_wire() && answers && m.to_us() && m.as_decided() && m.kernel.only(&["host"])
        },
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
        explains: |m| !m.l2() && m.refused(&["multicast", "not-ip"]) && m.kernel.one_slave(),
    },
    Rule {
        name: "no IPv6 group for l3 slaves",
        row: "C37",
        explains: |m| !m.l2() && m.refused(&["multicast"]) && m.kernel.only(&["ext"]),
    },
    Rule {
        name: "a sibling takes a packet whatever its MAC address",
        row: "C30",
        explains: |m| !m.l2() && m.delivered() && m.kernel.nobody() && !m.to_us(),
    },
    Rule {
        name: "a question goes to its owner, whatever frame it is in",
        row: "C8",
        explains: |m| {
            let settled = m.delivered() || m.refused(DOWN);
            m.l2() && settled && m.question() && !m.to_group() && m.kernel.one_of(&["ext", "host"])
        },
    },
    Rule {
        name: "ICMPv6 from :: is a question only if it asks in l2",
        row: "C12",
        explains: |m| {
            let asks = m.l2() && m.question();
            !m.by_wire() && m.anonymous_icmp() && !asks && m.as_decided() && m.kernel.one_at_most(&["ext", "host"])
        },
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
        name: "no packet in a broadcast frame is an l3 slave's",
        row: "D4",
        explains: |m| !m.l2() && m.by_wire() && m.to_group() && m.verdict == "flood then host" && m.kernel.one_slave(),
    },
    Rule {
        name: "an ARP reply to an address of nobody is for whoever may have asked",
        row: "D9",
        explains: |m| {
            let answers = m.packet().is_some_and(|packet| packet.is_arp_answer());
            m.l2() && m.by_wire() && answers && !m.to_group() && m.as_decided() && m.kernel.only(&["host"])
        },
    },
    Rule {
        name: "no redirect leads past the switch",
        row: "D26",
        explains: |m| {
            let theirs = m.kernel.one_of(&ANY_SLAVE_OR_HOST) || m.kernel_copies();
            m.by_wire() && m.refused(&["sibling-redirect"]) && theirs
        },
    },
    Rule {
        name: "a question from outside goes to its owner and the host",
        row: "D7",
        explains: |m| m.ipvl.host_and_one_slave() && m.kernel_copies(),
    },
    Rule {
        name: "ARP and probes for l3 slaves are the host's",
        row: "D7",
        explains: |m| !m.l2() && m.by_wire() && m.ipvl.only(&["host"]) && m.kernel.one_slave(),
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
            m.by_wire() && m.malformed() && m.ipvl.only(&["host"]) && (m.kernel_copies() || m.kernel.one_slave())
        },
    },
    Rule {
        name: "what is tagged goes to no slave",
        row: "D15",
        explains: |m| m.by_wire() && m.frame.vlan.is_some_and(|id| id != 0) && m.ipvl.nobody(),
    },
    Rule {
        name: "our own frames, back from the switch, go to whom they have not reached",
        row: "D22",
        explains: |m| m.by_us() && m.verdict == "host" && m.as_decided() && m.kernel_copies(),
    },
    Rule {
        name: "our own frames, back from the switch, reach those that they could not reach directly",
        row: "D21",
        explains: |m| m.by_us() && m.kernel.only(&["host"]) && m.verdict.starts_with("flood ") && m.as_decided(),
    },
    Rule {
        name: "what says it comes from :: is for whom it is sent to",
        row: "D11",
        explains: |m| {
            let (theirs, ours) = (m.kernel.one_of(&ANY_SLAVE_OR_HOST), m.delivered() || m.ipvl.only(&["host"]));
            m.by_wire() && m.anonymous_icmp() && !(m.l2() && m.to_group()) && theirs && ours
        },
    },
    Rule {
        name: "MAC control from outside is a multicast like others",
        row: "D18",
        explains: |m| m.l2() && m.by_wire() && m.kind() == 0x8808 && m.kernel.only(&["host"]) && m.as_decided(),
    },
    Rule {
        name: "what private slaves send to each other, or to themselves, gains nothing by the switch",
        row: "D26",
        explains: |m| {
            m.by_wire()
                && m.by_us()
                && m.refused(&["reflected", "own-frame", "private"])
                && m.kernel.one_of(&ANY_SLAVE_OR_HOST)
        },
    },
    Rule {
        name: "the host is no substitute for a slave that is down",
        row: "D25",
        explains: |m| m.by_wire() && m.refused(&["slave-down"]) && (m.kernel.only(&["host"]) || m.kernel_copies()),
    },
    Rule {
        name: "a slave of l3s sees its packets itself",
        row: "E10",
        explains: |m| m.l3s() && m.by_wire() && m.kernel.only(&["host"]) && m.ipvl.host_and_one_slave(),
    },
    Rule {
        name: "a host with l3s slaves forwards",
        row: "E11",
        explains: |m| m.l3s() && m.by_wire() && m.kernel.only(&["host"]) && m.ipvl.only(&["ext", "host"]),
    },
    Rule {
        name: "of l3s the host takes what is for its MAC address",
        row: "E2",
        explains: |m| m.l3s() && !m.by_wire() && m.verdict == "host" && m.ipvl.nobody() && !m.to_us(),
    },
    Rule {
        name: "as a router the host forwards nothing that is odd",
        row: "E2",
        explains: |m| m.l3s() && !m.by_wire() && m.verdict == "host" && m.ipvl.only(&["host"]) && m.odd(),
    },
    Rule {
        name: "l3s passes the host's stack on the way out",
        row: "E2",
        explains: |m| m.l3s() && !m.by_wire() && m.kernel.only(&["ext"]) && m.ipvl.only(&["ext", "host"]),
    },
    Rule {
        name: "l3s passes the host's stack, and no further if nobody answers there",
        row: "E2",
        explains: |m| m.l3s() && m.verdict == "host" && m.kernel.nobody() && m.ipvl.only(&["host"]),
    },
    Rule {
        name: "l3s passes the host's stack between siblings",
        row: "E3",
        explains: |m| m.l3s() && !m.by_wire() && m.kernel.one_slave() && m.ipvl.host_and_one_slave(),
    },
];

const ANY_SLAVE_OR_HOST: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "host"];
const DOWN: &[&str] = &["slave-down", "private"];
const MALFORMED: &[&str] = &["truncated", "malformed"];
