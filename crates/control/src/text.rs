//! What do addresses, prefixes, names and options mean that people write down? One reading for commands, files and engines.

use crate::model::Backend;
use ipvl_core::Addr;
use std::net::IpAddr;

/// The smallest MTU that IPv4 can have (RFC 791), and the largest that the kernel's driver takes.
pub const MTU: std::ops::RangeInclusive<u32> = 68..=65535;
/// `IFNAMSIZ` without its closing zero.
pub const NAME_MAX: usize = 15;
/// `ALTIFNAMSIZ` likewise.
pub const ALTNAME_MAX: usize = 127;

/// The words for backends.
pub const BACKENDS: [(&str, Backend); 3] =
    [("veth", Backend::Veth), ("netkit", Backend::Netkit), ("kernel", Backend::Kernel)];

/// Why a text is no prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPrefix {
    /// It is not an address with a length.
    Malformed,
    /// There are bits behind the length; without them it is this.
    HostBits(String),
}

/// What a word means, of some that have a meaning; all that have, if this one has none.
pub fn one_of<T: Copy>(choices: &[(&str, T)], text: &str) -> Result<T, String> {
    let chosen = choices.iter().find(|(word, _)| *word == text);
    chosen.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        words.join(", ")
    })
}

/// The word that was probably meant by one that is unknown: the one that is spelt most alike, if that differs in one or
/// two letters, and in less than half of them.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|known| (strsim::osa_distance(typed, known), known));
    let near = distances.filter(|(distance, known)| *distance <= 2 && 2 * distance < known.len());
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// An address in its own family: `::ffff:1.2.3.4` would be IPv4 to the tables and is refused.
pub fn address(text: &str) -> Option<Addr> {
    ip(text).map(Addr::from)
}

/// `ADDR[/LENGTH]`: an address in a network. Without a length it is alone.
pub fn network(text: &str) -> Option<(Addr, u8)> {
    let (addr, len) = match text.split_once('/') {
        Some((addr, len)) => (ip(addr)?, Some(len.parse::<u8>().ok()?)),
        None => (ip(text)?, None),
    };
    let len = len.unwrap_or(bits(addr));
    (len <= bits(addr)).then(|| (addr.into(), len))
}

/// `ADDR[/LENGTH]`, without bits behind the length.
pub fn prefix(text: &str) -> Result<(Addr, u8), NoPrefix> {
    let (addr, len) = network(text).ok_or(NoPrefix::Malformed)?;
    match first_of(addr.ip(), len) {
        first if first == addr.ip() => Ok((addr, len)),
        first => Err(NoPrefix::HostBits(format!("{first}/{len}"))),
    }
}

/// Whether a device can have this name of at most so many bytes.
pub fn is_device_name(text: &str, max: usize) -> bool {
    let allowed = |c: char| c != '/' && c != ':' && !c.is_whitespace();
    !text.is_empty() && text.len() <= max && !matches!(text, "." | "..") && text.chars().all(allowed)
}

/// A route's destination as ip(8) shows it, with a blank behind it; nothing where it is not known.
pub fn prefix_text(prefix: Option<(Addr, u8)>) -> String {
    match prefix {
        Some((_, 0)) => "default ".to_owned(),
        Some((addr, len)) => format!("{addr}/{len} "),
        None => String::new(),
    }
}

fn ip(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().filter(|ip| ip.to_canonical() == *ip)
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn first_of(ip: IpAddr, len: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_no_bits_behind_its_length_and_an_address_may() {
        assert_eq!(network("10.0.0.7/24"), Some((Addr::v4([10, 0, 0, 7]), 24)));
        assert_eq!(prefix("10.0.0.7/24"), Err(NoPrefix::HostBits("10.0.0.0/24".to_owned())));
        assert_eq!(prefix("10.0.0.7"), Ok((Addr::v4([10, 0, 0, 7]), 32)));
        for text in ["10.0.0.7/33", "fd00::/129", "10.0.0/8", "/8", "10.0.0.0/", "::ffff:10.0.0.7", "fd00::1/x"] {
            assert_eq!((network(text), prefix(text)), (None, Err(NoPrefix::Malformed)), "{text}");
        }
    }
}
