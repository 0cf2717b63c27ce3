//! Which programs run where? One a hook: view the frame, decide, count, act. Every decision is `ipvl_core`'s.
#![no_std]
#![no_main]

mod act;
mod flood;
mod maps;
mod route;
mod skb;

use act::PacketCtx;
use aya_ebpf::{macros::classifier, programs::TcContext};
use ipvl_core::{Verdict, WIRE, fastpath};
use maps::Maps;
use skb::Skb;

/// What leaves a slave: the host end's ingress. With netkit it is a hook in the slave's own sending, and the ingress is for
/// what that hands on. One program for both: it lives as long as either is used.
#[classifier]
pub fn slave_xmit(context: TcContext) -> i32 {
    let skb = Skb { context };
    if let Some(slot) = skb.handed_on_to() {
        return PacketCtx { skb: &skb, source: WIRE }.take_over(slot);
    }
    let source = Maps.slot_of(skb.ifindex());
    let ctx = PacketCtx { skb: &skb, source };
    let action = match fastpath::egress(&skb, &Maps, source) {
        Some(fast) => match ctx.act_at_once(fast) {
            Some(action) => return action,
            None => routed_egress(&skb),
        },
        None => act_on_egress(&skb, egress(&skb)),
    };
    ctx.finish(action)
}

/// What the master receives: its ingress.
#[classifier]
pub fn master_rx(context: TcContext) -> i32 {
    let skb = Skb { context };
    match fastpath::ingress(&skb, &Maps) {
        Some(fast) => PacketCtx { skb: &skb, source: WIRE }.act_at_once(fast).unwrap_or(act::HOST),
        None => act_on_ingress(&skb, ingress(&skb)),
    }
}

/// The whole decision. A function of the frame alone, so that the verifier looks at it once, whatever it has learnt
/// before; and one for each step, because all that call each other share 512 bytes of stack.
#[inline(never)]
fn egress(skb: &Skb) -> Verdict {
    skb.pull();
    let slot = Maps.slot_of(skb.ifindex());
    ipvl_core::egress(skb, &Maps, (slot != WIRE).then_some(slot))
}

#[inline(never)]
fn act_on_egress(skb: &Skb, verdict: Verdict) -> i32 {
    PacketCtx { skb, source: Maps.slot_of(skb.ifindex()) }.act(verdict)
}

#[inline(never)]
fn routed_egress(skb: &Skb) -> i32 {
    let ctx = PacketCtx { skb, source: Maps.slot_of(skb.ifindex()) };
    route::again(&ctx).unwrap_or_else(|| ctx.route())
}

#[inline(never)]
fn ingress(skb: &Skb) -> Verdict {
    skb.pull();
    ipvl_core::ingress(skb, &Maps)
}

#[inline(never)]
fn act_on_ingress(skb: &Skb, verdict: Verdict) -> i32 {
    PacketCtx { skb, source: WIRE }.act(verdict)
}

/// Addresses, which are words, are compared by this. The compiler's own goes byte by byte and takes a hundred bytes of
/// stack for it. Only whether they are equal is asked for here, so any order will do.
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
