//! Do slaves follow their master: its address, MTU, carrier, name and end?

use ipvl_testbed::{EXT_V4, Lab, Netns, require_root};

use crate::common::{Probe, agents, exec, link_value, links, pings_now, run, soon};

/// Slaves in l2 and l3, which the outside reaches.
fn lab() -> Lab {
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24", "fd00::10/64"]);
    lab.add_slave(1, "mode l3", &["10.0.0.11/24"]);
    run(&lab.ext, "ip route add 10.0.0.11/32 via 10.0.0.1");
    lab
}

#[track_caller]
fn expect_traffic(lab: &Lab) {
    for n in 0..2 {
        soon("from outside", || lab.pings(&lab.ext, &format!("10.0.0.1{n}")));
        soon("to the outside", || lab.pings(&lab.slaves[n], "10.0.0.254"));
    }
    soon("between siblings", || lab.pings(&lab.slaves[1], "10.0.0.10"));
}

fn mtu(netns: &Netns, name: &str) -> u64 {
    link_value(netns, name, "mtu").as_u64().unwrap_or_default()
}

fn has_carrier(netns: &Netns, name: &str) -> bool {
    exec(netns, &format!("ip link show {name}")).stdout.contains("LOWER_UP")
}

#[test]
fn slaves_take_over_a_new_mac_address() {
    require_root!();
    let lab = lab();
    expect_traffic(&lab);
    // The host's own announcements do not count: l3 slaves are reached through them.
    lab.host.sysctl("net/ipv4/conf/eth0/arp_notify", "1");
    run(&lab.host, "ip link set eth0 address 02:00:00:00:00:77");
    for (n, netns) in lab.slaves.iter().enumerate() {
        soon("the slave has it", || link_value(netns, &format!("ipvl{n}"), "address") == "02:00:00:00:00:77");
    }
    expect_traffic(&lab);
    soon("IPv6 from outside", || lab.pings(&lab.ext, "fd00::10"));
}

#[test]
fn a_slave_gets_its_own_mac_address_back() {
    require_root!();
    let lab = lab();
    run(&lab.slaves[0], "ip link set ipvl0 address 02:00:00:00:00:77");
    soon("it is undone", || link_value(&lab.slaves[0], "ipvl0", "address") == "02:00:00:00:00:01");
    expect_traffic(&lab);
}

#[test]
fn slaves_follow_the_mtu_but_for_a_lower_one_of_their_own() {
    require_root!();
    let lab = lab();
    let [first, second] = &lab.slaves[..] else { unreachable!("two were asked for") };
    run(second, "ip link set ipvl1 mtu 1300");
    for (master, followed) in [(1400, 1400), (1500, 1500), (9000, 9000), (1280, 1280), (1500, 1500)] {
        run(&lab.host, &format!("ip link set eth0 mtu {master}"));
        soon(&format!("mtu {master} is followed"), || mtu(first, "ipvl0") == followed);
        let own = if master < 1300 { 1280 } else { 1300 };
        if master < 1300 {
            soon("it shrinks", || mtu(second, "ipvl1") == own);
            break;
        }
        assert_eq!(mtu(second, "ipvl1"), own, "with the master at {master}");
    }
}

#[test]
fn an_mtu_above_the_masters_is_corrected() {
    require_root!();
    let lab = lab();
    run(&lab.slaves[0], "ip link set ipvl0 mtu 9000");
    soon("it is undone", || mtu(&lab.slaves[0], "ipvl0") == 1500);
}

#[test]
fn slaves_lose_the_carrier_with_their_master() {
    require_root!();
    let lab = lab();
    for (netns, device) in [(&lab.ext, "eth0"), (&lab.host, "eth0")] {
        run(netns, &format!("ip link set {device} down"));
        for (n, slave) in lab.slaves.iter().enumerate() {
            soon("no carrier", || !has_carrier(slave, &format!("ipvl{n}")));
        }
        run(netns, &format!("ip link set {device} up"));
        for (n, slave) in lab.slaves.iter().enumerate() {
            soon("carrier", || has_carrier(slave, &format!("ipvl{n}")));
        }
        exec(&lab.ext, "ip route add 10.0.0.11/32 via 10.0.0.1");
        expect_traffic(&lab);
    }
}

