//! What does netkit provide, is its program safe from the slave's netns, and when is netkit refused?

use ipvl_control::kernel::bpf::{self, AttachType};
use ipvl_control::kernel::netlink::Netlink;
use ipvl_control::{Backend, Error};
use ipvl_testbed::{Driver, Lab, require_device, require_root, requires};

use crate::common::{exec, expect_as_before, links, programs, run, soon, traces};

#[test]
fn a_kernel_without_netkit_says_so_and_makes_nothing() {
    require_root!();
    if !requires(!Backend::has_netkit(), "this kernel has netkit") {
        return;
    }
    let lab = Lab::new(0);
    let before = traces(&lab.host);
    let refused = lab.try_ipvl("link add link eth0 name a type ipvlan backend netkit");
    assert!(!refused.ok && refused.stderr.contains("has no netkit"), "{}", refused.stderr);
    expect_as_before(&lab.host, &before);
}

#[test]
fn a_slave_is_what_was_asked_for() {
    require_root!();
    require_device!("netkit");
    let lab = Lab::of(Driver::Ipvl, 0);
    for (name, words) in [("a", ""), ("b", "backend netkit"), ("c", "backend veth")] {
        lab.ipvl(&format!("link add link eth0 name {name} type ipvlan mode l2 {words}"));
    }
    let lines = lab.ipvl("-d link show");
    let kinds: Vec<_> = lines.lines().filter_map(|line| line.trim().strip_prefix("ipvl backend ")).collect();
    let kinds: Vec<_> = kinds.into_iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(kinds, ["netkit", "netkit", "veth"], "{lines}");
    for name in ["a", "b"] {
        assert!(run(&lab.host, &format!("ip -d link show {name}")).contains("netkit"));
    }
    assert!(lab.ipvl("doctor").contains("backend: netkit"));
}

#[test]
fn slaves_of_both_kinds_reach_each_other_wherever_they_are() {
    require_root!();
    require_device!("netkit");
    let lab = Lab::of(Driver::Ipvl, 3);
    for (n, backend) in ["netkit", "veth", "netkit"].into_iter().enumerate() {
        let addresses = [format!("10.0.0.1{n}/24"), format!("fd00::1{n}/64")];
        let addresses = addresses.each_ref().map(String::as_str);
        lab.add_slave(n, &format!("mode l2 backend {backend}"), &addresses);
    }
    for mode in ["l2", "l3", "l2"] {
        (0..3).for_each(|n| _ = lab.ipvl(&format!("link set ipvl{n} type ipvlan mode {mode}")));
        if mode == "l3" {
            (0..3).for_each(|n| _ = run(&lab.ext, &format!("ip route replace 10.0.0.1{n}/32 via 10.0.0.1")));
        }
        for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0)] {
            soon(mode, || lab.pings(&lab.slaves[from], &format!("10.0.0.1{to}")));
            soon(mode, || lab.pings(&lab.slaves[from], &format!("fd00::1{to}")));
        }
        (0..3).for_each(|n| soon("outside", || lab.pings(&lab.slaves[n], "10.0.0.254")));
        (0..3).for_each(|n| soon("from outside", || lab.pings(&lab.ext, &format!("10.0.0.1{n}"))));
    }
}

#[test]
fn from_inside_nobody_takes_the_program_off() {
    require_root!();
    require_device!("netkit");
    let lab = Lab::of(Driver::Netkit, 1);
    let name = lab.add_slave(0, "mode l2 private", &["10.0.0.10/24"]);
    let before = programs(&lab.host);
    let id = before.iter().find(|(_, program, _)| program == "slave_xmit").expect("the program").2;
    lab.slaves[0].within(|| {
        let program = bpf::prog_fd_by_id(id).expect("open it");
        let ifindex = Netlink::open().and_then(|netlink| netlink.link_by_name(&name, None)).expect("read").expect("it");
        for at in [AttachType::NetkitPeer, AttachType::NetkitPrimary] {
            let attempts = [
                bpf::prog_detach(ifindex.ifindex, &program, at).err(),
                bpf::prog_attach(ifindex.ifindex, &program, at).err(),
            ];
            let errnos = attempts.map(|error| error.as_ref().and_then(Error::errno));
            assert_eq!(errnos, [Some(libc::EACCES); 2]);
        }
    });
    let opened = exec(&lab.slaves[0], &format!("ip link set {name} type netkit"));
    assert!(!opened.ok || programs(&lab.host) == before, "{}", opened.stdout);
    let at_hook = |host_end: &str| {
        lab.host.within(|| {
            let link = Netlink::open().and_then(|netlink| netlink.link_by_name(host_end, None)).expect("read");
            bpf::prog_query(link.expect("the host end").ifindex, AttachType::NetkitPeer).expect("query")
        })
    };
    assert_eq!(at_hook("ipvlh0"), [id]);
    assert!(lab.pings(&lab.slaves[0], "10.0.0.254") && !lab.pings(&lab.slaves[0], "10.0.0.1"));
}

#[test]
fn nothing_of_it_is_left() {
    require_root!();
    require_device!("netkit");
    let lab = Lab::of(Driver::Netkit, 2);
    let before = traces(&lab.host);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    lab.add_slave(1, "mode l3", &["10.0.0.11/24"]);
    lab.ipvl("link del ipvl0");
    run(&lab.slaves[1], "ip link del ipvl1");
    soon("both are gone", || lab.slaves.iter().all(|netns| links(netns).len() == 1));
    expect_as_before(&lab.host, &before);
}
