//! How are addresses reserved for a slave before they are on its device?

use super::attachment::Attachment;
use crate::error::{Result, refused};
use crate::kernel::netlink::{Declare, Netlink};
use crate::port::Port;
use crate::port::tables::Claim;
use crate::refusal::Refusal;
use crate::slave::declare::owner_name;
use crate::slave::module::ModuleSlave;
use ipvl_core::{Addr, Guard, Origin, OwnerEntry, Slot};

/// Writes the addresses to the table. Fails at the first that another slave or the host owns, and then takes back what it
/// wrote. With `guard declared` they are declared: what an engine gives a slave is the operator's will, whatever is on the
/// slave's device.
pub fn claim(netlink: &Netlink, port: &mut Port, slot: Slot, addresses: &[(Addr, u8)]) -> Result<()> {
    let declared = port.maps.slave(slot)?.guard() == Guard::Declared;
    let entry = OwnerEntry::slave(slot, if declared { Origin::Declared } else { Origin::Expected });
    let mut written = Vec::new();
    for (addr, _) in addresses.iter().copied() {
        let before = port.maps.owner(addr)?;
        if port.maps.claim(addr, entry)? != Claim::Held {
            written.into_iter().try_for_each(|addr| port.maps.release(addr))?;
            let refusal = match before {
                Some(other) => Refusal::AddressInUse { addr, owner: owner_name(netlink, &port.maps, other.slot)? },
                None => Refusal::NoRoom,
            };
            return Err(refused("give a slave", addr.to_string(), refusal));
        }
        if before.is_none() {
            written.push(addr);
        } else if declared {
            port.maps.assign(addr, entry)?;
        }
    }
    Ok(())
}

/// Declares the addresses for a slave of our kernel module, which refuses one that another has. This is needed with `guard declared`,
/// and where the engine itself puts them on the device: until then nothing else says that they are the slave's.
pub fn claim_in_module(slave: &mut ModuleSlave, wanted: &Attachment) -> Result<()> {
    if wanted.assign && slave.options().guard != Guard::Declared {
        return Ok(());
    }
    wanted.addresses.iter().try_for_each(|(addr, _)| slave.declare(Declare::Add, *addr, addr.full_len()))?;
    slave.read_again()
}
