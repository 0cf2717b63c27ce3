//! What do the words behind `docker network create -o` mean? The names of Docker's own ipvlan driver mean the same as ours.

use crate::error::{Error, Result};
use crate::protocol::{GENERIC, INTERNAL, OWN_PREFIX};
use ipvl_control::keys::{Key, SlaveKeys, twice};
use ipvl_control::{Backend, LinkSpec};
use ipvl_core::{Mode, Options};
use serde_json::{Map, Value};

/// As in Docker's own driver.
const DEFAULTS: Options = Options { mode: Mode::L2, ..Options::DEFAULT };

/// What a network's slaves are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkOptions {
    /// The master; none for an isolated network.
    pub parent: Option<String>,
    /// The options of its slaves.
    pub options: Options,
    /// In bytes; the master's by default.
    pub mtu: Option<u32>,
    /// By default netkit where the kernel has it.
    pub backend: Option<Backend>,
    /// Whether containers get no default route.
    pub internal: bool,
}

impl NetworkOptions {
    /// Reads the options that dockerd passes.
    pub fn read(request: &Map<String, Value>) -> Result<Self> {
        let internal = request.get(INTERNAL).and_then(Value::as_bool).unwrap_or(false);
        let given = request.get(GENERIC).and_then(Value::as_object);
        let SlaveKeys { master, mtu, backend, options } = given.map(slave_keys).transpose()?.unwrap_or_default();
        // Without a parent there is no default route either.
        let internal = internal || master.is_none();
        Ok(Self { parent: master, options: DEFAULTS.changed(options), mtu, backend, internal })
    }

    /// A slave of a network with these options.
    pub fn slave(&self, master: &str) -> LinkSpec {
        LinkSpec { options: self.options, mtu: self.mtu, backend: self.backend, ..LinkSpec::of(master) }
    }
}

fn slave_keys(given: &Map<String, Value>) -> Result<SlaveKeys> {
    if let Some((one, other)) = twice(given.keys().map(String::as_str)) {
        return Err(Error::Twice { one: one.to_owned(), other: other.to_owned() });
    }
    let mut keys = SlaveKeys::default();
    for (option, value) in given {
        take(&mut keys, option, written(value))?;
    }
    Ok(keys)
}

/// An empty value means the default, as with Docker's own driver.
fn take(keys: &mut SlaveKeys, option: &str, value: String) -> Result<()> {
    match Key::find(option) {
        Some(Key::Option(_)) if value.is_empty() => Ok(()),
        Some(key) => keys.take(key, &value).map_err(|unfit| wrong(option, value, unfit.allowed)),
        None if option.starts_with(OWN_PREFIX) => Ok(()),
        None => Err(Error::UnknownOption(option.to_owned())),
    }
}

/// The user's options are strings; any other JSON value is shown as it is written.
fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn wrong(option: &str, value: String, allowed: String) -> Error {
    Error::Value { option: option.to_owned(), value, allowed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_core::{Flag, Guard, HostAccess, NeighProxy};
    use serde_json::json;

    fn read(options: Value) -> Result<NetworkOptions> {
        NetworkOptions::read(options.as_object().expect("an object"))
    }

    #[test]
    fn defaults_are_those_of_dockers_own_driver() {
        let options = read(json!({ "com.docker.network.generic": { "parent": "eth0" } })).expect("good");
        let (parent, mode) = (Some("eth0".to_owned()), Mode::L2);
        let defaults =
            Options { mode, flag: Flag::Bridge, guard: Guard::Owned, host: HostAccess::Off, ..options.options };
        let expected = NetworkOptions { parent, options: defaults, mtu: None, backend: None, internal: false };
        assert_eq!(options, expected);
        let empty = json!({ "com.docker.network.generic": { "parent": "eth0", "ipvlan_mode": "", "ipvlan_flag": "" } });
        assert_eq!(read(empty).expect("good"), options);
    }

    #[test]
    fn every_option_is_understood() {
        let options = read(json!({
            "com.docker.network.enable_ipv6": true,
            "com.docker.network.internal": true,
            "com.docker.network.generic": {
                "parent": "eth0.10", "ipvlan_mode": "l3s", "ipvlan_flag": "private", "host_access": "on",
                "guard": "strict", "com.docker.network.driver.mtu": "1400", "com.docker.network.foreign": "x",
            },
        }));
        let (mode, flag, guard, host) = (Mode::L3s, Flag::Private, Guard::Strict, HostAccess::On);
        let expected = NetworkOptions {
            parent: Some("eth0.10".to_owned()),
            options: Options { mode, flag, guard, host, ..Options::DEFAULT },
            mtu: Some(1400),
            backend: None,
            internal: true,
        };
        assert_eq!(options.expect("good"), expected);
    }

    #[test]
    fn the_words_of_commands_and_other_engines_are_understood() {
        let given =
            json!({ "master": "eth0", "mode": "l3", "flag": "vepa", "neigh": "proxy", "mtu": "1400", "host": "1" });
        let read = read(json!({ "com.docker.network.generic": given })).expect("good");
        let (mode, flag, host, neigh) = (Mode::L3, Flag::Vepa, HostAccess::On, NeighProxy::Proxy);
        assert_eq!(read.options, Options { mode, flag, host, neigh, ..Options::DEFAULT });
        assert_eq!((read.parent.as_deref(), read.mtu), (Some("eth0"), Some(1400)));
    }

    #[test]
    fn without_a_parent_a_network_is_internal() {
        assert!(read(json!({})).expect("good").internal);
    }

    #[test]
    fn a_wrong_option_is_named_with_what_could_have_been() {
        let refused = |option: &str, value: &str| {
            read(json!({ "com.docker.network.generic": { option: value } })).expect_err("refused").to_string()
        };
        assert_eq!(refused("ipvlan_mode", "l4"), "cannot use ipvlan_mode=l4: it can be l2, l3, l3s");
        assert_eq!(refused("ipvlan_flag", "x"), "cannot use ipvlan_flag=x: it can be bridge, private, vepa");
        assert_eq!(refused("guard", "x"), "cannot use guard=x: it can be owned, strict, off");
        assert_eq!(refused("host_access", "2"), "cannot use host_access=2: it can be on, off, true, 1, false, 0");
        assert!(refused("com.docker.network.driver.mtu", "-1").ends_with("a number of bytes is expected"));
        assert!(refused("speed", "l2").starts_with("there is no network option speed; those of ipvl are parent, "));
        let both = json!({ "com.docker.network.generic": { "ipvlan_mode": "l2", "mode": "l2" } });
        assert_eq!(read(both).expect_err("refused").to_string(), "ipvlan_mode and mode say the same: give one");
    }
}
