//! Do graph, metrics, text and JSON say the same of real slaves, and is it what packets do?

use ipvl_testbed::{Lab, require_root};
use serde_json::Value;

use crate::common::{agent, kill_agent, pings_now, run, soon};

/// Two slaves that reach each other, and a private one.
fn lab() -> Lab {
    let lab = Lab::new(3);
    for (n, flag) in [(0, "bridge"), (1, "bridge"), (2, "private")] {
        lab.add_slave(n, &format!("mode l2 {flag}"), &[&format!("10.0.0.1{n}/24")]);
    }
    lab
}

#[test]
fn a_graph_answers_as_explain_does_and_as_packets_go() {
    require_root!();
    let lab = lab();
    let graph: Value = serde_json::from_str(&lab.ipvl("-j graph")).expect("JSON");
    let (nodes, answers) = (&graph["nodes"], graph["answers"].as_array().expect("answers"));
    assert_eq!(answers.len(), 9, "{graph}");
    for answer in answers {
        let node =
            |key: &str| nodes[answer[key].as_u64().expect("a number") as usize]["name"].as_str().expect("a name");
        let question = answer["question"].as_str().expect("a question");
        let explained = lab.ipvl(question.trim_start_matches("ipvl "));
        let text = answer["text"].as_str().expect("a text");
        assert!(explained.lines().last().is_some_and(|last| last.starts_with(text)), "{answer}: {explained}");
        let (from, to) = (node("from"), question.rsplit(' ').next().expect("an address"));
        let sender = &lab.slaves[from[4..].parse::<usize>().expect("ipvlN")];
        assert_eq!(answer["way"] != "not", pings_now(sender, to), "{question}: {answer}");
    }
}

#[test]
fn a_graph_is_a_tree_a_page_and_the_languages_of_two_tools() {
    require_root!();
    let lab = lab();
    let tree = lab.ipvl("graph");
    assert!(tree.starts_with("eth0  ") && tree.contains("reaches directly: ipvl1"), "{tree}");
    assert!(tree.contains("does not reach: host ipvl2"), "{tree}");
    assert!(lab.ipvl("graph --dot").starts_with("digraph ipvl {\n"));
    assert!(lab.ipvl("graph --mermaid").starts_with("flowchart LR\n"));
    assert!(lab.ipvl("graph --html -").contains("\"name\":\"ipvl2\""));
}

#[test]
fn metrics_are_the_numbers_of_stats_and_count_what_the_agent_does() {
    require_root!();
    let lab = lab();
    assert!(!pings_now(&lab.slaves[0], "10.0.0.12"));
    let stats: Value = serde_json::from_str(&lab.ipvl("-j stats dev ipvl0")).expect("JSON");
    let metrics = lab.ipvl("metrics");
    let sample = |name: &str| -> f64 {
        let is_it =
            |line: &&str| line.starts_with(name) && (!name.contains("slave") || line.contains("slave=\"ipvl0\""));
        let line = metrics.lines().find(is_it).unwrap_or_else(|| panic!("no {name} in {metrics}"));
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    };
    assert_eq!(Some(sample("ipvl_slave_transmit_packets_total")), stats[0]["tx"]["packets"].as_f64());
    assert_eq!(Some(sample("ipvl_slave_receive_bytes_total")), stats[0]["rx"]["bytes"].as_f64());
    assert_eq!(Some(sample("ipvl_slave_dropped_packets_total")), stats[0]["dropped"]["private"].as_f64());
    assert_eq!((sample("ipvl_agent_up"), sample("ipvl_agent_resyncs_total")), (1.0, 1.0));
    assert!(sample("ipvl_agent_event_to_table_seconds_count") > 0.0, "{metrics}");
    kill_agent(&lab.host);
    assert!(lab.ipvl("metrics").contains("\nipvl_agent_up 0\n"));
}

#[test]
fn an_agent_counts_an_address_that_ip_adds() {
    require_root!();
    let lab = lab();
    let syncs = || {
        let metrics = lab.ipvl("metrics");
        let line = metrics.lines().find(|line| line.starts_with("ipvl_agent_event_to_table_seconds_count"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).expect("a counter")
    };
    let (before, pid) = (syncs(), agent(&lab.host));
    run(&lab.slaves[0], "ip addr add 10.0.0.77/24 dev ipvl0");
    soon("the event is counted", || syncs() > before);
    assert_eq!(agent(&lab.host), pid);
}

#[test]
fn brief_and_oneline_have_a_line_for_each_slave() {
    require_root!();
    let lab = lab();
    for line in ["-br link", "-br addr", "-o link", "-o -d link"] {
        assert_eq!(lab.ipvl(line).lines().count(), 3, "{line}: {}", lab.ipvl(line));
    }
    let brief = lab.ipvl("-br -4 addr show ipvl0");
    let words: Vec<&str> = brief.split_whitespace().collect();
    assert!(words[0].starts_with("ipvl0@") && words[2..] == ["10.0.0.10"], "{brief}");
    assert!(!lab.ipvl("-6 addr").contains("10.0.0."));
}
