//! Of which kind are a slave's two devices, and why? netkit where the kernel has it, veth elsewhere and for many at once.

use crate::kernel::bpf::{self, AttachType};
use crate::model::Backend;
use crate::port::hook::MANY;
use crate::refusal::Refusal;

/// Set to `veth` or `netkit` to have slaves of that kind where the command says nothing else.
const CHOICE: &str = "IPVL_BACKEND";
/// A device that is never netkit.
const LOOPBACK: u32 = 1;

impl Backend {
    /// What one of `count` slaves gets that are made in one go.
    pub(crate) fn choose(asked: Option<Self>, count: usize) -> Result<Self, Refusal> {
        match asked.or_else(Self::of_environment) {
            Some(Self::Netkit) if !Self::has_netkit() => Err(Refusal::NoNetkit(crate::port::hook::release())),
            Some(backend) => Ok(backend),
            // As by tcx, attaching takes 12 ms each under the kernel's rtnl lock.
            None if count > MANY || !Self::has_netkit() => Ok(Self::Veth),
            None => Ok(Self::Netkit),
        }
    }

    /// Whether the kernel knows netkit's hook (Linux 6.7, with CONFIG_NETKIT): asks which programs another device has
    /// there, and leaves nothing behind.
    pub fn has_netkit() -> bool {
        bpf::prog_query(LOOPBACK, AttachType::NetkitPeer).is_ok()
    }

    /// Why a slave of this kind is.
    pub fn why(self) -> &'static str {
        match (self, Self::has_netkit()) {
            (Self::Netkit, _) => "what leaves the slave meets the program at once, past a queue",
            (Self::Veth, false) => "this kernel has no netkit",
            (Self::Veth, true) => "asked for, or made with many others at once",
        }
    }

    fn of_environment() -> Option<Self> {
        let choice = std::env::var(CHOICE).ok()?;
        [Self::Veth, Self::Netkit].into_iter().find(|backend| backend.kind() == choice)
    }
}
