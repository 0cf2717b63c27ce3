//! Do the tables know what they were told, however they grow, and do readers see an old or a new state meanwhile?
//!
//! The modules are compiled for this machine, with memory that is never given back: so no reader's grace period is
//! needed.

#![allow(missing_docs, dead_code, reason = "parts of a library that exports functions to C alone")]

#[path = "../src/addresses.rs"]
mod addresses;
#[path = "../src/askers.rs"]
mod askers;
#[path = "../src/declared.rs"]
mod declared;
#[path = "../src/memory.rs"]
mod memory;
#[path = "../src/prefixes.rs"]
mod prefixes;
#[path = "../src/sent.rs"]
mod sent;
#[path = "../src/slots.rs"]
mod slots;

use addresses::{Addresses, Buckets};
use askers::Askers;
use declared::{Declaration, List};
use ipvl_core::{Addr, Asker, Mac, Origin, Owner, Slot, WIRE, Words};
use prefixes::Prefixes;
use slots::Slots;
use std::alloc::{Layout, alloc_zeroed};
use std::collections::HashMap;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
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
    let (table, mut model, mut state) = (empty(), HashMap::<u64, Known>::new(), 42);
    grow(&table);
    for _ in 0..200_000 {
        let (key, slot) = (random(&mut state) % 5000, (random(&mut state) % 100) as u32);
        let known = model.entry(key).or_default();
        let declared = random(&mut state).is_multiple_of(2);
        let origin = if declared { Origin::Declared } else { Origin::Device };
        match random(&mut state) % 9 {
            0..4 => {
                assert_eq!(table.is_open_to(address(key), Slot(slot)), known.is_open_to(slot));
                let free = *known == Known::default() || known.slot == Some(slot);
                assert_eq!(table.add(address(key), Slot(slot), origin).ok(), free.then_some(known.slot.is_none()));
                if free {
                    (known.slot, known.ways[usize::from(declared)]) = (Some(slot), true);
                }
            }
            4 | 5 => {
                let had = known.slot == Some(slot) && known.ways[usize::from(declared)];
                let only = had && !known.ways[usize::from(!declared)];
                assert_eq!(table.remove(address(key), Slot(slot), origin), only);
                known.ways[usize::from(declared)] &= !had;
                known.slot = known.slot.filter(|_| !only);
            }
            8 if known.slot.is_some() => {
                table.hand_over(address(key), Slot(slot));
                (known.slot, known.ways) = (Some(slot), [false, true]);
            }
            8 => {}
            6 => {
                assert!(table.add_host(address(key)).is_ok());
                known.host = true;
            }
            _ => {
                table.remove_host(address(key));
                known.host = false;
            }
        }
        grow(&table);
    }
    table.forget(Some(Slot(7)));
    table.lose(Slot(8), |_| false);
    table.forget(None);
    for (key, known) in model {
        let stays = |slot: &u32| *slot != 7 && (*slot != 8 || known.ways[1]);
        let expected = known.slot.filter(stays).map_or(Owner::Nobody, |slot| Owner::Slave(Slot(slot)));
        assert_eq!(table.owner(address(key)), expected, "{key}");
    }
}

/// What an address belongs to: a slave, by its device, by declaration, or by both; the host.
#[derive(Clone, Copy, Default, PartialEq)]
struct Known {
    slot: Option<u32>,
    ways: [bool; 2],
    host: bool,
}

impl Known {
    fn is_open_to(self, slot: u32) -> bool {
        self == Self::default() || self == Self { slot: Some(slot), ways: [false, true], host: false }
    }
}

#[test]
fn the_longest_prefix_counts() {
    // SAFETY: all zero is a table that knows nothing.
    let prefixes: Prefixes = unsafe { MaybeUninit::zeroed().assume_init() };
    grow(&prefixes.table);
    let ten = Addr::v4([10, 0, 0, 0]);
    for (slot, len) in [(1, 104), (2, 112), (3, 120), (4, 0), (5, 127)] {
        assert!(prefixes.table.add(Prefixes::key(ten, len), Slot(slot), Origin::Declared).is_ok());
        prefixes.count_length(len, true);
    }
    let owner = |addr| prefixes.owner(addr);
    for (last, slot) in
        [([10, 9, 9, 9], 1), ([10, 0, 9, 9], 2), ([10, 0, 0, 9], 3), ([10, 0, 0, 1], 5), ([11, 0, 0, 1], 4)]
    {
        assert_eq!(owner(Addr::v4(last)), Owner::Slave(Slot(slot)), "{last:?}");
    }
    assert!(prefixes.table.remove(Prefixes::key(ten, 120), Slot(3), Origin::Declared));
    prefixes.count_length(120, false);
    assert_eq!((owner(Addr::v4([10, 0, 0, 9])), prefixes.count()), (Owner::Slave(Slot(2)), 4));
}

