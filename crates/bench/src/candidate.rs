//! Which candidates are compared?

/// A way to connect two namespaces with each other and with the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// A veth pair between the two, and nothing else.
    Veth,
    /// A netkit pair between the two, and nothing else.
    Netkit,
    /// veth pairs and a bridge.
    Bridge,
    /// A veth pair for each, between which the host routes.
    VethRouted,
    /// A netkit pair for each, between which the host routes.
    NetkitRouted,
    /// The kernel's macvlan, mode bridge.
    Macvlan,
    /// The kernel's ipvlan.
    Kernel(&'static str),
    /// ipvl.
    Ipvl(&'static str, Backend),
    /// ipvl in l3s with `siblings direct`, which changes only the path between siblings.
    Direct(Backend),
    /// The kernel's ipvlan in l3s, where the host has a firewall.
    KernelFiltered,
    /// ipvl in l3s, where the host has the same firewall.
    Filtered(Backend),
    /// The same with `flowtable on`.
    Flowtable(Backend),
    /// Two veth pairs, and programs that redirect without reading the packet: the least that ipvl on veth can cost.
    Redirect(Bare),
    /// The same on netkit pairs.
    NetkitRedirect(Bare),
}

/// The devices and the hook of ipvl's slaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// veth pairs, with the program in tcx.
    Veth,
    /// veth pairs, with a clsact filter, as where there is no tcx, and where many slaves are made at once.
    Clsact,
    /// netkit pairs.
    Netkit,
    /// Devices of our kernel module.
    Module,
}

/// A program that makes no decision can serve only one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// To the sibling.
    Siblings,
    /// Out of the master and back.
    Outside,
}

/// A path through the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// From one slave to another.
    Siblings,
    /// From a slave to a machine outside.
    Out,
    /// From a machine outside to a slave.
    In,
}

/// All of them, in the order of the tables.
pub const PATHS: [Path; 3] = [Path::Siblings, Path::Out, Path::In];
const MODES: [&str; 3] = ["l2", "l3", "l3s"];

impl Path {
    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Siblings => "slave to slave",
            Self::Out => "slave to outside",
            Self::In => "outside to slave",
        }
    }
}

impl Candidate {
    /// Those behind a firewall; the first is what the others are compared with.
    pub const FILTERED: [Self; 5] = [
        Self::KernelFiltered,
        Self::Filtered(Backend::Veth),
        Self::Filtered(Backend::Netkit),
        Self::Flowtable(Backend::Veth),
        Self::Flowtable(Backend::Netkit),
    ];

    /// All that connect pods or containers, and not only a part of a driver: their streams are compared.
    pub fn streaming() -> Vec<Self> {
        let mut all = Vec::new();
        for mode in MODES {
            let ours =
                [Self::Ipvl(mode, Backend::Veth), Self::Ipvl(mode, Backend::Netkit), Self::Ipvl(mode, Backend::Module)];
            all.extend([Self::Kernel(mode)].into_iter().chain(ours));
        }
        all.extend([Self::Direct(Backend::Veth), Self::Direct(Backend::Netkit)]);
        all.extend([Self::Macvlan, Self::Bridge, Self::VethRouted, Self::NetkitRouted]);
        all
    }

    /// All others.
    pub fn all() -> Vec<Self> {
        let bare = [Bare::Siblings, Bare::Outside];
        let mut all = vec![Self::Veth, Self::Netkit, Self::Bridge, Self::Macvlan];
        for mode in MODES {
            all.extend([Self::Kernel(mode), Self::Ipvl(mode, Backend::Veth), Self::Ipvl(mode, Backend::Netkit)]);
        }
        all.extend([Self::Direct(Backend::Veth), Self::Direct(Backend::Netkit)]);
        all.push(Self::Ipvl("l2", Backend::Clsact));
        all.extend(bare.map(Self::Redirect));
        all.extend(bare.map(Self::NetkitRedirect));
        all
    }

    /// Whether the candidate has this path.
    pub fn has(self, path: Path) -> bool {
        match self {
            Self::Veth | Self::Netkit | Self::Direct(_) => path == Path::Siblings,
            Self::Redirect(Bare::Siblings) | Self::NetkitRedirect(Bare::Siblings) => path == Path::Siblings,
            Self::Redirect(Bare::Outside) | Self::NetkitRedirect(Bare::Outside) => path != Path::Siblings,
            _ => true,
        }
    }

    /// For results and tables.
    pub fn name(self) -> String {
        match self {
            Self::Veth => "veth pair".to_owned(),
            Self::Netkit => "netkit pair".to_owned(),
            Self::Bridge => "veth+bridge".to_owned(),
            Self::VethRouted => "veth routed".to_owned(),
            Self::NetkitRouted => "netkit routed".to_owned(),
            Self::Macvlan => "macvlan".to_owned(),
            Self::Kernel(mode) => format!("C ipvlan {mode}"),
            Self::Ipvl(mode, Backend::Veth) => format!("ipvl {mode}"),
            Self::Ipvl(mode, Backend::Clsact) => format!("ipvl {mode} clsact"),
            Self::Ipvl(mode, Backend::Module) => format!("ipvl {mode} kernel"),
            Self::Ipvl(mode, Backend::Netkit) => format!("ipvl {mode} netkit"),
            Self::Direct(backend) => Self::Ipvl("l3s direct", backend).name(),
            Self::KernelFiltered => "C ipvlan l3s".to_owned(),
            Self::Filtered(backend) => Self::Ipvl("l3s", backend).name(),
            Self::Flowtable(backend) => Self::Ipvl("l3s flowtable", backend).name(),
            Self::Redirect(_) => "redirect only".to_owned(),
            Self::NetkitRedirect(_) => "redirect only, netkit".to_owned(),
        }
    }

    /// The mode, where there is one.
    pub fn mode(self) -> Option<&'static str> {
        match self {
            Self::Kernel(mode) | Self::Ipvl(mode, _) => Some(mode),
            Self::Direct(_) | Self::KernelFiltered | Self::Filtered(_) | Self::Flowtable(_) => Some("l3s"),
            _ => None,
        }
    }

    /// Whether its slaves have a network of their own, which the machine outside reaches by the host.
    pub fn is_routed(self) -> bool {
        matches!(self, Self::VethRouted | Self::NetkitRouted) || self.mode().is_some_and(|mode| mode != "l2")
    }
}
