//! Which maps do those that watch a port bring, and where do its programs find them?

use crate::error::Result;
use crate::kernel::bpf_map::{ARRAY_OF_MAPS, MapShape, new_map};
use ipvl_core::maps::{FlowCount, FlowKey, MAX_FLOWS, WATCHERS};
use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};

/// The array of ring buffers.
pub const RINGS: &str = "WATCH_RINGS";
/// The array of tables of flows.
pub const FLOWS: &str = "WATCH_FLOWS";
/// A ring buffer has whole pages; in bytes.
const LARGEST_PAGE: u32 = 1 << 16;

/// A ring buffer of 1 MiB.
pub const RING: MapShape = MapShape { kind: 27, key: 0, value: 0, entries: 1 << 20, grows: false };
/// A table of flows, with a count for each CPU, which forgets those that were silent longest.
pub const FLOW_TABLE: MapShape = MapShape {
    kind: 10,
    key: size_of::<FlowKey>() as u32,
    value: size_of::<FlowCount>() as u32,
    entries: MAX_FLOWS,
    grows: false,
};

/// The arrays of these maps, which a loader cannot make: it knows nothing of the maps in them.
pub fn arrays() -> Result<BTreeMap<String, OwnedFd>> {
    let word = size_of::<u32>() as u32;
    let shape = MapShape { kind: ARRAY_OF_MAPS, key: word, value: word, entries: WATCHERS, grows: false };
    // How many entries they have does not matter, and a large map takes long to make.
    let array = |name: &str, inner, entries| {
        let like = new_map("inner", MapShape { entries, ..inner }, None)?;
        Ok((name.to_owned(), new_map(name, shape, Some(like.as_fd()))?))
    };
    [array(RINGS, RING, LARGEST_PAGE), array(FLOWS, FLOW_TABLE, 1)].into_iter().collect()
}
