//! Which addresses do the host and the machine outside have in a lab?

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packet::Mac;

/// The MAC address of the master, and so of every slave.
pub const MASTER_MAC: Mac = [2, 0, 0, 0, 0, 1];
/// The MAC address of the machine outside.
pub const EXT_MAC: Mac = [2, 0, 0, 0, 0, 0xfe];
/// The host's own address, on the master (/24).
pub const HOST_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The outside machine's address (/24).
pub const EXT_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
/// The host's own address, on the master (/64).
pub const HOST_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
/// The outside machine's address (/64).
pub const EXT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x254);
