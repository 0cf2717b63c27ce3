//! Do JSON's keys stay, and do text and JSON say the same? One example of every answer, with all that it can have.
//!
//! `tests/snapshots/json.txt` is a promise to programs (docs/operating.md): a key may be added, none may go or change.

use super::link::tests::moved;
use super::*;
use crate::command::Watch;
use crate::snapshot;
use ipvl_control::apply::{self, ActualLink, ActualState};
use ipvl_control::{
    AddressEntry, AddressStatus, Backend, CountedRule, Explanation, Finding, Kind, Link, MonitorEvent, Property, Rates,
    Severity, SlavePolicy, Statistics, Upgraded, rate,
};
use ipvl_core::maps::Counters;
use ipvl_core::policy::{Direction, PolicyCount};
use ipvl_core::{Addr, IfIndex, Mac, Options, Reason};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

const DETAILS: Style = Style { details: true, json: false, pretty: false, brief: false, oneline: false, color: false };
const BRIEF: Style = Style { brief: true, details: false, ..DETAILS };

/// Each answer: the command, and what it prints in a style.
type Answer = (&'static str, Box<dyn Fn(Style) -> String>);

#[test]
fn keys_stay_as_they_were() {
    let told: String = answers()
        .iter()
        .flat_map(|(command, print)| {
            let shapes = if is_brief(command) { vec![("-br ", BRIEF)] } else { vec![("-d ", DETAILS)] };
            shapes.into_iter().map(move |(switch, style)| {
                format!("$ ipvl {switch}-j -p {command}\n{}", print(Style { json: true, pretty: true, ..style }))
            })
        })
        .collect();
    snapshot::check("json.txt", &told);
}

#[test]
fn text_says_what_json_says() {
    // A change of a slave has the whole slave in JSON, and only the change in the text.
    for (command, print) in answers().into_iter().filter(|(command, _)| !command.ends_with("a change")) {
        let style = if is_brief(command) { BRIEF } else { DETAILS };
        let json: Value = serde_json::from_str(&print(Style { json: true, ..style })).unwrap();
        let text = print(style);
        let mut said = Vec::new();
        leaves(&json, &mut said);
        // All slaves of a master have its MAC address, which the text of `monitor` omits.
        for leaf in said.into_iter().filter(|leaf| !command.starts_with("monitor") || *leaf != moved().mac.to_string())
        {
            assert!(text.contains(&leaf), "ipvl {command}: {leaf:?} is in JSON, but not in\n{text}");
        }
    }
}

#[test]
fn neither_color_nor_one_line_takes_a_word_away() {
    for (command, print) in answers() {
        let style = if is_brief(command) { BRIEF } else { DETAILS };
        let (plain, colored) = (print(style), print(Style { color: true, ..style }));
        let bare = colored.split("\x1b[").map(|piece| piece.split_once('m').map_or(piece, |(_, rest)| rest));
        let first = colored.split("\x1b[").next().unwrap_or_default();
        let bare: String = std::iter::once(first).chain(bare.skip(1)).collect();
        assert_eq!(bare, plain, "ipvl {command}");
        let line = print(Style { oneline: true, ..style });
        assert_eq!(line.replace(['\\', '\n'], ""), plain.replace('\n', ""), "ipvl {command}");
        assert!(!print(Style { json: true, color: true, ..style }).contains('\x1b'), "ipvl {command}");
    }
}

fn is_brief(command: &str) -> bool {
    command.ends_with("(brief)")
}

/// What can be looked for in a text: strings and numbers, and keys that are data. What is on or off has words of its own.
fn leaves(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => all.push(number.to_string()),
        Value::String(text) => all.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| leaves(value, all)),
        // In the kernel's JSON and in ours these are implied by the text: what every Ethernet device has, the event's verb,
        // a length that is the whole address, options that have the default.
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| {
                const IMPLIED: [&str; 10] = [
                    "event",
                    "object",
                    "prefixlen",
                    "neigh",
                    "siblings",
                    "origin",
                    "verdict",
                    "what",
                    "action",
                    "state",
                ];
                !IMPLIED.contains(&key.as_str())
            })
            .for_each(|(_, value)| leaves(value, all)),
    }
}

