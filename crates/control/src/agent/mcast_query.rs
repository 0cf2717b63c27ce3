//! How does a slave come to report its multicast groups again, when the wire leads to another switch?
//!
//! Only the slave's own stack can report them, and it does so when it receives a general query, as a router would send
//! it. The query is sent into the slave and nowhere else.

use super::plan::eui64;
use crate::error::Result;
use crate::kernel::sys::FrameSocket;
use ipvl_core::wire::{igmp_query, mld_query};
use ipvl_core::{IfIndex, Mac};

/// Has the slave behind a host end report its groups.
pub fn send_queries(wire: &FrameSocket, host_end: IfIndex, mac: Mac) -> Result<()> {
    wire.send(host_end, &igmp_query(mac))?;
    wire.send(host_end, &mld_query(mac, eui64(mac)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mld_query_comes_from_a_link_local_address() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        assert_eq!(mld_query(mac, eui64(mac))[22..24], [0xfe, 0x80]);
    }
}
