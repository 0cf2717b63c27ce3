//! How does a monitor learn that a slave's entry in the map changed, for which the kernel has no event?
//!
//! A command that has written the entry repeats it in the host end's alias. The kernel reports a changed alias by netlink,
//! in order with all other events of links. The entry in the map stays authoritative.

use crate::kernel::netlink::{LinkChange, LinkInfo, Netlink};
use crate::port::host_end;
use crate::port::host_end::HostEnd;
use ipvl_core::Slave;
use zerocopy::{FromBytes, IntoBytes};

const ENTRY: &str = " entry=";

/// Repeats a slave's entry in its host end's alias, also after a change elsewhere in the tables. The caller has the lock, so
/// events have the order of the changes. A failure only delays a monitor, which reads the tables now and then as well.
pub fn publish(netlink: &Netlink, described: HostEnd, slave: Slave) {
    let Ok(Some(link)) = netlink.link(slave.host_end, None) else { return };
    let entry = format!("{described}{ENTRY}{:016x}", u64::from_be_bytes(zerocopy::transmute!(slave)));
    let alias = host_end::with_owner(entry, host_end::owner_of(&link));
    let change = LinkChange { alias: Some(&alias), ..LinkChange::default() };
    // The kernel reports no new alias of a link that is down, but it does report a changed flag.
    if link.is_up() {
        let _ = netlink.set_link(slave.host_end, &change);
        return;
    }
    for notrailers in [true, false] {
        let _ = netlink.set_link(slave.host_end, &LinkChange { notrailers: Some(notrailers), ..change });
    }
}

/// The entry in a host end's alias, if it is that of this link.
pub fn read(link: &LinkInfo) -> Option<Slave> {
    let (_, word) = host_end::without_owner(link.alias.as_deref()?).split_once(ENTRY)?;
    let bytes = u64::from_str_radix(word, 16).ok()?.to_be_bytes();
    Slave::read_from_bytes(bytes.as_bytes()).ok().filter(|slave| slave.host_end == link.ifindex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_core::{Dhcp, Flag, Guard, HostAccess, IfIndex, Mode, NeighProxy, Options, Siblings, Slot, State};

    #[test]
    fn an_entry_in_an_alias_is_read_again() {
        let (mode, flag, guard) = (Mode::L3s, Flag::Vepa, Guard::Strict);
        let (host, neigh, dhcp, siblings) = (HostAccess::On, NeighProxy::Proxy, Dhcp::Off, Siblings::Direct);
        let options = Options { mode, flag, guard, host, neigh, dhcp, siblings };
        let slave = Slave::new(IfIndex(300), options, State { up: true, ..State::default() });
        let described = HostEnd { master: IfIndex(2), slot: Slot(7) };
        let alias = format!("{described}{ENTRY}{:016x}", u64::from_be_bytes(zerocopy::transmute!(slave)));
        let link = LinkInfo { ifindex: IfIndex(300), alias: Some(alias), ..LinkInfo::default() };
        assert_eq!((read(&link), HostEnd::of(&link)), (Some(slave), Some(described)));
        let owned = LinkInfo {
            alias: link.alias.clone().map(|text| host_end::with_owner(text, Some("cni n entry=0"))),
            ..link
        };
        assert_eq!((read(&owned), host_end::owner_of(&owned)), (Some(slave), Some("cni n entry=0")));
        assert_eq!(read(&LinkInfo { ifindex: IfIndex(301), ..owned }), None);
        assert_eq!(read(&LinkInfo { alias: Some(described.to_string()), ..LinkInfo::default() }), None);
    }
}
