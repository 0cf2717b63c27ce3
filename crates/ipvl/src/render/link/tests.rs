//! Is a slave shown as iproute2 shows a device of the kernel's own driver, to the letter?

use super::*;
use ipvl_control::{Backend, Kind, NsId};
use ipvl_core::maps::Counters;
use ipvl_core::{Dhcp, Flag, Guard, HostAccess, IfIndex, Mac, Mode, NeighProxy, Options, Siblings, Slot};

/// What iproute2 6.15 printed on Linux 6.12 for `ip -d link show`, in each mode.
const KERNEL: &[(Mode, &str)] = &[
    (Mode::L2, include_str!("../../../tests/snapshots/kernel-l2.txt")),
    (Mode::L3, include_str!("../../../tests/snapshots/kernel-l3.txt")),
    (Mode::L3s, include_str!("../../../tests/snapshots/kernel-l3s.txt")),
];

const L2: Options = Options { mode: Mode::L2, ..Options::DEFAULT };

#[test]
fn details_are_those_of_the_kernels_driver() {
    for (mode, expected) in KERNEL {
        let noarp = if *mode == Mode::L2 { 0 } else { 1 << 7 };
        let link = Link { options: Options { mode: *mode, ..L2 }, flags: 0x11043 | noarp, ..moved() };
        let shown = links(&[link], &[], Style { details: true, ..Style::default() });
        let word = mode.word();
        let own =
            format!("    ipvl master eth0 mode {word} bridge guard owned host off slot 3 host-end ipvlh2 netns hst\n");
        assert_eq!(shown, format!("{expected}{own}"));
    }
}

#[test]
fn without_details_there_is_no_kind() {
    let expected =
        "3: s0@eth0: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN mode DEFAULT group default qlen 1000
    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff
    ipvl master eth0 mode l2 private guard strict host on neigh proxy siblings direct slot 3 host-end ipvlh2
    degraded: its address is taken
    RX: bytes 200 packets 2
    TX: bytes 300 packets 3 dropped 0
";
    let link = Link {
        netnsid: None,
        netns: None,
        flags: 0x1002,
        operstate: 2,
        qdisc: "noop".to_owned(),
        options: Options {
            mode: Mode::L2,
            flag: Flag::Private,
            guard: Guard::Strict,
            host: HostAccess::On,
            neigh: NeighProxy::Proxy,
            dhcp: Dhcp::On,
            siblings: Siblings::Direct,
        },
        degraded: vec!["its address is taken".to_owned()],
        ..moved()
    };
    assert_eq!(links(&[link], &[counters()], Style::default()), expected);
}

#[test]
fn a_namespace_without_a_name_has_a_number() {
    let text = links(&[Link { netns: None, ..moved() }], &[], Style::default());
    assert!(text.contains("brd ff:ff:ff:ff:ff:ff link-netnsid 0\n"), "{text}");
}

