//! How is a slave shown? As `ip link show` shows a device of the kernel's own driver, and then ipvl's own properties.

use super::color::Color;
use super::stats::traffic;
use super::{Style, options};
use crate::names::Named;
use ipvl_control::{Detail, Limit, Link, Rates, Statistics, rate};
use ipvl_core::{Mode, OPTIONS};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// All of `links`; with their counters where `statistics` has them.
pub fn links(links: &[Link], statistics: &[Statistics], style: Style) -> String {
    let counters = |link: &Link| statistics.iter().find(|line| line.is_of(link));
    style.print(
        || links.iter().map(|link| text(link, counters(link), style)).collect(),
        || links.iter().map(|link| json(link, counters(link), style)).collect(),
    )
}

fn text(link: &Link, counters: Option<&Statistics>, style: Style) -> String {
    let details = style.details;
    if style.brief {
        return brief(link, style);
    }
    let mut lines = vec![device_line(link, style), address_line(link, style)];
    if details {
        lines.push(kind_line(link));
    }
    lines.push(own_line(link));
    lines.extend(backend_line(link).filter(|_| details));
    lines.extend(groups(link).filter(|_| details));
    lines.extend(queue_line(link).filter(|_| details));
    lines.extend(rates_line(link));
    lines.extend(link.degraded.iter().map(|why| format!("    {}: {why}", style.paint(Color::Bad, "degraded"))));
    lines.extend(counters.map(traffic));
    lines.iter().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "{line}");
        all
    })
}

/// The columns of `ip -br link` (device, state, MAC address, flags), and then ipvl's own.
fn brief(link: &Link, style: Style) -> String {
    let degraded: String =
        link.degraded.iter().map(|why| format!(" {}: {why}", style.paint(Color::Bad, "degraded"))).collect();
    let (mac, flags) = (style.paint(Color::Mac, &link.mac.to_string()), flag_names(link.flags).join(","));
    let words = own_words(link) + &rates_words(link);
    format!("{}{mac} <{flags}> {words}{degraded}\n", brief_start(link, style))
}

/// The first two columns.
pub fn brief_start(link: &Link, style: Style) -> String {
    let name = format!("{:<16} ", format!("{}@{}", link.name, peer(link)));
    format!("{}{} ", style.paint(Color::Name, &name), state(link, style, 14))
}

fn state(link: &Link, style: Style, width: usize) -> String {
    let (state, color) = match operstate(link.operstate) {
        "UP" => ("UP", Some(Color::Good)),
        "DOWN" => ("DOWN", Some(Color::Bad)),
        other => (other, None),
    };
    let text = format!("{state:<width$}");
    color.map_or_else(|| text.clone(), |color| style.paint(color, &text))
}

fn device_line(link: &Link, style: Style) -> String {
    let Link { ifindex, mtu, qdisc, txqlen, .. } = link;
    let (peer, flags, state) = (peer(link), flag_names(link.flags).join(","), state(link, style, 0));
    let name = style.paint(Color::Name, &link.name);
    let qdisc = if qdisc.is_empty() { String::new() } else { format!("qdisc {qdisc} ") };
    format!(
        "{ifindex}: {name}@{peer}: <{flags}> mtu {mtu} {qdisc}state {state} mode DEFAULT group default qlen {txqlen}"
    )
}

fn address_line(link: &Link, style: Style) -> String {
    let netns = match (&link.netns, link.netnsid) {
        (_, None) => String::new(),
        (Some(name), _) => format!(" link-netns {name}"),
        (None, Some(id)) => format!(" link-netnsid {id}"),
    };
    let mac = style.paint(Color::Mac, &link.mac.to_string());
    let start = format!("    link/ether {mac} brd ff:ff:ff:ff:ff:ff{netns}");
    let Detail { promiscuity, allmulti, min_mtu, max_mtu, .. } = link.detail;
    match style.details {
        false => start,
        true => format!("{start} promiscuity {promiscuity} allmulti {allmulti} minmtu {min_mtu} maxmtu {max_mtu} "),
    }
}

fn kind_line(link: &Link) -> String {
    let numbers: String = numbers(&link.detail).iter().map(|(_, text, value)| format!("{text} {value} ")).collect();
    let (kind, mode, flag) = (link.kind.word(), link.options.mode.word(), link.options.flag.word());
    format!("    {kind}  mode {mode} {flag} addrgenmode {} {numbers}", link.detail.addrgenmode)
}

