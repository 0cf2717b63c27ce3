//! How does a slave come to have an address that is on no device, and which of those on its device does it own with `guard
//! declared`?

use crate::addresses::{Addresses, Refused};
use crate::changes::Claim;
use crate::declared::{DELETE, Declaration, List, MOST, REPLACE};
use crate::memory::free;
use crate::options::{Answer, EDQUOT};
use crate::prefixes::{BITS, Prefixes};
use crate::slots::Entry;
use crate::tables::State;
use core::ptr;
use ipvl_core::{Addr, Guard, Origin, Owner, Slot, Tables, Words, link_local};

const EADDRNOTAVAIL: i32 = 99;

/// Carries out a declaration that was checked, for a slave: all of it, or nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_declare(state: &State, wanted: &Declaration, claim: &Claim) -> Answer {
    let done = if wanted.verb == DELETE { withdraw(state, wanted, claim) } else { declare(state, wanted, claim) };
    done.err().unwrap_or(Answer::YES)
}

/// What is declared for a slave, and how many bytes that are; null for nothing. It changes only under RTNL.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_declared(state: &State, slot: u32, bytes: &mut u32) -> *const Declaration {
    let list = state.entry(Slot(slot)).and_then(|entry| entry.declared.get());
    *bytes = list.map_or(0, |list| size_of_val(list.all()) as u32);
    list.map_or(ptr::null(), |list| list.all().as_ptr())
}

fn declare(state: &State, wanted: &Declaration, claim: &Claim) -> Result<(), Answer> {
    let entry = state.entry(Slot(claim.slot)).ok_or(Answer::NO_MEMORY)?;
    // Under RTNL nobody else changes the list.
    let old = entry.declared.get();
    if old.is_some_and(|list| list.has(wanted)) {
        return Ok(());
    }
    if old.is_some_and(|list| list.all().len() >= MOST) {
        return Err(Answer::no(EDQUOT, c"256 addresses are declared for this slave, all that may; declare a prefix"));
    }
    let list = List::with(old, wanted).ok_or(Answer::NO_MEMORY)?;
    let _held = state.lock();
    if let Err(answer) = enter(state, wanted, claim, entry) {
        free(list.as_ptr());
        return Err(answer);
    }
    entry.declared.replace(list.as_ptr());
    entry.hear_all_groups(true);
    Ok(())
}

/// Enters addresses into the tables.
fn enter(state: &State, wanted: &Declaration, claim: &Claim, entry: &Entry) -> Result<(), Answer> {
    let (table, key) = place(state, wanted);
    let slot = Slot(claim.slot);
    let owner = table.owner(key);
    if owner != Owner::Slave(slot) && claim.exceeds(state) {
        return Err(Answer::QUOTA);
    }
    if let Owner::Slave(other) = owner
        && other != slot
        && wanted.verb == REPLACE
    {
        table.hand_over(key, slot);
        if let Some(other) = state.entry(other) {
            other.loses();
            take_out(other, wanted);
        }
        entry.gains(claim.netns);
        return Ok(());
    }
    match table.add(key, slot, Origin::Declared) {
        Ok(true) => {
            entry.gains(claim.netns);
            state.prefixes.count_length(wanted.len, true);
            Ok(())
        }
        Ok(false) => Ok(()),
        Err(Refused::InUse) => Err(Answer::IN_USE),
        Err(Refused::NoMemory) => Err(Answer::NO_MEMORY),
    }
}

fn withdraw(state: &State, wanted: &Declaration, claim: &Claim) -> Result<(), Answer> {
    let slot = Slot(claim.slot);
    let entry = state.entry(slot).ok_or(Answer::NO_MEMORY)?;
    let _held = state.lock();
    if !take_out(entry, wanted) {
        return Err(Answer::no(EADDRNOTAVAIL, c"it is not declared for this slave"));
    }
    leave(state, wanted, slot, entry);
    state.lose_undeclared(slot);
    Ok(())
}

/// Takes addresses out of the tables.
fn leave(state: &State, gone: &Declaration, slot: Slot, entry: &Entry) {
    let (table, key) = place(state, gone);
    if table.remove(key, slot, Origin::Declared) {
        entry.loses();
        state.prefixes.count_length(gone.len, false);
    }
}

/// Takes addresses out of a slave's list; false if they are not in it.
fn take_out(entry: &Entry, gone: &Declaration) -> bool {
    // SAFETY: the caller holds the lock.
    let had = unsafe { List::take_out(entry.declared.raw(), gone) };
    if entry.declared.get().is_some_and(|list| list.all().is_empty()) {
        entry.declared.replace(ptr::null_mut());
        entry.hear_all_groups(false);
    }
    had
}

/// The table that has addresses, and as what.
fn place<'a>(state: &'a State, wanted: &Declaration) -> (&'a Addresses, Words) {
    let addr = Addr(wanted.addr);
    match wanted.len {
        BITS => (&state.addresses, addr.into()),
        len => (&state.prefixes.table, Prefixes::key(addr, len)),
    }
}

impl State {
    /// Whether a slave owns an address that is on its device, if it is nobody's: with `guard declared` only if that is
    /// declared for it, or the link-local address that it gets from the kernel.
    pub fn may_own(&self, slot: Slot, addr: Words) -> bool {
        let is_declared = || self.owner_of(addr) == Owner::Slave(slot);
        let is_given = || Addr::from(addr) == link_local(self.port().mac, slot);
        self.slave(slot).guard() != Guard::Declared || is_declared() || is_given()
    }

    /// With `guard declared`, a slave loses the addresses on its device that it may not own.
    pub fn lose_undeclared(&self, slot: Slot) {
        let Some(entry) = self.entry(slot).filter(|entry| entry.slave().guard() == Guard::Declared) else { return };
        let given = link_local(self.port().mac, slot);
        self.addresses.lose(slot, |addr| {
            let addr = Addr::from(addr);
            let keeps = addr == given || self.prefixes.owner(addr) == Owner::Slave(slot);
            if !keeps {
                entry.loses();
            }
            keeps
        });
    }

    /// Nothing is declared for a slave any more.
    pub fn withdraw_all(&self, slot: Slot) {
        let Some(entry) = self.entry(slot) else { return };
        let Some(list) = entry.declared.get() else { return };
        list.all().iter().for_each(|one| leave(self, one, slot, entry));
    }
}
