//! Does anybody watch, and what are watchers told of a frame?
//!
//! While nobody watches, a frame meets one test of a constant address. A watcher makes the maps that it reads: a ring
//! buffer, and a table of flows unless it wants packets.

use crate::ctx::{ICMP_ERROR, failure};
use crate::maps::{Maps, now};
use crate::skb::Skb;
use aya_ebpf::bindings::{BPF_NOEXIST, bpf_map_def, bpf_map_type};
use aya_ebpf::helpers::generated::{
    bpf_map_lookup_elem, bpf_map_update_elem, bpf_ringbuf_output, bpf_skb_load_bytes,
};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray};
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::sync::atomic::AtomicU64;
use ipvl_core::maps::{FlowCount, FlowKey, MAX_SNAP, PacketTold, WATCHERS, Watch};
use ipvl_core::{Action, Owner, Slot, Tables, Verdict, WIRE};

const HEAD: usize = size_of::<PacketTold>();

/// Not zero while somebody watches, as [`ipvl_core::PortEntry::WATCHED`]: a value that programs read without a look-up.
static WATCHED: AtomicU64 = AtomicU64::new(0);

#[map]
static WATCHES: Array<Watch> = Array::with_max_entries(WATCHERS, 0);
/// The frame that is told just now.
#[map]
static WATCH_TOLD: PerCpuArray<PacketTold> = PerCpuArray::with_max_entries(1, 0);
#[map]
static WATCH_LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(WATCHERS, 0);
#[map]
static WATCH_PACKET: PerCpuArray<[u64; (HEAD + MAX_SNAP) / 8]> = PerCpuArray::with_max_entries(1, 0);
#[unsafe(link_section = "maps")]
#[unsafe(no_mangle)]
static WATCH_RINGS: MapOfMaps = MapOfMaps::new();
#[unsafe(link_section = "maps")]
#[unsafe(no_mangle)]
static WATCH_FLOWS: MapOfMaps = MapOfMaps::new();

/// The same action, of which all watchers have been told.
#[inline(always)]
pub fn told(skb: &Skb, from: Slot, action: i32) -> i32 {
    let action = skb.forget_action(action);
    // SAFETY: a word that is there. The compiler knows of nobody that sets it, so the read is volatile.
    if unsafe { WATCHED.as_ptr().read_volatile() } != 0 {
        tell(skb, from, action);
    }
    action
}

/// Tells all watchers what has become of a frame from `from`, a slave or the wire, as `action` and the stored verdict say. It
/// is the last step, so that there is one place that the verifier has to check. A frame that was answered is the answer by
/// now.
#[inline(never)]
fn tell(skb: &Skb, from: Slot, action: i32) -> i32 {
    // A flood that goes on is told when it ends.
    let Some(told) = WATCH_TOLD.get_ptr_mut(0).filter(|_| skb.resumed_at().is_none()) else { return 0 };
    let verdict = outcome(skb, action);
    // SAFETY: the entry is this CPU's own, and nothing else runs on it meanwhile.
    let told = unsafe { &mut *told };
    (told.at, told.len, told.captured) = (now(), skb.context.len(), 0);
    told.key.fill(skb, from, verdict);
    if concerns_nobody(&mut told.key, verdict) {
        return 0;
    }
    let mut watchers = 0;
    for index in 0..WATCHERS {
        watchers += tell_one(skb, told, index);
    }
    if watchers == 0 {
        // SAFETY: as in `told`.
        unsafe { WATCHED.as_ptr().write_volatile(0) };
        Maps.clear_watched();
    }
    0
}

/// What has become of it: a routed packet may have been refused.
#[inline(always)]
fn outcome(skb: &Skb, action: i32) -> Verdict {
    if action == ICMP_ERROR { failure(skb).0.into() } else { skb.load_verdict() }
}

/// Whether a frame from the wire concerns no slave. If it goes up the host's stack or is dropped, the verdict names none, and
/// the owner of its destination is the slave.
#[inline(always)]
fn concerns_nobody(key: &mut FlowKey, verdict: Verdict) -> bool {
    if key.from != WIRE || !matches!(verdict.action(), Action::Host | Action::Drop(_)) {
        return false;
    }
    match Maps.owner(key.dst) {
        Owner::Slave(slot) => key.to = slot,
        Owner::Host | Owner::Nobody => return !verdict.is_drop(),
    }
    false
}

