//! Is this a DHCP message between a client and a server or relay, and where are its options (RFC 2131, RFC 2132)?

use super::ethernet::ethertype;
use super::field::{ETH_HLEN, IPV4_HLEN, UDP_HLEN, bootp, ethernet, ipv4, udp};
use super::ipv4::Ipv4Header;
use super::protocol::{DHCP_CLIENT, DHCP_SERVER, UDP};
use crate::addr::{Addr, Mac};
use crate::frame::Frame;

const UDP_AT: usize = ETH_HLEN + IPV4_HLEN;
const BOOTP_AT: usize = UDP_AT + UDP_HLEN;
const OPTIONS_AT: usize = BOOTP_AT + bootp::OPTIONS;
/// Where a frame has its IPv4 header's total length.
pub const IPV4_LEN_AT: usize = ETH_HLEN + ipv4::TOTAL_LEN.start;
/// Where a frame has its IPv4 header's checksum.
pub const IPV4_SUM_AT: usize = ETH_HLEN + ipv4::CHECKSUM.start;
/// Where a frame with a plain IPv4 header has its UDP length.
pub const UDP_LEN_AT: usize = UDP_AT + udp::LENGTH.start;
/// Where a frame with a plain IPv4 header has its UDP checksum.
pub const UDP_SUM_AT: usize = UDP_AT + udp::CHECKSUM.start;

const CLIENT_PORT: [u8; 2] = DHCP_CLIENT.to_be_bytes();
const SERVER_PORT: [u8; 2] = DHCP_SERVER.to_be_bytes();
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const ETHERNET: [u8; 2] = [1, 6];
/// RFC 2131, 3.
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const PAD: u8 = 0;
const CLIENT_IDENTIFIER: u8 = 61;
const END: u8 = 255;
/// More options than any message has. Padding between options counts as one each.
const MAX_OPTIONS: usize = 48;

/// Which direction a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DhcpOp {
    /// From a client.
    Request,
    /// To a client.
    Reply,
}

/// Where in a frame the search for the client identifier has ended: an offset, and in the upper half the option's code.
/// Zero if there is neither the option nor an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionsEnd(u32);

impl OptionsEnd {
    const NOWHERE: Self = Self(0);

    /// One word, for the eBPF programs.
    #[inline(always)]
    pub fn word(self) -> u32 {
        self.0
    }

    /// What [`OptionsEnd::word`] gave.
    #[inline(always)]
    pub fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// The offset of the client identifier.
    #[inline(always)]
    pub(crate) fn identifier(self) -> Option<usize> {
        self.offset_of(CLIENT_IDENTIFIER)
    }

    /// The offset of the option that ends the options, if they have no client identifier.
    #[inline(always)]
    pub(crate) fn end(self) -> Option<usize> {
        self.offset_of(END)
    }

    #[inline(always)]
    fn offset_of(self, code: u8) -> Option<usize> {
        (self.0 >> 16 == u32::from(code)).then_some((self.0 & 0xffff) as usize)
    }
}

/// Whether the frame is a DHCP message, going by its ports. For an IPv4 packet with options, and any but the first fragment
/// of one, the answer means nothing.
#[inline(always)]
pub(crate) fn is_dhcp(frame: &impl Frame) -> bool {
    const HEAD: usize = UDP_AT + udp::DST_PORT.end;
    let ethertype = frame.head::<HEAD, 2>(ethernet::ETHERTYPE.start).map(u16::from_be_bytes);
    let protocol = frame.head::<HEAD, 1>(ETH_HLEN + ipv4::PROTOCOL);
    if ethertype != Some(ethertype::IPV4) || protocol != Some([UDP]) {
        return false;
    }
    let ports = frame.head::<HEAD, 4>(UDP_AT + udp::SRC_PORT.start).map(u32::from_ne_bytes);
    ports == Some(ports_of(CLIENT_PORT, SERVER_PORT)) || ports == Some(ports_of(SERVER_PORT, CLIENT_PORT))
}

#[inline(always)]
const fn ports_of([a, b]: [u8; 2], [c, d]: [u8; 2]) -> u32 {
    u32::from_ne_bytes([a, b, c, d])
}

/// A frame with a DHCP message in one IPv4 packet without options.
pub(crate) struct DhcpMessage<'a, F>(&'a F);

