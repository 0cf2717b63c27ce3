//! Does an engine get a slave that is ready for use, and is nothing left after it detaches the slave or an attach fails?

use ipvl_control::{Attached, Attachment, LinkSpec, NetnsRef, PolicyKeys, SlaveRoute, attach, attached, detach};
use ipvl_core::{Addr, HostAccess, Mode, Options};
use ipvl_testbed::{Lab, require_root};

use crate::common::{exec, kill_agent, run, soon, traces};

const OWNER: &str = "cni net 0123 eth0";

/// What an engine wants in namespace `n` of the lab, with a slave that keeps the agent running.
fn wanted(lab: &Lab, n: usize, address: &str) -> Attachment {
    let spec = LinkSpec {
        name: Some("eth0".to_owned()),
        options: Options { mode: Mode::L2, host: HostAccess::On, ..Options::DEFAULT },
        netns: Some(NetnsRef::Name(lab.slaves[n].name().to_owned())),
        ..LinkSpec::of("eth0")
    };
    let default = SlaveRoute::new((Addr::UNSPECIFIED_4, 0), Some(ip("10.0.0.254")));
    let (addresses, routes) = (vec![(ip(address), 24), (ip("fd00::77"), 64)], vec![default]);
    let policy = PolicyKeys::default();
    Attachment { spec, owner: OWNER.to_owned(), policy, addresses, assign: true, routes }
}

fn ip(text: &str) -> Addr {
    text.parse::<std::net::IpAddr>().expect("an address").into()
}

/// A lab with a slave in namespace 0, so that an agent runs.
fn lab() -> Lab {
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2 host on", &["10.0.0.10/24"]);
    lab
}

fn do_attach(lab: &Lab, wanted: &Attachment) -> ipvl_control::Result<Attached> {
    lab.host.within(|| attach(wanted))
}

#[test]
fn a_slave_is_ready_when_the_engine_has_it() {
    require_root!();
    let lab = lab();
    let got = do_attach(&lab, &wanted(&lab, 1, "10.0.0.77")).expect("a slave");
    assert!(lab.pings(&lab.slaves[1], "10.0.0.254"), "the outside, at once");
    assert!(lab.pings(&lab.slaves[1], "fd00::254"), "and in IPv6");
    assert!(lab.pings(&lab.slaves[0], "10.0.0.77") && lab.pings(&lab.host, "10.0.0.77"), "a sibling and the host");
    assert_eq!((got.name.as_deref(), got.master.as_deref(), got.mtu), (Some("eth0"), Some("eth0"), 1500));
    assert!(got.addresses.contains(&(ip("10.0.0.77"), 32)) && got.addresses.contains(&(ip("fd00::77"), 128)));
    assert!(run(&lab.slaves[1], "ip route").contains("default via 10.0.0.254 dev eth0"));
    assert!(!lab.ipvl("addr show").contains("declared"), "what is on the device is as any other address");
}

#[test]
fn whose_it_is_outlives_agents_and_changes() {
    require_root!();
    let lab = lab();
    do_attach(&lab, &wanted(&lab, 1, "10.0.0.77")).expect("a slave");
    let host_end = lab.host.within(|| attached("cni net ")).expect("attachments")[0].host_end.1.clone();
    lab.ipvl(&format!("link set {host_end} type ipvlan private"));
    kill_agent(&lab.host);
    let found = lab.host.within(|| attached("cni ")).expect("attachments");
    assert_eq!(found.iter().map(|it| it.owner.as_str()).collect::<Vec<_>>(), [OWNER]);
    assert!(lab.host.within(|| attached("docker ")).expect("attachments").is_empty());
}

#[test]
fn a_slave_is_given_back_wherever_it_is_and_once() {
    require_root!();
    let lab = lab();
    let before = traces(&lab.host);
    do_attach(&lab, &wanted(&lab, 1, "10.0.0.77")).expect("a slave");
    let twice = do_attach(&lab, &wanted(&lab, 1, "10.0.0.78")).expect_err("one owner has one slave");
    assert!(twice.to_string().contains("this owner has a slave already"), "{twice}");
    assert!(lab.host.within(|| detach(OWNER)).expect("detached"));
    assert!(!lab.host.within(|| detach(OWNER)).expect("detached"), "there is none any more");
    assert!(!exec(&lab.slaves[1], "ip link show eth0").ok);
    soon("the host is as before", || traces(&lab.host) == before);
}

#[test]
fn what_cannot_be_leaves_nothing_behind() {
    require_root!();
    let lab = lab();
    let before = (traces(&lab.host), run(&lab.slaves[1], "ip -o link"));
    let fails = |why: &str, change: &dyn Fn(&mut Attachment)| {
        let mut wish = wanted(&lab, 1, "10.0.0.77");
        change(&mut wish);
        let error = do_attach(&lab, &wish).expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
        soon("nothing is left", || (traces(&lab.host), run(&lab.slaves[1], "ip -o link")) == before);
    };
    fails("10.0.0.10 belongs to ipvl0", &|wish| wish.addresses[0].0 = ip("10.0.0.10"));
    fails("10.0.0.1 belongs to the host", &|wish| wish.addresses[1] = (ip("10.0.0.1"), 24));
    fails("is not an address that a device can have", &|wish| wish.addresses[0].1 = 33);
    fails("is not an address that a device can have", &|wish| wish.addresses[1].0 = ip("ff02::1"));
    fails("there is no link of that name", &|wish| wish.spec.master = "eth7".to_owned());
    fails("there is a link of that name already", &|wish| wish.spec.name = Some("lo".to_owned()));
    fails("mtu 9000 is not between", &|wish| wish.spec.mtu = Some(9000));
    fails("route 0.0.0.0/0 via 10.9.9.9", &|wish| wish.routes[0].gateway = Some(ip("10.9.9.9")));
    fails("network namespace", &|wish| wish.spec.netns = Some(NetnsRef::Name("no-such".to_owned())));
    fails("an owner is 1 to", &|wish| wish.owner = "x".repeat(300));
}

#[test]
fn what_an_engine_assigns_itself_is_kept_until_it_is_seen() {
    require_root!();
    let lab = lab();
    let mut wish = wanted(&lab, 1, "10.0.0.77");
    (wish.assign, wish.spec.netns, wish.spec.name) = (false, None, Some("tmp0".to_owned()));
    do_attach(&lab, &wish).expect("a slave");
    assert!(lab.ipvl("addr show").contains("10.0.0.77 dev tmp0 master eth0 declared"));
    kill_agent(&lab.host);
    let there = &lab.slaves[1];
    run(&lab.host, &format!("ip link set tmp0 netns {} name eth0", there.name()));
    lab.ipvl("link set ipvl0 up");
    assert!(lab.ipvl("addr show").contains("10.0.0.77 dev eth0 master eth0 declared"), "nobody took it away");
    run(there, "ip addr add 10.0.0.77/24 dev eth0");
    run(there, "ip link set eth0 up");
    soon("it is as any other", || !lab.ipvl("addr show").contains("10.0.0.77 dev eth0 master eth0 declared"));
    soon("it is reached", || lab.pings(&lab.host, "10.0.0.77"));
    run(there, "ip addr del 10.0.0.77/24 dev eth0");
    soon("it goes with the device's", || !lab.ipvl("addr show").contains("10.0.0.77"));
}
