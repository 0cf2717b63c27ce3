//! How is the plan of `apply` shown? As a diff: one line for each slave, and below it its new and removed addresses.

use super::color::Color;
use super::{Style, options};
use ipvl_control::apply::{ActualLink, AddrDiff, DesiredLink, Difference, Plan, Step};
use ipvl_control::{Change, NetnsRef, RatesChange, rate};
use ipvl_core::{Addr, OPTIONS, OptionEntry};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The steps of a plan, and how many slaves need none.
pub fn plan(plan: &Plan, style: Style) -> String {
    style.print(|| text(plan).into_iter().map(|record| colored(&record, style)).collect(), || json(plan))
}

fn text(plan: &Plan) -> Vec<String> {
    let netns = plan.netns.iter().map(|name| format!("+ netns {name}\n"));
    let steps = plan.steps.iter().map(|step| match step {
        Step::Delete(slave) => format!("- {} of {}{}\n", slave.called(), slave.master.1, place(slave)),
        Step::Change(difference) => changed(difference),
        Step::Make(link) => made(link),
    });
    netns.chain(steps).chain([summary(plan)]).collect()
}

/// As a diff is colored: by its signs.
fn colored(record: &str, style: Style) -> String {
    let line = |line: &str| match line.chars().next() {
        Some('+') => style.paint(Color::Good, line),
        Some('-') => style.paint(Color::Bad, line),
        Some('~') => style.paint(Color::Limited, line),
        _ => line.to_owned(),
    };
    record.lines().map(|text| format!("{}\n", line(text))).collect()
}

fn json(plan: &Plan) -> Value {
    let steps: Vec<Value> = plan
        .steps
        .iter()
        .map(|step| match step {
            Step::Delete(slave) => of_slave("delete", slave),
            Step::Change(difference) => changed_json(difference),
            Step::Make(link) => made_json(link),
        })
        .collect();
    json!({ "netns": plan.netns, "steps": steps, "unchanged": plan.unchanged })
}

fn of_slave(action: &str, slave: &ActualLink) -> Value {
    json!({ "action": action, "ifname": slave.called(), "master": slave.master.1, "netns": slave.netns })
}

fn made_json(link: &DesiredLink) -> Value {
    let spec = &link.spec;
    let mut all = json!({ "action": "make", "ifname": link.name, "master": spec.master, "netns": link.netns });
    OPTIONS.iter().for_each(|entry| all[entry.name] = options::in_json(entry, spec.options));
    (all["mtu"], all["state"]) = (json!(spec.mtu), json!(state(link.up)));
    for (way, limit) in spec.rates.ways() {
        all[format!("rate_{way}")] = json!(rate::text(limit));
    }
    (all["addresses"], all["declared"]) = (list(link.addresses.as_ref()), list(link.declared.as_ref()));
    all
}

fn changed_json(difference: &Difference) -> Value {
    let Difference { was, change, addresses, declared, .. } = difference;
    let changes: Map<String, Value> = changes(was, change)
        .into_iter()
        .map(|(word, from, to)| (word.to_owned(), json!({ "old": from, "new": to })))
        .collect();
    let diff = |diff: &AddrDiff| json!({ "add": list(Some(&diff.add)), "remove": list(Some(&diff.remove)) });
    let mut all = of_slave("change", was);
    all["changes"] = Value::Object(changes);
    (all["addresses"], all["declared"]) = (diff(addresses), diff(declared));
    all
}

fn list(addresses: Option<&BTreeSet<(Addr, u8)>>) -> Value {
    addresses.into_iter().flatten().map(|(addr, len)| format!("{addr}/{len}")).collect()
}

fn made(link: &DesiredLink) -> String {
    let spec = &link.spec;
    let mut text = format!("+ {} of {}", link.name, spec.master);
    link.netns.iter().for_each(|netns| _ = write!(text, " netns {netns}"));
    _ = write!(text, " {}", options::in_words(spec.options));
    spec.mtu.iter().for_each(|mtu| _ = write!(text, " mtu {mtu}"));
    spec.rates.ways().into_iter().filter(|(_, limit)| limit.is_some()).for_each(|(way, limit)| {
        _ = write!(text, " rate_{way} {}", rate::text(limit));
    });
    text += if link.up { " up\n" } else { " down\n" };
    text + &lines('+', "address", link.addresses.as_ref()) + &lines('+', "declared", link.declared.as_ref())
}

fn changed(difference: &Difference) -> String {
    let Difference { was, change, addresses, declared, .. } = difference;
    let words: Vec<String> =
        changes(was, change).iter().map(|(word, from, to)| format!("{word} {from} -> {to}")).collect();
    let words = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
    let head = format!("~ {} of {}{}{words}\n", was.called(), was.master.1, place(was));
    head + &addr_diff("address", addresses) + &addr_diff("declared", declared)
}

/// Each change, with the value before it.
fn changes(was: &ActualLink, change: &Change) -> Vec<(&'static str, String, String)> {
    let from_to =
        |word: &'static str, from: &str, to: Option<&str>| to.map(|to| (word, from.to_owned(), to.to_owned()));
    let netns = change.netns.as_ref().map(|netns| match netns {
        NetnsRef::Name(name) => name.clone(),
        NetnsRef::Pid(pid) => pid.to_string(),
    });
    let mtu = change.mtu.map(|mtu| mtu.to_string());
    let place = [
        from_to("name", was.called(), change.name.as_deref()),
        from_to("netns", was.netns.as_deref().unwrap_or("-"), netns.as_deref()),
    ];
    let options = OPTIONS.iter().map(|entry| {
        let OptionEntry { key, name, .. } = *entry;
        from_to(name, was.options.word(key), change.options.word(key))
    });
    let device =
        [from_to("mtu", &was.mtu.to_string(), mtu.as_deref()), from_to("state", state(was.up), change.up.map(state))];
    let RatesChange { input, output } = change.rates;
    let limits = [("rate_in", was.rates.input, input), ("rate_out", was.rates.output, output)]
        .map(|(word, from, to)| to.map(|to| (word, rate::text(from), rate::text(to))));
    place.into_iter().chain(options).chain(device).chain(limits).flatten().collect()
}

fn state(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

fn addr_diff(what: &str, diff: &AddrDiff) -> String {
    lines('-', what, Some(&diff.remove)) + &lines('+', what, Some(&diff.add))
}

fn lines(sign: char, what: &str, addresses: Option<&BTreeSet<(Addr, u8)>>) -> String {
    addresses.into_iter().flatten().map(|(addr, len)| format!("{sign}     {what} {addr}/{len}\n")).collect()
}

fn place(slave: &ActualLink) -> String {
    slave.netns.as_ref().map_or_else(String::new, |name| format!(" netns {name}"))
}

fn summary(plan: &Plan) -> String {
    let count = |is: fn(&Step) -> bool| plan.steps.iter().filter(|step| is(step)).count();
    let unchanged = plan.unchanged;
    if plan.is_empty() {
        return format!("Nothing to do: {unchanged} of {unchanged} slaves are as the files say.\n");
    }
    let made = count(|step| matches!(step, Step::Make(_)));
    let changed = count(|step| matches!(step, Step::Change(_)));
    let deleted = count(|step| matches!(step, Step::Delete(_)));
    format!("Slaves: {made} to make, {changed} to change, {deleted} to delete, {unchanged} as they should be.\n")
}
