//! Which words do `flows` and `capture` have?

use super::build::{bare, choice, pair};
use super::{Object, Value, Verb, Word};

pub const FLOWS: Object = Object {
    name: "flows",
    aliases: &[],
    about: "show which packets pass, and what becomes of them",
    text: &[
        "Prints a line (with -j, one object) when packets of a flow are first seen, and each second one for each flow that \
         has had more: the slave that sends, the slave that gets it, protocol, addresses, ports, verdict, and for a drop \
         the reason, with all packets and bytes since the flow began. \"-\" stands for no slave: the outside, the host, \
         or several. What one address sends to another is one flow for each verdict.",
        "Only the programs of slaves and masters are asked: what the host itself sends to a slave is not seen, nor is what \
         a flood does slave by slave. The decision is told, not that the frame arrived. While somebody watches, packets \
         take the longer path that tells; with nobody there they take no longer than without this command. Up to four \
         may watch a master at once, and 8,192 flows are kept apart.",
    ],
    commands: &[Verb { name: "", aliases: &[], about: "Prints flows until it is ended.", words: FLOWS_WORDS }],
    examples: &[
        ("ipvl flows dev ipvl0", "What ipvl0 sends and gets."),
        ("ipvl -j flows reason private", "What is dropped because of flag private, as JSON."),
    ],
    hidden: false,
};

const FLOWS_WORDS: &[Word] = &[DEVICE, REASON, DROPS, FROM, TO, COUNT];

pub const CAPTURE: Object = Object {
    name: "capture",
    aliases: &[],
    about: "capture packets, with what becomes of each",
    text: &[
        "Prints a line for each packet, or writes them in pcapng, which Wireshark opens: each slave is an interface there, \
         and verdict and reason are the packet's comment. Dropped packets are there, too. A frame that ipvl answers is \
         shown as the answer.",
        "It sees what ipvl flows sees. A GSO packet is one packet, and no more than 2,048 bytes of each are kept.",
    ],
    commands: &[Verb { name: "", aliases: &[], about: "Captures packets until it is ended.", words: CAPTURE_WORDS }],
    examples: &[
        ("ipvl capture drops", "A line for each packet that is dropped, with the reason."),
        ("ipvl capture dev ipvl0 -w - | wireshark -k -i -", "Watch ipvl0 in Wireshark."),
        ("ipvl capture -w /var/tmp/ipvl -C 100 -W 5", "At most five files of 100 MB, the oldest of which is replaced."),
    ],
    hidden: false,
};

const CAPTURE_WORDS: &[Word] = &[
    DEVICE,
    REASON,
    DROPS,
    FROM,
    TO,
    COUNT,
    pair("-w", Value::File, "Write to this file in pcapng; - is standard output."),
    pair("-s", Value::Length, "At most so many bytes of each packet; 2048 by default."),
    pair("-C", Value::Number, "Begin another file, with a number at the end of its name, after so many megabytes."),
    pair("-W", Value::Number, "Write no more than so many files: then the first is replaced."),
];

const DEVICE: Word = bare("dev", Value::Slave, "Only what this slave sends and gets.");
const REASON: Word = pair("reason", Value::Reason, "Only what is dropped for this reason.");
const DROPS: Word = choice("drops", &["drops"], "Only what is dropped.");
const FROM: Word = pair("from", Value::Address, "Only from this address.").or(&["src"]);
const TO: Word = pair("to", Value::Address, "Only to this address.").or(&["dst"]);
const COUNT: Word = pair("-c", Value::Number, "End after so many lines or packets.").or(&["count"]);
