//! Which words does `graph` have?

use super::build::{choice, pair};
use super::{Object, Value, Verb, Word};

pub const GRAPH: Object = Object {
    name: "graph",
    aliases: &[],
    about: "draw masters, namespaces and slaves, and who reaches whom",
    text: &[
        "Prints a tree of all masters with their namespaces and slaves, with addresses and options, and which siblings each \
         slave reaches: each pair is asked as by ipvl explain, for the first 24 slaves. With -j as JSON.",
        "The page of --html is one file that needs no server and nothing from elsewhere. A click on two slaves shows the \
         answer of ipvl explain, as it was when the page was made.",
    ],
    commands: &[Verb { name: "", aliases: &[], about: "Draws them, as a tree by default.", words: WORDS }],
    examples: &[
        ("ipvl graph", "The tree."),
        ("ipvl graph --html ipvl.html", "A page for a browser."),
        ("ipvl graph --dot | dot -Tsvg -o ipvl.svg", "A picture, by Graphviz."),
    ],
    hidden: false,
};

const WORDS: &[Word] = &[
    choice("drawing", &["--dot", "--mermaid"], "In the language of Graphviz, or of Mermaid, which many wikis draw."),
    pair("--html", Value::File, "As a page, in this file; - is standard output.").or(&["html"]),
];
