//! Which words does `policy` have?

use super::build::{bare, pair};
use super::{Form, Object, Value, Verb, Word};

pub const POLICY: Object = Object {
    name: "policy",
    aliases: &[],
    about: "say what a slave may send and receive",
    text: &[
        "A policy is an ordered list of rules, and for each direction what becomes of a packet that no rule fits. The first \
         rule that fits decides. It is asked about every IP packet that the slave sends and every one that it is to receive, \
         from siblings, from outside and from the host. A packet of a known connection passes, and so do an ICMP error about \
         one, neighbour discovery and reports of multicast groups; a fragment follows the first one of its packet. \
         A slave without a policy may send and receive everything.",
        "A RULE is [ in | out ] [ { from | to } PEER ] [ PROTOCOL [ dport PORT[-PORT] ] ] { accept | drop }. Without in or \
         out it is about both. PEER is a PREFIX, host, slaves (all of the same master), slave NAME, or label A,B (slaves \
         that have all of these labels); by default any. ip saddr and ip daddr may be said for from and to. PROTOCOL is tcp, \
         udp, icmp, icmpv6, sctp, dccp, udplite, or proto NUMBER; only a protocol with ports takes dport, the port that the \
         connection is opened to.",
        "Each change is made in one step: every packet meets the old rules or the new ones. A connection from before goes on \
         only if the new rules would let it be opened. Counters of rules that stay go on.",
    ],
    commands: &[
        Verb { name: "show", aliases: &["lst", "list"], about: "Shows policies, with what was counted.", words: SHOW },
        Verb {
            name: "set",
            aliases: &["change"],
            about: "Says what becomes of packets that no rule fits, and replaces all rules.",
            words: SET,
        },
        Verb { name: "add", aliases: &[], about: "Adds a rule.", words: ADD },
        Verb { name: "delete", aliases: &[], about: "Deletes a rule.", words: DELETE },
        Verb { name: "flush", aliases: &[], about: "Removes a slave's policy.", words: &[SLAVE] },
        Verb { name: "label", aliases: &[], about: "Gives a slave labels instead of those that it has.", words: LABEL },
        Verb {
            name: "translate",
            aliases: &[],
            about: "Prints the commands, for ipvl -batch, that give the slaves of Kubernetes' pods the policies that their \
                    NetworkPolicy objects ask for.",
            words: TRANSLATE,
        },
    ],
    examples: &[
        ("ipvl policy set dev ipvl0 in drop rules in tcp dport 443 accept, in from host accept", "A web server."),
        ("ipvl policy add dev ipvl0 rule out to slave ipvl1 drop", "ipvl0 opens no connection to ipvl1."),
        ("ipvl -s policy show dev ipvl0", "Its rules, with handles and counters."),
        (
            "kubectl get networkpolicy,pod,namespace -A -o yaml | ipvl policy translate - | ipvl -batch -",
            "What a cluster's NetworkPolicy objects say of the pods on this node.",
        ),
    ],
    hidden: false,
};

const VERDICTS: Value = Value::OneOf(&["accept", "drop"]);
const SLAVE: Word = bare("dev", Value::Slave, "The slave.").required();

const SHOW: &[Word] = &[bare("dev", Value::Slave, "Only this slave.")];

const SET: &[Word] = &[
    SLAVE,
    pair("in", VERDICTS, "What becomes of packets to the slave that no rule fits; accept by default."),
    pair("out", VERDICTS, "What becomes of packets from the slave that no rule fits; accept by default."),
    rest("rules", "The rules, instead of those that it has; each ends with accept or drop."),
];

const ADD: &[Word] = &[
    SLAVE,
    pair("before", Value::Number, "The handle of the rule to stand before; behind all by default."),
    rest("rule", "The rule.").required(),
];

const DELETE: &[Word] = &[SLAVE, pair("handle", Value::Number, "The rule's handle, which show prints.").required()];

const LABEL: &[Word] = &[SLAVE, rest("labels", "The labels; without this word it has none any more.")];

const TRANSLATE: &[Word] = &[Word {
    form: Form::Many(Value::File),
    ..pair("file", Value::File, "NetworkPolicy, Pod and Namespace objects in YAML or JSON; - is standard input.")
}
.required()];

const fn rest(name: &'static str, about: &'static str) -> Word {
    Word { form: Form::Rest(Value::Words), ..pair(name, Value::Words, about) }
}
