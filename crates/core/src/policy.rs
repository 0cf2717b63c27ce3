//! May a slave with a policy send this packet, may it receive it, and which rule says so?
//!
//! A policy is an ordered list of [`Rule`]s and a default for each direction: the first rule that fits decides. It is
//! asked about every IP packet that leaves the slave and every one that would be delivered to it, whatever way it comes;
//! what is not IP is not its business. [`judge`] decides in this order:
//!
//! 1. Neighbour discovery and membership of groups always pass: no station can be without them.
//! 2. A fragment that is not the first follows the first: it passes if that one has passed, and else it is dropped.
//! 3. An ICMP error passes if it is about a packet of a known connection of this slave, and goes to that packet's sender.
//! 4. A packet of a known connection passes, in either direction. One that opens a TCP connection never counts as such.
//! 5. The first rule that fits decides, else the default. If the packet passes, its connection is known from then on.
//!
//! After a policy has changed, a connection from before is known only if the new rules would let it be opened.
//! [`judge`] changes nothing: [`Judgement::connection`] and [`Judgement::fragment`] say what the body must remember. A body with
//! little stack takes the same steps one by one: [`Facts::read`], [`Facts::read_upper`], [`Facts::read_error`] and [`decide`].

mod connection;
mod direction;
mod facts;
mod rule;

pub use connection::{Connection, Flow, FragmentKey};
pub use direction::Direction;
pub use facts::Facts;
pub use rule::{Answer, Cause, CountKey, MAX_RULES, Peer, PeerKind, Policy, PolicyCount, Rule};

use crate::abi::Slot;
use crate::addr::Addr;
use crate::frame::Frame;
use crate::wire::{ETH_HLEN, Ethernet, Headers, ethertype};

/// How many connections the slaves of a port have at once; of more, those that were silent longest are forgotten.
pub const MAX_CONNECTIONS: u32 = 65_536;
/// How many packets may be on their way in fragments at once.
pub const MAX_FRAGMENTS: u32 = 4096;
/// How many labels a port's slaves have between them: a bit each.
pub const LABELS: u32 = 64;
/// The longest name of a label in bytes.
pub const LABEL_BYTES: usize = 32;

/// What a policy asks of the world.
pub trait PolicyTables {
    /// The owner of an address, and its labels.
    fn peer(&self, addr: Addr) -> Peer;
    /// What is remembered of a connection.
    fn connection(&self, flow: &Flow) -> Option<Connection>;
    /// When the first fragment of a packet passed: nanoseconds of `CLOCK_MONOTONIC`.
    fn fragment(&self, key: &FragmentKey) -> Option<u64>;
    /// The time, by the same clock.
    fn now(&self) -> u64;
    /// What the rules say of a connection that is opened in this direction.
    #[inline(always)]
    fn rules(&self, policy: &Policy, flow: &Flow, direction: Direction) -> Answer {
        policy.decide(flow, direction, self.peer(flow.remote))
    }
}

/// What becomes of a packet by a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether it passes.
    pub passes: bool,
    /// Why.
    pub cause: Cause,
    /// What to remember of its connection.
    pub connection: Option<(Flow, Connection)>,
    /// The packet that it is the first fragment of, to remember with the time.
    pub fragment: Option<FragmentKey>,
}

/// Judges the IP packet that begins at `at` in the frame and that the slave sends, or is to receive.
pub fn judge(
    frame: &impl Frame,
    at: usize,
    (slave, direction): (Slot, Direction),
    policy: &Policy,
    tables: &impl PolicyTables,
) -> Judgement {
    let mut facts = Facts::default();
    facts.read(frame, at, slave, direction);
    facts.read_upper(frame, slave, direction);
    facts.read_error(frame, at, slave, direction);
    let mut connection = Connection::default();
    let answer = decide(&facts, direction, policy, tables, &mut connection);
    Judgement {
        passes: answer.passes(),
        cause: answer.cause(),
        connection: answer.is_to_be_remembered().then_some((facts.flow, connection)),
        fragment: (answer.passes() && facts.is_first_fragment()).then_some(facts.fragment),
    }
}

/// Whether a frame at a slave's host end, which has an Ethernet header, carries IP: what else does is not a policy's business.
#[inline(always)]
pub fn concerns(frame: &impl Frame) -> bool {
    Ethernet::parse(frame).is_some_and(|eth| matches!(eth.ethertype, ethertype::IPV4 | ethertype::IPV6))
}

/// The source of the IP packet in such a frame.
#[inline(always)]
pub fn source(frame: &impl Frame) -> Option<Addr> {
    Headers::read(frame, ETH_HLEN).map(|headers| headers.src)
}

/// Judges a packet of which this is known. If it is to be remembered, so the answer says, its connection is written to
/// `connection`.
#[inline(always)]
pub fn decide(
    facts: &Facts,
    direction: Direction,
    policy: &Policy,
    tables: &impl PolicyTables,
    connection: &mut Connection,
) -> Answer {
    if facts.is_later_fragment() {
        let first = tables.fragment(&facts.fragment);
        return Answer::of(first.is_some_and(|at| FragmentKey::is_recent(at, tables.now())), Cause::FRAGMENT);
    }
    if facts.is_truncated() {
        return Answer::of(false, Cause::TRUNCATED);
    }
    if facts.is_of_the_link() {
        return Answer::of(true, Cause::LINK);
    }
    if facts.is_error() && known(&facts.about, policy, tables).is_some() {
        return Answer::of(true, Cause::RELATED);
    }
    if !facts.opens()
        && let Some(known) = known(&facts.flow, policy, tables)
    {
        *connection = known.after(direction, facts.ends(), policy.generation, tables.now());
        return Answer::of(true, Cause::ESTABLISHED).remembered();
    }
    let answer = tables.rules(policy, &facts.flow, direction);
    *connection = Connection::opened(direction, facts.ends(), policy.generation, tables.now());
    if answer.passes() { answer.remembered() } else { answer }
}

/// What is remembered of a connection that is alive and, if the policy has changed since, may still be opened.
#[inline(always)]
fn known(flow: &Flow, policy: &Policy, tables: &impl PolicyTables) -> Option<Connection> {
    let known = tables.connection(flow).filter(|known| known.is_alive(flow, tables.now()))?;
    let is_allowed = known.generation == policy.generation || tables.rules(policy, flow, known.opener()).passes();
    is_allowed.then_some(known)
}
