//! What must be done so that a slave is as it should be? Desired and observed in, steps out; nothing is touched here.

use crate::slave::routes::{self, Prefix, Route, Vrf};
use ipvl_core::{Addr, MAX_SLAVES, Mac, Mode, PortEntry, Slave, Slot, State};
use std::collections::BTreeSet;

/// A slave and its host end as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Whether the slave is administratively up.
    pub up: bool,
    /// Whether it does without ARP.
    pub noarp: bool,
    /// Whether it has IPv6.
    pub has_ipv6: bool,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its MAC address.
    pub mac: Mac,
    /// Whether it sits in the netns of its master.
    pub local: bool,
    /// Whether it is a tap device: its own host end, with the addresses of a guest.
    pub tap: bool,
    /// The addresses on its device.
    pub addrs: BTreeSet<Addr>,
    /// Those among them that duplicate address detection has nothing against (any more).
    pub settled: BTreeSet<Addr>,
    /// Whether its host end is administratively up.
    pub host_end_up: bool,
    /// The host end's MAC address.
    pub host_end_mac: Mac,
    /// The host end's MTU in bytes.
    pub host_end_mtu: u32,
    /// The device that the host end has been put under.
    pub host_end_upper: Option<u32>,
    /// Whether what is sent by the host end waits in a queue of its own.
    pub host_end_queued: bool,
}

/// How it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The master.
    pub port: PortEntry,
    /// Whether the master is up and has a carrier.
    pub master_running: bool,
    /// The VRF that the master belongs to: what comes from a slave is routed by the same table.
    pub vrf: Option<Vrf>,
    /// The MTU that the master had until now.
    pub old_mtu: u32,
    /// The slave's entry.
    pub slave: Slave,
    /// Its number.
    pub slot: Slot,
    /// Prefixes that were declared for it, with their lengths in bits of their own family.
    pub declared: BTreeSet<Prefix>,
}

/// What to do, in this order: the table, then inside the slave's netns, then the host end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// A new entry for the slave.
    pub slave: Option<Slave>,
    /// Addresses that the slave should have in the table.
    pub addrs: BTreeSet<Addr>,
    /// What to change on the slave's device.
    pub inside: Inside,
    /// What to change on the host end.
    pub host_end: HostEndChange,
    /// By which routes the host's stack reaches the slave.
    pub routes: BTreeSet<Route>,
    /// Addresses that the wire should know to be here.
    pub announce: BTreeSet<Addr>,
}

/// Changes to a slave's device, made inside its netns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// `IFF_NOARP`.
    pub noarp: Option<bool>,
    /// In bytes.
    pub mtu: Option<u32>,
    /// The MAC address.
    pub mac: Option<Mac>,
    /// An IPv6 link-local address to add.
    pub add: Option<Addr>,
    /// With it, what addresses from router advertisements shall end in.
    pub token: Option<Addr>,
    /// One that the kernel made and that no slave may have, since all would make the same.
    pub remove: Option<Addr>,
}

/// Changes to a host end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostEndChange {
    /// Another VRF, 0 for none.
    pub upper: Option<u32>,
    /// Administratively up or down: the slave has a carrier or not.
    pub up: Option<bool>,
    /// The MAC address.
    pub mac: Option<Mac>,
    /// In bytes.
    pub mtu: Option<u32>,
}

impl Inside {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares, and says what to do.
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let (port, slave) = (desired.port, desired.slave);
    let up = observed.up && desired.master_running && !port.has(PortEntry::MASTER_GONE);
    // What it had joined before it went down may not be what it has joined now.
    let all_groups = slave.state().all_groups || up && !slave.up();
    // A tap device is sent to by its queue in any case.
    let queued = observed.host_end_queued && !observed.tap;
    let updated = slave.with_state(State { up, local: observed.local, queued, all_groups });
    let inside = inside(desired, observed);
    let mut addrs: BTreeSet<Addr> =
        observed.addrs.iter().copied().filter(|addr| is_own(*addr, port.mac, desired.slot)).collect();
    addrs.extend(inside.add);
    addrs.extend(observed.tap.then(|| link_local(port.mac, desired.slot)));
    inside.remove.iter().for_each(|addr| _ = addrs.remove(addr));
    let heard = up && (updated.mode() == Mode::L2 || updated.is_answered_for());
    let announce = if heard { present(desired, observed, &addrs) } else { BTreeSet::new() };
    let reached = if updated.host() && up { reached(desired, observed, &addrs) } else { BTreeSet::new() };
    let routes = reached.into_iter().map(|prefix| (routes::table(desired.vrf), prefix)).collect();
    let host_end = host_end(desired, observed, up);
    Plan { slave: (updated != slave).then_some(updated), addrs, inside, host_end, routes, announce }
}

