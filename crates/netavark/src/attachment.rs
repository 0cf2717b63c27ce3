//! Which slave does a container get, with which addresses and routes, and which messages does the user get?

use crate::body::{Container, Network, Route, Subnet};
use crate::error::{Error, Result};
use crate::options::NetworkOptions;
use ipnet::IpNet;
use ipvl_control::{Attachment, LinkSpec, NetnsRef, SlaveRoute};
use ipvl_core::{Addr, Mac};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The metric of the default routes of netavark's bridges.
const BRIDGE_METRIC: u32 = 100;

/// The owner of a container's slave. A container has one slave in a network.
pub fn owner(container: &Container) -> String {
    format!("netavark {} {}", container.network.id, container.container_id)
}

/// The slave of a container on this master.
pub fn attachment(netns: &str, container: &Container, options: &NetworkOptions, master: &str) -> Result<Attachment> {
    let here = &container.network_options;
    let static_mac = here.static_mac.as_deref().filter(|mac| !mac.is_empty());
    let spec = LinkSpec {
        name: Some(here.interface_name.clone()),
        mac: static_mac.map(mac).transpose()?.filter(|_| !options.ignores_mac),
        netns: Some(NetnsRef::Name(netns.to_owned())),
        ..options.spec(master)
    };
    let addresses = addresses(container)?.into_iter().map(|(net, _)| (net.addr().into(), net.prefix_len())).collect();
    let metric = options.metric.unwrap_or_else(|| default_metric(&here.interface_name));
    let routes = routes(&container.network, options, metric)?;
    let policy = options.slave.policy.clone();
    Ok(Attachment { spec, owner: owner(container), policy, addresses, assign: true, routes })
}

/// What `podman inspect` shows afterwards.
pub fn status(container: &Container, mac: Mac) -> Result<Value> {
    let subnets: Vec<Value> = addresses(container)?
        .into_iter()
        .map(|(ipnet, gateway)| json!({ "ipnet": ipnet, "gateway": gateway }))
        .collect();
    let interface = json!({ "mac_address": mac.to_string(), "subnets": subnets });
    Ok(json!({
        "dns_search_domains": [],
        "dns_server_ips": [],
        "interfaces": { &container.network_options.interface_name: interface },
    }))
}

/// The routes of every container of the network, without default routes.
pub fn static_routes(network: &Network) -> Result<Vec<SlaveRoute>> {
    network.routes.iter().flatten().map(static_route).collect()
}

/// A message about ports that Podman was asked to map; none if there are none.
pub fn about_ports(container: &Container) -> Option<String> {
    let ports = container.port_mappings.as_deref().filter(|ports| !ports.is_empty())?;
    let asked = ports.iter().map(|port| format!("{}:{}/{}", port.host_port, port.container_port, port.protocol));
    let own = addresses(container).ok().and_then(|all| all.first().map(|(net, _)| net.addr().to_string()));
    Some(format!(
        "ipvl: ports are not mapped (-p {}): connect to the container's own address, {}",
        asked.collect::<Vec<_>>().join(" -p "),
        own.as_deref().unwrap_or("which it configures itself")
    ))
}

/// The addresses that Podman has assigned, each with the prefix length and gateway of its network.
fn addresses(container: &Container) -> Result<Vec<(IpNet, Option<IpAddr>)>> {
    let subnets = container.network.subnets();
    let chosen = container.network_options.static_ips.as_deref().unwrap_or_default();
    if chosen.is_empty() && !subnets.is_empty() {
        return Err(Error::NoAddress);
    }
    chosen.iter().map(|addr| of_subnet(*addr, subnets, container.network.internal)).collect()
}

fn of_subnet(addr: IpAddr, subnets: &[Subnet], internal: bool) -> Result<(IpNet, Option<IpAddr>)> {
    let found = subnets.iter().find(|subnet| subnet.subnet.contains(&addr)).ok_or(Error::ForeignAddress(addr))?;
    let net = IpNet::new(addr, found.subnet.prefix_len()).map_err(|_| Error::ForeignAddress(addr))?;
    Ok((net, found.gateway.filter(|_| !internal)))
}

/// One default route for each family, by the first gateway, and the network's other routes.
fn routes(network: &Network, options: &NetworkOptions, metric: u32) -> Result<Vec<SlaveRoute>> {
    let wanted = !network.internal && !options.no_default_route;
    let gateways: Vec<IpAddr> = network.subnets().iter().filter_map(|subnet| subnet.gateway).collect();
    let first = [gateways.iter().find(|gateway| gateway.is_ipv4()), gateways.iter().find(|gateway| gateway.is_ipv6())];
    let mut routes: Vec<SlaveRoute> =
        first.into_iter().flatten().filter(|_| wanted).map(|gateway| default_route(*gateway, metric)).collect();
    routes.extend(static_routes(network)?);
    Ok(routes)
}

/// By the place of the network among the container's: Podman calls the devices eth0, eth1 and so on, in the order of
/// `--network`, so the first network leads out. A bridge's metric is 100, which none of ours has.
fn default_metric(interface: &str) -> u32 {
    let number = interface.trim_start_matches(|c: char| !c.is_ascii_digit());
    match number.parse::<u16>() {
        Ok(place @ 1..) => BRIDGE_METRIC + u32::from(place),
        _ => BRIDGE_METRIC - 1,
    }
}

fn default_route(gateway: IpAddr, metric: u32) -> SlaveRoute {
    let everywhere = match gateway {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    SlaveRoute { metric: Some(metric), ..SlaveRoute::new((everywhere.into(), 0), Some(gateway.into())) }
}

fn static_route(route: &Route) -> Result<SlaveRoute> {
    let refused = |why| Error::Route { destination: route.destination, why };
    if !matches!(route.route_type.as_deref(), None | Some("" | "unicast")) {
        return Err(refused("only unicast routes can be made; a blackhole is the host's affair, by l3 or a filter"));
    }
    let gateway = route.gateway.ok_or_else(|| refused("it has no gateway"))?;
    if gateway.is_ipv4() != route.destination.addr().is_ipv4() {
        return Err(refused("its gateway is of the other address family"));
    }
    let destination: Addr = route.destination.network().into();
    let plain = SlaveRoute::new((destination, route.destination.prefix_len()), Some(gateway.into()));
    Ok(SlaveRoute { metric: route.metric, ..plain })
}

fn mac(text: &str) -> Result<Mac> {
    let bytes: Option<Vec<u8>> = text.split([':', '-']).map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes.and_then(|bytes| bytes.try_into().ok()).map(Mac).ok_or_else(|| Error::Mac(text.to_owned()))
}

#[cfg(test)]
mod tests;
