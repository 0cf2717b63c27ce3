//! How does one frame reach thousands of slaves?
//!
//! Each copy waits in the per-CPU backlog (`netdev_max_backlog`, 1000), so copies are made in chunks. After a chunk, the
//! frame itself is queued behind its copies and comes back to this hook with the next slot in its mark.

use crate::ctx::PacketCtx;
use crate::maps::Maps;
use crate::skb::Skb;
use ipvl_core::maps::FLOOD_CHUNK;
use ipvl_core::*;

/// Carries out the flood of the stored verdict. Values pass from step to step by way of the context, so that the
/// verifier forgets them: it checks the loop over the slaves once, and not once for each kind of flood.
#[inline(never)]
pub fn flood(ctx: &PacketCtx) -> i32 {
    let resumed = ctx.skb.resumed_at();
    if resumed.is_none() {
        record(ctx);
    }
    ctx.skb.clear_mark();
    let Action::Flood(flood) = ctx.skb.load_verdict().action() else { return ctx.consume() };
    let (first, end) = flood.slots(&Maps.port());
    let start = match resumed {
        Some(next) => next,
        None if is_within_limit(ctx, end - first) => first,
        None => end,
    };
    let filter = launder(ctx.skb, flood.filter(ctx.skb, &Maps));
    let [start, end] = ctx.skb.launder([start, end]);
    copy_chunk(ctx, filter, start, end);
    if end.saturating_sub(start) > FLOOD_CHUNK {
        return ctx.requeue(start + FLOOD_CHUNK);
    }
    finish(ctx, ctx.skb.load_verdict().then())
}

/// Sends the frame itself on, after its copies.
#[inline(always)]
fn finish(ctx: &PacketCtx, then: FloodThen) -> i32 {
    match then {
        FloodThen::Wire => ctx.wire(),
        FloodThen::Host => ctx.host(),
        FloodThen::WireAndHost => {
            ctx.copy_to(Maps.port().master);
            ctx.host()
        }
        FloodThen::Nowhere => ctx.consume(),
    }
}

/// See [`Skb::launder`]. Mask and value share a word: no property of a slave that they compare is above bit 15.
#[inline(always)]
fn launder<'a>(skb: &Skb, filter: FloodFilter<'a>) -> FloodFilter<'a> {
    let [bits, from, exempt] = skb.launder([filter.mask | filter.want << 16, filter.from, filter.exempt]);
    FloodFilter { mask: bits & 0xffff, want: bits >> 16, from, exempt, members: filter.members }
}

/// Records a frame that is here for the first time: membership reports for the agent, and what the switch may send back.
#[inline(never)]
fn record(ctx: &PacketCtx) {
    if ctx.source != WIRE && is_membership_report(ctx.skb) {
        Maps.report_membership(ctx.source);
    }
    let Action::Flood(flood) = ctx.skb.load_verdict().action() else { return };
    if flood.reaches_wire() {
        Maps.remember_sender(digest(ctx.skb), flood.from);
    }
}

/// Whether the frame's source may have this many copies made.
#[inline(always)]
fn is_within_limit(ctx: &PacketCtx, copies: u32) -> bool {
    let allowed = copies <= 1 || Maps.take_tokens(ctx.source, copies);
    if !allowed {
        Maps.count_drop(ctx.source, Reason::FloodLimit);
    }
    allowed
}

/// Copies the frame to the slaves of one chunk. The number of failures is kept in the context: in a register, the verifier
/// would check the rest of the loop for each of its values.
#[inline(always)]
fn copy_chunk(ctx: &PacketCtx, filter: FloodFilter<'_>, start: u32, end: u32) {
    ctx.skb.set_failures(0);
    for step in 0..FLOOD_CHUNK {
        let [slot] = ctx.skb.launder([start + step]).map(Slot);
        let Some(slave) = Maps.slave_entry(slot).filter(|_| slot.0 < end) else { break };
        if filter.admits(slot, slave) && !ctx.copy_to(slave.host_end) {
            ctx.skb.set_failures(ctx.skb.failures() + 1);
        }
    }
    if ctx.skb.failures() != 0 {
        Maps.count_drops(ctx.source, Reason::CloneFailed, ctx.skb.failures().into());
    }
}