#[test]
fn a_list_has_what_was_declared_and_a_declaration_is_whole() {
    // SAFETY: any bytes are a declaration.
    let declaration = |addr: Addr, len, verb| unsafe {
        std::mem::transmute::<[u8; 20], Declaration>([&addr.0[..], &[len, verb, 0, 0]].concat().try_into().expect("20"))
    };
    let (one, net, v6) = (Addr::v4([10, 0, 0, 1]), Addr::v4([10, 0, 0, 0]), Addr([0xfd; 16]));
    for (addr, len, verb, right) in [
        (one, 128, 1, true),
        (one, 128, 2, true),
        (one, 128, 3, true),
        (net, 120, 1, true),
        (v6, 128, 1, true),
        (one, 128, 0, false),
        (one, 128, 4, false),
        (one, 120, 1, false),
        (one, 129, 1, false),
        (net, 95, 1, false),
        (v6, 64, 1, false),
        (Addr::v4([224, 0, 0, 1]), 128, 1, false),
        (Addr::v4([127, 0, 0, 1]), 128, 1, false),
        (Addr::UNSPECIFIED_4, 96, 1, true),
        (Addr::UNSPECIFIED_6, 0, 1, true),
        (Addr::UNSPECIFIED_6, 128, 1, false),
    ] {
        assert_eq!(declaration(addr, len, verb).problem().is_none(), right, "{addr:?}/{len} {verb}");
    }
    let first = List::with(None, &declaration(one, 128, 3)).expect("memory");
    // SAFETY: just made; nobody else has it.
    let both = List::with(Some(unsafe { first.as_ref() }), &declaration(net, 120, 1)).expect("memory");
    let list = unsafe { both.as_ref() };
    assert_eq!(
        list.all().iter().map(|one| (one.addr, one.len, one.verb)).collect::<Vec<_>>(),
        [(one.0, 128, 1), (net.0, 120, 1)]
    );
    assert!(list.has(&declaration(net, 120, 2)) && !list.has(&declaration(net, 121, 2)));
    // SAFETY: a list, and no other thread has it.
    assert!(unsafe { List::take_out(both.as_ptr(), &declaration(one, 128, 2)) });
    assert!(!unsafe { List::take_out(both.as_ptr(), &declaration(one, 128, 2)) });
    assert_eq!(unsafe { both.as_ref() }.all().len(), 1);
}

#[test]
fn readers_find_what_stays_while_a_table_grows_and_shrinks() {
    const STAYING: u64 = 64;
    let (table, done) = (empty(), AtomicBool::new(false));
    let turns = [const { AtomicU64::new(0) }; 2];
    // C lets a grace period pass between two growths: each reader ends what it was at, whatever it saw.
    let grace_period = || {
        let seen = turns.each_ref().map(|turn| turn.load(Ordering::Acquire));
        while turns.iter().zip(seen).any(|(turn, seen)| turn.load(Ordering::Acquire) < seen + 2) {
            thread::yield_now();
        }
    };
    grow(&table);
    for key in 0..STAYING {
        assert!(table.add(address(key), Slot(1), Origin::Device).is_ok());
    }
    thread::scope(|scope| {
        for turn in &turns {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    (0..STAYING).for_each(|key| assert_eq!(table.owner(address(key)), Owner::Slave(Slot(1))));
                    turn.fetch_add(1, Ordering::Release);
                }
            });
        }
        for key in STAYING..50_000 {
            assert!(table.add(address(key), Slot(2), Origin::Device).is_ok());
            if table.wanted().is_some() {
                grace_period();
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

const SECOND: u64 = 1_000_000_000;

fn no_askers() -> Box<Askers> {
    // SAFETY: all zero is a table in which nobody waits.
    unsafe { Box::<MaybeUninit<Askers>>::new_zeroed().assume_init().assume_init() }
}

#[test]
fn a_reply_is_for_who_has_asked_within_a_minute() {
    let askers = no_askers();
    assert_eq!(askers.asker(0, 0), None, "an empty place is nobody's");
    for (slot, xid) in [(1, 0), (2, 1 << 20), (3, u32::MAX)] {
        askers.remember(xid, Slot(slot), SECOND);
    }
    for (slot, xid) in [(1, 0), (2, 1 << 20), (3, u32::MAX)] {
        assert_eq!(askers.asker(xid, 60 * SECOND), Some(Asker { slot: Slot(slot), alone: true }));
        assert_eq!(askers.asker(xid, 70 * SECOND), None);
    }
    askers.remember(0, Slot(9), 2 * SECOND);
    assert_eq!(askers.asker(0, 60 * SECOND), Some(Asker { slot: Slot(1), alone: false }), "the first stays");
}

#[test]
fn a_slave_that_asks_without_end_forgets_its_own() {
    let (askers, mut state) = (no_askers(), 42);
    let quiet: Vec<u32> = (0..500).map(|_| random(&mut state) as u32).collect();
    for (slot, xid) in quiet.iter().enumerate() {
        askers.remember(*xid, Slot(slot as u32), SECOND);
    }
    let loud: Vec<u32> = (0..100_000).map(|_| random(&mut state) as u32).collect();
    loud.iter().zip(0..).for_each(|(xid, after)| askers.remember(*xid, Slot(5000), SECOND + after));
    for (slot, xid) in quiet.iter().enumerate() {
        let asker = askers.asker(*xid, 2 * SECOND).map(|asker| asker.slot);
        assert!(asker == Some(Slot(slot as u32)) || loud.contains(xid), "{slot}");
    }
    let kept = |xids: &[u32]| xids.iter().filter(|xid| askers.asker(**xid, 2 * SECOND).is_some()).count();
    assert_eq!(kept(&loud[loud.len() - 100..]), 100, "the last are there");
    assert!(kept(&loud) < 2048, "and no more than there are places");
    loud.iter().for_each(|xid| askers.remember(*xid, Slot(5001), 90 * SECOND));
    assert!(kept(&quiet) == 0 && kept(&loud) <= 2048, "what nobody waits for makes room first");
}
