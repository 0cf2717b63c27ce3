//! How is a slave's policy read and changed?

mod rule;

use crate::error::{Error, Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::port::Port;
use crate::port::host_end::HostEnd;
use crate::port::policy::generation;
use crate::port::programs::host_ends_of;
use crate::port::tables::PolicyMaps;
use crate::refusal::{PolicyRefusal, Refusal};
use crate::slave::find::{self, Found, SlaveNames};
use crate::slave::peers::Peers;
use ipvl_core::policy::{Cause, CountKey, Direction, LABEL_BYTES, PeerKind, Policy, PolicyCount, Rule};
use ipvl_core::{IfIndex, Slot};
pub use rule::{PolicyPeer, PolicyRule, rules};
use std::collections::BTreeMap;

/// A change of a slave's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyChange {
    /// What no rule fits passes, or not, by direction; and all rules, if they are given. What is `None` stays.
    Set {
        /// Of what the slave receives.
        inward: Option<bool>,
        /// Of what it sends.
        outward: Option<bool>,
        /// The rules, instead of those that it has.
        rules: Option<Vec<PolicyRule>>,
    },
    /// One rule more: before the rule with this handle, or behind all.
    Add {
        /// The rule.
        rule: PolicyRule,
        /// The handle of a rule.
        before: Option<u32>,
    },
    /// The rule with this handle goes.
    Delete(u32),
    /// There is no policy any more.
    Flush,
    /// The slave has these labels, and no others.
    Label(Vec<String>),
}

/// A slave's policy, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlavePolicy {
    /// The slave's name.
    pub slave: String,
    /// Its master's.
    pub master: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Whether what no rule fits passes, inward and outward; none if it has no policy.
    pub defaults: Option<(bool, bool)>,
    /// The rules, in their order.
    pub rules: Vec<CountedRule>,
    /// What else decided, inward or outward, and how often.
    pub others: Vec<(&'static str, Direction, PolicyCount)>,
}

/// A rule, and how much it has decided about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedRule {
    /// The number by which it is called; it stays when other rules come and go.
    pub handle: u32,
    /// The rule.
    pub rule: PolicyRule,
    /// The packets that it decided about: of a connection, those that opened it.
    pub count: PolicyCount,
}

const CAUSES: [(Cause, &str); 6] = [
    (Cause::DEFAULT, "default"),
    (Cause::ESTABLISHED, "established"),
    (Cause::RELATED, "related"),
    (Cause::FRAGMENT, "fragment"),
    (Cause::LINK, "link"),
    (Cause::TRUNCATED, "truncated"),
];

/// The policies and labels of all slaves, or of one.
pub fn policies(slave: Option<&str>) -> Result<Vec<SlavePolicy>> {
    let netlink = Netlink::open()?;
    let only = slave.map(|name| find::slave(&netlink, name)).transpose()?;
    let mut found = Vec::new();
    for port in Port::all(&netlink)? {
        let wanted = |slot: Slot| only.as_ref().is_none_or(|only| (only.port.master, only.slot) == (port.master, slot));
        let Some(maps) = port.policy_maps()? else { continue };
        let master = name_of(&netlink, port.master)?;
        let (names, counts) = (Names::read(&netlink, &port, &maps)?, maps.counts()?);
        for slot in names.slaves.keys().copied().filter(|slot| wanted(*slot)) {
            let shown = shown(&maps, &names, counts.get(&slot), slot, &master)?;
            if only.is_some() || shown.defaults.is_some() || !shown.labels.is_empty() {
                found.push(shown);
            }
        }
    }
    match (only, found.is_empty()) {
        (Some(only), true) => Ok(vec![SlavePolicy::none(only.name, only.port.master, &netlink)?]),
        _ => Ok(found),
    }
}