fn answers() -> Vec<Answer> {
    vec![
        ("-s link show", Box::new(|style| links(&[link()], &[slave_counters()], style))),
        ("link show (brief)", Box::new(|style| links(&[link()], &[], style))),
        ("addr show", Box::new(|style| addresses(&entries(), &[link()], style))),
        ("addr show (brief)", Box::new(|style| addresses(&entries(), &[link()], style))),
        ("stats", Box::new(|style| statistics(&[slave_counters(), master_counters()], style))),
        ("stats (brief)", Box::new(|style| statistics(&[slave_counters(), master_counters()], style))),
        ("monitor", Box::new(|style| events().iter().map(|change| told(change, style)).next().unwrap_or_default())),
        ("monitor # a change", Box::new(|style| told(&events()[1], style))),
        ("monitor # an address", Box::new(|style| told(&events()[2], style))),
        ("monitor # lost", Box::new(|style| told(&MonitorEvent::Lost, style))),
        ("explain from s0 to 10.0.0.11", Box::new(|style| explanation(&explained(), style))),
        ("policy show", Box::new(|style| policies(&[policy()], false, style))),
        ("doctor", Box::new(|style| findings(&[finding()], style))),
        ("apply --dry-run", Box::new(|style| plan(&planned(), style))),
        ("upgrade", Box::new(|style| upgraded(&[replaced()], style))),
    ]
}

fn link() -> Link {
    Link {
        backend: Some((Backend::Netkit, "the kernel has it")),
        groups: vec![Mac([1, 0, 0x5e, 1, 2, 3])],
        queue: Some("tbf".to_owned()),
        rates: Rates { input: rate::parse("100mbit").flatten(), output: rate::parse("1gbit").flatten() },
        degraded: vec!["its master has left".to_owned()],
        ..moved()
    }
}

fn entries() -> Vec<AddressEntry> {
    let entry = AddressEntry {
        addr: Addr::v4([10, 0, 0, 10]),
        prefix_len: 32,
        slave: Some("s0".to_owned()),
        master: "eth0".to_owned(),
        status: AddressStatus::Device,
        owner: None,
    };
    let declared = AddressEntry {
        addr: Addr::v4([10, 1, 0, 0]),
        prefix_len: 16,
        status: AddressStatus::Declared,
        ..entry.clone()
    };
    let owner = Some("s1".to_owned());
    vec![entry.clone(), declared, AddressEntry { status: AddressStatus::Conflict, owner, ..entry }]
}

fn slave_counters() -> Statistics {
    let counters = Counters { tx_packets: 3, tx_bytes: 300, rx_packets: 2, rx_bytes: 200 };
    let drops = vec![(Reason::Private, 4), (Reason::TooBig, 1)];
    Statistics { name: "s0".to_owned(), ifindex: IfIndex(7), is_master: false, counters, drops }
}

fn master_counters() -> Statistics {
    let drops = vec![(Reason::SlaveDown, 9)];
    Statistics { name: "eth0".to_owned(), ifindex: IfIndex(2), is_master: true, counters: Counters::default(), drops }
}

fn events() -> Vec<MonitorEvent> {
    let (old, new) = (Box::new(Link { degraded: Vec::new(), mtu: 1400, ..link() }), Box::new(link()));
    vec![
        MonitorEvent::LinkAdded(new.clone()),
        MonitorEvent::LinkChanged { what: Property::Mtu, old, new },
        MonitorEvent::AddressAdded(entries().remove(2)),
    ]
}

fn told(change: &MonitorEvent, style: Style) -> String {
    let watch = Watch { links: true, addresses: true, label: false, device: None, family: None };
    event(change, &watch, None, SystemTime::UNIX_EPOCH, style)
}

fn explained() -> Explanation {
    Explanation {
        verdict: Reason::Private.into(),
        questions: vec!["whose address is 10.0.0.11? s1's".to_owned()],
        text: "dropped as private".to_owned(),
        lost: None,
        remedy: "ipvl link set SLAVE type ipvlan bridge".to_owned(),
    }
}

