//! How does one frame reach thousands of slaves?
//!
//! Each copy waits in the per-CPU backlog (`netdev_max_backlog`, 1000), so they are made in chunks: after each the frame
//! itself queues up behind its copies and comes back to this hook, with the next slot in its mark.

use crate::act::Hook;
use crate::maps::Maps;
use crate::skb::Skb;
use ipvl_core::*;

/// What was shown is the flood. Between the steps everything goes by way of the context: thousands of slaves are walked
/// once by the verifier, and not once for each kind of flood.
#[inline(never)]
pub fn flood(hook: &Hook) -> i32 {
    let resumed = hook.skb.resumed_at();
    if resumed.is_none() {
        note(hook);
    }
    hook.skb.clear_mark();
    let Action::Flood(flood) = hook.skb.shown().action() else { return hook.consume() };
    let (first, end) = flood.slots(&Maps.port());
    let start = match resumed {
        Some(next) => next,
        None if may(hook, end - first) => first,
        None => end,
    };
    let filter = opaque(hook.skb, flood.filter(hook.skb, &Maps));
    let [start, end] = hook.skb.opaque([start, end]);
    copies(hook, filter, start, end);
    if end.saturating_sub(start) > FLOOD_CHUNK {
        return hook.again(start + FLOOD_CHUNK);
    }
    leave(hook, hook.skb.shown().then())
}

/// The frame itself, after its copies.
#[inline(always)]
fn leave(hook: &Hook, then: Then) -> i32 {
    match then {
        Then::Wire => hook.wire(),
        Then::Host => hook.host(),
        Then::WireAndHost => {
            hook.copy_to(Maps.port().master);
            hook.host()
        }
        Then::Nowhere => hook.consume(),
    }
}

/// No property is above the sixteenth bit.
#[inline(always)]
fn opaque<'a>(skb: &Skb, filter: Filter<'a>) -> Filter<'a> {
    let [bits, from, exempt] = skb.opaque([filter.mask | filter.want << 16, filter.from, filter.exempt]);
    Filter { mask: bits & 0xffff, want: bits >> 16, from, exempt, members: filter.members }
}

/// What others want to know of a frame that is here for the first time.
#[inline(never)]
fn note(hook: &Hook) {
    if hook.source != WIRE && tells_of_groups(hook.skb) {
        Maps.report(hook.source);
    }
    let Action::Flood(flood) = hook.skb.shown().action() else { return };
    if flood.reaches_wire() {
        Maps.remember(digest(hook.skb), flood.from);
    }
}

/// Whether the source of a frame may have so many copies made.
#[inline(always)]
fn may(hook: &Hook, copies: u32) -> bool {
    let allowed = copies <= 1 || Maps.allows(hook.source, copies);
    if !allowed {
        Maps.count_drop(hook.source, Reason::FloodLimit);
    }
    allowed
}

/// How many fail is kept in the context, too: to the verifier, each number in a register were another story.
#[inline(always)]
fn copies(hook: &Hook, filter: Filter<'_>, start: u32, end: u32) {
    hook.skb.set_tally(0);
    for step in 0..FLOOD_CHUNK {
        let [slot] = hook.skb.opaque([start + step]).map(Slot);
        let Some(slave) = Maps.occupant(slot).filter(|_| slot.0 < end) else { break };
        if filter.admits(slot, slave) && !hook.copy_to(slave.host_end) {
            hook.skb.set_tally(hook.skb.tally() + 1);
        }
    }
    if hook.skb.tally() != 0 {
        Maps.count_drops(hook.source, Reason::CloneFailed, hook.skb.tally().into());
    }
}
