//! How is the plan of `apply` shown? As a diff: one line for each slave, and below it its new and removed addresses.

use super::color::Color;
use super::{Style, options};
use ipvl_control::apply::{ActualLink, AddrDiff, DesiredLink, Difference, Inside, Plan, PolicyDiff, Step};
use ipvl_control::policy_words::verdict;
use ipvl_control::{Change, NetnsRef, PolicyKeys, PolicySpec, RatesChange, rate};
use ipvl_core::{Addr, OPTIONS, OptionEntry};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The steps of a plan, and how many slaves need none.
pub fn plan(plan: &Plan, style: Style) -> String {
    style.print(|| text(plan).into_iter().map(|record| colored(&record, style)).collect(), || json(plan))
}

fn text(plan: &Plan) -> Vec<String> {
    let netns = plan.netns.iter().map(|name| format!("+ netns {name}\n"));
    let left = plan.left.iter().map(|(name, left)| format!("~ netns {name}\n{}", inside_lines('-', left)));
    let steps = plan.steps.iter().map(|step| match step {
        Step::Delete(slave) => deleted(slave),
        Step::Change(difference) => changed(difference),
        Step::Make(link) => made(link),
    });
    let flowtable = plan.flowtable.map(|on| format!("{} flowtable\n", if on { '+' } else { '-' }));
    netns.chain(left).chain(steps).chain(flowtable).chain([summary(plan)]).collect()
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
            Step::Delete(slave) => deleted_json(slave),
            Step::Change(difference) => changed_json(difference),
            Step::Make(link) => made_json(link),
        })
        .collect();
    let left: Vec<Value> = plan.left.iter().map(left_json).collect();
    json!({
        "netns": plan.netns,
        "left": left,
        "steps": steps,
        "flowtable": plan.flowtable,
        "unchanged": plan.unchanged,
    })
}

fn of_slave(action: &str, slave: &ActualLink) -> Value {
    json!({ "action": action, "ifname": slave.called(), "master": slave.master.1, "netns": slave.netns })
}

fn deleted_json(slave: &ActualLink) -> Value {
    let mut all = of_slave("delete", slave);
    (all["routes"], all["rules"]) = ways(&slave.inside);
    all
}

fn left_json((netns, left): (&String, &Inside)) -> Value {
    let (routes, rules) = ways(left);
    json!({ "netns": netns, "routes": routes, "rules": rules })
}

fn made_json(link: &DesiredLink) -> Value {
    let spec = &link.spec;
    let mut all = json!({ "action": "make", "ifname": link.name, "master": spec.master, "netns": link.netns });
    OPTIONS.iter().for_each(|entry| all[entry.name] = options::in_json(entry, spec.options));
    (all["mtu"], all["state"]) = (json!(spec.mtu), json!(state(link.up)));
    for (way, limit) in spec.rates.ways() {
        all[format!("rate_{way}")] = json!(rate::text(limit));
    }
    (all["policy"], all["labels"]) = (policy_json(&link.policy), json!(link.policy.labels));
    (all["addresses"], all["declared"]) = (list(link.addresses.as_ref()), list(link.declared.as_ref()));
    (all["routes"], all["rules"]) = ways(&link.inside);
    all["sysctls"] = switches_json(&link.inside, |_, value| json!(value));
    all
}

fn policy_changes(PolicyDiff { old, new }: &PolicyDiff) -> impl Iterator<Item = (String, Value)> {
    let both = [("policy", policy_json(old), policy_json(new)), ("labels", json!(old.labels), json!(new.labels))];
    let changed = both.into_iter().filter(|(_, old, new)| old != new);
    changed.map(|(word, old, new)| (word.to_owned(), json!({ "old": old, "new": new })))
}

fn policy_json(keys: &PolicyKeys) -> Value {
    keys.policy.as_ref().map_or(Value::Null, |policy| {
        let rules: Vec<String> = policy.rules.iter().map(ToString::to_string).collect();
        json!({ "in": verdict(policy.inward), "out": verdict(policy.outward), "rules": rules })
    })
}

/// Routes and rules, as people write them.
fn ways(inside: &Inside) -> (Value, Value) {
    let text = |way: &dyn ToString| Value::from(way.to_string());
    (inside.routes.iter().map(|route| text(route)).collect(), inside.rules.iter().map(|rule| text(rule)).collect())
}

/// Switches by their names.
fn switches_json(inside: &Inside, value: impl Fn(&String, &String) -> Value) -> Value {
    let named = inside.sysctls.iter().map(|(path, new)| (path.replace('/', "."), value(path, new)));
    Value::Object(named.collect())
}

