//! Which kind of pair does a slave get, and why? netkit if the kernel has it; veth otherwise, and for many slaves at once.

use crate::kernel::bpf::{self, AttachType};
use crate::model::Backend;
use crate::port::hook::MANY;
use crate::refusal::Refusal;
use ipvl_core::IfIndex;

/// Set to `veth` or `netkit` to choose the kind of slaves if the command does not.
const CHOICE: &str = "IPVL_BACKEND";

impl Backend {
    /// The kind of each of `count` slaves that one call makes.
    pub(crate) fn choose(asked: Option<Self>, count: usize) -> Result<Self, Refusal> {
        match asked.or_else(Self::of_environment) {
            Some(Self::Netkit) if !Self::has_netkit() => Err(Refusal::NoNetkit(crate::port::hook::release())),
            Some(backend) => Ok(backend),
            // As with tcx, attaching to netkit takes 12 ms each under the kernel's rtnl lock.
            None if count > MANY || !Self::has_netkit() => Ok(Self::Veth),
            None => Ok(Self::Netkit),
        }
    }

    /// Whether the kernel knows netkit's hook (Linux 6.7, with CONFIG_NETKIT). Queries another device's programs there, which
    /// changes nothing.
    pub fn has_netkit() -> bool {
        bpf::prog_query(IfIndex::LOOPBACK, AttachType::NetkitPeer).is_ok()
    }

    /// Why a slave of this kind is.
    pub fn why(self) -> &'static str {
        match (self, Self::has_netkit()) {
            (Self::Netkit, _) => "the slave's packets reach the program without a queue",
            (Self::Veth, false) => "this kernel has no netkit",
            (Self::Veth, true) => "requested, or made together with many others",
        }
    }

    fn of_environment() -> Option<Self> {
        let choice = std::env::var(CHOICE).ok()?;
        [Self::Veth, Self::Netkit].into_iter().find(|backend| backend.kind() == choice)
    }
}
