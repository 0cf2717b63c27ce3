//! May this packet pass by its slave's policy? What the two programs at a host end with a policy ask, remember and count.
//!
//! `policy_out` runs before `slave_xmit`, on what the slave sends. `policy_in` runs on what the host end sends, which is all
//! that its slave receives: nothing is delivered past the host end of a slave with a policy. A slave without one meets
//! neither. The maps here are made with a port's first policy.

use crate::ctx::{DROP, HOST};
use crate::maps::{Maps, SLOTS, now};
use crate::skb::Skb;
use crate::watch;
use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, PerCpuHashMap};
use ipvl_core::policy::{
    Answer, Asked, Connection, CountKey, Direction, Facts, Flow, FragmentKey, LABEL_BYTES, LABELS, MAX_CONNECTIONS,
    MAX_FRAGMENTS, MAX_RULES, Peer, Policy, PolicyCount, PolicyTables, concerns, source,
};
use ipvl_core::wire::ETH_HLEN;
use ipvl_core::{Addr, Owner, Reason, Slot, Tables, WIRE};

const MAX_POLICY_COUNTS: u32 = SLOTS * MAX_RULES as u32;

#[map]
static POLICIES: HashMap<Slot, Policy> = HashMap::with_max_entries(SLOTS, BPF_F_NO_PREALLOC);
#[map]
static POLICY_COUNTS: PerCpuHashMap<CountKey, PolicyCount> =
    PerCpuHashMap::with_max_entries(MAX_POLICY_COUNTS, BPF_F_NO_PREALLOC);
#[map]
static CONNECTIONS: LruHashMap<Flow, Connection> = LruHashMap::with_max_entries(MAX_CONNECTIONS, 0);
#[map]
static FRAGMENTS: LruHashMap<FragmentKey, u64> = LruHashMap::with_max_entries(MAX_FRAGMENTS, 0);
/// The labels of each slave, a bit each.
#[map]
static LABELLED: Array<u64> = Array::with_max_entries(SLOTS, 0);
/// What the bits are called.
#[map]
static LABEL_NAMES: Array<[u8; LABEL_BYTES]> = Array::with_max_entries(LABELS, 0);

/// What is known of the packet that is judged just now.
#[map]
static POLICY_FACTS: PerCpuArray<Facts> = PerCpuArray::with_max_entries(1, 0);

/// What is asked about it.
#[map]
static POLICY_ASKED: PerCpuArray<Asked> = PerCpuArray::with_max_entries(1, 0);

/// No answer: only the rules know one.
const UNKNOWN: u32 = u32::MAX;
/// No answer: there is no policy.
const NO_POLICY: u32 = u32::MAX - 1;

/// The same action as the policy of the slave behind this host end has it: on to what follows at the hook, or dropped. Each step
/// is a function: all that call each other share 512 bytes of stack.
#[inline(always)]
pub fn enforce(skb: &Skb, direction: Direction) -> i32 {
    // A flood that goes on has passed before.
    if direction == Direction::Out && skb.resumed_at().is_some() || !concerns(skb) {
        return HOST;
    }
    read(skb, direction);
    read_upper(skb, direction);
    if POLICY_FACTS.get(0).is_some_and(Facts::is_error) {
        read_error(skb, direction);
    }
    let answer = match ask(skb, direction) {
        UNKNOWN => ask_rules(skb),
        answer => answer,
    };
    let answer = skb.forget_word(answer);
    let passes = answer == NO_POLICY || settle(skb, direction, answer) != 0;
    if passes { HOST } else { drop(skb, direction) }
}

#[inline(never)]
fn read(skb: &Skb, direction: Direction) -> i32 {
    let Some(facts) = POLICY_FACTS.get_ptr_mut(0) else { return 0 };
    // SAFETY: the entry is this CPU's own, and nothing else runs on it meanwhile.
    unsafe { &mut *facts }.read(skb, ETH_HLEN, Maps.slot_of(skb.ifindex()), direction);
    0
}

#[inline(never)]
fn read_upper(skb: &Skb, direction: Direction) -> i32 {
    let Some(facts) = POLICY_FACTS.get_ptr_mut(0) else { return 0 };
    // SAFETY: as in `read`.
    unsafe { &mut *facts }.read_upper(skb, Maps.slot_of(skb.ifindex()), direction);
    0
}

#[inline(never)]
fn read_error(skb: &Skb, direction: Direction) -> i32 {
    let Some(facts) = POLICY_FACTS.get_ptr_mut(0) else { return 0 };
    // SAFETY: as in `read`.
    unsafe { &mut *facts }.read_error(skb, Maps.slot_of(skb.ifindex()), direction);
    0
}

