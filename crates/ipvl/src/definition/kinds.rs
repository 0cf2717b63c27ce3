//! Which kinds of slaves are there, and which words follow them?

use super::build::{choice, pair};
use super::{DeviceKind, Form, Value, Word};
use ipvl_control::keys;
use ipvl_core::{OPTIONS, OptionEntry};

/// The kinds, with the words behind them.
pub const KINDS: &[DeviceKind] = &[
    DeviceKind { name: "ipvlan", words: &options_and::<{ OPTIONS.len() + 1 }>(&[BACKEND]) },
    DeviceKind { name: "ipvtap", words: &options_and::<{ OPTIONS.len() + 3 }>(&[USER, GROUP, MULTI_QUEUE]) },
];

/// The kinds with the words that change an existing slave, which keeps its devices and its owner.
pub const KINDS_TO_CHANGE: &[DeviceKind] = &[IPVLAN, DeviceKind { name: "ipvtap", ..IPVLAN }];

/// The kinds without further words.
pub const KINDS_ALONE: &[DeviceKind] =
    &[DeviceKind { name: "ipvlan", words: &[] }, DeviceKind { name: "ipvtap", words: &[] }];

const IPVLAN: DeviceKind = DeviceKind { name: "ipvlan", words: &options_and::<{ OPTIONS.len() }>(&[]) };

const BACKEND: Word = pair(keys::BACKEND.name, Value::OneOf(&["veth", "netkit", "kernel"]), BACKEND_ABOUT);

const BACKEND_ABOUT: &str = "What the slave and its host end are: the ends of a veth pair, or of a netkit pair, which is \
    faster to the outside and needs Linux 6.7; or kernel, a device of ipvl's own kernel module, without a host end and without an \
    agent. By default kernel where that module is loaded; else netkit where the kernel has it; veth for more than three slaves \
    of one batch, because veth pairs are made faster.";

const USER: Word =
    pair("user", Value::User, "ipvtap: this user may open the tap device; by default the user that makes it.");

const GROUP: Word = pair("group", Value::Group, "ipvtap: members of this group may open the tap device.");

const MULTI_QUEUE: Word = choice(
    "queues",
    &["multi_queue"],
    "ipvtap: the device is opened once for each queue, by a virtual machine that has several.",
);

/// The options of a slave, and then some words.
const fn options_and<const N: usize>(more: &[Word]) -> [Word; N] {
    let mut words = [option(&OPTIONS[0]); N];
    let mut n = 0;
    while n < N {
        words[n] = if n < OPTIONS.len() { option(&OPTIONS[n]) } else { more[n - OPTIONS.len()] };
        n += 1;
    }
    words
}

/// Options that iproute2 has, and the first of ipvl's own, may be shortened.
const fn option(entry: &'static OptionEntry) -> Word {
    Word {
        aliases: entry.aliases,
        form: Form::Option(entry),
        abbreviable: entry.in_every_line,
        ..pair(entry.name, Value::Words, "")
    }
}
