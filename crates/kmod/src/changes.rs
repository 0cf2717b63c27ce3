//! How do the tables change? C calls these with the port's lock held, but for the sizes.
//!
//! Memory that may be large is allocated by C before it takes the lock, for as much as `..._wanted` says.

use crate::addresses::{Buckets, Refused};
use crate::memory::{boxed, free};
use crate::slots::{Groups, Slots};
use crate::tables::{Port, State};
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::Ordering::Relaxed;
use ipvl_core::*;

const ENOMEM: i32 = 12;
const ENOSPC: i32 = 28;
const EADDRINUSE: i32 = 98;

/// Bytes of a port's tables.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_tables_bytes() -> usize {
    size_of::<State>()
}

/// Frees what tables hold, but not the tables themselves: the port is gone, and no packet can find it.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_tables_free(state: &State) {
    state.addresses.free();
    for slot in 0..state.slots.get().map_or(0, Slots::used) {
        ipvl_slot_free(state, slot);
    }
    state.slots.replace(ptr::null_mut());
    state.port.replace(ptr::null_mut());
}

/// The master's ifindex, MTU and MAC address; 0 or -ENOMEM, and then all stays as it was.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_port_set(state: &State, master: u32, mtu: u32, mac: &[u8; 6]) -> i32 {
    let entry = PortEntry { master: IfIndex(master), mtu, mac: Mac(*mac), ..PortEntry::default() };
    let Some(port) = boxed(Port::new(entry)) else { return -ENOMEM };
    state.port.replace(port.as_ptr());
    0
}

/// How many slots to make room for, when all are taken; 0 if there can be no more.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_slots_wanted(state: &State) -> usize {
    Slots::wanted(state.slots.get()).unwrap_or(0)
}

/// Bytes of so many slots.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_slots_bytes(len: usize) -> usize {
    Slots::bytes(len)
}

/// Exchanges the slots for a larger array in `memory`, which is zeroed.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_slots_grow(state: &State, memory: &mut Slots, len: usize) {
    memory.fill(len, state.slots.get());
    state.slots.replace(ptr::from_mut(memory));
}

/// A slot for a new slave, or -ENOSPC: make room first.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_slot_take(state: &State, dev: *mut c_void) -> i32 {
    let taken = state.slots.get().and_then(|slots| slots.take(state.cursor.load(Relaxed), dev));
    let Some(slot) = taken else { return -ENOSPC };
    state.cursor.store(slot.0 + 1, Relaxed);
    slot.0 as i32
}

/// The properties of the slave in a slot: its options, as `options` makes them, and whether frames for it are delivered.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_slot_set(state: &State, slot: u32, ifindex: u32, options: u32, up: bool) {
    if let Some(entry) = state.slots.get().and_then(|slots| slots.get(Slot(slot))) {
        let state = ipvl_core::State { up, ..Default::default() };
        entry.set(Slave::new(IfIndex(ifindex), Options::of(options), state));
    }
}

/// What the slave in a slot has joined; null for all groups.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_slot_join(state: &State, slot: u32, groups: *mut Groups) {
    match state.slots.get().and_then(|slots| slots.get(Slot(slot))) {
        Some(entry) => entry.join(groups),
        None => free(groups),
    }
}

/// Makes a slot vacant.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_slot_free(state: &State, slot: u32) {
    state.addresses.forget(Some(Slot(slot)));
    if let Some(entry) = state.slots.get().and_then(|slots| slots.get(Slot(slot))) {
        entry.clear();
    }
}

/// Stands for the host where C passes a slot.
const HOST: u32 = u32::MAX;

/// The slave in `slot`, or the host, has this address (IPv4: mapped); 0, -EADDRINUSE or -ENOMEM.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_addr_add(state: &State, addr: &[u8; 16], slot: u32) -> i32 {
    let addr = Addr(*addr).into();
    let added = if slot == HOST { state.addresses.add_host(addr) } else { state.addresses.add(addr, Slot(slot)) };
    match added {
        Ok(()) => 0,
        Err(Refused::InUse) => -EADDRINUSE,
        Err(Refused::NoMemory) => -ENOMEM,
    }
}

/// The slave in `slot`, or the host, has this address no more.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_addr_del(state: &State, addr: &[u8; 16], slot: u32) {
    let addr = Addr(*addr).into();
    if slot == HOST { state.addresses.remove_host(addr) } else { state.addresses.remove(addr, Slot(slot)) }
}

/// Whether a slave or the host has this address.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_addr_is_owned(state: &State, addr: &[u8; 16]) -> bool {
    state.owner(Addr(*addr)) != Owner::Nobody
}

/// The host has left, with all its addresses.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_addrs_forget_host(state: &State) {
    state.addresses.forget(None);
}

/// How many chains the table of addresses should have, if it has too few; else 0.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_addrs_wanted(state: &State) -> usize {
    state.addresses.wanted().unwrap_or(0)
}

/// Bytes of so many chains.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_addrs_bytes(chains: usize) -> usize {
    Buckets::bytes(chains)
}

/// Moves all addresses to so many chains in `memory`, which is zeroed. C then waits for a grace period.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_addrs_grow(state: &State, memory: &mut Buckets, chains: usize, seed: u64) {
    state.addresses.grow(memory, chains, seed);
}
