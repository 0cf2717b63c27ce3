//! How does a container get its interface?
//!
//! The slave is made before the addresses are asked for: some IPAM plugins need it (`dhcp` sends through it). If anything
//! fails, all of it is undone.

use crate::call::Call;
use crate::config::{self, InterfaceSettings, Network};
use crate::failure::Failure;
use crate::ipam::Ipam;
use crate::outcome::{Interface, Ip, Outcome};
use crate::owner;
use crate::result;
use ipvl_control::kernel::netns;
use ipvl_control::{Attached, Attachment, LinkSpec, SlaveRoute};
use ipvl_core::Mac;
use serde_json::Value;

/// ADD: the result.
pub fn add(call: &Call, network: &Network) -> Result<Value, Failure> {
    let settings = network.settings()?;
    let ipam = Ipam::of(call, network);
    let has_addresses = settings.previous.as_ref().is_some_and(|outcome| !outcome.ips.is_empty());
    if ipam.is_none() && !has_addresses {
        return Err(Failure::config("\"ipam\" is missing, and there is no prevResult with addresses"));
    }
    let slave = Slave::attach(call, network, &settings)?;
    let done = slave.addressed(call, ipam.as_ref(), &settings);
    if done.is_err() {
        slave.undo(ipam.as_ref());
    }
    Ok(result::in_version(done?.to_json(&settings.dns), &network.version))
}

/// Runs `work` in the master's netns.
pub fn beside_master<T: Send>(
    call: &Call,
    network: &Network,
    work: impl FnOnce() -> ipvl_control::Result<T> + Send,
) -> Result<T, Failure> {
    match network.link_in_container {
        true => Ok(netns::within(netns::open(&call.netns()?)?, work)??),
        false => Ok(work()?),
    }
}

/// A slave that is being added.
struct Slave<'a> {
    call: &'a Call,
    network: &'a Network,
    wanted: Attachment,
}

impl<'a> Slave<'a> {
    fn attach(call: &'a Call, network: &'a Network, settings: &InterfaceSettings) -> Result<Self, Failure> {
        let master = match settings.chained_master()? {
            Some(master) => master,
            None => beside_master(call, network, ipvl_control::default_master)?,
        };
        let spec = LinkSpec {
            name: Some(call.ifname.clone()),
            options: settings.options,
            mtu: settings.mtu,
            backend: settings.backend,
            rates: settings.rates,
            mac: asked_mac(call, settings)?,
            netns: (!network.link_in_container).then(|| call.netns()).transpose()?,
            ..LinkSpec::of(master)
        };
        let (addresses, routes) = (Vec::new(), Vec::new());
        let policy = settings.policy.clone();
        let wanted = Attachment { spec, owner: owner::of(call, network), policy, addresses, assign: true, routes };
        beside_master(call, network, || ipvl_control::attach(&wanted))?;
        Ok(Self { call, network, wanted })
    }

    /// Gives it addresses and routes.
    fn addressed(
        &self,
        call: &Call,
        ipam: Option<&Ipam<'_>>,
        settings: &InterfaceSettings,
    ) -> Result<Outcome, Failure> {
        let chosen = match (ipam, &settings.previous) {
            (Some(ipam), _) => ipam.add()?,
            (None, previous) => previous.clone().unwrap_or_default(),
        };
        let wanted = Attachment {
            addresses: chosen.ips.iter().map(|ip| (ip.addr, ip.prefix_len)).collect(),
            routes: routes(&chosen),
            ..self.wanted.clone()
        };
        let got = beside_master(self.call, self.network, || ipvl_control::assign_addresses(&wanted))?;
        let ips = chosen.ips.iter().map(|ip| Ip { interface: Some(0), ..*ip }).collect();
        Ok(Outcome { interfaces: interfaces(call, self.network, &got), ips, routes: chosen.routes })
    }

    fn undo(&self, ipam: Option<&Ipam<'_>>) {
        let _ = beside_master(self.call, self.network, || ipvl_control::detach(&self.wanted.owner));
        let _ = ipam.map(Ipam::del);
    }
}

/// The slave and its host end, where later plugins of the chain (`bandwidth`) expect it.
fn interfaces(call: &Call, network: &Network, got: &Attached) -> Vec<Interface> {
    let sandbox = call.netns.clone().unwrap_or_default();
    let (mac, mtu) = (got.mac.to_string(), Some(got.mtu));
    let slave = Interface { name: call.ifname.clone(), mac: mac.clone(), mtu, sandbox: sandbox.clone() };
    let beside = if network.link_in_container { sandbox } else { String::new() };
    if got.in_module {
        return vec![slave];
    }
    vec![slave, Interface { name: got.host_end.1.clone(), mac, mtu, sandbox: beside }]
}

/// A route without a gateway gets the gateway of the address.
fn routes(chosen: &Outcome) -> Vec<SlaveRoute> {
    let with_gateway = |route: &SlaveRoute| SlaveRoute {
        gateway: route.gateway.or_else(|| {
            if route.scope.is_none_or(|scope| scope == 0) { chosen.gateway_like(route.dst.0) } else { None }
        }),
        ..*route
    };
    chosen.routes.iter().map(with_gateway).collect()
}

fn asked_mac(call: &Call, settings: &InterfaceSettings) -> Result<Option<Mac>, Failure> {
    let bad = |text: &str| Failure::environment(format!("CNI_ARGS MAC=\"{text}\" must be six bytes in hex"));
    let argument = call.arg("MAC").map(|text| config::mac(text).ok_or_else(|| bad(text))).transpose()?;
    Ok(argument.or(settings.mac))
}
