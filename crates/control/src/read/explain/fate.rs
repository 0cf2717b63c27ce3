//! What becomes of a frame after the decision, and what stands in its way?

use crate::error::Result;
use crate::kernel::netlink::Netlink;
use ipvl_core::{Addr, IfIndex, Reason, Verdict};

/// What becomes of a frame.
pub struct Fate {
    /// The verdict, after the routing table was asked.
    pub verdict: Verdict,
    /// What was asked besides the tables, with the answers.
    pub notes: Vec<String>,
    /// The verdict in a sentence.
    pub text: String,
    /// Why the kernel does not carry the verdict out.
    pub lost: Option<String>,
    /// What to do if the frame does not arrive; else empty.
    pub remedy: String,
}

/// What stands in a frame's way, and what to do about it.
pub type Obstacle = (String, String);

impl Fate {
    /// It is carried out, as far as is known.
    pub fn of(verdict: Verdict, text: String) -> Self {
        Self { verdict, notes: Vec::new(), text, lost: None, remedy: String::new() }
    }

    /// Dropped and counted.
    pub fn dropped(reason: Reason) -> Self {
        let text = format!("dropped as {reason}:{}", reason.meaning());
        Self { remedy: remedy(reason).to_owned(), ..Self::of(reason.into(), text) }
    }

    /// The same with something asked before.
    pub fn noting(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }

    /// Lost if there is an obstacle.
    pub fn unless(self, obstacle: Option<Obstacle>) -> Self {
        match obstacle {
            Some((why, remedy)) if self.lost.is_none() => {
                Self { text: format!("lost: {why}"), lost: Some(why), remedy, ..self }
            }
            _ => self,
        }
    }
}

/// Why nothing leaves by a link.
pub fn obstacle(netlink: &Netlink, ifindex: IfIndex) -> Result<Option<Obstacle>> {
    let Some(link) = netlink.link(ifindex, None)? else {
        return Ok(Some((format!("link {ifindex} is not here"), "bring it back".to_owned())));
    };
    let name = &link.name;
    Ok(match (link.is_up(), link.carrier) {
        (false, _) => Some((format!("{name} is down"), format!("ip link set dev {name} up"))),
        (true, Some(false)) => Some((
            format!("{name} has no carrier"),
            format!("connect {name}: the cable, or what is at its other end, is missing or down"),
        )),
        _ => None,
    })
}

/// What the neighbour table knows of a next hop: in words, and what stands in the way.
pub fn neighbour(netlink: &Netlink, ifindex: IfIndex, next_hop: Addr) -> Result<(String, Option<Obstacle>)> {
    let name = netlink.link(ifindex, None)?.map_or_else(|| format!("link {ifindex}"), |link| link.name);
    let found = netlink.neighbour(ifindex, next_hop)?;
    let answer = match found.map(|found| (found, found.resolved())) {
        Some((found, Some(mac))) => format!("{mac} ({})", found.word()),
        Some((found, None)) => format!("unresolved ({})", found.word()),
        None => "unresolved: the kernel asks for it first".to_owned(),
    };
    let failed = found.is_some_and(|found| found.is_failed()).then(|| {
        let why = format!("the next hop {next_hop} did not answer on {name}");
        (why, format!("is {next_hop} up, and on the network of {name}? ip neigh show {next_hop}"))
    });
    Ok((format!("which MAC address does {next_hop} have on {name}? {answer}"), failed))
}

/// What to do about a drop.
pub fn remedy(reason: Reason) -> &'static str {
    match reason {
        Reason::Truncated | Reason::Malformed => "find the sender of such frames: a raw socket or a guest",
        Reason::Tagged => "make the VLAN device on the master, and the slave on the VLAN device",
        Reason::ForeignMac => "use a macvlan or a bridge for devices with MAC addresses of their own",
        Reason::SpoofedHost | Reason::SpoofedSlave => "use another address; ipvl addr show lists the owner of each",
        Reason::NotOwned => "ipvl addr add ADDRESS dev SLAVE, or ipvl link set SLAVE type ipvlan guard owned",
        Reason::NotIp => "in l3 and l3s use routes without a gateway: ARP is not answered there",
        Reason::MacControl => "",
        Reason::Multicast => "use mode l2 for multicast and broadcast",
        Reason::Private => "ipvl link set SLAVE type ipvlan bridge, for both slaves",
        Reason::SlaveDown => "set the slave up, in its own namespace: ip -n NETNS link set SLAVE up",
        Reason::NoHostAccess => "ipvl link set SLAVE type ipvlan host on",
        Reason::OwnFrame => "look for a route in the slave's namespace that sends its own address out",
        Reason::NoSlave => "restart the agent, which removes what an interrupted command left",
        Reason::MasterGone => "bring the master back, or delete the slave",
        Reason::NoRoute => "add a route on the host: ip route add ADDRESS via GATEWAY",
        Reason::Blackhole | Reason::Unreachable | Reason::Prohibit => "change that route: ip route show",
        Reason::TooBig => "send smaller packets, or lower the MTU of the slave's route or device",
        Reason::RouteType => "use l3s for this slave: ipvl link set SLAVE type ipvlan mode l3s",
        Reason::FloodLimit => "look for a loop or a broadcast storm",
        Reason::CloneFailed | Reason::ActionFailed => "ipvl doctor",
        Reason::Reflected => "send from an address that ipvl addr show lists",
        Reason::ForeignProtocol => "ipvl link set SLAVE type ipvlan guard owned, if it needs that protocol",
        Reason::UnspecifiedSource => "give the slave an address before it sends",
        Reason::NotARouter => "ipvl link set SLAVE type ipvlan guard router, if it is a router or a DHCP server",
        Reason::NotDeclared => "ipvl addr add ADDRESS dev SLAVE",
        Reason::RateLimit => "ipvl link set SLAVE rate out RATE, if it may send more",
        Reason::SiblingRedirect => "switch redirects off at the router: sysctl net.ipv4.conf.all.send_redirects=0",
        Reason::Policy => "ipvl policy show, then ipvl policy add dev SLAVE RULE",
        Reason::Undeclared => "if a sibling forwards for it: ipvl addr add PREFIX dev SIBLING",
    }
}
