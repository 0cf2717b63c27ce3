//! What must a policy do, said as simply as possible: no bytes, no masks, no generations?

use crate::packet::{ACK, Body, Packet, Piece, RST, SYN, TCP, UDP};
use ipvl_core::policy::Direction;
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

pub const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Debug)]
pub struct Rule {
    pub directions: Vec<Direction>,
    pub passes: bool,
    pub protocol: Option<u8>,
    pub ports: Option<RangeInclusive<u16>>,
    pub peer: Peer,
}

#[derive(Clone, Debug)]
pub enum Peer {
    Any,
    Network(IpAddr, u8),
    Host,
    Slave(u32),
    Labelled(Vec<u8>),
}

/// What an address stands for.
#[derive(Clone, Debug)]
pub enum Station {
    Nobody,
    Host,
    Slave(u32, Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    Rule(usize),
    Default,
    Established,
    Related,
    Fragment,
    Link,
}

/// Local address, remote address, local port, remote port, protocol.
type Key = (IpAddr, IpAddr, u16, u16, u8);

struct Known {
    opener: Direction,
    at: u64,
    answered: bool,
    ended: bool,
}

#[derive(Default)]
pub struct Model {
    pub rules: Vec<Rule>,
    pub defaults: Vec<Direction>,
    pub stations: HashMap<IpAddr, Station>,
    known: HashMap<Key, Known>,
    firsts: HashMap<(IpAddr, IpAddr, u16, u8, bool), u64>,
}

impl Model {
    pub fn among(stations: HashMap<IpAddr, Station>) -> Self {
        Self { stations, ..Self::default() }
    }

    pub fn judge(&mut self, packet: &Packet, direction: Direction, now: u64) -> (bool, Why) {
        let whole = if packet.is_v4() { packet.protocol() } else { 0 };
        let key = |id| (packet.src, packet.dst, id, whole, direction == Direction::Out);
        if let Piece::Later(id) = packet.piece {
            let passed = self.firsts.get(&key(id)).is_some_and(|at| now - at < 60 * SECOND);
            return (passed, Why::Fragment);
        }
        let (passes, why) = self.judge_whole(packet, direction, now);
        if let (true, Piece::First(id)) = (passes, packet.piece) {
            self.firsts.insert(key(id), now);
        }
        (passes, why)
    }

    fn judge_whole(&mut self, packet: &Packet, direction: Direction, now: u64) -> (bool, Why) {
        if is_of_the_link(packet) {
            return (true, Why::Link);
        }
        if let Body::Error { quoted } = &packet.body
            && quoted.src == packet.dst
            && !matches!(quoted.piece, Piece::Later(_))
            && let about = key_of(quoted, other(direction))
            && let Some(opener) = self.opener(&about, now)
        {
            let (passes, why) = self.decide(&about, opener);
            return (passes, if passes { Why::Related } else { why });
        }
        let key = key_of(packet, direction);
        let flags = match packet.body {
            Body::Ports { protocol: TCP, flags, .. } => flags,
            _ => ACK,
        };
        let ends = flags & (RST | 1) != 0;
        if flags & (SYN | ACK) != SYN
            && let Some(opener) = self.opener(&key, now)
        {
            let (passes, why) = self.decide(&key, opener);
            if !passes {
                return (passes, why);
            }
            let known = self.known.get_mut(&key).expect("it is known");
            known.at = now;
            known.answered |= known.opener != direction;
            known.ended |= ends;
            return (true, Why::Established);
        }
        let (passes, why) = self.decide(&key, direction);
        if passes {
            self.known.insert(key, Known { opener: direction, at: now, answered: false, ended: ends });
        }
        (passes, why)
    }

    /// The direction in which a connection that is alive was opened.
    fn opener(&self, key: &Key, now: u64) -> Option<Direction> {
        let known = self.known.get(key)?;
        let seconds = match key.4 {
            TCP if known.answered && !known.ended => 7440,
            TCP => 240,
            UDP => 120,
            1 | 58 => 60,
            _ => 600,
        };
        (now - known.at < seconds * SECOND).then_some(known.opener)
    }

    fn decide(&self, &(_, remote, local_port, remote_port, protocol): &Key, direction: Direction) -> (bool, Why) {
        let port = match direction {
            _ if matches!(protocol, 1 | 58) => 0,
            Direction::In => local_port,
            Direction::Out => remote_port,
        };
        let fitting = self.rules.iter().position(|rule| {
            rule.directions.contains(&direction)
                && rule.protocol.is_none_or(|wanted| wanted == protocol)
                && rule.ports.as_ref().is_none_or(|ports| ports.contains(&port))
                && self.is_about(&rule.peer, remote)
        });
        match fitting {
            Some(place) => (self.rules[place].passes, Why::Rule(place)),
            None => (self.defaults.contains(&direction), Why::Default),
        }
    }

    fn is_about(&self, peer: &Peer, remote: IpAddr) -> bool {
        let station = self.stations.get(&remote).unwrap_or(&Station::Nobody);
        match (peer, station) {
            (Peer::Any, _) | (Peer::Host, Station::Host) => true,
            (Peer::Network(network, len), _) => is_in(*network, *len, remote),
            (Peer::Slave(wanted), Station::Slave(slot, _)) => wanted == slot,
            (Peer::Labelled(wanted), Station::Slave(_, labels)) => wanted.iter().all(|label| labels.contains(label)),
            _ => false,
        }
    }
}

/// Bit by bit.
fn is_in(network: IpAddr, len: u8, addr: IpAddr) -> bool {
    let bits = |addr: IpAddr| -> Vec<bool> {
        let bytes = match addr {
            IpAddr::V4(addr) => addr.octets().to_vec(),
            IpAddr::V6(addr) => addr.octets().to_vec(),
        };
        bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> (7 - bit) & 1 == 1)).collect()
    };
    network.is_ipv4() == addr.is_ipv4() && bits(network)[..usize::from(len)] == bits(addr)[..usize::from(len)]
}

fn is_of_the_link(packet: &Packet) -> bool {
    match packet.body {
        Body::Icmp { kind } => !packet.is_v4() && matches!(kind, 130..=136 | 143),
        Body::Bare { protocol } => packet.is_v4() && protocol == 2,
        _ => false,
    }
}

fn key_of(packet: &Packet, direction: Direction) -> Key {
    let (from, to) = match packet.body {
        Body::Ports { from, to, .. } => (from, to),
        Body::Echo { id, .. } => (id, id),
        _ => (0, 0),
    };
    match direction {
        Direction::Out => (packet.src, packet.dst, from, to, packet.protocol()),
        Direction::In => (packet.dst, packet.src, to, from, packet.protocol()),
    }
}

fn other(direction: Direction) -> Direction {
    if direction == Direction::In { Direction::Out } else { Direction::In }
}
