//! How does one frame reach thousands of slaves?
//!
//! Each copy waits in the per-CPU backlog (`netdev_max_backlog`, 1000), so they are made in chunks: after each the frame
//! itself queues up behind its copies and comes back to this hook, with the next slot in its mark.

use crate::act::PacketCtx;
use crate::maps::Maps;
use crate::skb::Skb;
use ipvl_core::*;

/// What was shown is the flood. Between the steps everything goes by way of the context: thousands of slaves are walked
/// once by the verifier, and not once for each kind of flood.
#[inline(never)]
pub fn flood(ctx: &PacketCtx) -> i32 {
    let resumed = ctx.skb.resumed_at();
    if resumed.is_none() {
        note(ctx);
    }
    ctx.skb.clear_mark();
    let Action::Flood(flood) = ctx.skb.load_verdict().action() else { return ctx.consume() };
    let (first, end) = flood.slots(&Maps.port());
    let start = match resumed {
        Some(next) => next,
        None if may(ctx, end - first) => first,
        None => end,
    };
    let filter = launder(ctx.skb, flood.filter(ctx.skb, &Maps));
    let [start, end] = ctx.skb.launder([start, end]);
    copies(ctx, filter, start, end);
    if end.saturating_sub(start) > FLOOD_CHUNK {
        return ctx.again(start + FLOOD_CHUNK);
    }
    leave(ctx, ctx.skb.load_verdict().then())
}

/// The frame itself, after its copies.
#[inline(always)]
fn leave(ctx: &PacketCtx, then: Then) -> i32 {
    match then {
        Then::Wire => ctx.wire(),
        Then::Host => ctx.host(),
        Then::WireAndHost => {
            ctx.copy_to(Maps.port().master);
            ctx.host()
        }
        Then::Nowhere => ctx.consume(),
    }
}

/// No property is above the sixteenth bit.
#[inline(always)]
fn launder<'a>(skb: &Skb, filter: Filter<'a>) -> Filter<'a> {
    let [bits, from, exempt] = skb.launder([filter.mask | filter.want << 16, filter.from, filter.exempt]);
    Filter { mask: bits & 0xffff, want: bits >> 16, from, exempt, members: filter.members }
}

/// What others want to know of a frame that is here for the first time.
#[inline(never)]
fn note(ctx: &PacketCtx) {
    if ctx.source != WIRE && is_membership_report(ctx.skb) {
        Maps.report(ctx.source);
    }
    let Action::Flood(flood) = ctx.skb.load_verdict().action() else { return };
    if flood.reaches_wire() {
        Maps.remember(digest(ctx.skb), flood.from);
    }
}

/// Whether the source of a frame may have so many copies made.
#[inline(always)]
fn may(ctx: &PacketCtx, copies: u32) -> bool {
    let allowed = copies <= 1 || Maps.allows(ctx.source, copies);
    if !allowed {
        Maps.count_drop(ctx.source, Reason::FloodLimit);
    }
    allowed
}

/// How many fail is kept in the context, too: to the verifier, each number in a register were another story.
#[inline(always)]
fn copies(ctx: &PacketCtx, filter: Filter<'_>, start: u32, end: u32) {
    ctx.skb.set_failures(0);
    for step in 0..FLOOD_CHUNK {
        let [slot] = ctx.skb.launder([start + step]).map(Slot);
        let Some(slave) = Maps.occupant(slot).filter(|_| slot.0 < end) else { break };
        if filter.admits(slot, slave) && !ctx.copy_to(slave.host_end) {
            ctx.skb.set_failures(ctx.skb.failures() + 1);
        }
    }
    if ctx.skb.failures() != 0 {
        Maps.count_drops(ctx.source, Reason::CloneFailed, ctx.skb.failures().into());
    }
}
