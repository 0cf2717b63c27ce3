//! How is each candidate's network made? In namespaces of its own, all of the same shape: two places for slaves, and a
//! machine outside at the other end of the master's wire.

use crate::bytecode::{self, Target};
use crate::candidate::{Backend, Bare, Candidate, PATHS, Path};
use crate::firewall;
use crate::load::Ends;
use crate::netkit;
use ipvl_control::kernel::bpf::{AttachType, prog_attach};
use ipvl_core::IfIndex;
use ipvl_testbed::{EXT_V4, EXT_V6, HOST_V4, HOST_V6, Lab, Netns, ipvl_path, wait_until};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const MASTER_MAC: &str = "02:00:00:00:00:01";
/// Of the devices, unless another is asked for.
const MTU: u32 = 1500;

/// Two places and the outside.
pub struct Network {
    lab: Lab,
    routed: bool,
    host_access: bool,
    mtu: u32,
    _programs: Vec<OwnedFd>,
}

impl Network {
    /// Makes the network; `None` if the kernel has no such devices.
    pub fn new(candidate: Candidate) -> Option<Self> {
        Self::made(candidate, false, MTU)
    }

    /// The same with this MTU everywhere, on the wire, too.
    pub fn with_mtu(candidate: Candidate, mtu: u32) -> Option<Self> {
        Self::made(candidate, false, mtu)
    }

    /// The same, with host access of ipvl's slaves.
    pub fn with_host(candidate: Candidate) -> Option<Self> {
        Self::made(candidate, true, MTU)
    }

    fn made(candidate: Candidate, host_access: bool, mtu: u32) -> Option<Self> {
        let routed = candidate.is_routed();
        let mut network = Self { lab: Lab::new(2), routed, host_access, mtu, _programs: Vec::new() };
        if mtu != MTU {
            network.ip(2, &format!("link set eth0 mtu {mtu}"));
            network.outside(&format!("link set eth0 mtu {mtu}"));
        }
        network.connect(candidate)?;
        Some(network)
    }

    /// Place 0 or 1, or 2 for the outside.
    pub fn place(&self, n: usize) -> &Netns {
        self.lab.slaves.get(n).unwrap_or(&self.lab.ext)
    }

    /// The MTU of a slave.
    pub fn slave_mtu(&self) -> u32 {
        self.place(0).run(["cat", "/sys/class/net/s/mtu"]).trim().parse().expect("a number")
    }