/// The IPv6 link-local address of a slave: unlike any sibling's, and the same as long as it lives. As the kernel's driver
/// forms it: the number in the middle of the master's MAC, the universal bit not flipped.
pub fn link_local(mac: Mac, slot: Slot) -> Addr {
    let [a, b, c, d, e, f] = mac.0;
    let [high, low] = (slot.0 as u16 + 1).to_be_bytes();
    Addr([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a, b, c, high, low, d, e, f])
}

/// The lower half of [`link_local`]: what a slave's addresses from router advertisements end in.
pub fn token(mac: Mac, slot: Slot) -> Addr {
    let Addr([.., a, b, c, d, e, f, g, h]) = link_local(mac, slot);
    Addr([0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h])
}

/// What the wire can count on: a guest has what was declared for it.
fn present(desired: &Desired, observed: &Observed, addrs: &BTreeSet<Addr>) -> BTreeSet<Addr> {
    let single = |(addr, len): &&Prefix| observed.tap && *len == full_len(*addr);
    let declared = desired.declared.iter().filter(single).map(|(addr, _)| *addr);
    addrs.intersection(&observed.settled).copied().chain(declared).collect()
}

/// What lies behind the host end. What is on a device of this netns, a tap's too, the host's stack reaches by itself.
fn reached(desired: &Desired, observed: &Observed, addrs: &BTreeSet<Addr>) -> BTreeSet<Prefix> {
    let elsewhere = addrs.iter().filter(|addr| !observed.local && !addr.is_link_local());
    let declared = desired.declared.iter().copied().filter(|_| observed.tap || !observed.local);
    elsewhere.map(|addr| (*addr, full_len(*addr))).chain(declared).collect()
}

