//! How is a program attached to a device's ingress, and found there again? By tcx, or before Linux 6.6 by a filter of clsact.

use crate::error::{Result, refused};
use crate::kernel::bpf::{self, AttachType};
use crate::kernel::netlink::{FilterPoint, Netlink};
use crate::refusal::Refusal;
use ipvl_core::IfIndex;
use std::os::fd::{AsFd, OwnedFd};

/// The kernel's two interfaces for programs at a device's ingress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Linux 6.6.
    Tcx,
    /// Linux 4.5; ipvl needs 5.10 for other reasons.
    Clsact,
}

/// Set to `clsact` to do without tcx.
const CHOICE: &str = "IPVL_HOOK";
/// A call that makes more slaves than this saves time to attach, rather than time for each packet.
pub(crate) const MANY: usize = 3;
pub(super) const PRIORITY: u16 = 0x4950;
const WITH_CLSACT: &str = "+clsact";

impl Hook {
    /// tcx if the kernel has it, unless the environment variable `IPVL_HOOK` says `clsact`.
    pub fn choose() -> Self {
        let forced = std::env::var(CHOICE).is_ok_and(|choice| choice == "clsact");
        if !forced && bpf::prog_query(IfIndex::LOOPBACK, AttachType::TcxIngress).is_ok() {
            Self::Tcx
        } else {
            Self::Clsact
        }
    }

    /// The hook for `count` devices of one call. Attaching by tcx holds the kernel's rtnl lock until all CPUs have passed a
    /// quiescent state: some 12 ms for each device, and never two at once. A filter of clsact takes 10 us to attach, but
    /// costs 1 % for each packet.
    pub fn choose_for(count: usize) -> Self {
        if count > MANY { Self::Clsact } else { Self::choose() }
    }

    /// Attaches the program to the ingress of a device. It stays when this process ends.
    pub fn attach(self, netlink: &Netlink, ifindex: IfIndex, program: impl AsFd, name: &str) -> Result<()> {
        match self {
            Self::Tcx => bpf::prog_attach(ifindex, program, AttachType::TcxIngress),
            Self::Clsact => attach_filter(netlink, ifindex, program, name),
        }
    }

    /// Puts the program in the place of `old`, which is attached: each packet meets exactly one of them.
    pub fn replace(
        self,
        netlink: &Netlink,
        ifindex: IfIndex,
        program: impl AsFd,
        old: impl AsFd,
        name: &str,
    ) -> Result<()> {
        match self {
            Self::Tcx => bpf::prog_replace(ifindex, program, old, AttachType::TcxIngress),
            Self::Clsact => {
                let own_clsact = with_clsact(netlink, ifindex)?;
                let name = if own_clsact { format!("{name}{WITH_CLSACT}") } else { name.to_owned() };
                netlink.add_bpf_filter(FilterPoint::Device(ifindex), program, &name, PRIORITY)
            }
        }
    }

    /// Detaches it again.
    pub fn detach(self, netlink: &Netlink, ifindex: IfIndex, program: impl AsFd) -> Result<()> {
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

    /// The program of that name at the ingress of a device, and the hook by which it is attached.
    pub fn find(netlink: &Netlink, ifindex: IfIndex, name: &str) -> Result<Option<(Self, OwnedFd)>> {
        for id in unless_unknown(bpf::prog_query(ifindex, AttachType::TcxIngress))? {
            if let Some(program) = named(id, name)? {
                return Ok(Some((Self::Tcx, program)));
            }
        }
        let filters = unless_unknown(netlink.bpf_filters(FilterPoint::Device(ifindex)))?;
        for filter in filters.into_iter().filter(|filter| filter.priority == PRIORITY) {
            if let Some(program) = named(filter.prog_id, name)? {
                return Ok(Some((Self::Clsact, program)));
            }
        }
        Ok(None)
    }
}

/// Marks in the filter's name if the clsact was made for it: a clsact that others made is not deleted.
fn attach_filter(netlink: &Netlink, ifindex: IfIndex, program: impl AsFd, name: &str) -> Result<()> {
    let added = netlink.add_clsact(ifindex, None).and_then(|fresh| {
        let name = if fresh { format!("{name}{WITH_CLSACT}") } else { name.to_owned() };
        netlink.add_bpf_filter(FilterPoint::Device(ifindex), program, &name, PRIORITY)
    });
    added.map_err(|error| match error.errno() {
        Some(libc::ENOENT | libc::EOPNOTSUPP) => refused("attach to", format!("link {ifindex}"), no_hook()),
        _ => error,
    })
}

fn with_clsact(netlink: &Netlink, ifindex: IfIndex) -> Result<bool> {
    let filters = netlink.bpf_filters(FilterPoint::Device(ifindex))?;
    Ok(filters.iter().any(|filter| filter.priority == PRIORITY && filter.name.ends_with(WITH_CLSACT)))
}

fn no_hook() -> Refusal {
    Refusal::NoHook(release())
}

/// The release of the running kernel.
pub(crate) fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// What a kernel without the hook has there: nothing.
pub(super) fn unless_unknown<T>(found: Result<Vec<T>>) -> Result<Vec<T>> {
    match found {
        Err(error) if matches!(error.errno(), Some(libc::EINVAL | libc::EOPNOTSUPP)) => Ok(Vec::new()),
        other => other,
    }
}

/// The program with this id, if it has that name and still exists. One that cannot be opened, as without CAP_SYS_ADMIN, is an
/// error, lest the program be taken for absent and a second port be made beside it.
pub(super) fn named(id: u32, name: &str) -> Result<Option<OwnedFd>> {
    match bpf::prog_fd_by_id(id) {
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
        Ok(program) => Ok((bpf::prog_info(&program)?.name == name).then_some(program)),
    }
}
