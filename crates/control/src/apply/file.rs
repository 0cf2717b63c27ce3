//! What may a file of `/etc/ipvl` contain? The types that it is parsed into, and the JSON schema made from them.

use super::inside_table::{RouteTable, RuleTable, SysctlValue};
use super::link_schema;
use super::value::{
    AccountName, BackendWord, DeviceName, KindWord, Mtu, NetnsName, Network, NewName, Prefix, RateText,
};
use crate::policy_words::{LabelsValue, PolicyValue};
use ipvl_core::OptionsChange;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A file of /etc/ipvl: slaves, and network namespaces for them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Whether established connections of slaves pass by a flowtable, as by `ipvl set flowtable`. Without this key that is
    /// left alone.
    pub flowtable: Option<bool>,
    /// Network namespaces, which are made unless they exist.
    #[serde(default)]
    pub netns: Vec<Netns>,
    /// The slaves.
    #[serde(default)]
    #[schemars(with = "Vec<DeviceTable>")]
    pub link: Vec<Link>,
}

/// A network namespace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Netns {
    /// Its name.
    pub name: NetnsName,
}

/// A slave.
#[derive(Debug)]
pub struct Link {
    /// The keys of the slave's device.
    pub device: DeviceTable,
    /// The slave's options.
    pub options: OptionsChange,
}

/// A slave. The keys are the words of `ipvl link add`, with the same defaults.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Link", transform = link_schema::add_options_and_aliases)]
pub struct DeviceTable {
    /// See [`crate::keys::MASTER`].
    pub master: DeviceName,
    /// The slave's name.
    pub name: NewName,
    /// Its network namespace: an existing one, or one that a `[[netns]]` table makes. Without this key the slave is made in
    /// the master's, and may be moved from there.
    pub netns: Option<NetnsName>,
    /// A network device, or a tap device for a virtual machine.
    #[serde(default, rename = "type")]
    pub kind: KindWord,
    /// See [`crate::keys::MTU`].
    pub mtu: Option<Mtu>,
    /// See [`crate::keys::BACKEND`].
    pub backend: Option<BackendWord>,
    /// See [`crate::keys::RATE_IN`].
    #[serde(default)]
    pub rate_in: RateText,
    /// See [`crate::keys::RATE_OUT`].
    #[serde(default)]
    pub rate_out: RateText,
    /// See [`crate::keys::POLICY`].
    #[serde(default)]
    pub policy: PolicyValue,
    /// See [`crate::keys::LABELS`].
    #[serde(default)]
    pub labels: LabelsValue,
    /// Whether the slave is administratively up.
    #[serde(default = "yes")]
    pub up: bool,
    /// The addresses on its device: exactly these, apart from link-local ones and those from DHCP or router advertisements.
    /// Without this key they are left alone.
    pub addresses: Option<Vec<Network>>,
    /// The addresses and prefixes that are declared for it, without being on its device: exactly these. Without this key
    /// they are left alone.
    pub declared: Option<Vec<Prefix>>,
    /// Routes of its netns: of those that files made, exactly these. Others are left alone.
    #[serde(default)]
    pub routes: Vec<RouteTable>,
    /// Rules for routing in its netns, likewise. They need the key `netns`.
    #[serde(default)]
    pub rules: Vec<RuleTable>,
    /// Switches of its netns, such as net.ipv4.conf.IFNAME.rp_filter, where IFNAME stands for the slave's name. One that is
    /// not of the slave needs the key `netns`.
    #[serde(default)]
    pub sysctls: BTreeMap<String, SysctlValue>,
    /// ipvtap: this user may open the tap device. Used only when the device is made.
    pub user: Option<AccountName>,
    /// ipvtap: members of this group may open the tap device. Used only when the device is made.
    pub group: Option<AccountName>,
    /// ipvtap: the device is opened once for each queue. Used only when the device is made.
    #[serde(default)]
    pub multi_queue: bool,
}

fn yes() -> bool {
    true
}

/// The JSON schema of a file, in JSON.
pub fn schema() -> String {
    let schema = schemars::schema_for!(File);
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}
