//! What does a network's configuration say? It has the keys of the CNI project's ipvlan plugin, and ipvl's own.

use crate::bandwidth;
use crate::call::is_identifier;
use crate::failure::{Code, Failure};
use crate::fields::Fields;
use crate::outcome::Outcome;
use crate::result;
use crate::version;
use ipvl_control::keys::{Key, SlaveKeys, nearest, twice};
use ipvl_control::policy_words::{LabelsValue, PolicyValue};
use ipvl_control::text::BACKENDS;
use ipvl_control::{Backend, PolicyKeys, Rates};
use ipvl_core::{HostAccess, Mac, Mode, Options};
use serde_json::{Value, json};

/// As with the CNI project's own plugin; and with host access, since a node must probe its pods.
const DEFAULTS: Options = Options { mode: Mode::L2, host: HostAccess::On, ..Options::DEFAULT };

/// Keys that only this door has.
const OWN_KEYS: [&str; 1] = ["linkInContainer"];

/// The part of a network's configuration that every command reads. DEL needs no more than this.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub version: String,
    pub name: String,
    /// The type of the IPAM plugin.
    pub ipam: Option<String>,
    pub link_in_container: bool,
    /// The whole configuration, for the IPAM plugin.
    pub raw: Value,
}

/// What the interfaces of a network are to be.
#[derive(Clone, Debug, PartialEq)]
pub struct InterfaceSettings {
    /// None if the configuration does not name it.
    pub master: Option<String>,
    pub options: Options,
    /// None for netkit where the kernel has it.
    pub backend: Option<Backend>,
    /// None for the master's.
    pub mtu: Option<u32>,
    pub mac: Option<Mac>,
    pub rates: Rates,
    pub policy: PolicyKeys,
    pub dns: Value,
    /// What plugins before this one in the chain made.
    pub previous: Option<Outcome>,
}

impl Network {
    /// Reads the configuration from standard input.
    pub fn parse(input: &[u8]) -> Result<Self, Failure> {
        let decode = |error| Failure::new(Code::Decode, format!("cannot decode the network configuration: {error}"));
        let raw: Value = serde_json::from_slice(input).map_err(decode)?;
        let fields = Fields::of(&raw, "")?;
        // The specification's first versions had no version.
        let version = fields.text("cniVersion")?.unwrap_or("0.1.0").to_owned();
        let name = fields.text("name")?.unwrap_or_default().to_owned();
        if version::SUPPORTED.contains(&version.as_str()) && !is_identifier(&name) {
            return Err(fields.wrong("name", &format!("letters, digits and _.-, not \"{name}\"")));
        }
        let ipam = fields.get("ipam").map(|ipam| Fields::of(ipam, "ipam")).transpose()?;
        let ipam = ipam.map(|ipam| ipam.text("type")).transpose()?.flatten().map(str::to_owned);
        let link_in_container = fields.boolean("linkInContainer")?.unwrap_or(false);
        Ok(Self { version, name, ipam, link_in_container, raw: raw.clone() })
    }

    /// Reads the rest, for commands about an interface.
    pub fn settings(&self) -> Result<InterfaceSettings, Failure> {
        let fields = Fields::of(&self.raw, "")?;
        let previous = fields.get("prevResult").map(|previous| result::parse(previous, "prevResult")).transpose()?;
        let SlaveKeys { master, mtu, backend, rates, policy, options } = slave_keys(&fields)?;
        let passed = self.bandwidth()?;
        let rates = Rates { input: passed.input.or(rates.input), output: passed.output.or(rates.output) };
        Ok(InterfaceSettings {
            master,
            options: DEFAULTS.changed(options),
            mtu,
            backend,
            mac: self.mac()?,
            rates,
            policy,
            dns: fields.get("dns").cloned().unwrap_or_else(|| json!({})),
            previous,
        })
    }

