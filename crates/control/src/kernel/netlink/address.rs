//! How are a link's addresses read, added and deleted?

use super::socket::{Netlink, about, unless_gone, unless_gone_there};
use super::uapi::*;
use super::wire::{Message, Reply, attributes, read_ifindex, read_u32};
use crate::error::Result;
use crate::place::NsId;
use ipvl_core::{Addr, IfIndex};

/// `struct ifaddrmsg`.
const IFADDRMSG: usize = 8;
/// Where `struct ifa_cacheinfo` has `cstamp`.
const CREATED: usize = 8;

/// An address on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressInfo {
    /// The link.
    pub ifindex: IfIndex,
    /// The link's own address, not its peer's.
    pub addr: Addr,
    /// In bits of the address's own family.
    pub prefix_len: u8,
    /// `RT_SCOPE_*`.
    pub scope: u8,
    /// `IFA_F_*`.
    pub flags: u32,
    /// When the link got it, in hundredths of a second since the machine started.
    pub created: u32,
}

impl AddressInfo {
    /// Whether packets may come from it: duplicate address detection found no duplicate, or is not waited for (RFC 4429).
    pub fn is_valid(&self) -> bool {
        let has = |flag: u32| self.flags & flag != 0;
        !has(libc::IFA_F_DADFAILED) && (!has(libc::IFA_F_TENTATIVE) || has(libc::IFA_F_OPTIMISTIC))
    }
}

impl Netlink {
    /// The addresses of both families, of one link or of all, here or in the netns that has the id `nsid` here.
    pub fn addresses(&self, ifindex: Option<IfIndex>, nsid: Option<NsId>) -> Result<Vec<AddressInfo>> {
        let mut all = self.addresses_of(libc::AF_INET, ifindex, nsid)?;
        all.extend(self.addresses_of(libc::AF_INET6, ifindex, nsid)?);
        Ok(all)
    }

    /// Adds an address; replaces the flags of one that is there.
    pub fn add_address(&self, ifindex: IfIndex, addr: Addr, prefix_len: u8, flags: u32) -> Result<()> {
        let flags_of = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
        let message = message(RTM_NEWADDR, flags_of, ifindex, addr, prefix_len).u32(IFA_FLAGS, flags);
        self.order(about("add", &format_args!("{addr}/{prefix_len} to link {ifindex}")), message)
    }

    /// Deletes an address; false if it is gone already.
    pub fn delete_address(&self, ifindex: IfIndex, addr: Addr, prefix_len: u8) -> Result<bool> {
        let message = message(RTM_DELADDR, NLM_F_ACK, ifindex, addr, prefix_len);
        let result = self.order(about("delete", &format_args!("{addr}/{prefix_len} from link {ifindex}")), message);
        unless_gone(result).map(|done| done.is_some())
    }

    fn addresses_of(&self, family: i32, ifindex: Option<IfIndex>, nsid: Option<NsId>) -> Result<Vec<AddressInfo>> {
        let header = ifaddrmsg(family as u8, 0, ifindex.unwrap_or(IfIndex::NONE));
        let message =
            || Message::new(RTM_GETADDR, NLM_F_DUMP, &header).option(nsid, |m, nsid| m.nsid(IFA_TARGET_NETNSID, nsid));
        let result = self.list(about("list", &"addresses"), message, parse);
        let wanted = |address: &AddressInfo| ifindex.is_none_or(|ifindex| address.ifindex == ifindex);
        Ok(unless_gone_there(nsid, result)?.unwrap_or_default().into_iter().filter(wanted).collect())
    }
}

/// The address in a message, if it has one.
pub(super) fn parse(reply: Reply<'_>) -> Option<AddressInfo> {
    let (header, rest) = reply.payload.split_at_checked(IFADDRMSG)?;
    let (mut local, mut address, mut flags, mut created) = (None, None, u32::from(header[2]), 0);
    for attribute in attributes(rest) {
        match attribute.kind {
            IFA_LOCAL => local = addr(attribute.value),
            IFA_ADDRESS => address = addr(attribute.value),
            IFA_FLAGS => flags = attribute.u32(),
            IFA_CACHEINFO if attribute.value.len() >= CREATED + 4 => created = read_u32(attribute.value, CREATED),
            _ => {}
        }
    }
    let addr = local.or(address)?;
    // An IPv4-mapped IPv6 address is ignored: the tables would take it for the IPv4 address.
    if header[0] == libc::AF_INET6 as u8 && addr.as_v4().is_some() {
        return None;
    }
    let (ifindex, prefix_len, scope) = (read_ifindex(header, 4), header[1], header[3]);
    Some(AddressInfo { ifindex, addr, prefix_len, scope, flags, created })
}

/// The link in a message about an address.
pub(super) fn link_of(reply: Reply<'_>) -> Option<IfIndex> {
    reply.payload.get(..IFADDRMSG).map(|header| read_ifindex(header, 4))
}

/// Reads an address.
pub(super) fn addr(bytes: &[u8]) -> Option<Addr> {
    let v4 = |bytes: &[u8]| bytes.try_into().ok().map(Addr::v4);
    v4(bytes).or_else(|| bytes.try_into().ok().map(Addr))
}

/// Writes an address: its family and its bytes.
pub(super) fn family_and_bytes(addr: Addr) -> (u8, Vec<u8>) {
    match addr.as_v4() {
        Some(ip) => (libc::AF_INET as u8, ip.to_vec()),
        None => (libc::AF_INET6 as u8, addr.0.to_vec()),
    }
}

fn message(kind: u16, flags: u16, ifindex: IfIndex, addr: Addr, prefix_len: u8) -> Message {
    let (family, bytes) = family_and_bytes(addr);
    Message::new(kind, flags, &ifaddrmsg(family, prefix_len, ifindex))
        .bytes(IFA_LOCAL, &bytes)
        .bytes(IFA_ADDRESS, &bytes)
}

fn ifaddrmsg(family: u8, prefix_len: u8, ifindex: IfIndex) -> [u8; IFADDRMSG] {
    let [a, b, c, d] = ifindex.0.to_ne_bytes();
    [family, prefix_len, 0, 0, a, b, c, d]
}
