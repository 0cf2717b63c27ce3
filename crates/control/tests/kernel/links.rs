//! Do links, addresses and routes become what was asked?

use crate::{ADDR, MAC, fresh_netns, in_fresh_netns, pair};
use ipvl_control::kernel::netlink::{AddrGenMode, LinkChange, Netlink, NewPair, PairSpec, RouteInfo};
use ipvl_control::kernel::netns;
use ipvl_control::{NsId, default_master};
use ipvl_core::{Addr, IfIndex};
use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

/// No netns has this id.
const ABSENT: NsId = NsId(99);
const ADDR_6: Addr = Addr([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

#[test]
fn a_pair_is_born_down_silent_and_with_one_mac() {
    in_fresh_netns(|| {
        let netlink = Netlink::open().unwrap();
        let spec = PairSpec { noarp_slave: true, alias: Some("ipvl"), mtu: 1400, ..pair() };
        let NewPair { host_end: host, slave } = netlink.add_pair(&spec).unwrap();
        let (host, slave) = (netlink.link(host, None).unwrap().unwrap(), netlink.link(slave, None).unwrap().unwrap());
        assert_eq!((host.name.as_str(), slave.name.as_str()), ("ipvlh0", "ipvl0"));
        assert_eq!((host.link, slave.link), (Some(slave.ifindex), Some(host.ifindex)));
        assert_eq!(host.alias.as_deref(), Some("ipvl"));
        assert_eq!(slave.flags & libc::IFF_NOARP as u32, libc::IFF_NOARP as u32);
        assert_eq!(host.flags & libc::IFF_NOARP as u32, 0);
        for end in [host, slave] {
            assert_eq!(
                (end.mac, end.mtu, end.is_up(), end.kind.as_deref()),
                (Some(MAC), 1400, false, Some(pair().backend.kind()))
            );
            assert_eq!((end.detail.addrgenmode.as_str(), end.detail.num_tx_queues), ("none", 1));
            assert!(end.detail.gso_ipv4_max_size > 0 && end.detail.max_mtu > 1500);
        }
    });
}

#[test]
fn a_taken_name_is_told_from_other_errors_with_the_kernels_words() {
    in_fresh_netns(|| {
        let netlink = Netlink::open().unwrap();
        let NewPair { host_end: host, .. } = netlink.add_pair(&PairSpec { slave_name: "taken", ..pair() }).unwrap();
        let error = netlink.add_pair(&PairSpec { slave_name: "taken", ..pair() }).unwrap_err();
        assert!(error.is_exists(), "{error}");
        let change = LinkChange { mtu: Some(10), ..LinkChange::default() };
        let error = netlink.set_link(host, &change).unwrap_err();
        assert!(error.to_string().contains("mtu less than device minimum"), "{error}");
    });
}

#[test]
fn a_link_with_as_many_names_as_the_kernel_allows_can_be_read() {
    in_fresh_netns(|| {
        let netlink = Netlink::open().unwrap();
        let NewPair { host_end: host, slave } = netlink.add_pair(&pair()).unwrap();
        let mut batch = Command::new("ip")
            .args(["-force", "-batch", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let name = |n: u32| format!("link property add dev ipvl0 altname {n:0>127}\n");
        let names: String = (0..600).map(name).collect();
        batch.stdin.take().unwrap().write_all(names.as_bytes()).unwrap();
        batch.wait().unwrap();
        let read = netlink.link(slave, None).unwrap().unwrap();
        assert_eq!((read.name.as_str(), read.link), ("ipvl0", Some(host)));
        assert_eq!(netlink.links(None).unwrap().len(), 3);
    });
}

#[test]
fn links_change_move_and_go() {
    in_fresh_netns(|| {
        let (netlink, other) = (Netlink::open().unwrap(), fresh_netns());
        let NewPair { host_end: host, slave } = netlink.add_pair(&pair()).unwrap();
        let change = LinkChange { name: Some("renamed"), netns: Some(other.as_fd()), ..LinkChange::default() };
        netlink.set_link(slave, &change).unwrap();
        let host_end = netlink.link(host, None).unwrap().unwrap();
        let nsid = host_end.link_netnsid;
        assert_eq!(netlink.nsid_of_fd(&other).unwrap(), nsid);
        let far = netlink.link_by_name("renamed", nsid).unwrap().expect("the slave in its new netns");
        assert_eq!(netlink.link(far.ifindex, nsid).unwrap(), Some(far.clone()));
        assert!(netlink.links(nsid).unwrap().contains(&far));
        assert_eq!(far.detail.addrgenmode, "eui64", "the move resets it");
        netns::within(&other, || {
            let change = LinkChange { addr_gen_mode: Some(AddrGenMode::None), up: Some(true), ..LinkChange::default() };
            Netlink::open().unwrap().set_link(far.ifindex, &change).unwrap();
        })
        .unwrap();
        let far = netlink.link(far.ifindex, nsid).unwrap().unwrap();
        assert_eq!((far.detail.addrgenmode.as_str(), far.is_up()), ("none", true));
        assert!(netlink.delete_link(host).unwrap());
        assert!(!netlink.delete_link(host).unwrap());
        assert_eq!(netlink.link(far.ifindex, nsid).unwrap(), None);
    });
}

#[test]
fn a_slave_can_be_born_where_it_belongs() {
    in_fresh_netns(|| {
        let (netlink, other) = (Netlink::open().unwrap(), fresh_netns());
        let NewPair { host_end: host, slave } =
            netlink.add_pair(&PairSpec { netns: Some(other.as_fd()), ..pair() }).unwrap();
        let nsid = netlink.link(host, None).unwrap().unwrap().link_netnsid;
        let far = netlink.link(slave, nsid).unwrap().unwrap();
        assert_eq!((far.name.as_str(), far.link), ("ipvl0", Some(host)));
    });
}

/// The kernel says it in several messages.
#[test]
fn a_thousand_links_of_a_netns_are_read_whole() {
    in_fresh_netns(|| {
        let netlink = Netlink::open().unwrap();
        for _ in 0..500 {
            netlink.add_pair(&pair()).unwrap();
        }
        assert_eq!(netlink.links(None).unwrap().len(), 1001);
    });
}

#[test]
fn addresses_come_and_go_in_both_families_here_and_elsewhere() {
    in_fresh_netns(|| {
        let (netlink, other) = (Netlink::open().unwrap(), fresh_netns());
        let NewPair { host_end: host, slave } =
            netlink.add_pair(&PairSpec { netns: Some(other.as_fd()), ..pair() }).unwrap();
        let nsid = netlink.link(host, None).unwrap().unwrap().link_netnsid;
        netns::within(&other, || {
            let netlink = Netlink::open().unwrap();
            netlink.add_address(slave, ADDR, 24, 0).unwrap();
            netlink.add_address(slave, ADDR_6, 64, libc::IFA_F_NODAD).unwrap();
        })
        .unwrap();
        let found = netlink.addresses(Some(slave), nsid).unwrap();
        let found: Vec<_> =
            found.iter().map(|a| (a.ifindex, a.addr, a.prefix_len, a.flags & libc::IFA_F_NODAD)).collect();
        assert_eq!(found, [(slave, ADDR, 24, 0), (slave, ADDR_6, 64, libc::IFA_F_NODAD)]);
        assert_eq!(netlink.addresses(Some(slave), None).unwrap(), []);
        assert_eq!(netlink.addresses(Some(IfIndex(12345)), None).unwrap(), []);
        netlink.add_address(host, ADDR, 32, 0).unwrap();
        assert!(netlink.delete_address(host, ADDR, 32).unwrap());
        assert!(!netlink.delete_address(host, ADDR, 32).unwrap());
    });
}

#[test]
fn routes_are_found_again_by_their_protocol() {
    in_fresh_netns(|| {
        let netlink = Netlink::open().unwrap();
        let NewPair { host_end: host, slave } = netlink.add_pair(&pair()).unwrap();
        for end in [host, slave] {
            netlink.set_link(end, &LinkChange { up: Some(true), ..LinkChange::default() }).unwrap();
        }
        netlink.add_address(host, Addr::v4([192, 0, 2, 1]), 32, 0).unwrap();
        let prefsrc = Some(Addr::v4([192, 0, 2, 1]));
        let route = RouteInfo { dst: ADDR, prefix_len: 32, oif: host, protocol: 77, table: RouteInfo::MAIN, prefsrc };
        let route_6 = RouteInfo { dst: ADDR_6, prefix_len: 128, prefsrc: None, ..route };
        for ours in [route, route_6] {
            assert!(netlink.add_route(&ours).unwrap());
            assert!(
                !netlink.add_route(&RouteInfo { oif: slave, prefsrc: None, ..ours }).unwrap(),
                "the first one stays"
            );
            assert!(netlink.add_route(&ours).unwrap());
        }
        assert_eq!(netlink.routes_of_protocol(77).unwrap(), [route, route_6]);
        assert_eq!(netlink.routes_of_protocol(78).unwrap(), []);
        let without_source = RouteInfo { prefsrc: None, ..route };
        assert!(netlink.change_route(&without_source).unwrap());
        assert_eq!(netlink.routes_of_protocol(77).unwrap(), [without_source, route_6]);
        assert!(netlink.delete_route(&route).unwrap());
        assert!(!netlink.delete_route(&route).unwrap());
        assert!(!netlink.change_route(&route).unwrap());
        assert_eq!(netlink.routes_of_protocol(77).unwrap(), [route_6]);
    });
}

#[test]
fn in_a_netns_that_is_gone_there_is_nothing() {
    in_fresh_netns(|| {
        let netlink = Netlink::open().unwrap();
        assert_eq!(netlink.link(IfIndex::LOOPBACK, Some(ABSENT)).unwrap(), None);
        assert_eq!(netlink.link_by_name("lo", Some(ABSENT)).unwrap(), None);
        assert_eq!(netlink.links(Some(ABSENT)).unwrap(), []);
        assert_eq!(netlink.addresses(Some(IfIndex::LOOPBACK), Some(ABSENT)).unwrap(), []);
    });
}

#[test]
fn the_master_where_none_is_named_is_the_link_of_the_best_default_route() {
    in_fresh_netns(|| {
        let refused = default_master().unwrap_err().to_string();
        assert!(refused.contains("no default route"), "{refused}");
        for name in ["far", "near", "six"] {
            ip(&format!("link add {name} type veth peer name {name}-peer"));
            ip(&format!("link set {name} up"));
            ip(&format!("link set {name}-peer up"));
        }
        ip("-6 route add default dev six");
        assert_eq!(default_master().unwrap(), "six");
        ip("route add default dev far metric 200");
        ip("route add 10.0.0.0/8 dev near");
        ip("route add blackhole default metric 1");
        ip("route add default dev near table 100");
        assert_eq!(default_master().unwrap(), "far");
        ip("route add default dev near metric 100");
        assert_eq!(default_master().unwrap(), "near");
    });
}

fn ip(words: &str) {
    assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success(), "ip {words}");
}
