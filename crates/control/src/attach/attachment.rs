//! What does an engine ask for, and what does it get?

use crate::error::{Error, Result, refused};
use crate::kernel::netlink::SlaveRoute;
use crate::model::LinkSpec;
use crate::place::NsId;
use crate::policy_words::PolicyKeys;
use crate::port::host::edges_of;
use crate::port::host_end::check_owner;
use crate::rate::Rates;
use crate::refusal::Refusal;
use ipvl_core::{Addr, IfIndex, Mac, Mode};

/// A slave as an engine wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The slave. With `netns` it is created there, under its name; without, it stays here until the engine moves it.
    pub spec: LinkSpec,
    /// The owner: `cni NETWORK CONTAINER INTERFACE`. One owner has one slave. At most 176 bytes.
    pub owner: String,
    /// Its policy and labels. It has them before it is open.
    pub policy: PolicyKeys,
    /// The slave's addresses, with the prefix lengths of their networks. The table has them before [`crate::attach`]
    /// returns.
    pub addresses: Vec<(Addr, u8)>,
    /// Whether to put the addresses on the device, set it up, and add the routes. An engine that does so itself says no:
    /// then the addresses are reserved for the slave until they are seen on its device, and with the kernel module as long as it is
    /// there.
    pub assign: bool,
    /// The slave's routes; none if addresses are not to be assigned.
    pub routes: Vec<SlaveRoute>,
}

/// An engine's slave as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The owner.
    pub owner: String,
    /// The slave's name in its own netns; none if that cannot be read.
    pub name: Option<String>,
    /// The slave's ifindex in its own netns.
    pub ifindex: IfIndex,
    /// The id that the slave's netns has in the master's; none while both are in one netns.
    pub netnsid: Option<NsId>,
    /// The master's name; none if the master has left this netns.
    pub master: Option<String>,
    /// Whether our kernel module has it: then it has no host end.
    pub in_module: bool,
    /// The host end's ifindex and name; a slave of the kernel module is its own.
    pub host_end: (IfIndex, String),
    /// The MAC address of slave and master.
    pub mac: Mac,
    /// In bytes.
    pub mtu: u32,
    /// l2, l3 or l3s.
    pub mode: Mode,
    /// The limits of its rates.
    pub rates: Rates,
    /// What it owns in the table, and of the kernel module what is on its device or declared for it, with lengths in bits of the
    /// address's own family: 32 or 128 for a single address.
    pub addresses: Vec<(Addr, u8)>,
}

impl Attachment {
    /// Whether owner and addresses are valid.
    pub(super) fn check(&self) -> Result<()> {
        let owner = || self.owner.escape_default().to_string();
        check_owner(&self.owner).map_err(|refusal| refused("attach", owner(), refusal))?;
        for (addr, prefix_len) in self.addresses.iter().copied() {
            let is_edge = edges_of(addr, prefix_len).contains(&addr);
            let is_unfit = is_edge || addr.is_group() || addr.is_unspecified() || addr.ip().is_loopback();
            if prefix_len > addr.full_len() || is_unfit {
                return Err(refused("attach", owner(), Refusal::UnfitAddress { addr, prefix_len }));
            }
        }
        Ok(())
    }

    /// The slave is gone.
    pub(super) fn gone(&self) -> Error {
        refused("attach", &self.owner, Refusal::NoSlave)
    }
}
