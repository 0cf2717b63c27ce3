//! Which program runs at which hook? Each views the frame, decides, counts and acts; every decision is `ipvl_core`'s.
//!
//! Modules, from the top: `act`, `policy`; `flood`, `route`, `rewrite`, `dhcp`, `watch`; `ctx`; `maps`, `skb`.
#![no_std]
#![no_main]

mod act;
mod ctx;
mod dhcp;
mod flood;
mod maps;
mod policy;
mod rewrite;
mod route;
mod skb;
mod watch;

use aya_ebpf::{macros::classifier, programs::TcContext};
use ctx::PacketCtx;
use ipvl_core::policy::Direction;
use ipvl_core::{Verdict, WIRE, fastpath};
use maps::Maps;
use skb::Skb;

/// What a slave sends, at the host end's ingress. With netkit, it runs in the slave's own sending, and at the host end's
/// ingress for what the first hook has deferred. Both hooks have the same program: it is loaded for as long as one of them
/// uses it.
#[classifier]
pub fn slave_xmit(context: TcContext) -> i32 {
    let skb = Skb { context };
    if let Some(slot) = skb.deferred_to() {
        return PacketCtx { skb: &skb, source: WIRE }.act_deferred(slot);
    }
    let source = Maps.slot_of(skb.ifindex());
    let ctx = PacketCtx { skb: &skb, source };
    let action = match fastpath::egress(&skb, &Maps, source) {
        Some(fast) => match ctx.act_fast(fast) {
            Some(action) => return action,
            None => routed_egress(&skb),
        },
        None => {
            let verdict = skb.launder_verdict(egress(&skb));
            let verdict = skb.launder_verdict(within_rate(&skb, verdict));
            dhcp::prepare(&skb, verdict);
            act_on_egress(&skb, verdict)
        }
    };
    ctx.finish(action)
}

/// What the master receives, at its ingress.
#[classifier]
pub fn master_rx(context: TcContext) -> i32 {
    let skb = Skb { context };
    match fastpath::ingress(&skb, &Maps) {
        Some(fast) => PacketCtx { skb: &skb, source: WIRE }.act_fast(fast).unwrap_or(ctx::HOST),
        None => {
            let verdict = skb.launder_verdict(ingress(&skb));
            let verdict = skb.launder_verdict(unless_redirect(&skb, verdict));
            dhcp::prepare(&skb, verdict);
            act_on_ingress(&skb, verdict)
        }
    }
}

/// What a slave with a policy sends, before [`slave_xmit`] sees it.
#[classifier]
pub fn policy_out(context: TcContext) -> i32 {
    policy::enforce(&Skb { context }, Direction::Out)
}

/// What a slave with a policy is to receive, at the host end's egress.
#[classifier]
pub fn policy_in(context: TcContext) -> i32 {
    policy::enforce(&Skb { context }, Direction::In)
}

/// The decision without the fast path. It is a function of the frame alone, so that the verifier checks it once, whatever
/// it knows from before. Each step below is a function too: all that call each other share 512 bytes of stack.
#[inline(never)]
fn egress(skb: &Skb) -> Verdict {
    skb.pull();
    let slot = Maps.slot_of(skb.ifindex());
    ipvl_core::egress(skb, &Maps, (slot != WIRE).then_some(slot))
}

/// What goes on with a flood has been paid for.
#[inline(never)]
fn within_rate(skb: &Skb, verdict: Verdict) -> Verdict {
    if skb.resumed_at().is_some() {
        return verdict;
    }
    ipvl_core::within_rate(&Maps, Maps.slot_of(skb.ifindex()), skb.wire_bytes(), verdict)
}

#[inline(never)]
fn act_on_egress(skb: &Skb, verdict: Verdict) -> i32 {
    let source = Maps.slot_of(skb.ifindex());
    watch::told(skb, source, PacketCtx { skb, source }.act(verdict))
}

#[inline(never)]
fn routed_egress(skb: &Skb) -> i32 {
    let ctx = PacketCtx { skb, source: Maps.slot_of(skb.ifindex()) };
    route::by_cached_nexthop(&ctx).unwrap_or_else(|| ctx.route())
}

#[inline(never)]
fn ingress(skb: &Skb) -> Verdict {
    skb.pull();
    ipvl_core::receive(skb, &Maps)
}

#[inline(never)]
fn unless_redirect(skb: &Skb, verdict: Verdict) -> Verdict {
    ipvl_core::refuse_redirect(skb, &Maps, verdict)
}

#[inline(never)]
fn act_on_ingress(skb: &Skb, verdict: Verdict) -> i32 {
    watch::told(skb, WIRE, PacketCtx { skb, source: WIRE }.act(verdict))
}

/// Compares addresses, which are whole words. The compiler's own function compares byte by byte and takes a hundred bytes
/// of stack. The result says only whether the bytes are equal; its sign means nothing.
///
/// # Safety
/// `n` bytes must be there on both sides.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u32, b: *const u32, n: usize) -> i32 {
    let mut difference = 0;
    for at in 0..n / 4 {
        // SAFETY: less than `n` bytes; addresses are aligned, and packets need not be.
        difference |= unsafe { *a.add(at) ^ *b.add(at) };
    }
    i32::from(difference != 0)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
