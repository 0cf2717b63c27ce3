//! Which kinds of slaves are there, and which words follow them?

use super::tables::{choice, pair};
use super::{DeviceKind, Value, Word};

/// The kinds, with the words behind them.
pub const KINDS: &[DeviceKind] = &[
    DeviceKind { name: "ipvlan", words: &[MODE, FLAG, GUARD, HOST, NEIGH, SIBLINGS, BACKEND] },
    DeviceKind { name: "ipvtap", words: &[MODE, FLAG, GUARD, HOST, NEIGH, SIBLINGS, USER, GROUP, MULTI_QUEUE] },
];

/// A slave that is there already keeps its devices and its owner.
pub const KINDS_TO_CHANGE: &[DeviceKind] = &[IPVLAN, DeviceKind { name: "ipvtap", ..IPVLAN }];

/// Where only the name is asked for.
pub const KINDS_ALONE: &[DeviceKind] =
    &[DeviceKind { name: "ipvlan", words: &[] }, DeviceKind { name: "ipvtap", words: &[] }];

const IPVLAN: DeviceKind = DeviceKind { name: "ipvlan", words: &[MODE, FLAG, GUARD, HOST, NEIGH, SIBLINGS] };

const MODE: Word = pair(
    "mode",
    Value::OneOf(&["l2", "l3", "l3s"]),
    "l2: the slave's own stack resolves and routes. l3 (the default): the master's routing table decides. \
     l3s: as l3, through the host's netfilter hooks.",
)
.abbreviable();

const FLAG: Word = choice(
    "flag",
    &["bridge", "private", "vepa"],
    "bridge (the default): siblings talk directly. private: not at all. vepa: by way of the switch.",
)
.abbreviable();

const GUARD: Word = pair(
    "guard",
    Value::OneOf(&["owned", "strict", "off"]),
    "Source addresses that the slave may use. owned (the default): any but the host's and other slaves'. strict: \
     only its own. off: any.",
)
.abbreviable();

const HOST: Word = pair(
    "host",
    Value::OneOf(&["on", "off"]),
    "Whether host and slave reach each other. off by default; in l3s always on.",
)
.abbreviable();

const NEIGH: Word = pair(
    "neigh",
    Value::OneOf(&["proxy", "off"]),
    "proxy: whoever on the master's link asks for an address of this slave (ARP, neighbour discovery) is answered for \
     it, in l3 and l3s, where its own stack does not. off (the default): the host gets the question. In l2 the slave \
     answers itself.",
);

const SIBLINGS: Word = pair(
    "siblings",
    Value::OneOf(&["host", "direct"]),
    "How a slave in l3s and a sibling meet. host (the default): in the host's stack, whose netfilter hooks see it. direct: \
     past it, as in l3, if the sibling is in l2 or l3, or says direct, too. In l2 and l3 it is kept and changes nothing.",
);

const BACKEND: Word = pair(
    "backend",
    Value::OneOf(&["veth", "netkit"]),
    "What the slave and its host end are: the ends of a veth pair, or of a netkit pair, which is faster to the outside \
     and needs Linux 6.7. netkit by default where the kernel has it, but for more than three slaves of one batch, which \
     veth makes faster.",
);

const USER: Word = pair("user", Value::User, "ipvtap: this user may open the tap device; by default whoever makes it.");

const GROUP: Word = pair("group", Value::Group, "ipvtap: members of this group may open the tap device.");

const MULTI_QUEUE: Word = choice(
    "queues",
    &["multi_queue"],
    "ipvtap: it is opened once for each queue, by a virtual machine that has several.",
);
