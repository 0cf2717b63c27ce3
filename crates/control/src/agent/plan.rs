//! What must change so that a slave is as it should be? A pure function: desired and observed state in, changes out.

use super::own_addresses::Claimant;
use crate::slave::routes::{self, Prefix, Route, Vrf};
use ipvl_core::{Addr, Guard, IfIndex, Mac, Mode, PortEntry, Slave, Slot, State, link_local};
use std::collections::BTreeSet;

/// The observed state of a slave and its host end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedSlave {
    /// Whether the slave is administratively up.
    pub up: bool,
    /// Whether its device does not use ARP (`IFF_NOARP`).
    pub noarp: bool,
    /// Whether it has IPv6.
    pub has_ipv6: bool,
    /// Whether the kernel makes it a link-local address of its MAC address.
    pub eui64: bool,
    /// Whether it makes it one of another kind.
    pub own_kind: bool,
    /// The interface identifier of its addresses from router advertisements, if one is set.
    pub token: Option<Addr>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its MAC address.
    pub mac: Mac,
    /// Whether it is in the netns of its master.
    pub local: bool,
    /// Whether it is a tap device: it is its own host end, and its addresses are those of a guest.
    pub tap: bool,
    /// The addresses on its device.
    pub addrs: BTreeSet<Addr>,
    /// The first and the last address of each network that it is on by one of them.
    pub edges: BTreeSet<Addr>,
    /// Those of them that may be used: IPv4, and IPv6 ones that are valid, or optimistic (RFC 4429).
    pub valid: BTreeSet<Addr>,
    /// Those of them that are settled: duplicate address detection is over and found no duplicate.
    pub settled: BTreeSet<Addr>,
    /// Whether its host end is administratively up.
    pub host_end_up: bool,
    /// The host end's MAC address.
    pub host_end_mac: Mac,
    /// The host end's MTU in bytes.
    pub host_end_mtu: u32,
    /// The device that the host end belongs to, as a VRF.
    pub host_end_upper: Option<IfIndex>,
    /// Whether the host end has a queueing discipline of its own.
    pub host_end_queued: bool,
}

/// The desired state of a slave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredSlave {
    /// The master's entry.
    pub port: PortEntry,
    /// Whether the master is up and has a carrier.
    pub master_running: bool,
    /// The VRF that the master belongs to: packets from a slave are routed by the same table.
    pub vrf: Option<Vrf>,
    /// The MTU that the master had until now.
    pub old_mtu: u32,
    /// The slave's entry.
    pub slave: Slave,
    /// Its slot.
    pub slot: Slot,
    /// Prefixes that are declared for it, with lengths in bits of the address's own family.
    pub declared: BTreeSet<Prefix>,
}

/// What must change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlavePlan {
    /// A new entry for the slave.
    pub slave: Option<Slave>,
    /// All addresses that the slave must have in the table.
    pub addrs: BTreeSet<Addr>,
    /// Changes to the slave's device.
    pub device: DeviceChange,
    /// Changes to the host end.
    pub host_end: HostEndChange,
    /// All routes by which the host's stack must reach the slave.
    pub routes: BTreeSet<Route>,
    /// All addresses that must be announced on the wire.
    pub announce: BTreeSet<Addr>,
}

/// Changes to a slave's device, made inside its netns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceChange {
    /// Whether it must not use ARP (`IFF_NOARP`).
    pub noarp: Option<bool>,
    /// In bytes.
    pub mtu: Option<u32>,
    /// The MAC address.
    pub mac: Option<Mac>,
    /// Whether the kernel must make it no link-local address. A change while it is down costs least.
    pub quiet: bool,
    /// An IPv6 link-local address to add.
    pub add: Option<Addr>,
    /// The interface identifier of addresses from router advertisements.
    pub token: Option<Addr>,
    /// A link-local address to remove: the kernel made it from the MAC address, so it would make the same for all slaves.
    pub remove: Option<Addr>,
}

/// Changes to a host end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostEndChange {
    /// The VRF to move to, 0 for none.
    pub upper: Option<IfIndex>,
    /// Administratively up or down, which gives the slave a carrier or takes it away.
    pub up: Option<bool>,
    /// The MAC address.
    pub mac: Option<Mac>,
    /// In bytes.
    pub mtu: Option<u32>,
}

