//! Which frame is `ipvl explain` asked about?

use super::values::{self, named};
use crate::command::{Description, Direction, Frame, Protocol, Question};
use crate::names::Named;
use crate::usage::UsageError;
use crate::words::Given;
use ipvl_core::Addr;

/// `explain from` and `explain in`
pub fn question(way: &str, given: &Given) -> Result<Question, UsageError> {
    let frame = match given.parsed("hex", values::bytes)? {
        Some(bytes) => only_bytes(given, bytes)?,
        None => Frame::Described(description(given)?),
    };
    let way = if way == "from" { Direction::From } else { Direction::In };
    Ok(Question { way, device: values::device(given.required("dev")?)?, frame })
}

fn only_bytes(given: &Given, bytes: Vec<u8>) -> Result<Frame, UsageError> {
    match given.first_of(&["to", "src", "from", "dst-mac", "src-mac", "protocol", "dport", "len"]) {
        Some(word) => Err(UsageError::HexAndMore { word }),
        None => Ok(Frame::Bytes(bytes)),
    }
}

fn description(given: &Given) -> Result<Description, UsageError> {
    let source = given.first_of(&["src", "from"]).unwrap_or("src");
    let description = Description {
        to: values::address(given.required("to")?)?,
        src: given.parsed(source, values::address)?,
        dst_mac: given.parsed("dst-mac", values::mac)?,
        src_mac: given.parsed("src-mac", values::mac)?,
        protocol: given.parsed("protocol", |word| named(word, "unknown protocol"))?.unwrap_or_default(),
        dport: given.parsed("dport", values::port)?,
        len: given.parsed("len", values::length)?,
    };
    check_families(&description)?;
    Ok(description)
}

fn check_families(description: &Description) -> Result<(), UsageError> {
    let is_v4 = |addr: Addr| addr.as_v4().is_some();
    let protocol = description.protocol;
    let v4 = match protocol {
        Protocol::Arp => true,
        Protocol::Ns => false,
        _ => is_v4(description.to),
    };
    let addresses = [Some(description.to), description.src];
    match addresses.into_iter().flatten().find(|addr| is_v4(*addr) != v4) {
        Some(addr) => Err(UsageError::OtherFamily { protocol: protocol.word(), address: addr.to_string() }),
        None => Ok(()),
    }
}
