//! What do the words behind `podman network create -o` mean? The names and defaults of netavark's own ipvlan driver mean
//! the same as ours.

use crate::body::{InNetwork, Network, Words};
use crate::error::{Error, Result};
use crate::own_options::{MAC, METRIC, NO_DEFAULT_ROUTE};
use ipvl_control::keys::{Key, SlaveKeys, twice};
use ipvl_control::{LinkSpec, text};
use ipvl_core::{Mode, Options};

const SWITCH: [(&str, bool); 6] =
    [("false", false), ("true", true), ("0", false), ("1", true), ("off", false), ("on", true)];
const MAC_WORDS: [(&str, bool); 2] = [("refuse", false), ("ignore", true)];
/// As in netavark's own driver.
const DEFAULTS: Options = Options { mode: Mode::L2, ..Options::DEFAULT };

/// What a container's slave is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkOptions {
    /// The keys of the slave. The master is given by option, else by the network's interface, else it is the link of the
    /// default route.
    pub slave: SlaveKeys,
    /// Of default routes; by default each network of a container has another.
    pub metric: Option<u32>,
    /// Whether containers get no default route.
    pub no_default_route: bool,
    /// Whether a MAC address that a user asks for is ignored; otherwise it is refused.
    pub ignores_mac: bool,
}

impl NetworkOptions {
    /// Reads a network's options.
    pub fn of_network(network: &Network) -> Result<Self> {
        let mut read = Self::default();
        read.take_all(network.options.as_ref())?;
        let interface = network.network_interface.clone().filter(|name| !name.is_empty());
        match (&read.slave.master, interface) {
            (Some(option), Some(interface)) if *option != interface => {
                return Err(Error::TwoParents { option: option.clone(), interface });
            }
            (None, interface) => read.slave.master = interface,
            _ => {}
        }
        Ok(read)
    }

    /// The same, with a container's own options in place of the network's: options belong to each slave.
    pub fn of_container(network: &Network, container: &InNetwork) -> Result<Self> {
        let mut read = Self::of_network(network)?;
        read.take_all(container.options.as_ref())?;
        Ok(read)
    }

    /// The slave's options, with defaults for those that were not given.
    pub fn options(&self) -> Options {
        DEFAULTS.changed(self.slave.options)
    }

    /// Any slave of the network.
    pub fn spec(&self, master: &str) -> LinkSpec {
        let SlaveKeys { mtu, backend, rates, .. } = self.slave;
        LinkSpec { options: self.options(), mtu, backend, rates, ..LinkSpec::of(master) }
    }

    fn take_all(&mut self, words: Option<&Words>) -> Result<()> {
        let Some(words) = words else { return Ok(()) };
        if let Some((one, other)) = twice(words.keys().map(String::as_str)) {
            return Err(Error::Twice { one: one.to_owned(), other: other.to_owned() });
        }
        words.iter().try_for_each(|(option, value)| self.take(option, value))
    }

    fn take(&mut self, option: &str, value: &str) -> Result<()> {
        match (option, Key::find(option)) {
            (_, Some(key)) => self.slave.take(key, value).map_err(|unfit| wrong(option, value, unfit.allowed))?,
            (NO_DEFAULT_ROUTE, _) => self.no_default_route = switch(NO_DEFAULT_ROUTE, value)?,
            (METRIC, _) => self.metric = Some(number(METRIC, value)?),
            (MAC, _) => self.ignores_mac = one_of(MAC, &MAC_WORDS, value)?,
            _ => return Err(Error::UnknownOption(option.to_owned())),
        }
        Ok(())
    }
}

fn switch(option: &str, value: &str) -> Result<bool> {
    one_of(option, &SWITCH, value)
}

fn one_of(option: &str, words: &[(&str, bool)], value: &str) -> Result<bool> {
    text::one_of(words, value).map_err(|words| wrong(option, value, format!("it can be {words}")))
}

fn number(option: &str, value: &str) -> Result<u32> {
    value.parse().map_err(|_| wrong(option, value, "a number is expected".to_owned()))
}