#[test]
fn a_slave_made_while_the_master_is_down_comes_up_with_it() {
    require_root!();
    let lab = Lab::new(1);
    run(&lab.host, "ip link set eth0 down");
    lab.ipvl(&format!("link add link eth0 name ipvl0 netns {} type ipvlan mode l2", lab.slaves[0].name()));
    run(&lab.slaves[0], "ip addr add 10.0.0.10/24 dev ipvl0");
    run(&lab.slaves[0], "ip link set ipvl0 up");
    assert!(!has_carrier(&lab.slaves[0], "ipvl0"));
    run(&lab.host, "ip link set eth0 up");
    soon("it can be used", || lab.pings(&lab.ext, "10.0.0.10"));
}

#[test]
fn a_new_name_of_the_master_changes_nothing_else() {
    require_root!();
    let lab = lab();
    run(&lab.host, "ip link set eth0 down");
    run(&lab.host, "ip link set eth0 name uplink");
    run(&lab.host, "ip link set uplink up");
    soon("carrier", || has_carrier(&lab.slaves[0], "ipvl0"));
    expect_traffic(&lab);
    assert!(lab.ipvl("link show").contains("master uplink"));
    lab.ipvl("link add link uplink name ipvl2 type ipvlan mode l2");
    for n in 0..3 {
        lab.ipvl(&format!("link del ipvl{n}"));
    }
    assert!(agents(&lab.host).is_empty());
}

#[test]
fn a_slave_may_be_renamed_by_either_command() {
    require_root!();
    let lab = lab();
    let probe = Probe::start(&lab.ext, &lab.slaves[0], "10.0.0.10:7");
    probe.more(20);
    lab.ipvl("link set ipvl0 name blue");
    assert!(links(&lab.slaves[0]).contains("blue"));
    run(&lab.slaves[0], "ip link set blue down");
    run(&lab.slaves[0], "ip link set blue name green");
    run(&lab.slaves[0], "ip link set green up");
    soon("the new name is known", || lab.ipvl("link show").contains(" green@"));
    probe.finish();
    soon("traffic", || lab.pings(&lab.ext, "10.0.0.10"));
    lab.ipvl("link del green");
}

#[test]
fn slaves_go_with_their_master() {
    require_root!();
    let lab = lab();
    let agent = agents(&lab.host);
    assert_eq!(agent.len(), 1);
    run(&lab.host, "ip link del eth0");
    for netns in &lab.slaves {
        soon("the slave is gone", || links(netns).into_iter().eq(["lo".to_owned()]));
    }
    soon("so are the host ends", || links(&lab.host).into_iter().eq(["lo".to_owned()]));
    soon("and the agent", || agents(&lab.host).is_empty());
}

#[test]
fn a_master_that_leaves_cuts_its_slaves_off_until_it_returns() {
    require_root!();
    let lab = lab();
    let elsewhere = Netns::new("elsewhere");
    // There, the ifindex of a host end is another device's.
    let number = link_value(&lab.host, "ipvlh0", "ifindex");
    run(&elsewhere, &format!("ip link add name bystander index {number} type veth peer name other index 999"));
    run(&elsewhere, "ip link set other up");
    run(&elsewhere, "ip link set bystander up");
    let mut other = elsewhere.port("other");
    run(&lab.host, &format!("ip link set eth0 netns {}", elsewhere.name()));
    soon("no carrier", || !has_carrier(&lab.slaves[0], "ipvl0") && !has_carrier(&lab.slaves[1], "ipvl1"));
    run(&elsewhere, "ip link set eth0 up");
    assert!(!pings_now(&lab.ext, "10.0.0.10"));
    let to_slave = std::net::Ipv4Addr::new(10, 0, 0, 10);
    other.expect_none("what is for the slave", &lab.rest(), |frame| frame.goes(EXT_V4, to_slave));
    run(&elsewhere, &format!("ip link set eth0 netns {}", lab.host.name()));
    run(&lab.host, "ip addr add 10.0.0.1/24 dev eth0");
    run(&lab.host, "ip link set eth0 up");
    for (n, slave) in lab.slaves.iter().enumerate() {
        soon("carrier", || has_carrier(slave, &format!("ipvl{n}")));
    }
    expect_traffic(&lab);
    for n in 0..2 {
        lab.ipvl(&format!("link del ipvl{n}"));
    }
    assert!(agents(&lab.host).is_empty());
}
