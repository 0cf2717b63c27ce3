//! What did a plugin do? Its result, read and written in every version since 0.3.0.

use crate::failure::Failure;
use crate::fields::Fields;
use crate::version::is_at_least;
use ipvl_control::SlaveRoute;
use ipvl_core::Addr;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// A result, without the parts that ipvl does not need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub interfaces: Vec<Interface>,
    pub ips: Vec<Ip>,
    pub routes: Vec<SlaveRoute>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    /// Empty for one of the host.
    pub sandbox: String,
    pub mac: String,
    pub mtu: Option<u32>,
}

/// An address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    pub addr: Addr,
    pub prefix_len: u8,
    pub gateway: Option<Addr>,
    /// On which device of the result.
    pub interface: Option<usize>,
}

/// Reads one that is found at `place`.
pub fn parse(value: &Value, place: &str) -> Result<Outcome, Failure> {
    let fields = Fields::of(value, place)?;
    let each = |key: &str| -> Result<Vec<(String, Value)>, Failure> {
        let list = fields.list(key)?.cloned().unwrap_or_default().into_iter().enumerate();
        Ok(list.map(|(n, value)| (format!("{place}.{key}[{n}]"), value)).collect())
    };
    Ok(Outcome {
        interfaces: each("interfaces")?
            .iter()
            .map(|(place, value)| interface(Fields::of(value, place)?))
            .collect::<Result<_, _>>()?,
        ips: each("ips")?.iter().map(|(place, value)| ip(Fields::of(value, place)?)).collect::<Result<_, _>>()?,
        routes: each("routes")?
            .iter()
            .map(|(place, value)| route(Fields::of(value, place)?))
            .collect::<Result<_, _>>()?,
    })
}

impl Outcome {
    /// The result in the newest version.
    pub fn to_json(&self, dns: &Value) -> Value {
        let mut json = json!({
            "interfaces": self.interfaces.iter().map(interface_json).collect::<Vec<_>>(),
            "ips": self.ips.iter().map(ip_json).collect::<Vec<_>>(),
        });
        if !self.routes.is_empty() {
            json["routes"] = self.routes.iter().map(route_json).collect();
        }
        json["dns"] = dns.clone();
        json
    }

    /// The gateway of the first address of that family that has one.
    pub fn gateway_like(&self, addr: Addr) -> Option<Addr> {
        let same = self.ips.iter().filter(|ip| ip.addr.as_v4().is_some() == addr.as_v4().is_some());
        same.filter_map(|ip| ip.gateway).next()
    }
}

/// The result in another version since 0.3.0.
pub fn in_version(mut result: Value, version: &str) -> Value {
    let since_1_1 = [
        ("interfaces", ["mtu", "socketPath", "pciID"].as_slice()),
        ("routes", &["mtu", "advmss", "priority", "table", "scope"]),
    ];
    for (list, keys) in since_1_1.into_iter().filter(|_| !is_at_least(version, "1.1.0")) {
        for object in objects(&mut result, list) {
            keys.iter().for_each(|key| _ = object.shift_remove(*key));
        }
    }
    for ip in objects(&mut result, "ips") {
        let family =
            if ip.get("address").and_then(Value::as_str).is_some_and(|text| text.contains(':')) { "6" } else { "4" };
        match is_at_least(version, "1.0.0") {
            true => _ = ip.shift_remove("version"),
            false => _ = ip.insert("version".to_owned(), family.into()),
        }
    }
    if let Some(object) = result.as_object_mut() {
        object.shift_remove("cniVersion");
        object.shift_insert(0, "cniVersion".to_owned(), version.into());
    }
    result
}

fn objects<'a>(result: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = result.get_mut(list).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn interface(fields: Fields<'_>) -> Result<Interface, Failure> {
    let text = |key| fields.text(key).map(|text| text.unwrap_or_default().to_owned());
    Ok(Interface { name: text("name")?, sandbox: text("sandbox")?, mac: text("mac")?, mtu: fields.number("mtu")? })
}

fn ip(fields: Fields<'_>) -> Result<Ip, Failure> {
    ip_under("address", fields)
}

/// An address, with its gateway beside it.
pub fn ip_under(key: &str, fields: Fields<'_>) -> Result<Ip, Failure> {
    let text = fields.text(key)?.ok_or_else(|| fields.wrong(key, "an address with the length of its network"))?;
    let (addr, prefix_len) =
        prefix(text).ok_or_else(|| fields.wrong(key, &format!("an address as 192.0.2.5/24, not \"{text}\"")))?;
    let gateway = fields.parsed::<IpAddr>("gateway", "an IP address")?.map(Addr::from);
    // Some write -1 for none.
    let interface = fields.get("interface").and_then(Value::as_u64).map(|index| index as usize);
    Ok(Ip { addr, prefix_len, gateway, interface })
}

