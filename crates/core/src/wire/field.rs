//! Where in a header is each field? All offsets and lengths, in bytes; a field's range counts from the start of its header.

/// Length of an Ethernet header without a tag.
pub const ETH_HLEN: usize = 14;
/// Length of an IPv4 header without options.
pub(crate) const IPV4_HLEN: usize = 20;
/// Length of an IPv6 header without extension headers.
pub(crate) const IPV6_HLEN: usize = 40;
/// Length of a UDP header.
pub(super) const UDP_HLEN: usize = 8;
/// Length of an ICMP or ICMPv6 header: type, code, checksum, and a word that depends on the type.
pub(crate) const ICMP_HLEN: usize = 8;
/// Length of an ARP packet for IPv4 over Ethernet.
pub(super) const ARP_PACKET_LEN: usize = arp::TARGET.end;
/// Length of a solicitation or advertisement with one option, from its ICMPv6 header on.
pub(crate) const NDISC_LEN: usize = ndisc::OPTION_MAC.end;

/// IEEE 802.3.
pub(super) mod ethernet {
    use core::ops::Range;

    pub const DST: Range<usize> = 0..6;
    pub const SRC: Range<usize> = 6..12;
    pub const ETHERTYPE: Range<usize> = 12..14;
}

/// RFC 826, for IPv4 over Ethernet.
pub(super) mod arp {
    use core::ops::Range;

    /// Hardware type, protocol type, the lengths of both kinds of address, operation.
    pub const FORMAT: Range<usize> = 0..8;
    pub const SENDER_MAC: Range<usize> = 8..14;
    pub const SENDER: Range<usize> = 14..18;
    pub const TARGET_MAC: Range<usize> = 18..24;
    pub const TARGET: Range<usize> = 24..28;
}

/// RFC 791.
pub(super) mod ipv4 {
    use core::ops::Range;

    /// Version (4 bits) and length of the header in words (4 bits).
    pub const VERSION_IHL: usize = 0;
    pub const TOS: usize = 1;
    pub const TOTAL_LEN: Range<usize> = 2..4;
    /// The number that the fragments of a packet share.
    pub const ID: Range<usize> = 4..6;
    /// Flags (3 bits) and the fragment's offset.
    pub const FRAGMENT: Range<usize> = 6..8;
    pub const TTL: usize = 8;
    pub const PROTOCOL: usize = 9;
    pub const CHECKSUM: Range<usize> = 10..12;
    pub const SRC: Range<usize> = 12..16;
    pub const DST: Range<usize> = 16..20;
}

/// RFC 8200.
pub(super) mod ipv6 {
    use core::ops::Range;

    /// Version (4 bits), traffic class (8 bits), flow label (20 bits).
    pub const VERSION_CLASS_FLOW: Range<usize> = 0..4;
    pub const PAYLOAD_LEN: Range<usize> = 4..6;
    pub const NEXT_HEADER: usize = 6;
    pub const HOP_LIMIT: usize = 7;
    pub const SRC: Range<usize> = 8..24;
    pub const DST: Range<usize> = 24..40;
}

/// RFC 792, RFC 4443.
pub(super) mod icmp {
    use core::ops::Range;

    pub const TYPE: usize = 0;
    pub const CODE: usize = 1;
    pub const CHECKSUM: Range<usize> = 2..4;
    /// What this word means depends on the type: an error's MTU, an advertisement's flags.
    pub const REST: Range<usize> = 4..8;
}

/// RFC 768.
pub(super) mod udp {
    use core::ops::Range;

    pub const SRC_PORT: Range<usize> = 0..2;
    pub const DST_PORT: Range<usize> = 2..4;
    pub const LENGTH: Range<usize> = 4..6;
    pub const CHECKSUM: Range<usize> = 6..8;
}

/// RFC 951 and RFC 2131, 2.
pub(super) mod bootp {
    use core::ops::Range;

    pub const OP: usize = 0;
    /// Type and length of the hardware address.
    pub const HARDWARE: Range<usize> = 1..3;
    pub const XID: Range<usize> = 4..8;
    pub const YIADDR: Range<usize> = 16..20;
    pub const CHADDR: Range<usize> = 28..34;
    pub const COOKIE: Range<usize> = 236..240;
    pub const OPTIONS: usize = 240;
}

/// RFC 4861, 4.5: an ICMPv6 redirect, from its ICMPv6 header on.
pub(super) mod redirect {
    use core::ops::Range;

    pub const TARGET: Range<usize> = 8..24;
    pub const DESTINATION: Range<usize> = 24..40;
}

/// RFC 4861, 4.3, 4.4 and 4.6.1: a solicitation or advertisement, from its ICMPv6 header on.
pub(super) mod ndisc {
    use core::ops::Range;

    pub const TARGET: Range<usize> = 8..24;
    /// Type and length of the first option.
    pub const OPTION: Range<usize> = 24..26;
    pub const OPTION_MAC: Range<usize> = 26..32;
}
