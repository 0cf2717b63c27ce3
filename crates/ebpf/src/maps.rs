//! Where is a port's state? In eighteen maps, which `Maps` reads and writes and which answer for `Tables`; those for watchers
//! are in `watch`.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf};
use ipvl_core::dhcp::Asked;
use ipvl_core::maps::{
    ADDR_CACHE_BITS, AddrCacheEntry, CachedNexthop, Counters, DropKey, JOINED, JOINS_LEN, NEXTHOPS_LEN, NexthopKey, SEEN, SLOT_CACHE_LEN,
    Sent, SlotCacheEntry,
};
use ipvl_core::wire::ADDRESSES_LEN;
use ipvl_core::*;

pub const SLOTS: u32 = MAX_SLAVES + 1;
const MAX_ADDRESSES: u32 = 65_536;
/// As many as in every version, so that an upgrade can go on with the map: no slave has all reasons.
const MAX_DROP_KEYS: u32 = SLOTS * 32;
const MAX_GROUPS: u32 = 65_536;
const REPORTS_BYTES: u32 = 4096;
/// How long after a broadcast a switch may still send it back.
const REFLECTION_NANOS: u64 = 1_000_000_000;

#[map]
static PORT: Array<PortEntry> = Array::with_max_entries(1, 0);
#[map]
static ROUTER: Array<Router> = Array::with_max_entries(1, 0);
#[map]
static SLAVES: Array<Slave> = Array::with_max_entries(SLOTS, 0);
#[map]
static SLOT_BY_IFINDEX: HashMap<IfIndex, Slot> = HashMap::with_max_entries(SLOTS, BPF_F_NO_PREALLOC);
#[map]
static SLOT_CACHE: Array<SlotCacheEntry> = Array::with_max_entries(SLOT_CACHE_LEN, 0);
#[map]
static ADDRS: HashMap<Addr, OwnerEntry> = HashMap::with_max_entries(MAX_ADDRESSES, BPF_F_NO_PREALLOC);
#[map]
static ADDR_CACHE: Array<AddrCacheEntry> = Array::with_max_entries(1 << ADDR_CACHE_BITS, 0);
#[map]
static PREFIXES: LpmTrie<Addr, OwnerEntry> = LpmTrie::with_max_entries(MAX_ADDRESSES, BPF_F_NO_PREALLOC);
#[map]
static GROUPS: HashMap<Group, Members> = HashMap::with_max_entries(MAX_GROUPS, BPF_F_NO_PREALLOC);
#[map]
static JOINS: Array<u64> = Array::with_max_entries(JOINS_LEN, 0);
#[map]
static REPORTS: RingBuf = RingBuf::with_byte_size(REPORTS_BYTES, 0);
#[map]
static STATS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(SLOTS, 0);
#[map]
static DROPS: PerCpuHashMap<DropKey, u64> = PerCpuHashMap::with_max_entries(MAX_DROP_KEYS, BPF_F_NO_PREALLOC);
#[map]
static NEXTHOPS: PerCpuArray<CachedNexthop> = PerCpuArray::with_max_entries(NEXTHOPS_LEN, 0);
#[map]
static BUCKETS: Array<u64> = Array::with_max_entries(SLOTS, 0);
#[map]
static RATES: HashMap<Slot, RateEntry> = HashMap::with_max_entries(SLOTS, BPF_F_NO_PREALLOC);
#[map]
static SENT: LruHashMap<u64, Sent> = LruHashMap::with_max_entries(4096, 0);
#[map]
static XIDS: LruHashMap<u32, Asked> = LruHashMap::with_max_entries(4096, 0);

/// Where in the word of the port's flags the byte is that has [`PortEntry::DHCP`], and that byte.
const DHCP_BYTE: (usize, u8) = match PortEntry::DHCP.to_ne_bytes() {
    [0, 0, 0, byte] => (3, byte),
    [byte, ..] => (0, byte),
};

/// Where the byte is that has [`PortEntry::WATCHED`].
const WATCHED_BYTE: usize = match PortEntry::WATCHED.to_ne_bytes() {
    [0, 0, _, 0] => 2,
    _ => 1,
};

/// The maps of the port that the running program belongs to.
pub struct Maps;

