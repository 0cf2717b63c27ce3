//! How does the wire hear again which groups slaves have joined, when it leads to another switch?
//!
//! Only a slave's own stack can say so, and it does when it is asked: by a general query, as a router would send it, that
//! goes into the slave and nowhere else.

use crate::agent::plan;
use crate::kernel::sys::FrameSocket;
use ipvl_core::Mac;
use ipvl_core::wire::{igmp_query, mld_query};

/// Has the slave behind a host end report its groups.
pub fn ask(wire: &FrameSocket, host_end: u32, mac: Mac) -> crate::error::Result<()> {
    wire.send(host_end, &igmp_query(mac))?;
    wire.send(host_end, &mld_query(mac, plan::eui64(mac)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mld_query_comes_from_a_link_local_address() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        assert_eq!(mld_query(mac, plan::eui64(mac))[22..24], [0xfe, 0x80]);
    }
}
