//! Do the tables know what they were told, however they grow, and do readers see an old or a new state meanwhile?
//!
//! The modules are compiled for this machine, with memory that is never given back: so no reader's grace period is
//! needed.

#![allow(missing_docs, dead_code, reason = "parts of a library that exports functions to C alone")]

#[path = "../src/addresses.rs"]
mod addresses;
#[path = "../src/memory.rs"]
mod memory;
#[path = "../src/sent.rs"]
mod sent;
#[path = "../src/slots.rs"]
mod slots;

use addresses::{Addresses, Buckets};
use ipvl_core::{Mac, Owner, Slot, WIRE, Words};
use slots::Slots;
use std::alloc::{Layout, alloc_zeroed};
use std::collections::HashMap;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{ptr, thread};

static FREED: AtomicUsize = AtomicUsize::new(0);

#[unsafe(no_mangle)]
extern "C" fn ipvl_c_alloc(size: usize, _may_wait: bool) -> *mut c_void {
    let layout = Layout::from_size_align(size, 16).expect("a size");
    // SAFETY: nothing asks for no bytes.
    unsafe { alloc_zeroed(layout) }.cast()
}

#[unsafe(no_mangle)]
extern "C" fn ipvl_c_free(_: *mut c_void) {
    FREED.fetch_add(1, Ordering::Relaxed);
}

#[unsafe(no_mangle)]
extern "C" fn ipvl_c_lock(_: *mut c_void) {}

#[unsafe(no_mangle)]
extern "C" fn ipvl_c_unlock(_: *mut c_void) {}

#[unsafe(no_mangle)]
extern "C" fn ipvl_c_now() -> u64 {
    0
}

fn empty() -> Addresses {
    // SAFETY: all zero is a table that knows nothing.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// What C does when a table has become too small.
fn grow(table: &Addresses) {
    if let Some(chains) = table.wanted() {
        let memory = ipvl_c_alloc(Buckets::bytes(chains), true).cast::<Buckets>();
        // SAFETY: zeroed memory of the size that was asked for.
        table.grow(unsafe { &mut *memory }, chains, 0x1234_5678_9abc_def1);
    }
}

fn address(number: u64) -> Words {
    match number % 2 {
        0 => Words::v4((number as u32).to_be_bytes()),
        _ => Words::v6([0xfd; 8], number.to_be_bytes()),
    }
}

/// Marsaglia's xorshift: the same numbers each time.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn a_table_of_addresses_knows_what_a_map_knows() {
    let (table, mut model, mut state) = (empty(), HashMap::<u64, (Option<u32>, bool)>::new(), 42);
    grow(&table);
    for _ in 0..200_000 {
        let (key, slot) = (random(&mut state) % 5000, (random(&mut state) % 100) as u32);
        let known = model.entry(key).or_default();
        match random(&mut state) % 8 {
            0..4 => {
                let free = *known == (None, false) || known.0 == Some(slot);
                assert_eq!(table.add(address(key), Slot(slot)).ok(), free.then_some(known.0.is_none()));
                known.0 = if free { Some(slot) } else { known.0 };
            }
            4 | 5 => {
                assert_eq!(table.remove(address(key), Slot(slot)), known.0 == Some(slot));
                known.0 = known.0.filter(|owner| *owner != slot);
            }
            6 => {
                assert!(table.add_host(address(key)).is_ok());
                known.1 = true;
            }
            _ => {
                table.remove_host(address(key));
                known.1 = false;
            }
        }
        grow(&table);
    }
    table.forget(Some(Slot(7)));
    table.forget(None);
    for (key, (owner, _)) in model {
        let expected = owner.filter(|slot| *slot != 7).map_or(Owner::Nobody, |slot| Owner::Slave(Slot(slot)));
        assert_eq!(table.owner(address(key)), expected, "{key}");
    }
}

#[test]
fn readers_find_what_stays_while_a_table_grows_and_shrinks() {
    const STAYING: u64 = 64;
    let (table, done) = (empty(), AtomicBool::new(false));
    grow(&table);
    for key in 0..STAYING {
        assert!(table.add(address(key), Slot(1)).is_ok());
    }
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    (0..STAYING).for_each(|key| assert_eq!(table.owner(address(key)), Owner::Slave(Slot(1))));
                }
            });
        }
        for key in STAYING..50_000 {
            assert!(table.add(address(key), Slot(2)).is_ok());
            if table.wanted().is_some() {
                // C lets a grace period pass between two growths; readers here are done sooner than that.
                thread::sleep(std::time::Duration::from_millis(20));
                grow(&table);
            }
        }
        table.forget(Some(Slot(2)));
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn slots_are_given_in_turn_and_never_the_wires() {
    let (mut slots, mut cursor): (Option<&Slots>, u32) = (None, 0);
    let dev = ptr::dangling_mut::<c_void>();
    for expected in (0..6000).filter(|slot| *slot != WIRE.0) {
        let slot = loop {
            if let Some(slot) = slots.and_then(|slots| slots.take(cursor, dev)) {
                break slot;
            }
            let len = Slots::wanted(slots).expect("room");
            let memory = ipvl_c_alloc(Slots::bytes(len), true).cast::<Slots>();
            // SAFETY: zeroed memory of the size that was asked for.
            let new = unsafe { &mut *memory };
            new.fill(len, slots);
            slots = Some(new);
        };
        cursor = slot.0 + 1;
        assert_eq!(slot, Slot(expected));
    }
    let slots = slots.expect("slots");
    slots.get(Slot(3)).expect("an entry").clear();
    for (slot, netns) in [(1, 7), (1, 7), (2, 8), (4, 7)] {
        slots.get(Slot(slot)).expect("an entry").gains(netns);
    }
    slots.get(Slot(4)).expect("an entry").loses();
    assert_eq!([7, 8, 9].map(|netns| slots.addresses_in(netns)), [2, 1, 0], "as many as its slaves have");
    assert_eq!(slots.take(cursor, dev), Some(Slot(6000)), "a slot is not used again at once");
    assert!(slots.get(Slot(5)).is_some_and(|entry| entry.hears(Mac([1, 0, 0x5e, 1, 2, 3]))), "all groups at first");
}

#[test]
fn a_sender_is_remembered_for_a_second() {
    // SAFETY: all zero remembers nobody.
    let sent: sent::Sent = unsafe { MaybeUninit::zeroed().assume_init() };
    let digest = 0x1234_5678_0000_0042;
    assert_eq!(sent.sender(digest, 0), None);
    sent.remember(digest, Slot(9), 5_000_000_000);
    assert_eq!(sent.sender(digest, 5_900_000_000), Some(Slot(9)));
    assert_eq!(sent.sender(digest, 7_000_000_000), None);
    assert_eq!(sent.sender(digest ^ 1 << 40, 5_000_000_000), None);
}
