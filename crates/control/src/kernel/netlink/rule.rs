//! How are the rules for routing that files give a slave's netns added, deleted and listed?

use super::address::{addr, family_and_bytes};
use super::inside_route::FROM_FILES;
use super::socket::{Netlink, about, unless_gone};
use super::uapi::*;
use super::wire::{Message, Reply, attributes};
use crate::error::Result;
use ipvl_core::Addr;
use std::fmt;

/// `struct fib_rule_hdr`.
const HEADER: usize = 12;

/// A rule that says in which table some packets are looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InsideRule {
    /// Lower ones are looked at first.
    pub priority: u32,
    /// For IPv6, or for IPv4.
    pub v6: bool,
    /// Packets from there.
    pub from: Option<(Addr, u8)>,
    /// Packets to there.
    pub to: Option<(Addr, u8)>,
    /// Packets with this mark, under a mask.
    pub fwmark: Option<(u32, u32)>,
    /// Packets that this device has received.
    pub iif: Option<String>,
    /// Packets of sockets that are bound to this device.
    pub oif: Option<String>,
    /// The table.
    pub table: u32,
}

impl Netlink {
    /// Adds a rule of a file.
    pub fn add_inside_rule(&self, rule: &InsideRule) -> Result<()> {
        let message = message(RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, rule);
        self.order(about("add", &format_args!("rule {rule}")), message)
    }

    /// Deletes it, unless it is gone.
    pub fn delete_inside_rule(&self, rule: &InsideRule) -> Result<()> {
        let message = message(RTM_DELRULE, NLM_F_ACK, rule);
        unless_gone(self.order(about("delete", &format_args!("rule {rule}")), message)).map(drop)
    }

    /// All rules of files in this netns.
    pub fn inside_rules(&self) -> Result<Vec<InsideRule>> {
        let mut all = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            let mut header = [0; HEADER];
            header[0] = family as u8;
            let message = || Message::new(RTM_GETRULE, NLM_F_DUMP, &header);
            match self.list(about("list", &"rules"), message, parse) {
                // Of a kernel without rules, or without IPv6.
                Err(error) if matches!(error.errno(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {}
                listed => all.extend(unless_gone(listed)?.unwrap_or_default()),
            }
        }
        Ok(all)
    }
}

fn parse(reply: Reply<'_>) -> Option<InsideRule> {
    let (header, rest) = reply.payload.split_at_checked(HEADER)?;
    let (mut src, mut dst, mut fwmark, mut fwmask, mut protocol) = (None, None, None, u32::MAX, 0);
    let (v6, table) = (header[0] == libc::AF_INET6 as u8, u32::from(header[4]));
    let mut rule = InsideRule { priority: 0, v6, from: None, to: None, fwmark: None, iif: None, oif: None, table };
    for attribute in attributes(rest) {
        match attribute.kind {
            FRA_DST => dst = addr(attribute.value),
            FRA_SRC => src = addr(attribute.value),
            FRA_IIFNAME => rule.iif = Some(attribute.string()),
            FRA_OIFNAME => rule.oif = Some(attribute.string()),
            FRA_PRIORITY => rule.priority = attribute.u32(),
            FRA_FWMARK => fwmark = Some(attribute.u32()),
            FRA_FWMASK => fwmask = attribute.u32(),
            FRA_TABLE => rule.table = attribute.u32(),
            FRA_PROTOCOL => protocol = attribute.u8(),
            _ => {}
        }
    }
    (rule.to, rule.from) = (dst.map(|addr| (addr, header[1])), src.map(|addr| (addr, header[2])));
    rule.fwmark = fwmark.map(|mark| (mark, fwmask));
    (protocol == FROM_FILES && header[7] == FR_ACT_TO_TBL).then_some(rule)
}

fn message(kind: u16, flags: u16, rule: &InsideRule) -> Message {
    let len = |prefix: Option<(Addr, u8)>| prefix.map_or(0, |(_, len)| len);
    let mut header = [0; HEADER];
    header[0] = if rule.v6 { libc::AF_INET6 } else { libc::AF_INET } as u8;
    (header[1], header[2], header[7]) = (len(rule.to), len(rule.from), FR_ACT_TO_TBL);
    Message::new(kind, flags, &header)
        .u32(FRA_PRIORITY, rule.priority)
        .u32(FRA_TABLE, rule.table)
        .bytes(FRA_PROTOCOL, &[FROM_FILES])
        .option(rule.to, |m, (addr, _)| m.bytes(FRA_DST, &family_and_bytes(addr).1))
        .option(rule.from, |m, (addr, _)| m.bytes(FRA_SRC, &family_and_bytes(addr).1))
        .option(rule.fwmark, |m, (mark, mask)| m.u32(FRA_FWMARK, mark).u32(FRA_FWMASK, mask))
        .option(rule.iif.as_deref(), |m, name| m.str(FRA_IIFNAME, name))
        .option(rule.oif.as_deref(), |m, name| m.str(FRA_OIFNAME, name))
}

/// As ip(8) prints it.
impl fmt::Display for InsideRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.priority)?;
        match self.from {
            Some((addr, len)) => write!(f, " from {addr}/{len}")?,
            None => f.write_str(if self.v6 { " from all (IPv6)" } else { " from all" })?,
        }
        self.to.map_or(Ok(()), |(addr, len)| write!(f, " to {addr}/{len}"))?;
        match self.fwmark {
            Some((mark, u32::MAX)) => write!(f, " fwmark {mark:#x}")?,
            Some((mark, mask)) => write!(f, " fwmark {mark:#x}/{mask:#x}")?,
            None => {}
        }
        self.iif.as_ref().map_or(Ok(()), |name| write!(f, " iif {name}"))?;
        self.oif.as_ref().map_or(Ok(()), |name| write!(f, " oif {name}"))?;
        write!(f, " lookup {}", self.table)
    }
}