impl Tables for Maps {
    #[inline(always)]
    fn port(&self) -> PortEntry {
        PORT.get(0).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn port_ref(&self) -> Option<&PortEntry> {
        PORT.get(0)
    }

    #[inline(always)]
    fn slave(&self, slot: Slot) -> Slave {
        self.slave_entry(slot).unwrap_or(Slave::VACANT)
    }

    #[inline(always)]
    fn owner(&self, addr: Addr) -> Owner {
        // SAFETY: the value is two words that are never changed in place, only replaced.
        let exact = unsafe { ADDRS.get(&addr) };
        if exact.is_none() && self.port().has(PortEntry::PREFIXES) {
            return Owner::found(PREFIXES.get(Key::new(128, addr)));
        }
        Owner::found(exact)
    }

    #[inline(always)]
    fn owner_of(&self, addr: Words) -> Owner {
        match cached_owner(addr) {
            0 => AddrCacheEntry::owner(table_owner(addr.high, addr.low)),
            cached => AddrCacheEntry::owner(cached),
        }
    }

    #[inline(always)]
    fn members(&self, group: Group) -> Option<&Members> {
        // SAFETY: entries are never changed in place, only replaced.
        unsafe { GROUPS.get(&group) }
    }

    #[inline(always)]
    fn is_joining(&self) -> bool {
        let (Some(joined), Some(seen)) = (JOINS.get(JOINED), JOINS.get(SEEN)) else { return false };
        joined != seen
    }

    #[inline(always)]
    fn sender_of(&self, digest: u64) -> Option<Slot> {
        // SAFETY: the entry may be replaced while it is read, by a newer sender of the same bytes, which is as right.
        let sent = unsafe { SENT.get(&digest) }?;
        (now().wrapping_sub(sent.at) < REFLECTION_NANOS).then_some(sent.slot)
    }

    #[inline(always)]
    fn asker_of(&self, xid: u32) -> Option<Asker> {
        // SAFETY: as above.
        unsafe { XIDS.get(&xid) }?.asker(now())
    }

    #[inline(always)]
    fn take_bytes(&self, slot: Slot, bytes: u32) -> bool {
        let Some(entry) = RATES.get_ptr_mut(&slot) else { return true };
        // SAFETY: words that are there. If two CPUs send for one slave in the same nanoseconds, one of the frames is free.
        unsafe {
            let Some(from) = (*entry).admits(now()) else { return false };
            (*entry).full_at = from + (*entry).nanos(bytes.into());
        }
        true
    }
}

impl Maps {
    /// The port, and the addresses that ICMP errors come from, both without a copy on the stack.
    #[inline(always)]
    pub fn port_and_router(&self) -> Option<(&'static PortEntry, &'static Router)> {
        Some((PORT.get(0)?, ROUTER.get(0)?))
    }

    /// The entry of `slot`, vacant or not; `None` if there is no such slot.
    #[inline(always)]
    pub fn slave_entry(&self, slot: Slot) -> Option<Slave> {
        SLAVES.get(slot.0).copied()
    }

    /// The slot of the slave behind a host end, or [`WIRE`] if there is none.
    #[inline(always)]
    pub fn slot_of(&self, host_end: IfIndex) -> Slot {
        match SLOT_CACHE.get(host_end.0 % SLOT_CACHE_LEN) {
            Some(cached) if cached.host_end == host_end => cached.slot,
            // SAFETY: the value is one word.
            _ => unsafe { SLOT_BY_IFINDEX.get(&host_end) }.copied().unwrap_or(WIRE),
        }
    }

    /// The cached addresses of an Ethernet header to the next hop, if there is a valid entry for `key` and a packet of `len`
    /// bytes.
    #[inline(always)]
    pub fn next_hop(&self, key: &NexthopKey, len: u32) -> Option<&'static [u8; ADDRESSES_LEN]> {
        // SAFETY: the entry is this CPU's own, and nothing writes it while the program runs.
        let cached = unsafe { &*NEXTHOPS.get_ptr(key.cache_index())? };
        key.matches(cached, now(), len).then_some(&cached.macs)
    }

    /// Caches the next hop.
    #[inline(always)]
    pub fn cache_next_hop(&self, key: &NexthopKey, len: u32, macs: [u8; ADDRESSES_LEN]) {
        if let Some(entry) = NEXTHOPS.get_ptr_mut(key.cache_index()) {
            // SAFETY: as in `count_sent`.
            unsafe { *entry = key.cached(now(), len, macs) };
        }
    }

