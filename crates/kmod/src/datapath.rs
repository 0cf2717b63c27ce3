//! What becomes of a frame? For each place where C has one in its hands. All are called by readers (RCU).

use crate::dhcp;
use crate::memory::now;
use crate::tables::State;
use crate::view::View;
use core::sync::atomic::Ordering::Relaxed;
use ipvl_core::wire::{ETH_HLEN, Ethernet};
use ipvl_core::*;

/// The verdict on what the slave in `slot` sends.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_egress(state: &State, view: &View, slot: u32) -> u64 {
    match fastpath::egress(view, state, Slot(slot)) {
        Some(fast) => from_slave(state, view, slot, fast.verdict),
        None => full_egress(state, view, slot),
    }
}

#[inline(always)]
fn from_slave(state: &State, view: &View, slot: u32, verdict: Verdict) -> u64 {
    match verdict.action() {
        Action::Host if state.slave(Slot(slot)).mode() == Mode::L3s && !is_for_slave(state, view) => HOST_OUTPUT,
        _ => word(verdict),
    }
}

/// For C alone: in l3s the host's stack takes a slave's packet where it takes its own, as with the C driver: before
/// OUTPUT. One for a sibling that is to be met there it takes as one that the master received: before PREROUTING.
const HOST_OUTPUT: u64 = 9;

fn is_for_slave(state: &State, view: &View) -> bool {
    destination(view).is_some_and(|dst| matches!(state.owner(dst), Owner::Slave(_)))
}

#[inline(never)]
fn full_egress(state: &State, view: &View, slot: u32) -> u64 {
    let verdict = egress(view, state, Some(Slot(slot)));
    from_slave(state, view, slot, verdict) | dhcp::mark(state, view, Slot(slot), verdict)
}

/// The verdict on what the master receives.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_ingress(state: &State, view: &View) -> u64 {
    match fastpath::ingress(view, state) {
        Some(fast) => word(fast.verdict),
        None => full_ingress(state, view),
    }
}

#[inline(never)]
fn full_ingress(state: &State, view: &View) -> u64 {
    let verdict = ingress(view, state);
    word(verdict) | dhcp::mark(state, view, WIRE, verdict)
}

/// The verdict on what the host sends out of the master.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_output(state: &State, view: &View) -> u64 {
    let verdict = output(view, state);
    let of_dhcp = state.port_ref().is_some_and(|port| port.has(PortEntry::DHCP));
    word(verdict) | if of_dhcp { dhcp::mark(state, view, WIRE, verdict) } else { 0 }
}

/// The slot of the l3s slave that has an address (IPv4: mapped), or -1.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_l3s_receiver(state: &State, addr: &[u8; 16]) -> i32 {
    let Owner::Slave(slot) = state.owner(Addr(*addr)) else { return -1 };
    let slave = state.slave(slot);
    if slave.mode() == Mode::L3s && slave.up() { slot.0 as i32 } else { -1 }
}

/// What a route lookup's failure (an errno, or 0 with the MTU that the packet exceeds) makes of a packet.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_route_refused(view: &View, errno: i32) -> u64 {
    const EACCES: i32 = 13;
    const EINVAL: i32 = 22;
    const EMSGSIZE: i32 = 90;
    const EHOSTUNREACH: i32 = 113;
    let answer = match errno {
        EMSGSIZE => RouteAnswer::TooBig,
        EINVAL => RouteAnswer::Blackhole,
        EACCES => RouteAnswer::Prohibit,
        EHOSTUNREACH => RouteAnswer::Unreachable,
        _ => RouteAnswer::NoRoute,
    };
    let outcome = RouteLookup::of(view).map(|lookup| lookup.outcome(answer));
    word(match outcome {
        Some(Err(verdict)) => verdict,
        Some(Ok(_)) => Action::Route.into(),
        None => Reason::Truncated.into(),
    })
}

/// Writes the first slots from `slot` on that get a copy of a flooded frame, as many as there are and have room; how many.
///
/// # Safety
/// `room` slots are at `out`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipvl_flood_next(
    state: &State,
    view: &View,
    verdict: u64,
    slot: u32,
    out: *mut u32,
    room: usize,
) -> usize {
    // SAFETY: the caller's promise.
    let out = unsafe { core::slice::from_raw_parts_mut(out, room) };
    let Some(receivers) = receivers(state, view, verdict, slot) else { return 0 };
    out.iter_mut().zip(receivers).fold(0, |written, (place, slot)| {
        *place = slot;
        written + 1
    })
}

