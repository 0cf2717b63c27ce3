//! Which frames does a scenario mean? `udp a > b, to ext, tag 5`: a kind, stations, and what is odd about it.
//!
//! Kinds, each for both families where the stations have both (`udp4`, `udp6` for one alone):
//!
//! | kind | frame |
//! | --- | --- |
//! | `udp x > y`, `echo x > y` | a datagram, a ping |
//! | `ask x > y` | an ARP request, a neighbour solicitation; `ask any > y` is a probe |
//! | `reply x > y` | an ARP reply, a neighbour advertisement |
//! | `announce x` | gratuitous ARP, an unsolicited neighbour advertisement |
//! | `rs x`, `ra x`, `mld x` | router solicitation, router advertisement, multicast listener report |
//! | `igmp x` | a membership report |
//! | `redirect x > y, via z, about w` | router x tells y that packets to w go by z |
//! | `dhcp` | a discover from a client without an address |
//! | `offer x > y` | a DHCP server's reply, to the client that sent `dhcp`; `about z`: z's address is offered |
//! | `raw TYPE` | no IP: this EtherType |
//!
//! Oddities: `ports FROM TO` (UDP), `to MAC`, `from MAC` (Ethernet), `says MAC` (ARP's sender), `tag ID` (in the bytes), `vlan ID` (kept apart),
//! `size BYTES` (of payload), `df`, `hops NUMBER`, `fragment` (one that is not the first), `first fragment`,
//! `options` (IPv4), `behind HEADER` (IPv6),
//! `padded BYTES`, `patch OFFSET HEX`, `gso`, `loopback`, and `cut`: every shorter frame that has a whole Ethernet header.

use crate::names;
use ipvl_control::read::snapshot::Bytes;
use ipvl_core::Mode;
use ipvl_testbed::packet::{self, Link};
use ipvl_testbed::{EXT_MAC, MASTER_MAC, Mac};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a frame comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameSource {
    /// Out of a slave that works in this mode.
    Slave(Mode),
    /// From the wire.
    Wire,
    /// From the wire, where a switch sent it back to us.
    Reflected,
}

/// A frame, and which of those that the words mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// `udp4`, or `udp4 cut to 20`.
    pub label: String,
    /// The frame.
    pub frame: Bytes,
}

/// The transaction id of all DHCP messages.
pub const TRANSACTION: u32 = 0x1234_5678;
const LINK: usize = 14;
const IGMP: u8 = 2;
/// A multiple of 8, and as long as a first fragment is.
const FRAGMENT: usize = 32;
const V4_CHECKSUM: std::ops::Range<usize> = LINK + 10..LINK + 12;

/// All frames that `text` means.
///
/// # Panics
/// When it means none.
pub fn frames(text: &str, way: FrameSource) -> Vec<Named> {
    let mut parts = text.split(',').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let oddities: Vec<_> = parts.collect();
    let plain = plain_frames(kind, way, &oddities);
    assert!(!plain.is_empty(), "\"{text}\" means no frame");
    plain.into_iter().flat_map(|named| shaped(named, &oddities)).collect()
}

fn plain_frames(kind: &str, way: FrameSource, oddities: &[&str]) -> Vec<Named> {
    let words: Vec<_> = kind.split_whitespace().collect();
    let (what, stations) = words.split_first().expect("a kind of frame");
    let (what, families) = match what.strip_suffix(['4', '6']) {
        Some(stem) if stem != "raw" => (stem, if what.ends_with('4') { [true, false] } else { [false, true] }),
        _ => (*what, [true, true]),
    };
    let said = |word: &str| oddities.iter().find_map(|oddity| oddity.strip_prefix(word)).map(str::trim);
    let size = said("size ").map_or(8, number);
    let ports = said("ports ").and_then(|two| two.split_once(' ')).map(|(from, to)| (number(from), number(to)));
    let ports = ports.map_or((4000, 4001), |(from, to)| (from as u16, to as u16));
    let redirect = (said("via ").unwrap_or("any"), said("about ").unwrap_or("any"));
    let builder = Builder { way, size, ports, redirect: [redirect.0, redirect.1].map(names::endpoint) };
    let v4 = families[0].then(|| builder.v4(what, stations)).flatten();
    let v6 = families[1].then(|| builder.v6(what, stations)).flatten();
    let named = |family: &str, data: Vec<u8>| Named { label: format!("{what}{family}"), frame: data.into() };
    v4.map(|data| named("4", data)).into_iter().chain(v6.map(|data| named("6", data))).collect()
}

