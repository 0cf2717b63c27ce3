//! Does ipvl work with many commands at once, and with many slaves on one master?

use std::collections::BTreeMap;
use std::time::Instant;

use ipvl_testbed::{EXT_MAC, Lab, MASTER_MAC, Netns, packet, require_root, wait_until};
use serde_json::Value;

use crate::common::{SOON, expect_as_before, host_ends, links, run, shell, traces};

const SLAVES: usize = 1500;
/// For what takes a while with so many.
const LONG: std::time::Duration = std::time::Duration::from_secs(60);
/// Local experimental ethertype 1 (IEEE 802): no stack answers it.
const EXPERIMENTAL: u16 = 0x88b5;

#[test]
fn commands_at_once_agree() {
    require_root!();
    let lab = Lab::new(0);
    let before = traces(&lab.host);
    // Every name twice: one of the two must be refused.
    let add = "for n in {1..25} {1..25}; do echo $n; done |
        xargs -P 8 -I N $IPVL link add link eth0 name slaveN type ipvlan mode l2 2>&1 | grep -c 'File exists'";
    let added = shell(&lab.host, add);
    assert_eq!(added.stdout.trim(), "25", "{}", added.stderr);
    let shown = lab.ipvl("link show");
    let names = links(&lab.host);
    for n in 1..=25 {
        assert!(names.contains(&format!("slave{n}")) && shown.contains(&format!(" slave{n}@eth0:")), "{shown}");
    }
    assert_eq!((host_ends(&lab.host).len(), shown.matches("@eth0:").count()), (25, 25));
    // Deleting and adding at once.
    let mix =
        "for n in {1..25}; do echo \"del slave$n\"; echo \"add link eth0 name more$n type ipvlan mode l3\"; done |
        xargs -P 8 -I LINE bash -c '$IPVL link LINE'";
    let mixed = shell(&lab.host, &format!("export IPVL; {mix}"));
    assert!(mixed.ok, "{}{}", mixed.stdout, mixed.stderr);
    let shown = lab.ipvl("link show");
    assert_eq!((shown.matches(" more").count(), shown.matches(" slave").count()), (25, 0), "{shown}");
    assert_eq!(host_ends(&lab.host).len(), 25);
    let delete =
        "printf '%s\\n' more{1..25} more{1..25} | xargs -P 8 -I N $IPVL link del N 2>&1 | grep -c 'No such device'";
    assert_eq!(shell(&lab.host, delete).stdout.trim(), "25");
    expect_as_before(&lab.host, &before);
}

/// Where there are many, a netns is listed once instead of asked for each device, and a map is read in one piece.
#[test]
fn each_of_many_is_shown_as_it_is() {
    require_root!();
    let lab = Lab::new(1);
    let netns = &lab.slaves[0];
    for n in 1..=20 {
        let mode = if n % 2 == 0 { "l2" } else { "l3" };
        lab.ipvl(&format!("link add link eth0 name many{n} netns {} type ipvlan mode {mode}", netns.name()));
        run(netns, &format!("ip link set many{n} mtu {}", 1400 + n));
        run(netns, &format!("ip addr add 10.0.1.{n}/16 dev many{n}"));
    }
    let shown = || -> Vec<(String, u64)> {
        let links: Value = serde_json::from_str(&lab.ipvl("-j link show")).expect("JSON");
        let links = links.as_array().expect("a list").iter();
        let many = links.filter(|link| link["ifname"].as_str().is_some_and(|name| name.starts_with("many")));
        many.map(|link| (link["ifname"].as_str().unwrap_or("?").to_owned(), link["mtu"].as_u64().unwrap_or(0)))
            .collect()
    };
    assert_eq!(shown(), (1..=20).map(|n| (format!("many{n}"), 1400 + n)).collect::<Vec<_>>());
    let owner = |n: u64| lab.ipvl("addr show").contains(&format!("10.0.1.{n} dev many{n} "));
    assert!(wait_until(SOON, || (1..=20).all(owner)), "{}", lab.ipvl("addr show"));
    run(netns, "ip addr del 10.0.1.7/16 dev many7");
    lab.ipvl("link del many9");
    assert!(wait_until(SOON, || !owner(7) && !owner(9) && owner(8)), "{}", lab.ipvl("addr show"));
    assert_eq!(shown().len(), 19);
}

