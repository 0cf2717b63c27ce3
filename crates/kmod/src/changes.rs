//! How do the tables change? C calls these under RTNL, or for addresses from a notifier; each takes the port's lock.

use crate::addresses::{Addresses, Buckets, Refused};
use crate::memory::{Lock, alloc_large, boxed, free};
use crate::options::{Answer, EADDRINUSE, EDQUOT, ENOMEM};
use crate::slots::{Groups, Slots};
use crate::tables::{Port, State};
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::Ordering::Relaxed;
use ipvl_core::*;

const ENOSPC: i32 = 28;

/// Tables that know nothing; null without memory.
///
/// # Safety
/// `lock` is a `spinlock_t` that lives as long as the tables.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipvl_tables_new(lock: *mut c_void) -> *mut State {
    let Some(mut state) = alloc_large::<State>(size_of::<State>()) else { return ptr::null_mut() };
    // SAFETY: just made, and all zero is a state; the lock is the caller's promise.
    unsafe { state.as_mut().guarded_by(Lock::new(lock)) };
    state.as_ptr()
}

/// Frees tables, and what they hold: the port is gone, and no new packet can find it.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_tables_free(state: *mut State) {
    // SAFETY: null, or from `ipvl_tables_new`.
    let Some(tables) = (unsafe { state.as_ref() }) else { return };
    tables.addresses.free();
    tables.prefixes.table.free();
    for slot in 0..tables.slots.get().map_or(0, Slots::used) {
        ipvl_slot_free(tables, slot);
    }
    tables.slots.replace(ptr::null_mut());
    tables.port.replace(ptr::null_mut());
    free(state);
}

/// The master's ifindex, MTU and MAC address; 0 or -ENOMEM, and then all stays as it was.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_port_set(state: &State, master: u32, mtu: u32, mac: &[u8; 6]) -> i32 {
    let _held = state.lock();
    let flags = state.port().flags;
    let entry = PortEntry { master: IfIndex(master), mtu, mac: Mac(*mac), flags, ..PortEntry::default() };
    let Some(port) = boxed(Port::new(entry)) else { return -ENOMEM };
    state.port.replace(port.as_ptr());
    0
}

/// A slot for a new slave; -ENOSPC or -ENOMEM without one. Under RTNL, so only one grows the slots.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_slot_take(state: &State, dev: *mut c_void) -> i32 {
    loop {
        if let Some(slot) = take(state, dev) {
            return slot.0 as i32;
        }
        let Some(len) = Slots::wanted(state.slots.get()) else { return -ENOSPC };
        let Some(mut memory) = alloc_large::<Slots>(Slots::bytes(len)) else { return -ENOMEM };
        let _held = state.lock();
        // SAFETY: zeroed memory for so many slots, which nobody else has.
        unsafe { memory.as_mut() }.fill(len, state.slots.get());
        state.slots.replace(memory.as_ptr());
    }
}

fn take(state: &State, dev: *mut c_void) -> Option<Slot> {
    let _held = state.lock();
    let slot = state.slots.get()?.take(state.cursor.load(Relaxed), dev)?;
    state.cursor.store(slot.0 + 1, Relaxed);
    Some(slot)
}

/// The properties of the slave in a slot: its netns, its options, as `options` makes them, and whether frames for it are
/// delivered.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_slot_set(state: &State, claim: &Claim, ifindex: u32, options: u32, up: bool) {
    let _held = state.lock();
    let slot = Slot(claim.slot);
    let Some(entry) = state.entry(slot) else { return };
    let all_groups = entry.declared.get().is_some();
    let before = entry.slave().guard();
    let after =
        Slave::new(IfIndex(ifindex), Options::of(options), ipvl_core::State { up, all_groups, ..Default::default() });
    entry.set(after);
    entry.settle(claim.netns);
    if after.guard() != before {
        state.lose_undeclared(slot);
    }
}

/// What the slave in a slot has joined; null for all groups.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_slot_join(state: &State, slot: u32, groups: *mut Groups) {
    let _held = state.lock();
    match state.entry(Slot(slot)) {
        Some(entry) => entry.join(groups),
        None => free(groups),
    }
}

