//! How is a new network checked, and which defaults does it get?

use crate::attachment;
use crate::body::Network;
use crate::error::{Error, Result};
use crate::options::NetworkOptions;
use ipvl_control::keys::Key;
use serde_json::{Map, Value, json};

const HOST_LOCAL: &str = "host-local";
const NONE: &str = "none";

/// The network as Podman is to store it. Keys that ipvl does not know stay unchanged.
pub fn create(network: Map<String, Value>) -> Result<Value> {
    let read = Network::read(&network)?;
    let options = NetworkOptions::of_network(&read)?;
    let driver = ipam_driver(&read)?;
    attachment::static_routes(&read)?;
    if let Some(parent) = &options.slave.master {
        ipvl_control::probe(&options.spec(parent))?;
    }
    Ok(filled_in(network, &options, driver))
}

impl Network {
    fn read(network: &Map<String, Value>) -> Result<Self> {
        let network = Value::Object(network.clone());
        serde_json::from_value(network).map_err(|source| Error::Json { what: "a network", source })
    }
}

/// Checks the IPAM driver: Podman itself, or none.
fn ipam_driver(network: &Network) -> Result<&'static str> {
    match network.ipam_driver() {
        None | Some(HOST_LOCAL) if network.subnets().is_empty() => Err(Error::NoSubnet),
        None | Some(HOST_LOCAL) => Ok(HOST_LOCAL),
        Some(NONE) => Ok(NONE),
        Some(other) => Err(Error::Ipam(other.to_owned())),
    }
}

/// As Podman does for its own ipvlan driver: the parent is the network's interface, and DNS is off.
fn filled_in(mut network: Map<String, Value>, options: &NetworkOptions, ipam_driver: &str) -> Value {
    network.insert("dns_enabled".to_owned(), json!(false));
    if let Some(parent) = &options.slave.master {
        network.insert("network_interface".to_owned(), json!(parent));
    }
    if let Some(words) = network.get_mut("options").and_then(Value::as_object_mut) {
        Key::Master.names().into_iter().for_each(|name| _ = words.shift_remove(name));
    }
    let ipam = network.entry("ipam_options").or_insert_with(|| json!({}));
    match ipam.as_object_mut() {
        Some(words) => _ = words.insert("driver".to_owned(), json!(ipam_driver)),
        None => *ipam = json!({ "driver": ipam_driver }),
    }
    Value::Object(network)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_control::keys::SlaveKeys;

    /// As Podman 5.4 sends it.
    fn asked(with: Value) -> Map<String, Value> {
        let mut network = json!({
            "name": "np", "id": "66ecebc62425b101d5bfd8bdaf077d414f56fdaa015d808905eeb4cc215deebd", "driver": "ipvl",
            "created": "0001-01-01T00:00:00Z", "subnets": [{ "subnet": "10.78.0.0/24" }, { "subnet": "fd00:78::/64" }],
            "ipv6_enabled": false, "internal": false, "dns_enabled": true, "labels": { "a": "b" },
        });
        let network = network.as_object_mut().expect("an object");
        network.extend(with.as_object().expect("an object").clone());
        network.retain(|_, value| !value.is_null());
        network.clone()
    }

    fn refused(with: Value) -> String {
        create(asked(with)).expect_err("refused").to_string()
    }

    #[test]
    fn what_is_open_is_filled_in_and_the_rest_stays() {
        let created = create(asked(json!({ "options": { "mode": "l3" } }))).expect("good");
        let mut expected = asked(json!({ "options": { "mode": "l3" }, "ipam_options": { "driver": "host-local" } }));
        expected.insert("dns_enabled".to_owned(), json!(false));
        assert_eq!(created, Value::Object(expected));
    }

    #[test]
    fn the_parent_becomes_the_networks_interface() {
        let slave = SlaveKeys { master: Some("eth9".to_owned()), ..SlaveKeys::default() };
        let options = NetworkOptions { slave, ..NetworkOptions::default() };
        let network = asked(json!({ "options": { "parent": "eth9", "mtu": "1400" } }));
        let created = filled_in(network, &options, HOST_LOCAL);
        assert_eq!(created["network_interface"], json!("eth9"));
        assert_eq!(created["options"], json!({ "mtu": "1400" }));
    }

    #[test]
    fn addresses_are_podmans_to_choose_or_nobodys() {
        assert!(refused(json!({ "subnets": null })).contains("no subnet"));
        assert!(refused(json!({ "subnets": [], "ipam_options": { "driver": "host-local" } })).contains("no subnet"));
        assert!(refused(json!({ "ipam_options": { "driver": "dhcp" } })).starts_with("cannot use ipam driver dhcp"));
        let none = create(asked(json!({ "subnets": null, "ipam_options": { "driver": "none" } }))).expect("good");
        assert_eq!(none["ipam_options"], json!({ "driver": "none" }));
    }

    #[test]
    fn a_network_that_cannot_be_is_refused() {
        assert!(refused(json!({ "options": { "bclim": "1" } })).contains("no option bclim"));
        assert!(refused(json!({ "options": { "parent": "no-such-link" } })).contains("no link of that name"));
        assert!(refused(json!({ "network_interface": "lo" })).contains("loopback device cannot be a master"));
        assert!(refused(json!({ "subnets": "all" })).starts_with("cannot read a network"));
        let routes = json!({ "routes": [{ "destination": "10.9.0.0/16", "gateway": "fd00::1" }] });
        assert!(refused(routes).starts_with("cannot use the route to 10.9.0.0/16"));
    }
}
