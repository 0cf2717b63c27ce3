//! What does dockerd send to a network driver, and which answers does it expect? The bodies of libnetwork's remote protocol.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// dockerd's own option: containers get no default route.
pub const INTERNAL: &str = "com.docker.network.internal";
/// dockerd's own option: the options given by `-o`.
pub const GENERIC: &str = "com.docker.network.generic";
/// dockerd's own option of an endpoint: the ports given by `-p`.
pub const PORT_MAP: &str = "com.docker.network.portmap";
/// Options of dockerd itself begin so.
pub const OWN_PREFIX: &str = "com.docker.network.";
/// `RouteType` of a route straight to the device.
pub const CONNECTED: u8 = 1;

/// `CreateNetwork`: the only call that describes a network.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateNetwork {
    /// The network's id.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// dockerd's, and below [`GENERIC`] the user's.
    #[serde(default, deserialize_with = "or_default")]
    pub options: Map<String, Value>,
    /// The IPv4 subnets, in no particular order.
    #[serde(rename = "IPv4Data", default, deserialize_with = "or_default")]
    pub ipv4_data: Vec<Pool>,
    /// The IPv6 subnets.
    #[serde(rename = "IPv6Data", default, deserialize_with = "or_default")]
    pub ipv6_data: Vec<Pool>,
}

/// A subnet that dockerd takes addresses from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pool {
    /// `10.0.0.0/24`.
    pub pool: String,
    /// `10.0.0.1/24`, or empty.
    #[serde(default, deserialize_with = "or_default")]
    pub gateway: String,
    /// Addresses that dockerd assigns to no container, by name.
    #[serde(default, deserialize_with = "or_default")]
    pub aux_addresses: BTreeMap<String, String>,
}

/// `GwAllocCheck`: the options that a network is going to have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GatewayCheck {
    /// As in [`CreateNetwork::options`].
    #[serde(default, deserialize_with = "or_default")]
    pub options: Map<String, Value>,
}

/// The answer: whether dockerd need not reserve an address for a gateway.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct GatewaySkipped {
    /// For IPv4.
    #[serde(rename = "SkipIPv4")]
    pub ipv4: bool,
    /// For IPv6.
    #[serde(rename = "SkipIPv6")]
    pub ipv6: bool,
}

/// `DeleteNetwork`.
#[derive(Debug, Deserialize)]
pub struct NetworkOnly {
    /// The network's id.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
}

/// `Leave`, `DeleteEndpoint` and `EndpointOperInfo`.
#[derive(Debug, Deserialize)]
pub struct EndpointOnly {
    /// The network's id.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// The endpoint's id.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
}

/// `CreateEndpoint`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateEndpoint {
    /// The network's id.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// The endpoint's id.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// The addresses that dockerd has assigned already.
    #[serde(default, deserialize_with = "or_default")]
    pub interface: Interface,
    /// dockerd's, and the user's `--driver-opt` among them.
    #[serde(default, deserialize_with = "or_default")]
    pub options: Map<String, Value>,
}

/// The addresses of a device, as far as dockerd has assigned them; empty where the driver may choose.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Interface {
    /// `10.0.0.2/24`.
    #[serde(default, deserialize_with = "or_default")]
    pub address: String,
    /// `fd00::2/64`.
    #[serde(rename = "AddressIPv6", default, deserialize_with = "or_default")]
    pub address_ipv6: String,
    /// `02:42:0a:00:00:02`.
    #[serde(default, deserialize_with = "or_default")]
    pub mac_address: String,
}

/// `Join`: the endpoint gets a container.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Join {
    /// The network's id.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// The endpoint's id.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// Where the container's netns will be mounted.
    #[serde(default, deserialize_with = "or_default")]
    pub sandbox_key: String,
}

/// The answer to `Join`: what dockerd is to do in the container.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Joined {
    /// Which device to move there.
    pub interface_name: InterfaceName,
    /// The next hop of the default route, or empty.
    pub gateway: String,
    /// The same for IPv6.
    #[serde(rename = "GatewayIPv6")]
    pub gateway_ipv6: String,
    /// Further routes.
    pub static_routes: Vec<StaticRoute>,
    /// Whether a container without a gateway stays without one. Otherwise dockerd connects it to a bridge of its own.
    pub disable_gateway_service: bool,
}

/// The name of a device, and the beginning of its name in the container.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InterfaceName {
    /// The name in dockerd's netns.
    pub src_name: String,
    /// `eth` for `eth0` and so on.
    pub dst_prefix: &'static str,
}

/// A route in the container.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StaticRoute {
    /// `0.0.0.0/0`.
    pub destination: &'static str,
    /// [`CONNECTED`].
    pub route_type: u8,
    /// Empty for a route straight to the device.
    pub next_hop: &'static str,
}

/// dockerd writes `null` for a nil map or slice of Go.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
