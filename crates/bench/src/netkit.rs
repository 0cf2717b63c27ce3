//! How is a netkit pair made? By one netlink message, because Debian's `ip` cannot make it.

use ipvl_testbed::Netns;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

const RTM_NEWLINK: u16 = 16;
/// Request, acknowledge, create, exclusively.
const FLAGS: u16 = 0x605;
/// Request, acknowledge.
const SET: u16 = 0x5;
/// `IFLA_GSO_MAX_SIZE`, `IFLA_GRO_MAX_SIZE`, and both for IPv4.
const LIMITS: [u16; 4] = [41, 58, 63, 64];
const NESTED: u16 = 1 << 15;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_NETKIT_PEER_INFO: u16 = 1;
const IFLA_NETKIT_MODE: u16 = 5;
/// `NETKIT_L2`: with Ethernet addresses.
const L2: u32 = 0;
const HEADER: usize = 16;
const IFINFOMSG: [u8; 16] = [0; 16];

/// Makes a pair: `primary` in the caller's netns, `peer` in another.
pub fn pair(primary: &str, peer: &str, there: &Netns) -> io::Result<()> {
    let netns = File::open(format!("/run/netns/{}", there.name()))?;
    let far = [
        IFINFOMSG.to_vec(),
        attribute(IFLA_IFNAME, &text(peer)),
        attribute(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes()),
    ]
    .concat();
    let data =
        [attribute(IFLA_NETKIT_MODE, &L2.to_ne_bytes()), attribute(IFLA_NETKIT_PEER_INFO | NESTED, &far)].concat();
    let info = [attribute(IFLA_INFO_KIND, &text("netkit")), attribute(IFLA_INFO_DATA | NESTED, &data)].concat();
    let body =
        [IFINFOMSG.to_vec(), attribute(IFLA_IFNAME, &text(primary)), attribute(IFLA_LINKINFO | NESTED, &info)].concat();
    order(&body)
}

/// Lets the device `ifindex` of the caller's netns send and receive packets of up to `bytes`, as far as it can.
pub fn enlarge(ifindex: u32, bytes: u32) -> io::Result<()> {
    let mut header = IFINFOMSG;
    header[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    let limits = LIMITS.map(|limit| attribute(limit, &bytes.to_ne_bytes())).concat();
    order_with(SET, &[header.to_vec(), limits].concat())
}

fn order(body: &[u8]) -> io::Result<()> {
    order_with(FLAGS, body)
}

fn order_with(flags: u16, body: &[u8]) -> io::Result<()> {
    let mut message = Vec::new();
    message.extend_from_slice(&((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend_from_slice(&RTM_NEWLINK.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(body);
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&message, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let errno = answer.get(HEADER..HEADER + 4).and_then(|four| four.try_into().ok()).map_or(0, i32::from_ne_bytes);
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-errno)) }
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = [&(value.len() as u16 + 4).to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_says_its_length_and_is_padded() {
        assert_eq!(attribute(3, b"ab\0"), [7, 0, 3, 0, b'a', b'b', 0, 0]);
    }
}
