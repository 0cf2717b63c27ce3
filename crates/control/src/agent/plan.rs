//! What must change so that a slave is as it should be? A pure function: desired and observed state in, changes out.

use super::own_addresses::{Claimant, link_local};
use crate::slave::routes::{self, Prefix, Route, Vrf};
use ipvl_core::{Addr, Guard, IfIndex, Mac, Mode, PortEntry, Slave, Slot, State};
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
    /// Those of them that are usable: duplicate address detection is over and found no duplicate.
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
    /// An IPv6 link-local address to add.
    pub add: Option<Addr>,
    /// With it, the interface identifier of addresses from router advertisements.
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
    let mut addrs: BTreeSet<Addr> = observed.addrs.iter().copied().filter(|addr| claimant.may_own(*addr)).collect();
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
    let single = |(addr, len): &&Prefix| observed.tap && *len == full_len(*addr);
    let declared = desired.declared.iter().filter(single).map(|(addr, _)| *addr);
    addrs.intersection(&observed.settled).copied().chain(declared).collect()
}

/// The prefixes that the host's stack reaches through the host end. Addresses on a device of this netns, as on a tap
/// device, it reaches without a route of ours.
fn routed_prefixes(desired: &DesiredSlave, observed: &ObservedSlave, addrs: &BTreeSet<Addr>) -> BTreeSet<Prefix> {
    let elsewhere = addrs.iter().filter(|addr| !observed.local && !addr.is_link_local());
    let declared = desired.declared.iter().copied().filter(|_| observed.tap || !observed.local);
    elsewhere.map(|addr| (*addr, full_len(*addr))).chain(declared).collect()
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
    let wanted = observed.up && observed.has_ipv6 && !observed.tap && !port.mac.is_zero() && !has_one;
    DeviceChange {
        noarp: (noarp != observed.noarp).then_some(noarp),
        mtu: (followed && observed.mtu != port.mtu).then_some(port.mtu),
        mac: (port.mac != observed.mac && !port.mac.is_zero()).then_some(port.mac),
        add: wanted.then_some(own),
        token: wanted.then(|| token(port.mac, slot)),
        remove: observed.addrs.contains(&unwanted).then_some(unwanted),
    }
}