/// Tells one watcher, if it is there and wants it; whether it is there.
#[inline(never)]
fn tell_one(skb: &Skb, told: &PacketTold, index: u32) -> u32 {
    let Some(watch) = WATCHES.get(index).filter(|watch| watch.is_alive(told.at)) else { return 0 };
    if watch.wants(&told.key) {
        let done = match watch.snap {
            0 => tell_flow(told, index),
            snap => tell_packet(skb, told, index, snap),
        };
        if !done {
            count_lost(index);
        }
    }
    1
}

/// Counts a packet of a flow, and tells of the first; false if that was lost.
#[inline(always)]
fn tell_flow(told: &PacketTold, index: u32) -> bool {
    let flows = WATCH_FLOWS.inner(index);
    if flows.is_null() {
        return true;
    }
    let key = core::ptr::from_ref(&told.key).cast();
    // SAFETY: a map with such keys; the watcher made it.
    let count = unsafe { bpf_map_lookup_elem(flows, key) }.cast::<FlowCount>();
    if count.is_null() {
        let first = FlowCount::default().after(told.at, told.len);
        // SAFETY: as above, with values of that type.
        let result = unsafe { bpf_map_update_elem(flows, key, (&raw const first).cast(), BPF_NOEXIST.into()) };
        return result != 0 || output(index, core::ptr::from_ref(told).cast_mut().cast(), HEAD);
    }
    // SAFETY: the entry is there, and this CPU's own.
    unsafe { *count = (*count).after(told.at, told.len) };
    true
}

/// Tells of a packet, with its first bytes; false if that was lost.
#[inline(always)]
fn tell_packet(skb: &Skb, told: &PacketTold, index: u32, snap: u32) -> bool {
    let Some(buffer) = WATCH_PACKET.get_ptr_mut(0) else { return false };
    // Older verifiers must see that it is not zero, and find that out by this only.
    let less_one = skb.forget_last(told.len.min(snap).wrapping_sub(1)) as usize;
    if less_one >= MAX_SNAP {
        return false;
    }
    let captured = less_one + 1;
    // SAFETY: the buffer is this CPU's own, with room for the head and for `MAX_SNAP` bytes behind it.
    let copied = unsafe {
        buffer.cast::<PacketTold>().write(PacketTold { captured: captured as u32, ..*told });
        let bytes = buffer.cast::<u8>().add(HEAD).cast();
        bpf_skb_load_bytes(skb.raw().cast(), 0, bytes, captured as u32)
    };
    copied == 0 && output(index, buffer.cast(), HEAD + captured)
}

/// Writes to the watcher's ring buffer; false if it is full.
#[inline(always)]
fn output(index: u32, data: *mut c_void, len: usize) -> bool {
    let ring = WATCH_RINGS.inner(index);
    // SAFETY: a ring buffer, and `len` bytes of data.
    !ring.is_null() && unsafe { bpf_ringbuf_output(ring, data, len as u64, 0) } == 0
}

#[inline(always)]
fn count_lost(index: u32) {
    if let Some(lost) = WATCH_LOST.get_ptr_mut(index) {
        // SAFETY: the entry is this CPU's own.
        unsafe { *lost += 1 };
    }
}

/// An array of maps, one for each watcher. Here it is declared as an array of numbers: only the control plane knows what maps
/// are in it, and puts an array of such maps (`BPF_MAP_TYPE_ARRAY_OF_MAPS`) in its place.
#[repr(transparent)]
struct MapOfMaps(UnsafeCell<bpf_map_def>);

// SAFETY: the kernel synchronizes access to maps.
unsafe impl Sync for MapOfMaps {}

impl MapOfMaps {
    const fn new() -> Self {
        Self(UnsafeCell::new(bpf_map_def {
            type_: bpf_map_type::BPF_MAP_TYPE_ARRAY,
            key_size: size_of::<u32>() as u32,
            value_size: size_of::<u32>() as u32,
            max_entries: WATCHERS,
            map_flags: 0,
            id: 0,
            pinning: 0,
        }))
    }

    /// The map of one watcher; null if it has none.
    #[inline(always)]
    fn inner(&self, index: u32) -> *mut c_void {
        // SAFETY: a map with such keys.
        unsafe { bpf_map_lookup_elem(self.0.get().cast(), (&raw const index).cast()) }
    }
}
