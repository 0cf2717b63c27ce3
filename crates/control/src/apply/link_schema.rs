//! What does the JSON schema say of a `[[link]]` table? What the tables of options and keys say, aliases included.

use crate::keys::{DEVICE_KEYS, Key};
use ipvl_core::{OPTIONS, OptionEntry};
use schemars::Schema;
use serde_json::{Map, Value, json};

/// Adds the options, and each alias of a key.
pub fn add_options_and_aliases(schema: &mut Schema) {
    let link = schema.ensure_object();
    if let Some(Value::Object(properties)) = link.get_mut("properties") {
        for key in DEVICE_KEYS {
            properties.entry(key.name).or_insert_with(|| json!({}))["description"] = json!(key.about);
        }
        properties.extend(OPTIONS.iter().map(|entry| (entry.name.to_owned(), option(entry))));
        properties.extend(Key::all().flat_map(|key| aliases(&key.names())));
    }
    let mut rules: Vec<Value> = Key::all().flat_map(|key| at_most_one(&key.names())).collect();
    rules.push(has_a_master(link));
    link.insert("allOf".to_owned(), rules.into());
}

fn option(entry: &OptionEntry) -> Value {
    let booleans = if entry.takes_booleans() { &[true, false][..] } else { &[] };
    let spellings = entry.spellings().map(Value::from).chain(booleans.iter().copied().map(Value::from));
    json!({
        "description": entry.to_string(),
        "enum": spellings.collect::<Vec<_>>(),
        "default": entry.default_word(),
    })
}

fn aliases(names: &[&'static str]) -> Vec<(String, Value)> {
    let (name, aliases) = (names[0], &names[1..]);
    let same = json!({
        "description": format!("The same as `{name}`."),
        "$ref": format!("#/$defs/Link/properties/{name}"),
    });
    aliases.iter().map(|alias| ((*alias).to_owned(), same.clone())).collect()
}

fn at_most_one(names: &[&str]) -> Vec<Value> {
    let pairs = names.iter().enumerate().flat_map(|(n, one)| names[n + 1..].iter().map(move |other| [one, other]));
    pairs.map(|pair| json!({ "not": { "required": pair } })).collect()
}

/// By any of the master's names.
fn has_a_master(link: &mut Map<String, Value>) -> Value {
    let names = Key::Master.names();
    if let Some(Value::Array(required)) = link.get_mut("required") {
        required.retain(|name| *name != names[0]);
    }
    let by_name: Vec<Value> = names.iter().map(|name| json!({ "required": [name] })).collect();
    json!({ "anyOf": by_name })
}
