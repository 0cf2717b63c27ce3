//! Which change of a slave's policy is asked for?

use super::values;
use crate::command::Command;
use crate::usage::UsageError;
use crate::words::Given;
use ipvl_control::PolicyChange;
use ipvl_control::policy_words::{is_accept, only_rule, rules};
use std::path::PathBuf;

/// `policy show`, `set`, `add`, ...
pub fn command(verb: &str, given: &Given) -> Result<Command, UsageError> {
    let change = match verb {
        "set" => set(given)?,
        "add" => add(given)?,
        "delete" => PolicyChange::Delete(handle(given.required("handle")?)?),
        "flush" => PolicyChange::Flush,
        "label" => {
            let labels = given.get("labels").unwrap_or_default();
            PolicyChange::Label(labels.split([' ', ',']).filter(|label| !label.is_empty()).map(str::to_owned).collect())
        }
        "translate" => return Ok(Command::PolicyTranslate { files: given.all("file").map(PathBuf::from).collect() }),
        _ => return Ok(Command::PolicyShow { slave: given.parsed("dev", values::device)? }),
    };
    Ok(Command::PolicyChange { slave: values::device(given.required("dev")?)?, change })
}

fn set(given: &Given) -> Result<PolicyChange, UsageError> {
    let read = |text: &str| rules(text).map_err(|problem| UsageError::Rule { problem });
    Ok(PolicyChange::Set {
        inward: given.parsed("in", passes)?,
        outward: given.parsed("out", passes)?,
        rules: given.parsed("rules", read)?,
    })
}

fn add(given: &Given) -> Result<PolicyChange, UsageError> {
    let text = given.required("rule")?;
    let several = || format!("\"{text}\" is not one rule; \"set\" takes several");
    let rule =
        only_rule(text).and_then(|rule| rule.ok_or_else(several)).map_err(|problem| UsageError::Rule { problem })?;
    Ok(PolicyChange::Add { rule, before: given.parsed("before", handle)? })
}

fn passes(word: &str) -> Result<bool, UsageError> {
    let wrong = || UsageError::Wrong { value: word.to_owned(), must: "it must be accept or drop" };
    is_accept(word).ok_or_else(wrong)
}

fn handle(text: &str) -> Result<u32, UsageError> {
    let parsed = text.parse().ok().filter(|handle| *handle > 0);
    parsed.ok_or_else(|| UsageError::Wrong { value: text.to_owned(), must: "a rule's handle is a number from 1 on" })
}
