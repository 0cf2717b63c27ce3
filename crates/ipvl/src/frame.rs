//! Which frame does a description mean? What it leaves open follows from the slaves and their addresses.

use crate::backend::NextHop;
use crate::command::{Description, Direction, Frame, Protocol, Question};
use crate::packet::{ETHERNET, Packet};
use ipvl_control::{AddressEntry, AddressStatus, Link};
use ipvl_core::{Addr, Mac, Mode};
use thiserror::Error;

/// Why there is no such frame.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "each variant's text names its fields")]
pub enum FrameError {
    #[error("Device \"{name}\" does not exist, or is not a slave of a master in this netns.")]
    NotASlave { name: String },
    #[error("Device \"{name}\" does not exist, or has no slaves.")]
    NotAMaster { name: String },
    #[error("\"{slave}\" has no {family} address to send from: give one with \"src\".")]
    NoSource { slave: String, family: &'static str },
}

/// Stands for any machine outside: an address for documentation (RFC 7042, 2.1.2).
const STRANGER_MAC: Mac = Mac([0, 0, 0x5e, 0, 0x53, 1]);
/// Likewise (RFC 5737).
const STRANGER_4: Addr = Addr::v4([192, 0, 2, 1]);
/// Likewise (RFC 3849).
const STRANGER_6: Addr = Addr([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// The frame's bytes, as the device sends or receives them.
/// `next` is what the slave's own stack does with such a packet, if that is known.
pub fn bytes(
    question: &Question,
    links: &[Link],
    addresses: &[AddressEntry],
    next: Option<&NextHop>,
) -> Result<Vec<u8>, FrameError> {
    let name = &question.device;
    match (&question.frame, question.way) {
        (Frame::Bytes(bytes), _) => Ok(bytes.clone()),
        (Frame::Described(description), Direction::From) => {
            let link = links.iter().find(|link| link.is_called(name));
            let link = link.ok_or_else(|| FrameError::NotASlave { name: name.clone() })?;
            Ok(sent(description, link, addresses, next)?.bytes())
        }
        (Frame::Described(description), Direction::In) => {
            let link = links.iter().find(|link| link.master.1 == *name);
            let link = link.ok_or_else(|| FrameError::NotAMaster { name: name.clone() })?;
            Ok(received(description, link))
        }
    }
}

/// The destination about which the slave's own stack is to be asked: a single host, and its MAC address was not given.
pub fn routed(question: &Question) -> Option<Addr> {
    match &question.frame {
        Frame::Described(Description { to, dst_mac: None, protocol, .. })
            if question.way == Direction::From && Packet::group_mac(*protocol, *to).is_none() =>
        {
            (*protocol != Protocol::Arp && *protocol != Protocol::Ns).then_some(*to)
        }
        _ => None,
    }
}

fn sent(
    description: &Description,
    link: &Link,
    addresses: &[AddressEntry],
    next: Option<&NextHop>,
) -> Result<Packet, FrameError> {
    let src_mac = description.src_mac.unwrap_or(link.mac);
    let src = match description.src.or(next.and_then(|next| next.source)) {
        Some(src) => src,
        None => own_address(description.to, link, addresses)?,
    };
    let hop = next.map_or(description.to, |next| next.addr);
    let assumed = || if shares_mac(hop, link, addresses) { link.mac } else { STRANGER_MAC };
    let known = next.and_then(|next| next.mac).filter(|_| link.options.mode == Mode::L2);
    Ok(packet(description, src_mac, src, || known.unwrap_or_else(assumed)))
}

/// At a master without Ethernet (tun, wireguard) frames start with IP.
fn received(description: &Description, link: &Link) -> Vec<u8> {
    let src_mac = description.src_mac.unwrap_or(STRANGER_MAC);
    let stranger = if is_v4(description.to) { STRANGER_4 } else { STRANGER_6 };
    let bytes = packet(description, src_mac, description.src.unwrap_or(stranger), || link.mac).bytes();
    if link.master_is_ip { bytes[ETHERNET..].to_vec() } else { bytes }
}

fn packet(description: &Description, src_mac: Mac, src: Addr, neighbour: impl FnOnce() -> Mac) -> Packet {
    let Description { to, protocol, dport, len, .. } = *description;
    let dst_mac = description.dst_mac.or_else(|| Packet::group_mac(protocol, to)).unwrap_or_else(neighbour);
    Packet { src_mac, dst_mac, src, to, protocol, dport, len }
}

/// A slave in l3 or l3s resolves no neighbour. In l2, siblings and the host have the slave's own MAC address.
fn shares_mac(to: Addr, link: &Link, addresses: &[AddressEntry]) -> bool {
    link.options.mode != Mode::L2 || addresses.iter().any(|entry| entry.addr == to && entry.master == link.master.1)
}

/// One of the slave's own addresses; a link-local one only for a link-local destination.
fn own_address(to: Addr, link: &Link, addresses: &[AddressEntry]) -> Result<Addr, FrameError> {
    let own = addresses
        .iter()
        .filter(|entry| entry.slave.as_ref() == Some(&link.name) && entry.status == AddressStatus::Device)
        .map(|entry| entry.addr)
        .filter(|addr| is_v4(*addr) == is_v4(to));
    let family = if is_v4(to) { "IPv4" } else { "IPv6" };
    own.min_by_key(|addr| is_link_local(*addr) != is_link_local(to))
        .ok_or_else(|| FrameError::NoSource { slave: link.name.clone(), family })
}

fn is_v4(addr: Addr) -> bool {
    addr.as_v4().is_some()
}

/// `fe80::/10`, or a group of that scope (RFC 4291, 2.5.6 and 2.7).
fn is_link_local(addr: Addr) -> bool {
    matches!(addr.0, [0xfe, 0x80..=0xbf, ..] | [0xff, 0x02, ..])
}

#[cfg(test)]
mod tests;
