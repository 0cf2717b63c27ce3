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
//! After a policy has changed, the rules are asked whether a connection from before may be opened, and if not, its packets
//! and errors about them are dropped.
//! [`judge`] changes nothing: [`Judgement::connection`] and [`Judgement::fragment`] say what the body must remember. A body with
//! little stack takes the same steps one by one: [`Facts::read`], [`Facts::read_upper`], [`Facts::read_error`],
//! [`Asked::ask`], [`Policy::decide`] and [`Asked::settle`].

mod connection;
mod direction;
mod facts;
mod rule;

pub use connection::{Connection, Flow, FragmentKey};
pub use direction::Direction;
pub use facts::Facts;
pub use rule::{Answer, Cause, CountKey, MAX_RULES, Opening, Peer, PeerKind, Policy, PolicyCount, Rule};

use crate::abi::Slot;
use crate::addr::Addr;
use crate::frame::Frame;
use crate::wire::{ETH_HLEN, Ethernet, Headers, ethertype};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
    facts.read_error(frame, slave, direction);
    let mut asked = Asked::default();
    let known = asked.ask(&facts, direction, policy.generation, tables);
    let answer = known.unwrap_or_else(|| asked.settle(policy.decide(&asked.opening)));
    Judgement {
        passes: answer.passes(),
        cause: answer.cause(),
        connection: answer.is_to_be_remembered().then_some((facts.flow, asked.connection)),
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

/// What is asked about a packet, and what its connection will be if it passes. It is filled in place, as [`Facts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Asked {
    /// What the rules are asked, if they are.
    pub opening: Opening,
    /// To be remembered if the answer says so.
    pub connection: Connection,
    purpose: u32,
    reserved: u32,
}

/// Why the rules are asked: about the connection that the packet opens; about one from before the last change, which it
/// belongs to; about such a one of which it tells an error.
const NEW: u32 = 0;
const OLD: u32 = 1;
const ABOUT_OLD: u32 = 2;

impl Asked {
    /// The answer about a packet of which this is known; `None` if the rules must be asked about [`Asked::opening`].
    #[inline(always)]
    pub fn ask(
        &mut self,
        facts: &Facts,
        direction: Direction,
        generation: u32,
        tables: &impl PolicyTables,
    ) -> Option<Answer> {
        if facts.is_later_fragment() {
            let first = tables.fragment(&facts.fragment);
            let passes = first.is_some_and(|at| FragmentKey::is_recent(at, tables.now()));
            return Some(Answer::of(passes, Cause::FRAGMENT));
        }
        if facts.is_truncated() {
            return Some(Answer::of(false, Cause::TRUNCATED));
        }
        if facts.is_of_the_link() {
            return Some(Answer::of(true, Cause::LINK));
        }
        if facts.is_error()
            && let Some(known) = alive(&facts.about, tables)
        {
            if known.generation == generation {
                return Some(Answer::of(true, Cause::RELATED));
            }
            self.rules(ABOUT_OLD, &facts.about, known.opener(), tables);
            return None;
        }
        if !facts.opens()
            && let Some(known) = alive(&facts.flow, tables)
        {
            self.connection = known.after(direction, facts.ends(), generation, tables.now());
            if known.generation == generation {
                return Some(Answer::of(true, Cause::ESTABLISHED).remembered());
            }
            self.rules(OLD, &facts.flow, known.opener(), tables);
            return None;
        }
        self.connection = Connection::opened(direction, facts.ends(), generation, tables.now());
        self.rules(NEW, &facts.flow, direction, tables);
        None
    }

    /// The answer, after that of the rules.
    #[inline(always)]
    pub fn settle(&self, by_rules: Answer) -> Answer {
        match self.purpose {
            _ if !by_rules.passes() => by_rules,
            ABOUT_OLD => Answer::of(true, Cause::RELATED),
            OLD => Answer::of(true, Cause::ESTABLISHED).remembered(),
            _ => by_rules.remembered(),
        }
    }

    #[inline(always)]
    fn rules(&mut self, purpose: u32, flow: &Flow, direction: Direction, tables: &impl PolicyTables) {
        self.purpose = purpose;
        self.opening = Opening::of(flow, direction, tables.peer(flow.remote));
    }
}

/// What is remembered of a connection, unless it was silent too long.
#[inline(always)]
fn alive(flow: &Flow, tables: &impl PolicyTables) -> Option<Connection> {
    tables.connection(flow).filter(|known| known.is_alive(flow, tables.now()))
}