/// The link-local address that the kernel makes of a MAC address (RFC 4291, appendix A).
pub fn eui64(mac: Mac) -> Addr {
    let [a, b, c, d, e, f] = mac.0;
    Addr([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

fn full_len(addr: Addr) -> u8 {
    if addr.as_v4().is_some() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::netlink::RouteInfo;
    use ipvl_core::{HostAccess, Options};

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn desired(mode: Mode, up: bool) -> DesiredSlave {
        let options = Options { mode, ..Options::DEFAULT };
        let port = PortEntry { mac: MAC, mtu: 1500, ..PortEntry::default() };
        DesiredSlave {
            port,
            master_running: true,
            vrf: None,
            old_mtu: 1500,
            slave: Slave::new(IfIndex(9), options, State { up, ..State::default() }),
            slot: Slot(4),
            declared: BTreeSet::new(),
        }
    }

    fn observed(mode: Mode, up: bool) -> ObservedSlave {
        let addrs = BTreeSet::from([link_local(MAC, Slot(4)), Addr::v4([10, 0, 0, 1])]);
        let noarp = mode != Mode::L2;
        let (host_end_up, host_end_mac, host_end_mtu, settled) = (up, MAC, 1500, addrs.clone());
        ObservedSlave {
            up,
            noarp,
            has_ipv6: true,
            mtu: 1500,
            mac: MAC,
            local: false,
            tap: false,
            addrs,
            edges: BTreeSet::new(),
            settled,
            host_end_up,
            host_end_mac,
            host_end_mtu,
            host_end_upper: None,
            host_end_queued: false,
        }
    }

    #[test]
    fn without_ipv6_nobody_gets_a_link_local() {
        let without = |has_ipv6| ObservedSlave { addrs: BTreeSet::new(), has_ipv6, ..observed(Mode::L2, true) };
        assert_eq!(plan_slave(&desired(Mode::L2, true), &without(false)).device, DeviceChange::default());
        assert!(plan_slave(&desired(Mode::L2, true), &without(true)).device.add.is_some());
    }

    #[test]
    fn nothing_is_done_to_what_is_right() {
        for mode in [Mode::L2, Mode::L3] {
            let plan = plan_slave(&desired(mode, true), &observed(mode, true));
            assert_eq!(
                (plan.slave, &plan.device, &plan.host_end),
                (None, &DeviceChange::default(), &HostEndChange::default())
            );
            assert!(plan.routes.is_empty());
        }
    }

    #[test]
    fn a_queue_of_the_host_end_is_in_the_table() {
        let wanted = desired(Mode::L2, true);
        let written = plan_slave(&wanted, &ObservedSlave { host_end_queued: true, ..observed(Mode::L2, true) }).slave;
        let queued = written.filter(|slave| slave.by_host_end()).expect("a new entry");
        let undone = plan_slave(&DesiredSlave { slave: queued, ..wanted.clone() }, &observed(Mode::L2, true)).slave;
        assert_eq!(undone, Some(wanted.slave));
    }

    #[test]
    fn a_slave_that_comes_up_gets_its_link_local_before_its_carrier() {
        let mut before = observed(Mode::L2, true);
        (before.addrs, before.host_end_up) = (BTreeSet::new(), false);
        let plan = plan_slave(&desired(Mode::L2, false), &before);
        assert_eq!(plan.device.add, Some(link_local(MAC, Slot(4))));
        assert_eq!(plan.host_end.up, Some(true));
        assert!(plan.slave.is_some_and(Slave::up));
    }

    #[test]
    fn a_slave_follows_a_master_that_shrinks_or_that_it_followed_before() {
        let mut wanted = desired(Mode::L2, true);
        let mtu_at = |wanted: &DesiredSlave, mtu| {
            plan_slave(wanted, &ObservedSlave { mtu, ..observed(Mode::L2, true) }).device.mtu
        };
        wanted.port.mtu = 1400;
        assert_eq!((mtu_at(&wanted, 1500), mtu_at(&wanted, 1300)), (Some(1400), None));
        wanted.port.mtu = 9000;
        assert_eq!((mtu_at(&wanted, 1500), mtu_at(&wanted, 1300)), (Some(9000), None));
    }

    #[test]
    fn the_kernels_own_link_local_is_shared_and_goes() {
        let mut before = observed(Mode::L2, true);
        before.addrs.insert(eui64(MAC));
        let plan = plan_slave(&desired(Mode::L2, true), &before);
        assert_eq!(plan.device.remove, Some(eui64(MAC)));
        assert!(!plan.addrs.contains(&eui64(MAC)));
    }

    #[test]
    fn a_link_local_outlives_a_change_of_mac() {
        let mut wanted = desired(Mode::L2, true);
        wanted.port.mac = Mac([2, 0, 0, 0, 0, 9]);
        let plan = plan_slave(&wanted, &observed(Mode::L2, true));
        assert_eq!((plan.device.add, plan.device.mac), (None, Some(wanted.port.mac)));
    }

    #[test]
    fn what_settles_on_an_l2_slave_is_announced() {
        let told = |mode, up| plan_slave(&desired(mode, up), &observed(mode, up)).announce.len();
        assert_eq!((told(Mode::L2, true), told(Mode::L2, false), told(Mode::L3, true)), (2, 0, 0));
        let tentative = ObservedSlave { settled: BTreeSet::new(), ..observed(Mode::L2, true) };
        assert!(plan_slave(&desired(Mode::L2, true), &tentative).announce.is_empty());
    }

    #[test]
    fn routes_are_for_who_reaches_the_host_and_is_elsewhere() {
        let routes = |mode, local| {
            plan_slave(&desired(mode, true), &ObservedSlave { local, ..observed(mode, true) })
                .routes
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(routes(Mode::L3s, false), [(RouteInfo::MAIN, (Addr::v4([10, 0, 0, 1]), 32))]);
        assert_eq!((routes(Mode::L3, false), routes(Mode::L3s, true)), (vec![], vec![]));
    }

    #[test]
    fn a_host_end_belongs_to_its_masters_vrf() {
        let vrf = Vrf { ifindex: IfIndex(5), table: 10 };
        let member = DesiredSlave { vrf: Some(vrf), ..desired(Mode::L3s, true) };
        let entered = plan_slave(&member, &observed(Mode::L3s, true));
        assert_eq!(entered.host_end.upper, Some(IfIndex(5)));
        assert!(entered.routes.iter().all(|(table, _)| *table == 10) && !entered.routes.is_empty());
        let there = ObservedSlave { host_end_upper: Some(IfIndex(5)), ..observed(Mode::L3s, true) };
        assert_eq!(plan_slave(&member, &there).host_end, HostEndChange::default());
        assert_eq!(plan_slave(&desired(Mode::L3s, true), &there).host_end.upper, Some(IfIndex::NONE));
    }

    #[test]
    fn a_tap_device_has_a_guests_addresses_and_is_left_alone() {
        let mut wanted = desired(Mode::L2, true);
        wanted.slave = wanted.slave.with_options(Options { host: HostAccess::On, ..wanted.slave.options() });
        wanted.slave = wanted.slave.with_state(State { local: true, ..wanted.slave.state() });
        let (guest, net) = (Addr::v4([10, 0, 0, 7]), (Addr::v4([10, 1, 0, 0]), 16));
        wanted.declared = BTreeSet::from([(guest, 32), net]);
        let addrs = BTreeSet::new();
        let tap = ObservedSlave {
            tap: true,
            local: true,
            noarp: true,
            settled: addrs.clone(),
            addrs,
            ..observed(Mode::L2, true)
        };
        let plan = plan_slave(&wanted, &tap);
        assert_eq!((&plan.device, &plan.host_end), (&DeviceChange::default(), &HostEndChange::default()));
        assert_eq!(plan.addrs, BTreeSet::from([link_local(MAC, Slot(4))]));
        assert_eq!(plan.routes, BTreeSet::from([(guest, 32), net].map(|prefix| (routes::table(None), prefix))));
        assert_eq!(plan.announce, BTreeSet::from([guest]));
    }

    #[test]
    fn nobody_takes_the_link_local_that_another_is_to_have() {
        let mut before = observed(Mode::L2, true);
        before.addrs.insert(link_local(MAC, Slot(5)));
        let plan = plan_slave(&desired(Mode::L2, true), &before);
        assert!(plan.addrs.contains(&link_local(MAC, Slot(4))) && !plan.addrs.contains(&link_local(MAC, Slot(5))));
    }

    #[test]
    fn a_link_local_is_as_the_kernels_driver_forms_it() {
        let addr = link_local(Mac([0x7e, 0x1b, 0xa4, 0xfa, 0x64, 0x86]), Slot(0));
        assert_eq!(addr.to_string(), "fe80::7e1b:a400:1fa:6486");
    }
}