struct Builder {
    way: FrameSource,
    size: usize,
    ports: (u16, u16),
    /// The better first hop, and where it leads to; or the address that is offered.
    redirect: [names::Endpoint; 2],
}

impl Builder {
    fn v4(&self, what: &str, stations: &[&str]) -> Option<Vec<u8>> {
        let from = self.from();
        let v4 = |name: &&str| names::endpoint(name).v4;
        Some(match (what, stations) {
            ("udp" | "echo", [x, ">", y]) => self.ip(what, v4(x)?.into(), v4(y)?.into(), y),
            ("redirect", [x, ">", y]) => {
                let [via, about] = [self.redirect[0].v4?, self.redirect[1].v4?];
                packet::redirect_v4(self.link(y), v4(x)?, v4(y)?, via, about)
            }
            ("ask", [x, ">", y]) => packet::arp_request(from, v4(x)?, v4(y)?),
            ("reply", [x, ">", y]) => packet::arp_reply(self.link(y), v4(x)?, v4(y)?),
            ("announce", [x]) => packet::gratuitous_arp(from, v4(x)?),
            ("igmp", [x]) => {
                let (group, report) = (Ipv4Addr::new(224, 0, 0, 22), [0x22, 0, 0xdd, 0xff, 0, 0, 0, 0]);
                packet::ip(Link::new(from, [1, 0, 0x5e, 0, 0, 22]), v4(x)?.into(), group.into(), IGMP, &report)
            }
            ("dhcp", []) => packet::dhcp_discover(from, TRANSACTION, true, b"ipvl"),
            ("offer", [x, ">", y]) => {
                let link = names::group_mac(v4(y)?.into()).map_or_else(|| self.link(y), |group| Link::new(from, group));
                packet::dhcp_offer(link, [v4(x)?, v4(y)?], MASTER_MAC, TRANSACTION, self.redirect[1].v4?, &[])
            }
            ("raw", [ethertype]) => {
                let ethertype = u16::from_str_radix(ethertype, 16).expect("an EtherType");
                packet::ethernet(self.link(""), ethertype, &[7; 46])
            }
            ("pause", []) => packet::ethernet(Link::new(from, [1, 0x80, 0xc2, 0, 0, 1]), 0x8808, &[0; 46]),
            ("rs" | "ra" | "mld", [_]) => return None,
            _ => panic!("\"{what} {}\" is no kind of frame", stations.join(" ")),
        })
    }

    fn v6(&self, what: &str, stations: &[&str]) -> Option<Vec<u8>> {
        const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let from = self.from();
        let v6 = |name: &&str| names::endpoint(name).v6;
        Some(match (what, stations) {
            ("udp" | "echo", [x, ">", y]) => self.ip(what, v6(x)?.into(), v6(y)?.into(), y),
            ("redirect", [x, ">", y]) => {
                let [via, about] = [self.redirect[0].v6?, self.redirect[1].v6?];
                packet::redirect_v6(self.link(y), v6(x)?, v6(y)?, via, about)
            }
            ("ask", [x, ">", y]) => packet::neighbour_solicit(from, v6(x)?, v6(y)?),
            ("reply", [x, ">", y]) => packet::neighbour_advert(self.link(y), v6(x)?, v6(y)?),
            ("announce", [x]) => packet::neighbour_advert(Link::multicast(from, ALL_NODES), v6(x)?, ALL_NODES),
            ("rs", [x]) => packet::router_solicit(from, v6(x)?),
            ("ra", [x]) => packet::router_advert(from, v6(x)?, Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0)),
            ("mld", [x]) => listener_report(from, v6(x)?),
            _ => return None,
        })
    }

    fn ip(&self, what: &str, from: IpAddr, to: IpAddr, name: &str) -> Vec<u8> {
        let link = names::group_mac(to).map_or_else(|| self.link(name), |group| Link::new(self.from(), group));
        match what {
            "echo" => packet::echo_request(link, from, to, 7, 1),
            _ => packet::udp(link, (from, self.ports.0), (to, self.ports.1), &vec![0x69; self.size]),
        }
    }

    fn from(&self) -> Mac {
        if self.way == FrameSource::Wire { EXT_MAC } else { MASTER_MAC }
    }

    /// What a stack would fill in: an l2 slave finds those outside at a MAC address of their own.
    fn link(&self, to: &str) -> Link {
        let outside = matches!(to, "ext" | "far");
        let to = if self.way == FrameSource::Slave(Mode::L2) && outside { EXT_MAC } else { MASTER_MAC };
        Link::new(self.from(), to)
    }
}

