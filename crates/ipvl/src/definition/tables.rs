//! Which objects, commands and words are there?

use super::apply::APPLY;
use super::build::{bare, choice, kind, pair, rates};
use super::flowtable::{FLUSH, SET};
use super::graph::GRAPH;
use super::kinds::{KINDS, KINDS_ALONE, KINDS_TO_CHANGE};
use super::metrics::METRICS;
use super::policy::POLICY;
use super::top::TOP;
use super::watching::{CAPTURE, FLOWS};
use super::{Form, Object, Value, Verb, Word};
use ipvl_control::keys;

/// The objects, in the order in which a beginning is matched.
pub const OBJECTS: &[Object] = &[
    ADDRESS, LINK, POLICY, STATS, TOP, METRICS, MONITOR, FLOWS, CAPTURE, EXPLAIN, GRAPH, DOCTOR, AGENT, SET, FLUSH,
    UPGRADE, APPLY, MAN, COMPLETION, COMPLETE,
];

/// Words of iproute2 for any device, which ipvl refuses. `master` is one of them: it puts a device under a bridge or a bond.
/// Files and engines call ipvl's master `master` or `parent`; here it is `link`.
pub const SET_ELSEWHERE: &[&str] = &[
    "addrgenmode",
    "alias",
    "allmulticast",
    "altname",
    "arp",
    "brd",
    "broadcast",
    "carrier",
    "dynamic",
    "group",
    "gro_ipv4_max_size",
    "gro_max_size",
    "gso_ipv4_max_size",
    "gso_max_segs",
    "gso_max_size",
    "index",
    "link-netns",
    "link-netnsid",
    "master",
    "multicast",
    "nomaster",
    "numrxqueues",
    "numtxqueues",
    "parentdev",
    "promisc",
    "protodown",
    "qlen",
    "trailers",
    "txqlen",
    "txqueuelen",
    "vf",
    "vrf",
    "xdp",
    "xdpdrv",
    "xdpgeneric",
    "xdpoffload",
];

const LINK: Object = Object {
    name: "link",
    aliases: &[],
    about: "make, change and show slaves",
    text: &[
        "An ipvlan device, a slave, shares the MAC address of its master and is distinguished from the other slaves by \
         its IP addresses. Its mode says where its packets are routed, its flag how it reaches its siblings. \
         Both belong to the slave alone: adding or changing one slave changes no other.",
        "For everything else (addresses, routes, up, down, a move to another namespace) use iproute2, as with any \
         device.",
        "An ipvtap device is a slave for a virtual machine: a tap device, which QEMU, Firecracker and similar programs \
         open by its name. It stays in the master's namespace. The guest needs the master's MAC address, and its IP \
         addresses must be declared with ipvl addr add.",
    ],
    commands: &[
        Verb { name: "add", aliases: &[], about: "Makes a slave.", words: LINK_ADD },
        Verb {
            name: "set",
            aliases: &["change"],
            about: "Changes a slave. Properties that are not given stay as they are.",
            words: LINK_SET,
        },
        Verb { name: "delete", aliases: &[], about: "Deletes a slave.", words: LINK_DELETE },
        Verb {
            name: "show",
            aliases: &["lst", "list"],
            about: "Shows the slaves of all masters in this namespace, in whatever namespace they are.",
            words: LINK_SHOW,
        },
    ],
    examples: &[
        ("ipvl link add link eth0 name ipvl0 type ipvlan mode l2 bridge", "A slave of eth0."),
        ("ipvl link add link eth0 ipvl1 netns web type ipvlan mode l3s guard strict", "A slave in netns web."),
        ("ipvl link add link eth0 name tap0 type ipvtap mode l2 user kvm", "A tap device that user kvm may open."),
        ("ipvl link set ipvl0 type ipvlan private", "From now on no sibling reaches ipvl0; its mode stays."),
        (
            "ipvl link set ipvl0 rate in 1gbit out 100mbit",
            "It gets and sends no more than that; rate in off ends the first.",
        ),
        ("ipvl -d -j link show", "All slaves, in the JSON of ip -d -j link show."),
    ],
    hidden: false,
};

