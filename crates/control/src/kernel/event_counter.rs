//! How are netlink events counted at the moment when they happen, before anybody reads them?
//!
//! The kernel runs the filter of a subscriber's socket while it queues a message there: in the context of the process that
//! causes the event, before its system call returns. A filter that lets all pass counts them.

use super::bpf::{SOCKET_FILTER, prog_load, raw};
use super::bpf_map::{ARRAY_OF_MAPS, MapShape, new_map, remove_entry, set_entry};
use super::instructions::{
    FP, Instruction, MAP_LOOKUP_ELEM, add, add_atomically, call, copy, for_each_below, leave_if_zero, leave_unless,
    load_packet_half, map, program, set, store_word,
};
use super::sys;
use crate::error::{Result, io_error};
use std::os::fd::{AsFd, OwnedFd};

/// The most arrays in which events are counted.
pub const MOST_ARRAYS: u32 = 256;
const ARRAY: u32 = 2;

/// What the filter of a socket writes to.
pub struct EventCounter(OwnedFd);

impl EventCounter {
    /// Counts the messages of one kind that are queued at a netlink socket from now on, in the first number of arrays that have
    /// so many numbers of 64 bits.
    pub fn attach(socket: impl AsFd, kind: u16, array_len: u32) -> Result<Self> {
        let shape = |kind, value, entries| MapShape { kind, key: 4, value, entries, grows: false };
        let like = new_map("LIKE", shape(ARRAY, 8, array_len), None)?;
        let arrays = new_map("COUNTED_IN", shape(ARRAY_OF_MAPS, 4, MOST_ARRAYS), Some(like.as_fd()))?;
        let filter = prog_load(SOCKET_FILTER, &count(kind, &arrays))?;
        sys::attach_program(socket, filter).map_err(io_error("attach a filter to", "a netlink subscription"))?;
        Ok(Self(arrays))
    }

    /// Counts in this array, too. Places are used from 0 on, without a gap.
    pub fn count_in(&self, place: u32, array: impl AsFd) -> Result<()> {
        set_entry(&self.0, &place, &raw(&array))
    }

    /// Counts in no array at this place any more.
    pub fn leave(&self, place: u32) -> Result<()> {
        remove_entry(&self.0, &place)
    }
}

/// Adds one to the first number of each array, if the message is of this kind, and lets all of it pass.
fn count(kind: u16, arrays: &OwnedFd) -> Vec<Instruction> {
    const TYPE: i32 = 4;
    const PASS: i32 = -1;
    let of_this_kind =
        [copy(6, 1), load_packet_half(TYPE), leave_unless(0, u16::from_be_bytes(kind.to_ne_bytes()).into())];
    let find_array = [copy(2, FP), add(2, -4), call(MAP_LOOKUP_ELEM), leave_if_zero(0)];
    let find_number = [set(1, 0), store_word(FP, -8, 1), copy(1, 0), copy(2, FP), add(2, -8)];
    let add_one = [call(MAP_LOOKUP_ELEM), leave_if_zero(0), set(1, 1), add_atomically(0, 1)];
    let in_one = [&[store_word(FP, -4, 7)], map(1, arrays).as_slice(), &find_array, &find_number, &add_one].concat();
    program(&[&of_this_kind, &for_each_below(MOST_ARRAYS as i32, 7, &in_one)], PASS)
}
