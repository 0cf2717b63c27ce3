//! Which objects, commands, words and options are there?

use super::apply::APPLY;
use super::build::{bare, choice, kind, pair, switch};
use super::kinds::{KINDS, KINDS_ALONE, KINDS_TO_CHANGE};
use super::{Form, Object, Switch, Value, Verb, Word};
use ipvl_control::keys;

/// The switches, in the order in which a beginning is matched.
pub const SWITCHES: &[Switch] = &[
    switch("details", "d", None, "Show all that the kernel knows of a device; with stats, what each reason means."),
    switch("json", "j", None, "Print JSON."),
    switch("pretty", "p", None, "Indent the JSON."),
    Switch { alias: "stats", ..switch("statistics", "s", None, "Show what went through a device, too.") },
    switch("timestamp", "t", None, "With monitor: print when, on a line of its own."),
    switch("tshort", "ts", None, "With monitor: print when, in short, at the start of the line."),
    switch("netns", "n", Some(Value::NetnsName), "Work in this network namespace: a name, or a path."),
    switch("batch", "b", Some(Value::File), "Read commands from a file, one a line; - is standard input."),
    switch("force", "fo", None, "In a batch, go on after a command that failed."),
    Switch { alias: "version", ..switch("Version", "V", None, "Print the version.") },
    switch("help", "h", None, "Print the help."),
];

/// The objects, in the order in which a beginning is matched.
pub const OBJECTS: &[Object] =
    &[ADDRESS, LINK, STATS, MONITOR, EXPLAIN, DOCTOR, AGENT, APPLY, MAN, COMPLETION, COMPLETE];

/// Words that iproute2 knows for any device and that stay its own. `master` is one of them: it puts a device under a bridge
/// or a bond. What files and engines call the master is `link` here.
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
        "An ipvlan device, a slave, shares the MAC address of its master and is told apart from the other slaves by \
         its IP addresses. Its mode says where its packets are routed, its flag which of its siblings it may talk to. \
         Both belong to the slave alone: adding or changing one slave changes no other.",
        "Anything that iproute2 does with a device (addresses, routes, up, down, a move to another namespace) is done \
         to a slave with iproute2 itself.",
        "An ipvtap device is a slave for a virtual machine: a tap device, which QEMU, Firecracker and the like open by \
         its name. It stays in the master's namespace. The guest needs the master's MAC address, and its IP addresses \
         are declared with ipvl addr add.",
    ],
    commands: &[
        Verb { name: "add", aliases: &[], about: "Makes a slave.", words: LINK_ADD },
        Verb {
            name: "set",
            aliases: &["change"],
            about: "Changes a slave. What is not given stays as it is.",
            words: LINK_SET,
        },
        Verb { name: "delete", aliases: &[], about: "Deletes a slave.", words: LINK_DELETE },
        Verb {
            name: "show",
            aliases: &["lst", "list"],
            about: "Shows the slaves whose master is here, in whatever namespace they are.",
            words: LINK_SHOW,
        },
    ],
    examples: &[
        ("ipvl link add link eth0 name ipvl0 type ipvlan mode l2 bridge", "A slave of eth0."),
        ("ipvl link add link eth0 ipvl1 netns web type ipvlan mode l3s guard strict", "One that starts in netns web."),
        ("ipvl link add link eth0 name tap0 type ipvtap mode l2 user kvm", "A tap device that user kvm may open."),
        ("ipvl link set ipvl0 type ipvlan private", "From now on no sibling reaches ipvl0; its mode stays."),
        ("ipvl -d -j link show", "All slaves, in the JSON of ip -d -j link show."),
    ],
    hidden: false,
};

const LINK_ADD: &[Word] = &[
    pair("link", Value::Master, keys::MASTER.about).or(keys::MASTER.aliases).abbreviable().required(),
    bare("name", Value::NewName, "Its name; ipvl0, ipvl1, ... by default.").or(&["dev"]),
    pair("mtu", Value::Mtu, keys::MTU.about).or(keys::MTU.aliases),
    pair("address", Value::Mac, "Only the master's own MAC address is possible.").abbreviable(),
    pair("netns", Value::Netns, "Where the slave starts: a namespace's name, or a process in it."),
    kind(KINDS).required(),
];

const LINK_SET: &[Word] = &[
    bare("dev", Value::Slave, "The slave.").required(),
    choice("state", &["up", "down"], "Administratively up or down."),
    pair("mtu", Value::Mtu, "At most the master's.").or(keys::MTU.aliases),
    pair("name", Value::NewName, "A new name."),
    pair("netns", Value::Netns, "Moves it there: a namespace's name, or a process in it."),
    kind(KINDS_TO_CHANGE),
];

const LINK_DELETE: &[Word] = &[bare("dev", Value::Slave, "The slave.").required(), kind(KINDS_ALONE)];

const LINK_SHOW: &[Word] = &[bare("dev", Value::Slave, "Only this slave."), kind(KINDS_ALONE)];

