//! Which masters, namespaces and slaves are there, and which would reach which? The value that all drawings are made from.

use crate::command::{Description, Direction, Frame, Protocol, Question};
use ipvl_control::{AddressEntry, AddressStatus, Explanation, Kind, Link, PortReport};
use ipvl_core::{Action, Addr, Options};

/// A slave is asked about so many siblings at most: each answer is computed when the graph is made.
pub const MOST_ASKED: usize = 24;

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Hosts first, then slaves, in the order of their masters.
    pub nodes: Vec<Node>,
    /// The answers, by the nodes' numbers.
    pub answers: Vec<Answer>,
    /// Slaves that nothing was asked about, since there are too many.
    pub unasked: usize,
}

/// A slave, or the host as the slaves of one master see it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name; the host's is `host`.
    pub name: String,
    /// The name by which `explain` finds it without doubt: the host end's.
    pub device: String,
    /// Its master.
    pub master: String,
    /// Where it is: the name of its netns, if it is not the master's own.
    pub netns: Option<String>,
    /// What it is.
    pub role: Role,
    /// Its options; none for the host.
    pub options: Option<Options>,
    /// Whether it is up.
    pub up: bool,
    /// Why it is not as it should be.
    pub degraded: Vec<String>,
    /// What it owns, with its length where it is a prefix.
    pub addresses: Vec<(Addr, u8)>,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their own names")]
pub enum Role {
    Host,
    Slave,
    Guest,
}

/// Whether one node reaches another, and why.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The number of the node that sends.
    pub from: usize,
    /// The number of the node that is to receive.
    pub to: usize,
    /// How a person asks the same.
    pub question: String,
    /// In one word.
    pub way: Way,
    /// In a sentence.
    pub text: String,
    /// What to do if it is not reached; else empty.
    pub remedy: String,
    /// The look-ups behind it.
    pub steps: Vec<String>,
}

/// How a packet gets to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From slave to slave, past everything else.
    Direct,
    /// Through the host's stack.
    Host,
    /// Out of the master: whatever is outside decides.
    Outside,
    /// Not at all.
    Not,
}

impl Way {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Host => "host",
            Self::Outside => "outside",
            Self::Not => "not",
        }
    }

    fn of(explanation: &Explanation) -> Self {
        match explanation.verdict.action() {
            _ if explanation.lost.is_some() => Self::Not,
            Action::Deliver(_) | Action::Answer => Self::Direct,
            Action::Host => Self::Host,
            Action::Wire | Action::Route | Action::OnLink | Action::Flood(_) => Self::Outside,
            Action::Drop(_) => Self::Not,
        }
    }
}

/// Makes the graph; `ask` answers a question as `ipvl explain` does, or says why there is no such packet.
pub fn graph(
    links: &[Link],
    entries: &[AddressEntry],
    ports: &[PortReport],
    ask: impl Fn(&Question) -> Result<Explanation, String>,
) -> Graph {
    let hosts = ports.iter().map(host);
    let nodes: Vec<Node> = hosts.chain(links.iter().map(|link| slave(link, entries))).collect();
    let slaves = |nodes: &[Node]| -> Vec<usize> {
        (0..nodes.len()).filter(|number| nodes[*number].role != Role::Host).collect()
    };
    let all = slaves(&nodes);
    let asked = &all[..all.len().min(MOST_ASKED)];
    let hosts = (0..nodes.len()).filter(|number| nodes[*number].role == Role::Host);
    let targets: Vec<usize> = hosts.chain(asked.iter().copied()).collect();
    let pairs = asked.iter().flat_map(|from| targets.iter().map(|to| (*from, *to)));
    let related = pairs.filter(|(from, to)| from != to && nodes[*from].master == nodes[*to].master);
    let answers = related.map(|(from, to)| answer(&nodes, from, to, &ask)).collect();
    Graph { answers, unasked: all.len() - asked.len(), nodes }
}

impl Graph {
    /// The masters, in the order of their slaves.
    pub fn masters(&self) -> Vec<&str> {
        let mut masters: Vec<&str> = self.nodes.iter().map(|node| node.master.as_str()).collect();
        masters.dedup();
        let mut seen = Vec::new();
        masters.retain(|master| {
            !seen.contains(master) && {
                seen.push(*master);
                true
            }
        });
        masters
    }

