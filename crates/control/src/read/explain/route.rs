//! What does the host's routing table make of a frame? The programs' own lookup, and what follows it.

use super::fate::{Fate, neighbour, obstacle};
use crate::error::Result;
use crate::kernel::fib::{self, FibAnswer};
use crate::kernel::filters::{self, ForwardChain};
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::kernel::sysctl;
use crate::port::ARPHRD_NONE;
use crate::text::prefix_text;
use ipvl_core::{Action, Frame, IfIndex, Reason, RouteLookup, Verdict, WayOut};

/// Where a frame is routed: at the link that it comes from.
pub struct Router<'a> {
    /// A connection to this netns.
    pub netlink: &'a Netlink,
    /// The port's master.
    pub master: IfIndex,
    /// The link that receives the frame: a host end, or the master.
    pub input: IfIndex,
}

impl Router<'_> {
    /// An l3 slave's packet: `slave_xmit` asks the table and sends it.
    pub fn by_program(&self, frame: &impl Frame) -> Result<Fate> {
        let Some(key) = RouteLookup::of(frame) else { return Ok(Fate::dropped(Reason::Truncated)) };
        if !key.is_for_table() {
            return self.unasked(&key);
        }
        let answer = fib::look_up(&key, self.input)?;
        match key.outcome(answer.route).map_err(Verdict::action) {
            Ok(WayOut::NextHop) => self.sent(&key, &answer, Action::Route.into()),
            Ok(WayOut::Master) => self.unasked(&key),
            Err(Action::Drop(reason)) => Ok(Fate::dropped(reason).noting(refusal(&key, &answer))),
            Err(_) => {
                let text = format!("passed to the host's stack, which sends fragments of {} bytes", answer.mtu);
                self.by_stack_rules(Fate::of(Action::Host.into(), text).noting(refusal(&key, &answer)))
            }
        }
    }

    /// A packet that the host's stack forwards, by the same table.
    pub fn by_stack(&self, frame: &impl Frame) -> Result<Fate> {
        let verdict = Action::Host.into();
        let passed = Fate::of(verdict, "passed to the host's stack".to_owned());
        let Some(key) = RouteLookup::of(frame) else { return Ok(passed) };
        let input = self.name(self.input)?;
        if !forwards(&key, &input) {
            let switch = if key.dst.as_v4().is_some() { "ipv4" } else { "ipv6" };
            let why = format!("the host's stack does not forward what {input} receives");
            return Ok(passed.unless(Some((why, format!("sysctl net.{switch}.conf.{input}.forwarding=1")))));
        }
        let answer = fib::look_up(&key, self.input)?;
        match key.outcome(answer.route).map_err(Verdict::action) {
            Ok(WayOut::NextHop) => self.by_stack_rules(self.sent(&key, &answer, verdict)?),
            Ok(WayOut::Master) => self.by_stack_rules(passed),
            Err(Action::Drop(reason)) => {
                let why = format!("the host's stack refuses it as {reason}:{}", reason.meaning());
                let obstacle = (why, super::fate::remedy(reason).to_owned());
                Ok(passed.noting(refusal(&key, &answer)).unless(Some(obstacle)))
            }
            Err(_) => self.by_stack_rules(passed.noting(refusal(&key, &answer))),
        }
    }

    /// The table named a next hop.
    fn sent(&self, key: &RouteLookup, answer: &FibAnswer, verdict: Verdict) -> Result<Fate> {
        let link = self.netlink.link(answer.oif, None)?.unwrap_or_default();
        let via = if answer.next_hop == key.dst { String::new() } else { format!("via {} ", answer.next_hop) };
        let matched = prefix_text(self.netlink.matched_prefix(key.dst, Some((key.src, self.input))));
        let note = format!("{} {matched}{via}dev {}, MTU {}", question(key), link.name, link.mtu);
        let text = match verdict.action() {
            Action::Route => format!("sent out of {} by the host's routing table", link.name),
            _ => format!("passed to the host's stack, which forwards it to {}", link.name),
        };
        self.leaving(Fate::of(verdict, text).noting(note), &link, answer)
    }

    fn leaving(&self, mut fate: Fate, link: &LinkInfo, answer: &FibAnswer) -> Result<Fate> {
        let blocked = obstacle(self.netlink, answer.oif)?;
        let resolves = link.arp_type != ARPHRD_NONE && link.flags & libc::IFF_NOARP as u32 == 0;
        if !resolves {
            return Ok(fate.unless(blocked));
        }
        let (note, failed) = neighbour(self.netlink, answer.oif, answer.next_hop)?;
        fate = fate.noting(note);
        Ok(fate.unless(blocked.or(failed)))
    }

    /// The table is not asked: the packet leaves by the master, and the kernel looks the route up then.
    fn unasked(&self, key: &RouteLookup) -> Result<Fate> {
        let name = self.name(self.master)?;
        let note = format!("{} it is not asked: the packet leaves by {name} alone", question(key));
        let text = format!("sent out of {name}, to the next hop that the kernel's own lookup finds");
        let fate = Fate::of(Action::Route.into(), text).noting(note).unless(obstacle(self.netlink, self.master)?);
        let route = self.netlink.route_to(key.dst, None, Some(self.master))?;
        let missing =
            (format!("no route to {} leads out of {name}", key.dst), "add such a route on the host".to_owned());
        Ok(fate.unless(route.is_none().then_some(missing)))
    }

    /// The rules of the host's netfilter decide in the end; the policies of their base chains can be read.
    fn by_stack_rules(&self, mut fate: Fate) -> Result<Fate> {
        if fate.lost.is_none() {
            fate.notes.push(format!("what do the host's FORWARD rules do with it? {}", rules()));
            fate.text += ", unless the host's FORWARD rules drop it";
        }
        Ok(fate)
    }

    fn name(&self, ifindex: IfIndex) -> Result<String> {
        let link = self.netlink.link(ifindex, None)?;
        Ok(link.map_or_else(|| format!("link {ifindex}"), |link| link.name))
    }
}

