//! What is a slave to the kernel, and why? Our module's device where that is loaded; else netkit if the kernel has it; else veth.

use crate::kernel::bpf::{self, AttachType};
use crate::model::Backend;
use crate::port::hook::MANY;
use crate::refusal::Refusal;
use crate::slave::module;
use crate::text::BACKENDS;
use ipvl_core::IfIndex;
use std::sync::OnceLock;

/// Set to `veth`, `netkit` or `kernel` to choose the kind of slaves if the command does not.
const CHOICE: &str = "IPVL_BACKEND";

impl Backend {
    /// The kind of each of `count` slaves that one call makes.
    pub(crate) fn choose(asked: Option<Self>, count: usize) -> Result<Self, Refusal> {
        match asked.or_else(Self::of_environment) {
            Some(backend) => backend.available(),
            None if module::is_loaded() => Ok(Self::Kernel),
            None => Ok(Self::pair(count)),
        }
    }

    /// Whether a slave of a file that names no backend is of our kernel module.
    pub(crate) fn is_kernel_by_default() -> bool {
        matches!(Self::choose(None, 1), Ok(Self::Kernel))
    }

    /// The kind of each of `count` slaves that an engine makes: pairs, unless it is told otherwise.
    pub(crate) fn choose_for_engine(count: usize) -> Result<Self, Refusal> {
        Self::of_environment().map_or_else(|| Ok(Self::pair(count)), Self::available)
    }

    /// The kind of each of `count` slaves that must be pairs, whatever the environment says of the module.
    pub(crate) fn choose_pair(count: usize) -> Result<Self, Refusal> {
        let asked = Self::of_environment().filter(|backend| *backend != Self::Kernel);
        asked.map_or_else(|| Ok(Self::pair(count)), Self::available)
    }

    /// Whether the kernel knows netkit's hook (Linux 6.7, with CONFIG_NETKIT). Queries another device's programs there, which
    /// changes nothing. No module brings it later, so that it is asked once.
    pub fn has_netkit() -> bool {
        static HAS_NETKIT: OnceLock<bool> = OnceLock::new();
        *HAS_NETKIT.get_or_init(|| bpf::prog_query(IfIndex::LOOPBACK, AttachType::NetkitPeer).is_ok())
    }

    /// Why a slave of this kind is.
    pub fn why(self) -> &'static str {
        match (self, Self::has_netkit()) {
            (Self::Kernel, _) => "our kernel module has the slave, without an agent",
            (Self::Netkit, _) => "the slave's packets reach the program without a queue",
            (Self::Veth, false) => "this kernel has no netkit",
            (Self::Veth, true) => "requested, or made together with many others",
        }
    }

    fn available(self) -> Result<Self, Refusal> {
        match self {
            Self::Netkit if !Self::has_netkit() => Err(Refusal::NoNetkit(crate::port::hook::release())),
            Self::Kernel if !module::is_loaded() => Err(Refusal::NoOwnModule),
            backend => Ok(backend),
        }
    }

    /// As with tcx, attaching to netkit takes 12 ms each under the kernel's rtnl lock.
    fn pair(count: usize) -> Self {
        if count > MANY || !Self::has_netkit() { Self::Veth } else { Self::Netkit }
    }

    fn of_environment() -> Option<Self> {
        let choice = std::env::var(CHOICE).ok()?;
        BACKENDS.into_iter().find(|(word, _)| *word == choice).map(|(_, backend)| backend)
    }
}