const LINK_ADD: &[Word] = &[
    pair("link", Value::Master, keys::MASTER.about).or(keys::MASTER.aliases).abbreviable().required(),
    bare("name", Value::NewName, "Its name; ipvl0, ipvl1, ... by default.").or(&["dev"]),
    pair("mtu", Value::Mtu, keys::MTU.about).or(keys::MTU.aliases),
    pair("address", Value::Mac, "Only the master's own MAC address is accepted.").abbreviable(),
    pair("netns", Value::Netns, "The namespace to make it in: a name, or a process in it."),
    RATE,
    kind(KINDS).required(),
];

const RATE: Word = rates("rate", &["in", "out"], RATE_ABOUT);

const RATE_ABOUT: &str = "The most that it gets (in) and that it sends (out), in tc(8)'s units: 100mbit, 1.5gbit, 2mbps; off for \
    no limit. Behind a rate, burst is what may pass at once after a pause, in bytes: 256kb; by default a fifth of a \
    second's, and at least 64kb. Nothing in the slave's own namespace can remove the limits.";

const LINK_SET: &[Word] = &[
    bare("dev", Value::Slave, "The slave.").required(),
    choice("state", &["up", "down"], "Administratively up or down."),
    pair("mtu", Value::Mtu, "At most the master's.").or(keys::MTU.aliases),
    pair("name", Value::NewName, "A new name."),
    pair("netns", Value::Netns, "Moves it to a namespace: a name, or a process in it."),
    RATE,
    kind(KINDS_TO_CHANGE),
];

const LINK_DELETE: &[Word] = &[bare("dev", Value::Slave, "The slave.").required(), kind(KINDS_ALONE)];

const LINK_SHOW: &[Word] = &[bare("dev", Value::Slave, "Only this slave."), kind(KINDS_ALONE)];

const ADDRESS: Object = Object {
    name: "addr",
    aliases: &["address"],
    about: "show the addresses of all slaves, and declare more",
    text: &[
        "ipvl follows the addresses on a slave's device, whichever program sets them. Other addresses can be declared: \
         an address on the slave's loopback, a prefix routed to it, a virtual machine behind it.",
        "An address that two slaves have stays with the first while that is up; the second is shown as a conflict. \
         replace moves an address to another slave.",
    ],
    commands: &[
        Verb {
            name: "show",
            aliases: &["lst", "list"],
            about: "Shows the owner of each address.",
            words: ADDRESS_SHOW,
        },
        Verb {
            name: "add",
            aliases: &[],
            about: "Declares an address or a prefix for a slave.",
            words: ADDRESS_CHANGE,
        },
        Verb {
            name: "replace",
            aliases: &[],
            about: "Declares an address for a slave, and takes it from another slave that has it.",
            words: ADDRESS_CHANGE,
        },
        Verb { name: "delete", aliases: &[], about: "Withdraws a declared address or prefix.", words: ADDRESS_CHANGE },
    ],
    examples: &[
        ("ipvl addr show dev ipvl0", "The addresses of ipvl0."),
        ("ipvl addr add 198.51.100.0/28 dev ipvl0", "Packets to the whole prefix go to ipvl0."),
    ],
    hidden: false,
};

const ADDRESS_SHOW: &[Word] = &[bare("dev", Value::Slave, "Only the addresses of this slave.")];

const ADDRESS_CHANGE: &[Word] = &[
    bare("local", Value::Prefix, "An address, or a prefix ADDR/LENGTH.").required(),
    pair("dev", Value::Slave, "The slave.").required(),
];

const STATS: Object = Object {
    name: "stats",
    aliases: &["statistics"],
    about: "show the traffic of slaves, and drops by reason",
    text: &["A master's own line counts dropped frames from the wire that were not for a particular slave."],
    commands: &[Verb {
        name: "",
        aliases: &[],
        about: "Shows the counters of slaves and masters.",
        words: &[bare("dev", Value::Slave, "Only this device.")],
    }],
    examples: &[("ipvl -d stats dev ipvl0", "With the meaning of each reason.")],
    hidden: false,
};

