//! How is the rate limited at which a device sends? By the queueing discipline `tbf`, a token bucket.

use super::socket::{Netlink, about, unless_gone};
use super::tc::{TCMSG, tcmsg};
use super::uapi::*;
use super::wire::{Attribute, Message, Reply, attributes, read_ifindex, read_u32, read_u64};
use crate::error::Result;
use crate::rate::{Limit, WAITS_PER_SECOND};
use ipvl_core::IfIndex;
use std::collections::BTreeMap;

/// `1:`
const HANDLE: u32 = 1 << 16;
/// `struct tc_ratespec`.
const RATESPEC: usize = 12;
/// `struct tc_tbf_qopt`: two rates and three words.
const QOPT: usize = 2 * RATESPEC + 12;
const LINK_LAYER: usize = 1;
const RATE: usize = 8;
const QUEUE: usize = 2 * RATESPEC;

impl Netlink {
    /// Limits what a link of this netns sends. Replaces its queueing discipline.
    pub fn set_limit(&self, ifindex: IfIndex, limit: Limit) -> Result<()> {
        let header = tcmsg(ifindex, HANDLE, TC_H_ROOT, 0);
        let message = Message::new(RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &header)
            .str(TCA_KIND, "tbf")
            .nest(TCA_OPTIONS, |m| {
                m.bytes(TCA_TBF_PARMS, &qopt(limit))
                    .bytes(TCA_TBF_RATE64, &limit.rate.to_ne_bytes())
                    .u32(TCA_TBF_BURST, limit.burst)
            });
        self.order(about("limit", &format_args!("link {ifindex}")), message)
    }

    /// Removes a link's own queueing discipline, so that it has its kind's default one; it may have none.
    pub fn remove_limit(&self, ifindex: IfIndex) -> Result<()> {
        let message = Message::new(RTM_DELQDISC, NLM_F_ACK, &tcmsg(ifindex, 0, TC_H_ROOT, 0));
        match self.order(about("remove the limit of", &format_args!("link {ifindex}")), message) {
            Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::EINVAL)) => Ok(()),
            other => other,
        }
    }

    /// All limits of links of this netns.
    pub fn limits(&self) -> Result<BTreeMap<IfIndex, Limit>> {
        let message = || Message::new(RTM_GETQDISC, NLM_F_DUMP, &tcmsg(IfIndex::NONE, 0, 0, 0));
        Ok(self.list(about("list", &"queues"), message, parse)?.into_iter().collect())
    }

    /// The limit of what a link of this netns sends, if it has one.
    pub fn limit(&self, ifindex: IfIndex) -> Result<Option<Limit>> {
        let message = || Message::new(RTM_GETQDISC, NLM_F_DUMP, &tcmsg(ifindex, 0, 0, 0));
        let found = self.list(about("list queues of", &format_args!("link {ifindex}")), message, parse);
        let its = |(of, limit)| (of == ifindex).then_some(limit);
        Ok(unless_gone(found)?.and_then(|limits| limits.into_iter().find_map(its)))
    }
}

/// With Ethernet as link layer the kernel needs no table of transmission times.
fn qopt(limit: Limit) -> [u8; QOPT] {
    let mut bytes = [0; QOPT];
    bytes[LINK_LAYER] = TC_LINKLAYER_ETHERNET;
    let rate = limit.rate.min(u32::MAX.into()) as u32;
    bytes[RATE..RATE + 4].copy_from_slice(&rate.to_ne_bytes());
    bytes[QUEUE..QUEUE + 4].copy_from_slice(&queue(limit).to_ne_bytes());
    bytes
}

/// The length of the queue, in bytes.
fn queue(limit: Limit) -> u32 {
    (limit.rate / WAITS_PER_SECOND + u64::from(limit.burst)).min(u32::MAX.into()) as u32
}

/// Reads a limit. The kernel returns the burst as a rounded time, so it is computed from the length of the queue. Older
/// kernels list all links.
fn parse(reply: Reply<'_>) -> Option<(IfIndex, Limit)> {
    let (header, rest) = reply.payload.split_at_checked(TCMSG)?;
    let kind = attributes(rest).find(|a| a.kind == TCA_KIND).map(Attribute::string)?;
    if read_u32(header, 12) != TC_H_ROOT || kind != "tbf" {
        return None;
    }
    let options = || attributes(rest).filter(|a| a.kind == TCA_OPTIONS).flat_map(Attribute::nested);
    let parms = options().find(|a| a.kind == TCA_TBF_PARMS)?.value;
    let wide = options().find(|a| a.kind == TCA_TBF_RATE64).map(|a| read_u64(a.value, 0));
    let rate = wide.unwrap_or_else(|| read_u32(parms, RATE).into());
    let burst = u64::from(read_u32(parms, QUEUE)).saturating_sub(rate / WAITS_PER_SECOND);
    Some((read_ifindex(header, 4), Limit::new(rate, burst)))
}