/// The slots from `slot` on that get a copy of a flooded frame.
#[inline(always)]
fn receivers(state: &State, view: &View, verdict: u64, slot: u32) -> Option<impl Iterator<Item = u32>> {
    let Action::Flood(flood) = action(verdict) else { return None };
    let slots = state.slots.get()?;
    let (first, end) = state.range(&flood);
    let members = flood.filter(view, state);
    let all = FloodFilter { exempt: u32::MAX, ..members };
    let group = Ethernet::parse(view)?.dst;
    Some((slot.max(first)..end).filter(move |slot| {
        let Some(entry) = slots.get(Slot(*slot)) else { return false };
        let slave = entry.slave();
        all.admits(Slot(*slot), slave) && (members.admits(Slot(*slot), slave) || entry.hears(group))
    }))
}

/// How many of a source's frames may wait to be copied.
const WAITING: u32 = 1000;

/// What a flood comes to: 0 if there is nobody to get a copy, 1 if copies are to be made, 2 if the source has used up
/// its budget, or has too many frames `waiting`. The sender of what goes to the wire is remembered.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_flood_begin(state: &State, view: &View, verdict: u64, waiting: u32) -> u32 {
    let Action::Flood(flood) = action(verdict) else { return 0 };
    let now = now();
    if flood.reaches_wire() {
        state.sent.remember(digest(view), flood.from, now);
    }
    let Some(bucket) = state.bucket(flood.from) else { return 0 };
    if receivers(state, view, verdict, 0).and_then(|mut slots| slots.next()).is_none() {
        return 0;
    }
    let (first, end) = state.range(&flood);
    let paid = TokenBucket(bucket.load(Relaxed)).take(flood.from, end - first, now);
    if let Some(after) = paid {
        bucket.store(after.0, Relaxed);
    }
    if (paid.is_some() || end - first <= 1) && waiting < WAITING { 1 } else { 2 }
}

/// Writes the reply to a question that is answered here; its length, or 0 if there is none.
///
/// # Safety
/// `room` bytes are at `out`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipvl_answer(state: &State, view: &View, out: *mut u8, room: usize) -> usize {
    let Some(reply) = Reply::to(view, state.port().mac) else { return 0 };
    // SAFETY: the caller's promise.
    let mut out = unsafe { Out::new(out, room) };
    match reply.arp() {
        Some(arp) => out.push(&arp),
        None => out.push(&reply.advertisement()),
    }
    out.len()
}

/// Whether the sender of a packet with this verdict can get an ICMP error.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_is_told(verdict: u64) -> bool {
    matches!(action(verdict), Action::Drop(reason) if reason.has_icmp_error())
}

/// Writes the ICMP error about a dropped packet; its length, or 0 if there is none. `router` is the host's address
/// (IPv4: mapped).
///
/// # Safety
/// `room` bytes are at `out`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipvl_icmp_error(
    state: &State,
    view: &View,
    verdict: u64,
    mtu: u32,
    router: &[u8; 16],
    out: *mut u8,
    room: usize,
) -> usize {
    let Action::Drop(reason) = action(verdict) else { return 0 };
    let address = Addr(*router);
    let router = Router { v4: address.as_v4().unwrap_or_default(), v6: address };
    let (mtu, mac) = (if mtu == 0 { state.port().mtu } else { mtu }, state.port().mac);
    // SAFETY: the caller's promise.
    let mut out = unsafe { Out::new(out, room) };
    if let Some(head) = icmp_error_v4(view, reason, mtu, mac, &router) {
        out.push(&head);
        out.push(&view.read::<QUOTE_4>(ETH_HLEN).unwrap_or([0; QUOTE_4]));
    } else if let Some(head) = icmp_error_v6(view, reason, mtu, mac, &router) {
        out.push(&head);
        out.push(&view.read::<QUOTE_6>(ETH_HLEN).unwrap_or([0; QUOTE_6]));
    }
    out.len()
}

/// A buffer of C that is filled from the front; what does not fit leaves it empty.
struct Out<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl Out<'_> {
    /// # Safety
    /// `room` bytes are at `out`.
    unsafe fn new(out: *mut u8, room: usize) -> Self {
        // SAFETY: the caller's promise.
        Self { room: unsafe { core::slice::from_raw_parts_mut(out, room) }, len: 0 }
    }

    fn push<const N: usize>(&mut self, bytes: &[u8; N]) {
        match self.room.get_mut(self.len..).and_then(|rest| rest.first_chunk_mut::<N>()) {
            Some(place) => {
                *place = *bytes;
                self.len += N;
            }
            None => self.len = 0,
        }
    }

    fn len(&self) -> usize {
        self.len
    }
}

fn action(verdict: u64) -> Action {
    dhcp::verdict(verdict).action()
}

#[inline(always)]
fn word(verdict: Verdict) -> u64 {
    let [low, high] = verdict.words();
    u64::from(low) | u64::from(high) << 32
}