fn changed_json(difference: &Difference) -> Value {
    let Difference { was, change, addresses, declared, policy, inside, .. } = difference;
    let changes: Map<String, Value> = changes(was, change)
        .into_iter()
        .map(|(word, from, to)| (word.to_owned(), json!({ "old": from, "new": to })))
        .chain(policy.iter().flat_map(policy_changes))
        .collect();
    let diff = |diff: &AddrDiff| json!({ "add": list(Some(&diff.add)), "remove": list(Some(&diff.remove)) });
    let mut all = of_slave("change", was);
    all["changes"] = Value::Object(changes);
    (all["addresses"], all["declared"]) = (diff(addresses), diff(declared));
    let ((new_routes, new_rules), (old_routes, old_rules)) = (ways(&inside.add), ways(&inside.remove));
    all["routes"] = json!({ "add": new_routes, "remove": old_routes });
    all["rules"] = json!({ "add": new_rules, "remove": old_rules });
    all["sysctls"] = switches_json(&inside.add, |path, new| json!({ "old": inside.values.get(path), "new": new }));
    all
}

fn list(addresses: Option<&BTreeSet<(Addr, u8)>>) -> Value {
    addresses.into_iter().flatten().map(|(addr, len)| format!("{addr}/{len}")).collect()
}

fn deleted(slave: &ActualLink) -> String {
    let head = format!("- {} of {}{}\n", slave.called(), slave.master.1, place(slave));
    head + &inside_lines('-', &slave.inside)
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
    text += &(lines('+', "address", link.addresses.as_ref()) + &lines('+', "declared", link.declared.as_ref()));
    text += &policy_lines(&PolicyKeys::default(), &link.policy);
    text + &inside_lines('+', &link.inside) + &switches(&link.inside, None)
}

/// How the one differs from the other: the labels, and of the policy the defaults and rules.
fn policy_lines(old: &PolicyKeys, new: &PolicyKeys) -> String {
    let labels = |keys: &PolicyKeys| {
        let all: Vec<&str> = keys.labels.iter().map(String::as_str).collect();
        (!all.is_empty()).then(|| format!("labels {}", all.join(",")))
    };
    let (old_labels, new_labels) = (labels(old), labels(new));
    let (mut lines, is_same) = (String::new(), old_labels == new_labels);
    let mut add = |sign: char, what: &str| _ = writeln!(lines, "{sign}     {what}");
    old_labels.iter().filter(|_| !is_same).for_each(|text| add('-', text));
    new_labels.iter().filter(|_| !is_same).for_each(|text| add('+', text));
    let (before, after) = (said(old.policy.as_ref()), said(new.policy.as_ref()));
    let is_reordered = before != after && before.iter().all(|line| after.contains(line)) && before.len() == after.len();
    before.iter().filter(|line| is_reordered || !after.contains(line)).for_each(|line| add('-', line));
    after.iter().filter(|line| is_reordered || !before.contains(line)).for_each(|line| add('+', line));
    lines
}

/// A line for the defaults, and one for each rule.
fn said(policy: Option<&PolicySpec>) -> Vec<String> {
    let Some(PolicySpec { inward, outward, rules }) = policy else { return Vec::new() };
    let defaults = format!("policy in {} out {}", verdict(*inward), verdict(*outward));
    [defaults].into_iter().chain(rules.iter().map(|rule| format!("policy rule {rule}"))).collect()
}

/// Routes and rules.
fn inside_lines(sign: char, inside: &Inside) -> String {
    let routes = inside.routes.iter().map(|route| format!("{sign}     route {route}\n"));
    routes.chain(inside.rules.iter().map(|rule| format!("{sign}     rule {rule}\n"))).collect()
}

/// Switches, with the values that they have.
fn switches(inside: &Inside, values: Option<&BTreeMap<String, String>>) -> String {
    let from =
        |path: &str| values.and_then(|values| values.get(path)).map_or(String::new(), |value| format!("{value} -> "));
    let line = |(path, value): (&String, &String)| {
        let sign = if values.is_some() { '~' } else { '+' };
        format!("{sign}     sysctl {} {}{value}\n", path.replace('/', "."), from(path))
    };
    inside.sysctls.iter().map(line).collect()
}

fn changed(difference: &Difference) -> String {
    let Difference { was, change, addresses, declared, policy, inside, .. } = difference;
    let words: Vec<String> =
        changes(was, change).iter().map(|(word, from, to)| format!("{word} {from} -> {to}")).collect();
    let words = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
    let head = format!("~ {} of {}{}{words}\n", was.called(), was.master.1, place(was));
    let addresses = addr_diff("address", addresses) + &addr_diff("declared", declared);
    let routes = inside_lines('-', &inside.remove) + &inside_lines('+', &inside.add);
    let policy: String = policy.iter().map(|diff| policy_lines(&diff.old, &diff.new)).collect();
    head + &addresses + &policy + &routes + &switches(&inside.add, Some(&inside.values))
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
