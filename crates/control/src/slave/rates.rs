//! How is a slave's rate limited? What it gets by a `tbf` on its host end, what it sends by its entry in the map `RATES`.
//!
//! Both are on the host's side, so nothing in the slave's netns can remove them, and both are in the kernel: no process
//! needs to remember them.

use crate::error::{Result, refused};
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::port::Port;
use crate::port::host_end::is_tap;
use crate::rate::{Limit, Rates, RatesChange};
use crate::refusal::Refusal;
use ipvl_core::{IfIndex, Slot};

const TBF: &str = "tbf";
/// What devices have that have no queue, and devices that were never up.
const NO_QUEUE: [&str; 3] = ["noqueue", "noop", ""];
/// An Ethernet header with two tags, and a bit more.
const HEADERS: u32 = 32;

/// A slave's limits.
pub fn rates(netlink: &Netlink, port: &Port, host_end: &LinkInfo, slot: Slot) -> Result<Rates> {
    let input = if has_input_limit(host_end) { netlink.limit(host_end.ifindex)? } else { None };
    Ok(Rates { input, output: port.maps.rate(slot)? })
}

/// Whether what the slave gets may be limited. The kernel lists the queueing disciplines of all devices at once, so only ask for
/// the limit if so.
pub fn has_input_limit(host_end: &LinkInfo) -> bool {
    host_end.qdisc == TBF
}

/// Changes a slave's limits, both or none. Returns the change that undoes it.
pub fn change(
    netlink: &Netlink,
    port: &mut Port,
    host_end: IfIndex,
    slot: Slot,
    wanted: RatesChange,
) -> Result<RatesChange> {
    if wanted == RatesChange::default() {
        return Ok(wanted);
    }
    let gone = || refused("limit", format!("link {host_end}"), Refusal::NoLink);
    let host_end = netlink.link(host_end, None)?.ok_or_else(gone)?;
    let before = rates(netlink, port, &host_end, slot)?;
    let input = wanted.input.filter(|input| *input != before.input);
    let output = wanted.output.filter(|output| *output != before.output);
    if let Some(input) = input {
        check(&host_end, input)
            .map_err(|refusal| refused("limit what is for the slave behind", &host_end.name, refusal))?;
    }
    if let Some(output) = output {
        port.maps.set_rate(slot, output)?;
    }
    let done = input.map_or(Ok(()), |input| set_input(netlink, &host_end, input));
    if done.is_err() && output.is_some() {
        port.maps.set_rate(slot, before.output)?;
    }
    done?;
    Ok(RatesChange { input: input.map(|_| before.input), output: output.map(|_| before.output) })
}

fn set_input(netlink: &Netlink, host_end: &LinkInfo, limit: Option<Limit>) -> Result<()> {
    match limit {
        Some(limit) => netlink.set_limit(host_end.ifindex, limit),
        None => netlink.remove_limit(host_end.ifindex),
    }
}

/// A queueing discipline that somebody else chose stays. A tap device has one from the start.
fn check(host_end: &LinkInfo, limit: Option<Limit>) -> std::result::Result<(), Refusal> {
    let is_ours = is_tap(host_end) || host_end.qdisc == TBF || NO_QUEUE.contains(&host_end.qdisc.as_str());
    let least = host_end.mtu + HEADERS;
    match limit {
        _ if !is_ours => Err(Refusal::OtherQueue { qdisc: host_end.qdisc.clone(), host_end: host_end.name.clone() }),
        Some(limit) if limit.burst < least => Err(Refusal::SmallBurst { least }),
        _ => Ok(()),
    }
}
