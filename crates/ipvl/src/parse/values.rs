//! What does a value mean? One function for each kind of value.

use crate::names::Named;
use crate::usage::UsageError;
use ipvl_control::text::{self, ALTNAME_MAX, MTU, NAME_MAX, NoPrefix};
use ipvl_control::{Account, Limit, NetnsRef, rate};
use ipvl_core::{Addr, Mac};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const RATE_MUST: &str = "rate must be in tc's units, such as 100mbit or 100mbit burst 256kb, or off";

/// One of the words of a type.
pub fn named<T: Named>(word: &str, must: &'static str) -> Result<T, UsageError> {
    T::from_word(word).ok_or_else(|| UsageError::Wrong { value: word.to_owned(), must })
}

/// An existing device's name, or one of its alternative names.
pub fn device(text: &str) -> Result<String, UsageError> {
    if_name(text, ALTNAME_MAX).ok_or_else(|| wrong(text, "\"dev\" not a valid ifname"))
}

/// A name that a device is to get.
pub fn new_name(text: &str) -> Result<String, UsageError> {
    if_name(text, NAME_MAX).ok_or_else(|| wrong(text, "\"name\" not a valid ifname"))
}

/// In bytes.
pub fn mtu(text: &str) -> Result<u32, UsageError> {
    let parsed = text.parse().ok().filter(|mtu| MTU.contains(mtu));
    parsed.ok_or_else(|| wrong(text, "mtu must be a number from 68 to 65535"))
}

/// A rate with its burst, or none.
pub fn rate(text: &str) -> Result<Option<Limit>, UsageError> {
    rate::parse(text).ok_or_else(|| wrong(text, RATE_MUST))
}

/// How long to wait, in seconds.
pub fn seconds(text: &str) -> Result<Duration, UsageError> {
    let parsed = text.parse().ok().filter(|seconds| *seconds <= 3600);
    parsed.map(Duration::from_secs).ok_or_else(|| wrong(text, "--wait must be a number of seconds up to 3600"))
}

/// The time between two readings, in seconds.
pub fn every(text: &str) -> Result<Duration, UsageError> {
    let parsed = text.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
    parsed.map(Duration::from_secs).ok_or_else(|| wrong(text, "--every must be a number of seconds from 1 to 3600"))
}

/// `[ADDRESS:]PORT`; the loopback address by default.
pub fn listen(text: &str) -> Result<SocketAddr, UsageError> {
    let port = || text.parse().ok().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let found = text.parse().ok().or_else(port);
    found.ok_or_else(|| wrong(text, "a port, or an address and a port, is expected: 9768, 127.0.0.1:9768, [::1]:9768"))
}

/// A port.
pub fn port(text: &str) -> Result<u16, UsageError> {
    text.parse().map_err(|_| wrong(text, "a port is a number up to 65535"))
}

/// A whole frame's length in bytes.
pub fn length(text: &str) -> Result<usize, UsageError> {
    let parsed = text.parse().ok().filter(|len| (14..=65549).contains(len));
    parsed.ok_or_else(|| wrong(text, "len must be a number from 14 to 65549"))
}

/// A process, if it is a number; otherwise a name or a path.
pub fn netns(text: &str) -> Result<NetnsRef, UsageError> {
    match (text, text.parse()) {
        ("" | "." | "..", _) => Err(wrong(text, "netns must be a process's number or a namespace's name")),
        (_, Ok(pid)) => Ok(NetnsRef::Pid(pid)),
        (name, Err(_)) => Ok(NetnsRef::Name(name.to_owned())),
    }
}

/// A user or a group, by number or by name. The highest number means none.
pub fn account(text: &str) -> Result<Account, UsageError> {
    match (text, text.parse()) {
        ("", _) | (_, Ok(u32::MAX)) => Err(wrong(text, "a user or a group has a name, or a number below 4294967295")),
        (_, Ok(id)) => Ok(Account::Id(id)),
        (name, Err(_)) => Ok(Account::Name(name.to_owned())),
    }
}

/// `02:00:00:00:00:01`
pub fn mac(text: &str) -> Result<Mac, UsageError> {
    let octet = |part: &str| u8::from_str_radix(part, 16).ok().filter(|_| part.len() <= 2 && !part.starts_with('+'));
    let octets: Option<Vec<u8>> = text.split(':').map(octet).collect();
    let mac = octets.and_then(|octets| octets.try_into().ok());
    mac.map(Mac).ok_or_else(|| wrong(text, "a MAC address has six hexadecimal bytes, such as 02:00:00:00:00:01"))
}

/// An IP address.
pub fn address(text: &str) -> Result<Addr, UsageError> {
    text::address(text).ok_or_else(|| wrong(text, "any valid address is expected"))
}

/// `ADDR[/LENGTH]`, without bits behind the length.
pub fn prefix(value: &str) -> Result<(Addr, u8), UsageError> {
    let value_of = || value.to_owned();
    text::prefix(value).map_err(|why| match why {
        NoPrefix::Malformed => UsageError::NotAPrefix { value: value_of() },
        NoPrefix::HostBits(whole) => UsageError::HostBits { value: value_of(), whole },
    })
}

/// A frame's bytes in hexadecimal; blanks, colons and `0x` do not matter.
pub fn bytes(text: &str) -> Result<Vec<u8>, UsageError> {
    let bad = || wrong(text, "hex wants an even number of hexadecimal digits");
    let digits: Vec<u8> =
        text.trim_start_matches("0x").bytes().filter(|c| !c.is_ascii_whitespace() && *c != b':').collect();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(bad());
    }
    let digit = |c: u8| (c as char).to_digit(16).map(|digit| digit as u8);
    digits.chunks(2).map(|two| Some(digit(two[0])? << 4 | digit(two[1])?)).collect::<Option<_>>().ok_or_else(bad)
}

fn if_name(name: &str, max: usize) -> Option<String> {
    text::is_device_name(name, max).then(|| name.to_owned())
}

fn wrong(text: &str, must: &'static str) -> UsageError {
    UsageError::Wrong { value: text.to_owned(), must }
}
