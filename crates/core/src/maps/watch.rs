//! What do watchers of a port (`ipvl flows`, `ipvl capture`) ask of the programs, and what are they told?
//!
//! The programs look at this only while [`PortEntry::WATCHED`](crate::PortEntry::WATCHED) is set.

use crate::abi::{Slot, WIRE};
use crate::addr::Addr;
use crate::frame::Frame;
use crate::verdict::{Action, Verdict};
use crate::wire::{
    ETH_HLEN, ETHERTYPE_AT, ICMP, ICMPV6, IPV4_HLEN, IPV6_HLEN, Ipv4Header, Ipv6Header, TCP, UDP, arp_sender,
    arp_target, ethertype,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How many can watch a port at once.
pub const WATCHERS: u32 = 4;
/// The most bytes of a packet that a watcher is told.
pub const MAX_SNAP: usize = 2048;
/// How many flows a watcher can distinguish at once; beyond that, those that were silent longest are forgotten.
pub const MAX_FLOWS: u32 = 8192;

/// What one watcher wants: a value of the map `WATCHES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Watch {
    /// Until when, in nanoseconds of `CLOCK_MONOTONIC`. The watcher renews it: one that was killed is soon forgotten.
    pub until: u64,
    /// Bytes of each packet; 0 if it wants flows.
    pub snap: u32,
    /// Only what concerns this slave; [`WIRE`] for all.
    pub slot: Slot,
    /// One more than the number of the only [`Reason`](crate::Reason) that is wanted; 0 for all.
    pub reason: u32,
    /// Whether only drops are wanted (1).
    pub drops: u32,
}

/// What packets of one flow have in common, with what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FlowKey {
    /// The slave that sent it; [`WIRE`] if it came from outside.
    pub from: Slot,
    /// The slave it was delivered to; [`WIRE`] if there is no single one.
    pub to: Slot,
    /// Both words of the [`Verdict`].
    pub verdict: [u32; 2],
    /// Source: of IP, or an ARP sender's.
    pub src: Addr,
    /// Destination: of IP, or an ARP target.
    pub dst: Addr,
    /// Source port of TCP and UDP; type and code of ICMP and ICMPv6.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// The EtherType.
    pub ethertype: u16,
    /// The protocol in IP.
    pub protocol: u8,
    /// Always zero.
    pub reserved: u8,
}

/// What one CPU has counted of a flow; all zero if it has seen none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FlowCount {
    /// When its first packet came, in nanoseconds of `CLOCK_MONOTONIC`.
    pub first: u64,
    /// When its last packet came.
    pub last: u64,
    /// Packets.
    pub packets: u64,
    /// Their bytes, Ethernet header included; a GSO packet counts as one.
    pub bytes: u64,
}

/// A packet that a watcher is told, or the first one of a flow. Captured bytes follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PacketTold {
    /// When it came, in nanoseconds of `CLOCK_MONOTONIC`.
    pub at: u64,
    /// Whence it came, and what became of it.
    pub key: FlowKey,
    /// Its length in bytes.
    pub len: u32,
    /// How many of them follow.
    pub captured: u32,
}

impl Watch {
    /// Whether the watcher is still there.
    #[inline(always)]
    pub fn is_alive(&self, now: u64) -> bool {
        now < self.until
    }

    /// Whether it wants to be told of such a packet. A flood concerns every slave.
    #[inline(always)]
    pub fn wants(&self, key: &FlowKey) -> bool {
        let (verdict, [_, reason]) = (Verdict::from_words(key.verdict), key.verdict);
        let of_slave = self.slot == WIRE || key.from == self.slot || key.to == self.slot || verdict.is_flood();
        let of_kind = match verdict.is_drop() {
            true => self.reason == 0 || self.reason == reason + 1,
            false => self.reason == 0 && self.drops == 0,
        };
        of_slave && of_kind
    }
}

impl FlowKey {
    /// Nothing is known of it.
    const NONE: Self = Self {
        from: WIRE,
        to: WIRE,
        verdict: [0; 2],
        src: Addr::UNSPECIFIED_6,
        dst: Addr::UNSPECIFIED_6,
        src_port: 0,
        dst_port: 0,
        ethertype: 0,
        protocol: 0,
        reserved: 0,
    };

    /// The flow of a frame with an Ethernet header. What is not there, or behind IP options and extension headers, is zero.
    pub fn of(frame: &impl Frame, from: Slot, verdict: Verdict) -> Self {
        let mut key = Self::NONE;
        key.fill(frame, from, verdict);
        key
    }

    /// Makes this the flow of a frame, in place: in eBPF there is little stack.
    #[inline(always)]
    pub fn fill(&mut self, frame: &impl Frame, from: Slot, verdict: Verdict) {
        *self = Self::NONE;
        (self.from, self.verdict) = (from, verdict.words());
        if let Action::Deliver(slot) = verdict.action() {
            self.to = slot;
        }
        let Some(ethertype) = frame.read::<2>(ETHERTYPE_AT).map(u16::from_be_bytes) else { return };
        self.ethertype = ethertype;
        let _ = match ethertype {
            ethertype::ARP => self.read_arp(frame),
            ethertype::IPV4 => self.read_v4(frame),
            ethertype::IPV6 => self.read_v6(frame),
            _ => None,
        };
    }

