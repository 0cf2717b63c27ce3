//! Which rules, stations and packets are tried? Few addresses and ports, so that packets often meet rules and each other.

use crate::model::{Peer, Rule, Station};
use crate::packet::{ACK, Body, Packet, Piece, RST, SCTP, SYN, TCP, UDP};
use ipvl_core::policy::{Direction, MAX_RULES};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A generator of Marsaglia's kind (xorshift64*).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % end
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn of<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize].clone()
    }

    fn addr(&mut self, v4: bool, numbers: std::ops::Range<u64>) -> IpAddr {
        let number = (numbers.start + self.below(numbers.end - numbers.start)) as u8;
        // Some differ in their first bits, some in their last.
        if v4 {
            Ipv4Addr::new(10 + number % 3 * 64, 0, 0, number).into()
        } else {
            Ipv6Addr::new(0xfd00 + u16::from(number) % 3, 0, 0, u16::from(number) % 2, 0, 0, 0, number.into()).into()
        }
    }

    pub fn stations(&mut self) -> HashMap<IpAddr, Station> {
        let all: Vec<IpAddr> = (10..22).flat_map(|n| [true, false].map(|v4| self.addr(v4, n..n + 1))).collect();
        let kinds = all.into_iter().map(|addr| (addr, self.station()));
        kinds.collect()
    }

    fn station(&mut self) -> Station {
        let labels = (0..4).filter(|_| self.once_in(2)).collect();
        match self.below(4) {
            0 => Station::Nobody,
            1 => Station::Host,
            _ => Station::Slave(1 + self.below(4) as u32, labels),
        }
    }

    pub fn rules(&mut self) -> Vec<Rule> {
        let len = match self.below(20) {
            0 => MAX_RULES as u64,
            1 => self.below(MAX_RULES as u64),
            _ => self.below(8),
        };
        (0..len).map(|_| self.rule()).collect()
    }

    pub fn directions(&mut self) -> Vec<Direction> {
        [Direction::In, Direction::Out].into_iter().filter(|_| self.once_in(2)).collect()
    }

    fn rule(&mut self) -> Rule {
        let first = self.port();
        let last = first.saturating_add(self.below(4) as u16);
        Rule {
            directions: self.directions(),
            passes: self.once_in(2),
            protocol: self.of(&[None, None, Some(TCP), Some(UDP), Some(SCTP), Some(1), Some(58), Some(47)]),
            ports: self.once_in(2).then_some(first..=last),
            peer: self.peer(),
        }
    }

    fn peer(&mut self) -> Peer {
        let v4 = self.once_in(2);
        match self.below(6) {
            0 => Peer::Any,
            1 | 2 => {
                let len = if v4 { self.below(33) } else { self.below(129) };
                Peer::Network(self.addr(v4, 10..22), len as u8)
            }
            3 => Peer::Host,
            4 => Peer::Slave(1 + self.below(4) as u32),
            _ => Peer::Labelled((0..4).filter(|_| self.once_in(3)).collect()),
        }
    }

    fn port(&mut self) -> u16 {
        self.of(&[0, 22, 24, 443, 65535])
    }

    pub fn packet(&mut self, direction: Direction) -> Packet {
        let v4 = self.once_in(2);
        let (local, remote) = (self.addr(v4, 1..3), self.addr(v4, 10..22));
        let (src, dst) = if direction == Direction::Out { (local, remote) } else { (remote, local) };
        let body = if self.once_in(6) { self.error(src, dst) } else { self.plain(v4) };
        Packet { src, dst, body, piece: self.piece(), options: self.once_in(8) }
    }

    /// An error that goes to `dst`, mostly about what that station has sent.
    fn error(&mut self, src: IpAddr, dst: IpAddr) -> Body {
        let v4 = src.is_ipv4();
        let from = if self.once_in(10) { self.addr(v4, 1..3) } else { dst };
        let to = if self.once_in(3) { self.addr(v4, 10..22) } else { src };
        let piece = if self.once_in(10) { Piece::Later(1) } else { Piece::Whole };
        let quoted = Packet { src: from, dst: to, body: self.plain(v4), piece, options: self.once_in(8) };
        Body::Error { quoted: Box::new(quoted) }
    }

    fn plain(&mut self, v4: bool) -> Body {
        let icmp = if v4 { vec![5, 13, 135] } else { vec![130, 135, 137, 143, 8] };
        match self.below(10) {
            0..=6 => Body::Ports {
                protocol: self.of(&[TCP, TCP, TCP, UDP, UDP, SCTP]),
                from: self.port(),
                to: self.port(),
                flags: self.of(&[SYN, SYN | ACK, ACK, ACK, ACK | 1, RST]),
            },
            7 => Body::Echo { id: self.below(3) as u16, is_answer: self.once_in(2) },
            8 => Body::Icmp { kind: self.of(&icmp) },
            _ => Body::Bare { protocol: self.of(&[2, 47, 47, if v4 { 58 } else { 1 }]) },
        }
    }

    fn piece(&mut self) -> Piece {
        let id = self.below(3) as u16;
        match self.below(10) {
            0 => Piece::First(id),
            1 => Piece::Later(id),
            _ => Piece::Whole,
        }
    }
}
