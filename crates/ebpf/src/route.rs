//! How does an l3 packet leave by the host's routing table?
//!
//! In IPv4, `bpf_redirect_neigh` alone would ignore blackhole, unreachable and prohibit routes, so `bpf_fib_lookup` is
//! called first. In IPv6, `bpf_fib_lookup` answers only if the host end forwards, and to switch that on may delete routes
//! that the host has learnt from router advertisements. Where forwarding is off, `bpf_redirect_neigh` looks up the route
//! itself: out of the master only, and packets without a route are dropped uncounted.

use crate::ctx::{PacketCtx, redirect, store};
use crate::maps::Maps;
use aya_ebpf::bindings::{
    BPF_FIB_LKUP_RET_BLACKHOLE, BPF_FIB_LKUP_RET_FRAG_NEEDED, BPF_FIB_LKUP_RET_FWD_DISABLED, BPF_FIB_LKUP_RET_NO_NEIGH,
    BPF_FIB_LKUP_RET_NOT_FWDED, BPF_FIB_LKUP_RET_PROHIBIT, BPF_FIB_LKUP_RET_SUCCESS, BPF_FIB_LKUP_RET_UNREACHABLE,
    bpf_fib_lookup as FibLookup, bpf_redir_neigh as NextHop,
};
use aya_ebpf::helpers::generated::{bpf_fib_lookup, bpf_redirect_neigh};
use core::mem::transmute;
use core::ptr::null_mut;
use ipvl_core::maps::NexthopKey;
use ipvl_core::wire::{ETH_DST, Ethernet};
use ipvl_core::*;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// The result of a route lookup: the TC action of a redirect that has been set up, or one of the values below. It is one
/// number because it crosses a call: carrying out all of it here would take too much stack beside the lookup.
#[derive(PartialEq, Eq)]
pub struct RouteOutcome(pub u32);

impl RouteOutcome {
    /// Up the host's stack.
    pub const HOST: Self = Self(0x100);
    const REFUSED: u32 = 0x200;

    /// To be dropped; `mtu` is that of the route if the packet exceeds it, else 0.
    fn refused(reason: Reason, mtu: u16) -> Self {
        Self(u32::from(mtu) << 16 | Self::REFUSED | reason as u32)
    }

    /// The reason for a drop and the MTU, if the packet is to be dropped.
    #[inline(always)]
    pub fn refusal(&self) -> Option<(Reason, u32)> {
        (self.0 & Self::REFUSED != 0).then(|| (Reason::from_number(self.0 & 0xff), self.0 >> 16))
    }
}

/// Asks the routing table, and redirects to the next hop that it gives.
#[inline(never)]
pub fn by_table(ctx: &PacketCtx) -> RouteOutcome {
    let port = Maps.port();
    ctx.skb.clear_mark();
    let Some(key) = RouteLookup::of(ctx.skb) else { return RouteOutcome::refused(Reason::Truncated, 0) };
    let mut fib = fib_params(&key, ctx.skb.ifindex());
    match look_up(ctx, &key, &mut fib).map_err(Verdict::action) {
        Ok(way_out) => {
            ctx.count_sent();
            cache_nexthop(ctx, &port, &fib);
            RouteOutcome(match way_out {
                WayOut::NextHop => redirect_neigh(&port, IfIndex(fib.ifindex), Some(next_hop(&fib))),
                WayOut::Master => redirect_neigh(&port, port.master, None),
            } as u32)
        }
        // SAFETY: both halves of this union are the same two bytes; the kernel wrote the MTU there if the packet exceeds it.
        Err(Action::Drop(reason)) => RouteOutcome::refused(reason, unsafe { fib.__bindgen_anon_1.mtu_result }),
        Err(_) => RouteOutcome::HOST,
    }
}

/// To the next hop that the routing table gave for such a packet a moment ago; `None` if it is not cached.
#[inline(always)]
pub fn by_cached_nexthop(ctx: &PacketCtx) -> Option<i32> {
    let (key, len) = NexthopKey::of(ctx.skb, ctx.source)?;
    let macs = Maps.next_hop(&key, len)?;
    if !store(ctx.skb, ETH_DST, macs) {
        return None;
    }
    ctx.count_sent();
    Some(ctx.wire())
}

/// Caches the next hop for such packets, if its MAC address is known and its device is the master. The link-layer header
/// of another device may be of another kind.
#[inline(always)]
fn cache_nexthop(ctx: &PacketCtx, port: &PortEntry, fib: &FibLookup) {
    if fib.ifindex != port.master.0 || fib.dmac == [0; 6] || port.has(PortEntry::IP_ONLY) {
        return;
    }
    let Some((key, len)) = NexthopKey::of(ctx.skb, ctx.source) else { return };
    Maps.cache_next_hop(&key, len, Ethernet::addresses(Mac(fib.dmac), Mac(fib.smac)));
}

