//! Is the plan for one slave right?

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
    let (host_end_up, host_end_mac, host_end_mtu) = (up, MAC, 1500);
    let (valid, settled) = (addrs.clone(), addrs.clone());
    ObservedSlave {
        up,
        noarp,
        has_ipv6: true,
        eui64: false,
        own_kind: false,
        token: None,
        mtu: 1500,
        mac: MAC,
        local: false,
        tap: false,
        addrs,
        edges: BTreeSet::new(),
        valid,
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
    let mtu_at =
        |wanted: &DesiredSlave, mtu| plan_slave(wanted, &ObservedSlave { mtu, ..observed(Mode::L2, true) }).device.mtu;
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
        valid: addrs.clone(),
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

#[test]
fn an_address_that_is_not_valid_owns_nothing_but_the_slaves_own_link_local_does() {
    let asked = Addr([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x99]);
    let mut before = observed(Mode::L2, true);
    before.addrs.insert(asked);
    before.valid.clear();
    let owned = |before: &ObservedSlave| plan_slave(&desired(Mode::L2, true), before).addrs;
    assert_eq!(owned(&before), BTreeSet::from([link_local(MAC, Slot(4))]));
    before.valid.insert(asked);
    assert!(owned(&before).contains(&asked));
}