/// The base chains of the forward hook in words. Single rules are not looked at.
fn rules() -> String {
    let legacy =
        if filters::has_legacy_tables() { "; iptables-legacy has tables, which were not looked at" } else { "" };
    let chains = match filters::forward_chains() {
        None => return format!("not known: nft is not installed, or may not look{legacy}"),
        Some(chains) if chains.is_empty() => return format!("nothing: nft lists no chain of the forward hook{legacy}"),
        Some(chains) => chains,
    };
    let dropping: Vec<&ForwardChain> = chains.iter().filter(|chain| chain.drops).collect();
    match dropping.first() {
        Some(ForwardChain { table, name, .. }) => format!(
            "chain {name} of table {table} has policy drop, so a rule must accept it; rules were not looked at{legacy}"
        ),
        None => format!("{} chains have policy accept; rules were not looked at{legacy}", chains.len()),
    }
}

/// Whether the host's stack forwards packets of this family that the link `input` receives.
fn forwards(key: &RouteLookup, input: &str) -> bool {
    match key.dst.as_v4() {
        Some(_) => sysctl::is(&format!("net/ipv4/conf/{input}/forwarding"), "1"),
        None => {
            sysctl::is("net/ipv6/conf/all/forwarding", "1")
                || sysctl::is(&format!("net/ipv6/conf/{input}/force_forwarding"), "1")
        }
    }
}

fn question(key: &RouteLookup) -> String {
    format!("what does the host's routing table say of {}?", key.dst)
}

/// The table's answer, if that is not a next hop.
fn refusal(key: &RouteLookup, answer: &FibAnswer) -> String {
    let text = match key.outcome(answer.route).map_err(Verdict::action) {
        Err(Action::Drop(Reason::TooBig)) => format!("at most {} bytes, and this has {}", answer.mtu, key.len),
        Err(Action::Host) => format!("at most {} bytes; this has {}, and may be fragmented", answer.mtu, key.len),
        Err(Action::Drop(reason)) => reason.name().to_owned(),
        _ => "nothing".to_owned(),
    };
    format!("{} {text}", question(key))
}
