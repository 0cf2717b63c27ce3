//! Which slave is to be made, or changed how?

use super::{named, values};
use crate::command::Command;
use crate::names::Named as _;
use crate::usage::UsageError;
use crate::words::Given;
use ipvl_control::text::{self, SIBLINGS};
use ipvl_control::{Change, Kind, LinkSpec, Tap};
use ipvl_core::{Flag, Guard, Mode};

/// `link add`
pub fn add(given: &Given) -> Result<LinkSpec, UsageError> {
    let kind = KindWords::read(given)?;
    Ok(LinkSpec {
        master: values::device(given.required("link")?)?,
        name: given.parsed("name", values::new_name)?,
        mode: kind.mode.unwrap_or(Mode::L3),
        flag: kind.flag.unwrap_or(Flag::Bridge),
        guard: kind.guard.unwrap_or(Guard::Owned),
        host: kind.host.unwrap_or(false),
        neigh_proxy: kind.neigh_proxy.unwrap_or(false),
        siblings_direct: kind.siblings_direct.unwrap_or(false),
        mtu: given.parsed("mtu", values::mtu)?,
        mac: given.parsed("address", values::mac)?,
        netns: given.parsed("netns", values::netns)?,
        tap: tap(given)?,
        backend: given.parsed("backend", |word| named(word, "backend must be veth or netkit"))?,
    })
}

/// `link show`
pub fn show(given: &Given) -> Result<Command, UsageError> {
    Ok(Command::LinkShow { name: given.parsed("dev", values::device)?, kind: kind(given) })
}

/// `link set`
pub fn set(given: &Given) -> Result<Command, UsageError> {
    let KindWords { mode, flag, guard, host, neigh_proxy, siblings_direct } = KindWords::read(given)?;
    let change = Change {
        mode,
        flag,
        guard,
        host,
        neigh_proxy,
        siblings_direct,
        mtu: given.parsed("mtu", values::mtu)?,
        name: given.parsed("name", values::new_name)?,
        netns: given.parsed("netns", values::netns)?,
        up: given.get("state").map(|state| state == "up"),
    };
    Ok(Command::LinkSet { name: values::device(given.required("dev")?)?, change })
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

struct KindWords {
    mode: Option<Mode>,
    flag: Option<Flag>,
    guard: Option<Guard>,
    host: Option<bool>,
    neigh_proxy: Option<bool>,
    siblings_direct: Option<bool>,
}

impl KindWords {
    fn read(given: &Given) -> Result<Self, UsageError> {
        Ok(Self {
            mode: given.parsed("mode", |word| named(word, "mode must be l2, l3 or l3s"))?,
            flag: given.parsed("flag", |word| named(word, "flag must be bridge, private or vepa"))?,
            guard: given.parsed("guard", |word| named(word, "guard must be owned, strict or off"))?,
            host: given.parsed("host", |word| named(word, "host must be on or off"))?,
            neigh_proxy: given.parsed("neigh", neigh)?,
            siblings_direct: given.parsed("siblings", siblings)?,
        })
    }
}

fn neigh(word: &str) -> Result<bool, UsageError> {
    match word {
        "proxy" => Ok(true),
        "off" => Ok(false),
        _ => Err(UsageError::Wrong { value: word.to_owned(), must: "neigh must be proxy or off" }),
    }
}

fn siblings(word: &str) -> Result<bool, UsageError> {
    let wrong = |_| UsageError::Wrong { value: word.to_owned(), must: "siblings must be host or direct" };
    text::one_of(&SIBLINGS, word).map_err(wrong)
}
