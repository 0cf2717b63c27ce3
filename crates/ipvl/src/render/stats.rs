//! How are counters shown?

use super::Style;
use super::color::Color;
use ipvl_control::Statistics;
use serde_json::{Map, Value, json};

/// All of `lines`: the traffic, and the drops by reason.
pub fn statistics(lines: &[Statistics], style: Style) -> String {
    style.print(
        || lines.iter().map(|line| if style.brief { brief(line, style) } else { text(line, style) }).collect(),
        || lines.iter().map(|line| json(line, style.details)).collect(),
    )
}

/// Two columns of totals, for `ipvl -s link show`.
pub fn traffic(line: &Statistics) -> String {
    let counters = line.counters;
    [("RX", counters.rx_bytes, counters.rx_packets), ("TX", counters.tx_bytes, counters.tx_packets)]
        .map(|(way, bytes, packets)| format!("    {way}: bytes {bytes} packets {packets}"))
        .join("\n")
        + &format!(" dropped {}", dropped(line))
}

/// The same in iproute2's JSON.
pub fn stats64(line: &Statistics) -> Value {
    let counters = line.counters;
    json!({
        "rx": { "bytes": counters.rx_bytes, "packets": counters.rx_packets },
        "tx": { "bytes": counters.tx_bytes, "packets": counters.tx_packets, "dropped": dropped(line) },
    })
}

/// In columns; the drops of each reason in one word.
fn brief(line: &Statistics, style: Style) -> String {
    let Statistics { name, counters, drops, .. } = line;
    let name = style.paint(Color::Name, &format!("{name:<16} "));
    let drops: Vec<String> = drops.iter().map(|(reason, count)| format!("{reason}={count}")).collect();
    let (rx, tx) = ((counters.rx_packets, counters.rx_bytes), (counters.tx_packets, counters.tx_bytes));
    let traffic = match line.is_master {
        true => format!("{:<40}", "master"),
        false => format!("rx {:<8} {:<12} tx {:<8} {:<12}", rx.0, rx.1, tx.0, tx.1),
    };
    let drops = style.paint(Color::Bad, &drops.join(" "));
    format!("{}\n", format!("{name}{traffic} dropped {} {drops}", dropped(line)).trim_end())
}

fn text(line: &Statistics, style: Style) -> String {
    let drops: String = line
        .drops
        .iter()
        .map(|(reason, count)| (style.paint(Color::Bad, &format!("dropped {count} {reason}")), reason.meaning().trim()))
        .map(|(dropped, meaning)| match style.details {
            true => format!("    {dropped}: {meaning}\n"),
            false => format!("    {dropped}\n"),
        })
        .collect();
    let (counters, name) = (line.counters, style.paint(Color::Name, &line.name));
    let traffic = format!(
        "    rx {} packets {} bytes\n    tx {} packets {} bytes\n",
        counters.rx_packets, counters.rx_bytes, counters.tx_packets, counters.tx_bytes
    );
    // `ip -s link` shows the master's own counters. This line shows only the drops of frames from the wire.
    match (line.is_master, drops.is_empty()) {
        (true, true) => format!("{name} (master), from the wire: no drops\n"),
        (true, false) => format!("{name} (master), from the wire:\n{drops}"),
        (false, _) => format!("{name}:\n{traffic}{drops}"),
    }
}

fn json(line: &Statistics, details: bool) -> Value {
    let counters = line.counters;
    let drops: Map<String, Value> = line.drops.iter().map(|(why, count)| (why.to_string(), json!(count))).collect();
    let mut all = json!({
        "ifname": line.name,
        "master": line.is_master,
        "rx": { "packets": counters.rx_packets, "bytes": counters.rx_bytes },
        "tx": { "packets": counters.tx_packets, "bytes": counters.tx_bytes },
        "dropped": drops,
    });
    if details {
        let meanings = line.drops.iter().map(|(why, _)| (why.to_string(), json!(why.meaning().trim())));
        all["meanings"] = Value::Object(meanings.collect());
    }
    all
}

fn dropped(line: &Statistics) -> u64 {
    line.drops.iter().map(|(_, count)| count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_core::maps::Counters;
    use ipvl_core::{IfIndex, Reason};

    #[test]
    fn counters_and_reasons_are_named() {
        let counters = Counters { tx_packets: 3, tx_bytes: 300, rx_packets: 2, rx_bytes: 200 };
        let drops = vec![(Reason::Private, 4), (Reason::TooBig, 1)];
        let line = Statistics { name: "ipvl0".to_owned(), ifindex: IfIndex(9), is_master: false, counters, drops };
        let expected = "ipvl0:\n    rx 2 packets 200 bytes\n    tx 3 packets 300 bytes\n    \
                        dropped 4 private\n    dropped 1 too-big\n";
        assert_eq!(statistics(std::slice::from_ref(&line), Style::default()), expected);
        assert_eq!(traffic(&line), "    RX: bytes 200 packets 2\n    TX: bytes 300 packets 3 dropped 5");

        let json = r#"[{"ifname":"ipvl0","master":false,"rx":{"packets":2,"bytes":200},"tx":{"packets":3,"bytes":300},"dropped":{"private":4,"too-big":1}}]"#;
        assert_eq!(statistics(&[line], Style { json: true, ..Style::default() }), format!("{json}\n"));
    }
}