/// Makes a slot vacant.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_slot_free(state: &State, slot: u32) {
    let _held = state.lock();
    state.withdraw_all(Slot(slot));
    state.addresses.forget(Some(Slot(slot)));
    if let Some(entry) = state.entry(Slot(slot)) {
        entry.clear();
    }
}

/// `struct ipvl_claim` in C: a device has an address, and in which netns.
#[repr(C)]
pub struct Claim {
    /// The slave's, or [`HOST`].
    pub slot: u32,
    /// The number of its netns.
    pub netns: u32,
}

/// How many addresses the slaves of one netns may have on a master, as with eBPF.
const QUOTA: u32 = 4096;

/// Stands for the host where C passes a slot.
const HOST: u32 = u32::MAX;

impl Claim {
    /// Whether the slave's netns has all addresses that it may have.
    pub fn exceeds(&self, state: &State) -> bool {
        let in_netns = || state.slots.get().map_or(0, |slots| slots.addresses_in(self.netns));
        state.addresses.count() + state.prefixes.count() >= QUOTA && in_netns() >= QUOTA
    }

    fn add(&self, state: &State, addr: Words) -> Result<(), i32> {
        let refused = |refused| match refused {
            Refused::InUse => -EADDRINUSE,
            Refused::NoMemory => -ENOMEM,
        };
        if self.slot == HOST {
            return state.addresses.add_host(addr).map_err(refused);
        }
        if !state.may_own(Slot(self.slot), addr) {
            return Ok(());
        }
        if state.addresses.owner(addr) == Owner::Nobody && self.exceeds(state) {
            return Err(-EDQUOT);
        }
        if state.addresses.add(addr, Slot(self.slot), Origin::Device).map_err(refused)?
            && let Some(entry) = state.entry(Slot(self.slot))
        {
            entry.gains(self.netns);
        }
        Ok(())
    }
}

/// A device has this address (IPv4: mapped); 0, or 1 if [`ipvl_addrs_grow`] should be called soon, or -EADDRINUSE,
/// -EDQUOT or -ENOMEM: then it gets no packets for it.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_addr_add(state: &State, addr: &[u8; 16], claim: &Claim) -> i32 {
    let _held = state.lock();
    match claim.add(state, Addr(*addr).into()) {
        Ok(()) => i32::from(state.addresses.wanted().is_some()),
        Err(errno) => errno,
    }
}

/// The slave in `slot`, or the host, has this address no more.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_addr_del(state: &State, addr: &[u8; 16], slot: u32) {
    let addr = Addr(*addr).into();
    let _held = state.lock();
    if slot == HOST {
        state.addresses.remove_host(addr);
    } else if state.addresses.remove(addr, Slot(slot), Origin::Device)
        && let Some(entry) = state.entry(Slot(slot))
    {
        entry.loses();
    }
}

/// Whether a slave may be given this address. Called by a reader.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_addr_check(state: &State, addr: &[u8; 16], claim: &Claim) -> Answer {
    let addr = Addr(*addr).into();
    if !state.addresses.is_open_to(addr, Slot(claim.slot)) {
        return Answer::IN_USE;
    }
    if state.addresses.owner(addr) == Owner::Nobody && claim.exceeds(state) {
        return Answer::QUOTA;
    }
    Answer::YES
}

/// The host has left, with all its addresses.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_addrs_forget_host(state: &State) {
    let _held = state.lock();
    state.addresses.forget(None);
}

/// Moves the addresses to a larger table, if there are many; 0 or -ENOMEM. Only one may do so at a time, and a grace period
/// must pass before the next time.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_addrs_grow(state: &State, seed: u64) -> i32 {
    if grow(state, &state.addresses, seed) && grow(state, &state.prefixes.table, seed) { 0 } else { -ENOMEM }
}

fn grow(state: &State, table: &Addresses, seed: u64) -> bool {
    let Some(chains) = table.wanted() else { return true };
    let Some(mut memory) = alloc_large::<Buckets>(Buckets::bytes(chains)) else { return false };
    let _held = state.lock();
    // SAFETY: zeroed memory for so many chains, which nobody else has.
    table.grow(unsafe { memory.as_mut() }, chains, seed);
    true
}