/// A route of any version.
pub fn route(fields: Fields<'_>) -> Result<SlaveRoute, Failure> {
    let text = fields.text("dst")?.ok_or_else(|| fields.wrong("dst", "a network"))?;
    let dst = prefix(text).ok_or_else(|| fields.wrong("dst", &format!("a network as 192.0.2.0/24, not \"{text}\"")))?;
    let gateway = fields.parsed::<IpAddr>("gw", "an IP address")?.map(Addr::from);
    let scope = fields.number("scope")?;
    Ok(SlaveRoute {
        metric: fields.number("priority")?.filter(|metric| *metric != 0),
        mtu: fields.number("mtu")?.filter(|mtu| *mtu != 0),
        advmss: fields.number("advmss")?.filter(|advmss| *advmss != 0),
        table: fields.number("table")?,
        scope: scope
            .map(|scope| scope.try_into().map_err(|_| fields.wrong("scope", "a number from 0 to 255")))
            .transpose()?,
        ..SlaveRoute::new(dst, gateway)
    })
}

fn prefix(text: &str) -> Option<(Addr, u8)> {
    let (addr, prefix_len) = text.split_once('/')?;
    let (addr, prefix_len): (IpAddr, u8) = (addr.parse().ok()?, prefix_len.parse().ok()?);
    let most = if addr.is_ipv4() { 32 } else { 128 };
    (prefix_len <= most).then_some((addr.into(), prefix_len))
}

fn interface_json(interface: &Interface) -> Value {
    let mut json = json!({ "name": interface.name, "mac": interface.mac });
    interface.mtu.into_iter().for_each(|mtu| json["mtu"] = mtu.into());
    if !interface.sandbox.is_empty() {
        json["sandbox"] = interface.sandbox.clone().into();
    }
    json
}

fn ip_json(ip: &Ip) -> Value {
    let mut json = json!({ "address": format!("{}/{}", ip.addr, ip.prefix_len) });
    ip.gateway.into_iter().for_each(|gateway| json["gateway"] = gateway.to_string().into());
    ip.interface.into_iter().for_each(|interface| json["interface"] = interface.into());
    json
}

fn route_json(route: &SlaveRoute) -> Value {
    let mut json = json!({ "dst": format!("{}/{}", route.dst.0, route.dst.1) });
    route.gateway.into_iter().for_each(|gateway| json["gw"] = gateway.to_string().into());
    let numbers = [("mtu", route.mtu), ("advmss", route.advmss), ("priority", route.metric), ("table", route.table)];
    for (key, number) in numbers.into_iter().chain([("scope", route.scope.map(u32::from))]) {
        number.into_iter().for_each(|number| json[key] = number.into());
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_read_and_written_in_any_version() {
        let newest = json!({
            "interfaces": [{ "name": "eth0", "mac": "02:00:00:00:00:01", "mtu": 1400, "sandbox": "/n" }],
            "ips": [{ "address": "10.0.0.5/24", "gateway": "10.0.0.1", "interface": 0 }, { "address": "fd00::5/64" }],
            "routes": [{ "dst": "0.0.0.0/0", "gw": "10.0.0.1", "mtu": 1300, "priority": 5 }, { "dst": "::/0" }],
            "dns": {},
        });
        let outcome = parse(&newest, "prevResult").expect("a result");
        assert_eq!(outcome.to_json(&json!({})), newest);
        assert_eq!((outcome.ips[0].interface, outcome.routes[0].metric), (Some(0), Some(5)));
        let old = in_version(newest.clone(), "0.4.0");
        assert_eq!(
            (&old["cniVersion"], &old["ips"][0]["version"], &old["ips"][1]["version"]),
            (&json!("0.4.0"), &json!("4"), &json!("6"))
        );
        assert_eq!((&old["interfaces"][0].get("mtu"), &old["routes"][0].get("priority")), (&None, &None));
        assert_eq!(in_version(old, "1.1.0")["ips"], newest["ips"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (result, says) in [
            (json!({ "ips": [{ "address": "10.0.0.5" }] }), "\"r.ips[0].address\" must be an address as"),
            (json!({ "ips": [{ "address": "10.0.0.5/33" }] }), "\"r.ips[0].address\""),
            (json!({ "ips": [{ "address": "fd00::1/64", "gateway": "x" }] }), "\"r.ips[0].gateway\""),
            (json!({ "routes": [{ "gw": "10.0.0.1" }] }), "\"r.routes[0].dst\" must be a network"),
            (json!({ "interfaces": {} }), "\"r.interfaces\" must be a list"),
        ] {
            assert!(parse(&result, "r").is_err_and(|failure| failure.text().contains(says)), "{result}");
        }
    }
}
