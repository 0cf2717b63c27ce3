//! Which of the results are shown on the page? Two tables.

use super::tried::MEASURE;
use crate::results::{Results, Series};
use serde_json::Value;
use std::fs;
use std::path::Path;

const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
/// The reference where there is no C driver.
const STAND_IN: &str = "ipvl l2";
const COLUMNS: [(&str, &str); 4] = [
    ("TCP stream", "slave to slave"),
    ("TCP RR", "slave to slave"),
    ("TCP CRR", "slave to slave"),
    ("TCP stream", "slave to outside"),
];

/// The tables of `ahead.json`, `ahead-native.json` and `promises.json` in `directory`, if the first and the last are there.
pub fn tables(directory: &Path) -> Option<String> {
    let results = Results::read(&directory.join("ahead.json")).ok()?;
    let native = Results::read(&directory.join("ahead-native.json")).map(|results| speeds(&results) + "\n");
    let found = fs::read_to_string(directory.join("promises.json")).ok()?;
    let broken = broken(&serde_json::from_str(&found).ok()?)?;
    Some(format!("{}\n{}{broken}", speeds(&results), native.unwrap_or_default()))
}

fn speeds(results: &Results) -> String {
    let mut names: Vec<&str> = Vec::new();
    for series in &results.series {
        if !names.contains(&series.candidate.as_str()) {
            names.push(&series.candidate);
        }
    }
    let Some(measure) = [MEASURE, STAND_IN].into_iter().find(|name| names.contains(name)) else { return String::new() };
    let columns = COLUMNS.map(|(load, path)| format!("{load}, {path}")).join(" | ");
    let mut text = format!("Linux {}, IPv4 / IPv6, relative to {measure}.\n\n", results.kernel);
    text += &format!("| | {columns} |\n| --- | --- | --- | --- | --- |\n");
    for name in names.into_iter().filter(|name| *name != measure) {
        text += &row(name, |load, path, family| {
            let [own, other] = [name, measure].map(|who| least(results, [who, load, path, family]));
            Some(format!("{:.2}", other? / own?))
        });
    }
    let costs = format!("{measure}, {} an operation", results.unit);
    text + &row(&costs, |load, path, family| Some(format!("{:.0}", least(results, [measure, load, path, family])?)))
}

fn row(name: &str, cell: impl Fn(&str, &str, &str) -> Option<String>) -> String {
    let cells = COLUMNS.map(|(load, path)| {
        FAMILIES.map(|family| cell(load, path, family).unwrap_or_else(|| "-".to_owned())).join(" / ")
    });
    format!("| {name} | {} |\n", cells.join(" | "))
}

/// The least of all samples, of counts as well: more than the least is other work in between.
fn least(results: &Results, names: [&str; 4]) -> Option<f64> {
    results.series.iter().find(|series| series.is(names)).map(Series::least)
}

fn broken(found: &Value) -> Option<String> {
    let mut text =
        format!("Linux {}.\n\n| TCP's promise | from socket to socket |\n| --- | --- |\n", found["kernel"].as_str()?);
    for one in found["found"].as_array()?.iter().filter(|one| one["v6"] == false) {
        let stack = one["stack"].as_str().map(|wrong| format!("; by the stack: {wrong}")).unwrap_or_default();
        let sockets = one["sockets"].as_str().map_or("kept".to_owned(), |wrong| format!("**broken**: {wrong}"));
        text += &format!("| {} | {sockets}{stack} |\n", one["promise"].as_str()?);
    }
    Some(text)
}
