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
//! [`judge`] changes nothing: [`Judgement::connection`] and [`Judgement::fragment`] say what the body must remember.

mod connection;
mod direction;
mod rule;

pub use connection::{Connection, Flow, FragmentKey};
pub use direction::Direction;
pub use rule::{Cause, MAX_RULES, Peer, PeerKind, Policy, Rule};

use crate::abi::Slot;
use crate::addr::Addr;
use crate::frame::Frame;
use crate::wire::Headers;

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

impl Judgement {
    #[inline(always)]
    fn of(passes: bool, cause: Cause) -> Self {
        Self { passes, cause, connection: None, fragment: None }
    }
}

/// A packet as the policy of a slave sees it.
struct Asked<'a, T> {
    direction: Direction,
    policy: &'a Policy,
    tables: &'a T,
    slave: Slot,
}

/// Judges the IP packet that begins at `at` in the frame and that the slave sends, or is to receive.
#[inline(always)]
pub fn judge(
    frame: &impl Frame,
    at: usize,
    (slave, direction): (Slot, Direction),
    policy: &Policy,
    tables: &impl PolicyTables,
) -> Judgement {
    let asked = Asked { direction, policy, tables, slave };
    let Some(headers) = Headers::read(frame, at) else { return Judgement::of(false, Cause::TRUNCATED) };
    let fragment = headers.fragment.map(|(id, is_first)| (FragmentKey::of(&headers, id, slave, direction), is_first));
    match fragment {
        Some((key, false)) => Judgement::of(asked.first_has_passed(&key), Cause::FRAGMENT),
        Some((key, true)) => {
            let judged = asked.whole(frame, &headers);
            Judgement { fragment: judged.passes.then_some(key), ..judged }
        }
        None => asked.whole(frame, &headers),
    }
}

impl<T: PolicyTables> Asked<'_, T> {
    #[inline(always)]
    fn first_has_passed(&self, key: &FragmentKey) -> bool {
        self.tables.fragment(key).is_some_and(|at| FragmentKey::is_recent(at, self.tables.now()))
    }

    /// Judges a packet of which the ports are there.
    #[inline(always)]
    fn whole(&self, frame: &impl Frame, headers: &Headers) -> Judgement {
        if headers.is_of_the_link(frame) {
            return Judgement::of(true, Cause::LINK);
        }
        let Some(ports) = headers.ports(frame) else { return Judgement::of(false, Cause::TRUNCATED) };
        if self.is_related(frame, headers) {
            return Judgement::of(true, Cause::RELATED);
        }
        let flow = Flow::of(headers, ports, self.slave, self.direction);
        let (opens, ends) = headers.opens_or_ends(frame);
        if !opens && let Some(known) = self.known(&flow) {
            let after = known.after(self.direction, ends, self.policy.generation, self.tables.now());
            return Judgement { connection: Some((flow, after)), ..Judgement::of(true, Cause::ESTABLISHED) };
        }
        let (passes, cause) = self.policy.decide(&flow, self.direction, self.tables.peer(flow.remote));
        let new = Connection::opened(self.direction, ends, self.policy.generation, self.tables.now());
        Judgement { connection: passes.then_some((flow, new)), ..Judgement::of(passes, cause) }
    }

    /// Whether it is an error about a known connection, and goes to the sender of the packet that it quotes.
    #[inline(always)]
    fn is_related(&self, frame: &impl Frame, headers: &Headers) -> bool {
        let Some(quoted) = headers.quoted(frame) else { return false };
        let Some(ports) = quoted.ports(frame) else { return false };
        let is_whole = quoted.fragment.is_none_or(|(_, is_first)| is_first);
        let flow = Flow::of(&quoted, ports, self.slave, self.direction.reversed());
        is_whole && quoted.src == headers.dst && self.known(&flow).is_some()
    }

    /// What is remembered of a connection that is alive and, if the policy has changed since, may still be opened.
    #[inline(always)]
    fn known(&self, flow: &Flow) -> Option<Connection> {
        let known = self.tables.connection(flow).filter(|known| known.is_alive(flow, self.tables.now()))?;
        let is_allowed = known.generation == self.policy.generation || {
            self.policy.decide(flow, known.opener(), self.tables.peer(flow.remote)).0
        };
        is_allowed.then_some(known)
    }
}
