//! What do the words behind `docker network create -o` mean? The names of Docker's own ipvlan driver mean the same as ours.

use crate::error::{Error, Result};
use crate::own_options::{GATEWAY, MAC};
use crate::protocol::{GENERIC, INTERNAL, OWN_PREFIX};
use ipvl_control::keys::{Key, SlaveKeys, twice};
use ipvl_control::text::one_of;
use ipvl_control::{Backend, LinkSpec, PolicyKeys, Rates};
use ipvl_core::{Mode, Options};
use serde_json::{Map, Value};
use std::net::IpAddr;

const MAC_WORDS: [(&str, bool); 2] = [("refuse", false), ("ignore", true)];

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
    /// The limits of its rates.
    pub rates: Rates,
    /// Their policy and labels.
    pub policy: PolicyKeys,
    /// Whether containers get no default route.
    pub internal: bool,
    /// The way out, one address a family; dockerd's choice where there is none.
    pub gateways: Vec<IpAddr>,
    /// Whether a MAC address that a user asks for is ignored; otherwise it is refused.
    pub ignores_mac: bool,
}

/// What the user's options say.
#[derive(Default)]
struct Given {
    slave: SlaveKeys,
    gateways: Vec<IpAddr>,
    ignores_mac: bool,
}

impl NetworkOptions {
    /// Reads the options that dockerd passes.
    pub fn read(request: &Map<String, Value>) -> Result<Self> {
        let internal = request.get(INTERNAL).and_then(Value::as_bool).unwrap_or(false);
        let given = request.get(GENERIC).and_then(Value::as_object);
        let Given { slave, gateways, ignores_mac } = given.map(read_given).transpose()?.unwrap_or_default();
        let SlaveKeys { master, mtu, backend, rates, policy, options } = slave;
        // Without a parent there is no default route either.
        let internal = internal || master.is_none();
        let options = DEFAULTS.changed(options);
        Ok(Self { parent: master, options, mtu, backend, rates, policy, internal, gateways, ignores_mac })
    }

    /// A slave of a network with these options.
    pub fn slave(&self, master: &str) -> LinkSpec {
        let Self { options, mtu, backend, rates, .. } = *self;
        LinkSpec { options, mtu, backend, rates, ..LinkSpec::of(master) }
    }
}

fn read_given(given: &Map<String, Value>) -> Result<Given> {
    if let Some((one, other)) = twice(given.keys().map(String::as_str)) {
        return Err(Error::Twice { one: one.to_owned(), other: other.to_owned() });
    }
    let mut read = Given::default();
    for (option, value) in given {
        take(&mut read, option, written(value))?;
    }
    Ok(read)
}

/// An empty value means the default, as with Docker's own driver.
fn take(read: &mut Given, option: &str, value: String) -> Result<()> {
    match (option, Key::find(option)) {
        (_, Some(Key::Option(_))) | (GATEWAY | MAC, _) if value.is_empty() => Ok(()),
        (_, Some(key)) => read.slave.take(key, &value).map_err(|unfit| wrong(option, value, unfit.allowed)),
        (GATEWAY, _) => gateways(&value).map(|gateways| read.gateways = gateways),
        (MAC, _) => {
            let known = one_of(&MAC_WORDS, &value).map_err(|words| wrong(MAC, value, format!("it can be {words}")));
            known.map(|ignores| read.ignores_mac = ignores)
        }
        _ if option.starts_with(OWN_PREFIX) => Ok(()),
        _ => Err(Error::UnknownOption(option.to_owned())),
    }
}

/// One address, or one of each family with a comma between them.
fn gateways(value: &str) -> Result<Vec<IpAddr>> {
    let refused =
        || wrong(GATEWAY, value.to_owned(), "an IP address, or one of each family: 192.0.2.1,2001:db8::1".to_owned());
    let read: Vec<IpAddr> =
        value.split(',').map(|text| text.trim().parse().map_err(|_| refused())).collect::<Result<_>>()?;
    let of_one_family = |is_v4: bool| read.iter().filter(|gateway| gateway.is_ipv4() == is_v4).count();
    if of_one_family(true) > 1 || of_one_family(false) > 1 { Err(refused()) } else { Ok(read) }
}

/// The user's options are strings; any other JSON value is shown as it is written.
fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An option with a value that it cannot have.
pub fn wrong(option: &str, value: String, allowed: String) -> Error {
    Error::Value { option: option.to_owned(), value, allowed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_control::policy_words::spec;
    use ipvl_control::rate::parse;
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
        let (gateways, ignores_mac) = (Vec::new(), false);
        let expected = NetworkOptions {
            parent,
            options: defaults,
            mtu: None,
            backend: None,
            rates: Rates::default(),
            policy: PolicyKeys::default(),
            internal: false,
            gateways,
            ignores_mac,
        };
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
                "backend": "veth", "rate_in": "100mbit", "rateOut": "1gbit", "gateway": "10.1.0.9, fd00:1::9", "mac": "ignore",
                "policy": "in drop rules in tcp dport 443 accept", "labels": "web, db",
            },
        }));
        let (mode, flag, guard, host) = (Mode::L3s, Flag::Private, Guard::Strict, HostAccess::On);
        let expected = NetworkOptions {
            parent: Some("eth0.10".to_owned()),
            options: Options { mode, flag, guard, host, ..Options::DEFAULT },
            mtu: Some(1400),
            backend: Some(Backend::Veth),
            rates: Rates { input: parse("100mbit").expect("a rate"), output: parse("1gbit").expect("a rate") },
            policy: PolicyKeys {
                policy: spec("in drop rules in tcp dport 443 accept").expect("a policy"),
                labels: ["web", "db"].map(str::to_owned).into(),
            },
            internal: true,
            gateways: vec!["10.1.0.9".parse().expect("IPv4"), "fd00:1::9".parse().expect("IPv6")],
            ignores_mac: true,
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
        assert_eq!(refused("guard", "x"), "cannot use guard=x: it can be owned, strict, router, declared, off");
        assert_eq!(refused("host_access", "2"), "cannot use host_access=2: it can be on, off, true, 1, false, 0");
        assert!(refused("com.docker.network.driver.mtu", "-1").ends_with("a number of bytes is expected"));
        assert!(refused("speed", "l2").starts_with("there is no network option speed; those of ipvl are parent, "));
        assert!(refused("gaurd", "off").starts_with("there is no network option gaurd, perhaps guard is meant; those"));
        assert_eq!(refused("mac", "x"), "cannot use mac=x: it can be refuse, ignore");
        assert!(refused("gateway", "10.0.0.1,10.0.0.2").ends_with("192.0.2.1,2001:db8::1"));
        assert!(refused("rate_in", "fast").starts_with("cannot use rate_in=fast: it can be a rate such as 100mbit"));
        let no_verdict =
            "cannot use policy=in tcp dport 80 accept: \"in\" wants accept or drop, not \"tcp\"; rules stand behind";
        assert!(refused("policy", "in tcp dport 80 accept").starts_with(no_verdict));
        assert!(refused("labels", "a;b").contains("visible ASCII characters"));
        assert_eq!(refused("backend", "tap"), "cannot use backend=tap: it can be veth, netkit, kernel");
        let both = json!({ "com.docker.network.generic": { "ipvlan_mode": "l2", "mode": "l2" } });
        assert_eq!(read(both).expect_err("refused").to_string(), "ipvlan_mode and mode say the same: give one");
    }
}