/// Changes a slave's policy, in one step: each packet meets the old one or the new one.
pub fn change_policy(slave: &str, change: &PolicyChange) -> Result<()> {
    let _lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    let mut found = find::slave(&netlink, slave)?;
    if let (PolicyChange::Flush, None) = (change, found.port.policy_maps()?) {
        return Ok(());
    }
    let mut maps = found.port.ensure_policy_maps()?;
    if let PolicyChange::Label(labels) = change {
        let labels = label_bits(&mut maps, labels, |refusal| refused("label", slave, refusal))?;
        maps.set_labels(found.slot, labels)?;
        return ask_again(&mut maps);
    }
    let old = maps.policy(found.slot)?;
    let mut writer = Writer { netlink: &netlink, port: &found.port, maps: &mut maps, slave };
    match writer.changed(old.as_ref(), change)? {
        Some(policy) => install(&netlink, &mut found, &mut maps, &policy),
        None => remove(&netlink, &mut found, &mut maps),
    }
}

/// What is asked about a policy when a frame is explained.
pub(crate) struct Names {
    /// The names of slaves.
    pub slaves: BTreeMap<Slot, String>,
    /// The names of labels, by bit.
    pub labels: Vec<String>,
}

impl Names {
    /// Reads them.
    pub fn read(netlink: &Netlink, port: &Port, maps: &PolicyMaps) -> Result<Self> {
        let mut slaves = BTreeMap::new();
        let host_ends = host_ends_of(netlink, port.master)?.into_iter();
        let host_ends: BTreeMap<IfIndex, LinkInfo> = host_ends.map(|link| (link.ifindex, link)).collect();
        let peers = Peers::list(netlink, host_ends.values());
        for (host_end, slot) in port.maps.slots()? {
            let link = host_ends.get(&host_end);
            let device = link.and_then(|link| peers.device(netlink, link));
            slaves.insert(slot, device.map_or_else(|| "?".to_owned(), |device| device.name));
        }
        Ok(Self { slaves, labels: maps.label_names()? })
    }

    /// A rule in words.
    pub fn in_words(&self, rule: &Rule) -> PolicyRule {
        let peer = match rule.peer() {
            PeerKind::Any => PolicyPeer::Any,
            PeerKind::Network(addr, len) => PolicyPeer::Network(addr, len),
            PeerKind::Host => PolicyPeer::Host,
            PeerKind::Slave(slot) => {
                PolicyPeer::Slave(self.slaves.get(&slot).cloned().unwrap_or_else(|| rule::GONE.to_owned()))
            }
            PeerKind::Labelled(0) => PolicyPeer::Slaves,
            PeerKind::Labelled(bits) => PolicyPeer::Labelled(self.labels_of(bits)),
        };
        PolicyRule::of(rule, peer)
    }

    fn labels_of(&self, bits: u64) -> Vec<String> {
        let has = |bit: &usize| bits >> bit & 1 == 1;
        (0..self.labels.len()).filter(has).map(|bit| self.labels[bit].clone()).collect()
    }
}

/// What decided, in words: `rule 3: in tcp dport 80 accept`.
pub(crate) fn cause_in_words(policy: &Policy, cause: Cause, direction: Direction, names: &Names) -> String {
    match cause.rule().and_then(|place| policy.rules().get(place)) {
        Some(rule) => format!("rule {}: {}", rule.handle, names.in_words(rule)),
        None => {
            let word = CAUSES.iter().find(|(known, _)| *known == cause).map_or("?", |(_, word)| word);
            format!("{word} ({})", direction.word())
        }
    }
}

/// The program comes first, then the rules, and at last the bit that leads through the program what is for the slave.
fn install(netlink: &Netlink, found: &mut Found, maps: &mut PolicyMaps, policy: &Policy) -> Result<()> {
    found.port.attach_policy(netlink, &found.host_end)?;
    maps.set_policy(found.slot, policy)?;
    let numbers: Vec<u32> = policy.rules().iter().map(|rule| rule.handle).collect();
    let of_causes = CAUSES
        .iter()
        .flat_map(|(cause, _)| [Direction::In, Direction::Out].map(|direction| CountKey::of_cause(*cause, direction)));
    maps.forget_counts(found.slot, &numbers.into_iter().chain(of_causes).collect::<Vec<_>>())?;
    let slave = found.port.maps.slave(found.slot)?;
    found.port.maps.set_slave(found.slot, slave.with_policy(true))
}