const ADDRESS: Object = Object {
    name: "addr",
    aliases: &["address"],
    about: "show and add to the addresses that traffic is told apart by",
    text: &[
        "The addresses on a slave's device are followed by themselves, whoever sets them. Others can be declared: an \
         address on the slave's loopback, a prefix routed to it, a virtual machine behind it.",
        "An address that two slaves claim stays with the first, as long as that is up; the second is shown as a \
         conflict. With replace it moves on purpose.",
    ],
    commands: &[
        Verb { name: "show", aliases: &["lst", "list"], about: "Shows who owns which address.", words: ADDRESS_SHOW },
        Verb { name: "add", aliases: &[], about: "Declares an address or a prefix a slave's.", words: ADDRESS_CHANGE },
        Verb { name: "replace", aliases: &[], about: "Moves one here from another slave.", words: ADDRESS_CHANGE },
        Verb { name: "delete", aliases: &[], about: "Takes a declared one back.", words: ADDRESS_CHANGE },
    ],
    examples: &[
        ("ipvl addr show dev ipvl0", "What belongs to ipvl0."),
        ("ipvl addr add 198.51.100.0/28 dev ipvl0", "All of the prefix goes to ipvl0."),
    ],
    hidden: false,
};

const ADDRESS_SHOW: &[Word] = &[bare("dev", Value::Slave, "Only this slave's.")];

const ADDRESS_CHANGE: &[Word] = &[
    bare("local", Value::Prefix, "An address, or a prefix ADDR/LENGTH.").required(),
    pair("dev", Value::Slave, "The slave.").required(),
];

const STATS: Object = Object {
    name: "stats",
    aliases: &["statistics"],
    about: "show what went through, and what was dropped for which reason",
    text: &["A master's own line counts the frames from the wire that were for no slave in particular."],
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
    about: "tell what changes, as it happens",
    text: &[
        "Prints a line (with -j, an object) for a slave that is made, deleted or changed, and for every line that          appears in or disappears from the address table, until it is ended. What is there already is not printed.",
        "Changes of a slave are told each, in the order in which they happened, even if they were undone at once. Of          the address table what was undone within a few milliseconds may go untold. If the kernel has more to tell          than it can keep, a line says so, and then what is different.",
    ],
    commands: &[Verb { name: "", aliases: &[], about: "Tells until it is ended.", words: MONITOR_WORDS }],
    examples: &[
        ("ipvl -ts monitor label", "Everything, with the time, and [LINK] or [ADDR] in front."),
        ("ipvl -j monitor address dev ipvl0", "What ipvl0 gains and loses, for a program to read."),
    ],
    hidden: false,
};

const MONITOR_WORDS: &[Word] = &[
    choice("object", &["all", "link", "address"], "Of what to tell; all by default.").abbreviable(),
    choice("label", &["label"], "Put [LINK] or [ADDR] in front of each line.").abbreviable(),
    pair("dev", Value::Slave, "Only of this slave."),
];

const EXPLAIN: Object = Object {
    name: "explain",
    aliases: &[],
    about: "say what becomes of a frame, and why",
    text: &["Runs the decision that the kernel runs, on the tables as they are now. Then asks the \
         kernel what follows: the host's routing table, the next hop, the state of the master. Nothing is sent. The \
         frame is described (a ping by default), or given in hexadecimal from its Ethernet header on."],
    commands: &[
        Verb { name: "from", aliases: &[], about: "A frame that a slave sends.", words: EXPLAIN_FROM },
        Verb { name: "in", aliases: &[], about: "A frame that a master receives.", words: EXPLAIN_IN },
    ],
    examples: &[
        ("ipvl explain from ipvl0 to 192.0.2.11", "May ipvl0 ping its sibling?"),
        ("ipvl explain in eth0 to 192.0.2.10 from 203.0.113.5 udp len 9000", "Who gets this large datagram?"),
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
    pair("len", Value::Length, "The whole frame's length; as short as possible by default."),
    HEX,
];

const PROTOCOLS: &[&str] = &["arp", "ns", "udp", "tcp", "icmp"];

const HEX: Word = Word {
    name: "hex",
    aliases: &[],
    form: Form::Rest(Value::Bytes),
    abbreviable: false,
    required: false,
    about: "The frame's bytes instead of a description; blanks and colons do not matter.",
};

const DOCTOR: Object = Object {
    name: "doctor",
    aliases: &[],
    about: "look for what is missing or in the way",
    text: &["Looks at the kernel and at every slave, and says what to do. Ends with status 1 if something is broken."],
    commands: &[Verb { name: "", aliases: &[], about: "Prints one finding a line.", words: DOCTOR_WORDS }],
    examples: &[("ipvl doctor", "Is all well?"), ("ipvl doctor ipvl0", "Is all well with ipvl0?")],
    hidden: false,
};

const DOCTOR_WORDS: &[Word] = &[bare("dev", Value::Slave, "Only this slave, its master and the kernel.")];

const AGENT: Object = Object {
    name: "agent",
    aliases: &[],
    about: "keep the tables true while others change addresses and devices",
    text: &[
        "One agent serves one network namespace. ipvl link add starts it where none runs, and it goes when the last \
         slave goes. Without it traffic goes on as it was; it re-reads everything when it starts.",
        "As a service (ipvl-agent.service) it is told to stay.",
    ],
    commands: &[Verb {
        name: "",
        aliases: &[],
        about: "Runs in the foreground and logs to standard error.",
        words: &[choice(
            "term",
            &["stay"],
            "Wait for slaves where there are none, take the place of an agent that runs already, and tell the service \
             manager when it is ready.",
        )],
    }],
    examples: &[("ipvl agent stay", "As a service's command.")],
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
        words: &[bare("page", Value::Page, "ipvl by default, or ipvl-link and so on; DIR/ writes all of them there.")],
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
        about: "Prints one candidate a line, with its meaning behind a tab.",
        words: &[Word { form: Form::Rest(Value::Words), ..pair("--", Value::Words, "What is typed so far.") }],
    }],
    examples: &[],
    hidden: true,
};
