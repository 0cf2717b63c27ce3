//! How does a DHCP message become one that the server, or the client, can tell from a sibling's?
//!
//! Each step is a function of its own, as in `rewrite`.

use crate::ctx::store;
use crate::maps::Maps;
use crate::skb::Skb;
use aya_ebpf::bindings::{BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR};
use aya_ebpf::helpers::generated::{bpf_l3_csum_replace, bpf_l4_csum_replace, bpf_skb_change_tail};
use ipvl_core::dhcp::{self, Edit, Lengths, Task};
use ipvl_core::wire::{IPV4_LEN_AT, IPV4_SUM_AT, OptionsEnd, UDP_LEN_AT, UDP_SUM_AT};
use ipvl_core::{Slot, Tables, Verdict};

/// Does what is to be done with a DHCP message before its verdict is carried out; any other frame stays as it is.
#[inline(never)]
pub fn prepare(skb: &Skb, verdict: Verdict) -> i32 {
    let from = Maps.slot_of(skb.ifindex());
    match dhcp::task(skb, &Maps, from, verdict) {
        Some(Task::Identify) => identify(skb, from),
        Some(Task::Restore(to)) => restore(skb, to),
        None => 0,
    }
}

#[inline(always)]
fn identify(skb: &Skb, from: Slot) -> i32 {
    if let Some(xid) = dhcp::xid(skb) {
        Maps.remember_asker(xid, from);
    }
    let found = find(skb);
    grow(skb, found);
    write_identifier(skb, from, found)
}

#[inline(always)]
fn restore(skb: &Skb, to: Slot) -> i32 {
    let found = find(skb);
    write_original(skb, to, found)
}

#[inline(never)]
fn find(skb: &Skb) -> u32 {
    dhcp::find_identifier(skb).map_or(0, OptionsEnd::word)
}

#[inline(never)]
fn write_identifier(skb: &Skb, slot: Slot, found: u32) -> i32 {
    let edit = dhcp::identify(skb, Maps.port().mac, slot, OptionsEnd::from_word(found));
    edit.map_or(0, |edit| write(skb, &edit))
}

#[inline(never)]
fn write_original(skb: &Skb, slot: Slot, found: u32) -> i32 {
    let edit = dhcp::restore(skb, Maps.port().mac, slot, OptionsEnd::from_word(found));
    edit.map_or(0, |edit| write(skb, &edit))
}

#[inline(always)]
fn write(skb: &Skb, edit: &Edit) -> i32 {
    let stored = store(skb, edit.at, &edit.bytes) && change_sum(skb, 0, edit.sum.into(), 0);
    stored.into()
}

/// Makes room behind the options, and writes the new lengths.
#[inline(never)]
fn grow(skb: &Skb, found: u32) -> i32 {
    let Some(Lengths { udp, missing }) = dhcp::growth(skb, OptionsEnd::from_word(found)) else { return 0 };
    let len = skb.context.len() + u32::from(missing);
    // SAFETY: a valid context; nothing reads the frame through an older view after this.
    let resized = unsafe { bpf_skb_change_tail(skb.raw(), len, 0) == 0 };
    (resized && write_lengths(skb, udp, missing)).into()
}

#[inline(always)]
fn write_lengths(skb: &Skb, udp: u16, missing: u16) -> bool {
    const WORD: u64 = 2;
    const IPV4_HLEN: u16 = 20;
    let [old, new] = [udp, udp + missing].map(u16::to_be_bytes);
    let [old_total, new_total] = [udp + IPV4_HLEN, udp + missing + IPV4_HLEN].map(u16::to_be_bytes);
    let word = |bytes| u64::from(u16::from_ne_bytes(bytes));
    // SAFETY: a valid context.
    let total = unsafe {
        bpf_l3_csum_replace(skb.raw(), IPV4_SUM_AT as u32, word(old_total), word(new_total), WORD) == 0
    };
    total
        && store(skb, IPV4_LEN_AT, &new_total)
        && change_sum(skb, word(old), word(new), WORD)
        && change_sum(skb, word(old), word(new), WORD | BPF_F_PSEUDO_HDR as u64)
        && store(skb, UDP_LEN_AT, &new)
}

/// Changes the UDP checksum, if there is one.
#[inline(always)]
fn change_sum(skb: &Skb, from: u64, to: u64, flags: u64) -> bool {
    // SAFETY: a valid context.
    unsafe { bpf_l4_csum_replace(skb.raw(), UDP_SUM_AT as u32, from, to, flags | BPF_F_MARK_MANGLED_0 as u64) == 0 }
}