    /// Remembers the sender of the broadcast with this digest, in case the switch sends it back.
    #[inline(always)]
    pub fn remember_sender(&self, digest: u64, from: Slot) {
        let _ = SENT.insert(&digest, &Sent { at: now(), slot: from, reserved: 0 }, 0);
    }

    /// Remembers the slave that has sent a DHCP request with this transaction id.
    #[inline(always)]
    pub fn remember_asker(&self, xid: u32, from: Slot) {
        // SAFETY: as in `sender_of`.
        let before = unsafe { XIDS.get(&xid) }.copied();
        let _ = XIDS.insert(&xid, &Asked::after(before, from, now()), 0);
        if let Some(port) = PORT.get_ptr_mut(0)
            && !self.port().has(PortEntry::DHCP)
        {
            // SAFETY: a byte of a word that is there, see `PortEntry::DHCP`.
            unsafe { (&raw mut (*port).flags).cast::<u8>().add(DHCP_BYTE.0).write_volatile(DHCP_BYTE.1) };
        }
    }

    /// Notes that nobody watches any more.
    #[inline(always)]
    pub fn clear_watched(&self) {
        if let Some(port) = PORT.get_ptr_mut(0) {
            // SAFETY: a byte of a word that is there, see `PortEntry::WATCHED`.
            unsafe { (&raw mut (*port).flags).cast::<u8>().add(WATCHED_BYTE).write_volatile(0) };
        }
    }

    /// Tells the agent that a slave has sent a membership report. If the ring buffer is full, no agent reads it.
    #[inline(always)]
    pub fn report_membership(&self, from: Slot) {
        let _ = REPORTS.output::<u64>(u64::from(from.0), 0);
    }

    /// Counts a packet that a slave has sent.
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

    /// Counts a packet that was delivered past a slave's host end.
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

    /// Counts a drop of a frame from `source`.
    #[inline(always)]
    pub fn count_drop(&self, source: Slot, reason: Reason) {
        self.count_drops(source, reason, 1);
    }

    /// Counts several drops for the same reason.
    #[inline(always)]
    pub fn count_drops(&self, source: Slot, reason: Reason, drops: u64) {
        let key = DropKey { slot: source, reason: reason as u32 };
        match DROPS.get_ptr_mut(&key) {
            // SAFETY: as in `count_sent`.
            Some(count) => unsafe { *count += drops },
            None => drop(DROPS.insert(&key, &drops, 0)),
        }
    }

    /// Takes tokens for this many copies from the bucket of `source`; false if there are not enough.
    #[inline(always)]
    pub fn take_tokens(&self, source: Slot, copies: u32) -> bool {
        let Some(entry) = BUCKETS.get_ptr_mut(source.0) else { return false };
        // SAFETY: one word; two CPUs that race allow at most one flood too many.
        let bucket = TokenBucket(unsafe { *entry });
        match bucket.take(source, copies, now()) {
            // SAFETY: as above.
            Some(after) => unsafe { *entry = after.0 },
            None => return false,
        }
        true
    }
}

/// The owner of `addr` as [`AddrCacheEntry::owner`] has it; 0 if it is not cached. The owner is read twice, see
/// [`AddrCacheEntry`].
#[inline(always)]
fn cached_owner(addr: Words) -> u32 {
    let Some(entry) = ADDR_CACHE.get_ptr(addr.cache_index()) else { return 0 };
    // SAFETY: the entry is there, and any bytes are one; its address is aligned as words are.
    let (before, cached, after) = unsafe {
        let owner = &raw const (*entry).owner;
        let words = (&raw const (*entry).addr).cast::<[u64; 2]>();
        (owner.read_volatile(), words.read_volatile(), owner.read_volatile())
    };
    if cached == [addr.high, addr.low] && before == after { before } else { 0 }
}

/// The same from the hash map and the prefixes. It is a function because few packets need it.
#[inline(never)]
fn table_owner(high: u64, low: u64) -> u32 {
    AddrCacheEntry::number(Maps.owner(Words { high, low }.into()))
}

pub fn now() -> u64 {
    // SAFETY: the helper takes no argument and cannot fail.
    unsafe { aya_ebpf::helpers::generated::bpf_ktime_get_ns() }
}