/// MLDv2, behind the router alert that it must have (RFC 3810, 5).
fn listener_report(from: Mac, sender: Ipv6Addr) -> Vec<u8> {
    const ICMPV6: u8 = 58;
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
    let report = [143, 0, 0, 0, 0, 0, 0, 0];
    let frame = packet::ip(Link::multicast(from, group), sender.into(), group.into(), ICMPV6, &report);
    packet::with_extension(&frame, 0)
}

fn shaped(named: Named, oddities: &[&str]) -> Vec<Named> {
    let cut = oddities.contains(&"cut");
    let whole = oddities.iter().fold(named, |named, oddity| shape(named, oddity));
    if !cut {
        return vec![whole];
    }
    let shorter = |length: usize| {
        let frame = Bytes { data: packet::truncated(&whole.frame.data, length), ..whole.frame.clone() };
        Named { label: format!("{} cut to {length}", whole.label), frame }
    };
    (LINK..whole.frame.data.len()).map(shorter).collect()
}

fn shape(named: Named, oddity: &str) -> Named {
    let Named { label, mut frame } = named;
    let data = &mut frame.data;
    match oddity.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["to", mac] => data[..6].copy_from_slice(&names::mac(mac)),
        ["from", mac] => data[6..12].copy_from_slice(&names::mac(mac)),
        ["says", mac] => data[LINK + 8..LINK + 14].copy_from_slice(&names::mac(mac)),
        ["tag", id] => *data = packet::with_tag(data, number(id) as u16),
        ["vlan", id] => frame.vlan = Some(number(id) as u16),
        ["df"] => set_df(data),
        ["hops", hops] => set_hops(data, number(hops) as u8),
        ["fragment"] => *data = packet::fragments(data, 8).pop().expect("a fragment"),
        ["first", "fragment"] => *data = packet::fragments(data, FRAGMENT).swap_remove(0),
        ["options"] => *data = with_options(data),
        ["behind", header] => *data = packet::with_extension(data, extension(header)),
        ["padded", length] => data.resize(data.len().max(number(length)), 0),
        ["patch", offset, hex] => patch(data, number(offset), hex),
        ["gso"] => frame.gso = true,
        ["loopback"] => frame.loopback = true,
        ["size" | "via" | "about", _] | ["ports", _, _] | ["cut"] => (),
        _ => panic!("\"{oddity}\" is no oddity"),
    }
    Named { label, frame }
}

fn set_df(data: &mut [u8]) {
    if is_v4(data) {
        data[LINK + 6] |= 0x40;
        sum_v4(data);
    }
}

/// TTL or hop limit.
fn set_hops(data: &mut [u8], hops: u8) {
    if is_v4(data) {
        data[LINK + 8] = hops;
        sum_v4(data);
    } else {
        data[LINK + 7] = hops;
    }
}

/// Three times nothing, and the end of the options (RFC 791, 3.1).
fn with_options(data: &[u8]) -> Vec<u8> {
    let mut frame = [&data[..LINK + 20], &[1, 1, 1, 0], &data[LINK + 20..]].concat();
    frame[LINK] = 0x46;
    let total = (frame.len() - LINK) as u16;
    frame[LINK + 2..LINK + 4].copy_from_slice(&total.to_be_bytes());
    sum_v4(&mut frame);
    frame
}

fn sum_v4(data: &mut [u8]) {
    let header = LINK..LINK + usize::from(data[LINK] & 15) * 4;
    data[V4_CHECKSUM].fill(0);
    let sum = packet::checksum(&data[header]);
    data[V4_CHECKSUM].copy_from_slice(&sum);
}

fn is_v4(data: &[u8]) -> bool {
    data[12..14] == packet::IPV4.to_be_bytes()
}

fn extension(name: &str) -> u8 {
    match name {
        "hop-by-hop" => 0,
        "routing" => 43,
        "destination" => 60,
        _ => panic!("\"{name}\" is no extension header"),
    }
}

fn patch(data: &mut [u8], offset: usize, hex: &str) {
    for (place, byte) in hex.as_bytes().chunks(2).enumerate() {
        let byte = std::str::from_utf8(byte).expect("two hex digits");
        data[offset + place] = u8::from_str_radix(byte, 16).expect("two hex digits");
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("\"{text}\" is no number"))
}