fn own_line(link: &Link) -> String {
    format!("    ipvl {}", own_words(link))
}

/// The properties of a slave that `ip` does not know.
pub fn own_words(link: &Link) -> String {
    let netns = link.netns.as_ref().map_or(String::new(), |name| format!(" netns {name}"));
    let options = options::in_words(link.options);
    let place = match link.is_in_module() {
        true => "backend kernel".to_owned(),
        false => format!("slot {} host-end {}", link.slot.0, link.host_end.1),
    };
    format!("master {} {options} {place}{netns}", link.master.1)
}

/// The slave's backend, and why it has that.
fn backend_line(link: &Link) -> Option<String> {
    link.backend.map(|(backend, why)| format!("    ipvl backend {} ({why})", backend.word()))
}

/// The queueing discipline of the host end, if it has one.
fn queue_line(link: &Link) -> Option<String> {
    link.queue.as_ref().map(|qdisc| format!("    ipvl queue {qdisc}"))
}

/// The limits of the slave's rates, if it has any.
fn rates_line(link: &Link) -> Option<String> {
    Some(rates_words(link)).filter(|words| !words.is_empty()).map(|words| format!("    ipvl{words}"))
}

/// ` rate in 100mbit`; nothing without a limit.
pub fn rates_words(link: &Link) -> String {
    let limited = |(way, limit): (&str, Option<Limit>)| limit.map(|_| format!(" {way} {}", rate::text(limit)));
    let words: String = link.rates.ways().into_iter().filter_map(limited).collect();
    if words.is_empty() { words } else { format!(" rate{words}") }
}

/// As they are typed.
fn rates_json(link: &Link) -> Value {
    let limits = link.rates.ways().into_iter().filter(|(_, limit)| limit.is_some());
    limits.map(|(way, limit)| (way.to_owned(), json!(rate::text(limit)))).collect::<Map<_, _>>().into()
}

/// The multicast groups of an l2 slave, without those that every station receives.
fn groups(link: &Link) -> Option<String> {
    let names: Vec<_> = link.groups.iter().map(ToString::to_string).collect();
    match (link.all_groups, names.is_empty()) {
        (true, _) => Some("    ipvl groups all".to_owned()),
        (false, true) => None,
        (false, false) => Some(format!("    ipvl groups {}", names.join(" "))),
    }
}

fn json(link: &Link, counters: Option<&Statistics>, style: Style) -> Value {
    let details = style.details;
    if style.brief {
        return brief_json(link);
    }
    let mut all = Map::new();
    let mut put = |key: &str, value: Value| all.insert(key.to_owned(), value);
    put("ifindex", json!(link.ifindex.0));
    match link.netnsid {
        None => put("link", json!(link.master.1)),
        Some(_) => put("link_index", json!(link.master.0.0)),
    };
    put("ifname", json!(link.name));
    put("flags", json!(flag_names(link.flags)));
    put("mtu", json!(link.mtu));
    put("qdisc", json!(link.qdisc));
    put("operstate", json!(operstate(link.operstate)));
    put("linkmode", json!("DEFAULT"));
    put("group", json!("default"));
    put("txqlen", json!(link.txqlen));
    put("link_type", json!("ether"));
    put("address", json!(link.mac.to_string()));
    put("broadcast", json!("ff:ff:ff:ff:ff:ff"));
    link.netnsid.map(|id| put("link_netnsid", json!(id.0)));
    if details {
        put_details(link, &mut put);
    }
    counters.map(|counters| put("stats64", super::stats::stats64(counters)));
    put("ipvl", own_json(link, details));
    Value::Object(all)
}

fn brief_json(link: &Link) -> Value {
    let mut all = json!({ "ifname": link.name });
    match link.netnsid {
        None => all["link"] = json!(link.master.1),
        Some(_) => all["link_index"] = json!(link.master.0.0),
    }
    all["operstate"] = json!(operstate(link.operstate));
    all["address"] = json!(link.mac.to_string());
    all["flags"] = json!(flag_names(link.flags));
    all["ipvl"] = own_json(link, false);
    all
}

