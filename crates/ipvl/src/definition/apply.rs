//! Which words does `apply` have?

use super::build::{choice, pair};
use super::{Form, Object, Value, Verb, Word};

pub const APPLY: Object = Object {
    name: "apply",
    aliases: &[],
    about: "make, change and delete slaves as described in files",
    text: &[
        "Reads the given files, and *.toml in the given directories (by default /etc/ipvl), compares them with the \
         existing slaves, prints the differences, and carries them out. A second run then finds no difference. An \
         existing slave is changed in place, while traffic goes on. If any of the files has an error, nothing is \
         changed.",
        "A [[link]] table describes a slave; its keys are the words of ipvl link add: master (or link), name, netns, type, \
         mtu, the options of a slave, backend, user, group, multi_queue. In addition, up is true by default, addresses \
         lists the addresses on its device, and declared the addresses that ipvl addr add would declare. A [[netns]] \
         table with a name makes a network namespace. --schema prints the JSON schema.",
        "routes, rules and sysctls are those of the slave's netns: routes = [{ to = \"default\", via = \"192.0.2.254\" }], \
         rules = [{ priority = 100, from = \"192.0.2.10\", table = 7 }], sysctls = { \"net.ipv4.conf.IFNAME.rp_filter\" = 2 }. \
         Routes and rules of files have the protocol number 158 and leave with their table; those of others stay. A switch \
         that leaves the files keeps its value.",
        "Slaves that no file describes are left alone. --prune deletes those of them that an earlier apply made, and no \
         others.",
    ],
    commands: &[Verb { name: "", aliases: &[], about: "Applies files, or prints what it would do.", words: WORDS }],
    examples: &[
        ("ipvl apply --dry-run", "Print what the files in /etc/ipvl would change."),
        ("ipvl apply --prune web.toml db.toml", "Make these slaves, and delete all others that apply made."),
    ],
    hidden: false,
};

const WORDS: &[Word] = &[
    choice("dry-run", &["--dry-run"], "Print what would be done, and change nothing."),
    choice("prune", &["--prune"], "Delete slaves that an earlier apply made and that no file describes."),
    pair("--wait", Value::Seconds, "Wait up to this long for missing masters, as at boot."),
    choice("schema", &["--schema"], "Print the JSON schema of the files, and change nothing."),
    Word { form: Form::Many(Value::File), ..pair("file", Value::File, "A file, or a directory of *.toml.") },
];
