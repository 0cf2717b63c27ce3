//! Does clsact work as well as tcx, and are filters of other programs left alone?

use ipvl_testbed::{Lab, require_root};

use crate::common::{expect_as_before, run, shell, soon, traces};

/// The one kind of filter that is surely there, in classic BPF.
const ACCEPT_ALL: &str = "bpf da bytecode '1,6 0 0 4294967295,'";

#[test]
fn clsact_carries_every_mode_and_goes_again() {
    require_root!();
    let lab = Lab::new(3);
    let before = traces(&lab.host);
    for (n, mode) in ["l2", "l3", "l3s"].into_iter().enumerate() {
        let netns = &lab.slaves[n];
        let words = format!("name ipvl{n} netns {} type ipvlan mode {mode} host on", netns.name());
        let added = shell(&lab.host, &format!("IPVL_HOOK=clsact $IPVL link add link eth0 {words}"));
        assert!(added.ok, "{}", added.stderr);
        run(netns, &format!("ip addr add 10.0.0.1{n}/24 dev ipvl{n}"));
        run(netns, &format!("ip addr add fd00::1{n}/64 dev ipvl{n} nodad"));
        run(netns, &format!("ip link set ipvl{n} up"));
        run(&lab.ext, &format!("ip route add 10.0.0.1{n}/32 via 10.0.0.1"));
        run(&lab.ext, &format!("ip -6 route add fd00::1{n}/128 via fd00::1"));
    }
    let qdiscs = run(&lab.host, "tc qdisc show");
    assert!(qdiscs.contains("clsact") && qdiscs.contains("dev eth0"), "{qdiscs}");
    for n in 0..3 {
        soon("outside", || lab.pings(&lab.slaves[n], "10.0.0.254"));
        soon("outside, IPv6", || lab.pings(&lab.slaves[n], "fd00::254"));
        assert!(lab.pings(&lab.ext, &format!("10.0.0.1{n}")), "from outside to ipvl{n}");
        let sibling = (n + 1) % 3;
        soon("a sibling", || lab.pings(&lab.slaves[n], &format!("10.0.0.1{sibling}")));
    }
    for n in 0..3 {
        lab.ipvl(&format!("link del ipvl{n}"));
    }
    expect_as_before(&lab.host, &before);
}

#[test]
fn what_others_have_on_clsact_stays() {
    require_root!();
    for hook in ["clsact", "tcx"] {
        for (direction, preference) in [("egress", 1), ("ingress", 1)] {
            let lab = Lab::new(1);
            run(&lab.host, "tc qdisc add dev eth0 clsact");
            let filter = format!("tc filter add dev eth0 {direction} pref {preference} protocol ip");
            let added = shell(&lab.host, &format!("{filter} {ACCEPT_ALL}"));
            assert!(added.ok, "{}", added.stderr);
            let theirs = || run(&lab.host, &format!("tc filter show dev eth0 {direction}"));
            let (before, filters) = (traces(&lab.host), theirs());
            let added =
                shell(&lab.host, &format!("IPVL_HOOK={hook} $IPVL link add link eth0 name a type ipvlan mode l2"));
            assert!(added.ok, "{}", added.stderr);
            lab.ipvl("link del a");
            expect_as_before(&lab.host, &before);
            assert_eq!(theirs(), filters, "{hook} {direction}");
        }
    }
}
