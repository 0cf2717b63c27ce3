//! What may a policy be in a file, TOML or JSON? A text, as for engines, or a table in which each rule is a text; labels likewise.

use super::labels::labels;
use super::rule::{PolicyRule, only_rule};
use super::spec::{PolicySpec, spec};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// A policy in a file.
#[derive(Clone, Debug, Default)]
pub struct PolicyValue(pub Option<PolicySpec>);

/// Labels in a file.
#[derive(Clone, Debug, Default)]
pub struct LabelsValue(pub BTreeSet<String>);

/// A policy, key by key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PolicyTable {
    /// What becomes of packets to the slave that no rule fits; accept by default.
    #[serde(rename = "in")]
    inward: Option<VerdictWord>,
    /// What becomes of packets from the slave that no rule fits; accept by default.
    #[serde(rename = "out")]
    outward: Option<VerdictWord>,
    /// The rules in their order, at most 64, each in the words of `ipvl policy add`.
    #[serde(default)]
    #[schemars(length(max = 64))]
    rules: Vec<RuleText>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum VerdictWord {
    Accept,
    Drop,
}

/// A rule: in tcp dport 443 accept.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("pattern" = r"^\s*(\S+\s+)*(accept|drop)\s*[,;]?\s*$"))]
struct RuleText(#[schemars(with = "String")] PolicyRule);

impl TryFrom<String> for RuleText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        only_rule(&text)?.map(Self).ok_or_else(|| format!("{text:?} is not one rule"))
    }
}

impl PolicyTable {
    fn read(self) -> Result<PolicySpec, String> {
        let passes = |word: Option<VerdictWord>| word.map(|word| word == VerdictWord::Accept);
        let rules = self.rules.into_iter().map(|rule| rule.0).collect();
        PolicySpec::new(passes(self.inward), passes(self.outward), rules)
    }
}

impl<'de> Deserialize<'de> for PolicyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PolicyVisitor)
    }
}

struct PolicyVisitor;

impl<'de> Visitor<'de> for PolicyVisitor {
    type Value = PolicyValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with in, out and rules, or a text such as \"in drop rules in tcp dport 443 accept\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PolicyValue, E> {
        spec(text).map(PolicyValue).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PolicyValue, A::Error> {
        let table = PolicyTable::deserialize(MapAccessDeserializer::new(map))?;
        table.read().map(|policy| PolicyValue(Some(policy))).map_err(A::Error::custom)
    }
}

impl<'de> Deserialize<'de> for LabelsValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LabelsVisitor)
    }
}

struct LabelsVisitor;

impl<'de> Visitor<'de> for LabelsVisitor {
    type Value = LabelsValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels: a list, or a text with commas between them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<LabelsValue, E> {
        labels(text).map(LabelsValue).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<LabelsValue, A::Error> {
        let mut all = BTreeSet::new();
        while let Some(label) = list.next_element::<String>()? {
            let read = labels(&label).map_err(A::Error::custom)?;
            match read.len() {
                1 => all.extend(read),
                _ => return Err(A::Error::custom(format!("{label:?} is not one label"))),
            }
        }
        Ok(LabelsValue(all))
    }
}

impl JsonSchema for PolicyValue {
    fn schema_name() -> Cow<'static, str> {
        "Policy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<PolicyTable>();
        json_schema!({
            "description": "A policy: a table, or a text in the words of `ipvl policy set`; off for none.",
            "anyOf": [table, { "type": "string", "pattern": r"^\s*(off|(in|out|rules)\b[^\x00]*)?\s*$" }],
        })
    }
}

impl JsonSchema for LabelsValue {
    fn schema_name() -> Cow<'static, str> {
        "Labels".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Labels: a list, or a text with commas between them.",
            "anyOf": [
                { "type": "array", "items": { "type": "string", "pattern": r"^[!-+\--:<-~]{1,32}$" } },
                { "type": "string", "pattern": r"^[ -:<-~]*$" },
            ],
        })
    }
}
