//! Is a container's interface as ADD left it?

use crate::add::beside_master;
use crate::call::Call;
use crate::config::{InterfaceSettings, Network};
use crate::failure::Failure;
use crate::ipam::Ipam;
use crate::outcome::Outcome;
use crate::owner;
use ipvl_control::{Attached, Device, Limit, PolicyKeys, SlavePolicy, SlaveRoute, policies};
use ipvl_core::Addr;

/// CHECK: prints nothing if it is.
pub fn check(call: &Call, network: &Network) -> Result<(), Failure> {
    let settings = network.settings()?;
    let Some(added) = &settings.previous else {
        return Err(Failure::config("\"prevResult\" is missing: CHECK compares with what ADD has returned"));
    };
    let netns = call.netns()?;
    if let Some(ipam) = Ipam::of(call, network) {
        ipam.check()?;
    }
    let owner = owner::of(call, network);
    let missing = |what: &str| Failure::not_as_added(format!("{what} is gone: {} of {}", call.ifname, call.container));
    let attached = beside_master(call, network, || ipvl_control::attached(&owner))?;
    let slave = attached.iter().find(|slave| slave.owner == owner).ok_or_else(|| missing("the slave"))?;
    let device = ipvl_control::device(Some(&netns), &call.ifname)?.ok_or_else(|| missing("the interface"))?;
    let has = match settings.policy.is_empty() {
        true => PolicyKeys::default(),
        false => {
            beside_master(call, network, || Ok(policies(Some(&slave.host_end.1))?.first().map(SlavePolicy::keys)))?
                .unwrap_or_default()
        }
    };
    let wrong = [
        link(call, &settings, slave, &device),
        addresses(call, added, slave, &device),
        routes(added, &device),
        limit("gets", settings.rates.input, slave.rates.input),
        limit("sends", settings.rates.output, slave.rates.output),
        policy(&settings.policy, &has),
    ];
    wrong.into_iter().flatten().next().map_or(Ok(()), |text| Err(Failure::not_as_added(text)))
}

fn link(call: &Call, settings: &InterfaceSettings, slave: &Attached, device: &Device) -> Option<String> {
    let name = &call.ifname;
    if slave.ifindex != device.ifindex {
        return Some(format!("{name} is another interface than the one that was added"));
    }
    let (mode, wanted) = (slave.mode, settings.options.mode);
    if mode != wanted {
        return Some(format!("{name} is in mode {}, not {}", mode.word(), wanted.word()));
    }
    if settings.mtu.is_some_and(|mtu| mtu != device.mtu) {
        return Some(format!("{name} has mtu {}, not {}", device.mtu, settings.mtu.unwrap_or_default()));
    }
    if settings.master.is_some()
        && settings.previous.as_ref().is_some_and(|p| !p.interfaces.is_empty())
        && slave.master.is_some()
    {
        let other = slave.master.as_ref().filter(|master| settings.master.as_ref() != Some(master));
        return other.map(|master| format!("{name} has the master {master}"));
    }
    None
}

fn addresses(call: &Call, added: &Outcome, slave: &Attached, device: &Device) -> Option<String> {
    let on_it = |index: Option<usize>| {
        index.and_then(|index| added.interfaces.get(index)).is_none_or(|interface| interface.name == call.ifname)
    };
    let mut ours = added.ips.iter().filter(|ip| on_it(ip.interface));
    ours.find_map(|ip| {
        let text = format!("{}/{}", ip.addr, ip.prefix_len);
        if !device.addresses.contains(&(ip.addr, ip.prefix_len)) {
            return Some(format!("{} has lost its address {text}", call.ifname));
        }
        let owns = slave.addresses.iter().any(|(addr, _)| *addr == ip.addr);
        (!owns).then(|| format!("the address {text} of {} belongs to another by now", call.ifname))
    })
}

/// What differs from the limit that was asked for. A limit that was not asked for may be another plugin's.
fn limit(does: &str, wanted: Option<Limit>, there: Option<Limit>) -> Option<String> {
    let missing = wanted.is_some_and(|limit| there != Some(limit));
    missing.then(|| format!("what the container {does} is not limited as it was"))
}

/// What differs from the policy and the labels that were asked for. Those that were not asked for may be others'.
fn policy(wanted: &PolicyKeys, there: &PolicyKeys) -> Option<String> {
    let is_other = wanted.policy.is_some() && wanted.policy != there.policy;
    let lacks_labels = !wanted.labels.is_subset(&there.labels);
    match (is_other, lacks_labels) {
        (true, _) => Some("the container has another policy than it had".to_owned()),
        (_, true) => Some("the container has lost a label".to_owned()),
        _ => None,
    }
}

fn routes(added: &Outcome, device: &Device) -> Option<String> {
    let via = |route: &SlaveRoute| route.gateway.or_else(|| added.gateway_like(route.dst.0));
    let is_there = |wanted: &&SlaveRoute| {
        let same = |there: &SlaveRoute| {
            network_of(there.dst) == network_of(wanted.dst)
                && (wanted.gateway.is_none() || there.gateway == via(wanted))
        };
        device.routes.iter().any(same)
    };
    added.routes.iter().find(|route| !is_there(route)).map(|route| format!("{route} is gone"))
}

/// Without the bits behind the prefix, which the kernel omits as well.
fn network_of((addr, prefix_len): (Addr, u8)) -> (Addr, u8) {
    let skip = if addr.as_v4().is_some() { 96 } else { 0 };
    let mut bytes = addr.0;
    for (n, byte) in bytes.iter_mut().enumerate() {
        let kept = (usize::from(prefix_len) + skip).saturating_sub(n * 8).min(8);
        *byte &= !(0xff_u16 >> kept) as u8;
    }
    (Addr(bytes), prefix_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_its_first_bits() {
        let of = |text: &str, len| {
            let addr: std::net::IpAddr = text.parse().expect("an address");
            network_of((addr.into(), len)).0.to_string()
        };
        assert_eq!(
            (of("10.1.2.3", 24), of("10.1.2.3", 0), of("10.1.2.3", 32)),
            ("10.1.2.0".into(), "0.0.0.0".into(), "10.1.2.3".into())
        );
        assert_eq!((of("fd00::5", 64), of("fd00::5", 127)), ("fd00::".into(), "fd00::4".into()));
    }
}