#[test]
fn a_broadcast_reaches_every_one_of_many_exactly_once() {
    require_root!();
    let lab = Lab::new(1);
    let netns = &lab.slaves[0];
    // No slave sends anything itself.
    netns.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    for name in ["all", "default"] {
        lab.ext.sysctl(&format!("net/ipv6/conf/{name}/disable_ipv6"), "1");
    }
    let start = Instant::now();
    let add = format!("link add link eth0 name s$n netns {} type ipvlan mode l2", netns.name());
    let added = shell(&lab.host, &format!("for n in {{0..{}}}; do echo \"{add}\"; done | $IPVL -batch -", SLAVES - 1));
    assert!(added.ok, "{}", added.stderr);
    let made = start.elapsed();
    let raised =
        shell(netns, &format!("for n in {{0..{}}}; do echo \"link set s$n up\"; done | ip -batch -", SLAVES - 1));
    assert!(raised.ok, "{}", raised.stderr);
    let running = || run(netns, "ip -br link").lines().filter(|line| line.contains("LOWER_UP")).count();
    assert!(wait_until(LONG, || running() == SLAVES + 1), "{} have a carrier", running());
    eprintln!("{SLAVES} slaves made in {made:?}, usable after {:?}", start.elapsed());

    let from_outside = packet::ethernet(packet::Link::broadcast(EXT_MAC), EXPERIMENTAL, &[0; 46]);
    let wire = lab.wire();
    expect_one_each(netns, None, || wire.inject(&from_outside));
    let from_inside = packet::ethernet(packet::Link::broadcast(MASTER_MAC), EXPERIMENTAL, &[0; 46]);
    let sender = netns.port("s7");
    expect_one_each(netns, Some("s7"), || sender.inject(&from_inside));

    let start = Instant::now();
    run(&lab.host, "ip link del eth0");
    assert!(wait_until(LONG, || links(netns).len() == 1), "{} slaves are left", links(netns).len() - 1);
    eprintln!("all gone after {:?}", start.elapsed());
}

/// Fails unless what `send` does lets every slave but `sender` receive one frame.
#[track_caller]
fn expect_one_each(netns: &Netns, sender: Option<&str>, send: impl FnOnce()) {
    let before = received(netns);
    send();
    let mut grown: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut count = || {
        grown.clear();
        for (name, packets) in received(netns) {
            grown.entry(packets - before[&name]).or_default().push(name);
        }
        grown.get(&1).map_or(0, Vec::len) == SLAVES - usize::from(sender.is_some())
    };
    let all = wait_until(SOON, &mut count);
    let summary: Vec<_> = grown.iter().map(|(packets, names)| (packets, names.len(), &names[0])).collect();
    assert!(all, "packets, slaves that got so many, one of these: {summary:?}");
    let sender: Vec<_> = sender.map(str::to_owned).into_iter().collect();
    assert_eq!(grown.remove(&0).unwrap_or_default(), sender);
}

fn received(netns: &Netns) -> BTreeMap<String, u64> {
    let all: Value = serde_json::from_str(&run(netns, "ip -s -j link")).expect("iproute2's JSON");
    let slaves = all.as_array().into_iter().flatten().filter(|link| link["ifname"] != "lo");
    slaves
        .map(|link| {
            let packets = link["stats64"]["rx"]["packets"].as_u64().expect("a counter");
            (link["ifname"].as_str().expect("a name").to_owned(), packets)
        })
        .collect()
}
