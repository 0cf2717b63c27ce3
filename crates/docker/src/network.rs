//! What is a network: which slaves has it, and which default route do their containers get?

use crate::error::{Error, Result};
use crate::options::{NetworkOptions, wrong};
use crate::own_options::GATEWAY;
use crate::protocol::{CONNECTED, CreateNetwork, InterfaceName, Joined, Pool, StaticRoute};
use ipnet::IpNet;
use ipvl_control::LinkSpec;
use ipvl_core::{Mac, Mode};
use std::net::IpAddr;

const DUMMY_PREFIX: &str = "di-";
/// Of a network's id, in the names that Docker's own driver gives.
const SHORT: usize = 12;
const LONGEST_ID: usize = 64;
/// What dockerd calls the device in the container, before the number.
const DEVICE: &str = "eth";

/// A network as dockerd created it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// dockerd's.
    pub id: String,
    /// The name of the master.
    pub master: String,
    /// The options of its slaves.
    pub options: NetworkOptions,
    subnets: Vec<Subnet>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Subnet {
    pool: IpNet,
    gateway: Option<IpAddr>,
}

/// For which families a container has a default route already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exits {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl Network {
    /// Reads the body with which dockerd created it.
    pub fn read(request: &CreateNetwork) -> Result<Self> {
        let id = checked_id(&request.network_id)?.to_owned();
        let options = NetworkOptions::read(&request.options)?;
        let master = options.parent.clone().unwrap_or_else(|| dummy_name(&id));
        let pools = request.ipv4_data.iter().chain(&request.ipv6_data);
        let subnets = pools.map(Subnet::read).collect::<Result<Vec<_>>>()?;
        if subnets.is_empty() {
            return Err(Error::NoSubnet);
        }
        let network = Self { id, master, options, subnets };
        match network.options.gateways.iter().find(|gateway| !network.has(**gateway)) {
            Some(other) => Err(wrong(GATEWAY, other.to_string(), "it is in no subnet of the network".to_owned())),
            None => Ok(network),
        }
    }

    /// Whether it is isolated, on a dummy device of its own.
    pub fn has_own_master(&self) -> bool {
        self.options.parent.is_none()
    }

    /// The slave to make.
    pub fn slave(&self, name: &str, mac: Option<Mac>) -> LinkSpec {
        LinkSpec { name: Some(name.to_owned()), mac, ..self.options.slave(&self.master) }
    }

    /// Whether one of its subnets has the address.
    pub fn has(&self, address: IpAddr) -> bool {
        self.subnet_of(address).is_some()
    }

    /// What dockerd is to do with the slave `name`, which has these addresses, in a container that has `exits`. In l2 the
    /// default route leads to the gateway, and dockerd chooses among networks. In l3 and l3s it leads to the device, and the
    /// first network that the container joins provides it.
    pub fn joined(&self, name: &str, addresses: &[IpAddr], exits: Exits) -> Joined {
        let leads_out = !self.options.internal;
        let is_l2 = self.options.options.mode == Mode::L2;
        let (by_gateway, by_device) = (leads_out && is_l2, !is_l2);
        let gateway = |is_v4| if by_gateway { self.gateway(addresses, is_v4) } else { String::new() };
        let mut static_routes = Vec::new();
        if leads_out && by_device {
            static_routes = device_routes(addresses, exits);
        }
        Joined {
            interface_name: InterfaceName { src_name: name.to_owned(), dst_prefix: DEVICE },
            gateway: gateway(true),
            gateway_ipv6: gateway(false),
            static_routes,
            disable_gateway_service: true,
        }
    }

    fn gateway(&self, addresses: &[IpAddr], is_v4: bool) -> String {
        let mut own = addresses.iter().filter(|address| address.is_ipv4() == is_v4).peekable();
        let given = self.options.gateways.iter().find(|gateway| gateway.is_ipv4() == is_v4 && own.peek().is_some());
        let gateway = given.copied().or_else(|| own.find_map(|address| self.subnet_of(*address)?.gateway));
        gateway.map(|gateway| gateway.to_string()).unwrap_or_default()
    }

    fn subnet_of(&self, address: IpAddr) -> Option<&Subnet> {
        self.subnets.iter().filter(|subnet| subnet.pool.contains(&address)).max_by_key(|s| s.pool.prefix_len())
    }
}

impl Subnet {
    fn read(pool: &Pool) -> Result<Self> {
        let network: IpNet = pool.pool.parse().map_err(|_| unreadable("a subnet", &pool.pool))?;
        if network.prefix_len() == 0 {
            return Err(Error::NoSubnet);
        }
        let gateway = if pool.gateway.is_empty() { None } else { Some(address("a gateway", &pool.gateway)?) };
        Ok(Self { pool: network, gateway })
    }
}

/// The address in `10.0.0.2/24`, or in `10.0.0.2`.
pub fn address(what: &'static str, text: &str) -> Result<IpAddr> {
    let bare = text.split('/').next().unwrap_or_default();
    bare.parse().map_err(|_| unreadable(what, text))
}

