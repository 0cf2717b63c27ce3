//! Does `docs/guard.md` say what becomes of each attack? Its table is made from `scenarios/attacks.toml`; `BLESS=1` writes it.

use ipvl_tests::scenario::corpus;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const GUARDS: [&str; 5] = ["off", "owned", "strict", "router", "declared"];
const FLAGS: [&str; 3] = ["bridge", "private", "vepa"];
const BEGIN: &str = "<!-- attacks -->\n";
const END: &str = "<!-- end of attacks -->\n";

#[test]
fn the_table_of_attacks_is_what_the_scenarios_expect() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guard.md");
    let text = fs::read_to_string(&path).expect("docs/guard.md");
    let (before, rest) = text.split_once(BEGIN).expect("where the table begins");
    let (_, after) = rest.split_once(END).expect("where the table ends");
    let wanted = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &wanted).expect("write docs/guard.md");
    }
    assert!(text == wanted || std::env::var_os("BLESS").is_some(), "the table differs: BLESS=1 writes it");
}

/// By attack, and by guard and flag: what is expected of each frame.
type Outcomes = BTreeMap<(String, String), BTreeSet<String>>;

/// All attacks in their order, and their outcomes.
fn outcomes() -> (Vec<String>, Outcomes) {
    let (mut names, mut outcomes) = (Vec::new(), Outcomes::new());
    for case in corpus().into_iter().filter(|case| case.file == "attacks.toml") {
        if !names.contains(&case.name) {
            names.push(case.name.clone());
        }
        outcomes.entry((case.name, case.variant)).or_default().extend(case.expected.verdicts);
    }
    (names, outcomes)
}

fn table() -> String {
    let (names, outcomes) = outcomes();
    let head = format!(
        "| a slave ... | {} |\n|{}\n",
        GUARDS.map(|guard| format!("`{guard}`")).join(" | "),
        " --- |".repeat(6)
    );
    let row = |name: &String| {
        let cells = GUARDS.map(|guard| {
            cell(FLAGS.map(|flag| {
                let outcome = &outcomes[&(name.clone(), format!("l2 {flag} {guard}"))];
                assert_eq!(outcome.len(), 1, "{name}: both families end alike");
                shown(outcome.first().expect("an outcome"))
            }))
        });
        format!("| {} | {} |\n", name.trim_start_matches("it "), cells.join(" | "))
    };
    head + &names.iter().map(row).collect::<String>()
}

/// Flags that end alike are named once.
fn cell([bridge, private, vepa]: [String; 3]) -> String {
    match (bridge == private, private == vepa) {
        (true, true) => bridge,
        (false, true) => format!("bridge: {bridge}; else {vepa}"),
        _ => format!("bridge: {bridge}; private: {private}; vepa: {vepa}"),
    }
}

fn shown(verdict: &str) -> String {
    match verdict {
        "wire" | "flood then wire" => "outside".to_owned(),
        "flood b then wire" => "siblings, outside".to_owned(),
        "deliver b" => "the sibling".to_owned(),
        "answer" => "answered".to_owned(),
        other => other.strip_prefix("drop ").map(|reason| format!("`{reason}`")).expect("an outcome with a word"),
    }
}
