//! How does an l3 packet leave by the host's routing table?
//!
//! `bpf_redirect_neigh` alone would ignore what the table says in IPv4, so the table is asked first. In IPv6 it can be
//! asked only if the host end forwards, which may have cost the host routes that it learnt from router advertisements;
//! else the helper looks up the route itself: out of the master only, and what the table refuses is dropped uncounted.

use crate::act::{PacketCtx, redirect, store};
use crate::maps::Maps;
use aya_ebpf::bindings::{bpf_fib_lookup as Question, bpf_redir_neigh as NextHop};
use aya_ebpf::helpers::generated::{bpf_fib_lookup, bpf_redirect_neigh};
use core::mem::transmute;
use core::ptr::null_mut;
use ipvl_core::wire::{ETH_DST, Ethernet};
use ipvl_core::*;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// What a route lookup leads to: a TC action that is already under way, or one of these. One number, since it crosses a
/// call, and what is done about it takes as much of the stack as the lookup.
#[derive(PartialEq, Eq)]
pub struct Outcome(pub u32);

impl Outcome {
    /// Up the host's stack.
    pub const HOST: Self = Self(0x100);
    const REFUSED: u32 = 0x200;

    /// To be dropped, since the way has this MTU, or for another reason.
    fn refused(reason: Reason, mtu: u16) -> Self {
        Self(u32::from(mtu) << 16 | Self::REFUSED | reason as u32)
    }

    /// Why it is to be dropped, if it is, and the MTU.
    #[inline(always)]
    pub fn refusal(&self) -> Option<(Reason, u32)> {
        (self.0 & Self::REFUSED != 0).then(|| (Reason::from_number(self.0 & 0xff), self.0 >> 16))
    }
}

#[inline(never)]
pub fn by_table(ctx: &PacketCtx) -> Outcome {
    let port = Maps.port();
    ctx.skb.clear_mark();
    let Some(key) = Lookup::of(ctx.skb) else { return Outcome::refused(Reason::Truncated, 0) };
    let mut question = question(&key, ctx.skb.ifindex());
    match ask(ctx, &key, &mut question).map_err(Verdict::action) {
        Ok(way) => {
            ctx.count_sent();
            keep(ctx, &port, &question);
            Outcome(match way {
                RouteAnswer::NextHop => leave(&port, question.ifindex, Some(next_hop(&question))),
                RouteAnswer::NotAsked => leave(&port, port.master, None),
            } as u32)
        }
        // SAFETY: both halves of this union are the same two bytes; the kernel wrote the MTU there if the packet exceeds it.
        Err(Action::Drop(reason)) => Outcome::refused(reason, unsafe { question.__bindgen_anon_1.mtu_result }),
        Err(_) => Outcome::HOST,
    }
}

/// To where the last packet like it went, if that was just now.
#[inline(always)]
pub fn again(ctx: &PacketCtx) -> Option<i32> {
    let (nexthop_key, len) = NexthopKey::of(ctx.skb, ctx.source)?;
    let macs = Maps.next_hop(&nexthop_key, len)?;
    if !store(ctx.skb, ETH_DST, macs) {
        return None;
    }
    ctx.count_sent();
    Some(ctx.wire())
}

/// Keeps the way for packets like this one, if the next hop's MAC address is known, and the way is out of the master: of
/// other devices it is not known what their frames look like.
#[inline(always)]
fn keep(ctx: &PacketCtx, port: &PortEntry, question: &Question) {
    if question.ifindex != port.master || question.dmac == [0; 6] || port.has(PortEntry::IP_ONLY) {
        return;
    }
    let Some((nexthop_key, len)) = NexthopKey::of(ctx.skb, ctx.source) else { return };
    let macs = Ethernet::addresses(Mac(question.dmac), Mac(question.smac));
    Maps.remember_next_hop(&nexthop_key, len, macs);
}

#[inline(never)]
pub fn on_link(ctx: &PacketCtx) -> i32 {
    let port = Maps.port();
    ctx.skb.clear_mark();
    let Some(to) = destination(ctx.skb) else { return ctx.drop(Reason::Truncated) };
    let mut next = no_next_hop();
    match to.as_v4() {
        Some(ip) => {
            next.nh_family = AF_INET.into();
            next.__bindgen_anon_1.ipv4_nh = u32::from_ne_bytes(ip);
        }
        None => {
            next.nh_family = AF_INET6.into();
            next.__bindgen_anon_1.ipv6_nh = words(to);
        }
    }
    leave(&port, port.master, Some(next))
}

#[inline(always)]
fn ask(ctx: &PacketCtx, key: &Lookup, question: &mut Question) -> Result<RouteAnswer, Verdict> {
    if !key.is_for_table() {
        return Ok(RouteAnswer::NotAsked);
    }
    // SAFETY: a valid context, and a structure of the stated size.
    let answer = unsafe { bpf_fib_lookup(ctx.skb.raw().cast(), question, size_of::<Question>() as i32, 0) };
    key.outcome(answer as i64)
}

#[inline(always)]
fn question(key: &Lookup, input: u32) -> Question {
    let mut question = no_question();
    question.l4_protocol = key.protocol;
    question.ifindex = input;
    question.__bindgen_anon_1.tot_len = key.len;
    match (key.src.as_v4(), key.dst.as_v4()) {
        (Some(src), Some(dst)) => {
            question.family = AF_INET;
            question.__bindgen_anon_2.tos = key.class as u8;
            question.__bindgen_anon_3.ipv4_src = u32::from_ne_bytes(src);
            question.__bindgen_anon_4.ipv4_dst = u32::from_ne_bytes(dst);
        }
        _ => {
            question.family = AF_INET6;
            question.__bindgen_anon_2.flowinfo = key.class;
            question.__bindgen_anon_3.ipv6_src = words(key.src);
            question.__bindgen_anon_4.ipv6_dst = words(key.dst);
        }
    }
    question
}

/// Zeros, word by word: the compiler's own would go byte by byte.
#[inline(always)]
fn no_question() -> Question {
    // SAFETY: all zero is a valid value of this structure.
    unsafe { transmute([0_u64; 8]) }
}

#[inline(always)]
fn no_next_hop() -> NextHop {
    // SAFETY: as above.
    unsafe { transmute([0_u32; 5]) }
}

/// What the lookup left behind: the gateway, of either family, or the destination itself.
#[inline(always)]
fn next_hop(lookup: &Question) -> NextHop {
    let mut next = no_next_hop();
    // SAFETY: every bit pattern is a valid address.
    unsafe {
        next.nh_family = lookup.family.into();
        if lookup.family == AF_INET {
            next.__bindgen_anon_1.ipv4_nh = lookup.__bindgen_anon_4.ipv4_dst;
        } else {
            next.__bindgen_anon_1.ipv6_nh = lookup.__bindgen_anon_4.ipv6_dst;
        }
        next
    }
}

/// Out of the device `ifindex`; the kernel resolves the neighbour and writes the Ethernet header.
#[inline(always)]
fn leave(port: &PortEntry, ifindex: u32, next: Option<NextHop>) -> i32 {
    if port.has(PortEntry::IP_ONLY) && ifindex == port.master {
        return redirect(ifindex, 0);
    }
    // SAFETY: a structure of the stated size, or none.
    unsafe {
        match next {
            Some(mut next) => bpf_redirect_neigh(ifindex, &mut next, size_of::<NextHop>() as i32, 0) as i32,
            None => bpf_redirect_neigh(ifindex, null_mut(), 0, 0) as i32,
        }
    }
}

#[inline(always)]
fn words(addr: Addr) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = addr.0;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]].map(u32::from_ne_bytes)
}