/// What is known without the rules, as [`Answer`] has it, or [`UNKNOWN`].
#[inline(never)]
fn ask(skb: &Skb, direction: Direction) -> u32 {
    let slave = Maps.slot_of(skb.ifindex());
    let (Some(facts), Some(asked)) = (POLICY_FACTS.get(0), POLICY_ASKED.get_ptr_mut(0)) else { return NO_POLICY };
    // SAFETY: an entry is never changed in place, only replaced.
    let Some(policy) = (unsafe { POLICIES.get(&slave) }) else { return NO_POLICY };
    // SAFETY: as in `read`.
    unsafe { &mut *asked }.ask(facts, direction, policy.generation, &Maps).map_or(UNKNOWN, |answer| answer.0)
}

/// What the rules say. It takes all that it looks at from a map, of which the verifier knows nothing: so it checks the rules once,
/// and not for each way that leads here.
#[inline(never)]
fn ask_rules(skb: &Skb) -> u32 {
    let slave = Maps.slot_of(skb.ifindex());
    // SAFETY: as in `ask`.
    let (Some(policy), Some(asked)) = (unsafe { POLICIES.get(&slave) }, POLICY_ASKED.get(0)) else { return NO_POLICY };
    asked.settle(policy.decide(&asked.opening)).0
}

/// Whether the packet passes (1); counts it, and remembers what later packets are judged by.
#[inline(never)]
fn settle(skb: &Skb, direction: Direction, answer: u32) -> i32 {
    let (slave, answer) = (Maps.slot_of(skb.ifindex()), Answer(answer));
    // SAFETY: as in `ask`.
    let (Some(policy), Some(facts)) = (unsafe { POLICIES.get(&slave) }, POLICY_FACTS.get(0)) else { return 1 };
    count(&policy.count_key(slave, direction, answer.cause()), skb.context.len());
    if answer.is_to_be_remembered()
        && let Some(asked) = POLICY_ASKED.get(0)
    {
        remember(&facts.flow, &asked.connection);
    }
    if answer.passes() && facts.is_first_fragment() {
        let _ = FRAGMENTS.insert(&facts.fragment, now(), 0);
    }
    answer.passes().into()
}

impl PolicyTables for Maps {
    #[inline(always)]
    fn peer(&self, addr: Addr) -> Peer {
        let owner = self.owner(addr);
        let labels = match owner {
            Owner::Slave(slot) => LABELLED.get(slot.0).copied().unwrap_or(0),
            Owner::Host | Owner::Nobody => 0,
        };
        Peer { owner, labels }
    }

    #[inline(always)]
    fn connection(&self, flow: &Flow) -> Option<Connection> {
        // SAFETY: another CPU may change it meanwhile: every mixture is a state of the same connection.
        unsafe { CONNECTIONS.get(flow) }.copied()
    }

    #[inline(always)]
    fn fragment(&self, key: &FragmentKey) -> Option<u64> {
        // SAFETY: one word.
        unsafe { FRAGMENTS.get(key) }.copied()
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        now()
    }
}

#[inline(always)]
fn remember(flow: &Flow, connection: &Connection) {
    match CONNECTIONS.get_ptr_mut(flow) {
        // SAFETY: the entry is there; see `connection`.
        Some(known) => unsafe { *known = *connection },
        None => _ = CONNECTIONS.insert(flow, connection, 0),
    }
}

#[inline(always)]
fn count(key: &CountKey, bytes: u32) {
    match POLICY_COUNTS.get_ptr_mut(key) {
        // SAFETY: the entry is this CPU's own, and a program is not preempted by another of its kind.
        Some(count) => unsafe {
            (*count).packets += 1;
            (*count).bytes += u64::from(bytes);
        },
        None => {
            let first = PolicyCount { packets: 1, bytes: bytes.into() };
            let _ = POLICY_COUNTS.insert(key, first, 0);
        }
    }
}

/// Drops a packet, counts it for the slave that sent it, and tells watchers.
#[inline(never)]
fn drop(skb: &Skb, direction: Direction) -> i32 {
    let from = match direction {
        Direction::Out => Maps.slot_of(skb.ifindex()),
        Direction::In => sender(skb),
    };
    Maps.count_drop(from, Reason::Policy);
    skb.store_verdict(Reason::Policy.into());
    // A map lives as long as a program that names it, and this one only commands read.
    let _ = LABEL_NAMES.get_ptr(LABELS);
    watch::told(skb, from, DROP)
}

/// The slave that has the packet's source address; the wire stands for any other.
#[inline(never)]
fn sender(skb: &Skb) -> Slot {
    match source(skb).map(|addr| Maps.owner(addr)) {
        Some(Owner::Slave(slot)) => slot,
        _ => WIRE,
    }
}
