//! Which candidates may be faster than the kernel's driver between siblings, and which show the limit of what is possible?

use super::cgroup::Cgroup;
use super::splice::Splice;
use crate::candidate::{Backend, Bare, Candidate, Path};
use crate::load::Ends;
use crate::netkit;
use crate::network::Network;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kernel's `GSO_MAX_SIZE`: the longest packet that a device takes.
const BIG: u32 = 524_280;

/// A candidate, with its network.
pub struct Tried {
    /// For results and tables.
    pub name: &'static str,
    network: Network,
    way: Variation,
}

/// How it differs from the usual network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variation {
    Usual,
    /// The slaves' devices take packets as large as can be.
    Big,
    /// And the master as well.
    BigMaster,
    /// One namespace talks to itself: no device has a shorter path.
    Lo,
    /// From socket to socket.
    Sockets,
}

/// The reference.
pub const MEASURE: &str = "C ipvlan l2";
/// ipvl on veth pairs, which every kernel has.
pub const OURS: Candidate = Candidate::Ipvl("l2", Backend::Veth);
const ALL: [(&str, Candidate, Variation); 9] = [
    (MEASURE, Candidate::Kernel("l2"), Variation::Usual),
    ("ipvl l2", OURS, Variation::Usual),
    ("ipvl l2 netkit", Candidate::Ipvl("l2", Backend::Netkit), Variation::Usual),
    ("redirect only, netkit", Candidate::NetkitRedirect(Bare::Siblings), Variation::Usual),
    ("lo", Candidate::Veth, Variation::Lo),
    ("C ipvlan l2, BIG TCP", Candidate::Kernel("l2"), Variation::Big),
    ("ipvl l2, BIG TCP", OURS, Variation::Big),
    ("ipvl l2, BIG TCP, master too", OURS, Variation::BigMaster),
    ("ipvl l2, socket to socket", OURS, Variation::Sockets),
];

impl Tried {
    /// All candidates that this kernel can make.
    pub fn all() -> io::Result<Vec<Self>> {
        let mut all = Vec::new();
        for (name, candidate, way) in ALL {
            match Network::new(candidate) {
                None => eprintln!("{name}: left out, this kernel cannot make it"),
                Some(network) => {
                    enlarge(&network, way)?;
                    all.push(Self { name, network, way });
                }
            }
        }
        Ok(all)
    }

    /// From slave to slave.
    pub fn siblings(&self, v6: bool) -> Ends<'_> {
        if self.way == Variation::Lo {
            let to: IpAddr = if v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
            return Ends { client: self.network.place(0), server: self.network.place(0), to };
        }
        self.network.ends(Path::Siblings, v6)
    }

    /// From slave to outside, if that differs from the usual network.
    pub fn outwards(&self, v6: bool) -> Option<Ends<'_>> {
        let whole = self.name.starts_with(MEASURE) || self.name.starts_with("ipvl");
        (whole && self.way != Variation::Sockets).then(|| self.network.ends(Path::Out, v6))
    }

    /// What must exist while it is measured.
    pub fn prepare<'a>(&self, cgroup: &'a Cgroup) -> io::Result<Option<Splice<'a>>> {
        let wanted = self.way == Variation::Sockets;
        wanted.then(|| Splice::between(cgroup, self.network.place(0), self.network.place(1))).transpose()
    }
}

fn enlarge(network: &Network, way: Variation) -> io::Result<()> {
    let slaves = [(network.place(0), "s"), (network.place(1), "s")];
    let devices = match way {
        Variation::Big => slaves.to_vec(),
        Variation::BigMaster => [&slaves[..], &[(network.host(), "eth0")]].concat(),
        _ => Vec::new(),
    };
    for (place, name) in devices {
        let ifindex = place.run(["cat", &format!("/sys/class/net/{name}/ifindex")]).trim().parse();
        place.within(|| netkit::enlarge(ifindex.expect("an ifindex"), BIG))?;
    }
    Ok(())
}