    /// The namespaces in which this master has slaves, each once; none is the master's own, and comes first.
    pub fn places<'a>(&'a self, master: &'a str) -> Vec<Option<&'a str>> {
        let mut places: Vec<Option<&str>> = self.slaves(master).map(|(_, node)| node.netns.as_deref()).collect();
        places.sort();
        places.dedup();
        places
    }

    /// The slaves of a master, with their numbers.
    pub fn slaves<'a>(&'a self, master: &'a str) -> impl Iterator<Item = (usize, &'a Node)> {
        let numbered = self.nodes.iter().enumerate();
        numbered.filter(move |(_, node)| node.master == master && node.role != Role::Host)
    }

    /// Those of them in one of its [`Graph::places`].
    pub fn slaves_in<'a>(&'a self, master: &'a str, place: Option<&'a str>) -> impl Iterator<Item = (usize, &'a Node)> {
        self.slaves(master).filter(move |(_, node)| node.netns.as_deref() == place)
    }

    /// The host as this master's slaves see it.
    pub fn host(&self, master: &str) -> Option<(usize, &Node)> {
        self.nodes.iter().enumerate().find(|(_, node)| node.master == master && node.role == Role::Host)
    }

    /// The answers that say that a node is reached.
    pub fn reached(&self) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(|answer| answer.way != Way::Not)
    }

    /// The answers about what this node sends.
    pub fn from(&self, number: usize) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(move |answer| answer.from == number)
    }
}

fn host(port: &PortReport) -> Node {
    let alone = |addr: &Addr| (*addr, addr.full_len());
    Node {
        name: "host".to_owned(),
        device: port.name.clone(),
        master: port.name.clone(),
        netns: None,
        role: Role::Host,
        options: None,
        up: true,
        degraded: Vec::new(),
        addresses: port.own_addresses.iter().map(alone).collect(),
    }
}

fn slave(link: &Link, entries: &[AddressEntry]) -> Node {
    let owns = |entry: &&AddressEntry| {
        entry.slave.as_ref() == Some(&link.name)
            && entry.master == link.master.1
            && matches!(entry.status, AddressStatus::Device | AddressStatus::Declared)
    };
    let netns = link.netns.clone().or_else(|| link.netnsid.map(|id| format!("#{id}")));
    Node {
        name: link.name.clone(),
        device: link.host_end.1.clone(),
        master: link.master.1.clone(),
        netns,
        role: if link.kind == Kind::Ipvtap { Role::Guest } else { Role::Slave },
        options: Some(link.options),
        up: link.is_up(),
        degraded: link.degraded.clone(),
        addresses: entries.iter().filter(owns).map(|entry| (entry.addr, entry.prefix_len)).collect(),
    }
}

fn answer(nodes: &[Node], from: usize, to: usize, ask: impl Fn(&Question) -> Result<Explanation, String>) -> Answer {
    let no = |question: String, text: String| Answer {
        from,
        to,
        question,
        way: Way::Not,
        text,
        remedy: String::new(),
        steps: Vec::new(),
    };
    let Some(addr) = common_address(&nodes[from], &nodes[to]) else {
        return no(String::new(), "they have no addresses of one family".to_owned());
    };
    let asked = format!("ipvl explain from {} to {addr}", nodes[from].name);
    match ask(&question(&nodes[from].device, addr)) {
        Ok(explanation) => Answer {
            way: Way::of(&explanation),
            text: explanation.text,
            remedy: explanation.remedy,
            steps: explanation.questions,
            ..no(asked, String::new())
        },
        Err(why) => no(asked, why),
    }
}

/// An address of the receiver in a family that the sender has, too. Link-local ones say little.
fn common_address(from: &Node, to: &Node) -> Option<Addr> {
    let is_global = |addr: &Addr| !matches!(addr.0, [0xfe, 0x80..=0xbf, ..]);
    let sends = |v4: bool| from.addresses.iter().any(|(addr, _)| addr.as_v4().is_some() == v4 && is_global(addr));
    let global = to.addresses.iter().map(|(addr, _)| *addr).filter(is_global);
    let mut global: Vec<Addr> = global.filter(|addr| sends(addr.as_v4().is_some())).collect();
    global.sort_by_key(|addr| addr.as_v4().is_none());
    global.first().copied()
}

fn question(device: &str, to: Addr) -> Question {
    let protocol = Protocol::default();
    let frame =
        Frame::Described(Description { to, src: None, dst_mac: None, src_mac: None, protocol, dport: None, len: None });
    Question { way: Direction::From, device: device.to_owned(), frame }
}

#[cfg(test)]
pub mod tests;