const MONITOR: Object = Object {
    name: "monitor",
    aliases: &[],
    about: "print changes of slaves and addresses, as they happen",
    text: &[
        "Prints one line (with -j, one object) for each slave that is made, deleted or changed, and for each line that \
         appears in or disappears from the address table, until it is ended. It does not print existing slaves and \
         addresses.",
        "An address that went from one slave to another, although the first one still has it, makes one line more, with \
         the reason: the first one is \"down\", it was \"silent\" when it was asked for the address, a command \
         \"replaced\" it (ipvl addr replace), or the \"host\" has the address.",
        "Each change of a slave is printed, in the order of the changes, even if it was undone at once. A change of the \
         address table that was undone within a few milliseconds may be missing. If the kernel has more events than its \
         buffer holds, the line \"Events were lost\" is printed, and then the differences.",
    ],
    commands: &[Verb { name: "", aliases: &[], about: "Prints changes until it is ended.", words: MONITOR_WORDS }],
    examples: &[
        ("ipvl -ts monitor label", "All changes, with the time, and [LINK] or [ADDR] before each."),
        ("ipvl -j monitor address dev ipvl0", "New, deleted and moved addresses of ipvl0, as JSON."),
    ],
    hidden: false,
};

const MONITOR_WORDS: &[Word] = &[
    choice("object", &["all", "link", "address"], "Changes of slaves, of addresses, or both; all by default.")
        .abbreviable(),
    choice("label", &["label"], "Print [LINK] or [ADDR] before each line.").abbreviable(),
    pair("dev", Value::Slave, "Only changes of this slave."),
];

const EXPLAIN: Object = Object {
    name: "explain",
    aliases: &[],
    about: "say what becomes of a frame, and why",
    text: &[
        "Makes the same decision as the programs in the kernel, with the current tables. Then asks the kernel what \
         follows: the host's routing table, the next hop, the state of the master. Nothing is sent. The frame is \
         described by words (a ping by default), or given in hexadecimal from its Ethernet header on.",
    ],
    commands: &[
        Verb { name: "from", aliases: &[], about: "A frame that a slave sends.", words: EXPLAIN_FROM },
        Verb { name: "in", aliases: &[], about: "A frame that a master receives.", words: EXPLAIN_IN },
    ],
    examples: &[
        ("ipvl explain from ipvl0 to 192.0.2.11", "May ipvl0 ping its sibling?"),
        ("ipvl explain in eth0 to 192.0.2.10 from 203.0.113.5 udp len 9000", "Where does this large datagram go?"),
    ],
    hidden: false,
};

const EXPLAIN_FROM: &[Word] = &[
    bare("dev", Value::Slave, "The slave that sends it.").required(),
    pair("to", Value::Address, "The destination; for arp and ns, whose MAC address is asked for."),
    pair("src", Value::Address, "The source; the slave's own address by default."),
    pair("dst-mac", Value::Mac, "The destination's MAC address; by default what the slave would have resolved."),
    pair("src-mac", Value::Mac, "The source's MAC address; the slave's own by default."),
    choice("protocol", PROTOCOLS, "What is in it; icmp (an echo request) by default."),
    DPORT,
    pair("len", Value::Length, "The whole frame's length; as short as possible by default."),
    HEX,
];

const EXPLAIN_IN: &[Word] = &[
    bare("dev", Value::Master, "The master that receives it.").required(),
    pair("to", Value::Address, "The destination; for arp and ns, whose MAC address is asked for."),
    pair("from", Value::Address, "The source; one of the addresses for documentation by default.").or(&["src"]),
    pair("dst-mac", Value::Mac, "The destination's MAC address; the master's by default."),
    pair("src-mac", Value::Mac, "The source's MAC address; one for documentation by default."),
    choice("protocol", PROTOCOLS, "What is in it; icmp (an echo request) by default."),
    DPORT,
    pair("len", Value::Length, "The whole frame's length; as short as possible by default."),
    HEX,
];

const PROTOCOLS: &[&str] = &["arp", "ns", "udp", "tcp", "icmp"];

const DPORT: Word = pair("dport", Value::Number, "The destination port of tcp and udp; 9 by default.");

