//! Does a line say what changed, of which slave, from which value to which, and when?

use super::*;
use crate::render::link::tests::moved;
use ipvl_control::{AddressEntry, AddressMove, AddressStatus};
use ipvl_core::{Addr, HostAccess, Mode, MoveReason, OptionKey, Options};
use std::time::{Duration, UNIX_EPOCH};

const ALL: Watch = Watch { links: true, addresses: true, label: false, device: None, family: None };
const JSON: Style = Style { details: false, json: true, pretty: false, brief: false, oneline: false, color: false };

#[test]
fn a_change_says_what_was_and_what_is() {
    assert_eq!(
        told(&changed(Property::Option(OptionKey::Mode)), &ALL, Style::default()),
        "3: s0 master eth0 mode l2 (was l3s)\n"
    );
    assert_eq!(told(&changed(Property::Netns), &ALL, Style::default()), "3: s0 master eth0 netns hst (was none)\n");
    let json: Value =
        serde_json::from_str(&told(&changed(Property::Option(OptionKey::HostAccess)), &ALL, JSON)).unwrap();
    assert_eq!((&json["event"], &json["object"], &json["what"]), (&json!("change"), &json!("link"), &json!("host")));
    assert_eq!((&json["old"], &json["new"], &json["ifname"]), (&json!(true), &json!(false), &json!("s0")));
}

#[test]
fn what_goes_is_told_as_what_comes() {
    let link = Box::new(moved());
    let described =
        "3: s0 mtu 1500 state up master eth0 mode l2 bridge guard owned host off slot 3 host-end ipvlh2 netns hst\n";
    assert_eq!(told(&MonitorEvent::LinkAdded(link.clone()), &ALL, Style::default()), described);
    assert_eq!(told(&MonitorEvent::LinkDeleted(link), &ALL, Style::default()), format!("Deleted {described}"));
    let json = r#"{"event":"delete","object":"address","address":"10.0.0.10","prefixlen":32,"dev":"s0","master":"eth0","origin":"conflict","owner":"s1"}"#;
    assert_eq!(told(&MonitorEvent::AddressDeleted(entry()), &ALL, JSON), format!("{json}\n"));
}

#[test]
fn only_what_is_watched_is_told() {
    let link = MonitorEvent::LinkAdded(Box::new(moved()));
    let address = MonitorEvent::AddressAdded(entry());
    for (watch, links, addresses) in [
        (Watch { addresses: false, ..ALL }, true, false),
        (Watch { links: false, ..ALL }, false, true),
        (Watch { device: Some("s0".to_owned()), ..ALL }, true, true),
        (Watch { device: Some("s1".to_owned()), ..ALL }, false, false),
    ] {
        let told = [&link, &address].map(|event| !told(event, &watch, Style::default()).is_empty());
        assert_eq!(told, [links, addresses], "{watch:?}");
    }
}

#[test]
fn a_move_names_both_slaves_and_the_reason() {
    for (to, prefix_len, why, text, json) in [
        (
            Some("s1"),
            32,
            MoveReason::Silent,
            "10.0.0.10 dev s1 master eth0 moved from s0 (silent)",
            r#""prefixlen":32,"dev":"s1","master":"eth0","from":"s0","why":"silent""#,
        ),
        (
            None,
            24,
            MoveReason::Host,
            "10.0.0.10/24 host master eth0 moved from s0 (host)",
            r#""prefixlen":24,"dev":null,"master":"eth0","from":"s0","why":"host""#,
        ),
    ] {
        let (addr, from, master) = (Addr::v4([10, 0, 0, 10]), "s0".to_owned(), "eth0".to_owned());
        let moved = AddressMove { addr, prefix_len, from, to: to.map(str::to_owned), master, why };
        let moved = MonitorEvent::AddressMoved(moved);
        assert_eq!(told(&moved, &ALL, Style::default()), format!("{text}\n"));
        let start = r#"{"event":"move","object":"address","address":"10.0.0.10","#;
        assert_eq!(told(&moved, &ALL, JSON), format!("{start}{json}}}\n"));
        for (device, is_told) in [("s0", true), ("s1", to.is_some()), ("s2", false)] {
            let watch = Watch { device: Some(device.to_owned()), ..ALL };
            assert_eq!(!told(&moved, &watch, Style::default()).is_empty(), is_told, "{device}");
        }
    }
}

#[test]
fn time_and_label_stand_in_front() {
    let now = UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_042);
    let watch = Watch { label: true, ..ALL };
    let short = event(&MonitorEvent::AddressAdded(entry()), &watch, Some(Timestamp::Short), now, Style::default());
    assert!(short.starts_with("[2023-11-1") && short.contains(".000042] [ADDR]10.0.0.10 dev s0"), "{short}");
    let long = event(&MonitorEvent::Lost, &watch, Some(Timestamp::Long), now, Style::default());
    assert!(long.starts_with("Timestamp: ") && long.contains(" 2023 42 usec\n[LOST]Events were"), "{long}");
    let json = event(&MonitorEvent::Lost, &watch, Some(Timestamp::Short), now, JSON);
    assert!(json.contains(r#"{"event":"lost","timestamp":"2023-11-1"#), "{json}");
}

fn told(what: &MonitorEvent, watch: &Watch, style: Style) -> String {
    event(what, watch, None, UNIX_EPOCH, style)
}

fn changed(what: Property) -> MonitorEvent {
    let options = Options { mode: Mode::L3s, host: HostAccess::On, ..Options::DEFAULT };
    let old = Link { options, netns: None, netnsid: None, ..moved() };
    MonitorEvent::LinkChanged { what, old: Box::new(old), new: Box::new(moved()) }
}

fn entry() -> AddressEntry {
    AddressEntry {
        addr: Addr::v4([10, 0, 0, 10]),
        prefix_len: 32,
        slave: Some("s0".to_owned()),
        master: "eth0".to_owned(),
        status: AddressStatus::Conflict,
        owner: Some("s1".to_owned()),
    }
}
