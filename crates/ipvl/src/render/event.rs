//! How is a change reported? As `ip monitor` does it, a line for each property that changed.

use super::color::Color;
use super::time::{short, stamp};
use super::{Style, addr, link, options};
use crate::command::{Timestamp, Watch};
use crate::names::Named;
use ipvl_control::{Link, MonitorEvent, Property};
use serde_json::{Value, json};
use std::time::SystemTime;

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
        MonitorEvent::AddressMoved(moved) => {
            watch.addresses && (is_meant(&moved.from) || is_meant(moved.to.as_deref().unwrap_or_default()))
        }
        MonitorEvent::Lost => true,
    }
}

fn label(event: &MonitorEvent) -> &'static str {
    match event {
        MonitorEvent::LinkAdded(_) | MonitorEvent::LinkDeleted(_) | MonitorEvent::LinkChanged { .. } => "[LINK]",
        MonitorEvent::AddressAdded(_) | MonitorEvent::AddressDeleted(_) | MonitorEvent::AddressMoved(_) => "[ADDR]",
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
        MonitorEvent::AddressMoved(moved) => addr::move_text(moved),
        MonitorEvent::Lost => LOST.to_owned(),
    }
}

fn described(link: &Link, style: Style) -> String {
    let (Link { ifindex, mtu, .. }, own) = (link, link::own_words(link) + &link::rates_words(link));
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
        MonitorEvent::AddressAdded(entry) => of_address("add", addr::json(entry)),
        MonitorEvent::AddressDeleted(entry) => of_address("delete", addr::json(entry)),
        MonitorEvent::AddressMoved(moved) => of_address("move", addr::move_json(moved)),
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

fn of_address(event: &str, line: Value) -> Value {
    let mut all = json!({ "event": event, "object": "address" });
    if let (Value::Object(all), Value::Object(line)) = (&mut all, line) {
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

#[cfg(test)]
mod tests;
