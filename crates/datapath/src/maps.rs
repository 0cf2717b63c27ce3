//! Where is the state? Fifteen maps a port, and `Tables` answered from them.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf};
use ipvl_core::*;

const SLOTS: u32 = MAX_SLAVES + 1;
const MAX_ADDRESSES: u32 = 65_536;
const MAX_DROP_KEYS: u32 = SLOTS * MAX_REASONS;
const MAX_GROUPS: u32 = 65_536;
const REPORTS_BYTES: u32 = 4096;
const REFLECTION_NANOS: u64 = 1_000_000_000;

#[map]
static PORT: Array<Port> = Array::with_max_entries(1, 0);
#[map]
static ROUTER: Array<Router> = Array::with_max_entries(1, 0);
#[map]
static SLAVES: Array<Slave> = Array::with_max_entries(SLOTS, 0);
#[map]
static IDS: HashMap<u32, Slot> = HashMap::with_max_entries(SLOTS, BPF_F_NO_PREALLOC);
#[map]
static SEATS: Array<Seat> = Array::with_max_entries(ipvl_core::SEATS, 0);
#[map]
static ADDRS: HashMap<Addr, OwnerEntry> = HashMap::with_max_entries(MAX_ADDRESSES, BPF_F_NO_PREALLOC);
#[map]
static NEARBY: Array<Nearby> = Array::with_max_entries(1 << NEARBY_BITS, 0);
#[map]
static PREFIXES: LpmTrie<Addr, OwnerEntry> = LpmTrie::with_max_entries(MAX_ADDRESSES, BPF_F_NO_PREALLOC);
#[map]
static GROUPS: HashMap<Group, Members> = HashMap::with_max_entries(MAX_GROUPS, BPF_F_NO_PREALLOC);
#[map]
static REPORTS: RingBuf = RingBuf::with_byte_size(REPORTS_BYTES, 0);
#[map]
static STATS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(SLOTS, 0);
#[map]
static DROPS: PerCpuHashMap<DropKey, u64> = PerCpuHashMap::with_max_entries(MAX_DROP_KEYS, BPF_F_NO_PREALLOC);
#[map]
static TRIPS: PerCpuArray<Remembered> = PerCpuArray::with_max_entries(ipvl_core::TRIPS, 0);
#[map]
static BUCKETS: Array<u64> = Array::with_max_entries(SLOTS, 0);
#[map]
static SENT: LruHashMap<u64, Sent> = LruHashMap::with_max_entries(4096, 0);

/// The maps of the port that the running program belongs to.
pub struct Maps;

impl Tables for Maps {
    #[inline(always)]
    fn port(&self) -> Port {
        PORT.get(0).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn port_in_place(&self) -> Option<&Port> {
        PORT.get(0)
    }

    #[inline(always)]
    fn slave(&self, slot: Slot) -> Slave {
        self.occupant(slot).unwrap_or(Slave::VACANT)
    }

    #[inline(always)]
    fn owner(&self, addr: Addr) -> Owner {
        // SAFETY: the value is two words that are never changed in place, only replaced.
        let exact = unsafe { ADDRS.get(&addr) };
        if exact.is_none() && self.port().has(Port::PREFIXES) {
            return Owner::found(PREFIXES.get(Key::new(128, addr)));
        }
        Owner::found(exact)
    }

    #[inline(always)]
    fn owner_of(&self, addr: Words) -> Owner {
        match near(addr) {
            0 => Nearby::owner(search(addr.high, addr.low)),
            known => Nearby::owner(known),
        }
    }

    #[inline(always)]
    fn members(&self, group: Group) -> Option<&Members> {
        // SAFETY: entries are never changed in place, only replaced.
        unsafe { GROUPS.get(&group) }
    }

    #[inline(always)]
    fn sender_of(&self, digest: u64) -> Option<Slot> {
        // SAFETY: a reader that sees a newer sender of the same bytes is as right.
        let sent = unsafe { SENT.get(&digest) }?;
        (now().wrapping_sub(sent.at) < REFLECTION_NANOS).then_some(Slot(sent.slot))
    }
}

impl Maps {
    /// The port where it is, for those who have no room on the stack for a copy, and as whom it complains.
    #[inline(always)]
    pub fn in_place(&self) -> Option<(&'static Port, &'static Router)> {
        Some((PORT.get(0)?, ROUTER.get(0)?))
    }

    /// The slave in `slot`, vacant or not; `None` if there is no such slot.
    #[inline(always)]
    pub fn occupant(&self, slot: Slot) -> Option<Slave> {
        SLAVES.get(slot.0).copied()
    }

