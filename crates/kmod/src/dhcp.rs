//! What is done with a DHCP message before its verdict is carried out?
//!
//! C asks by how much a message is to grow, makes it writable and so long, and has the rest written here.

use crate::tables::State;
use crate::view::View;
use ipvl_core::dhcp::{self, Sum, Task};
use ipvl_core::{Slot, Tables, Verdict};

/// `IPVL_DHCP` in C: set in the word of a verdict on a message with which something is to be done.
const MESSAGE: u64 = 1 << 7;

/// The mark, if the verdict is on such a message of the slave in slot `from`; a slot that nobody has stands for all others.
#[inline(never)]
pub fn mark(state: &State, view: &View, from: Slot, verdict: Verdict) -> u64 {
    if dhcp::task(view, state, from, verdict).is_some() { MESSAGE } else { 0 }
}

/// The verdict that C has as a word, with the mark or without.
pub fn verdict(word: u64) -> Verdict {
    Verdict::from_words([(word & !MESSAGE) as u32, (word >> 32) as u32])
}

/// By how many bytes of zero the message is to grow. A request is remembered.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_dhcp_growth(state: &State, view: &View, verdict: u64, from: u32) -> u32 {
    if task(state, view, verdict, from) != Some(Task::Identify) {
        return 0;
    }
    if let Some(xid) = dhcp::xid(view) {
        state.remember_asker(xid, Slot(from));
    }
    let lengths = dhcp::find_identifier(view).and_then(|found| dhcp::growth(view, found));
    lengths.map_or(0, |lengths| lengths.missing.into())
}

/// Writes into a message, which has grown by so many bytes, what its receiver is to see. `is_begun`: its UDP checksum is that
/// of the pseudo-header (`CHECKSUM_PARTIAL`).
///
/// # Safety
/// The bytes of the view are in one piece, and nobody else uses them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipvl_dhcp_write(
    state: &State,
    view: &View,
    verdict: u64,
    from: u32,
    grown: u32,
    is_begun: bool,
) {
    let sum = if is_begun { Sum::PseudoHeader } else { Sum::Whole };
    if grown > 0 {
        for field in dhcp::lengthened(view, grown as u16, sum).into_iter().flatten() {
            // SAFETY: the caller's promise.
            unsafe { view.write(field.at, &field.bytes) };
        }
    }
    let (mac, from) = (state.port().mac, Slot(from));
    let Some(found) = dhcp::find_identifier(view) else { return };
    let edit = match task(state, view, verdict, from.0) {
        Some(Task::Identify) => dhcp::identify(view, mac, from, found),
        Some(Task::Restore(to)) => dhcp::restore(view, mac, to, found),
        None => None,
    };
    let Some(edit) = edit else { return };
    let udp_sum = edit.udp_sum(view, sum);
    // SAFETY: the caller's promise.
    unsafe { view.write(edit.at, &edit.bytes) };
    if let Some(field) = udp_sum {
        // SAFETY: the caller's promise.
        unsafe { view.write(field.at, &field.bytes) };
    }
}

fn task(state: &State, view: &View, word: u64, from: u32) -> Option<Task> {
    dhcp::task(view, state, Slot(from), verdict(word))
}