#[test]
fn json_is_that_of_the_kernels_driver_and_ours() {
    let style = Style { details: true, json: true, ..Style::default() };
    let expected = concat!(
        r#"[{"ifindex":3,"link_index":2,"ifname":"s0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"#,
        r#""qdisc":"noqueue","operstate":"UNKNOWN","linkmode":"DEFAULT","group":"default","txqlen":1000,"#,
        r#""link_type":"ether","address":"02:00:00:00:00:01","broadcast":"ff:ff:ff:ff:ff:ff","link_netnsid":0,"#,
        r#""promiscuity":0,"allmulti":0,"min_mtu":68,"max_mtu":65535,"#,
        r#""linkinfo":{"info_kind":"ipvlan","info_data":{"mode":"l2","bridge":true}},"inet6_addr_gen_mode":"eui64","#,
        r#""num_tx_queues":1,"num_rx_queues":1,"gso_max_size":65536,"gso_max_segs":65535,"tso_max_size":524280,"#,
        r#""tso_max_segs":65535,"gro_max_size":65536,"gso_ipv4_max_size":65536,"gro_ipv4_max_size":65536,"#,
        r#""ipvl":{"master":"eth0","mode":"l2","flag":"bridge","guard":"owned","host":false,"neigh":"off","dhcp":true,"siblings":"host","slot":3,"#,
        r#""host_end":"ipvlh2","degraded":[],"groups":[],"netns":"hst"}}]"#,
        "\n"
    );
    assert_eq!(links(&[moved()], &[], style), expected);
    let here = links(&[Link { netnsid: None, ..moved() }], &[counters()], Style { details: false, ..style });
    assert!(here.contains(r#""link":"eth0","ifname":"s0""#) && !here.contains("info_kind"), "{here}");
    let stats = r#""stats64":{"rx":{"bytes":200,"packets":2},"tx":{"bytes":300,"packets":3,"dropped":0}}"#;
    assert!(here.contains(stats), "{here}");
}

#[test]
fn groups_are_a_detail() {
    let style = Style { details: true, ..Style::default() };
    let joined = Link { groups: vec![Mac([1, 0, 0x5e, 1, 2, 3]), Mac([0x33, 0x33, 0, 0, 0, 2])], ..moved() };
    let text = links(std::slice::from_ref(&joined), &[], style);
    assert!(text.ends_with("    ipvl groups 01:00:5e:01:02:03 33:33:00:00:00:02\n"), "{text}");
    assert!(!links(std::slice::from_ref(&joined), &[], Style::default()).contains("groups"));
    let greedy = Link { all_groups: true, ..joined };
    assert!(links(std::slice::from_ref(&greedy), &[], style).ends_with("    ipvl groups all\n"));
    assert!(links(&[greedy], &[], Style { json: true, ..style }).contains(r#""groups":"all""#));
}

#[test]
fn what_a_slave_is_made_of_is_a_detail() {
    let (style, backend) = (Style { details: true, ..Style::default() }, Some((Backend::Netkit, "for a reason")));
    let text = links(&[Link { backend, ..moved() }], &[], style);
    assert!(text.ends_with("    ipvl backend netkit (for a reason)\n"), "{text}");
    assert!(!links(&[Link { backend, ..moved() }], &[], Style::default()).contains("backend"));
    let json = links(&[Link { backend, ..moved() }], &[], Style { json: true, ..style });
    assert!(json.contains(r#""backend":"netkit","backend_why":"for a reason""#), "{json}");
}

#[test]
fn the_queue_before_a_slave_is_a_detail() {
    let (style, queue) = (Style { details: true, ..Style::default() }, Some("tbf".to_owned()));
    let text = links(&[Link { queue: queue.clone(), ..moved() }], &[], style);
    assert!(text.ends_with("    ipvl queue tbf\n"), "{text}");
    assert!(!links(&[Link { queue: queue.clone(), ..moved() }], &[], Style::default()).contains("queue tbf"));
    let json = links(&[Link { queue, ..moved() }], &[], Style { json: true, ..style });
    assert!(json.contains(r#""queue":"tbf""#), "{json}");
}

#[test]
fn a_tap_device_is_an_ipvtap() {
    let tap = || Link { kind: Kind::Ipvtap, host_end: (IfIndex(3), "s0".to_owned()), netnsid: None, ..moved() };
    let text = links(&[tap()], &[], Style { details: true, ..Style::default() });
    assert!(text.contains("\n    ipvtap  mode l2 bridge addrgenmode"), "{text}");
    let json = links(&[tap()], &[], Style { details: true, json: true, ..Style::default() });
    assert!(json.contains(r#""info_kind":"ipvtap","info_data":{"mode":"l2","bridge":true}"#), "{json}");
}

#[test]
fn no_carrier_is_the_absence_of_running() {
    assert_eq!(flag_names(0x1003), ["NO-CARRIER", "BROADCAST", "MULTICAST", "UP"]);
}

/// A slave in another netns.
pub fn moved() -> Link {
    Link {
        ifindex: IfIndex(3),
        name: "s0".to_owned(),
        kind: Kind::Ipvlan,
        master: (IfIndex(2), "eth0".to_owned()),
        master_is_ip: false,
        slot: Slot(3),
        host_end: (IfIndex(7), "ipvlh2".to_owned()),
        backend: None,
        netnsid: Some(NsId(0)),
        netns: Some("hst".to_owned()),
        flags: 0x11043,
        operstate: 0,
        mtu: 1500,
        txqlen: 1000,
        qdisc: "noqueue".to_owned(),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        options: L2,
        groups: Vec::new(),
        all_groups: false,
        queue: None,
        rates: ipvl_control::Rates::default(),
        degraded: Vec::new(),
        detail: Detail {
            promiscuity: 0,
            allmulti: 0,
            min_mtu: 68,
            max_mtu: 65535,
            addrgenmode: "eui64".to_owned(),
            num_tx_queues: 1,
            num_rx_queues: 1,
            gso_max_size: 65536,
            gso_max_segs: 65535,
            tso_max_size: 524280,
            tso_max_segs: 65535,
            gro_max_size: 65536,
            gso_ipv4_max_size: 65536,
            gro_ipv4_max_size: 65536,
        },
    }
}

fn counters() -> Statistics {
    let counters = Counters { tx_packets: 3, tx_bytes: 300, rx_packets: 2, rx_bytes: 200 };
    Statistics { name: "s0".to_owned(), ifindex: IfIndex(7), is_master: false, counters, drops: Vec::new() }
}