fn put_details(link: &Link, put: &mut impl FnMut(&str, Value) -> Option<Value>) {
    let detail = &link.detail;
    put("promiscuity", json!(detail.promiscuity));
    put("allmulti", json!(detail.allmulti));
    put("min_mtu", json!(detail.min_mtu));
    put("max_mtu", json!(detail.max_mtu));
    let data = json!({ "mode": link.options.mode.word(), link.options.flag.word(): true });
    put("linkinfo", json!({ "info_kind": link.kind.word(), "info_data": data }));
    put("inet6_addr_gen_mode", json!(detail.addrgenmode));
    for (key, _, value) in numbers(detail) {
        put(key, json!(value));
    }
}

/// The same for programs.
pub fn own_json(link: &Link, details: bool) -> Value {
    let mut own = json!({ "master": link.master.1 });
    OPTIONS.iter().for_each(|entry| own[entry.name] = options::in_json(entry, link.options));
    if link.is_in_module() {
        own["backend"] = json!("kernel");
    } else {
        own["slot"] = json!(link.slot.0);
        own["host_end"] = json!(link.host_end.1);
    }
    own["degraded"] = json!(link.degraded);
    if details && link.options.mode == Mode::L2 {
        let names = link.groups.iter().map(ToString::to_string);
        own["groups"] = if link.all_groups { json!("all") } else { names.collect() };
    }
    if let (true, Some((backend, why))) = (details, link.backend) {
        own["backend"] = json!(backend.word());
        own["backend_why"] = json!(why);
    }
    if let (true, Some(qdisc)) = (details, &link.queue) {
        own["queue"] = json!(qdisc);
    }
    if link.rates != Rates::default() {
        own["rate"] = rates_json(link);
    }
    if let Some(name) = &link.netns {
        own["netns"] = json!(name);
    }
    own
}

/// The master by name, or by its index where the slave cannot see it.
fn peer(link: &Link) -> String {
    match link.netnsid {
        None => link.master.1.clone(),
        Some(_) => format!("if{}", link.master.0),
    }
}

/// What iproute2 calls them in JSON and in text.
fn numbers(detail: &Detail) -> [(&'static str, &'static str, u32); 9] {
    [
        ("num_tx_queues", "numtxqueues", detail.num_tx_queues),
        ("num_rx_queues", "numrxqueues", detail.num_rx_queues),
        ("gso_max_size", "gso_max_size", detail.gso_max_size),
        ("gso_max_segs", "gso_max_segs", detail.gso_max_segs),
        ("tso_max_size", "tso_max_size", detail.tso_max_size),
        ("tso_max_segs", "tso_max_segs", detail.tso_max_segs),
        ("gro_max_size", "gro_max_size", detail.gro_max_size),
        ("gso_ipv4_max_size", "gso_ipv4_max_size", detail.gso_ipv4_max_size),
        ("gro_ipv4_max_size", "gro_ipv4_max_size", detail.gro_ipv4_max_size),
    ]
}

/// In the order in which iproute2 prints them. RUNNING is not printed; without it iproute2 prints NO-CARRIER.
fn flag_names(flags: u32) -> Vec<&'static str> {
    const UP: u32 = 1;
    const RUNNING: u32 = 1 << 6;
    const NAMES: &[(u32, &str)] = &[
        (1 << 3, "LOOPBACK"),
        (1 << 1, "BROADCAST"),
        (1 << 4, "POINTOPOINT"),
        (1 << 12, "MULTICAST"),
        (1 << 7, "NOARP"),
        (1 << 9, "ALLMULTI"),
        (1 << 8, "PROMISC"),
        (1 << 10, "MASTER"),
        (1 << 11, "SLAVE"),
        (1 << 2, "DEBUG"),
        (1 << 15, "DYNAMIC"),
        (1 << 14, "AUTOMEDIA"),
        (1 << 13, "PORTSEL"),
        (1 << 5, "NOTRAILERS"),
        (UP, "UP"),
        (1 << 16, "LOWER_UP"),
        (1 << 17, "DORMANT"),
        (1 << 18, "ECHO"),
    ];
    let no_carrier = (flags & UP != 0 && flags & RUNNING == 0).then_some("NO-CARRIER");
    no_carrier.into_iter().chain(NAMES.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name)).collect()
}

/// RFC 2863's states by the kernel's numbers.
pub fn operstate(state: u8) -> &'static str {
    const NAMES: [&str; 7] = ["UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"];
    NAMES.get(usize::from(state)).copied().unwrap_or("UNKNOWN")
}

#[cfg(test)]
pub mod tests;
