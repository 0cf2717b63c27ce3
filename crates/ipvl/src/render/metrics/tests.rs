//! Are metrics told as Prometheus reads them, and do rules and dashboard ask for metrics that exist?

use super::*;
use crate::render::link::tests::moved;
use crate::snapshot;
use ipvl_control::{AgentCounters, AgentReport, Link};
use ipvl_core::IfIndex;
use ipvl_core::maps::Counters;
use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, time::Duration};

#[test]
fn metrics_are_as_they_were() {
    snapshot::check("metrics.txt", &metrics(overview()));
}

#[test]
fn without_an_agent_that_is_told_and_its_counters_are_not() {
    let told = metrics(Overview { agent: AgentReport { runs: false, counters: None }, ..overview() });
    assert!(told.contains("\nipvl_agent_up 0\n") && !told.contains("ipvl_agent_events"), "{told}");
    assert!(told.ends_with("# EOF\n"));
}

#[test]
fn a_hostile_name_stays_within_its_label() {
    let mut hostile = overview();
    hostile.slaves[0].link.name = "a\"} 1\nx\\".to_owned();
    let told = metrics(hostile);
    assert!(told.contains(r#"slave="a\"} 1\nx\\","#), "{told}");
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_exist() {
    let known = names(&metrics(overview()));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus");
    for file in ["rules.yml", "rules-test.yml", "dashboard.json"] {
        let asked = names(&fs::read_to_string(shipped.join(file)).unwrap());
        let unknown: Vec<_> = asked.difference(&known).collect();
        assert!(asked.len() > 4 && unknown.is_empty(), "{file}: {unknown:?}");
    }
}

/// All that looks like one of our metrics.
fn names(text: &str) -> BTreeSet<String> {
    let pieces = text.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    pieces.filter(|piece| piece.starts_with("ipvl_") && piece.len() > 5).map(str::to_owned).collect()
}

fn overview() -> Overview {
    let slave = SlaveReport {
        link: moved(),
        owner: Some("cni web 0123456789ab eth0".to_owned()),
        counters: Counters { tx_packets: 3, tx_bytes: 300, rx_packets: 2, rx_bytes: 200 },
        drops: vec![(Reason::Private, 4)],
    };
    let tap = Link { kind: Kind::Ipvtap, netns: None, host_end: (IfIndex(3), "s0".to_owned()), ..moved() };
    let guest = SlaveReport { link: tap, owner: None, drops: Vec::new(), ..slave.clone() };
    let port = PortReport {
        ifindex: IfIndex(2),
        name: "eth0".to_owned(),
        own_addresses: Vec::new(),
        slaves: 2,
        most_slaves: 4096,
        addresses: 5,
        most_addresses: Some(65536),
        prefixes: 1,
        conflicts: 1,
        refused: 0,
        drops: vec![(Reason::SlaveDown, 9)],
    };
    let mut latency = Latency::default();
    [0, 1, 3].into_iter().for_each(|millis| latency.observe(Duration::from_millis(millis)));
    let counters = AgentCounters { events: 7, resyncs: 1, syncs: 3, errors: 0, latency };
    let agent = AgentReport { runs: true, counters: Some(counters) };
    Overview { slaves: vec![slave, guest], ports: vec![port], agent }
}

#[test]
fn an_owner_names_its_container() {
    assert_eq!(owner("docker net endpoint sandbox"), Some(("docker", Some("sandbox"))));
    assert_eq!(owner("docker net endpoint "), Some(("docker", None)));
    assert_eq!(owner("apply web/ipvl0"), Some(("apply", None)));
}
