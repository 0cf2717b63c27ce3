//! How is the address table shown?

use super::Style;
use crate::names::Named;
use ipvl_control::{AddressEntry, AddressMove, AddressStatus};
use ipvl_core::Addr;
use serde_json::{Value, json};

/// All of `entries`, one a line.
pub fn addresses(entries: &[AddressEntry], style: Style) -> String {
    style.print(|| entries.iter().map(text).collect(), || entries.iter().map(json).collect())
}

/// A line of the table.
pub fn text(entry: &AddressEntry) -> String {
    let owner = owner(entry.slave.as_deref());
    let status = match (entry.status, &entry.owner) {
        (AddressStatus::Conflict, Some(owner)) => format!("conflict with {owner}"),
        (status, _) => status.word().to_owned(),
    };
    format!("{} {owner} master {} {status}\n", prefix(entry.addr, entry.prefix_len), entry.master)
}

/// How an address moved.
pub fn move_text(AddressMove { addr, prefix_len, from, to, master, why }: &AddressMove) -> String {
    let (prefix, owner) = (prefix(*addr, *prefix_len), owner(to.as_deref()));
    format!("{prefix} {owner} master {master} moved from {from} ({})\n", why.word())
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

fn owner(slave: Option<&str>) -> String {
    slave.map_or_else(|| "host".to_owned(), |slave| format!("dev {slave}"))
}

fn prefix(addr: Addr, prefix_len: u8) -> String {
    let whole = if addr.as_v4().is_some() { 32 } else { 128 };
    match prefix_len {
        len if len == whole => addr.to_string(),
        len => format!("{addr}/{len}"),
    }
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
        assert_eq!(addresses(&[entry, host, declared, conflict.clone()], Style::default()), expected);

        let json = r#"[{"address":"10.0.0.10","prefixlen":32,"dev":"ipvl0","master":"eth0","origin":"conflict","owner":"ipvl1"}]"#;
        assert_eq!(addresses(&[conflict], Style { json: true, ..Style::default() }), format!("{json}\n"));
    }
}
