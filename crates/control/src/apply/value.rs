//! What may a value in a file be? Each value is checked while the file is parsed, so that the error has its line.

use crate::model::{Account, Backend, Kind};
use crate::rate::{self, Limit};
use crate::text::{self, ALTNAME_MAX, MTU, NAME_MAX, NoPrefix};
use ipvl_core::Addr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Types for the words of a file, spelt as in the command.
macro_rules! words {
    ($($about:literal $name:ident for $of:ty: $($variant:ident)|+, $default:ident by default;)+) => {$(
        #[doc = $about]
        #[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($variant),+ }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }

        impl From<$name> for $of {
            fn from(word: $name) -> Self {
                match word { $($name::$variant => Self::$variant),+ }
            }
        }
    )+};
}

words! {
    "ipvlan: a network device. ipvtap: a tap device for a virtual machine."
    KindWord for Kind: Ipvlan | Ipvtap, Ipvlan by default;
    "veth: a veth pair. netkit: a netkit pair, which needs Linux 6.7. kernel: a device of ipvl's kernel module."
    BackendWord for Backend: Veth | Netkit | Kernel, Veth by default;
}

/// Types for texts that are parsed further.
macro_rules! texts {
    ($($about:literal $name:ident($of:ty) by $read:expr, [$($schema:tt)+];)+) => {$(
        #[doc = $about]
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(try_from = "String")]
        #[schemars(extend($($schema)+))]
        pub struct $name(#[schemars(with = "String")] pub $of);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let read: fn(&str) -> Result<$of, String> = $read;
                read(&text).map(Self)
            }
        }
    )+};
}

texts! {
    "The name of an existing device, or one of its alternative names." DeviceName(String) by
        |text| name(text, ALTNAME_MAX), ["minLength" = 1, "maxLength" = 127, "pattern" = r"^[^/:\s]+$"];
    "The name of the new device." NewName(String) by
        |text| name(text, NAME_MAX), ["minLength" = 1, "maxLength" = 15, "pattern" = r"^[^/:\s]+$"];
    "The name of a network namespace, as `ip netns` shows it." NetnsName(String) by
        netns, ["minLength" = 1, "maxLength" = 255, "pattern" = r"^[^/\s]+$"];
    "An IP address with the length of its network: 192.0.2.10/24, 2001:db8::10/64." Network((Addr, u8)) by
        network, ["pattern" = r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"];
    "An IP address, or a prefix: 198.51.100.7, 198.51.100.0/28, 2001:db8:1::/64." Prefix((Addr, u8)) by
        prefix, ["pattern" = r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"];
    "A rate in tc's units, with a burst or without, or off: 100mbit, 1gbit burst 2mb." RateText(Option<Limit>) by
        limit, ["pattern" = r"^(off|[0-9.]+[A-Za-z/]*( +burst +[0-9.]+[A-Za-z]*)?)$"];
    "A user or a group, by name or by number." AccountName(Account) by account, ["minLength" = 1];
}

/// In bytes, from 68 to 65535, and at most the master's.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
#[schemars(extend("minimum" = 68, "maximum" = 65535))]
pub struct Mtu(pub u32);

impl TryFrom<u32> for Mtu {
    type Error = String;

    fn try_from(mtu: u32) -> Result<Self, String> {
        if MTU.contains(&mtu) { Ok(Self(mtu)) } else { Err(format!("{mtu} is not from 68 to 65535")) }
    }
}

fn name(text: &str, max: usize) -> Result<String, String> {
    match text::is_device_name(text, max) {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} is not a device name: 1 to {max} bytes without blanks, `/` and `:`")),
    }
}

fn netns(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.len() <= 255 && !matches!(text, "." | "..");
    match fits && !text.contains(|c: char| c == '/' || c == '\0' || c.is_whitespace()) {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} is not a network namespace's name: 1 to 255 bytes without blanks and `/`")),
    }
}

fn network(text: &str) -> Result<(Addr, u8), String> {
    let found = text::network(text).ok_or_else(|| format!("{text:?} is not an address such as 192.0.2.10/24"))?;
    unicast(found)
}

fn prefix(text: &str) -> Result<(Addr, u8), String> {
    match text::prefix(text) {
        Ok(found) => unicast(found),
        Err(NoPrefix::Malformed) => Err(format!("{text:?} is neither an address nor a prefix such as 198.51.100.0/28")),
        Err(NoPrefix::HostBits(whole)) => {
            Err(format!("{text:?} has bits set after its length: write {whole}, or a single address without a length"))
        }
    }
}

fn unicast((addr, len): (Addr, u8)) -> Result<(Addr, u8), String> {
    let foreign = addr.is_group() || addr.ip().is_loopback() || addr.is_unspecified();
    if foreign { Err(format!("{addr} is not an address that a slave can have")) } else { Ok((addr, len)) }
}

fn limit(text: &str) -> Result<Option<Limit>, String> {
    rate::parse(text).ok_or_else(|| format!("{text:?} is not {}", rate::EXAMPLE))
}

#[expect(clippy::derivable_impls, reason = "`texts!` makes the type")]
impl Default for RateText {
    fn default() -> Self {
        Self(None)
    }
}

fn account(text: &str) -> Result<Account, String> {
    match (text, text.parse()) {
        ("", _) | (_, Ok(u32::MAX)) => Err(format!("{text:?} is neither a name nor a number below 4294967295")),
        (_, Ok(id)) => Ok(Account::Id(id)),
        (name, Err(_)) => Ok(Account::Name(name.to_owned())),
    }
}
