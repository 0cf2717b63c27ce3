//! Which packets are tried, and how are they written as bytes?

use std::net::IpAddr;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const SCTP: u8 = 132;
pub const SYN: u8 = 2;
pub const ACK: u8 = 16;
pub const RST: u8 = 4;
/// Where the IP header begins in a frame.
pub const AT: usize = 14;

#[derive(Clone, Debug)]
pub struct Packet {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub body: Body,
    pub piece: Piece,
    /// IPv4 options, or an IPv6 header of hop-by-hop options.
    pub options: bool,
}

#[derive(Clone, Debug)]
pub enum Body {
    Ports {
        protocol: u8,
        from: u16,
        to: u16,
        flags: u8,
    },
    Echo {
        id: u16,
        is_answer: bool,
    },
    /// Destination unreachable.
    Error {
        quoted: Box<Packet>,
    },
    /// ICMP of another type.
    Icmp {
        kind: u8,
    },
    /// A protocol without ports.
    Bare {
        protocol: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    Whole,
    First(u16),
    Later(u16),
}

impl Packet {
    pub fn is_v4(&self) -> bool {
        self.src.is_ipv4()
    }

    pub fn protocol(&self) -> u8 {
        match self.body {
            Body::Ports { protocol, .. } | Body::Bare { protocol } => protocol,
            Body::Echo { .. } | Body::Error { .. } | Body::Icmp { .. } if self.is_v4() => 1,
            Body::Echo { .. } | Body::Error { .. } | Body::Icmp { .. } => 58,
        }
    }

    /// The packet behind an empty Ethernet header.
    pub fn frame(&self) -> Vec<u8> {
        [vec![0; AT], self.bytes()].concat()
    }

    fn bytes(&self) -> Vec<u8> {
        let payload = match self.piece {
            Piece::Later(_) => vec![0xee; 16],
            _ => self.payload(),
        };
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => [self.head_4(src.octets(), dst.octets()), payload].concat(),
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let rest = [self.extensions(), payload].concat();
                let next = if self.options { 0 } else { self.after_options() };
                let mut head = vec![0x60, 0, 0, 0, 0, rest.len() as u8, next, 64];
                head.extend(src.octets());
                head.extend(dst.octets());
                [head, rest].concat()
            }
            _ => panic!("one packet has addresses of two families"),
        }
    }

    fn head_4(&self, src: [u8; 4], dst: [u8; 4]) -> Vec<u8> {
        let (id, field) = match self.piece {
            Piece::Whole => (7, 0x4000_u16),
            Piece::First(id) => (id, 0x2000),
            Piece::Later(id) => (id, 185),
        };
        let words = if self.options { 6 } else { 5 };
        let mut head = vec![0x40 | words, 0, 0, 0];
        head.extend(id.to_be_bytes());
        head.extend(field.to_be_bytes());
        head.extend([64, self.protocol(), 0, 0]);
        head.extend(src);
        head.extend(dst);
        head.resize(usize::from(words) * 4, 1);
        head
    }

    fn after_options(&self) -> u8 {
        if self.piece == Piece::Whole { self.protocol() } else { 44 }
    }

    fn extensions(&self) -> Vec<u8> {
        let mut headers = Vec::new();
        if self.options {
            headers.extend([self.after_options(), 0, 1, 4, 0, 0, 0, 0]);
        }
        let (id, field) = match self.piece {
            Piece::Whole => return headers,
            Piece::First(id) => (id, 1_u16),
            Piece::Later(id) => (id, 1480),
        };
        headers.extend([self.protocol(), 0]);
        headers.extend(field.to_be_bytes());
        headers.extend(u32::from(id).to_be_bytes());
        headers
    }

    fn payload(&self) -> Vec<u8> {
        match &self.body {
            Body::Ports { from, to, flags, .. } => {
                let mut bytes = [from.to_be_bytes(), to.to_be_bytes()].concat();
                bytes.resize(20, 0);
                bytes[13] = *flags;
                bytes
            }
            Body::Echo { id, is_answer } => {
                let kind = match (self.is_v4(), is_answer) {
                    (true, false) => 8,
                    (true, true) => 0,
                    (false, false) => 128,
                    (false, true) => 129,
                };
                let [high, low] = id.to_be_bytes();
                vec![kind, 0, 0, 0, high, low, 0, 1]
            }
            Body::Error { quoted } => {
                let kind = if self.is_v4() { 3 } else { 1 };
                [vec![kind, 3, 0, 0, 0, 0, 0, 0], quoted.bytes()].concat()
            }
            Body::Icmp { kind } => vec![*kind, 0, 0, 0, 0, 0, 0, 0],
            Body::Bare { .. } => vec![0; 8],
        }
    }
}