const HEX: Word = Word {
    name: "hex",
    aliases: &[],
    form: Form::Rest(Value::Bytes),
    abbreviable: false,
    required: false,
    about: "The frame's bytes instead of a description; blanks and colons do not matter.",
};

const UPGRADE: Object = Object {
    name: "upgrade",
    aliases: &[],
    about: "replace loaded programs by those of this command",
    text: &[
        "Slaves keep the programs that they were made with until they are upgraded. Traffic goes on meanwhile and no \
         packet is lost: each one meets either the old programs or the new ones, and both have the same tables. The \
         agent is replaced too. The command can be repeated, also after it was interrupted.",
        "A master that is in another network namespace is left as it is.",
    ],
    commands: &[Verb {
        name: "",
        aliases: &[],
        about: "Upgrades the programs of a master, or of all masters in this network namespace.",
        words: UPGRADE_WORDS,
    }],
    examples: &[
        ("ipvl upgrade", "After a new version of ipvl was installed; the package does it."),
        ("ipvl upgrade eth0", "Only the programs of eth0 and its slaves."),
    ],
    hidden: false,
};

const UPGRADE_WORDS: &[Word] = &[
    bare("dev", Value::Master, "The master."),
    choice("again", &["again"], "Replace programs that are of this build already, too."),
];

const DOCTOR: Object = Object {
    name: "doctor",
    aliases: &[],
    about: "check the kernel, the agent and all slaves",
    text: &[
        "Checks the kernel, the agent and every slave, and prints what to do about each problem. Exits with status 1 \
         if something is bad.",
    ],
    commands: &[Verb { name: "", aliases: &[], about: "Prints one line for each finding.", words: DOCTOR_WORDS }],
    examples: &[("ipvl doctor", "Check everything."), ("ipvl doctor ipvl0", "Check ipvl0, its master and the kernel.")],
    hidden: false,
};

const DOCTOR_WORDS: &[Word] = &[bare("dev", Value::Slave, "Only this slave, its master and the kernel.")];

const AGENT: Object = Object {
    name: "agent",
    aliases: &[],
    about: "keep the tables in sync when other tools change addresses and devices",
    text: &[
        "One agent serves one network namespace. ipvl link add starts it if none runs, and it ends with the last slave. \
         Without an agent traffic continues, but changes by other tools are not noticed; when an agent starts, it reads \
         everything again.",
        "The service ipvl-agent.service runs ipvl agent stay.",
    ],
    commands: &[Verb {
        name: "",
        aliases: &[],
        about: "Runs in the foreground and logs to standard error.",
        words: &[choice(
            "term",
            &["stay"],
            "Keep running while there are no slaves, replace an agent that runs already, and notify the service manager \
             when ready.",
        )],
    }],
    examples: &[("ipvl agent stay", "The command of a service.")],
    hidden: false,
};

const MAN: Object = Object {
    name: "man",
    aliases: &[],
    about: "print a manual page",
    text: &[],
    commands: &[Verb {
        name: "",
        aliases: &[],
        about: "Prints it in roff.",
        words: &[bare("page", Value::Page, "ipvl by default, or ipvl-link and so on; DIR/ writes all pages there.")],
    }],
    examples: &[],
    hidden: true,
};

const COMPLETION: Object = Object {
    name: "completion",
    aliases: &["completions"],
    about: "print a shell's completion script",
    text: &[],
    commands: &[Verb {
        name: "",
        aliases: &[],
        about: "Prints it.",
        words: &[choice("shell", &["bash", "zsh", "fish"], "The shell.").required()],
    }],
    examples: &[],
    hidden: true,
};

const COMPLETE: Object = Object {
    name: "complete",
    aliases: &[],
    about: "print what may come next: for the completion scripts",
    text: &[],
    commands: &[Verb {
        name: "",
        aliases: &[],
        about: "Prints one candidate on each line, with its meaning behind a tab.",
        words: &[Word { form: Form::Rest(Value::Words), ..pair("--", Value::Words, "The words typed so far.") }],
    }],
    examples: &[],
    hidden: true,
};
