//! What does netavark send about a network and a container in it? Keys that ipvl does not need are left out.

use ipnet::IpNet;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Options of a network or of a container: all are text.
pub type Words = BTreeMap<String, String>;

/// What `setup` and `teardown` are about.
#[derive(Clone, Debug, Deserialize)]
pub struct Container {
    /// Podman's id of it.
    pub container_id: String,
    /// Ports of the host to map to it.
    #[serde(default)]
    pub port_mappings: Option<Vec<PortMapping>>,
    /// The network.
    pub network: Network,
    /// The container's own settings in this network.
    pub network_options: InNetwork,
}

/// A network, as in Podman's file about it.
#[derive(Clone, Debug, Deserialize)]
pub struct Network {
    /// Podman's id of it.
    pub id: String,
    /// Containers get no default route.
    #[serde(default)]
    pub internal: bool,
    /// The parent, by `--interface-name`.
    #[serde(default)]
    pub network_interface: Option<String>,
    /// `-o`.
    #[serde(default)]
    pub options: Option<Words>,
    /// How addresses are assigned: the key `driver`.
    #[serde(default)]
    pub ipam_options: Option<Words>,
    /// Its subnets.
    #[serde(default)]
    pub subnets: Option<Vec<Subnet>>,
    /// `--route`.
    #[serde(default)]
    pub routes: Option<Vec<Route>>,
}

/// One of a network's subnets.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Subnet {
    /// The addresses.
    pub subnet: IpNet,
    /// The gateway.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
}

/// A route of every container.
#[derive(Clone, Debug, Deserialize)]
pub struct Route {
    /// The destination.
    pub destination: IpNet,
    /// The next hop.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// The kernel's default by default.
    #[serde(default)]
    pub metric: Option<u32>,
    /// `unicast` by default.
    #[serde(default)]
    pub route_type: Option<String>,
}

/// A container's own settings in a network.
#[derive(Clone, Debug, Deserialize)]
pub struct InNetwork {
    /// The device's name.
    #[serde(default)]
    pub interface_name: String,
    /// The addresses that Podman has chosen.
    #[serde(default)]
    pub static_ips: Option<Vec<IpAddr>>,
    /// `--mac-address`, or the address before `podman network reload`.
    #[serde(default)]
    pub static_mac: Option<String>,
    /// `--network NAME:OPTION=VALUE`.
    #[serde(default)]
    pub options: Option<Words>,
}

/// Ports of the host, one or several in a row.
#[derive(Clone, Debug, Deserialize)]
pub struct PortMapping {
    /// The first in the container.
    pub container_port: u16,
    /// The first on the host.
    pub host_port: u16,
    /// `tcp`, `udp`, `sctp`, or several of them.
    #[serde(default)]
    pub protocol: String,
}

impl Network {
    /// The IPAM driver, if the user gave one.
    pub fn ipam_driver(&self) -> Option<&str> {
        let driver = self.ipam_options.as_ref().and_then(|options| options.get("driver"));
        driver.map(String::as_str).filter(|driver| !driver.is_empty())
    }

    /// Its subnets; empty where there are none.
    pub fn subnets(&self) -> &[Subnet] {
        self.subnets.as_deref().unwrap_or_default()
    }
}
