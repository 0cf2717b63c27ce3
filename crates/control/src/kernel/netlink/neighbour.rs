//! What does the neighbour table say about an address?

use super::address::family_and_bytes;
use super::socket::{Netlink, about, unless_gone};
use super::uapi::*;
use super::wire::{Message, Reply, attributes};
use crate::error::Result;
use ipvl_core::{Addr, IfIndex, Mac};

/// `struct ndmsg`.
const NDMSG: usize = 12;

/// An entry of the neighbour table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// `NUD_*`.
    pub state: u16,
    /// Its MAC address, if it is known.
    pub mac: Option<Mac>,
}

impl Neighbour {
    /// The state as `ip neigh` prints it.
    pub fn word(self) -> &'static str {
        match self.state {
            NUD_INCOMPLETE => "INCOMPLETE",
            NUD_REACHABLE => "REACHABLE",
            NUD_STALE => "STALE",
            NUD_DELAY => "DELAY",
            NUD_PROBE => "PROBE",
            NUD_FAILED => "FAILED",
            NUD_NOARP => "NOARP",
            NUD_PERMANENT => "PERMANENT",
            _ => "NONE",
        }
    }

    /// Whether it did not answer.
    pub fn is_failed(self) -> bool {
        self.state == NUD_FAILED
    }

    /// The MAC address that packets are sent to.
    pub fn resolved(self) -> Option<Mac> {
        self.mac.filter(|_| self.state & (NUD_INCOMPLETE | NUD_FAILED) == 0)
    }
}

impl Netlink {
    /// The entry for `addr` on a link, if there is one.
    pub fn neighbour(&self, ifindex: IfIndex, addr: Addr) -> Result<Option<Neighbour>> {
        let (family, bytes) = family_and_bytes(addr);
        let mut header = [0; NDMSG];
        header[0] = family;
        header[4..8].copy_from_slice(&ifindex.0.to_ne_bytes());
        let message = Message::new(RTM_GETNEIGH, NLM_F_ACK, &header).bytes(NDA_DST, &bytes);
        let mut found = None;
        let object = format_args!("neighbour {addr} of link {ifindex}");
        let asked = self.ask(about("look up", &object), message, |reply| found = found.or(parse(reply)));
        unless_gone(asked).map(|_| found)
    }
}

fn parse(reply: Reply<'_>) -> Option<Neighbour> {
    let (header, rest) = reply.payload.split_at_checked(NDMSG)?;
    if reply.kind != RTM_NEWNEIGH {
        return None;
    }
    let mac = attributes(rest).find(|a| a.kind == NDA_LLADDR).and_then(|a| a.value.try_into().ok().map(Mac));
    Some(Neighbour { state: u16::from_ne_bytes([header[8], header[9]]), mac })
}
