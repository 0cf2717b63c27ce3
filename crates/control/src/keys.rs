//! Which keys describe a slave, for every door?
//!
//! The options are in core's table, [`OPTIONS`]; here are the keys of the slave's device. A key and its aliases mean the
//! same to commands, files and engines. One exception is `master` on the command line: in the grammar of ip(8) it puts a
//! device under a bridge or a bond, so commands say `link` and refuse `master`.

use crate::model::Backend;
use crate::policy_words::{self, PolicyKeys};
use crate::rate::{self, Limit, Rates};
use crate::text::{self, BACKENDS};
use ipvl_core::{OPTIONS, OptionEntry, OptionKey, OptionsChange};
use std::iter;

/// A key that describes a slave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The master's name.
    Master,
    /// The MTU in bytes; for engines 0 means the master's.
    Mtu,
    /// Whether slave and host end are a veth or a netkit pair.
    Backend,
    /// The limit of what the slave gets.
    RateIn,
    /// The limit of what the slave sends.
    RateOut,
    /// Its policy.
    Policy,
    /// Its labels, by which rules of policies name it.
    Labels,
    /// One of the slave's options.
    Option(OptionKey),
}

/// A key of the slave's device.
#[derive(Debug)]
pub struct DeviceKey {
    /// Which key it is.
    pub key: Key,
    /// Its name in files.
    pub name: &'static str,
    /// Other names for the same, of ip(8) and of engines' own drivers.
    pub aliases: &'static [&'static str],
    /// Its meaning, in sentences.
    pub about: &'static str,
}

/// What engines call the master.
const PARENT: &str = "parent";

/// The master.
pub const MASTER: DeviceKey = DeviceKey {
    key: Key::Master,
    name: "master",
    aliases: &["link", PARENT],
    about: "The device that the slave sends and receives through.",
};

/// The MTU.
pub const MTU: DeviceKey = DeviceKey {
    key: Key::Mtu,
    name: "mtu",
    aliases: &["com.docker.network.driver.mtu"],
    about: "In bytes, at most the master's, which is the default.",
};

/// The backend.
pub const BACKEND: DeviceKey = DeviceKey {
    key: Key::Backend,
    name: "backend",
    aliases: &[],
    about: "What the slave and its host end are: the ends of a veth pair, or of a netkit pair, which is faster to the outside \
            and needs Linux 6.7. By default netkit where the kernel has it; veth for more than three slaves of one batch, \
            because veth pairs are made faster. With kernel, one device of ipvl's kernel module.",
};

/// The limit of what the slave gets.
pub const RATE_IN: DeviceKey = DeviceKey {
    key: Key::RateIn,
    name: "rate_in",
    aliases: &["rateIn"],
    about: "The most that the slave gets, from siblings, host and outside: a rate in tc's units, such as 100mbit, which burst \
            SIZE may follow; off, the default: no limit.",
};

/// The limit of what the slave sends.
pub const RATE_OUT: DeviceKey = DeviceKey {
    key: Key::RateOut,
    name: "rate_out",
    aliases: &["rateOut"],
    about: "The most that the slave sends, in the same words.",
};

/// The policy.
pub const POLICY: DeviceKey = DeviceKey {
    key: Key::Policy,
    name: "policy",
    aliases: &[],
    about: "What the slave may send and receive, in the words of `ipvl policy set`: in drop rules in tcp dport 443 accept. \
            Files and CNI may have a table with in, out and rules instead. Off, the default: all.",
};

/// The labels.
pub const LABELS: DeviceKey = DeviceKey {
    key: Key::Labels,
    name: "labels",
    aliases: &[],
    about: "By which rules of policies name the slave, with commas between them; files and CNI may have a list. None by \
            default.",
};

/// All keys of the slave's device.
pub const DEVICE_KEYS: &[DeviceKey] = &[MASTER, MTU, BACKEND, RATE_IN, RATE_OUT, POLICY, LABELS];

impl Key {
    /// The key that has this name.
    pub fn find(name: &str) -> Option<Self> {
        let device = DEVICE_KEYS.iter().find(|key| key.name == name || key.aliases.contains(&name));
        device.map(|found| found.key).or_else(|| OptionEntry::find(name).map(|entry| Self::Option(entry.key)))
    }

    /// The key's names, the one in files first.
    pub fn names(self) -> Vec<&'static str> {
        match self {
            Self::Option(option) => option.entry().names().collect(),
            _ => DEVICE_KEYS.iter().filter(|key| key.key == self).flat_map(DeviceKey::names).collect(),
        }
    }

    /// Every key.
    pub fn all() -> impl Iterator<Item = Self> {
        DEVICE_KEYS.iter().map(|key| key.key).chain(OPTIONS.iter().map(|entry| Self::Option(entry.key)))
    }
}

impl DeviceKey {
    fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// The keys that an engine's network gives for its slaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlaveKeys {
    /// The master's name.
    pub master: Option<String>,
    /// In bytes; the master's by default.
    pub mtu: Option<u32>,
    /// By default netkit where the kernel has it.
    pub backend: Option<Backend>,
    /// The limits of its rates.
    pub rates: Rates,
    /// Its policy and labels.
    pub policy: PolicyKeys,
    /// The options that were given.
    pub options: OptionsChange,
}