    #[inline(always)]
    fn read_arp(&mut self, frame: &impl Frame) -> Option<()> {
        self.src = arp_sender(frame)?;
        self.dst = arp_target(frame)?;
        Some(())
    }

    #[inline(always)]
    fn read_v4(&mut self, frame: &impl Frame) -> Option<()> {
        let ip = Ipv4Header(frame);
        self.src = Addr::v4(ip.src()?);
        self.dst = Addr::v4(ip.dst()?);
        self.protocol = ip.protocol()?;
        let plain = ip.is_v4_without_options()? && !ip.is_later_fragment()?;
        if plain { self.read_upper(frame, ETH_HLEN + IPV4_HLEN) } else { None }
    }

    #[inline(always)]
    fn read_v6(&mut self, frame: &impl Frame) -> Option<()> {
        let ip = Ipv6Header(frame);
        self.src = Addr(ip.src()?);
        self.dst = Addr(ip.dst()?);
        self.protocol = ip.next_header()?;
        self.read_upper(frame, ETH_HLEN + IPV6_HLEN)
    }

    #[inline(always)]
    fn read_upper(&mut self, frame: &impl Frame, at: usize) -> Option<()> {
        let [a, b, c, d] = frame.read::<4>(at)?;
        match self.protocol {
            TCP | UDP => (self.src_port, self.dst_port) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
            ICMP | ICMPV6 => self.src_port = u16::from_be_bytes([a, b]),
            _ => {}
        }
        Some(())
    }
}

impl FlowCount {
    /// After another packet, of `len` bytes, at the time `now`.
    #[inline(always)]
    pub fn after(&self, now: u64, len: u32) -> Self {
        let first = if self.packets == 0 { now } else { self.first };
        Self { first, last: now, packets: self.packets + 1, bytes: self.bytes + u64::from(len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Mac;
    use crate::verdict::Reason;
    use crate::wire::Ethernet;

    const ALL: Watch = Watch { until: 10, snap: 0, slot: WIRE, reason: 0, drops: 0 };
    const SRC: [u8; 4] = [10, 0, 0, 1];
    const DST: [u8; 4] = [10, 0, 0, 2];

    fn udp() -> [u8; 42] {
        let mut frame = [0; 42];
        Ethernet { dst: Mac::BROADCAST, src: Mac([2; 6]), ethertype: ethertype::IPV4 }.write(&mut frame);
        frame[14] = 0x45;
        frame[23] = UDP;
        frame[26..30].copy_from_slice(&SRC);
        frame[30..34].copy_from_slice(&DST);
        frame[34..38].copy_from_slice(&[0x10, 0x92, 0, 53]);
        frame
    }

    fn key(from: Slot, action: Action) -> FlowKey {
        FlowKey::of(&udp().as_slice(), from, action.into())
    }

    #[test]
    fn a_flow_is_both_addresses_both_ports_and_what_became_of_it() {
        let key = key(Slot(3), Action::Deliver(Slot(4)));
        assert_eq!((key.from, key.to, key.protocol), (Slot(3), Slot(4), UDP));
        assert_eq!((key.src, key.dst, key.src_port, key.dst_port), (Addr::v4(SRC), Addr::v4(DST), 4242, 53));
    }

    #[test]
    fn a_later_fragment_has_no_ports() {
        let mut frame = udp();
        frame[21] = 1;
        let key = FlowKey::of(&frame.as_slice(), WIRE, Action::Host.into());
        assert_eq!((key.src, key.src_port, key.dst_port), (Addr::v4(SRC), 0, 0));
    }

    #[test]
    fn a_frame_that_ends_early_is_a_flow_too() {
        let key = FlowKey::of(&[0_u8; 5].as_slice(), Slot(1), Reason::Truncated.into());
        assert_eq!((key.ethertype, key.src), (0, Addr::UNSPECIFIED_6));
    }

    #[test]
    fn a_watcher_of_one_slave_is_told_what_it_sends_and_gets_and_of_floods() {
        let watch = Watch { slot: Slot(3), ..ALL };
        let flood = Action::Flood(crate::Flood { from: WIRE, to: crate::FloodTo::All, then: crate::FloodThen::Host });
        let wanted = [key(Slot(3), Action::Wire), key(WIRE, Action::Deliver(Slot(3))), key(WIRE, flood)];
        assert!(wanted.iter().all(|key| watch.wants(key)));
        assert!(!watch.wants(&key(Slot(4), Action::Wire)));
    }

    #[test]
    fn a_watcher_of_drops_or_of_one_reason_is_told_nothing_else() {
        let (private, other) =
            (key(Slot(1), Action::Drop(Reason::Private)), key(Slot(1), Action::Drop(Reason::NoRoute)));
        let drops = Watch { drops: 1, ..ALL };
        assert!(drops.wants(&private) && drops.wants(&other) && !drops.wants(&key(Slot(1), Action::Wire)));
        let one = Watch { reason: Reason::Private as u32 + 1, ..ALL };
        assert!(one.wants(&private) && !one.wants(&other) && !one.wants(&key(Slot(1), Action::Wire)));
    }

    #[test]
    fn a_watcher_that_does_not_renew_is_gone() {
        assert!(ALL.is_alive(9) && !ALL.is_alive(10) && !Watch::default().is_alive(0));
    }
}