/// The rules say the same, but not of the same slaves: each policy counts as changed, for connections from before.
fn ask_again(maps: &mut PolicyMaps) -> Result<()> {
    for (slot, mut policy) in maps.policies()? {
        policy.generation = generation(Some(&policy));
        maps.set_policy(slot, &policy)?;
    }
    Ok(())
}

fn remove(netlink: &Netlink, found: &mut Found, maps: &mut PolicyMaps) -> Result<()> {
    maps.remove_policy(found.slot)?;
    let slave = found.port.maps.slave(found.slot)?;
    found.port.maps.set_slave(found.slot, slave.with_policy(false))?;
    found.port.detach_policy(netlink, &found.host_end)?;
    maps.forget_counts(found.slot, &[])
}

/// Turns rules in words into what the programs read.
struct Writer<'a> {
    netlink: &'a Netlink,
    port: &'a Port,
    maps: &'a mut PolicyMaps,
    slave: &'a str,
}

impl Writer<'_> {
    /// The policy after the change; `None` if there is to be none.
    fn changed(&mut self, old: Option<&Policy>, change: &PolicyChange) -> Result<Option<Policy>> {
        let mut stored: Vec<Rule> = old.map_or_else(Vec::new, |old| old.rules().to_vec());
        let mut default = old.map_or(Rule::IN | Rule::OUT, |old| old.default);
        match change {
            PolicyChange::Set { inward, outward, rules } => {
                default = with_bit(with_bit(default, Rule::IN, *inward), Rule::OUT, *outward);
                if let Some(rules) = rules {
                    stored = self.all(rules, &stored)?;
                }
            }
            PolicyChange::Add { rule, before } => {
                let place = before.map_or(Ok(stored.len()), |handle| self.place(&stored, handle))?;
                let rule = self.stored(rule)?.called(free_handle(&stored));
                stored.insert(place, rule);
            }
            PolicyChange::Delete(handle) => _ = stored.remove(self.place(&stored, *handle)?),
            PolicyChange::Flush | PolicyChange::Label(_) => return Ok(None),
        }
        let policy = Policy::new(generation(old), default, &stored);
        policy
            .map(Some)
            .ok_or_else(|| refused("change the policy of", self.slave, Refusal::Policy(PolicyRefusal::TooManyRules)))
    }

    /// All rules anew. One that was there before keeps its handle, and so its count.
    fn all(&mut self, rules: &[PolicyRule], before: &[Rule]) -> Result<Vec<Rule>> {
        let (mut kept, mut stored) = (before.to_vec(), Vec::new());
        for rule in rules {
            let rule = self.stored(rule)?;
            let same = kept.iter().position(|old| old.called(0) == rule);
            stored.push(same.map_or(rule, |place| kept.remove(place)));
        }
        for place in 0..stored.len() {
            if stored[place].handle == 0 {
                let used: Vec<Rule> = stored.iter().chain(before).copied().collect();
                stored[place].handle = free_handle(&used);
            }
        }
        Ok(stored)
    }

    fn place(&self, rules: &[Rule], handle: u32) -> Result<usize> {
        let place = rules.iter().position(|rule| rule.handle == handle);
        place.ok_or_else(|| {
            refused("change the policy of", self.slave, Refusal::Policy(PolicyRefusal::NoSuchRule(handle)))
        })
    }

    fn stored(&mut self, rule: &PolicyRule) -> Result<Rule> {
        let peer = match &rule.peer {
            PolicyPeer::Any => PeerKind::Any,
            PolicyPeer::Network(addr, len) => PeerKind::Network(*addr, *len),
            PolicyPeer::Host => PeerKind::Host,
            PolicyPeer::Slaves => PeerKind::Labelled(0),
            PolicyPeer::Slave(name) => PeerKind::Slave(self.sibling(name)?),
            PolicyPeer::Labelled(labels) => {
                let refuse = |refusal| refused("use", labels.join(","), refusal);
                PeerKind::Labelled(label_bits(self.maps, labels, refuse)?)
            }
        };
        Ok(rule.stored(peer))
    }

    fn sibling(&self, name: &str) -> Result<Slot> {
        let host_end = SlaveNames::default().host_end(self.netlink, name)?;
        match HostEnd::of(&host_end) {
            Some(described) if described.master == self.port.master => Ok(described.slot),
            _ => Err(refused("use", name, Refusal::Policy(PolicyRefusal::NoSibling))),
        }
    }
}

