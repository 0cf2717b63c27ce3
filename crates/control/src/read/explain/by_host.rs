//! What does our kernel module do with a frame after the decision? The host's stack sends it as a packet of its own.

use super::fate::{Fate, neighbour, obstacle, remedy};
use super::in_module::ModulePort;
use super::route::Router;
use crate::error::Result;
use crate::kernel::netlink::{ChosenRoute, Netlink};
use crate::text::prefix_text;
use ipvl_core::{Action, Frame, IfIndex, Mode, Owner, Reason, RouteAnswer, RouteLookup, Slot, Tables, Verdict};

/// The end of a sentence about a packet that the host's stack sends.
const RULES: &str = ", unless the host's OUTPUT or POSTROUTING rules drop it";

/// What becomes of the frame; `owner` is that of its destination.
pub fn fate(
    netlink: &Netlink,
    port: &ModulePort,
    decided: Fate,
    frame: &impl Frame,
    owner: Option<Owner>,
) -> Result<Fate> {
    let master = port.master.ifindex;
    let host = Host { netlink };
    let is_l3s = |slot: Slot| port.snapshot.slave(slot).mode() == Mode::L3s;
    Ok(match (decided.verdict.action(), owner) {
        (Action::Route, _) => host.sends(frame, None, Action::Route.into())?,
        (Action::Wire | Action::OnLink, _) => decided.unless(obstacle(netlink, master)?),
        (Action::Host, Some(Owner::Slave(slot))) if is_l3s(slot) => Fate {
            text: format!("{}, which hands it to {} behind PREROUTING and INPUT", decided.text, name(port, slot)),
            ..decided
        },
        (Action::Host, Some(Owner::Slave(_))) => Router { netlink, master, input: master }.by_stack(frame)?,
        (Action::Host, _) if port.source.is_some_and(is_l3s) => host.sends(frame, Some(master), Action::Host.into())?,
        (Action::Drop(reason), _) => dropped(reason),
        _ => decided,
    })
}

fn name(port: &ModulePort, slot: Slot) -> &str {
    port.names.get(&slot).map_or("a slave", String::as_str)
}

/// What to do about it is another thing where the module cannot do what a pair can.
fn dropped(reason: Reason) -> Fate {
    let fate = Fate::dropped(reason);
    let other = match reason {
        Reason::NotOwned => {
            "put the address on the slave's device: ip -n NETNS addr add ADDRESS dev SLAVE; or ipvl link set SLAVE type \
             ipvlan guard owned"
        }
        _ => remedy(reason),
    };
    Fate { remedy: other.to_owned(), ..fate }
}

/// The host's stack, as the module uses it.
struct Host<'a> {
    netlink: &'a Netlink,
}

impl Host<'_> {
    /// A packet that the host sends by its table; `out` is the device that the route must lead to.
    fn sends(&self, frame: &impl Frame, out: Option<IfIndex>, verdict: Verdict) -> Result<Fate> {
        let Some(key) = RouteLookup::of(frame) else { return Ok(dropped(Reason::Truncated)) };
        let question = format!("what does the host's routing table say of {}, for packets of its own?", key.dst);
        let route = match self.netlink.own_route(key.dst, out)? {
            Ok(route) if route.is_local() && out.is_none() && key.dst.as_v4().is_some() => Err(libc::ENETUNREACH),
            other => other,
        };
        match route {
            Ok(route) => self.leaves(&key, &route, question, verdict),
            Err(errno) => Ok(refused(&key, answer(errno), format!("{question} nothing that leads there"))),
        }
    }

    fn leaves(&self, key: &RouteLookup, route: &ChosenRoute, question: String, verdict: Verdict) -> Result<Fate> {
        let link = self.netlink.link(route.oif, None)?.unwrap_or_default();
        if u32::from(key.len) > link.mtu
            && key.outcome(RouteAnswer::TooBig).map_err(Verdict::action).is_err_and(is_drop)
        {
            return Ok(refused(key, RouteAnswer::TooBig, format!("{question} dev {}, MTU {}", link.name, link.mtu)));
        }
        let via = route.gateway.map_or_else(String::new, |gateway| format!("via {gateway} "));
        let matched = prefix_text(self.netlink.matched_prefix(key.dst, None));
        let note = format!("{question} {matched}{via}dev {}, MTU {}", link.name, link.mtu);
        let unread = "what of the host's rules? routing rules by source or mark, and OUTPUT rules, were not looked at";
        let text = match route.is_local() {
            true => format!("passed to the host's stack, which has {}{RULES}", key.dst),
            false => format!("sent out of {} by the host's stack{RULES}", link.name),
        };
        let fate = Fate::of(verdict, text).noting(note).noting(unread.to_owned());
        let blocked = obstacle(self.netlink, route.oif)?;
        if route.is_local() || link.flags & libc::IFF_NOARP as u32 != 0 {
            return Ok(fate.unless(blocked));
        }
        let (note, failed) = neighbour(self.netlink, route.oif, route.gateway.unwrap_or(key.dst))?;
        Ok(fate.noting(note).unless(blocked.or(failed)))
    }
}

fn is_drop(action: Action) -> bool {
    matches!(action, Action::Drop(_))
}

/// What the module makes of the errno of a failed look-up.
fn answer(errno: i32) -> RouteAnswer {
    match errno {
        libc::EINVAL => RouteAnswer::Blackhole,
        libc::EACCES => RouteAnswer::Prohibit,
        libc::EHOSTUNREACH => RouteAnswer::Unreachable,
        _ => RouteAnswer::NoRoute,
    }
}

fn refused(key: &RouteLookup, answer: RouteAnswer, note: String) -> Fate {
    match key.outcome(answer).map_err(Verdict::action) {
        Err(Action::Drop(reason)) => dropped(reason).noting(note),
        _ => Fate::of(Action::Route.into(), "sent out by the host's stack".to_owned()).noting(note),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_one_that_the_module_takes() {
        assert!(dropped(Reason::NoHostAccess).remedy.contains("host on"));
        assert!(!dropped(Reason::NotOwned).remedy.contains("ipvl addr add"));
        assert_eq!(dropped(Reason::Private).remedy, remedy(Reason::Private));
    }
}