/// Ids become file names and part of a device's alias.
pub fn checked_id(id: &str) -> Result<&str> {
    let fits = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits { Ok(id) } else { Err(Error::Id(id.to_owned())) }
}

fn device_routes(addresses: &[IpAddr], exits: Exits) -> Vec<StaticRoute> {
    let to = |destination| StaticRoute { destination, route_type: CONNECTED, next_hop: "" };
    let mut routes = Vec::new();
    if !exits.v4 && addresses.iter().any(IpAddr::is_ipv4) {
        routes.push(to("0.0.0.0/0"));
    }
    if !exits.v6 && addresses.iter().any(IpAddr::is_ipv6) {
        routes.push(to("::/0"));
    }
    routes
}

fn dummy_name(id: &str) -> String {
    format!("{DUMMY_PREFIX}{}", &id[..id.len().min(SHORT)])
}

fn unreadable(what: &'static str, text: &str) -> Error {
    Error::Address { what, text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NONE: Exits = Exits { v4: false, v6: false };

    fn network(options: Value) -> Network {
        let body = json!({
            "NetworkID": "0123456789abcdef",
            "Options": { "com.docker.network.generic": options },
            "IPv4Data": [
                { "AddressSpace": "LocalDefault", "Pool": "10.1.0.0/24", "Gateway": "10.1.0.1/24" },
                { "AddressSpace": "LocalDefault", "Pool": "10.2.0.0/24", "Gateway": "10.2.0.254/24",
                  "AuxAddresses": { "router": "10.2.0.9/24" } },
            ],
            "IPv6Data": [{ "AddressSpace": "LocalDefault", "Pool": "fd00:1::/64", "Gateway": "fd00:1::1/64" }],
        });
        Network::read(&serde_json::from_value(body).expect("a request")).expect("a network")
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| address("an address", text).expect("an address")).collect()
    }

    #[test]
    fn in_l2_the_gateway_is_that_of_the_addresses_subnet() {
        let network = network(json!({ "parent": "eth0" }));
        let joined = network.joined("ipvd1", &addresses(&["10.2.0.7/24", "fd00:1::7/64"]), NONE);
        assert_eq!((joined.gateway.as_str(), joined.gateway_ipv6.as_str()), ("10.2.0.254", "fd00:1::1"));
        assert_eq!((joined.static_routes, joined.disable_gateway_service), (vec![], true));
        assert_eq!(joined.interface_name, InterfaceName { src_name: "ipvd1".to_owned(), dst_prefix: "eth" });
    }

    #[test]
    fn a_gateway_by_option_takes_the_place_of_dockerds() {
        let by_option = network(json!({ "parent": "eth0", "gateway": "10.1.0.254" }));
        let joined = by_option.joined("ipvd1", &addresses(&["10.1.0.7/24", "fd00:1::7/64"]), NONE);
        assert_eq!((joined.gateway.as_str(), joined.gateway_ipv6.as_str()), ("10.1.0.254", "fd00:1::1"));
        let v6_alone = by_option.joined("ipvd1", &addresses(&["fd00:1::7/64"]), NONE);
        assert_eq!(v6_alone.gateway, "");
    }

    #[test]
    fn in_l3_the_way_out_is_the_device_for_each_family_once() {
        for mode in ["l3", "l3s"] {
            let network = network(json!({ "parent": "eth0", "ipvlan_mode": mode }));
            let both = addresses(&["10.1.0.7", "fd00:1::7"]);
            let destinations = |addresses: &[IpAddr], exits| -> Vec<&str> {
                let joined = network.joined("ipvd1", addresses, exits);
                assert_eq!((joined.gateway, joined.gateway_ipv6), (String::new(), String::new()));
                joined.static_routes.iter().map(|route| route.destination).collect()
            };
            assert_eq!(destinations(&both, NONE), ["0.0.0.0/0", "::/0"]);
            assert_eq!(destinations(&both[..1], NONE), ["0.0.0.0/0"]);
            assert_eq!(destinations(&both, Exits { v4: true, v6: false }), ["::/0"]);
        }
    }

    #[test]
    fn an_internal_network_leads_nowhere() {
        let network = network(json!({}));
        assert_eq!((network.master.as_str(), network.has_own_master()), ("di-0123456789ab", true));
        let joined = network.joined("ipvd1", &addresses(&["10.1.0.7"]), NONE);
        assert_eq!((joined.gateway.as_str(), joined.static_routes.len()), ("", 0));
    }

    #[test]
    fn an_id_is_no_path() {
        for id in ["", "../x", "a/b", "a b", &"a".repeat(65)] {
            assert!(checked_id(id).is_err(), "{id}");
        }
    }

    #[test]
    fn without_a_subnet_there_is_no_network() {
        for data in [json!([]), json!(null), json!([{ "Pool": "0.0.0.0/0" }])] {
            let body = json!({ "NetworkID": "1", "Options": {}, "IPv4Data": data, "IPv6Data": null });
            let refused = Network::read(&serde_json::from_value(body).expect("a request"));
            assert!(matches!(refused, Err(Error::NoSubnet)), "{refused:?}");
        }
    }
}