/// Why a key cannot have a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The values that it can have, as a sentence.
    pub allowed: String,
}

impl SlaveKeys {
    /// Sets a key from a text. A key that is given again gets its last value.
    pub fn take(&mut self, key: Key, value: &str) -> Result<(), Unfit> {
        match key {
            Key::Master => self.master = Some(value.to_owned()).filter(|name| !name.is_empty()),
            Key::Mtu => self.mtu = Some(number(value)?).filter(|mtu| *mtu != 0),
            Key::Backend => self.backend = Some(backend(value)?),
            Key::RateIn => self.rates.input = limit(value)?,
            Key::RateOut => self.rates.output = limit(value)?,
            Key::Policy => self.policy.policy = policy_words::spec(value).map_err(|allowed| Unfit { allowed })?,
            Key::Labels => self.policy.labels = policy_words::labels(value).map_err(|allowed| Unfit { allowed })?,
            Key::Option(option) => take_option(&mut self.options, option, value)?,
        }
        Ok(())
    }
}

/// The keys that an engine's network can have, the master's as `parent`: as all engines' own drivers call it.
pub fn of_engines() -> impl Iterator<Item = &'static str> {
    Key::all().map(|key| if key == Key::Master { PARENT } else { key.names()[0] })
}

/// The key that was probably meant by a name that is none: of all keys and those in `more`.
pub fn nearest(name: &str, more: &[&'static str]) -> Option<&'static str> {
    text::nearest(name, Key::all().flat_map(Key::names).chain(more.iter().copied()))
}

/// Two of these names that are of one key, if there are any.
pub fn twice<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    let mut seen: Vec<(&str, Key)> = Vec::new();
    for name in names {
        let Some(key) = Key::find(name) else { continue };
        if let Some((before, _)) = seen.iter().find(|(_, known)| *known == key) {
            return Some((before, name));
        }
        seen.push((name, key));
    }
    None
}

/// The backend of this name.
pub fn backend(value: &str) -> Result<Backend, Unfit> {
    text::one_of(&BACKENDS, value).map_err(|words| it_can_be(&words))
}

/// The limit that a text says.
pub fn limit(value: &str) -> Result<Option<Limit>, Unfit> {
    rate::parse(value).ok_or_else(|| it_can_be(rate::EXAMPLE))
}

fn take_option(options: &mut OptionsChange, option: OptionKey, value: &str) -> Result<(), Unfit> {
    if options.set(option, value) {
        return Ok(());
    }
    let spellings: Vec<&str> = option.entry().spellings().collect();
    Err(it_can_be(&spellings.join(", ")))
}

fn number(value: &str) -> Result<u32, Unfit> {
    value.parse().map_err(|_| Unfit { allowed: "a number of bytes is expected".to_owned() })
}

fn it_can_be(words: &str) -> Unfit {
    Unfit { allowed: format!("it can be {words}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_core::{HostAccess, Mode};

    #[test]
    fn a_name_is_that_of_one_key() {
        for key in Key::all() {
            for name in key.names() {
                let same = Key::all().filter(|other| other.names().contains(&name));
                assert_eq!((Key::find(name), same.count()), (Some(key), 1), "{name}");
            }
        }
        assert_eq!(Key::find("speed"), None);
    }

    #[test]
    fn an_alias_says_what_its_key_says() {
        let mut keys = SlaveKeys::default();
        let given = [("parent", "eth0"), ("ipvlan_mode", "l2"), ("host_access", "true"), ("mtu", "0")];
        for (name, value) in given {
            keys.take(Key::find(name).expect(name), value).expect(value);
        }
        let options = OptionsChange { mode: Some(Mode::L2), host: Some(HostAccess::On), ..OptionsChange::NONE };
        assert_eq!(keys, SlaveKeys { master: Some("eth0".to_owned()), options, ..SlaveKeys::default() });
        let unfit = |key, value| SlaveKeys::default().take(key, value).expect_err("unfit").allowed;
        assert_eq!(unfit(Key::Option(OptionKey::HostAccess), "2"), "it can be on, off, true, 1, false, 0");
        assert_eq!(unfit(Key::Mtu, "-1"), "a number of bytes is expected");
    }

    #[test]
    fn a_misspelt_key_is_recognised_and_a_foreign_one_is_not() {
        for (name, meant) in
            [("hosts", "host"), ("gaurd", "guard"), ("Mode", "mode"), ("paren", "parent"), ("mut", "mtu")]
        {
            assert_eq!(nearest(name, &[]), Some(meant), "{name}");
        }
        for name in ["vlan", "mac", "name", "type", "args", "ipam", "speed"] {
            assert_eq!(nearest(name, &[]), None, "{name}");
        }
        assert_eq!(nearest("metrics", &["metric"]), Some("metric"));
    }

    #[test]
    fn a_key_given_by_two_names_is_found() {
        assert_eq!(twice(["mode", "speed", "ipvlan_mode"]), Some(("mode", "ipvlan_mode")));
        assert_eq!(twice(["mode", "flag", "parent"]), None);
    }
}
