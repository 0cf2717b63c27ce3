//! How does a program get onto a device's ingress, and how is it found there? By tcx, or by a filter on clsact where the
//! kernel has no tcx (before 6.6).

use crate::error::{Result, refused};
use crate::kernel::bpf::{self, AttachType};
use crate::kernel::netlink::{FilterPoint, Netlink};
use crate::refusal::Refusal;
use std::os::fd::{AsFd, OwnedFd};

/// The two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Linux 6.6.
    Tcx,
    /// Linux 4.5; we need more of 5.10 anyway.
    Clsact,
}

/// Set to `clsact` to do without tcx.
const CHOICE: &str = "IPVL_HOOK";
/// From here on the time to attach matters more than the packets'.
pub(crate) const MANY: usize = 3;
const LOOPBACK: u32 = 1;
const PRIORITY: u16 = 0x4950;
const WITH_CLSACT: &str = "+clsact";

impl Hook {
    /// The best that this kernel has, or what the environment variable `IPVL_HOOK` says.
    pub fn choose() -> Self {
        let forced = std::env::var(CHOICE).is_ok_and(|choice| choice == "clsact");
        if !forced && bpf::prog_query(LOOPBACK, AttachType::TcxIngress).is_ok() { Self::Tcx } else { Self::Clsact }
    }

    /// The way for `count` devices in one go. Attaching by tcx holds the kernel's rtnl lock until all CPUs have passed
    /// a quiescent state, some 12 ms each and never two at once; a filter takes 10 us, and 1 % more of every packet.
    pub fn choose_for(count: usize) -> Self {
        if count > MANY { Self::Clsact } else { Self::choose() }
    }

    /// Puts the program on the ingress of a device. It stays when we are gone.
    pub fn attach(self, netlink: &Netlink, ifindex: u32, program: impl AsFd, name: &str) -> Result<()> {
        match self {
            Self::Tcx => bpf::prog_attach(ifindex, program, AttachType::TcxIngress),
            Self::Clsact => attach_filter(netlink, ifindex, program, name),
        }
    }

    /// Takes it off again.
    pub fn detach(self, netlink: &Netlink, ifindex: u32, program: impl AsFd) -> Result<()> {
        match self {
            Self::Tcx => bpf::prog_detach(ifindex, program, AttachType::TcxIngress).map(drop),
            Self::Clsact => {
                let own_clsact = with_clsact(netlink, ifindex)?;
                netlink.delete_bpf_filter(FilterPoint::Device(ifindex), PRIORITY)?;
                if own_clsact && !netlink.has_filters(ifindex)? {
                    netlink.delete_clsact(ifindex)?;
                }
                Ok(())
            }
        }
    }

    /// The program of that name on the ingress of a device, and the way in which it is there.
    pub fn find(netlink: &Netlink, ifindex: u32, name: &str) -> Result<Option<(Self, OwnedFd)>> {
        for id in bpf::prog_query(ifindex, AttachType::TcxIngress).unwrap_or_default() {
            if let Some(program) = named(id, name)? {
                return Ok(Some((Self::Tcx, program)));
            }
        }
        let filters = netlink.bpf_filters(FilterPoint::Device(ifindex)).unwrap_or_default();
        for filter in filters.into_iter().filter(|filter| filter.priority == PRIORITY) {
            if let Some(program) = named(filter.prog_id, name)? {
                return Ok(Some((Self::Clsact, program)));
            }
        }
        Ok(None)
    }
}

/// The filter's name says whether the clsact came with it: one that others made stays.
fn attach_filter(netlink: &Netlink, ifindex: u32, program: impl AsFd, name: &str) -> Result<()> {
    let added = netlink.add_clsact(ifindex, None).and_then(|fresh| {
        let name = if fresh { format!("{name}{WITH_CLSACT}") } else { name.to_owned() };
        netlink.add_bpf_filter(FilterPoint::Device(ifindex), program, &name, PRIORITY)
    });
    added.map_err(|error| match error.errno() {
        Some(libc::ENOENT | libc::EOPNOTSUPP) => refused("attach to", format!("link {ifindex}"), no_hook()),
        _ => error,
    })
}

fn with_clsact(netlink: &Netlink, ifindex: u32) -> Result<bool> {
    let filters = netlink.bpf_filters(FilterPoint::Device(ifindex))?;
    Ok(filters.iter().any(|filter| filter.priority == PRIORITY && filter.name.ends_with(WITH_CLSACT)))
}

fn no_hook() -> Refusal {
    Refusal::NoHook(release())
}

/// Of the running kernel.
pub(crate) fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The program with this id, if it bears that name and is not gone meanwhile. Who may not look (CAP_SYS_ADMIN) must not
/// take what is there for what is not.
fn named(id: u32, name: &str) -> Result<Option<OwnedFd>> {
    let program = match bpf::prog_fd_by_id(id) {
        Err(error) if error.errno() == Some(libc::EPERM) => return Err(error),
        Err(_) => return Ok(None),
        Ok(program) => program,
    };
    Ok(bpf::prog_info(&program).is_ok_and(|info| info.name == name).then_some(program))
}
