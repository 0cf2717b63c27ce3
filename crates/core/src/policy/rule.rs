//! Which packets does a rule of a policy fit, and how are rules stored?

use super::connection::Flow;
use super::direction::{self, Direction};
use crate::abi::{MAX_SLAVES, Slot};
use crate::addr::{Addr, Words};
use crate::owner::{Owner, OwnerEntry};
use core::ops::RangeInclusive;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How many rules a policy may have.
pub const MAX_RULES: usize = 64;

/// What decided about a packet. As a number below [`MAX_RULES`] it is a rule's place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause(pub u8);

impl Cause {
    /// No rule fitted.
    pub const DEFAULT: Self = Self(MAX_RULES as u8);
    /// It belongs to a known connection.
    pub const ESTABLISHED: Self = Self(MAX_RULES as u8 + 1);
    /// It is an ICMP error about a known connection.
    pub const RELATED: Self = Self(MAX_RULES as u8 + 2);
    /// It is a fragment that is not the first.
    pub const FRAGMENT: Self = Self(MAX_RULES as u8 + 3);
    /// It is neighbour discovery, or about membership of a group.
    pub const LINK: Self = Self(MAX_RULES as u8 + 4);
    /// It ends before what a policy must know.
    pub const TRUNCATED: Self = Self(MAX_RULES as u8 + 5);
    /// How many causes there are.
    pub const COUNT: u32 = MAX_RULES as u32 + 6;

    /// The place of the rule that decided; `None` if none did.
    #[inline(always)]
    pub fn rule(self) -> Option<usize> {
        (usize::from(self.0) < MAX_RULES).then_some(usize::from(self.0))
    }
}

/// What a policy says of a packet, in one word: in eBPF it passes from function to function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer(pub u32);

impl Answer {
    const PASSES: u32 = 1 << 8;
    const REMEMBERED: u32 = 1 << 9;

    #[inline(always)]
    pub(super) fn of(passes: bool, Cause(cause): Cause) -> Self {
        Self(u32::from(cause) | if passes { Self::PASSES } else { 0 })
    }

    /// The same, and its connection is to be remembered.
    #[inline(always)]
    pub(super) fn remembered(self) -> Self {
        Self(self.0 | Self::REMEMBERED)
    }

    /// Whether it passes.
    #[inline(always)]
    pub fn passes(self) -> bool {
        self.0 & Self::PASSES != 0
    }

    /// Whether its connection is to be remembered.
    #[inline(always)]
    pub fn is_to_be_remembered(self) -> bool {
        self.0 & Self::REMEMBERED != 0
    }

    /// Why.
    #[inline(always)]
    pub fn cause(self) -> Cause {
        Cause(self.0 as u8)
    }
}

/// The other side of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The owner of its address.
    pub owner: Owner,
    /// Of a slave, its labels: a bit each, numbered by the port.
    pub labels: u64,
}

/// Which peers a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerKind {
    /// Any.
    Any,
    /// Any with an address in this network, of its own family.
    Network(Addr, u8),
    /// The host.
    Host,
    /// The slave in this slot.
    Slave(Slot),
    /// Every slave that has all of these labels; with none, every slave.
    Labelled(u64),
}

const ANY: u8 = 0;
const NETWORK: u8 = 1;
const HOST: u8 = 2;
const SLAVE: u8 = 3;
const LABELLED: u8 = 4;

/// A rule, as a map has it. It fits a packet if each of its parts does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rule {
    labels: u64,
    network: Addr,
    slot: Slot,
    /// The first port that it is about, where the connection is opened to; of what has no ports, 0.
    pub first_port: u16,
    /// The last one.
    pub last_port: u16,
    /// Counted in an IPv4-mapped address.
    prefix_len: u8,
    peer: u8,
    /// The protocol's number; 0 for any.
    pub protocol: u8,
    /// [`Rule::IN`], [`Rule::OUT`] or both; and [`Rule::PASS`].
    pub bits: u8,
    /// The number by which commands call it and packets are counted: of the rules of one policy each has another, from 1 on.
    pub handle: u32,
}

impl Rule {
    /// It is about what the slave receives.
    pub const IN: u8 = direction::IN;
    /// It is about what the slave sends.
    pub const OUT: u8 = direction::OUT;
    /// What it fits passes; without this bit it is dropped.
    pub const PASS: u8 = 4;

    /// A rule about these peers, for any protocol and port.
    pub fn about(peer: PeerKind, bits: u8) -> Self {
        let any = Self { last_port: u16::MAX, bits, ..Self::default() };
        match peer {
            PeerKind::Any => Self { peer: ANY, ..any },
            PeerKind::Network(network, len) => {
                let prefix_len = if network.as_v4().is_some() { len.min(32) + 96 } else { len.min(128) };
                Self { peer: NETWORK, network, prefix_len, ..any }
            }
            PeerKind::Host => Self { peer: HOST, ..any },
            PeerKind::Slave(slot) => Self { peer: SLAVE, slot, ..any },
            PeerKind::Labelled(labels) => Self { peer: LABELLED, labels, ..any },
        }
    }

    /// The same for one protocol, and for these ports alone. What has no ports, has port 0.
    pub fn on(self, protocol: u8, ports: RangeInclusive<u16>) -> Self {
        Self { protocol, first_port: *ports.start(), last_port: *ports.end(), ..self }
    }

    /// The same with this handle.
    pub fn called(self, handle: u32) -> Self {
        Self { handle, ..self }
    }

