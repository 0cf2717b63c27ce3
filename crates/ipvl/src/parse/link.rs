//! Which slave is made, and how is a slave changed?

use super::values::{self, named};
use crate::command::Command;
use crate::names::Named as _;
use crate::usage::UsageError;
use crate::words::Given;
use ipvl_control::{Change, Kind, LinkSpec, RatesChange, Tap};
use ipvl_core::{OPTIONS, Options, OptionsChange};

/// `link add`
pub fn add(given: &Given) -> Result<LinkSpec, UsageError> {
    Ok(LinkSpec {
        master: values::device(given.required("link")?)?,
        name: given.parsed("name", values::new_name)?,
        options: Options::DEFAULT.changed(options(given)?),
        mtu: given.parsed("mtu", values::mtu)?,
        mac: given.parsed("address", values::mac)?,
        netns: given.parsed("netns", values::netns)?,
        tap: tap(given)?,
        backend: given.parsed("backend", |word| named(word, "backend must be veth, netkit or kernel"))?,
        rates: rates(given)?.of_new(),
    })
}

/// `link show`
pub fn show(given: &Given) -> Result<Command, UsageError> {
    Ok(Command::LinkShow { name: given.parsed("dev", values::device)?, kind: kind(given) })
}

/// `link set`
pub fn set(given: &Given) -> Result<Command, UsageError> {
    let change = Change {
        options: options(given)?,
        mtu: given.parsed("mtu", values::mtu)?,
        name: given.parsed("name", values::new_name)?,
        netns: given.parsed("netns", values::netns)?,
        up: given.get("state").map(|state| state == "up"),
        rates: rates(given)?,
    };
    Ok(Command::LinkSet { name: values::device(given.required("dev")?)?, change })
}

fn rates(given: &Given) -> Result<RatesChange, UsageError> {
    Ok(RatesChange { input: given.parsed("in", values::rate)?, output: given.parsed("out", values::rate)? })
}

fn kind(given: &Given) -> Option<Kind> {
    given.get("type").and_then(Kind::from_word)
}

fn tap(given: &Given) -> Result<Option<Tap>, UsageError> {
    let tap = Tap {
        user: given.parsed("user", values::account)?,
        group: given.parsed("group", values::account)?,
        multi_queue: given.get("queues").is_some(),
    };
    Ok((kind(given) == Some(Kind::Ipvtap)).then_some(tap))
}

/// The options behind the kind.
fn options(given: &Given) -> Result<OptionsChange, UsageError> {
    let mut options = OptionsChange::NONE;
    for option in OPTIONS {
        if let Some(value) = given.get(option.name).filter(|value| !options.set(option.key, value)) {
            return Err(UsageError::WrongWord { value: value.to_owned(), option });
        }
    }
    Ok(options)
}