/// A tap device is up when whoever uses it wants it to be, and the rest of it is looked at as a slave's.
fn host_end(Desired { port, vrf, .. }: &Desired, observed: &Observed, up: bool) -> HostEndChange {
    let upper = vrf.map(|vrf| vrf.ifindex);
    let upper = (upper != observed.host_end_upper).then_some(upper.unwrap_or(0));
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

fn inside(desired: &Desired, observed: &Observed) -> Inside {
    let Desired { port, slave, slot, old_mtu, .. } = desired.clone();
    let noarp = observed.tap || slave.mode() != Mode::L2;
    let followed = observed.mtu == old_mtu || observed.mtu > port.mtu;
    let own = link_local(port.mac, slot);
    let unwanted = eui64(port.mac);
    let has_one = observed.addrs.iter().any(|addr| addr.is_link_local() && *addr != unwanted);
    let wanted = observed.up && observed.has_ipv6 && !observed.tap && !port.mac.is_zero() && !has_one;
    Inside {
        noarp: (noarp != observed.noarp).then_some(noarp),
        mtu: (followed && observed.mtu != port.mtu).then_some(port.mtu),
        mac: (port.mac != observed.mac && !port.mac.is_zero()).then_some(port.mac),
        add: wanted.then_some(own),
        token: wanted.then(|| token(port.mac, slot)),
        remove: observed.addrs.contains(&unwanted).then_some(unwanted),
    }
}

/// What the kernel makes of a MAC address (RFC 4291, appendix A).
pub fn eui64(mac: Mac) -> Addr {
    let [a, b, c, d, e, f] = mac.0;
    Addr([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// Whether an address can be this slave's own: not a link-local that we would give to another.
fn is_own(addr: Addr, mac: Mac, slot: Slot) -> bool {
    let Addr([_, _, _, _, _, _, _, _, _, _, _, high, low, ..]) = addr;
    let number = u32::from(u16::from_be_bytes([high, low]));
    let others = number > 0 && number <= MAX_SLAVES && number != slot.0 + 1;
    if others && addr == link_local(mac, Slot(number - 1)) {
        return false;
    }
    !addr.ip().is_loopback() && !addr.is_group() && !addr.is_unspecified()
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

    fn desired(mode: Mode, up: bool) -> Desired {
        let options = Options { mode, ..Options::DEFAULT };
        let port = PortEntry { mac: MAC, mtu: 1500, ..PortEntry::default() };
        Desired {
            port,
            master_running: true,
            vrf: None,
            old_mtu: 1500,
            slave: Slave::new(9, options, State { up, ..State::default() }),
            slot: Slot(4),
            declared: BTreeSet::new(),
        }
    }

    fn observed(mode: Mode, up: bool) -> Observed {
        let addrs = BTreeSet::from([link_local(MAC, Slot(4)), Addr::v4([10, 0, 0, 1])]);
        let noarp = mode != Mode::L2;
        let (host_end_up, host_end_mac, host_end_mtu, settled) = (up, MAC, 1500, addrs.clone());
        Observed {
            up,
            noarp,
            has_ipv6: true,
            mtu: 1500,
            mac: MAC,
            local: false,
            tap: false,
            addrs,
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
        let without = |has_ipv6| Observed { addrs: BTreeSet::new(), has_ipv6, ..observed(Mode::L2, true) };
        assert_eq!(plan(&desired(Mode::L2, true), &without(false)).inside, Inside::default());
        assert!(plan(&desired(Mode::L2, true), &without(true)).inside.add.is_some());
    }

    #[test]
    fn nothing_is_done_to_what_is_right() {
        for mode in [Mode::L2, Mode::L3] {
            let plan = plan(&desired(mode, true), &observed(mode, true));
            assert_eq!(
                (plan.slave, &plan.inside, &plan.host_end),
                (None, &Inside::default(), &HostEndChange::default())
            );
            assert!(plan.routes.is_empty());
        }
    }

    #[test]
    fn a_queue_of_the_host_end_is_in_the_table() {
        let wish = desired(Mode::L2, true);
        let written = plan(&wish, &Observed { host_end_queued: true, ..observed(Mode::L2, true) }).slave;
        let queued = written.filter(|slave| slave.by_host_end()).expect("a new entry");
        let undone = plan(&Desired { slave: queued, ..wish.clone() }, &observed(Mode::L2, true)).slave;
        assert_eq!(undone, Some(wish.slave));
    }

    #[test]
    fn a_slave_that_comes_up_gets_its_link_local_before_its_carrier() {
        let mut before = observed(Mode::L2, true);
        (before.addrs, before.host_end_up) = (BTreeSet::new(), false);
        let plan = plan(&desired(Mode::L2, false), &before);
        assert_eq!(plan.inside.add, Some(link_local(MAC, Slot(4))));
        assert_eq!(plan.host_end.up, Some(true));
        assert!(plan.slave.is_some_and(Slave::up));
    }

    #[test]
    fn a_slave_follows_a_master_that_shrinks_or_that_it_followed_before() {
        let mut wish = desired(Mode::L2, true);
        let inside_at = |wish: &Desired, mtu| plan(wish, &Observed { mtu, ..observed(Mode::L2, true) }).inside.mtu;
        wish.port.mtu = 1400;
        assert_eq!((inside_at(&wish, 1500), inside_at(&wish, 1300)), (Some(1400), None));
        wish.port.mtu = 9000;
        assert_eq!((inside_at(&wish, 1500), inside_at(&wish, 1300)), (Some(9000), None));
    }

    #[test]
    fn the_kernels_own_link_local_is_shared_and_goes() {
        let mut before = observed(Mode::L2, true);
        before.addrs.insert(eui64(MAC));
        let plan = plan(&desired(Mode::L2, true), &before);
        assert_eq!(plan.inside.remove, Some(eui64(MAC)));
        assert!(!plan.addrs.contains(&eui64(MAC)));
    }

    #[test]
    fn a_link_local_outlives_a_change_of_mac() {
        let mut wish = desired(Mode::L2, true);
        wish.port.mac = Mac([2, 0, 0, 0, 0, 9]);
        let plan = plan(&wish, &observed(Mode::L2, true));
        assert_eq!((plan.inside.add, plan.inside.mac), (None, Some(wish.port.mac)));
    }

    #[test]
    fn what_settles_on_an_l2_slave_is_announced() {
        let told = |mode, up| plan(&desired(mode, up), &observed(mode, up)).announce.len();
        assert_eq!((told(Mode::L2, true), told(Mode::L2, false), told(Mode::L3, true)), (2, 0, 0));
        let tentative = Observed { settled: BTreeSet::new(), ..observed(Mode::L2, true) };
        assert!(plan(&desired(Mode::L2, true), &tentative).announce.is_empty());
    }

    #[test]
    fn routes_are_for_who_reaches_the_host_and_is_elsewhere() {
        let routes = |mode, local| {
            plan(&desired(mode, true), &Observed { local, ..observed(mode, true) })
                .routes
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(routes(Mode::L3s, false), [(RouteInfo::MAIN, (Addr::v4([10, 0, 0, 1]), 32))]);
        assert_eq!((routes(Mode::L3, false), routes(Mode::L3s, true)), (vec![], vec![]));
    }

    #[test]
    fn a_host_end_belongs_to_its_masters_vrf() {
        let vrf = Vrf { ifindex: 5, table: 10 };
        let inside = Desired { vrf: Some(vrf), ..desired(Mode::L3s, true) };
        let entered = plan(&inside, &observed(Mode::L3s, true));
        assert_eq!(entered.host_end.upper, Some(5));
        assert!(entered.routes.iter().all(|(table, _)| *table == 10) && !entered.routes.is_empty());
        let there = Observed { host_end_upper: Some(5), ..observed(Mode::L3s, true) };
        assert_eq!(plan(&inside, &there).host_end, HostEndChange::default());
        assert_eq!(plan(&desired(Mode::L3s, true), &there).host_end.upper, Some(0));
    }

    #[test]
    fn a_tap_device_has_a_guests_addresses_and_is_left_alone() {
        let mut wish = desired(Mode::L2, true);
        wish.slave = wish.slave.with_options(Options { host: HostAccess::On, ..wish.slave.options() });
        wish.slave = wish.slave.with_state(State { local: true, ..wish.slave.state() });
        let (guest, net) = (Addr::v4([10, 0, 0, 7]), (Addr::v4([10, 1, 0, 0]), 16));
        wish.declared = BTreeSet::from([(guest, 32), net]);
        let addrs = BTreeSet::new();
        let tap =
            Observed { tap: true, local: true, noarp: true, settled: addrs.clone(), addrs, ..observed(Mode::L2, true) };
        let plan = plan(&wish, &tap);
        assert_eq!((&plan.inside, &plan.host_end), (&Inside::default(), &HostEndChange::default()));
        assert_eq!(plan.addrs, BTreeSet::from([link_local(MAC, Slot(4))]));
        assert_eq!(plan.routes, BTreeSet::from([(guest, 32), net].map(|prefix| (routes::table(None), prefix))));
        assert_eq!(plan.announce, BTreeSet::from([guest]));
    }

    #[test]
    fn nobody_takes_the_link_local_that_another_is_to_have() {
        let mut before = observed(Mode::L2, true);
        before.addrs.insert(link_local(MAC, Slot(5)));
        let plan = plan(&desired(Mode::L2, true), &before);
        assert!(plan.addrs.contains(&link_local(MAC, Slot(4))) && !plan.addrs.contains(&link_local(MAC, Slot(5))));
    }

    #[test]
    fn a_link_local_is_as_the_kernels_driver_forms_it() {
        let addr = link_local(Mac([0x7e, 0x1b, 0xa4, 0xfa, 0x64, 0x86]), Slot(0));
        assert_eq!(addr.to_string(), "fe80::7e1b:a400:1fa:6486");
    }
}
