//! Can a master have such a slave, as far as that can be known without making it?

use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::model::LinkSpec;
use crate::port::ARPHRD_NONE;
use crate::port::host_end::HostEnd;
use crate::refusal::Refusal;
use crate::slave::find;
use ipvl_core::Mode;

const MIN_MTU: u32 = 68;
const ARPHRD_ETHER: u16 = 1;
const ARPHRD_LOOPBACK: u16 = 772;

/// Why there can be no such slave on this master.
pub fn check(netlink: &Netlink, spec: &LinkSpec, master: &LinkInfo) -> std::result::Result<(), Refusal> {
    if let Some(real) = find::master_of(netlink, master) {
        return Err(Refusal::IsSlave(real));
    }
    if HostEnd::of(master).is_some() {
        return Err(Refusal::IsHostEnd);
    }
    if master.vrf_table.is_some() {
        return Err(Refusal::IsVrf);
    }
    match (master.arp_type, spec.options.mode) {
        (ARPHRD_NONE, _) if spec.tap.is_some() => return Err(Refusal::TapNeedsEthernet),
        (ARPHRD_ETHER, _) | (ARPHRD_NONE, Mode::L3 | Mode::L3s) => {}
        (ARPHRD_NONE, Mode::L2) => return Err(Refusal::NeedsEthernet(Mode::L2)),
        (ARPHRD_LOOPBACK, _) => return Err(Refusal::Loopback),
        (other, _) => return Err(Refusal::NotEthernet(other)),
    }
    if spec.tap.is_some() && spec.netns.is_some() {
        return Err(Refusal::TapStays);
    }
    checked_mtu(spec.mtu.unwrap_or(master.mtu), master.mtu)?;
    match spec.mac {
        Some(mac) if Some(mac) != master.mac => Err(Refusal::ForeignMac(mac)),
        _ => Ok(()),
    }
}

/// The MTU, if the master's allows it.
pub fn checked_mtu(mtu: u32, max: u32) -> std::result::Result<u32, Refusal> {
    if (MIN_MTU..=max).contains(&mtu) { Ok(mtu) } else { Err(Refusal::Mtu { mtu, max }) }
}
