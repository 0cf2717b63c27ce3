//! What does dockerd say to a network driver, and what does it want to hear? The bodies of libnetwork's remote protocol.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// dockerd's own option: the network has no way out.
pub const INTERNAL: &str = "com.docker.network.internal";
/// dockerd's own option: what stood behind `-o`.
pub const GENERIC: &str = "com.docker.network.generic";
/// dockerd's own option of an endpoint: what stood behind `-p`.
pub const PORT_MAP: &str = "com.docker.network.portmap";
/// What begins like this is dockerd's own.
pub const OWN_PREFIX: &str = "com.docker.network.";
/// `RouteType` of a route straight to the device.
pub const CONNECTED: u8 = 1;

/// `CreateNetwork`: all that is ever told of a network.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateNetwork {
    /// Whose.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// dockerd's, and below [`GENERIC`] the user's.
    #[serde(default, deserialize_with = "or_default")]
    pub options: Map<String, Value>,
    /// The subnets, in no particular order.
    #[serde(rename = "IPv4Data", default, deserialize_with = "or_default")]
    pub ipv4_data: Vec<Pool>,
    /// The same.
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
    /// Which dockerd gives to nobody, by name.
    #[serde(default, deserialize_with = "or_default")]
    pub aux_addresses: BTreeMap<String, String>,
}

/// `GwAllocCheck`: which options a network is going to have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GatewayCheck {
    /// As in [`CreateNetwork::options`].
    #[serde(default, deserialize_with = "or_default")]
    pub options: Map<String, Value>,
}

/// The answer: whether dockerd need not keep an address for a gateway.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct GatewaySkipped {
    /// Of IPv4.
    #[serde(rename = "SkipIPv4")]
    pub ipv4: bool,
    /// Of IPv6.
    #[serde(rename = "SkipIPv6")]
    pub ipv6: bool,
}

/// `DeleteNetwork`.
#[derive(Debug, Deserialize)]
pub struct NetworkOnly {
    /// Whose.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
}

/// `Leave`, `DeleteEndpoint` and `EndpointOperInfo`.
#[derive(Debug, Deserialize)]
pub struct EndpointOnly {
    /// Whose.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// Whose.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
}

/// `CreateEndpoint`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateEndpoint {
    /// Whose.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// Whose.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// What dockerd has decided already.
    #[serde(default, deserialize_with = "or_default")]
    pub interface: Interface,
    /// dockerd's, and the user's `--driver-opt` among them.
    #[serde(default, deserialize_with = "or_default")]
    pub options: Map<String, Value>,
}

/// A device to be, as far as dockerd has decided; what is open is empty.
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
    /// Whose.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// Whose.
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
    /// The same.
    #[serde(rename = "GatewayIPv6")]
    pub gateway_ipv6: String,
    /// What else is to be routed.
    pub static_routes: Vec<StaticRoute>,
    /// Whether a container without a gateway is to be left without, rather than getting one by a bridge of dockerd's.
    pub disable_gateway_service: bool,
}

/// What a device is called, and what it is to be called in the container.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InterfaceName {
    /// In dockerd's netns.
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

/// dockerd writes `null` for what is empty in Go.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
