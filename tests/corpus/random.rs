//! Which worlds and frames are in no scenario? Random ones: noise, valid frames, and valid frames with a few wrong bytes.

use crate::frame::{self, FrameSource};
use crate::names::SLAVES;
use crate::world::{Member, World};
use ipvl_control::read::snapshot::Bytes;
use ipvl_core::{Mode, Slot};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const STATIONS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "host", "ext", "nobody", "any", "everyone", "group"];
const MACS: [&str; 5] = ["shared", "ext", "stranger", "broadcast", "group"];
/// Up to the options of a neighbour solicitation: where a wrong byte may change a decision.
const HEADERS: usize = 90;

/// So many cases; times `$TIMES`, for a longer run than an ordinary one.
pub fn cases(ordinary: u32) -> ProptestConfig {
    let times = std::env::var("TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let cases = ordinary.saturating_mul(times);
    ProptestConfig { cases, max_global_rejects: cases * 2, failure_persistence: None, ..ProptestConfig::default() }
}

/// Up to eight slaves of all kinds.
pub fn world() -> impl Strategy<Value = World> {
    let members = subsequence(SLAVES.to_vec(), 1..=SLAVES.len()).prop_flat_map(|names| {
        names
            .into_iter()
            .map(|name| member().prop_map(move |words| Member { name: name.to_owned(), words }))
            .collect::<Vec<_>>()
    });
    let declared = subsequence(vec!["a 10.50.0.0/16", "b 10.50.7.0/24", "c fd50::/32", "a 10.0.0.0/24"], 0..=2);
    let port = prop_oneof![
        8 => Just(vec![]),
        1 => Just(vec!["cut".to_owned()]),
        1 => Just(vec!["ip-only".to_owned()]),
    ];
    let groups = vec!["a group", "b group", "c 33:33:00:00:00:02", "b 01:00:5e:00:00:fb", "d 01:80:c2:00:00:0e"];
    let joined = weighted(0.5, subsequence(groups, 0..=5));
    let asked = subsequence(vec!["a", "b", "c"], 0..=2);
    (members, declared, joined, asked, port).prop_map(|(members, declared, joined, asked, port)| World {
        declared: declared.into_iter().filter(|line| is_there(line, &members)).map(str::to_owned).collect(),
        joined: joined.map(|lines| lines.into_iter().map(str::to_owned).collect()),
        asked: asked.into_iter().filter(|line| is_there(line, &members)).map(str::to_owned).collect(),
        members,
        port,
    })
}

/// Eight slaves, some of them down, all in one mode and with one flag, as the kernel's own driver has them.
pub fn uniform_world() -> impl Strategy<Value = World> {
    let mode = select(vec!["l2", "l2", "l2", "l3", "l3", "l3s"]);
    let flag = select(vec!["bridge", "bridge", "private", "vepa"]);
    let guard = select(vec!["owned", "off"]);
    let alike = (mode, flag, guard).prop_map(|(mode, flag, guard)| [mode, flag, guard].map(str::to_owned).to_vec());
    let up = prop::bool::weighted(0.7);
    let members = (alike, vec(up, SLAVES.len())).prop_map(|(alike, up)| {
        let places = SLAVES.into_iter().zip(up);
        places.map(|(name, up)| same_but_for_state(name, &alike, up)).collect::<Vec<_>>()
    });
    members.prop_map(|members| World {
        members,
        declared: Vec::new(),
        joined: None,
        asked: Vec::new(),
        port: Vec::new(),
    })
}

fn same_but_for_state(name: &str, alike: &[String], up: bool) -> Member {
    let down = (!up).then(|| "down".to_owned());
    Member { name: name.to_owned(), words: alike.iter().cloned().chain(down).collect() }
}

/// A frame with everything that the kernel may know of it.
pub fn frame() -> impl Strategy<Value = Bytes> {
    let vlan = weighted(0.05, select(vec![0, 5]));
    (plain_frame(), vlan, prop::bool::weighted(0.02)).prop_map(|(frame, vlan, loopback)| Bytes {
        vlan,
        loopback,
        ..frame
    })
}

/// A frame that consists of its bytes alone.
pub fn plain_frame() -> impl Strategy<Value = Bytes> {
    way().prop_flat_map(plain_frame_by)
}

/// The same, as it may come this way.
pub fn plain_frame_by(way: FrameSource) -> impl Strategy<Value = Bytes> {
    let length = weighted(0.1, 0..120_usize);
    let mistakes = vec((0..HEADERS, any::<u8>()), 0..4);
    let spoilt = (honest_by(way), mistakes, length).prop_map(|(mut frame, mistakes, length)| {
        frame.data.truncate(length.unwrap_or(usize::MAX));
        for (at, byte) in mistakes {
            if let Some(place) = frame.data.get_mut(at) {
                *place = byte;
            }
        }
        frame
    });
    prop_oneof![
        1 => vec(any::<u8>(), 0..120).prop_map(Bytes::from),
        1 => (noise_from_us(), vec(any::<u8>(), 0..100)).prop_map(|(start, rest)| Bytes::from([start, rest].concat())),
        6 => honest_by(way),
        6 => spoilt,
    ]
}

/// The slave that sends, or the wire.
pub fn source() -> impl Strategy<Value = Option<Slot>> {
    weighted(0.6, (0..SLAVES.len() as u32).prop_map(Slot))
}

/// A frame as a stack, or a careful user of raw sockets, would make it.
pub fn honest() -> impl Strategy<Value = Bytes> {
    way().prop_flat_map(honest_by)
}

/// On the heap, as its parts are: what is being tried would not fit on a test's stack.
fn honest_by(way: FrameSource) -> BoxedStrategy<Bytes> {
    let frame = prop_oneof![v4(), v6()].prop_flat_map(move |text| {
        let named = frame::frames(&text, way);
        select(named).prop_map(|named| named.frame)
    });
    frame.boxed()
}

fn way() -> impl Strategy<Value = FrameSource> {
    select(vec![FrameSource::Slave(Mode::L2), FrameSource::Slave(Mode::L3), FrameSource::Wire, FrameSource::Reflected])
}

fn v4() -> BoxedStrategy<String> {
    let odd = select(vec!["options", "df", "hops 1", "size 1600", "padded 60", "gso", "fragment", "patch 24 dead"]);
    let ip = (select(vec!["udp4", "echo4"]), stations(), vec(odd, 0..3));
    let ip = ip.prop_map(|(kind, (x, y), odd)| join(&format!("{kind} {x} > {y}"), &odd));
    let neighbour = (select(vec!["ask4", "reply4"]), stations(), weighted(0.1, Just("says stranger")));
    let neighbour = neighbour.prop_map(|(kind, (x, y), odd)| join(&format!("{kind} {x} > {y}"), odd.as_slice()));
    let announce = select(STATIONS.to_vec()).prop_map(|x| format!("announce4 {x}"));
    let other = select(vec!["dhcp4", "raw 88b5", "raw 8808", "raw 8100", "raw 9100", "pause"]).prop_map(str::to_owned);
    let redirect = (stations(), stations());
    let redirect = redirect.prop_map(|((x, y), (via, about))| format!("redirect4 {x} > {y}, via {via}, about {about}"));
    let served = select(vec!["67 68", "68 67", "67 67", "4000 68"]);
    let served = (stations(), served, vec(select(vec!["options", "fragment", "size 40"]), 0..2));
    let served = served.prop_map(|((x, y), ports, odd)| join(&format!("udp4 {x} > {y}, ports {ports}"), &odd));
    let special = select(vec!["255.255.255.255", "10.0.0.255", "10.50.7.1", "10.50.1.1", "198.51.100.9"]);
    let special = (select(SLAVES.to_vec()), special).prop_map(|(x, y)| format!("udp4 {x} > {y}"));
    dressed(prop_oneof![4 => ip, 4 => neighbour, 1 => announce, 1 => other, 1 => special, 1 => redirect, 1 => served])
        .boxed()
}

fn v6() -> BoxedStrategy<String> {
    let odd = select(vec!["behind hop-by-hop", "behind routing", "behind destination", "hops 1", "padded 90", "gso"]);
    let kinds = select(vec!["udp6", "echo6", "ask6", "reply6"]);
    let two = (kinds, stations(), vec(odd.clone(), 0..8));
    let two = two.prop_map(|(kind, (x, y), odd)| join(&format!("{kind} {x} > {y}"), &odd));
    let one = (select(vec!["announce6", "rs6", "ra6", "mld6"]), select(STATIONS.to_vec()), vec(odd, 0..3));
    let one = one.prop_map(|(kind, x, odd)| join(&format!("{kind} {x}"), &odd));
    let redirect = (stations(), stations());
    let redirect = redirect.prop_map(|((x, y), (via, about))| format!("redirect6 {x} > {y}, via {via}, about {about}"));
    let served = (stations(), select(vec!["547 546", "546 547"]));
    let served = served.prop_map(|((x, y), ports)| format!("udp6 {x} > {y}, ports {ports}"));
    dressed(prop_oneof![6 => two, 2 => one, 1 => redirect, 1 => served]).boxed()
}

/// With other MAC addresses than a stack would take, and now and then with a tag.
fn dressed(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let to = weighted(0.4, select(MACS.to_vec()));
    let from = weighted(0.1, select(MACS.to_vec()));
    let tag = weighted(0.05, select(vec!["tag 0", "tag 5"]));
    (text, to, from, tag).prop_map(|(mut text, to, from, tag)| {
        for (word, mac) in [("to", to), ("from", from)] {
            if let Some(mac) = mac {
                text += &format!(", {word} {mac}");
            }
        }
        join(&text, tag.as_slice())
    })
}

fn stations() -> impl Strategy<Value = (&'static str, &'static str)> {
    (select(STATIONS.to_vec()), select(STATIONS.to_vec()))
}

fn join(text: &str, more: &[&str]) -> String {
    std::iter::once(text).chain(more.iter().copied()).collect::<Vec<_>>().join(", ")
}

/// An Ethernet header that the first checks let pass, before random bytes.
fn noise_from_us() -> impl Strategy<Value = Vec<u8>> {
    let ethertype = select(vec![[8, 0], [8, 6], [0x86, 0xdd], [0x81, 0], [0x88, 0xb5]]);
    (select(MACS.to_vec()), ethertype, any::<u8>()).prop_map(|(to, ethertype, version)| {
        let version = if ethertype == [8, 0] { 0x45 } else { version };
        [&crate::names::mac(to)[..], &crate::names::mac("shared"), &ethertype, &[version]].concat()
    })
}

fn member() -> impl Strategy<Value = Vec<String>> {
    let words = (
        select(vec!["l2", "l2", "l3", "l3s"]),
        select(vec!["bridge", "vepa", "private"]),
        select(vec!["owned", "owned", "strict", "router", "declared", "off"]),
        weighted(0.3, Just("host")),
        weighted(0.15, Just("down")),
        weighted(0.1, Just("local")),
        weighted(0.2, Just("proxy")),
        weighted(0.4, Just("direct")),
    );
    words.prop_map(|(mode, flag, guard, host, down, local, proxy, direct)| {
        [Some(mode), Some(flag), Some(guard), host, down, local, proxy, direct]
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .collect()
    })
}

fn is_there(line: &str, members: &[Member]) -> bool {
    members.iter().any(|member| line.starts_with(&member.name))
}
