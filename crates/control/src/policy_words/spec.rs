//! How is a whole policy said? `in drop rules in tcp dport 443 accept, in from host accept`, as to `ipvl policy set`.

use super::rule::{PolicyPeer, PolicyRule, is_accept, rules, verdict};
use crate::refusal::PolicyRefusal;
use ipvl_core::policy::MAX_RULES;
use std::collections::BTreeSet;
use std::fmt;

/// Stands for no policy.
const OFF: &str = "off";
const WORDS: &str = "[ in accept | drop ] [ out accept | drop ] [ rules RULE, RULE, ... ], or off";

/// A whole policy in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySpec {
    /// Whether what the slave is to receive passes if no rule fits.
    pub inward: bool,
    /// The same of what it sends.
    pub outward: bool,
    /// The rules, in their order.
    pub rules: Vec<PolicyRule>,
}

/// What a file or an engine says of a slave's policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyKeys {
    /// Its policy, if it is to have one.
    pub policy: Option<PolicySpec>,
    /// Its labels.
    pub labels: BTreeSet<String>,
}

/// Reads a policy; none for `off` and for an empty text.
///
/// # Errors
///
/// What is wrong, in a sentence.
pub fn spec(text: &str) -> Result<Option<PolicySpec>, String> {
    let spaced = text.replace(['\n', '\t', ';', ','], " ");
    let mut words = spaced.split(' ').filter(|word| !word.is_empty()).peekable();
    if words.peek().is_none_or(|word| *word == OFF && text.trim() == OFF) {
        return Ok(None);
    }
    let (mut inward, mut outward) = (None, None);
    while let Some(word) = words.next() {
        let default = match word {
            "in" => &mut inward,
            "out" => &mut outward,
            "rules" => {
                let (_, all) = text.split_once("rules").unwrap_or_default();
                return PolicySpec::new(inward, outward, rules(all)?).map(Some);
            }
            _ => return Err(format!("{word:?} is unknown: {WORDS}")),
        };
        let verdict = words.next().unwrap_or_default();
        if default.replace(is_accept(verdict).ok_or_else(|| no_verdict(word, verdict))?).is_some() {
            return Err(format!("{word:?} is said twice"));
        }
    }
    PolicySpec::new(inward, outward, Vec::new()).map(Some)
}

impl PolicySpec {
    /// A policy with these defaults and rules; what is not said of a direction is accept.
    ///
    /// # Errors
    ///
    /// If there are too many rules.
    pub fn new(inward: Option<bool>, outward: Option<bool>, rules: Vec<PolicyRule>) -> Result<Self, String> {
        let fits = rules.len() <= MAX_RULES;
        let made = Self { inward: inward.unwrap_or(true), outward: outward.unwrap_or(true), rules };
        if fits { Ok(made) } else { Err(PolicyRefusal::TooManyRules.to_string()) }
    }

    /// The same policy with other names for the slaves that its rules are about.
    pub fn renamed(&self, name: impl Fn(&str) -> String) -> Self {
        let rule = |rule: &PolicyRule| match &rule.peer {
            PolicyPeer::Slave(old) => PolicyRule { peer: PolicyPeer::Slave(name(old)), ..rule.clone() },
            _ => rule.clone(),
        };
        Self { rules: self.rules.iter().map(rule).collect(), ..*self }
    }

    /// The slaves that its rules name.
    pub fn named_slaves(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter_map(|rule| match &rule.peer {
            PolicyPeer::Slave(name) => Some(name.as_str()),
            _ => None,
        })
    }
}

impl PolicyKeys {
    /// Whether there is neither a policy nor a label.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The defaults, and behind them the rules.
impl fmt::Display for PolicySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in {} out {}", verdict(self.inward), verdict(self.outward))?;
        let rules: Vec<String> = self.rules.iter().map(ToString::to_string).collect();
        if rules.is_empty() { Ok(()) } else { write!(f, " rules {}", rules.join(", ")) }
    }
}

fn no_verdict(direction: &str, word: &str) -> String {
    match word {
        "" => format!("{direction:?} wants accept or drop"),
        _ => format!("{direction:?} wants accept or drop, not {word:?}; rules stand behind the word rules: {WORDS}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        spec(text).unwrap().map_or_else(|| "none".to_owned(), |policy| policy.to_string())
    }

    #[test]
    fn what_is_said_is_understood_and_said_again() {
        for text in ["in drop out accept", "in drop out drop rules in tcp dport 443 accept, out to host drop"] {
            assert_eq!(said(text), text);
        }
        assert_eq!(said("rules in accept"), "in accept out accept rules in accept");
        assert_eq!(
            said("out drop, in drop;\n  rules\n in accept;\n out accept\n"),
            said("in drop out drop rules in accept out accept")
        );
        assert_eq!(
            (said(""), said(" off "), said("rules")),
            ("none".into(), "none".into(), "in accept out accept".into())
        );
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, named) in [
            ("in tcp dport 80 accept", "behind the word rules"),
            ("in", "\"in\" wants accept or drop"),
            ("in drop in accept", "said twice"),
            ("off in drop", "\"off\" is unknown"),
            ("input drop", "\"input\" is unknown"),
            ("in drop rules in tcp dport 80", "does not end"),
        ] {
            let told = spec(text).unwrap_err();
            assert!(told.contains(named), "{text}: {told}");
        }
        assert!(spec(&format!("rules {}", "accept ".repeat(65))).unwrap_err().contains("64 rules"));
    }
}
