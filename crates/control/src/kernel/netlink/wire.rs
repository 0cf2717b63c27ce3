//! How is a netlink message written and read, as bytes and attributes?

use super::uapi::*;
use crate::place::NsId;
use ipvl_core::IfIndex;
use netlink_packet_core::{NLA_F_NESTED, NetlinkBuffer, NlasIterator};

const HEADER: usize = 16;

/// A request while it is written.
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A request of `kind`, with the fixed header of its family.
    pub fn new(kind: u16, flags: u16, header: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        bytes.extend_from_slice(header);
        Self(bytes)
    }

    /// Adds an attribute.
    pub fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.raw(value)
    }

    /// Adds bytes that are not an attribute, padded to the alignment of attributes.
    pub fn raw(mut self, value: &[u8]) -> Self {
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a number.
    pub fn u32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Adds an ifindex.
    pub fn ifindex(self, kind: u16, ifindex: IfIndex) -> Self {
        self.u32(kind, ifindex.0)
    }

    /// Adds the id of a namespace.
    pub fn nsid(self, kind: u16, nsid: NsId) -> Self {
        self.u32(kind, nsid.0.cast_unsigned())
    }

    /// Adds a string with its terminating zero.
    pub fn str(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Adds what `with` adds, if there is a value.
    pub fn option<T>(self, value: Option<T>, with: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => with(self, value),
            None => self,
        }
    }

    /// Adds an attribute made of attributes.
    pub fn nest(mut self, kind: u16, inside: impl FnOnce(Self) -> Self) -> Self {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 2]);
        self.0.extend_from_slice(&(kind | NLA_F_NESTED).to_ne_bytes());
        let mut outer = inside(self);
        let length = (outer.0.len() - start) as u16;
        outer.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        outer
    }

    /// The finished message; answers carry the same `sequence`.
    pub fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

/// One message from the kernel.
#[derive(Clone, Copy)]
pub(super) struct Reply<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    pub payload: &'a [u8],
}

/// The messages in a datagram; ends at the first malformed one.
pub(super) fn replies(mut bytes: &[u8]) -> impl Iterator<Item = Reply<'_>> {
    std::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(bytes).ok()?;
        let length = (message.length() as usize).next_multiple_of(4).min(bytes.len());
        bytes = &bytes[length..];
        let (kind, flags, sequence) = (message.message_type(), message.flags(), message.sequence_number());
        Some(Reply { kind, flags, sequence, payload: message.payload() })
    })
}

/// An attribute from the kernel.
#[derive(Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub kind: u16,
    pub value: &'a [u8],
}

/// The attributes in `bytes`; ends at the first malformed one.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    let mut rest = bytes;
    NlasIterator::new(bytes).map_while(Result::ok).map(move |nla| {
        let length = usize::from(nla.length());
        let value = &rest[4..length];
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        Attribute { kind: nla.kind(), value }
    })
}

impl<'a> Attribute<'a> {
    /// The attributes inside.
    pub fn nested(self) -> impl Iterator<Item = Attribute<'a>> {
        attributes(self.value)
    }

    /// A number; 0 if the attribute is shorter.
    pub fn u32(self) -> u32 {
        read_u32(self.value, 0)
    }

    /// The number at an index of an array, if it is that long.
    pub fn number(self, index: usize) -> Option<u32> {
        let (numbers, _) = self.value.as_chunks::<4>();
        numbers.get(index).copied().map(u32::from_ne_bytes)
    }

    /// An ifindex.
    pub fn ifindex(self) -> IfIndex {
        IfIndex(self.u32())
    }

    /// The id of a namespace; none if the namespace has no id.
    pub fn nsid(self) -> Option<NsId> {
        Some(NsId(self.u32().cast_signed())).filter(|nsid| nsid.0 >= 0)
    }

    /// A number of one byte.
    pub fn u8(self) -> u8 {
        self.value.first().copied().unwrap_or_default()
    }

    /// A string without its terminating zero.
    pub fn string(self) -> String {
        let text = self.value.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }
}

/// The 32-bit number at `offset`; 0 if the bytes end before.
pub(super) fn read_u32(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u32::from_ne_bytes)
}

/// The ifindex at `offset`.
pub(super) fn read_ifindex(bytes: &[u8], offset: usize) -> IfIndex {
    IfIndex(read_u32(bytes, offset))
}

/// The 64-bit number at `offset`; 0 if the bytes end before.
pub(super) fn read_u64(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u64::from_ne_bytes)
}

/// The errno of an error or a done message, 0 for success, and the kernel's text.
pub(super) fn outcome(reply: Reply<'_>) -> (i32, Option<String>) {
    let errno = read_u32(reply.payload, 0).cast_signed().wrapping_neg();
    // An error contains the request's header, a done message does not.
    let start = if reply.kind == NLMSG_ERROR { 4 + HEADER } else { 4 };
    let tlvs = if reply.flags & NLM_F_ACK_TLVS != 0 { reply.payload.get(start..) } else { None };
    let text = attributes(tlvs.unwrap_or_default()).find(|a| a.kind == NLMSGERR_ATTR_MSG).map(Attribute::string);
    (errno, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let message = Message::new(RTM_NEWLINK, NLM_F_ACK, &[0; 16])
            .str(IFLA_IFNAME, "ab")
            .nest(IFLA_LINKINFO, |m| m.str(IFLA_INFO_KIND, "veth"))
            .u32(IFLA_MTU, 1500)
            .finish(7);
        let [reply] = replies(&message).collect::<Vec<_>>()[..] else { panic!("not one message") };
        assert_eq!((reply.kind, reply.flags, reply.sequence), (RTM_NEWLINK, NLM_F_ACK | NLM_F_REQUEST, 7));
        let [name, info, mtu] = attributes(&reply.payload[16..]).collect::<Vec<_>>()[..] else { panic!("not three") };
        assert_eq!((name.string().as_str(), mtu.u32()), ("ab", 1500));
        assert_eq!(info.nested().next().map(Attribute::string).as_deref(), Some("veth"));
    }

    #[test]
    fn nonsense_ends_the_reading() {
        assert_eq!(replies(&[1; 40]).count(), 0);
        assert_eq!(attributes(&[9, 0, 1, 0, 5]).count(), 0);
        assert_eq!(attributes(&[2, 0, 1, 0, 5, 5, 5, 5]).count(), 0);
    }
}