    /// What the runtime passes for the capabilities that the network has.
    fn passed(&self) -> Result<Option<Fields<'_>>, Failure> {
        let passed = Fields::of(&self.raw, "")?.get("runtimeConfig");
        passed.map(|passed| Fields::of(passed, "runtimeConfig")).transpose()
    }

    /// For `bandwidth`.
    fn bandwidth(&self) -> Result<Rates, Failure> {
        let passed = self.passed()?.and_then(|fields| fields.get("bandwidth"));
        let limits = passed.map(bandwidth::read).transpose()?;
        Ok(limits.unwrap_or_default())
    }

    /// For `mac`.
    fn mac(&self) -> Result<Option<Mac>, Failure> {
        let Some(fields) = self.passed()? else { return Ok(None) };
        fields.text("mac")?.map(|text| mac(text).ok_or_else(|| fields.wrong("mac", "six bytes in hex"))).transpose()
    }
}

/// The keys that every door has.
fn slave_keys(fields: &Fields<'_>) -> Result<SlaveKeys, Failure> {
    if let Some((one, other)) = twice(fields.keys()) {
        return Err(Failure::config(format!("\"{one}\" and \"{other}\" say the same: give one")));
    }
    let mut keys = SlaveKeys::default();
    for name in fields.keys() {
        match Key::find(name) {
            Some(Key::Master) => keys.master = fields.text(name)?.map(str::to_owned),
            Some(Key::Mtu) => keys.mtu = fields.number(name)?.filter(|mtu| *mtu != 0),
            Some(Key::Backend) => keys.backend = fields.word(name, &BACKENDS)?,
            Some(Key::RateIn) => keys.rates.input = fields.limit(name)?,
            Some(Key::RateOut) => keys.rates.output = fields.limit(name)?,
            Some(Key::Policy) => keys.policy.policy = fields.read::<PolicyValue>(name)?.unwrap_or_default().0,
            Some(Key::Labels) => keys.policy.labels = fields.read::<LabelsValue>(name)?.unwrap_or_default().0,
            Some(Key::Option(option)) => fields.option(name, option.entry(), &mut keys.options)?,
            None => misspelt(name)?,
        }
    }
    Ok(keys)
}

/// Keys that we do not know are for others, unless they look like ours.
fn misspelt(name: &str) -> Result<(), Failure> {
    match nearest(name, &OWN_KEYS).filter(|_| !OWN_KEYS.contains(&name)) {
        Some(meant) => Err(Failure::config(format!("there is no key \"{name}\"; is \"{meant}\" meant?"))),
        None => Ok(()),
    }
}

impl InterfaceSettings {
    /// The master that is named, or the one interface that plugins before this one have made.
    pub fn chained_master(&self) -> Result<Option<String>, Failure> {
        match (&self.master, self.previous.as_ref().map(|outcome| outcome.interfaces.as_slice())) {
            (Some(named), _) => Ok(Some(named.clone())),
            (None, None) => Ok(None),
            (None, Some([one])) if !one.name.is_empty() => Ok(Some(one.name.clone())),
            (None, Some(_)) => {
                Err(Failure::config("\"master\" is missing, and prevResult has no single interface to take for it"))
            }
        }
    }
}

