//! How does a symptom come about? `symptoms.toml` says it, for each heading of docs/symptoms.md.

use crate::MODULE;
use crate::page::{Body, Page};
use crate::session::Session;
use ipvl_testbed::{Driver, Output, at_once, require_root, requires_device, wait_until};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

/// Most of a symptom's time is spent waiting.
const AT_ONCE: usize = 5;
/// For a slave to get its carrier; only a failure waits this long.
const SOON: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Symptom {
    title: String,
    /// Skipped, loudly, on a kernel without this kind of device.
    needs: Option<String>,
    /// Options of each slave.
    slaves: Vec<String>,
    #[serde(default)]
    given: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    symptom: Vec<Symptom>,
}

#[test]
fn every_symptom_is_found_and_cured_by_its_commands() {
    require_root!();
    judge(|symptom| symptom.needs.is_none());
}

#[test]
fn every_symptom_with_a_kind_of_device_is_found_and_cured_by_its_commands() {
    require_root!();
    judge(|symptom| symptom.needs.as_ref().is_some_and(|kind| requires_device(kind)));
}

#[test]
fn the_page_has_twenty_symptoms_and_each_comes_about() {
    let page = Page::read("docs/symptoms.md");
    let titles: BTreeSet<_> =
        page.sections.iter().filter(|section| !section.steps.is_empty()).map(|s| &s.title).collect();
    let symptoms = symptoms();
    assert_eq!(titles, symptoms.iter().map(|symptom| &symptom.title).collect());
    assert!(titles.len() >= 20, "{} symptoms", titles.len());
}

#[track_caller]
fn judge(which: impl Fn(&Symptom) -> bool) {
    let _unloaded = MODULE.read().unwrap_or_else(PoisonError::into_inner);
    let page = Page::read("docs/symptoms.md");
    let wanted = symptoms().into_iter().filter(which).collect();
    let wrong = at_once(AT_ONCE, wanted, |symptom| play(&page, &symptom));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Makes the symptom, and types what the page has for it.
fn play(page: &Page, symptom: &Symptom) -> Result<(), String> {
    let section = page.sections.iter().find(|section| section.title == symptom.title);
    let section = section.ok_or_else(|| format!("{}: {} has no such heading", symptom.title, page.name))?;
    let session = Session::new(Driver::Ipvl);
    symptom.slaves.iter().enumerate().for_each(|(n, options)| add_slave(&session, n, options));
    for line in &symptom.given {
        let (place, text) = line.split_once(": ").unwrap_or_else(|| panic!("\"{line}\" does not say where"));
        match place {
            "host" => must(&session.host(text)),
            "outside" => must(&session.outside(text)),
            _ => panic!("\"{place}\" is no place: host, outside"),
        }
    }
    session.play(section, Body::Ebpf).map_or(Ok(()), Err)
}

fn add_slave(session: &Session, n: usize, options: &str) {
    let l2 = options.contains("mode l2");
    let address = if l2 { format!("10.0.0.1{n}/24") } else { format!("10.1.0.1{n}/24") };
    must(&session.host(&format!("ip netns add ns{n} && ip -n ns{n} link set lo up")));
    must(&session.host(&format!("ipvl link add link eth0 name ipvl{n} netns ns{n} type ipvlan {options}")));
    must(&session.host(&format!("ip -n ns{n} addr add {address} dev ipvl{n} && ip -n ns{n} link set ipvl{n} up")));
    if !l2 {
        must(&session.host(&format!("ip -n ns{n} route add default dev ipvl{n}")));
        must(&session.outside("ip route replace 10.1.0.0/24 via 10.0.0.1"));
    }
    let is_up = || session.host(&format!("ip -n ns{n} link show ipvl{n}")).stdout.contains("LOWER_UP");
    assert!(wait_until(SOON, is_up), "ipvl{n} gets no carrier");
}

#[track_caller]
fn must(output: &Output) {
    assert!(output.ok, "{}{}", output.stdout, output.stderr);
}

fn symptoms() -> Vec<Symptom> {
    toml::from_str::<File>(include_str!("symptoms.toml")).expect("symptoms.toml").symptom
}
