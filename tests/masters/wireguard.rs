//! How is a wireguard device told its keys and its peer? By generic netlink, so that no tool is needed.

use ipvl_testbed::Netns;
use netlink_sys::{Socket, protocols::NETLINK_GENERIC};
use std::net::SocketAddrV4;

/// A private key, and the public key that belongs to it.
pub type Keys = ([u8; 32], [u8; 32]);

/// Two of them.
pub const KEYS: [Keys; 2] = [
    ([1; 32], hex("a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209")),
    ([2; 32], hex("ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59")),
];

const CONTROLLER: u16 = 16;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
const SET_DEVICE: u8 = 1;
const REQUEST_ACK: u16 = 5;
const NESTED: u16 = 0x8000;
const HEADERS: usize = 20;

/// Has `device` in `netns` be the one with these keys, listening on `port`, with one peer that may have any address.
pub fn configure(netns: &Netns, device: &str, port: u16, own: Keys, peer: Keys, endpoint: SocketAddrV4) {
    let any = |family: u16, zero: &[u8]| {
        nest(0, &[attribute(1, &family.to_ne_bytes()), attribute(2, zero), attribute(3, &[0])])
    };
    let allowed = nest(9, &[any(2, &[0; 4]), any(10, &[0; 16])]);
    let mut address = vec![2, 0];
    address.extend(endpoint.port().to_be_bytes());
    address.extend(endpoint.ip().octets());
    address.resize(16, 0);
    let peer = nest(0, &[attribute(1, &peer.1), attribute(4, &address), allowed]);
    let name = [device.as_bytes(), &[0]].concat();
    let body =
        [attribute(2, &name), attribute(3, &own.0), attribute(6, &port.to_ne_bytes()), nest(8, &[peer])].concat();
    netns.within(|| {
        let socket = Socket::new(NETLINK_GENERIC).expect("a netlink socket");
        let family = ask(&socket, &message(CONTROLLER, GET_FAMILY, &attribute(FAMILY_NAME, b"wireguard\0")));
        let answer = ask(&socket, &message(family_id(&family), SET_DEVICE, &body));
        assert_eq!(answer[16..20], [0; 4], "the kernel refuses to configure {device}");
    });
}

fn ask(socket: &Socket, message: &[u8]) -> Vec<u8> {
    socket.send(message, 0).expect("send");
    socket.recv_from_full().expect("an answer").0
}

fn message(family: u16, command: u8, body: &[u8]) -> Vec<u8> {
    let mut message = ((HEADERS + body.len()) as u32).to_ne_bytes().to_vec();
    message.extend(family.to_ne_bytes());
    message.extend(REQUEST_ACK.to_ne_bytes());
    message.resize(16, 0);
    message.extend([command, 1, 0, 0]);
    message.extend(body);
    message
}

/// The first attribute that says it.
fn family_id(answer: &[u8]) -> u16 {
    let mut rest = &answer[HEADERS..];
    while let [a, b, c, d, value @ ..] = rest {
        if u16::from_ne_bytes([*c, *d]) == FAMILY_ID {
            return u16::from_ne_bytes([value[0], value[1]]);
        }
        rest = &rest[usize::from(u16::from_ne_bytes([*a, *b])).next_multiple_of(4)..];
    }
    panic!("no generic netlink family of that name");
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (value.len() as u16 + 4).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn nest(kind: u16, inside: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NESTED, &inside.concat())
}

const fn hex(text: &str) -> [u8; 32] {
    let (text, mut bytes, mut at) = (text.as_bytes(), [0; 32], 0);
    while at < 64 {
        let digit = if text[at] >= b'a' { text[at] - b'a' + 10 } else { text[at] - b'0' };
        bytes[at / 2] = bytes[at / 2] << 4 | digit;
        at += 1;
    }
    bytes
}
