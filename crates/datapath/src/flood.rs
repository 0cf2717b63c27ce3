//! How does one frame reach thousands of slaves?
//!
//! Each copy waits in the per-CPU backlog (`netdev_max_backlog`, 1000), so they are made in chunks: after each the frame
//! itself queues up behind its copies and comes back to this hook, with the next slot in its mark.

use crate::act::Hook;
use crate::maps::Maps;
use ipvl_core::*;

#[inline(never)]
pub fn flood(hook: &Hook, flood: Flood) -> i32 {
    let port = Maps.port();
    let (first, end) = flood.slots(&port);
    let start = match hook.skb.resumed_at() {
        Some(next) => next,
        None if begin(hook, flood, end - first) => first,
        None => end,
    };
    hook.skb.clear_mark();
    let filter = flood.filter(hook.skb, &Maps);
    copies(hook, hook.skb.opaque(filter), start, end);
    if end.saturating_sub(start) > FLOOD_CHUNK {
        return hook.again(start + FLOOD_CHUNK);
    }
    match flood.then {
        Then::Wire => hook.wire(),
        Then::Host => hook.host(),
        Then::WireAndHost => {
            hook.copy_to(port.master);
            hook.host()
        }
        Then::Nowhere => hook.consume(),
    }
}

/// The first time a frame is here: whether its source may have so many copies made.
#[inline(always)]
fn begin(hook: &Hook, flood: Flood, copies: u32) -> bool {
    if hook.source != WIRE && tells_of_groups(hook.skb) {
        Maps.report(hook.source);
    }
    if flood.reaches_wire() {
        Maps.remember(digest(hook.skb), flood.from);
    }
    let allowed = copies <= 1 || Maps.allows(hook.source, copies);
    if !allowed {
        Maps.count_drop(hook.source, Reason::FloodLimit);
    }
    allowed
}

#[inline(always)]
fn copies(hook: &Hook, filter: Filter<'_>, start: u32, end: u32) {
    for step in 0..FLOOD_CHUNK {
        let slot = Slot(start + step);
        if slot.0 >= end {
            break;
        }
        let slave = Maps.slave(slot);
        if filter.admits(slot, slave) && !hook.copy_to(slave.host_end) {
            Maps.count_drop(hook.source, Reason::CloneFailed);
        }
    }
}
