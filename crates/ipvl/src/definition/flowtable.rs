//! Which words do `set` and `flush` have?

use super::build::choice;
use super::{Object, Verb, Word};

pub const SET: Object = Object {
    name: "set",
    aliases: &[],
    about: "change what holds for all slaves of this network namespace",
    text: &[
        "flowtable on has established connections of slaves in l3s, and of those with host access, pass the host by a \
         flowtable of nftables: after their first packets no hook and no rule of the host sees them, which costs less. \
         Those that a rule drops never get there. The agent adds the devices of slaves that come. ipvl doctor says \
         whether it is on, and what is missing.",
        "It needs the command nft and a kernel with nf_flow_table and nft_flow_offload, and lasts until it is turned off or \
         the machine ends: flowtable = true in a file of /etc/ipvl turns it on again.",
    ],
    commands: &[Verb { name: "", aliases: &[], about: "Turns the flowtable on or off.", words: SET_WORDS }],
    examples: &[
        ("ipvl set flowtable on", "Established connections pass fast."),
        ("ipvl set flowtable off", "No longer."),
    ],
    hidden: false,
};

pub const FLUSH: Object = Object {
    name: "flush",
    aliases: &[],
    about: "have every connection pass the host's rules again",
    text: &[
        "Connections that pass by the flowtable do not see rules that are changed later. After ipvl flush each passes \
             the host's hooks again, and is dropped there if a rule says so.",
    ],
    commands: &[Verb { name: "", aliases: &[], about: "Empties the flowtable.", words: &[] }],
    examples: &[("ipvl flush", "After a change of the firewall, where the flowtable is on.")],
    hidden: false,
};

const SET_WORDS: &[Word] = &[
    choice("setting", &["flowtable"], "Established connections of slaves pass by a flowtable.").required(),
    choice("value", &["on", "off"], "Whether they do.").required(),
];
