//! What does each of dockerd's calls do? The driver reads it, `control` carries it out, the driver answers.

use crate::endpoint::{self, Endpoint};
use crate::error::{Error, Result};
use crate::master;
use crate::network::{Network, address, checked_id};
use crate::options::NetworkOptions;
use crate::protocol::*;
use crate::store::Store;
use ipvl_control::{Attachment, Refusal, attach, detach, hand_over, probe};
use ipvl_core::{Addr, Mac, Mode};
use serde_json::{Map, Value, json};

/// Docker's network driver. Its state is in the store's files and in the kernel.
#[derive(Debug)]
pub struct Driver {
    store: Store,
}

impl Driver {
    /// A driver with this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Whether a network needs no address for a gateway, because no container would use it.
    pub fn check_gateway(&self, request: &GatewayCheck) -> Result<GatewaySkipped> {
        let options = NetworkOptions::read(&request.options)?;
        let skipped = options.internal || options.options.mode != Mode::L2;
        Ok(GatewaySkipped { ipv4: skipped, ipv6: skipped })
    }

    /// Stores a network, after checking that it can have slaves.
    pub fn create_network(&self, request: &CreateNetwork) -> Result<()> {
        let network = Network::read(request)?;
        let made = master::ensure(&network)?;
        let possible = probe(&network.slave("a slave", None)).map_err(Error::from);
        let saved = possible.and_then(|()| self.store.save(request));
        if saved.is_err() && made {
            master::remove(&network.master)?;
        }
        saved
    }

    /// Removes a network, and what is left of it.
    pub fn delete_network(&self, id: &str) -> Result<()> {
        for slave in endpoint::slaves_of(checked_id(id)?)? {
            detach(&slave.owner)?;
        }
        // A network with an unreadable file is removed as well.
        let network = self.store.load(id).ok().flatten();
        self.store.remove(id)?;
        match network {
            Some(network) if !self.is_used(&network.master)? => master::remove(&network.master),
            _ => Ok(()),
        }
    }

    /// Makes a slave and reserves its addresses: from now on no other slave gets them.
    pub fn create_endpoint(&self, request: &CreateEndpoint) -> Result<()> {
        let network = self.network(&request.network_id)?;
        let endpoint = Endpoint::new(&network.id, &request.endpoint_id)?;
        check_options(&request.options)?;
        let addresses = wanted(&network, &request.interface)?;
        let asked = mac(&request.interface.mac_address)?;
        let mac = asked.filter(|_| !network.options.ignores_mac);
        master::ensure(&network)?;
        let attachment = Attachment {
            spec: network.slave(&endpoint.device(), mac),
            owner: endpoint.owner(),
            policy: network.options.policy.clone(),
            addresses,
            assign: false,
            routes: Vec::new(),
        };
        attach(&attachment).map(drop).or_else(|error| match reclaim(&network, &attachment)? {
            true => attach(&attachment).map(drop).map_err(refused),
            false => Err(refused(error)),
        })
    }

    /// Answers which device a container gets, and which default route.
    pub fn join(&self, request: &Join) -> Result<Joined> {
        let network = self.network(&request.network_id)?;
        let endpoint = Endpoint::new(&network.id, &request.endpoint_id)?;
        let slave = endpoint.expect_slave()?;
        let exits = endpoint::exits(&request.sandbox_key, endpoint)?;
        hand_over(&slave.owner, &endpoint.owner_in(&request.sandbox_key))?;
        Ok(network.joined(&endpoint.device(), &endpoint::addresses(&slave), exits))
    }

    /// The endpoint leaves the container. The device stays: dockerd moves it out of the container next.
    pub fn leave(&self, request: &EndpointOnly) -> Result<()> {
        let endpoint = Endpoint::new(&request.network_id, &request.endpoint_id)?;
        if let Some(slave) = endpoint.slave()? {
            hand_over(&slave.owner, &endpoint.owner())?;
        }
        Ok(())
    }

    /// Removes a slave, wherever it is. It is no error if the slave is gone already.
    pub fn delete_endpoint(&self, request: &EndpointOnly) -> Result<()> {
        let endpoint = Endpoint::new(&request.network_id, &request.endpoint_id)?;
        if let Some(slave) = endpoint.slave()? {
            detach(&slave.owner)?;
        }
        Ok(())
    }

    /// What `docker network inspect` could show of an endpoint besides.
    pub fn endpoint_info(&self, request: &EndpointOnly) -> Result<Value> {
        Endpoint::new(&request.network_id, &request.endpoint_id)?;
        Ok(json!({ "Value": {} }))
    }

    fn network(&self, id: &str) -> Result<Network> {
        self.store.load(checked_id(id)?)?.ok_or_else(|| Error::NoNetwork(id.to_owned()))
    }

    fn is_used(&self, master: &str) -> Result<bool> {
        Ok(self.store.networks()?.iter().any(|network| network.master == master))
    }
}

/// Removes endpoints of the same network that have one of these addresses and no container: dockerd assigns an address of
/// a network to one endpoint at a time, so it has forgotten that endpoint. Returns whether there was one.
fn reclaim(network: &Network, wanted: &Attachment) -> Result<bool> {
    let mut freed = false;
    for slave in endpoint::slaves_of(&network.id)?.iter().filter(|slave| slave.netnsid.is_none()) {
        if slave.addresses.iter().any(|address| wanted.addresses.iter().any(|(addr, _)| *addr == address.0)) {
            freed |= detach(&slave.owner)?;
        }
    }
    Ok(freed)
}

/// Ignores dockerd's own options; the log reports ports that are to be published.
fn check_options(options: &Map<String, Value>) -> Result<()> {
    let published = options.get(PORT_MAP).and_then(Value::as_array).is_some_and(|ports| !ports.is_empty());
    if published {
        eprintln!("ipvl-docker: published ports are ignored: a container has addresses of its own, with all its ports");
    }
    match options.keys().find(|option| !option.starts_with(OWN_PREFIX)) {
        Some(option) => Err(Error::EndpointOption(option.clone())),
        None => Ok(()),
    }
}

fn wanted(network: &Network, interface: &Interface) -> Result<Vec<(Addr, u8)>> {
    let given = [&interface.address, &interface.address_ipv6].into_iter().filter(|text| !text.is_empty());
    given
        .map(|text| {
            let ip = address("an address", text)?;
            let length = if ip.is_ipv4() { 32 } else { 128 };
            if network.has(ip) { Ok((ip.into(), length)) } else { Err(Error::ForeignAddress(text.clone())) }
        })
        .collect()
}

/// The refusal of a MAC address, with the option that ignores it.
fn refused(error: ipvl_control::Error) -> Error {
    match error {
        ipvl_control::Error::Refused { refusal: Refusal::ForeignMac(mac), .. } => Error::OwnMac(mac),
        other => other.into(),
    }
}

fn mac(text: &str) -> Result<Option<Mac>> {
    if text.is_empty() {
        return Ok(None);
    }
    let bytes: Vec<u8> = text.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let mac = bytes.try_into().map_err(|_| Error::Address { what: "a MAC address", text: text.to_owned() })?;
    Ok(Some(Mac(mac)))
}