    /// The two ends of a path.
    pub fn ends(&self, path: Path, v6: bool) -> Ends<'_> {
        let [client, server] = match path {
            Path::Siblings => [0, 1],
            Path::Out => [0, 2],
            Path::In => [2, 0],
        };
        Ends { client: self.place(client), server: self.place(server), to: self.address(server, v6) }
    }

    /// The netns with the master.
    pub fn host(&self) -> &Netns {
        &self.lab.host
    }

    /// The address there.
    pub fn address(&self, n: usize, v6: bool) -> IpAddr {
        match (n, v6) {
            (2, false) => EXT_V4.into(),
            (2, true) => EXT_V6.into(),
            (_, false) => format!("{}.1{n}", self.net4()).parse().expect("an address"),
            (_, true) => format!("{}:1{n}", self.net6()).parse().expect("an address"),
        }
    }

    /// True if every path that the candidate has is there.
    pub fn works(&self, candidate: Candidate) -> bool {
        PATHS.into_iter().filter(|path| candidate.has(*path)).all(|path| {
            [false, true].into_iter().all(|v6| {
                let ends = self.ends(path, v6);
                wait_until(PATIENCE, || self.lab.pings(ends.client, &ends.to.to_string()))
            })
        })
    }

    /// In l2 the slaves are neighbours of the machine outside; else they have a network of their own.
    fn net4(&self) -> &str {
        if self.routed { "10.1.0" } else { "10.0.0" }
    }

    fn net6(&self) -> &str {
        if self.routed { "fd01:" } else { "fd00:" }
    }

    fn connect(&mut self, candidate: Candidate) -> Option<()> {
        match candidate {
            Candidate::Veth => self.veth_pair(),
            Candidate::Netkit => {
                self.place(0).within(|| netkit::pair("s", "s", self.place(1))).ok()?;
            }
            Candidate::Bridge => self.bridge(),
            Candidate::VethRouted => {
                self.host_ends();
            }
            Candidate::NetkitRouted => {
                self.netkit_ends()?;
            }
            Candidate::Macvlan => self.stock_slaves("macvlan mode bridge")?,
            Candidate::Kernel(mode) => self.stock_slaves(&format!("ipvlan mode {mode} bridge"))?,
            Candidate::Ipvl(mode, backend) => self.ipvl_slaves(mode, backend)?,
            Candidate::Direct(backend) => self.ipvl_slaves("l3s siblings direct", backend)?,
            Candidate::KernelFiltered => {
                self.stock_slaves("ipvlan mode l3s bridge")?;
                self.nft(firewall::RULES)?;
            }
            Candidate::Filtered(backend) => {
                self.ipvl_slaves("l3s", backend)?;
                self.nft(firewall::RULES)?;
            }
            Candidate::Flowtable(backend) => {
                self.connect(Candidate::Filtered(backend))?;
                let command = format!("{} set flowtable on", ipvl_path().display());
                self.lab.host.exec(command.split(' ')).ok.then_some(())?;
            }
            Candidate::Redirect(which) => {
                self.host_ends();
                self.redirect(which, AttachType::TcxIngress, true)?;
            }
            Candidate::NetkitRedirect(which) => {
                self.netkit_ends()?;
                self.redirect(which, AttachType::NetkitPeer, false)?;
            }
        }
        (0..2).for_each(|n| self.address_slave(n));
        if matches!(candidate, Candidate::VethRouted | Candidate::NetkitRouted) {
            (0..2).for_each(|n| self.route_by_host(n));
        }
        self.works(candidate).then_some(())
    }

    fn nft(&self, rules: &str) -> Option<()> {
        self.lab.host.exec(["nft", rules]).ok.then_some(())
    }

    fn veth_pair(&self) {
        self.ip(0, &format!("link add s type veth peer name s netns {}", self.place(1).name()));
    }

    fn bridge(&self) {
        for words in
            ["link add br0 type bridge forward_delay 0 mcast_snooping 0", "link set eth0 master br0", "link set br0 up"]
        {
            self.ip(2, words);
        }
        for n in 0..2 {
            self.ip(2, &format!("link add h{n} type veth peer name s netns {}", self.place(n).name()));
            self.ip(2, &format!("link set h{n} master br0 up"));
            self.enlarge(n);
        }
    }

    /// veth pairs, both ends with the master's MAC address, as ipvl makes them.
    fn host_ends(&self) {
        for n in 0..2 {
            let netns = self.place(n).name();
            let pair = format!("h{n} numtxqueues 1 numrxqueues 1 address {MASTER_MAC} type veth peer name s");
            self.ip(2, &format!("link add {pair} numtxqueues 1 numrxqueues 1 address {MASTER_MAC} netns {netns}"));
            self.ip(2, &format!("link set h{n} up"));
            self.enlarge(n);
        }
    }

    /// netkit pairs with the same addresses.
    fn netkit_ends(&self) -> Option<()> {
        for n in 0..2 {
            let host_end = format!("h{n}");
            self.lab.host.within(|| netkit::pair(&host_end, "s", self.place(n))).ok()?;
            self.ip(2, &format!("link set {host_end} address {MASTER_MAC} up"));
            self.ip(n, &format!("link set s address {MASTER_MAC}"));
            self.enlarge(n);
        }
        Some(())
    }

    /// A pair that was made here. ipvl's slaves and those of stock drivers have the master's MTU.
    fn enlarge(&self, n: usize) {
        self.ip(2, &format!("link set h{n} mtu {}", self.mtu));
        self.ip(n, &format!("link set s mtu {}", self.mtu));
    }

    /// The host forwards what this place sends and gets. Both ends have one MAC address, so nothing is asked by ARP.
    fn route_by_host(&self, n: usize) {
        for (v6, switch) in [(false, "net/ipv4/ip_forward"), (true, "net/ipv6/conf/all/forwarding")] {
            self.lab.host.sysctl(switch, "1");
            let own = self.address(n, v6);
            self.ip(2, &format!("route add {own} dev h{n}"));
            self.ip(2, &format!("neigh replace {own} lladdr {MASTER_MAC} dev h{n}"));
            for other in [self.address(1 - n, v6), self.address(2, v6)] {
                self.ip(n, &format!("neigh replace {other} lladdr {MASTER_MAC} dev s"));
            }
        }
    }

    fn stock_slaves(&self, kind: &str) -> Option<()> {
        for n in 0..2 {
            let command = format!("ip link add link eth0 name s{n} type {kind}");
            self.lab.host.exec(command.split(' ')).ok.then_some(())?;
            self.ip(2, &format!("link set s{n} netns {} name s", self.place(n).name()));
        }
        Some(())
    }

    /// Makes slaves in this mode, with further options. Before Linux 6.17 l3s needs IPv6 forwarding, which the user sets; it
    /// is set for the kernel's driver, too.
    fn ipvl_slaves(&self, mode: &str, backend: Backend) -> Option<()> {
        if mode.starts_with("l3s") || self.host_access {
            self.lab.host.sysctl("net/ipv6/conf/all/forwarding", "1");
        }
        let how = match backend {
            Backend::Veth => "IPVL_BACKEND=veth",
            Backend::Clsact => "IPVL_BACKEND=veth IPVL_HOOK=clsact",
            Backend::Netkit => "IPVL_BACKEND=netkit",
            Backend::Module => "IPVL_BACKEND=kernel",
        };
        let (ipvl, host) = (ipvl_path().display().to_string(), if self.host_access { " host on" } else { "" });
        for n in 0..2 {
            let command = format!("env {how} {ipvl} link add link eth0 name s{n} type ipvlan bridge{host} mode {mode}");
            self.lab.host.exec(command.split(' ')).ok.then_some(())?;
            self.ip(2, &format!("link set s{n} netns {} name s", self.place(n).name()));
        }
        if backend == Backend::Module {
            return Some(());
        }
        let device = if backend == Backend::Netkit { "netkit" } else { "veth" };
        let host_end = self.lab.host.run(["ip", "-d", "-o", "link", "show", "ipvlh0"]);
        host_end.split_whitespace().any(|word| word == device).then_some(())
    }

    /// Attaches programs with a fixed target: the sibling, or the master and from there place 0.
    fn redirect(&mut self, which: Bare, at: AttachType, past_host_end: bool) -> Option<()> {
        let host = &self.lab.host;
        let index = |name: &str| -> u32 {
            host.run(["cat", &format!("/sys/class/net/{name}/ifindex")]).trim().parse().expect("an ifindex")
        };
        let ends = [index("h0"), index("h1")];
        let to = |n: usize| if past_host_end { Target::Peer(ends[n]) } else { Target::Device(ends[n]) };
        let master = index("eth0");
        let wanted = match which {
            Bare::Siblings => vec![(ends[0], at, to(1)), (ends[1], at, to(0))],
            Bare::Outside => {
                vec![(ends[0], at, Target::Device(master)), (master, AttachType::TcxIngress, Target::Peer(ends[0]))]
            }
        };
        let programs = host.within(|| {
            let attach = |(device, at, target)| {
                let program = bytecode::redirect(target)?;
                prog_attach(IfIndex(device), &program, at).map_err(std::io::Error::other)?;
                Ok(program)
            };
            wanted.into_iter().map(attach).collect::<std::io::Result<Vec<_>>>()
        });
        self._programs = programs.ok()?;
        Some(())
    }

    fn address_slave(&self, n: usize) {
        self.ip(n, &format!("addr add {}/24 dev s", self.address(n, false)));
        self.ip(n, &format!("addr add {}/64 dev s nodad", self.address(n, true)));
        self.ip(n, "link set s up");
        if self.routed {
            self.ip(n, "route add default dev s");
            self.ip(n, "-6 route add default dev s");
            let (net4, net6) = (self.net4(), self.net6());
            self.outside(&format!("route replace {net4}.0/24 via {HOST_V4}"));
            self.outside(&format!("-6 route replace {net6}:/64 via {HOST_V6}"));
        }
    }

    /// `ip` with these words in place 0 or 1, or in the host.
    fn ip(&self, n: usize, words: &str) {
        let netns = self.lab.slaves.get(n).unwrap_or(&self.lab.host);
        netns.run(std::iter::once("ip").chain(words.split(' ')));
    }

    fn outside(&self, words: &str) {
        self.lab.ext.run(std::iter::once("ip").chain(words.split(' ')));
    }
}
