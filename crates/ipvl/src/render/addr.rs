//! How is the address table shown?

use super::Style;
use super::color::Color;
use super::link::{brief_start, operstate};
use crate::names::Named;
use ipvl_control::{AddressEntry, AddressMove, AddressStatus, Link};
use ipvl_core::Addr;
use serde_json::{Value, json};

/// All of `entries`, one a line; in brief, one line for each of `links`.
pub fn addresses(entries: &[AddressEntry], links: &[Link], style: Style) -> String {
    match style.brief {
        true => brief(entries, links, style),
        false => style
            .print(|| entries.iter().map(|entry| text(entry, style)).collect(), || entries.iter().map(json).collect()),
    }
}

/// A line of the table.
pub fn text(entry: &AddressEntry, style: Style) -> String {
    let owner = match &entry.slave {
        Some(slave) => format!("dev {}", style.paint(Color::Name, slave)),
        None => "host".to_owned(),
    };
    let status = status(entry);
    let status = match entry.status {
        AddressStatus::Conflict | AddressStatus::Refused => style.paint(Color::Bad, &status),
        _ => status,
    };
    format!("{} {owner} master {} {status}\n", painted(entry, style), entry.master)
}

fn status(entry: &AddressEntry) -> String {
    match (entry.status, &entry.owner) {
        (AddressStatus::Conflict, Some(owner)) => format!("conflict with {owner}"),
        (status, _) => status.word().to_owned(),
    }
}

/// The columns of `ip -br addr`: device, state, addresses. What a slave has but does not own has its status behind it.
fn brief(entries: &[AddressEntry], links: &[Link], style: Style) -> String {
    let of = |link: &Link| -> Vec<&AddressEntry> {
        let is_its = |entry: &&AddressEntry| entry.slave.as_ref() == Some(&link.name) && entry.master == link.master.1;
        entries.iter().filter(is_its).collect()
    };
    style.print(
        || links.iter().map(|link| brief_text(link, &of(link), style)).collect(),
        || links.iter().map(|link| brief_json(link, &of(link))).collect(),
    )
}

fn brief_text(link: &Link, entries: &[&AddressEntry], style: Style) -> String {
    let lost = |entry: &AddressEntry| matches!(entry.status, AddressStatus::Conflict | AddressStatus::Refused);
    let addresses: String = entries
        .iter()
        .map(|entry| match lost(entry) {
            true => format!("{} ({}) ", painted(entry, style), style.paint(Color::Bad, &status(entry))),
            false => format!("{} ", painted(entry, style)),
        })
        .collect();
    format!("{}{addresses}\n", brief_start(link, style))
}

fn brief_json(link: &Link, entries: &[&AddressEntry]) -> Value {
    let infos = entries.iter().map(|entry| {
        let mut info =
            json!({ "local": entry.addr.to_string(), "prefixlen": entry.prefix_len, "origin": entry.status.word() });
        if let Some(owner) = &entry.owner {
            info["owner"] = json!(owner);
        }
        info
    });
    let infos: Vec<Value> = infos.collect();
    json!({ "ifname": link.name, "operstate": operstate(link.operstate), "addr_info": infos })
}

/// How an address moved.
pub fn move_text(AddressMove { addr, prefix_len, from, to, master, why }: &AddressMove) -> String {
    let owner = to.as_ref().map_or_else(|| "host".to_owned(), |slave| format!("dev {slave}"));
    format!("{} {owner} master {master} moved from {from} ({})\n", prefix(*addr, *prefix_len), why.word())
}

/// The same for programs.
pub fn move_json(AddressMove { addr, prefix_len, from, to, master, why }: &AddressMove) -> Value {
    json!({
        "address": addr.to_string(),
        "prefixlen": prefix_len,
        "dev": to,
        "master": master,
        "from": from,
        "why": why.word(),
    })
}

/// The same for programs.
pub fn json(entry: &AddressEntry) -> Value {
    let mut all = json!({
        "address": entry.addr.to_string(),
        "prefixlen": entry.prefix_len,
        "dev": entry.slave,
        "master": entry.master,
        "origin": entry.status.word(),
    });
    if let Some(owner) = &entry.owner {
        all["owner"] = json!(owner);
    }
    all
}

fn painted(entry: &AddressEntry, style: Style) -> String {
    let color = if entry.addr.as_v4().is_some() { Color::V4 } else { Color::V6 };
    style.paint(color, &prefix(entry.addr, entry.prefix_len))
}

/// An address alone has no length behind it.
pub fn prefix(addr: Addr, prefix_len: u8) -> String {
    if prefix_len == addr.full_len() { addr.to_string() } else { format!("{addr}/{prefix_len}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_whose_an_address_is() {
        let entry = AddressEntry {
            addr: Addr::v4([10, 0, 0, 10]),
            prefix_len: 32,
            slave: Some("ipvl0".to_owned()),
            master: "eth0".to_owned(),
            status: AddressStatus::Device,
            owner: None,
        };
        let host = AddressEntry { slave: None, ..entry.clone() };
        let declared = AddressEntry { prefix_len: 24, status: AddressStatus::Declared, ..entry.clone() };
        let owner = Some("ipvl1".to_owned());
        let conflict = AddressEntry { status: AddressStatus::Conflict, owner, ..entry.clone() };
        let expected = "10.0.0.10 dev ipvl0 master eth0 device\n\
                        10.0.0.10 host master eth0 device\n\
                        10.0.0.10/24 dev ipvl0 master eth0 declared\n\
                        10.0.0.10 dev ipvl0 master eth0 conflict with ipvl1\n";
        assert_eq!(addresses(&[entry, host, declared, conflict.clone()], &[], Style::default()), expected);

        let json = r#"[{"address":"10.0.0.10","prefixlen":32,"dev":"ipvl0","master":"eth0","origin":"conflict","owner":"ipvl1"}]"#;
        assert_eq!(addresses(&[conflict], &[], Style { json: true, ..Style::default() }), format!("{json}\n"));
    }
}