fn wrong(option: &str, value: &str, allowed: String) -> Error {
    Error::Value { option: option.to_owned(), value: value.to_owned(), allowed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_control::policy_words::spec;
    use ipvl_control::{PolicyKeys, Rates, rate};
    use ipvl_core::{Flag, Guard, HostAccess, NeighProxy, OptionsChange};
    use serde_json::json;

    fn read(network: serde_json::Value) -> Result<NetworkOptions> {
        let mut all = json!({ "id": "1" });
        all.as_object_mut().expect("an object").extend(network.as_object().expect("an object").clone());
        NetworkOptions::of_network(&serde_json::from_value(all).expect("a network"))
    }

    fn refused(option: &str, value: &str) -> String {
        read(json!({ "options": { option: value } })).expect_err("refused").to_string()
    }

    #[test]
    fn without_options_it_is_netavarks_own_ipvlan() {
        let read = read(json!({ "options": null, "network_interface": "" })).expect("good");
        assert_eq!(read, NetworkOptions::default());
        assert_eq!((read.options().mode, read.metric, read.options().host), (Mode::L2, None, HostAccess::Off));
    }

    #[test]
    fn every_option_is_understood() {
        let all = json!({ "options": {
            "parent": "eth1", "mode": "l3s", "mtu": "1400", "metric": "7", "no_default_route": "true",
            "flag": "private", "host_access": "1", "guard": "strict", "rate_out": "1gbit",
            "policy": "out drop", "labels": "web",
        }});
        let (mode, flag, guard, host) = (Mode::L3s, Flag::Private, Guard::Strict, HostAccess::On);
        let options = Options { mode, flag, guard, host, ..Options::DEFAULT };
        let slave = SlaveKeys {
            master: Some("eth1".to_owned()),
            options: OptionsChange { neigh: None, dhcp: None, siblings: None, ..Options::DEFAULT.change_to(options) },
            mtu: Some(1400),
            backend: None,
            rates: Rates { input: None, output: rate::parse("1gbit").expect("a rate") },
            policy: PolicyKeys { policy: spec("out drop").expect("a policy"), labels: ["web".to_owned()].into() },
        };
        let expected = NetworkOptions { slave, metric: Some(7), no_default_route: true, ignores_mac: false };
        assert_eq!(read(all).expect("good"), expected);
        assert_eq!(read(json!({ "options": { "mtu": "0" } })).expect("good").slave.mtu, None);
    }

    #[test]
    fn the_words_of_commands_and_other_engines_are_understood() {
        let all = json!({ "options": {
            "master": "eth1", "ipvlan_mode": "l3", "ipvlan_flag": "vepa", "neighProxy": "true", "host": "on",
            "com.docker.network.driver.mtu": "1400", "backend": "veth",
        }});
        let good = read(all).expect("good");
        let (mode, flag, host, neigh) = (Mode::L3, Flag::Vepa, HostAccess::On, NeighProxy::Proxy);
        assert_eq!(good.options(), Options { mode, flag, host, neigh, ..Options::DEFAULT });
        assert_eq!((good.slave.master.as_deref(), good.slave.mtu), (Some("eth1"), Some(1400)));
        let twice = read(json!({ "options": { "mode": "l2", "ipvlan_mode": "l2" } }));
        assert_eq!(twice.expect_err("refused").to_string(), "ipvlan_mode and mode say the same: give one");
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        assert_eq!(
            refused("bclim", "1"),
            "there is no option bclim; those of ipvl are parent, mtu, backend, rate_in, rate_out, policy, labels, mode, flag, guard, host, neigh, dhcp, siblings, \
             metric, no_default_route, mac"
        );
        assert!(refused("metrics", "1").starts_with("there is no option metrics, perhaps metric is meant; "));
        assert_eq!(refused("mac", "x"), "cannot use mac=x: it can be refuse, ignore");
        assert_eq!(refused("mode", "l4"), "cannot use mode=l4: it can be l2, l3, l3s");
        assert_eq!(refused("flag", ""), "cannot use flag=: it can be bridge, private, vepa");
        assert_eq!(refused("mtu", "-1"), "cannot use mtu=-1: a number of bytes is expected");
        assert_eq!(
            refused("host_access", "maybe"),
            "cannot use host_access=maybe: it can be on, off, true, 1, false, 0"
        );
    }

    #[test]
    fn the_parent_is_given_by_either_name_but_not_by_two() {
        let both = |option, interface| {
            read(json!({ "options": { "parent": option }, "network_interface": interface }))
                .map(|read| read.slave.master)
        };
        assert_eq!(both("eth1", "eth1").expect("good").as_deref(), Some("eth1"));
        assert_eq!(both("", "eth2").expect("good").as_deref(), Some("eth2"));
        let refused = both("eth1", "eth2").expect_err("refused").to_string();
        assert_eq!(refused, "the parent is eth1 by option and eth2 by --interface-name; give one");
    }

    #[test]
    fn a_container_may_differ_from_its_network() {
        let network = serde_json::from_value(json!({ "id": "1", "options": {
            "mode": "l2", "flag": "private", "policy": "in drop", "labels": "web",
        }}));
        let container = serde_json::from_value(json!({ "options": {
            "flag": "bridge", "host_access": "true", "policy": "off", "labels": "db",
        }}));
        let read =
            NetworkOptions::of_container(&network.expect("a network"), &container.expect("options")).expect("good");
        let Options { mode, flag, host, .. } = read.options();
        assert_eq!((mode, flag, host), (Mode::L2, Flag::Bridge, HostAccess::On));
        assert_eq!(read.slave.policy, PolicyKeys { policy: None, labels: ["db".to_owned()].into() });
    }
}
