//! What do the words behind `podman network create -o` mean? The names and defaults of netavark's own ipvlan driver, and
//! ours beside them.

use crate::body::{InNetwork, Network, Words};
use crate::error::{Error, Result};
use ipvl_control::text::{self, FLAGS, GUARDS, MODES};
use ipvl_core::{Flag, Guard, Mode};

/// All options.
pub const KNOWN: [&str; 8] = [PARENT, MODE, MTU, METRIC, NO_DEFAULT_ROUTE, FLAG, HOST_ACCESS, GUARD];
/// The master, as Podman's own driver calls it.
pub const PARENT: &str = "parent";

const MODE: &str = "mode";
const MTU: &str = "mtu";
const METRIC: &str = "metric";
const NO_DEFAULT_ROUTE: &str = "no_default_route";
const FLAG: &str = "flag";
const HOST_ACCESS: &str = "host_access";
const GUARD: &str = "guard";

const SWITCH: [(&str, bool); 6] =
    [("false", false), ("true", true), ("0", false), ("1", true), ("off", false), ("on", true)];
/// Lower than a bridge's 100, so that of several networks this one leads out.
const DEFAULT_METRIC: u32 = 99;

/// How a container's slave is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The master, by option; else by the network's interface, else the default route's link.
    pub parent: Option<String>,
    /// l2 by default.
    pub mode: Mode,
    /// bridge by default.
    pub flag: Flag,
    /// owned by default.
    pub guard: Guard,
    /// Off by default; always on in l3s.
    pub host_access: bool,
    /// In bytes; the master's by default.
    pub mtu: Option<u32>,
    /// Of default routes.
    pub metric: u32,
    /// Whether containers get no default route.
    pub no_default_route: bool,
}

impl Options {
    /// What a network's options say.
    pub fn of_network(network: &Network) -> Result<Self> {
        let mut read = Self::default();
        read.take_all(network.options.as_ref())?;
        let interface = network.network_interface.clone().filter(|name| !name.is_empty());
        match (&read.parent, interface) {
            (Some(option), Some(interface)) if *option != interface => {
                return Err(Error::TwoParents { option: option.clone(), interface });
            }
            (None, interface) => read.parent = interface,
            _ => {}
        }
        Ok(read)
    }

    /// The same, with what a container has otherwise: mode, flag and the rest are each slave's own.
    pub fn of_container(network: &Network, container: &InNetwork) -> Result<Self> {
        let mut read = Self::of_network(network)?;
        read.take_all(container.options.as_ref())?;
        Ok(read)
    }

    fn take_all(&mut self, words: Option<&Words>) -> Result<()> {
        words.into_iter().flatten().try_for_each(|(option, value)| self.take(option, value))
    }

    fn take(&mut self, option: &str, value: &str) -> Result<()> {
        match option {
            PARENT => self.parent = Some(value.to_owned()).filter(|name| !name.is_empty()),
            MODE => self.mode = one_of(&MODES, MODE, value)?,
            FLAG => self.flag = one_of(&FLAGS, FLAG, value)?,
            GUARD => self.guard = one_of(&GUARDS, GUARD, value)?,
            HOST_ACCESS => self.host_access = one_of(&SWITCH, HOST_ACCESS, value)?,
            NO_DEFAULT_ROUTE => self.no_default_route = one_of(&SWITCH, NO_DEFAULT_ROUTE, value)?,
            MTU => self.mtu = Some(number(MTU, value)?).filter(|mtu| *mtu != 0),
            METRIC => self.metric = number(METRIC, value)?,
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
            metric: DEFAULT_METRIC,
            no_default_route: false,
        }
    }
}

fn one_of<T: Copy>(choices: &[(&str, T)], option: &'static str, value: &str) -> Result<T> {
    text::one_of(choices, value).map_err(|words| wrong(option, value, &format!("it can be {words}")))
}

fn number(option: &'static str, value: &str) -> Result<u32> {
    value.parse().map_err(|_| wrong(option, value, "a number is expected"))
}

fn wrong(option: &'static str, value: &str, allowed: &str) -> Error {
    Error::Value { option, value: value.to_owned(), allowed: allowed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(network: serde_json::Value) -> Result<Options> {
        let mut all = json!({ "id": "1" });
        all.as_object_mut().expect("an object").extend(network.as_object().expect("an object").clone());
        Options::of_network(&serde_json::from_value(all).expect("a network"))
    }

    fn refused(option: &str, value: &str) -> String {
        read(json!({ "options": { option: value } })).expect_err("refused").to_string()
    }

    #[test]
    fn without_options_it_is_netavarks_own_ipvlan() {
        let read = read(json!({ "options": null, "network_interface": "" })).expect("good");
        assert_eq!(read, Options::default());
        assert_eq!((read.mode, read.metric, read.host_access), (Mode::L2, 99, false));
    }

    #[test]
    fn every_option_is_understood() {
        let all = json!({ "options": {
            "parent": "eth1", "mode": "l3s", "mtu": "1400", "metric": "7", "no_default_route": "true",
            "flag": "private", "host_access": "1", "guard": "strict",
        }});
        let expected = Options {
            parent: Some("eth1".to_owned()),
            mode: Mode::L3s,
            flag: Flag::Private,
            guard: Guard::Strict,
            host_access: true,
            mtu: Some(1400),
            metric: 7,
            no_default_route: true,
        };
        assert_eq!(read(all).expect("good"), expected);
        assert_eq!(read(json!({ "options": { "mtu": "0" } })).expect("good").mtu, None);
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        assert_eq!(
            refused("bclim", "1"),
            "there is no option bclim; those of ipvl are parent, mode, mtu, metric, no_default_route, flag, \
             host_access, guard"
        );
        assert_eq!(refused("mode", "l4"), "cannot use mode=l4: it can be l2, l3, l3s");
        assert_eq!(refused("flag", ""), "cannot use flag=: it can be bridge, private, vepa");
        assert_eq!(refused("mtu", "-1"), "cannot use mtu=-1: a number is expected");
        assert_eq!(
            refused("host_access", "maybe"),
            "cannot use host_access=maybe: it can be false, true, 0, 1, off, on"
        );
    }

    #[test]
    fn the_parent_is_given_by_either_name_but_not_by_two() {
        let both = |option, interface| {
            read(json!({ "options": { "parent": option }, "network_interface": interface })).map(|read| read.parent)
        };
        assert_eq!(both("eth1", "eth1").expect("good").as_deref(), Some("eth1"));
        assert_eq!(both("", "eth2").expect("good").as_deref(), Some("eth2"));
        let refused = both("eth1", "eth2").expect_err("refused").to_string();
        assert_eq!(refused, "the parent is eth1 by option and eth2 by --interface-name; give one");
    }

    #[test]
    fn a_container_may_differ_from_its_network() {
        let network = serde_json::from_value(json!({ "id": "1", "options": { "mode": "l2", "flag": "private" } }));
        let container = serde_json::from_value(json!({ "options": { "flag": "bridge", "host_access": "true" } }));
        let read = Options::of_container(&network.expect("a network"), &container.expect("options")).expect("good");
        assert_eq!((read.mode, read.flag, read.host_access), (Mode::L2, Flag::Bridge, true));
    }
}
