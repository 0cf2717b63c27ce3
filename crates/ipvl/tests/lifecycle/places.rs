//! Does the command work from other places: from fresh mounts, from containers, and by other ways into the netns?

use ipvl_testbed::{Lab, ipvl_path, require_root};

use crate::common::{expect_as_before, kill_agent, run, shell, soon, traces};

/// As a container sees the machine: nothing under /run. (`ip netns exec` has mounted a fresh /sys.)
const CONTAINER: &str = "mount -t tmpfs none /run";

#[test]
fn any_way_into_the_netns_finds_the_same_state() {
    require_root!();
    let lab = Lab::new(1);
    let before = traces(&lab.host);
    let (ipvl, host) = (ipvl_path(), format!("/run/netns/{}", lab.host.name()));
    let ipvl = ipvl.display();
    // The lab's ext is where nsenter and -n start from: the netns given must win.
    run(&lab.ext, &format!("nsenter --net={host} {ipvl} link add link eth0 name ipvl0 type ipvlan mode l2"));
    let seen = lab.ipvl("link show");
    assert!(seen.contains("ipvl0"), "{seen}");
    assert_eq!(run(&lab.ext, &format!("{ipvl} -n {} link show", lab.host.name())), seen);
    assert_eq!(run(&lab.host, &format!("unshare -m {ipvl} link show")), seen);
    let contained = shell(&lab.host, &format!("unshare -m bash -c '{CONTAINER} && $IPVL link show'"));
    assert_eq!(contained.stdout, seen, "{}", contained.stderr);
    let deleted = shell(&lab.host, &format!("unshare -m bash -c '{CONTAINER} && $IPVL link del ipvl0'"));
    assert!(deleted.ok, "{}", deleted.stderr);
    expect_as_before(&lab.host, &before);
}

#[test]
fn an_agent_from_a_container_finds_every_netns() {
    require_root!();
    let lab = Lab::new(1);
    let add = "$IPVL link add link eth0 name ipvl0 type ipvlan mode l3";
    let added = shell(&lab.host, &format!("unshare -m bash -c '{CONTAINER} && {add}'"));
    assert!(added.ok, "{}", added.stderr);
    run(&lab.host, &format!("ip link set ipvl0 netns {}", lab.slaves[0].name()));
    run(&lab.slaves[0], "ip addr add 10.0.0.10/24 dev ipvl0");
    run(&lab.slaves[0], "ip link set ipvl0 up");
    run(&lab.ext, "ip route add 10.0.0.10/32 via 10.0.0.1");
    soon("the slave can be used", || lab.pings(&lab.slaves[0], "10.0.0.254"));
    kill_agent(&lab.host);
    let deleted = shell(&lab.host, &format!("unshare -m bash -c '{CONTAINER} && $IPVL link del ipvl0'"));
    assert!(deleted.ok, "{}", deleted.stderr);
}

/// As in dockerd's managed plugins: an engine's runtime mounts /proc/sys read-only.
#[test]
fn switches_are_set_where_proc_sys_is_read_only() {
    require_root!();
    let lab = Lab::new(1);
    let read_only = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && ! echo 1 >/proc/sys/net/ipv4/ip_forward";
    let add = "$IPVL link add link eth0 name ipvl0 type ipvlan mode l2 host on";
    let added = shell(&lab.host, &format!("unshare -m bash -c '{read_only} && {add}'"));
    assert!(added.ok, "{}", added.stderr);
    assert_eq!(run(&lab.host, "cat /proc/sys/net/ipv4/conf/ipvlh0/forwarding"), "1\n");
    let deleted = shell(&lab.host, &format!("unshare -m bash -c '{read_only} && $IPVL link del ipvl0'"));
    assert!(deleted.ok, "{}", deleted.stderr);
    assert_eq!(run(&lab.host, "cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "0\n");
}

#[test]
fn a_netns_without_a_name_is_found() {
    require_root!();
    let lab = Lab::new(0);
    lab.ipvl("link add link eth0 name ipvl0 type ipvlan mode l2");
    let mut inside = lab.host.command(["unshare", "-n", "sleep", "60"]).spawn().expect("start a process");
    let pid = inside.id();
    soon("it has a netns of its own", || {
        let own = std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        own.is_some()
            && own != lab.host.within(|| std::fs::read_link("/proc/thread-self/ns/net").ok())
            && std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n")
    });
    lab.ipvl(&format!("link set ipvl0 netns {pid}"));
    let there = |line: &str| run(&lab.host, &format!("nsenter --net=/proc/{pid}/ns/net {line}"));
    there("ip addr add 10.0.0.10/24 dev ipvl0");
    there("ip link set ipvl0 up");
    soon("the slave can be used", || lab.pings(&lab.ext, "10.0.0.10"));
    inside.kill().expect("end it");
    inside.wait().expect("wait for it");
    soon("the slave went with its netns", || !lab.ipvl("link show").contains("ipvl0"));
}
