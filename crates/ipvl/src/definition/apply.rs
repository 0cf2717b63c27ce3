//! Which words does `apply` have?

use super::build::{choice, pair};
use super::{Form, Object, Value, Verb, Word};

pub const APPLY: Object = Object {
    name: "apply",
    aliases: &[],
    about: "make, change and delete slaves so that they are as files say",
    text: &[
        "Reads the files, or the *.toml in the directories, that are named, by default those in /etc/ipvl, compares \
         them with what is there, prints what differs, and does it. A second time there is nothing left to do. A slave \
         that is there is changed in place, while traffic goes on. If anything in any of the files is wrong, nothing at \
         all is changed.",
        "A [[link]] table is a slave; its keys are the words of ipvl link add: master (or link), name, netns, type, mtu, the \
         options of a slave, backend, user, group, multi_queue. up is true by default; addresses are those on its device, \
         declared is for what ipvl addr add declares. A [[netns]] table with a name makes a network namespace. \
         --schema prints all of it as a JSON schema.",
        "Slaves that are in no file are left alone. --prune deletes those of them that an earlier apply made, and no \
         others.",
    ],
    commands: &[Verb { name: "", aliases: &[], about: "Applies files, or says what it would do.", words: WORDS }],
    examples: &[
        ("ipvl apply --dry-run", "What would /etc/ipvl change?"),
        ("ipvl apply --prune web.toml db.toml", "These slaves and, of those that apply made, no others."),
    ],
    hidden: false,
};

const WORDS: &[Word] = &[
    choice("dry-run", &["--dry-run"], "Say what would be done, and do nothing."),
    choice("prune", &["--prune"], "Delete slaves that an earlier apply made and that no file names."),
    pair("--wait", Value::Seconds, "Wait so long for masters that are not there yet, as at boot."),
    choice("schema", &["--schema"], "Print the JSON schema of the files, and do nothing."),
    Word { form: Form::Many(Value::File), ..pair("file", Value::File, "A file, or a directory of *.toml.") },
];
