//! What do the words behind `docker network create -o` mean? The names of Docker's own ipvlan driver, and ours beside them.

use crate::error::{Error, Result};
use crate::protocol::{GENERIC, INTERNAL, OWN_PREFIX};
use ipvl_control::text::{self, FLAGS, GUARDS, MODES};
use ipvl_core::{Flag, Guard, Mode};
use serde_json::{Map, Value};
use std::num::NonZeroU32;

/// All options that a user can give.
pub const KNOWN: [&str; 6] = [PARENT, MODE, FLAG, HOST_ACCESS, GUARD, MTU];

const PARENT: &str = "parent";
const MODE: &str = "ipvlan_mode";
const FLAG: &str = "ipvlan_flag";
const HOST_ACCESS: &str = "host_access";
const GUARD: &str = "guard";
const MTU: &str = "com.docker.network.driver.mtu";

const SWITCH: [(&str, bool); 4] = [("false", false), ("true", true), ("off", false), ("on", true)];

/// How a network's slaves are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The master; none for a network that leads nowhere.
    pub parent: Option<String>,
    /// l2 by default, as in Docker's own driver.
    pub mode: Mode,
    /// bridge by default.
    pub flag: Flag,
    /// owned by default.
    pub guard: Guard,
    /// Off by default; always on in l3s.
    pub host_access: bool,
    /// In bytes; the master's by default.
    pub mtu: Option<u32>,
    /// Whether containers get no default route.
    pub internal: bool,
}

impl Options {
    /// Reads what dockerd passes on.
    pub fn read(options: &Map<String, Value>) -> Result<Self> {
        let internal = options.get(INTERNAL).and_then(Value::as_bool).unwrap_or(false);
        let mut read = Self { internal, ..Self::default() };
        if let Some(given) = options.get(GENERIC).and_then(Value::as_object) {
            for (option, value) in given {
                read.take(option, &written(value))?;
            }
        }
        // Without a parent there is no way out either.
        read.internal |= read.parent.is_none();
        Ok(read)
    }

    fn take(&mut self, option: &str, value: &str) -> Result<()> {
        match option {
            PARENT => self.parent = Some(value.to_owned()).filter(|name| !name.is_empty()),
            MODE => self.mode = one_of(&MODES, option, value)?,
            FLAG => self.flag = one_of(&FLAGS, option, value)?,
            GUARD => self.guard = one_of(&GUARDS, option, value)?,
            HOST_ACCESS => self.host_access = one_of(&SWITCH, option, value)?,
            MTU => self.mtu = Some(mtu(value)?),
            other if other.starts_with(OWN_PREFIX) => {}
            other => return Err(Error::UnknownOption(other.to_owned())),
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            parent: None,
            mode: Mode::L2,
            flag: Flag::Bridge,
            guard: Guard::Owned,
            host_access: false,
            mtu: None,
            internal: false,
        }
    }
}

/// The user's options are strings; whatever else there may be is shown as it is written.
fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An empty value is Docker's way of asking for the default, which is the first.
fn one_of<T: Copy>(choices: &[(&str, T)], option: &str, value: &str) -> Result<T> {
    let word = if value.is_empty() { choices[0].0 } else { value };
    text::one_of(choices, word).map_err(|words| wrong(option, value, &format!("it can be {words}")))
}

fn mtu(value: &str) -> Result<u32> {
    let number = value.parse().map(NonZeroU32::get);
    number.map_err(|_| wrong(MTU, value, "a number of bytes is expected"))
}

fn wrong(option: &str, value: &str, allowed: &str) -> Error {
    Error::Value { option: option.to_owned(), value: value.to_owned(), allowed: allowed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(options: Value) -> Result<Options> {
        Options::read(options.as_object().expect("an object"))
    }

    #[test]
    fn defaults_are_those_of_dockers_own_driver() {
        let options = read(json!({ "com.docker.network.generic": { "parent": "eth0" } })).expect("good");
        assert_eq!(options, Options { parent: Some("eth0".to_owned()), ..Options::default() });
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
        let expected = Options {
            parent: Some("eth0.10".to_owned()),
            mode: Mode::L3s,
            flag: Flag::Private,
            guard: Guard::Strict,
            host_access: true,
            mtu: Some(1400),
            internal: true,
        };
        assert_eq!(options.expect("good"), expected);
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
        assert_eq!(refused("host_access", "1"), "cannot use host_access=1: it can be false, true, off, on");
        assert!(refused("com.docker.network.driver.mtu", "-1").ends_with("a number of bytes is expected"));
        assert!(refused("mode", "l2").starts_with("there is no network option mode; those of ipvl are parent, "));
    }
}
