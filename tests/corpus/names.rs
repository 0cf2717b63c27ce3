//! Which addresses do the names in a scenario stand for? The same that the testbed gives.

use ipvl_testbed::{EXT_MAC, EXT_V4, EXT_V6, HOST_V4, HOST_V6, MASTER_MAC, Mac};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The slaves, in the order of their slots.
pub const SLAVES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
/// A station that is none of ours.
pub const STRANGER_MAC: Mac = [2, 0, 0, 0, 0, 0x77];
const GROUP_MAC: Mac = [1, 0, 0x5e, 0, 0, 0xfb];

/// What a name stands for, in each family that it has an address of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

/// The slot of the slave with this name.
pub fn slot(name: &str) -> Option<u32> {
    SLAVES.iter().position(|slave| *slave == name).map(|slot| slot as u32)
}

/// The addresses of the slave in `slot`.
pub fn slave_addresses(slot: u32) -> (Ipv4Addr, Ipv6Addr) {
    (Ipv4Addr::new(10, 0, 0, 10 + slot as u8), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x10 + slot as u16))
}

/// The station with this name, or the address that it spells.
///
/// # Panics
/// When there is none.
pub fn endpoint(name: &str) -> Endpoint {
    if let Some(slot) = slot(name) {
        let (v4, v6) = slave_addresses(slot);
        return both(v4, v6);
    }
    match name {
        "host" => both(HOST_V4, HOST_V6),
        "ext" => both(EXT_V4, EXT_V6),
        "nobody" => both(Ipv4Addr::new(10, 0, 0, 99), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x99)),
        "far" => both(Ipv4Addr::new(198, 51, 100, 9), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9)),
        "any" => both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
        "group" => both(Ipv4Addr::new(239, 1, 2, 3), Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3)),
        "everyone" => both(Ipv4Addr::new(224, 0, 0, 1), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)),
        literal => spelled(literal),
    }
}

/// The MAC address with this name, or that it spells.
///
/// # Panics
/// When there is none.
pub fn mac(name: &str) -> Mac {
    match name {
        "shared" => MASTER_MAC,
        "ext" => EXT_MAC,
        "stranger" => STRANGER_MAC,
        "broadcast" => [0xff; 6],
        "group" => GROUP_MAC,
        literal => {
            let bytes = literal.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("a byte of a MAC address"));
            bytes.collect::<Vec<_>>().try_into().expect("six bytes of a MAC address")
        }
    }
}

/// The MAC address that an address has by itself: a group's, or none for a single station.
pub fn group_mac(address: IpAddr) -> Option<Mac> {
    match address {
        IpAddr::V4(ip) if ip.is_broadcast() || ip.octets()[3] == 255 => Some([0xff; 6]),
        IpAddr::V4(ip) if ip.is_multicast() => {
            let [_, a, b, c] = ip.octets();
            Some([1, 0, 0x5e, a & 0x7f, b, c])
        }
        IpAddr::V6(ip) if ip.is_multicast() => {
            let [.., a, b, c, d] = ip.octets();
            Some([0x33, 0x33, a, b, c, d])
        }
        _ => None,
    }
}

/// The MAC addresses of the group with this name, one for each family, or the one that it spells.
///
/// # Panics
/// When there is none.
pub fn group_macs(name: &str) -> Vec<Mac> {
    if name.split(':').count() == 6 && name.len() == 17 {
        return vec![mac(name)];
    }
    let Endpoint { v4, v6 } = endpoint(name);
    let addresses = v4.map(IpAddr::from).into_iter().chain(v6.map(IpAddr::from));
    addresses.map(|address| group_mac(address).expect("a group's address")).collect()
}

fn both(v4: Ipv4Addr, v6: Ipv6Addr) -> Endpoint {
    Endpoint { v4: Some(v4), v6: Some(v6) }
}

fn spelled(literal: &str) -> Endpoint {
    match literal.parse() {
        Ok(IpAddr::V4(ip)) => Endpoint { v4: Some(ip), v6: None },
        Ok(IpAddr::V6(ip)) => Endpoint { v4: None, v6: Some(ip) },
        Err(_) => panic!("\"{literal}\" is neither a station's name nor an address"),
    }
}
