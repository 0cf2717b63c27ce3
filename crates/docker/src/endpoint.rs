//! What is an endpoint to the kernel? A slave. The alias of its host end names the endpoint, so no file is needed.

use crate::error::{Error, Result};
use crate::network::{Exits, checked_id};
use ipvl_control::kernel::netlink::Netlink;
use ipvl_control::kernel::netns;
use ipvl_control::{Attached, NetnsRef, attached};
use ipvl_core::Addr;
use std::net::IpAddr;
use std::path::Path;

const OWNER: &str = "docker";
const NAME_PREFIX: &str = "ipvd";
/// A device's name has at most 15 bytes.
const SHORT: usize = 11;

/// The owner of a slave: an endpoint and, once a container has joined it, a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    network: &'a str,
    id: &'a str,
}

impl<'a> Endpoint<'a> {
    /// The endpoint with these ids.
    pub fn new(network: &'a str, id: &'a str) -> Result<Self> {
        Ok(Self { network: checked_id(network)?, id: checked_id(id)? })
    }

    /// The name of its slave until dockerd moves it into the container.
    pub fn device(self) -> String {
        format!("{NAME_PREFIX}{}", &self.id[..self.id.len().min(SHORT)])
    }

    /// The text in the alias that names it as the slave's owner.
    pub fn owner(self) -> String {
        format!("{}{} ", of_network(self.network), self.id)
    }

    /// The same text, once a container has joined.
    pub fn owner_in(self, sandbox: &str) -> String {
        self.owner() + sandbox_name(sandbox)
    }

    /// Its slave, if it is there.
    pub fn slave(self) -> Result<Option<Attached>> {
        Ok(attached(&self.owner())?.pop())
    }

    /// Its slave.
    pub fn expect_slave(self) -> Result<Attached> {
        self.slave()?.ok_or_else(|| Error::NoEndpoint(self.id.to_owned()))
    }
}

/// The slaves of a network's endpoints.
pub fn slaves_of(network: &str) -> Result<Vec<Attached>> {
    Ok(attached(&of_network(network))?)
}

/// The slaves of all endpoints without a container, and their owners' texts.
pub fn unclaimed() -> Result<Vec<String>> {
    let all = attached(&format!("{OWNER} "))?.into_iter();
    Ok(all.filter(|slave| slave.netnsid.is_none()).map(|slave| slave.owner).collect())
}

/// The addresses of a slave.
pub fn addresses(slave: &Attached) -> Vec<IpAddr> {
    slave.addresses.iter().map(|(addr, _)| addr.ip()).collect()
}

/// Which default routes a sandbox has already: those in its netns, if that exists yet, and those of ipvl's other endpoints
/// that have joined it.
pub fn exits(sandbox: &str, but: Endpoint<'_>) -> Result<Exits> {
    let (name, own) = (sandbox_name(sandbox), but.owner());
    let mut exits = exits_in(sandbox);
    for other in attached(&format!("{OWNER} "))? {
        if other.owner.rsplit(' ').next() == Some(name) && !other.owner.starts_with(&own) {
            exits.v4 |= addresses(&other).iter().any(IpAddr::is_ipv4);
            exits.v6 |= other.addresses.iter().any(|(addr, _)| is_global_v6(*addr));
        }
    }
    Ok(exits)
}

/// A container that is being started has no netns yet.
fn exits_in(sandbox: &str) -> Exits {
    if sandbox.is_empty() || !Path::new(sandbox).exists() {
        return Exits::default();
    }
    let there = netns::open(&NetnsRef::Name(sandbox.to_owned()));
    let looked = there.and_then(|there| netns::within(there, || Netlink::open()?.has_default_routes())?);
    // Before the netns is mounted, the path is an empty file.
    let (v4, v6) = looked.unwrap_or_default();
    Exits { v4, v6 }
}

fn is_global_v6(addr: Addr) -> bool {
    matches!(addr.ip(), IpAddr::V6(ip) if !ip.is_unicast_link_local())
}

fn of_network(network: &str) -> String {
    format!("{OWNER} {network} ")
}

/// The last part of `/var/run/docker/netns/NAME`.
fn sandbox_name(sandbox: &str) -> &str {
    let name = sandbox.rsplit('/').next().unwrap_or_default();
    if checked_id(name).is_ok() { name } else { "?" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owners_words_tell_network_endpoint_and_sandbox() {
        let endpoint = Endpoint::new("n1", "0123456789abcdef").expect("ids");
        assert_eq!(endpoint.owner(), "docker n1 0123456789abcdef ");
        assert_eq!(endpoint.owner_in("/var/run/docker/netns/5f2a"), "docker n1 0123456789abcdef 5f2a");
        assert_eq!(endpoint.owner_in("/x y"), "docker n1 0123456789abcdef ?");
        assert_eq!(endpoint.device(), "ipvd0123456789a");
        assert!(endpoint.device().len() < 16);
    }
}
