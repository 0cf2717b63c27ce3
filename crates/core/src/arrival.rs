//! Does a frame that the master receives concern its slaves at all?

use crate::abi::PortEntry;
use crate::frame::Frame;
use crate::wire::Ethernet;

/// Whether slaves can have anything to do with it: it is neither looped back nor tagged, and the master is here.
#[inline(always)]
pub(crate) fn concerns_slaves(frame: &impl Frame, port: &PortEntry) -> bool {
    !frame.is_loopback() && !port.has(PortEntry::MASTER_GONE) && frame.vlan().is_none_or(|id| id == 0)
}

/// Whether the master's own MAC address, or a group, is its destination.
#[inline(always)]
pub(crate) fn is_for_us(frame: &impl Frame, eth: &Ethernet, port: &PortEntry) -> bool {
    eth.dst.is_group() || eth.dst == port.mac || frame.is_to_us()
}
