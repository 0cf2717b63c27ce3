//! How does a frame become the reply to itself, or the ICMP error about itself?
//!
//! Each step is a function of its own and reads its input from the frame or the context again: functions that call each
//! other share 512 bytes of stack.

use crate::ctx::{failure, store};
use crate::maps::Maps;
use crate::skb::Skb;
use aya_ebpf::helpers::generated::{bpf_skb_change_head, bpf_skb_change_tail};
use ipvl_core::wire::{ETH_DST, ETH_HLEN};
use ipvl_core::{
    ADVERTISEMENT_HEAD, ADVERTISEMENT_LEN, PortEntry, QUOTE_4, QUOTE_6, Reply, icmp_error_v4, icmp_error_v6,
};

/// Writes the MAC address of the slaves as the destination. A link of a bond may have received the frame at an address of
/// its own, which the slave's device does not accept.
#[inline(never)]
pub fn address_to_slave(skb: &Skb) {
    if let Some((port, _)) = Maps.port_and_router()
        && !port.has(PortEntry::IP_ONLY)
    {
        store(skb, ETH_DST, &port.mac.0);
    }
}

/// Turns an ARP request into its reply.
#[inline(never)]
pub fn become_arp_reply(skb: &Skb) -> bool {
    let reply = Maps.port_and_router().and_then(|(port, _)| Reply::to(skb, port.mac)?.arp());
    reply.is_some_and(|frame| become_frame(skb, &frame))
}

/// Turns a neighbour solicitation into its advertisement. The message is written first: both parts need the
/// solicitation's addresses, which the head overwrites.
#[inline(always)]
pub fn become_advertisement(skb: &Skb) -> bool {
    // SAFETY: a valid context.
    let resized = unsafe { bpf_skb_change_tail(skb.raw(), ADVERTISEMENT_LEN as u32, 0) == 0 };
    resized && write_advertisement_message(skb) && write_advertisement_head(skb)
}

#[inline(never)]
fn write_advertisement_message(skb: &Skb) -> bool {
    let reply = Maps.port_and_router().and_then(|(port, _)| Reply::to(skb, port.mac));
    reply.is_some_and(|reply| store(skb, ADVERTISEMENT_HEAD, &reply.advertisement_message()))
}

#[inline(never)]
fn write_advertisement_head(skb: &Skb) -> bool {
    let reply = Maps.port_and_router().and_then(|(port, _)| Reply::to(skb, port.mac));
    reply.is_some_and(|reply| store(skb, 0, &reply.advertisement_head()))
}

/// Turns a dropped IPv4 packet into the ICMP error about it, if there is to be one.
#[inline(never)]
pub fn become_icmp_error_v4(skb: &Skb) -> bool {
    let (reason, mtu) = failure(skb);
    let head = Maps.port_and_router().and_then(|(port, router)| icmp_error_v4(skb, reason, mtu, port.mac, router));
    head.is_some_and(|head| quote_behind(skb, &head, QUOTE_4))
}

/// The same for IPv6.
#[inline(never)]
pub fn become_icmp_error_v6(skb: &Skb) -> bool {
    let (reason, mtu) = failure(skb);
    let head = Maps.port_and_router().and_then(|(port, router)| icmp_error_v6(skb, reason, mtu, port.mac, router));
    head.is_some_and(|head| quote_behind(skb, &head, QUOTE_6))
}

/// Cuts the packet down to its first `quoted` bytes, and replaces the Ethernet header before them by `head`.
#[inline(always)]
fn quote_behind<const N: usize>(skb: &Skb, head: &[u8; N], quoted: usize) -> bool {
    // SAFETY: a valid context.
    let resized = unsafe {
        bpf_skb_change_tail(skb.raw(), (ETH_HLEN + quoted) as u32, 0) == 0
            && bpf_skb_change_head(skb.raw(), (N - ETH_HLEN) as u32, 0) == 0
    };
    resized && store(skb, 0, head)
}

#[inline(always)]
fn become_frame<const N: usize>(skb: &Skb, frame: &[u8; N]) -> bool {
    // SAFETY: a valid context.
    let resized = unsafe { bpf_skb_change_tail(skb.raw(), N as u32, 0) == 0 };
    resized && store(skb, 0, frame)
}