/// A MAC address in the usual form.
pub fn mac(text: &str) -> Option<Mac> {
    let bytes: Option<Vec<u8>> = text.split([':', '-']).map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes?.try_into().ok().map(Mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_core::{Flag, Guard, NeighProxy};

    fn network(text: &str) -> Result<InterfaceSettings, Failure> {
        let text = format!(r#"{{"cniVersion":"1.0.0","name":"n","type":"ipvl",{text}}}"#);
        Network::parse(text.as_bytes()).and_then(|network| network.settings())
    }

    #[test]
    fn what_is_not_said_is_as_with_the_projects_own_plugin_but_for_the_host() {
        let settings = network(r#""ipam":{}"#).expect("a network");
        let Options { mode, flag, guard, host, .. } = settings.options;
        assert_eq!((settings.master, mode, flag, settings.mtu), (None, Mode::L2, Flag::Bridge, None));
        assert_eq!((guard, host), (Guard::Owned, HostAccess::On));
    }

    #[test]
    fn the_words_of_commands_and_other_engines_are_understood() {
        let settings = network(r#""parent":"eth0","ipvlan_mode":"l3","neighProxy":true,"hostAccess":"off","ipam":{}"#);
        let (mode, neigh) = (Mode::L3, NeighProxy::Proxy);
        let settings = settings.expect("a network");
        assert_eq!(settings.options, Options { mode, neigh, host: HostAccess::Off, ..DEFAULTS });
        assert_eq!(settings.master.as_deref(), Some("eth0"));
        let host = |text| network(text).expect("a network").options.host;
        assert_eq!(host(r#""host_access":false"#), HostAccess::Off);
        assert_eq!(host(r#""host":"1""#), HostAccess::On);
        let twice = network(r#""mode":"l2","ipvlan_mode":"l2""#).expect_err("one is enough");
        assert!(twice.text().contains("\"mode\" and \"ipvlan_mode\" say the same"), "{}", twice.text());
    }

    #[test]
    fn a_policy_is_a_text_or_an_object_and_labels_are_a_text_or_a_list() {
        let keys = |text| network(text).expect("a network").policy;
        let text = keys(r#""policy":"in drop rules in tcp dport 443 accept","labels":"web,db""#);
        let object = keys(r#""policy":{"in":"drop","rules":["in tcp dport 443 accept"]},"labels":["db","web"]"#);
        assert_eq!(text, object);
        assert!(!text.is_empty() && keys(r#""policy":"off","labels":[]"#).is_empty());
    }

    #[test]
    fn every_key_says_what_it_must_be() {
        for (text, says) in [
            (r#""master":5"#, "\"master\" must be a string"),
            (r#""mode":"l4""#, "\"mode\" must be one of l2, l3, l3s, not \"l4\""),
            (r#""flag":"open""#, "\"flag\" must be one of bridge, private, vepa"),
            (r#""guard":true"#, "\"guard\" must be a string"),
            (r#""hostAccess":"yes""#, "\"hostAccess\" must be true or false"),
            (r#""neighProxy":0"#, "\"neighProxy\" must be true or false"),
            (r#""siblings":"all""#, "\"siblings\" must be one of host, direct, not \"all\""),
            (r#""mtu":-1"#, "\"mtu\" must be a whole number"),
            (r#""mtu":"1400""#, "\"mtu\" must be a whole number"),
            (r#""linkInContainer":1"#, "\"linkInContainer\" must be true or false"),
            (r#""ipam":"host-local""#, "ipam must be an object"),
            (r#""ipam":{"type":7}"#, "\"ipam.type\" must be a string"),
            (r#""prevResult":[]"#, "prevResult must be an object"),
            (r#""gaurd":"strict""#, "there is no key \"gaurd\"; is \"guard\" meant?"),
            (r#""hosts":true"#, "there is no key \"hosts\"; is \"host\" meant?"),
            (r#""linkInContaner":true"#, "is \"linkInContainer\" meant?"),
            (r#""prevResult":{"interfaces":[{"name":"a"},{"name":"b"}]}"#, "\"master\" is missing"),
            (
                r#""runtimeConfig":{"bandwidth":{"egressRate":"1M"}}"#,
                "\"runtimeConfig.bandwidth.egressRate\" must be a",
            ),
            (r#""policy":{"in":"reject"}"#, "\"policy\": unknown variant `reject`, expected `accept` or `drop`"),
            (r#""policy":{"rules":["in tpc accept"]}"#, "\"policy\": \"tpc\" is unknown"),
            (r#""policy":"in tcp dport 80 accept""#, "\"policy\": \"in\" wants accept or drop, not \"tcp\""),
            (r#""policy":true"#, "\"policy\": invalid type: boolean `true`, expected a table with in, out and rules"),
            (r#""labels":["a b"]"#, "\"labels\": \"a b\" is not one label"),
            (r#""runtimeConfig":{"mac":"02:00"}"#, "\"runtimeConfig.mac\" must be six bytes"),
        ] {
            let failure = network(text).and_then(|settings| settings.chained_master()).expect_err(text);
            assert!(failure.text().contains(says), "{text}: {}", failure.text());
            assert_eq!(failure.code(), Code::Config as u64, "{text}");
        }
    }

    #[test]
    fn keys_of_the_specification_and_of_other_plugins_are_theirs() {
        let others =
            r#""args":{},"capabilities":{},"ipMasq":false,"disableCheck":true,"vlan":5,"mac":"","promiscMode":true"#;
        network(others).expect("a network");
    }

    #[test]
    fn the_master_of_a_chain_is_what_the_others_made() {
        let settings = network(r#""prevResult":{"interfaces":[{"name":"br0"}]}"#).expect("a network");
        assert_eq!(settings.chained_master().expect("a master").as_deref(), Some("br0"));
    }
}
