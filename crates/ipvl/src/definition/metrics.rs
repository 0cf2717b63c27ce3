//! Which words does `metrics` have?

use super::build::pair;
use super::{Object, Value, Verb, Word};

pub const METRICS: Object = Object {
    name: "metrics",
    aliases: &[],
    about: "tell a monitoring system the counters of slaves, ports and the agent",
    text: &[
        "Prints the metrics of all slaves in OpenMetrics, the format of Prometheus: packets, bytes, drops by reason and \
         state of each slave, how full the tables of each master are, and what the agent has done.",
        "With --listen it serves them at http://ADDRESS:PORT/metrics until it is ended; the address is 127.0.0.1 if only a \
         port is given. There is neither a password nor encryption: listen on another address only in a network that you \
         trust. At most 16 clients are connected at once. The service ipvl-metrics.service listens on port 9768.",
    ],
    commands: &[Verb { name: "", aliases: &[], about: "Prints or serves the metrics.", words: WORDS }],
    examples: &[
        ("ipvl metrics", "Print them once."),
        ("ipvl metrics --listen 127.0.0.1:9768", "Serve them to a Prometheus on this machine."),
    ],
    hidden: false,
};

const WORDS: &[Word] = &[pair("--listen", Value::Listen, "Serve them there, by HTTP, until ended.").or(&["listen"])];
