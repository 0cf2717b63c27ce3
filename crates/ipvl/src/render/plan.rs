//! How is the plan of `apply` shown? As a diff: one line for each slave, and below it its new and removed addresses.

use super::{harmless, options};
use ipvl_control::apply::{ActualLink, AddrDiff, DesiredLink, Difference, Plan, Step};
use ipvl_control::{Change, NetnsRef};
use ipvl_core::{Addr, OPTIONS, OptionEntry};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The steps of a plan, and how many slaves need none.
pub fn plan(plan: &Plan) -> String {
    let mut text: String = plan.netns.iter().map(|name| format!("+ netns {name}\n")).collect();
    for step in &plan.steps {
        text += &match step {
            Step::Delete(slave) => format!("- {} of {}{}\n", slave.called(), slave.master.1, place(slave)),
            Step::Change(difference) => changed(difference),
            Step::Make(link) => made(link),
        };
    }
    harmless(&(text + &summary(plan)))
}

fn made(link: &DesiredLink) -> String {
    let spec = &link.spec;
    let mut text = format!("+ {} of {}", link.name, spec.master);
    link.netns.iter().for_each(|netns| _ = write!(text, " netns {netns}"));
    _ = write!(text, " {}", options::in_words(spec.options));
    spec.mtu.iter().for_each(|mtu| _ = write!(text, " mtu {mtu}"));
    text += if link.up { " up\n" } else { " down\n" };
    text + &lines('+', "address", link.addresses.as_ref()) + &lines('+', "declared", link.declared.as_ref())
}

fn changed(difference: &Difference) -> String {
    let Difference { was, change, addresses, declared, .. } = difference;
    let words = words(was, change);
    let words = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
    let head = format!("~ {} of {}{}{words}\n", was.called(), was.master.1, place(was));
    head + &addr_diff("address", addresses) + &addr_diff("declared", declared)
}

/// Each change, with the value before it.
fn words(was: &ActualLink, change: &Change) -> Vec<String> {
    let from_to = |word: &str, from: &str, to: Option<&str>| to.map(|to| format!("{word} {from} -> {to}"));
    let state = |up: bool| if up { "up" } else { "down" };
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
    place.into_iter().chain(options).chain(device).flatten().collect()
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