fn policy() -> SlavePolicy {
    let count = PolicyCount { packets: 5, bytes: 370 };
    let rule = ipvl_control::policy_words::rules("in from 10.0.0.0/8 tcp dport 80-90 accept").unwrap().remove(0);
    SlavePolicy {
        slave: "s0".to_owned(),
        master: "eth0".to_owned(),
        labels: vec!["web".to_owned(), "db".to_owned()],
        defaults: Some((false, true)),
        rules: vec![CountedRule { handle: 3, rule, count }],
        others: vec![("established", Direction::In, count)],
    }
}

fn finding() -> Finding {
    let owned = str::to_owned;
    Finding { severity: Severity::Bad, subject: owned("s0"), text: owned("no route"), remedy: owned("ip route add") }
}

fn replaced() -> Upgraded {
    Upgraded { master: "eth0".to_owned(), from: 5, to: 6, replaced: 3 }
}

/// A new namespace, a new slave, a changed one and one to delete.
fn planned() -> apply::Plan {
    let file = "[[netns]]\nname = \"web\"\n\
        [[link]]\nmaster = \"eth0\"\nname = \"new\"\nnetns = \"web\"\nmtu = 1400\naddresses = [\"10.0.0.7/24\"]\n\
        routes = [{ to = \"default\", via = \"10.0.0.1\" }]\n\
        rules = [{ priority = 100, from = \"10.0.0.7\", table = 7 }]\n\
        policy = { in = \"drop\", rules = [\"in tcp dport 443 accept\"] }\nlabels = [\"web\"]\n\
        sysctls = { \"net.ipv4.conf.IFNAME.rp_filter\" = 2 }\n\
        [[link]]\nmaster = \"eth0\"\nname = \"s0\"\nmode = \"l2\"\naddresses = [\"10.0.0.8/24\"]\n\
        policy = \"out drop\"\n\
        routes = [{ to = \"default\", via = \"10.0.0.1\" }]\nsysctls = { \"net.ipv4.conf.IFNAME.rp_filter\" = 2 }\n";
    let given = apply::read([(
        "f",
        "[[link]]\nmaster = \"eth0\"\nname = \"given\"\nnetns = \"web\"\n\
        routes = [{ to = \"default\", via = \"10.0.0.2\" }]\nrules = [{ priority = 9, table = 7 }]\n",
    )]);
    let mut inside = given.unwrap().links.remove(0).inside;
    inside.sysctls.insert("net/ipv4/conf/s0/rp_filter".to_owned(), "1".to_owned());
    let set = |addr: [u8; 4]| BTreeSet::from([(Addr::v4(addr), 24)]);
    let was = |host_end: u32, name: &str| ActualLink {
        place: ipvl_control::Place::here(IfIndex(host_end)),
        owner: Some(format!("apply /{name}")),
        name: Some(name.to_owned()),
        local: true,
        netns: None,
        kind: Kind::Ipvlan,
        backend: Some(Backend::Veth),
        master: (IfIndex(2), "eth0".to_owned()),
        host_end: (IfIndex(host_end), format!("ipvlh{host_end}")),
        options: Options::DEFAULT,
        rates: Rates::default(),
        policy: ipvl_control::PolicyKeys { policy: None, labels: ["old".to_owned()].into() },
        mtu: 1500,
        up: true,
        addresses: set([10, 0, 0, 9]),
        device: Some(ipvl_control::Place::here(IfIndex(host_end))),
        inside: inside.clone(),
        declared: BTreeSet::new(),
    };
    let actual = ActualState {
        slaves: vec![was(7, "s0"), was(8, "old")],
        masters: BTreeMap::from([("eth0".to_owned(), (IfIndex(2), 1500))]),
        netns: BTreeSet::new(),
        owners: BTreeMap::new(),
        left: BTreeMap::from([("web".to_owned(), inside.clone())]),
        flowtable: None,
    };
    apply::plan(&apply::read([("f", file)]).unwrap(), &actual, true).unwrap()
}

#[test]
fn each_option_of_a_slave_is_in_json() {
    let json = links(&[link()], &[], Style { json: true, ..Style::default() });
    for entry in ipvl_core::OPTIONS {
        assert!(json.contains(&format!("\"{}\":", entry.name)), "{}", entry.name);
    }
}
