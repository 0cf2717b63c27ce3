//! How is a message of rtnetlink written, right or wrong, and what does the kernel answer?

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::net::IpAddr;

pub const NEW_LINK: u16 = 16;
pub const DEL_LINK: u16 = 17;
pub const GET_LINK: u16 = 18;
pub const SET_LINK: u16 = 19;
pub const NEW_ADDR: u16 = 20;
pub const DEL_ADDR: u16 = 21;

/// With `CREATE`, and `EXCLUSIVE`, something is made; without, it is changed.
pub const CREATE: u16 = 0x400;
pub const EXCLUSIVE: u16 = 0x200;
const REQUEST_ACK: u16 = 5;

/// Attributes of links (`IFLA_...`).
pub const ADDRESS: u16 = 1;
pub const NAME: u16 = 3;
pub const MTU: u16 = 4;
pub const LINK: u16 = 5;
pub const MASTER: u16 = 10;
pub const LINK_INFO: u16 = 18;
pub const NET_NS_FD: u16 = 28;
pub const LINK_NET_NSID: u16 = 37;
pub const KIND: u16 = 1;
pub const DATA: u16 = 2;
pub const MODE: u16 = 1;
pub const FLAGS: u16 = 2;
pub const OPTIONS: u16 = 32;
pub const DECLARED: u16 = 33;
/// Attributes of addresses (`IFA_...`).
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const INET: u8 = 2;
const INET6: u8 = 10;

pub const UP: u32 = 1;

/// One message.
pub struct Message(Vec<u8>);

impl Message {
    /// About the link `index`, or one that is named by an attribute; `up` changes that.
    pub fn link(kind: u16, flags: u16, index: u32, up: Option<bool>) -> Self {
        let mut message = Self::new(kind, flags);
        let state = if up == Some(true) { UP } else { 0 };
        message.0.extend([0; 4]);
        for word in [index, state, if up.is_some() { UP } else { 0 }] {
            message.0.extend(word.to_ne_bytes());
        }
        message
    }

    /// About an address of the link `index`.
    pub fn address(kind: u16, index: u32, address: IpAddr, prefix: u8) -> Self {
        const NO_DAD: u8 = 2;
        let (family, bytes) = match address {
            IpAddr::V4(v4) => (INET, v4.octets().to_vec()),
            IpAddr::V6(v6) => (INET6, v6.octets().to_vec()),
        };
        let mut message = Self::new(kind, if kind == NEW_ADDR { CREATE | EXCLUSIVE } else { 0 });
        message.0.extend([family, prefix, NO_DAD, 0]);
        message.0.extend(index.to_ne_bytes());
        message.put(IFA_LOCAL, &bytes);
        message.put(IFA_ADDRESS, &bytes);
        message
    }

    /// A slave of the kind ipvlan of `master`.
    pub fn slave(name: &str, index: u32, master: u32, mode: u16) -> Self {
        let mut message = Self::link(NEW_LINK, CREATE | EXCLUSIVE, index, None);
        message.put(NAME, format!("{name}\0").as_bytes());
        message.put(LINK, &master.to_ne_bytes());
        message.options(Some(mode), Some(0));
        message
    }

    fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((REQUEST_ACK | flags).to_ne_bytes());
        bytes.extend([0; 8]);
        Self(bytes)
    }

    /// Appends an attribute.
    pub fn put(&mut self, attribute: u16, value: &[u8]) {
        self.0.extend((value.len() as u16 + 4).to_ne_bytes());
        self.0.extend(attribute.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// Appends an attribute that has attributes.
    pub fn nest(&mut self, attribute: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.put(attribute, &[]);
        fill(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    /// Appends kind, mode and flags.
    pub fn options(&mut self, mode: Option<u16>, flags: Option<u16>) {
        self.options_with(mode, flags, None);
    }

    /// The same, and values of options of ours with the selector of those that are given.
    pub fn options_with(&mut self, mode: Option<u16>, flags: Option<u16>, ours: Option<(u32, u32)>) {
        self.nest(LINK_INFO, |info| {
            info.put(KIND, b"ipvlan\0");
            info.nest(DATA, |data| {
                for (attribute, value) in [(MODE, mode), (FLAGS, flags)] {
                    if let Some(value) = value {
                        data.put(attribute, &value.to_ne_bytes());
                    }
                }
                if let Some((value, selector)) = ours {
                    data.put(OPTIONS, &[value.to_ne_bytes(), selector.to_ne_bytes()].concat());
                }
            });
        });
    }

    /// All bytes, the header's too.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

/// A socket, which stays in the namespace that it was opened in.
pub struct Door(Socket);

impl Door {
    /// Opens one in the caller's namespace.
    pub fn open() -> Self {
        let mut socket = Socket::new(NETLINK_ROUTE).expect("a netlink socket");
        socket.bind_auto().expect("bind a netlink socket");
        socket.set_non_blocking(true).expect("a socket that does not wait");
        Self(socket)
    }

    /// Sends a message; the errno of the answer, 0 for a yes, `None` without an answer. `around` is told before and after
    /// the call in which the kernel does what the message says.
    pub fn ask_around(&self, message: &Message, around: impl Fn(bool)) -> Option<i32> {
        let mut bytes = message.0.clone();
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        around(true);
        let sent = self.0.send_to(&bytes, &SocketAddr::new(0, 0), 0);
        around(false);
        match sent {
            Ok(_) => self.answer(),
            Err(error) => error.raw_os_error(),
        }
    }

    /// Sends a message; what [`Self::ask_around`] says.
    pub fn ask(&self, message: &Message) -> Option<i32> {
        self.ask_around(message, |_| ())
    }

    fn answer(&self) -> Option<i32> {
        const ERROR: [u8; 2] = [2, 0];
        let mut found = None;
        loop {
            match self.0.recv_from_full() {
                Ok((bytes, _)) if bytes.get(4..6) == Some(&ERROR) => {
                    let errno = bytes.get(16..20)?.try_into().ok()?;
                    found = Some(-i32::from_ne_bytes(errno));
                }
                Ok(_) => (),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return found,
                Err(error) => return error.raw_os_error(),
            }
        }
    }
}