    #[inline(always)]
    pub fn slot_of(&self, host_end: u32) -> Slot {
        match SEATS.get(host_end % ipvl_core::SEATS) {
            Some(seat) if seat.host_end == host_end => Slot(seat.slot),
            // SAFETY: the value is one word.
            _ => unsafe { IDS.get(&host_end) }.copied().unwrap_or(WIRE),
        }
    }

    /// The next hop of such a packet, if the table was asked for it a moment ago.
    #[inline(always)]
    pub fn next_hop(&self, trip: &Trip, len: u32) -> Option<&'static [u8; 12]> {
        // SAFETY: the entry is this CPU's own, and nobody writes it while the program runs.
        let known = unsafe { &*TRIPS.get_ptr(trip.place())? };
        trip.is(known, now(), len).then_some(&known.macs)
    }

    /// Remembers it for a moment.
    #[inline(always)]
    pub fn remember_next_hop(&self, trip: &Trip, len: u32, macs: [u8; 12]) {
        if let Some(known) = TRIPS.get_ptr_mut(trip.place()) {
            // SAFETY: as in `count_sent`.
            unsafe { *known = trip.remembered(now(), len, macs) };
        }
    }

    /// Remembers who sent the broadcast with this digest, in case the switch sends it back.
    #[inline(always)]
    pub fn remember(&self, digest: u64, from: Slot) {
        let _ = SENT.insert(&digest, &Sent { at: now(), slot: from.0, reserved: 0 }, 0);
    }

    /// Tells the agent that a slave said what groups it is in. If there is no room, nobody has been listening.
    #[inline(always)]
    pub fn report(&self, from: Slot) {
        let _ = REPORTS.output::<u64>(u64::from(from.0), 0);
    }

    #[inline(always)]
    pub fn count_sent(&self, from: Slot, bytes: u32) {
        if let Some(counters) = STATS.get_ptr_mut(from.0) {
            // SAFETY: the entry is this CPU's own, and a program is not preempted by another of its kind.
            unsafe {
                (*counters).tx_packets += 1;
                (*counters).tx_bytes += u64::from(bytes);
            }
        }
    }

    #[inline(always)]
    pub fn count_delivered(&self, to: Slot, bytes: u32) {
        if let Some(counters) = STATS.get_ptr_mut(to.0) {
            // SAFETY: as in `count_sent`.
            unsafe {
                (*counters).rx_packets += 1;
                (*counters).rx_bytes += u64::from(bytes);
            }
        }
    }

    #[inline(always)]
    pub fn count_drop(&self, source: Slot, reason: Reason) {
        self.count_drops(source, reason, 1);
    }

    #[inline(always)]
    pub fn count_drops(&self, source: Slot, reason: Reason, drops: u64) {
        let key = DropKey { slot: source.0, reason: reason as u32 };
        match DROPS.get_ptr_mut(&key) {
            // SAFETY: as in `count_sent`.
            Some(count) => unsafe { *count += drops },
            None => drop(DROPS.insert(&key, &drops, 0)),
        }
    }

    /// Whether `source` may have this many more copies made.
    #[inline(always)]
    pub fn allows(&self, source: Slot, copies: u32) -> bool {
        let Some(entry) = BUCKETS.get_ptr_mut(source.0) else { return false };
        // SAFETY: one word; two CPUs that race grant at most one flood too many.
        let bucket = Bucket(unsafe { *entry });
        match bucket.take(source, copies, now()) {
            // SAFETY: as above.
            Some(after) => unsafe { *entry = after.0 },
            None => return false,
        }
        true
    }
}

/// Who owns `addr`, as [`Nearby`] says it; 0 if that must be searched for. The owner is read twice, see there.
#[inline(always)]
fn near(addr: Words) -> u32 {
    let Some(place) = NEARBY.get_ptr(addr.place()) else { return 0 };
    // SAFETY: the entry is there, and any bytes are one; its address is aligned as words are.
    let (before, there, after) = unsafe {
        let owner = &raw const (*place).owner;
        let words = (&raw const (*place).addr).cast::<[u64; 2]>();
        (owner.read_volatile(), words.read_volatile(), owner.read_volatile())
    };
    if there == [addr.high, addr.low] && before == after { before } else { 0 }
}

/// The same from the tables themselves. A function, for few packets come here.
#[inline(never)]
fn search(high: u64, low: u64) -> u32 {
    Nearby::number(Maps.owner(Words { high, low }.into()))
}

fn now() -> u64 {
    // SAFETY: the helper takes no argument and cannot fail.
    unsafe { aya_ebpf::helpers::generated::bpf_ktime_get_ns() }
}
