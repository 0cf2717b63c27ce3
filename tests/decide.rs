//! Does the decision alone give every scenario what it expects, and does the corpus miss no row?

use ipvl_core::{egress, ingress};
use ipvl_tests::outcome::words;
use ipvl_tests::scenario::{Case, corpus};
use std::collections::BTreeSet;

/// Rows on frames that no scenario can show, each with where it is held instead.
const ELSEWHERE: &[(&str, &str)] = &[
    ("C23", "about the receiver's MTU"),
    ("C35", "host.rs: routes_that_refuse_are_obeyed"),
    ("C36", "host.rs: rules_by_source_are_obeyed"),
    ("C44", "host.rs: a_router_that_does_not_answer_stops_nobody_else"),
    ("C45", "host.rs: a_filter_in_forward_stops_l3s_and_nothing_else"),
    ("C47", "kernel.rs: every counter, after every scenario"),
    ("C48", "about sockets"),
    ("C49", "host.rs: a_master_that_is_down_carries_nothing"),
    ("D24", "host.rs: much_data_arrives_whole_in_every_mode"),
];

#[test]
fn every_scenario_ends_as_expected() {
    let cases = corpus();
    let failures: Vec<_> = cases.iter().filter_map(judge).collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
    println!("{} cases", cases.len());
}

#[test]
fn every_row_on_frames_has_a_scenario() {
    let held: BTreeSet<_> = corpus().into_iter().flat_map(|case| case.rows).collect();
    let rows = (1..=23).chain(30..=50).map(|row| format!("C{row}")).chain((1..=26).map(|row| format!("D{row}")));
    let missing: Vec<_> =
        rows.filter(|row| !held.contains(row) && !ELSEWHERE.iter().any(|(elsewhere, _)| elsewhere == row)).collect();
    assert!(missing.is_empty(), "no scenario holds {missing:?}");
}

#[test]
fn no_case_is_there_twice() {
    let mut titles = BTreeSet::new();
    let twice: Vec<_> =
        corpus().into_iter().map(|case| case.title).filter(|title| !titles.insert(title.clone())).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

fn judge(case: &Case) -> Option<String> {
    let snapshot = case.snapshot(case.world.snapshot());
    let verdict = match case.sender() {
        Some(slot) => egress(&case.frame, &snapshot, Some(slot)),
        None => ingress(&case.frame, &snapshot),
    };
    let good = case.expected.admits(verdict, &case.frame, &snapshot);
    let expected = case.expected.verdicts.join(" or ");
    (!good).then(|| format!("{}: {}, not {expected}", case.title, words(verdict, &case.frame, &snapshot)))
}
