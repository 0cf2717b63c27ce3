//! How is a rule of a policy said in words? `in from 192.0.2.0/24 tcp dport 80-90 accept`

use super::labels::labels;
use crate::text;
use ipvl_core::Addr;
use ipvl_core::policy::{PeerKind, Rule};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

/// Stands for a slave that is no longer there.
pub const GONE: &str = "?";

const PROTOCOLS: [(&str, u8, bool); 7] = [
    ("icmp", 1, false),
    ("tcp", 6, true),
    ("udp", 17, true),
    ("dccp", 33, true),
    ("icmpv6", 58, false),
    ("sctp", 132, true),
    ("udplite", 136, true),
];
const IN_WORDS: &str = "[ in | out ] [ from | to PREFIX | host | slaves | slave NAME | label A,B ] \
    [ tcp | udp | icmp | ... [ dport PORT[-PORT] ] ] accept | drop";

/// A rule in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRule {
    /// Whether it is about what the slave receives, sends, or both.
    pub directions: (bool, bool),
    /// Which other side it is about.
    pub peer: PolicyPeer,
    /// The protocol's number.
    pub protocol: Option<u8>,
    /// The ports that connections are opened to.
    pub ports: Option<RangeInclusive<u16>>,
    /// Whether what it fits passes.
    pub accept: bool,
}

/// Which other side a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyPeer {
    /// Any.
    Any,
    /// With an address in this network.
    Network(Addr, u8),
    /// The host.
    Host,
    /// Any slave of the same master.
    Slaves,
    /// The slave of this name.
    Slave(String),
    /// Slaves that have all of these labels.
    Labelled(Vec<String>),
}

impl PolicyPeer {
    /// Slaves with these labels, in the order in which they are always said.
    fn labelled(labels: BTreeSet<String>) -> Result<Self, String> {
        match labels.is_empty() {
            true => Err("\"label\" wants a label, or several with commas between them".to_owned()),
            false => Ok(Self::Labelled(labels.into_iter().collect())),
        }
    }
}

/// Reads rules: each ends with `accept` or `drop`, and `;` or `,` may follow.
///
/// # Errors
///
/// What is wrong, in a sentence.
pub fn rules(text: &str) -> Result<Vec<PolicyRule>, String> {
    let spaced = text.replace(';', " ; ");
    let (mut rules, mut rule) = (Vec::new(), Vec::new());
    for word in spaced.split_whitespace().map(|word| word.strip_suffix(',').unwrap_or(word)) {
        match word {
            ";" | "" if rule.is_empty() => {}
            ";" => break,
            "accept" | "drop" => {
                rules.push(PolicyRule::read(&rule, word == "accept")?);
                rule.clear();
            }
            word => rule.push(word),
        }
    }
    match rule[..] {
        [] => Ok(rules),
        _ => Err(format!("\"{}\" does not end with accept or drop: {IN_WORDS}", rule.join(" "))),
    }
}

/// Reads a rule; none if there are several, or none at all.
///
/// # Errors
///
/// What is wrong, in a sentence.
pub fn only_rule(text: &str) -> Result<Option<PolicyRule>, String> {
    let mut read = rules(text)?;
    let last = read.pop();
    Ok(last.filter(|_| read.is_empty()))
}

/// The word for whether something passes.
pub fn verdict(passes: bool) -> &'static str {
    if passes { "accept" } else { "drop" }
}

/// What such a word means; none for any other.
pub fn is_accept(word: &str) -> Option<bool> {
    match word {
        "accept" => Some(true),
        "drop" => Some(false),
        _ => None,
    }
}

impl PolicyRule {
    fn read(words: &[&str], accept: bool) -> Result<Self, String> {
        let mut rule = Self { directions: (true, true), peer: PolicyPeer::Any, protocol: None, ports: None, accept };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            match word {
                "in" => rule.directions = (true, false),
                "out" => rule.directions = (false, true),
                "ip" | "ip6" => {}
                "from" | "to" | "saddr" | "daddr" | "peer" => rule.peer = peer(value(word, &mut words)?, &mut words)?,
                "proto" => rule.protocol = Some(protocol_number(value(word, &mut words)?)?),
                "dport" => rule.ports = Some(ports(value(word, &mut words)?)?),
                name => rule.protocol = Some(known_protocol(name).ok_or_else(|| unknown(name))?.1),
            }
        }
        let has_ports = |protocol| PROTOCOLS.iter().any(|(_, number, ports)| (*number, *ports) == (protocol, true));
        match (&rule.ports, rule.protocol) {
            (Some(_), Some(protocol)) if has_ports(protocol) => Ok(rule),
            (Some(_), _) => Err("\"dport\" is for a protocol that has ports: tcp, udp, sctp, dccp, udplite".to_owned()),
            (None, _) => Ok(rule),
        }
    }

    /// What a map has, in words.
    pub(crate) fn of(rule: &Rule, peer: PolicyPeer) -> Self {
        let (first, last) = (rule.first_port, rule.last_port);
        Self {
            directions: (rule.bits & Rule::IN != 0, rule.bits & Rule::OUT != 0),
            peer,
            protocol: (rule.protocol != 0).then_some(rule.protocol),
            ports: ((first, last) != (0, u16::MAX)).then_some(first..=last),
            accept: rule.bits & Rule::PASS != 0,
        }
    }

    /// What a map has for it.
    pub(crate) fn stored(&self, peer: PeerKind) -> Rule {
        let bit = |on, bit| if on { bit } else { 0 };
        let (inward, outward) = self.directions;
        let bits = bit(inward, Rule::IN) | bit(outward, Rule::OUT) | bit(self.accept, Rule::PASS);
        Rule::about(peer, bits).on(self.protocol.unwrap_or(0), self.ports.clone().unwrap_or(0..=u16::MAX))
    }
}

impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let preposition = match self.directions {
            (true, false) => {
                f.write_str("in ")?;
                "from"
            }
            (false, _) => {
                f.write_str("out ")?;
                "to"
            }
            (true, true) => "peer",
        };
        match &self.peer {
            PolicyPeer::Any => {}
            PolicyPeer::Network(addr, len) => write!(f, "{preposition} {addr}/{len} ")?,
            PolicyPeer::Host => write!(f, "{preposition} host ")?,
            PolicyPeer::Slaves => write!(f, "{preposition} slaves ")?,
            PolicyPeer::Slave(name) => write!(f, "{preposition} slave {name} ")?,
            PolicyPeer::Labelled(labels) => write!(f, "{preposition} label {} ", labels.join(","))?,
        }
        if let Some(protocol) = self.protocol {
            match PROTOCOLS.iter().find(|(_, number, _)| *number == protocol) {
                Some((name, ..)) => write!(f, "{name} ")?,
                None => write!(f, "proto {protocol} ")?,
            }
        }
        match self.ports.clone().map(RangeInclusive::into_inner) {
            Some((first, last)) if first == last => write!(f, "dport {first} ")?,
            Some((first, last)) => write!(f, "dport {first}-{last} ")?,
            None => {}
        }
        f.write_str(verdict(self.accept))
    }
}

fn value<'a>(word: &str, rest: &mut impl Iterator<Item = &'a str>) -> Result<&'a str, String> {
    rest.next().ok_or_else(|| format!("\"{word}\" wants a value"))
}

fn peer<'a>(word: &str, rest: &mut impl Iterator<Item = &'a str>) -> Result<PolicyPeer, String> {
    Ok(match word {
        "any" => PolicyPeer::Any,
        "host" => PolicyPeer::Host,
        "slaves" => PolicyPeer::Slaves,
        "slave" => PolicyPeer::Slave(value(word, rest)?.to_owned()),
        "label" => PolicyPeer::labelled(labels(value(word, rest)?)?)?,
        prefix => {
            let (addr, len) = text::prefix(prefix).map_err(|_| {
                format!("\"{prefix}\" is no prefix, and none of any, host, slaves, slave NAME, label A,B")
            })?;
            PolicyPeer::Network(addr, len)
        }
    })
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if first <= last && first > 0 => Ok(first..=last),
        _ => Err(format!("\"{text}\" is no port from 1 to 65535, and no range FIRST-LAST")),
    }
}

fn protocol_number(text: &str) -> Result<u8, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.or_else(|| known_protocol(text).map(|(_, number, _)| number)).ok_or_else(|| unknown(text))
}

fn known_protocol(name: &str) -> Option<(&'static str, u8, bool)> {
    let name = if name == "ipv6-icmp" { "icmpv6" } else { name };
    PROTOCOLS.into_iter().find(|(known, ..)| *known == name)
}

fn unknown(word: &str) -> String {
    format!("\"{word}\" is unknown: {IN_WORDS}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood_and_said_again() {
        for text in [
            "accept",
            "in tcp dport 80 accept",
            "in from 192.0.2.0/24 tcp dport 80-90 accept",
            "out to 2001:db8::/32 udp dport 53 drop",
            "out to host drop",
            "peer slaves accept",
            "in from slave ipvl1 icmp accept",
            "in from label db,web proto 47 drop",
        ] {
            let read = rules(text).unwrap();
            assert_eq!(read.iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);
            assert_eq!(PolicyRule::of(&read[0].stored(PeerKind::Any), read[0].peer.clone()), read[0]);
        }
    }

    #[test]
    fn nftables_words_mean_the_same() {
        let said = |text| rules(text).unwrap()[0].to_string();
        assert_eq!(said("in ip saddr 192.0.2.1 tcp dport 22 accept"), "in from 192.0.2.1/32 tcp dport 22 accept");
        assert_eq!(said("in from label web,db,web accept"), "in from label db,web accept");
        assert_eq!(said("out ip6 daddr ::/0 ipv6-icmp accept"), "out to ::/0 icmpv6 accept");
    }

    #[test]
    fn several_rules_need_nothing_between_them() {
        let texts = ["in accept out drop", "in accept; out drop;", "in accept, out drop"];
        for text in texts {
            assert_eq!(rules(text).unwrap().len(), 2, "{text}");
        }
        assert_eq!(rules(""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, named) in [
            ("in tcp dport 80", "does not end"),
            ("in from 192.0.2.1/24 accept", "192.0.2.1/24"),
            ("in from ::ffff:192.0.2.1 accept", "::ffff:192.0.2.1"),
            ("in dport 80 accept", "dport"),
            ("in icmp dport 80 accept", "dport"),
            ("in tcp dport 0 accept", "\"0\""),
            ("in tcp dport 90-80 accept", "90-80"),
            ("in tpc accept", "tpc"),
            ("in from accept", "wants a value"),
            ("in from label , accept", "wants a label"),
            ("in from label a;b accept", "does not end"),
            ("in from label aéb accept", "visible ASCII"),
        ] {
            assert!(rules(text).unwrap_err().contains(named), "{text}");
        }
    }
}
