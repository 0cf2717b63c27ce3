//! What is an address? MAC addresses, and IP addresses of both families as one type.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An Ethernet address.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, IntoBytes, FromBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The broadcast address.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether the two are equal. They are compared as two words, since byte by byte takes six comparisons for each packet.
    #[inline(always)]
    pub fn is(self, other: Self) -> bool {
        self.words() == other.words()
    }

    #[inline(always)]
    fn words(self) -> (u32, u16) {
        let [a, b, c, d, e, f] = self.0;
        (u32::from_ne_bytes([a, b, c, d]), u16::from_ne_bytes([e, f]))
    }

    /// Whether the group bit is set (IEEE 802): broadcast and multicast.
    #[inline(always)]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether all bytes are zero: the device has no MAC address.
    #[inline(always)]
    pub fn is_zero(self) -> bool {
        self.0 == [0; 6]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// An IP address as the tables have it: 16 bytes, IPv4 as `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, IntoBytes, FromBytes, Immutable, KnownLayout,
)]
#[repr(C, align(4))]
pub struct Addr(pub [u8; 16]);

impl Addr {
    /// `255.255.255.255`: all stations of this link (RFC 919).
    pub const BROADCAST_4: Self = Self::v4([0xff; 4]);
    /// `0.0.0.0`: no address yet (RFC 1122, 3.2.1.3).
    pub const UNSPECIFIED_4: Self = Self::v4([0; 4]);
    /// `::`: no address yet (RFC 4291, 2.5.2).
    pub const UNSPECIFIED_6: Self = Self([0; 16]);

    /// An IPv4 address.
    #[inline(always)]
    pub const fn v4(ip: [u8; 4]) -> Self {
        let [a, b, c, d] = ip;
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    }

    /// The IPv4 address, if it is one.
    #[inline(always)]
    pub fn as_v4(self) -> Option<[u8; 4]> {
        let [.., a, b, c, d] = self.0;
        (self.0[..12] == Self::UNSPECIFIED_4.0[..12]).then_some([a, b, c, d])
    }

    /// How long it is, in bits of its own family: the length of the prefix that is this address alone.
    #[inline(always)]
    pub fn full_len(self) -> u8 {
        if self.as_v4().is_some() { 32 } else { 128 }
    }

    /// The length in bits of these 16 bytes of a prefix of `len` bits of the address's own family.
    pub fn bits_of(self, len: u8) -> u32 {
        u32::from(len) + u32::from(128 - self.full_len())
    }

    /// The length in bits of the address's own family of a prefix of so many bits of these 16 bytes.
    pub fn len_of(self, bits: u32) -> u8 {
        bits.saturating_sub(u32::from(128 - self.full_len())) as u8
    }

    /// Whether it is one of the two unspecified addresses, which a host without an address uses as its source.
    #[inline(always)]
    pub fn is_unspecified(self) -> bool {
        self == Self::UNSPECIFIED_4 || self == Self::UNSPECIFIED_6
    }

    /// Whether it is the address of a group: IPv4 multicast or limited broadcast, IPv6 multicast.
    #[inline(always)]
    pub fn is_group(self) -> bool {
        match self.as_v4() {
            Some(ip) => ip[0] & 0xf0 == 0xe0 || ip == [0xff; 4],
            None => self.0[0] == 0xff,
        }
    }

    /// Whether it is an IPv6 link-local address, `fe80::/10`.
    #[inline(always)]
    pub fn is_link_local(self) -> bool {
        self.0[0] == 0xfe && self.0[1] & 0xc0 == 0x80
    }

    /// The address in the standard library's type.
    pub fn ip(self) -> IpAddr {
        match self.as_v4() {
            Some(ip) => IpAddr::V4(Ipv4Addr::from(ip)),
            None => IpAddr::V6(Ipv6Addr::from(self.0)),
        }
    }
}

/// An [`Addr`] as two machine words, in its own byte order. The fast path compares addresses in this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// The first eight bytes.
    pub high: u64,
    /// The last eight.
    pub low: u64,
}

impl Words {
    /// An IPv4 address.
    #[inline(always)]
    pub fn v4(ip: [u8; 4]) -> Self {
        Self { high: 0, low: u64::from(u32::from_ne_bytes(ip)) << 32 | 0xffff_0000 }
    }

    /// An IPv6 address, in two halves.
    #[inline(always)]
    pub fn v6(high: [u8; 8], low: [u8; 8]) -> Self {
        Self { high: u64::from_ne_bytes(high), low: u64::from_ne_bytes(low) }
    }

    /// See [`Addr::is_group`].
    #[inline(always)]
    pub fn is_group(self) -> bool {
        match self.high {
            0 => self.low >> 32 & 0xf0 == 0xe0 || self.low >> 32 == 0xffff_ffff,
            high => high & 0xff == 0xff,
        }
    }
}

impl From<Addr> for Words {
    fn from(Addr([a, b, c, d, e, f, g, h, low @ ..]): Addr) -> Self {
        Self::v6([a, b, c, d, e, f, g, h], low)
    }
}

impl From<Words> for Addr {
    #[inline(always)]
    fn from(words: Words) -> Self {
        let mut bytes = [0; 16];
        let (high, low) = bytes.split_at_mut(8);
        high.copy_from_slice(&words.high.to_ne_bytes());
        low.copy_from_slice(&words.low.to_ne_bytes());
        Self(bytes)
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::v4(ip.octets()),
            IpAddr::V6(ip) => Self(ip.octets()),
        }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}