impl<'a, F: Frame> DhcpMessage<'a, F> {
    /// `None` for any other frame.
    #[inline(always)]
    pub fn of(frame: &'a F) -> Option<Self> {
        const FRAGMENT: u16 = 0x3fff;
        if !is_dhcp(frame) || frame.is_gso() || frame.vlan().is_some() || !Ipv4Header(frame).is_v4_without_options()? {
            return None;
        }
        let fragment = u16::from_be_bytes(frame.read::<2>(ETH_HLEN + ipv4::FRAGMENT.start)?) & FRAGMENT;
        (fragment == 0).then_some(Self(frame))
    }

    /// Its direction, if ports and operation say the same.
    #[inline(always)]
    pub fn op(&self) -> Option<DhcpOp> {
        let [op] = self.0.read::<1>(BOOTP_AT + bootp::OP)?;
        match (op, self.0.read::<2>(UDP_AT + udp::SRC_PORT.start)?) {
            (REQUEST, CLIENT_PORT) => Some(DhcpOp::Request),
            (REPLY, SERVER_PORT) => Some(DhcpOp::Reply),
            _ => None,
        }
    }

    /// The transaction id, in the byte order of the machine.
    #[inline(always)]
    pub fn xid(&self) -> Option<u32> {
        self.0.read::<4>(BOOTP_AT + bootp::XID.start).map(u32::from_ne_bytes)
    }

    /// The address that is offered or given to the client.
    #[inline(always)]
    pub fn yours(&self) -> Option<Addr> {
        self.0.read::<4>(BOOTP_AT + bootp::YIADDR.start).map(Addr::v4)
    }

    /// The client's hardware address, if it is one of Ethernet.
    #[inline(always)]
    pub fn client(&self) -> Option<Mac> {
        let ethernet = self.0.read::<2>(BOOTP_AT + bootp::HARDWARE.start)? == ETHERNET;
        let mac = Mac(self.0.read::<6>(BOOTP_AT + bootp::CHADDR.start)?);
        ethernet.then_some(mac)
    }

    /// Length of the UDP datagram, if it fills the packet and the packet fills the frame; this is so for what is no shorter
    /// than Ethernet's minimum.
    #[inline(always)]
    pub fn udp_len(&self) -> Option<u16> {
        let udp_len = u16::from_be_bytes(self.0.read::<2>(UDP_LEN_AT)?);
        let total_len = u16::from_be_bytes(self.0.read::<2>(IPV4_LEN_AT)?);
        let fills = usize::from(total_len) == usize::from(udp_len) + IPV4_HLEN;
        (fills && usize::from(udp_len) + UDP_AT == self.0.len()).then_some(udp_len)
    }

    /// Looks for the client identifier up to the end of the options.
    #[inline(always)]
    pub fn find_identifier(&self) -> OptionsEnd {
        self.search().unwrap_or(OptionsEnd::NOWHERE)
    }

    #[inline(always)]
    fn search(&self) -> Option<OptionsEnd> {
        if self.0.read_at::<4>(BOOTP_AT + bootp::COOKIE.start)? != COOKIE {
            return None;
        }
        let mut at = OPTIONS_AT;
        for _ in 0..MAX_OPTIONS {
            at = self.0.forget(at);
            let [code] = self.0.read_at::<1>(at)?;
            if code == CLIENT_IDENTIFIER || code == END {
                return Some(OptionsEnd((at & 0xffff) as u32 | u32::from(code) << 16));
            }
            at = if code == PAD { at + 1 } else { at + 2 + usize::from(self.0.read_at::<1>(at + 1)?[0]) };
        }
        None
    }
}

/// The client identifier with this value (RFC 2132, 9.14).
#[inline(always)]
pub(crate) fn client_identifier(value: [u8; 7]) -> [u8; 9] {
    let [kind, a, b, c, d, e, f] = value;
    [CLIENT_IDENTIFIER, 7, kind, a, b, c, d, e, f]
}

/// The option that ends the options.
pub(crate) const END_OPTION: u8 = END;

/// The difference that new bytes at the offset `at` of a frame make to the UDP checksum, as `bpf_l4_csum_replace` takes it:
/// the sum of words in the machine's byte order. The UDP header starts at an even offset.
#[inline(always)]
pub(crate) fn sum_of_change(at: usize, old: &[u8], new: &[u8]) -> u32 {
    let mut sum = 0u32;
    for (place, (old, new)) in old.iter().zip(new).enumerate() {
        let shift = if (at + place) & 1 == 0 { 8 } else { 0 };
        sum += (u32::from(*new) << shift) + (0xffff ^ (u32::from(*old) << shift));
    }
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = ((folded & 0xffff) + (folded >> 16)) as u16;
    u32::from(u16::from_ne_bytes(folded.to_be_bytes()))
}