    /// Which peers it is about.
    pub fn peer(&self) -> PeerKind {
        match self.peer {
            NETWORK if self.network.as_v4().is_some() => {
                PeerKind::Network(self.network, self.prefix_len.saturating_sub(96))
            }
            NETWORK => PeerKind::Network(self.network, self.prefix_len),
            HOST => PeerKind::Host,
            SLAVE => PeerKind::Slave(self.slot),
            LABELLED => PeerKind::Labelled(self.labels),
            _ => PeerKind::Any,
        }
    }

    #[inline(always)]
    fn fits(&self, opening: &Opening) -> bool {
        self.bits & opening.direction as u8 != 0
            && (self.protocol == 0 || u32::from(self.protocol) == opening.protocol)
            && u32::from(self.first_port) <= opening.port
            && opening.port <= u32::from(self.last_port)
            && self.is_about(opening)
    }

    #[inline(always)]
    fn is_about(&self, opening: &Opening) -> bool {
        match self.peer {
            ANY => true,
            NETWORK => contains(Words::from(self.network), self.prefix_len, opening.remote()),
            HOST => opening.owner == OwnerEntry::HOST.0,
            SLAVE => opening.owner == self.slot.0,
            LABELLED => opening.owner < MAX_SLAVES && opening.labels & self.labels == self.labels,
            _ => false,
        }
    }
}

/// The key of the per-CPU map `POLICY_COUNTS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CountKey {
    /// The slave.
    pub slave: Slot,
    /// A rule's handle, or what [`CountKey::of_cause`] gives.
    pub number: u32,
}

/// The value of the map `POLICY_COUNTS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PolicyCount {
    /// Packets; a GSO packet counts as one.
    pub packets: u64,
    /// Their bytes, Ethernet header included.
    pub bytes: u64,
}

impl CountKey {
    /// The number of a cause that is no rule.
    #[inline(always)]
    pub fn of_cause(cause: Cause, direction: Direction) -> u32 {
        1 << 31 | u32::from(direction.bit()) << 8 | u32::from(cause.0)
    }
}

/// What rules look at: the first packet of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Opening {
    high: u64,
    low: u64,
    labels: u64,
    owner: u32,
    direction: u32,
    protocol: u32,
    port: u32,
}

impl Opening {
    /// Of this connection, if it is opened in this direction.
    #[inline(always)]
    pub(super) fn of(flow: &Flow, direction: Direction, Peer { owner, labels }: Peer) -> Self {
        let Words { high, low } = Words::from(flow.remote);
        let owner = match owner {
            Owner::Slave(slot) => slot.0,
            Owner::Host => OwnerEntry::HOST.0,
            Owner::Nobody => MAX_SLAVES,
        };
        let (protocol, port) = (flow.protocol.into(), flow.port_opened(direction).into());
        Self { high, low, labels, owner, direction: direction.bit().into(), protocol, port }
    }

    #[inline(always)]
    fn remote(&self) -> Words {
        Words { high: self.high, low: self.low }
    }
}

/// The rules of a slave, in their order: the value of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Policy {
    /// Counts the changes of this policy.
    pub generation: u32,
    /// How many of the rules there are.
    pub len: u16,
    /// [`Rule::IN`] and [`Rule::OUT`]: in which direction passes what no rule fits.
    pub default: u8,
    reserved: u8,
    /// The rules.
    pub rules: [Rule; MAX_RULES],
}

impl Policy {
    /// A policy of these rules; `None` if there are too many.
    pub fn new(generation: u32, default: u8, rules: &[Rule]) -> Option<Self> {
        let mut stored = [Rule::default(); MAX_RULES];
        stored.get_mut(..rules.len())?.copy_from_slice(rules);
        Some(Self { generation, len: rules.len() as u16, default, reserved: 0, rules: stored })
    }

    /// What counts the packets of `slave` about which `cause` decided: by rule, and else by cause and direction.
    #[inline(always)]
    pub fn count_key(&self, slave: Slot, direction: Direction, cause: Cause) -> CountKey {
        let rule = cause.rule().and_then(|place| self.rules.get(place));
        let number = rule.map_or(CountKey::of_cause(cause, direction), |rule| rule.handle);
        CountKey { slave, number }
    }

    /// The rules that there are.
    pub fn rules(&self) -> &[Rule] {
        self.rules.get(..usize::from(self.len)).unwrap_or(&self.rules)
    }

    /// Whether a connection may be opened, and what decides so: the first rule that fits, or the default.
    #[inline(always)]
    pub fn decide(&self, opening: &Opening) -> Answer {
        for (place, rule) in self.rules.iter().enumerate() {
            if place >= usize::from(self.len) {
                break;
            }
            if rule.fits(opening) {
                return Answer::of(rule.bits & Rule::PASS != 0, Cause(place as u8));
            }
        }
        Answer::of(u32::from(self.default) & opening.direction != 0, Cause::DEFAULT)
    }
}

/// Whether an address is in a network of its own family.
#[inline(always)]
fn contains(network: Words, len: u8, addr: Words) -> bool {
    let high = u64::from_be(network.high ^ addr.high) & mask(len);
    let low = u64::from_be(network.low ^ addr.low) & mask(len.saturating_sub(64));
    is_v4(network) == is_v4(addr) && (high | low) == 0
}

/// The first `len` bits of a word, or all.
#[inline(always)]
fn mask(len: u8) -> u64 {
    match len {
        0 => 0,
        1..64 => u64::MAX << (64 - len),
        64.. => u64::MAX,
    }
}

#[inline(always)]
fn is_v4(addr: Words) -> bool {
    addr.high == 0 && u64::from_be(addr.low) >> 32 == 0xffff
}
