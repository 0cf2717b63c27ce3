//! Is each pair asked about once, by an address that both can use?

use super::*;
use crate::render::sample_link as moved;
use ipvl_core::{IfIndex, Reason};

#[test]
fn each_slave_is_asked_about_its_siblings_and_the_host() {
    let graph = sample();
    let asked: Vec<_> = graph.answers.iter().map(|answer| (answer.from, answer.to, answer.way)).collect();
    assert_eq!(asked, [(1, 0, Way::Not), (1, 2, Way::Direct), (2, 0, Way::Not), (2, 1, Way::Direct)]);
    assert_eq!(graph.answers[1].question, "ipvl explain from s0 to 10.0.0.11");
    assert_eq!((graph.masters(), graph.places("eth0")), (vec!["eth0"], vec![None, Some("hst")]));
}

#[test]
fn too_many_are_not_asked_about() {
    let links: Vec<Link> = (0..MOST_ASKED + 3).map(|_| moved()).collect();
    let graph = graph(&links, &[], &[], |_| Err("no".to_owned()));
    assert_eq!((graph.unasked, graph.answers.len()), (3, MOST_ASKED * (MOST_ASKED - 1)));
    assert_eq!(graph.answers[0].text, "they have no addresses of one family");
}

/// Two slaves that reach each other, and not the host.
pub fn sample() -> Graph {
    let host_end = (IfIndex(8), "ipvlh3".to_owned());
    let sibling =
        Link { name: "s\"1<b>".to_owned(), netns: None, netnsid: None, kind: Kind::Ipvtap, host_end, ..moved() };
    let entry = |slave: &str, last: u8| AddressEntry {
        addr: Addr::v4([10, 0, 0, last]),
        prefix_len: 32,
        slave: Some(slave.to_owned()),
        master: "eth0".to_owned(),
        status: AddressStatus::Device,
        owner: None,
    };
    let port = PortReport {
        ifindex: IfIndex(2),
        name: "eth0".to_owned(),
        own_addresses: vec![Addr::v4([10, 0, 0, 1])],
        slaves: 2,
        most_slaves: 4096,
        addresses: 3,
        most_addresses: Some(65536),
        prefixes: 0,
        conflicts: 0,
        refused: 0,
        drops: Vec::new(),
    };
    let links = [moved(), sibling];
    graph(&links, &[entry("s0", 10), entry("s\"1<b>", 11)], &[port], |question| Ok(explained(question)))
}

fn explained(question: &Question) -> Explanation {
    let Frame::Described(Description { to, .. }) = question.frame else { panic!("a description") };
    let host = to == Addr::v4([10, 0, 0, 1]);
    Explanation {
        verdict: if host { Reason::NoHostAccess.into() } else { Action::Deliver(ipvl_core::Slot(0)).into() },
        questions: vec![format!("whose address is {to}?")],
        text: if host { "dropped as no-host-access".to_owned() } else { "delivered".to_owned() },
        lost: None,
        remedy: if host { "ipvl link set SLAVE type ipvlan host on".to_owned() } else { String::new() },
    }
}