/// The bits of these labels; one that is new gets a bit.
fn label_bits(maps: &mut PolicyMaps, labels: &[String], refuse: impl Fn(Refusal) -> Error) -> Result<u64> {
    let mut names = maps.label_names()?;
    let mut bits = 0;
    for label in labels {
        let is_fit = !label.is_empty() && label.len() <= LABEL_BYTES && label.chars().all(|c| c.is_ascii_graphic());
        if !is_fit || label.contains([',', ';']) {
            return Err(refuse(Refusal::Policy(PolicyRefusal::UnfitLabel)));
        }
        let known = names.iter().position(|name| name == label);
        let bit = known.or_else(|| names.iter().position(String::is_empty));
        let bit = bit.ok_or_else(|| refuse(Refusal::Policy(PolicyRefusal::TooManyLabels)))?;
        if known.is_none() {
            maps.name_label(bit as u32, label)?;
            names[bit].clone_from(label);
        }
        bits |= 1 << bit;
    }
    Ok(bits)
}

fn shown(
    maps: &PolicyMaps,
    names: &Names,
    counts: Option<&BTreeMap<u32, PolicyCount>>,
    slot: Slot,
    master: &str,
) -> Result<SlavePolicy> {
    let policy = maps.policy(slot)?;
    let count = |number: u32| counts.and_then(|counts| counts.get(&number)).copied().unwrap_or_default();
    let counted = |rule: &Rule| {
        let (handle, rule, count) = (rule.handle, names.in_words(rule), count(rule.handle));
        CountedRule { handle, rule, count }
    };
    let rules = policy.iter().flat_map(|policy| policy.rules()).map(counted).collect();
    let others = CAUSES.iter().flat_map(|(cause, word)| {
        [Direction::In, Direction::Out].map(|way| (*word, way, count(CountKey::of_cause(*cause, way))))
    });
    Ok(SlavePolicy {
        slave: names.slaves.get(&slot).cloned().unwrap_or_default(),
        master: master.to_owned(),
        labels: names.labels_of(maps.labels(slot)?),
        defaults: policy.map(|policy| (policy.default & Rule::IN != 0, policy.default & Rule::OUT != 0)),
        rules,
        others: others.filter(|(.., count)| count.packets > 0).collect(),
    })
}

impl SlavePolicy {
    fn none(slave: String, master: IfIndex, netlink: &Netlink) -> Result<Self> {
        let master = name_of(netlink, master)?;
        let (labels, defaults, rules, others) = (Vec::new(), None, Vec::new(), Vec::new());
        Ok(Self { slave, master, labels, defaults, rules, others })
    }
}

fn name_of(netlink: &Netlink, master: IfIndex) -> Result<String> {
    Ok(netlink.link(master, None)?.map_or_else(|| "?".to_owned(), |link| link.name))
}

fn free_handle(rules: &[Rule]) -> u32 {
    rules.iter().map(|rule| rule.handle).max().unwrap_or(0) + 1
}

fn with_bit(bits: u8, bit: u8, wanted: Option<bool>) -> u8 {
    match wanted {
        Some(true) => bits | bit,
        Some(false) => bits & !bit,
        None => bits,
    }
}
