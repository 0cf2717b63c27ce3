//! How is a change reported? As `ip monitor` does it, a line for each property that changed.

use super::color::Color;
use super::{Style, addr, link, options};
use crate::command::{Timestamp, Watch};
use crate::names::Named;
use ipvl_control::kernel::sys::{LocalTime, local_time};
use ipvl_control::{AddressEntry, Link, MonitorEvent, Property};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const LOST: &str = "Events were lost; what follows is what is different since.";

/// What to print; empty if the event is not watched.
pub fn event(
    event: &MonitorEvent,
    watch: &Watch,
    timestamp: Option<Timestamp>,
    now: SystemTime,
    style: Style,
) -> String {
    if !is_watched(event, watch) {
        return String::new();
    }
    style.print(
        || {
            let (stamp, label) = (timestamp.map(|how| stamp(how, now)), watch.label.then(|| label(event)));
            vec![format!(
                "{}{}{}\n",
                stamp.unwrap_or_default(),
                label.unwrap_or_default(),
                text(event, style).trim_end()
            )]
        },
        || {
            let mut all = json(event);
            if timestamp.is_some() {
                all["timestamp"] = json!(short(now));
            }
            all
        },
    )
}

fn is_watched(event: &MonitorEvent, watch: &Watch) -> bool {
    let is_meant = |name: &str| watch.device.as_ref().is_none_or(|device| device == name);
    match event {
        MonitorEvent::LinkAdded(link) | MonitorEvent::LinkDeleted(link) => watch.links && is_meant(&link.name),
        MonitorEvent::LinkChanged { old, new, .. } => watch.links && (is_meant(&old.name) || is_meant(&new.name)),
        MonitorEvent::AddressAdded(entry) | MonitorEvent::AddressDeleted(entry) => {
            let is_of_family = watch.family.is_none_or(|family| family.has(entry.addr));
            watch.addresses && is_of_family && is_meant(entry.slave.as_deref().unwrap_or_default())
        }
        MonitorEvent::Lost => true,
    }
}

fn label(event: &MonitorEvent) -> &'static str {
    match event {
        MonitorEvent::LinkAdded(_) | MonitorEvent::LinkDeleted(_) | MonitorEvent::LinkChanged { .. } => "[LINK]",
        MonitorEvent::AddressAdded(_) | MonitorEvent::AddressDeleted(_) => "[ADDR]",
        MonitorEvent::Lost => "[LOST]",
    }
}

fn text(event: &MonitorEvent, style: Style) -> String {
    match event {
        MonitorEvent::LinkAdded(link) => described(link, style),
        MonitorEvent::LinkDeleted(link) => format!("Deleted {}", described(link, style)),
        MonitorEvent::LinkChanged { what, old, new } => {
            let (was, is) = (in_words(value(*what, old)), in_words(value(*what, new)));
            let name = style.paint(Color::Name, &new.name);
            format!("{}: {name} master {} {} {is} (was {was})", new.ifindex, new.master.1, what.name())
        }
        MonitorEvent::AddressAdded(entry) => addr::text(entry, style),
        MonitorEvent::AddressDeleted(entry) => format!("Deleted {}", addr::text(entry, style)),
        MonitorEvent::Lost => LOST.to_owned(),
    }
}

fn described(link: &Link, style: Style) -> String {
    let (Link { ifindex, mtu, .. }, own) = (link, link::own_words(link));
    let name = style.paint(Color::Name, &link.name);
    let degraded: String =
        link.degraded.iter().map(|why| format!(" {}: {why}", style.paint(Color::Bad, "degraded"))).collect();
    format!("{ifindex}: {name} mtu {mtu} state {} {own}{degraded}", state(link))
}

fn json(event: &MonitorEvent) -> Value {
    match event {
        MonitorEvent::LinkAdded(link) => of_link("add", link),
        MonitorEvent::LinkDeleted(link) => of_link("delete", link),
        MonitorEvent::LinkChanged { what, old, new } => {
            let mut all = of_link("change", new);
            (all["what"], all["old"], all["new"]) = (json!(what.name()), value(*what, old), value(*what, new));
            all
        }
        MonitorEvent::AddressAdded(entry) => of_address("add", entry),
        MonitorEvent::AddressDeleted(entry) => of_address("delete", entry),
        MonitorEvent::Lost => json!({ "event": "lost" }),
    }
}

fn of_link(event: &str, link: &Link) -> Value {
    json!({
        "event": event,
        "object": "link",
        "ifindex": link.ifindex.0,
        "ifname": link.name,
        "state": state(link),
        "carrier": link.has_carrier(),
        "mtu": link.mtu,
        "address": link.mac.to_string(),
        "ipvl": link::own_json(link, false),
    })
}

fn of_address(event: &str, entry: &AddressEntry) -> Value {
    let mut all = json!({ "event": event, "object": "address" });
    if let (Value::Object(all), Value::Object(line)) = (&mut all, addr::json(entry)) {
        all.extend(line);
    }
    all
}

/// A property of a slave; null for nothing, or for a value that follows the master.
fn value(what: Property, link: &Link) -> Value {
    match what {
        Property::Netns => link.netns.as_ref().map_or(json!(link.netnsid.map(|id| id.0)), |name| json!(name)),
        Property::Name => json!(link.name),
        Property::State => json!(state(link)),
        Property::Carrier => json!(link.has_carrier()),
        Property::Mtu => json!(link.mtu),
        Property::Address => json!(link.mac.to_string()),
        Property::Option(key) => options::in_json(key.entry(), link.options),
        Property::Degraded => json!(link.degraded.first()),
    }
}

fn state(link: &Link) -> &'static str {
    if link.is_up() { "up" } else { "down" }
}

fn in_words(value: Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(on) => on.word().to_owned(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// As iproute2 writes it.
fn stamp(how: Timestamp, now: SystemTime) -> String {
    match how {
        Timestamp::Short => format!("[{}] ", short(now)),
        Timestamp::Long => {
            let (time, micros) = local(now);
            let LocalTime { year, month, day, weekday, hour, minute, second } = time;
            let (weekday, month) = (WEEKDAYS[usize::from(weekday)], MONTHS[usize::from(month) - 1]);
            format!("Timestamp: {weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year} {micros} usec\n")
        }
    }
}

fn short(now: SystemTime) -> String {
    let (time, micros) = local(now);
    let LocalTime { year, month, day, hour, minute, second, .. } = time;
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}")
}

fn local(now: SystemTime) -> (LocalTime, u32) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    (local_time(since.as_secs() as i64), since.subsec_micros())
}

#[cfg(test)]
mod tests;