impl DeviceChange {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares the desired state with the observed one.
pub fn plan_slave(desired: &DesiredSlave, observed: &ObservedSlave) -> SlavePlan {
    let (port, slave) = (desired.port, desired.slave);
    let up = observed.up && desired.master_running && !port.has(PortEntry::MASTER_GONE);
    // The groups that it has joined may have changed while it was down: until they are read, it gets all.
    let all_groups = slave.state().all_groups || up && !slave.up();
    // Packets to a tap device always pass its queueing discipline.
    let queued = observed.host_end_queued && !observed.tap;
    let updated = slave.with_state(State { up, local: observed.local, queued, all_groups });
    let device = device(desired, observed);
    let (mac, slot, guard) = (port.mac, desired.slot, slave.guard());
    let claimant = Claimant { mac, slot, guard, declared: &desired.declared, edges: &observed.edges };
    let own = link_local(mac, slot);
    // An address that is not valid yet, or was found to be another's, owns nothing, not even its own questions. Its own
    // link-local address no other slave can have.
    let valid = |addr: &&Addr| observed.valid.contains(addr) || **addr == own;
    let its = observed.addrs.iter().filter(valid).copied();
    let mut addrs: BTreeSet<Addr> = its.filter(|addr| claimant.may_own(*addr)).collect();
    addrs.extend(device.add);
    addrs.extend(observed.tap.then(|| link_local(port.mac, desired.slot)));
    device.remove.iter().for_each(|addr| _ = addrs.remove(addr));
    let announced = up && (updated.mode() == Mode::L2 || updated.is_proxied());
    let announce = if announced { announced_addrs(desired, observed, &addrs) } else { BTreeSet::new() };
    let routed = if updated.host() && up { routed_prefixes(desired, observed, &addrs) } else { BTreeSet::new() };
    let routes = routed.into_iter().map(|prefix| (routes::table(desired.vrf), prefix)).collect();
    let host_end = host_end(desired, observed, up);
    SlavePlan { slave: (updated != slave).then_some(updated), addrs, device, host_end, routes, announce }
}

/// The interface identifier in [`link_local`], which a slave's addresses from router advertisements get as well.
pub fn token(mac: Mac, slot: Slot) -> Addr {
    let Addr([.., a, b, c, d, e, f, g, h]) = link_local(mac, slot);
    Addr([0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h])
}

/// The addresses that the slave answers for: usable ones on its device, and of a tap device the declared ones, which its
/// guest has.
fn announced_addrs(desired: &DesiredSlave, observed: &ObservedSlave, addrs: &BTreeSet<Addr>) -> BTreeSet<Addr> {
    let single = |(addr, len): &&Prefix| observed.tap && *len == addr.full_len();
    let declared = desired.declared.iter().filter(single).map(|(addr, _)| *addr);
    addrs.intersection(&observed.settled).copied().chain(declared).collect()
}

/// The prefixes that the host's stack reaches through the host end. Addresses on a device of this netns, as on a tap
/// device, it reaches without a route of ours.
fn routed_prefixes(desired: &DesiredSlave, observed: &ObservedSlave, addrs: &BTreeSet<Addr>) -> BTreeSet<Prefix> {
    let elsewhere = addrs.iter().filter(|addr| !observed.local && !addr.is_link_local());
    let declared = desired.declared.iter().copied().filter(|_| observed.tap || !observed.local);
    elsewhere.map(|addr| (*addr, addr.full_len())).chain(declared).collect()
}

/// Of a tap device only the VRF: its user decides whether it is up, and MAC address and MTU are those of the slave.
fn host_end(DesiredSlave { port, vrf, .. }: &DesiredSlave, observed: &ObservedSlave, up: bool) -> HostEndChange {
    let upper = vrf.map(|vrf| vrf.ifindex);
    let upper = (upper != observed.host_end_upper).then_some(upper.unwrap_or(IfIndex::NONE));
    if observed.tap {
        return HostEndChange { upper, ..HostEndChange::default() };
    }
    HostEndChange {
        upper,
        up: (up != observed.host_end_up).then_some(up),
        mac: (port.mac != observed.host_end_mac && !port.mac.is_zero()).then_some(port.mac),
        mtu: (port.mtu != observed.host_end_mtu).then_some(port.mtu),
    }
}

fn device(desired: &DesiredSlave, observed: &ObservedSlave) -> DeviceChange {
    let DesiredSlave { port, slave, slot, old_mtu, .. } = desired.clone();
    let noarp = observed.tap || slave.mode() != Mode::L2;
    let followed = observed.mtu == old_mtu || observed.mtu > port.mtu;
    let own = link_local(port.mac, slot);
    let unwanted = eui64(port.mac);
    let will_do = |addr: &&Addr| slave.guard() != Guard::Declared || **addr == own;
    let has_one = observed.addrs.iter().filter(will_do).any(|addr| addr.is_link_local() && *addr != unwanted);
    let lacks_one = observed.has_ipv6 && !observed.tap && !port.mac.is_zero() && !has_one;
    let wanted = observed.up && lacks_one;
    let (remove, token) = (observed.addrs.contains(&unwanted).then_some(unwanted), token(port.mac, slot));
    let quiet = (remove.is_some() || lacks_one) && (observed.eui64 || observed.up && observed.own_kind);
    DeviceChange {
        noarp: (noarp != observed.noarp).then_some(noarp),
        mtu: (followed && observed.mtu != port.mtu).then_some(port.mtu),
        mac: (port.mac != observed.mac && !port.mac.is_zero()).then_some(port.mac),
        quiet,
        add: wanted.then_some(own),
        token: (wanted || quiet && lacks_one).then_some(token).filter(|token| observed.token != Some(*token)),
        remove,
    }
}

/// The link-local address that the kernel makes of a MAC address (RFC 4291, appendix A).
pub fn eui64(mac: Mac) -> Addr {
    let [a, b, c, d, e, f] = mac.0;
    Addr([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

#[cfg(test)]
mod tests;
