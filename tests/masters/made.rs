//! Does a master that is made for an engine's network (`eth0.10`, or a dummy) exist as long as it is needed?

use crate::lab::{add_slave, exec, ipvl, pings, run};
use ipvl_control::kernel::netns;
use ipvl_control::{NetnsRef, Parent, ensure_parent, remove_parent};
use ipvl_testbed::{Lab, Netns, require_device, require_root};

const VLAN: Parent<'_> = Parent::Vlan { lower: "eth0", id: 10 };

#[test]
fn a_vlan_is_made_once_and_removed_after_its_slaves() {
    require_root!();
    require_device!("vlan id 5");
    let lab = Lab::new(1);
    run(&lab.ext, "ip link add link eth0 name eth0.10 type vlan id 10");
    run(&lab.ext, "ip addr add 10.0.4.254/24 dev eth0.10");
    run(&lab.ext, "ip link set eth0.10 up");
    let made = || within(&lab.host, || ensure_parent("eth0.10", VLAN).expect("made"));
    let removed = || within(&lab.host, || remove_parent("eth0.10").expect("asked"));
    assert_eq!((made(), made()), (true, false), "it is there the second time");
    add_slave(&lab.host, "eth0.10", 0, &lab.slaves[0], "mode l2", &["10.0.4.10/24"]);
    pings(&lab.slaves[0], "10.0.4.254");
    assert!(!removed(), "somebody has a slave on it");
    ipvl(&lab.host, "link del ipvl0");
    assert_eq!((removed(), removed()), (true, false));
}

#[test]
fn a_master_of_somebody_elses_stays() {
    require_root!();
    require_device!("vlan id 5");
    let lab = Lab::new(0);
    run(&lab.host, "ip link add link eth0 name eth0.10 type vlan id 10");
    assert!(!within(&lab.host, || ensure_parent("eth0.10", VLAN).expect("there")));
    assert!(!within(&lab.host, || remove_parent("eth0.10").expect("asked")));
    assert!(exec(&lab.host, "ip link show eth0.10").ok);
}

#[test]
fn a_dummy_leads_nowhere() {
    require_root!();
    require_device!("dummy");
    let lab = Lab::new(2);
    assert!(within(&lab.host, || ensure_parent("di-1", Parent::Dummy).expect("made")));
    for (n, netns) in lab.slaves.iter().enumerate() {
        add_slave(&lab.host, "di-1", n, netns, "mode l2", &[&format!("10.0.4.1{n}/24")]);
    }
    pings(&lab.slaves[0], "10.0.4.11");
    ipvl(&lab.host, "link del ipvl0");
    ipvl(&lab.host, "link del ipvl1");
    assert!(within(&lab.host, || remove_parent("di-1").expect("removed")));
}

fn within<T: Send>(host: &Netns, work: impl FnOnce() -> T + Send) -> T {
    let host = netns::open(&NetnsRef::Name(host.name().to_owned())).expect("a netns");
    netns::within(host, work).expect("a thread")
}
