//! How are the ports of this netns brought to the version of this command, while their slaves are in use?

use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::port::host_end::HostEnd;
use crate::port::upgrade::{Upgraded, upgrade as upgrade_port};
use crate::refusal::Refusal;
use crate::slave::{agent_client, find};
use ipvl_core::IfIndex;

/// Replaces the programs of a master, or of all masters in this netns, by those of this command, and the agent by one of this
/// command. Traffic goes on: each packet meets either the old programs or the new ones, with the same tables. What is of
/// this build already stays, unless `again`. A master that is in another netns is left as it is.
///
/// # Errors
///
/// A link of that name that is no master, and tables that this version cannot take over: then nothing has changed. After
/// any other error some programs may have been replaced; the command can be repeated.
pub fn upgrade(master: Option<&str>, again: bool) -> Result<Vec<Upgraded>> {
    let netlink = Netlink::open()?;
    let only = master.map(|name| find::link(&netlink, name).map_err(|refusal| refused("upgrade", name, refusal)));
    let only = only.transpose()?.map(|link| link.ifindex);
    let links = netlink.links(None)?;
    let chosen = |ifindex: IfIndex| only.is_none_or(|only| only == ifindex);
    let of_chosen = |link: &LinkInfo| HostEnd::of(link).is_some_and(|host_end| chosen(host_end.master));
    let of_these: Vec<IfIndex> = links.iter().filter(|link| of_chosen(link)).map(|link| link.ifindex).collect();
    let others = links.iter().filter(|link| HostEnd::of(link).is_none() && chosen(link.ifindex));
    let outcome = replace(&netlink, others, again);
    // Whatever the outcome, slaves need an agent.
    let synced = if of_these.is_empty() { Ok(()) } else { agent_client::sync(&of_these) };
    let done = outcome?;
    synced?;
    match master {
        Some(name) if done.is_empty() => Err(refused("upgrade", name, Refusal::NoMaster)),
        _ => Ok(done),
    }
}

fn replace<'a>(netlink: &Netlink, links: impl Iterator<Item = &'a LinkInfo>, again: bool) -> Result<Vec<Upgraded>> {
    agent_client::end_running()?;
    let _lock = Lock::acquire(LOCK_WAIT)?;
    let mut done = Vec::new();
    for link in links {
        done.extend(upgrade_port(netlink, link, again)?);
    }
    Ok(done)
}
