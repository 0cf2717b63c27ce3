//! How is the address table shown?

use super::Style;
use crate::names::Named;
use ipvl_control::{AddressEntry, AddressStatus};
use serde_json::{Value, json};

/// All of `entries`, one a line.
pub fn addresses(entries: &[AddressEntry], style: Style) -> String {
    style.print(|| entries.iter().map(text).collect(), || entries.iter().map(json).collect())
}

/// A line of the table.
pub fn text(entry: &AddressEntry) -> String {
    let owner = match &entry.slave {
        Some(slave) => format!("dev {slave}"),
        None => "host".to_owned(),
    };
    let status = match (entry.status, &entry.owner) {
        (AddressStatus::Conflict, Some(owner)) => format!("conflict with {owner}"),
        (status, _) => status.word().to_owned(),
    };
    format!("{} {owner} master {} {status}\n", prefix(entry), entry.master)
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

fn prefix(entry: &AddressEntry) -> String {
    let whole = if entry.addr.as_v4().is_some() { 32 } else { 128 };
    match entry.prefix_len {
        len if len == whole => entry.addr.to_string(),
        len => format!("{}/{len}", entry.addr),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_core::Addr;

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
