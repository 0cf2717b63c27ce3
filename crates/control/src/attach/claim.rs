//! How are addresses reserved for a slave before they are on its device?

use crate::error::{Result, refused};
use crate::kernel::netlink::Netlink;
use crate::port::Port;
use crate::port::tables::Claim;
use crate::refusal::Refusal;
use crate::slave::declare::owner_name;
use ipvl_core::{Addr, Origin, OwnerEntry, Slot};

/// Writes the addresses to the table. Fails at the first that another slave or the host owns.
pub fn claim(netlink: &Netlink, port: &mut Port, slot: Slot, addresses: &[(Addr, u8)]) -> Result<()> {
    let entry = OwnerEntry::slave(slot, Origin::Expected);
    for (addr, _) in addresses.iter().copied() {
        if port.maps.claim(addr, entry)? != Claim::Held {
            let refusal = match port.maps.owner(addr)? {
                Some(other) => Refusal::AddressInUse { addr, owner: owner_name(netlink, &port.maps, other.slot)? },
                None => Refusal::NoRoom,
            };
            return Err(refused("give a slave", addr.to_string(), refusal));
        }
    }
    Ok(())
}

/// Takes back what [`claim`] wrote, where the address has not been seen on the device yet.
pub fn unclaim(port: &mut Port, slot: Slot, addresses: &[(Addr, u8)]) -> Result<()> {
    let reserved = OwnerEntry::slave(slot, Origin::Expected);
    for (addr, _) in addresses {
        if port.maps.owner(*addr)? == Some(reserved) {
            port.maps.release(*addr)?;
        }
    }
    Ok(())
}
