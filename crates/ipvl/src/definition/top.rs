//! Which words does `top` have?

use super::build::pair;
use super::{Object, Value, Verb, Word};

pub const TOP: Object = Object {
    name: "top",
    aliases: &[],
    about: "watch slaves, their traffic and their drops on a terminal",
    text: &[
        "Shows all slaves with their rates, what they lose, and how the agent is, until q is pressed. The arrows mark a slave; \
         Enter shows it alone: why its last packets were dropped, what to do, and the course of each reason's drops.",
        "s sorts by name, received, sent and drops in turn. / begins a filter: part of a slave's, a namespace's, a master's or \
         a container's name, or of a reason. Bits and packets are those of a second.",
    ],
    commands: &[Verb { name: "", aliases: &[], about: "Shows them until it is ended.", words: WORDS }],
    examples: &[("ipvl top", "Watch."), ("ipvl -c=never top --every 5", "Without colors, read every five seconds.")],
    hidden: false,
};

const WORDS: &[Word] =
    &[pair("--every", Value::Seconds, "Seconds between two readings; 2 by default.").or(&["every", "--interval"])];