/// Out of the master, to the packet's destination as a neighbour.
#[inline(never)]
pub fn on_link(ctx: &PacketCtx) -> i32 {
    let port = Maps.port();
    ctx.skb.clear_mark();
    let Some(dst) = destination(ctx.skb) else { return ctx.drop(Reason::Truncated) };
    let mut next = zero_next_hop();
    match dst.as_v4() {
        Some(ip) => {
            next.nh_family = AF_INET.into();
            next.__bindgen_anon_1.ipv4_nh = u32::from_ne_bytes(ip);
        }
        None => {
            next.nh_family = AF_INET6.into();
            next.__bindgen_anon_1.ipv6_nh = words(dst);
        }
    }
    redirect_neigh(&port, port.master, Some(next))
}

#[inline(always)]
fn look_up(ctx: &PacketCtx, key: &RouteLookup, fib: &mut FibLookup) -> Result<WayOut, Verdict> {
    if !key.is_for_table() {
        return Ok(WayOut::Master);
    }
    // SAFETY: a valid context, and a structure of the stated size.
    let answer = unsafe { bpf_fib_lookup(ctx.skb.raw().cast(), fib, size_of::<FibLookup>() as i32, 0) };
    key.outcome(route_answer(answer as u32))
}

/// What a result of `bpf_fib_lookup` means (`BPF_FIB_LKUP_RET_*`).
#[inline(always)]
fn route_answer(result: u32) -> RouteAnswer {
    match result {
        BPF_FIB_LKUP_RET_SUCCESS | BPF_FIB_LKUP_RET_NO_NEIGH => RouteAnswer::NextHop,
        BPF_FIB_LKUP_RET_BLACKHOLE => RouteAnswer::Blackhole,
        BPF_FIB_LKUP_RET_UNREACHABLE => RouteAnswer::Unreachable,
        BPF_FIB_LKUP_RET_PROHIBIT => RouteAnswer::Prohibit,
        BPF_FIB_LKUP_RET_NOT_FWDED => RouteAnswer::NoRoute,
        BPF_FIB_LKUP_RET_FWD_DISABLED => RouteAnswer::NotForwarding,
        BPF_FIB_LKUP_RET_FRAG_NEEDED => RouteAnswer::TooBig,
        // Lightweight tunnels, and errors of the call itself.
        _ => RouteAnswer::Unsupported,
    }
}

/// The parameters of `bpf_fib_lookup` for a packet received by the device `input`.
#[inline(always)]
fn fib_params(key: &RouteLookup, input: IfIndex) -> FibLookup {
    let mut fib = zero_fib();
    fib.l4_protocol = key.protocol;
    fib.ifindex = input.0;
    fib.__bindgen_anon_1.tot_len = key.len;
    match (key.src.as_v4(), key.dst.as_v4()) {
        (Some(src), Some(dst)) => {
            fib.family = AF_INET;
            fib.__bindgen_anon_2.tos = key.class as u8;
            fib.__bindgen_anon_3.ipv4_src = u32::from_ne_bytes(src);
            fib.__bindgen_anon_4.ipv4_dst = u32::from_ne_bytes(dst);
        }
        _ => {
            fib.family = AF_INET6;
            fib.__bindgen_anon_2.flowinfo = key.class;
            fib.__bindgen_anon_3.ipv6_src = words(key.src);
            fib.__bindgen_anon_4.ipv6_dst = words(key.dst);
        }
    }
    fib
}

/// Zeros, written word by word; the compiler would write them byte by byte.
#[inline(always)]
fn zero_fib() -> FibLookup {
    // SAFETY: all zero is a valid value of this structure.
    unsafe { transmute([0_u64; 8]) }
}

#[inline(always)]
fn zero_next_hop() -> NextHop {
    // SAFETY: as above.
    unsafe { transmute([0_u32; 5]) }
}

/// The next hop that the lookup wrote into its parameters: a gateway of either family, or the destination itself.
#[inline(always)]
fn next_hop(fib: &FibLookup) -> NextHop {
    let mut next = zero_next_hop();
    // SAFETY: every bit pattern is a valid address.
    unsafe {
        next.nh_family = fib.family.into();
        if fib.family == AF_INET {
            next.__bindgen_anon_1.ipv4_nh = fib.__bindgen_anon_4.ipv4_dst;
        } else {
            next.__bindgen_anon_1.ipv6_nh = fib.__bindgen_anon_4.ipv6_dst;
        }
        next
    }
}

/// Out of the device `ifindex`; the kernel resolves the neighbour and writes the Ethernet header.
#[inline(always)]
fn redirect_neigh(port: &PortEntry, ifindex: IfIndex, next: Option<NextHop>) -> i32 {
    if port.has(PortEntry::IP_ONLY) && ifindex == port.master {
        return redirect(ifindex, 0);
    }
    // SAFETY: a structure of the stated size, or none.
    unsafe {
        match next {
            Some(mut next) => bpf_redirect_neigh(ifindex.0, &mut next, size_of::<NextHop>() as i32, 0) as i32,
            None => bpf_redirect_neigh(ifindex.0, null_mut(), 0, 0) as i32,
        }
    }
}

#[inline(always)]
fn words(addr: Addr) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = addr.0;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]].map(u32::from_ne_bytes)
}
