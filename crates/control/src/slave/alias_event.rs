//! How does whoever watches learn of a change in a map, of which the kernel says nothing?
//!
//! A command that wrote a slave's entry writes it again behind what the host end's alias says anyway: the kernel tells
//! everybody of that, with the words, in the order of everything else that happens to links. Nobody takes the alias for
//! the truth, which is in the map.

use crate::kernel::netlink::{LinkChange, LinkInfo, Netlink};
use crate::port::host_end;
use crate::port::host_end::HostEnd;
use ipvl_core::Slave;
use zerocopy::{FromBytes, IntoBytes};

const ENTRY: &str = " entry=";

/// Says what a slave's entry is now, or that something else in the tables changed for it. The caller has the lock, so
/// the order is that of the changes. Who watches looks at the tables now and then besides: a failure only delays.
pub fn tell(netlink: &Netlink, described: HostEnd, slave: Slave) {
    let Ok(Some(link)) = netlink.link(slave.host_end, None) else { return };
    let entry = format!("{described}{ENTRY}{:016x}", u64::from_be_bytes(zerocopy::transmute!(slave)));
    let alias = host_end::with_owner(entry, host_end::owner_of(&link));
    let said = LinkChange { alias: Some(&alias), ..LinkChange::default() };
    // Of a new alias of a link that is down the kernel says nothing, of a flag it does.
    if link.is_up() {
        let _ = netlink.set_link(slave.host_end, &said);
        return;
    }
    for notrailers in [true, false] {
        let _ = netlink.set_link(slave.host_end, &LinkChange { notrailers: Some(notrailers), ..said });
    }
}

/// The entry that a host end's alias has, if it is this link's.
pub fn told(link: &LinkInfo) -> Option<Slave> {
    let (_, word) = host_end::without_owner(link.alias.as_deref()?).split_once(ENTRY)?;
    let bytes = u64::from_str_radix(word, 16).ok()?.to_be_bytes();
    Slave::read_from_bytes(bytes.as_bytes()).ok().filter(|slave| slave.host_end == link.ifindex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_core::{Flag, Guard, HostAccess, Mode, NeighProxy, Options, Siblings, Slot, State};

    #[test]
    fn an_alias_tells_what_was_said() {
        let (mode, flag, guard) = (Mode::L3s, Flag::Vepa, Guard::Strict);
        let (host, neigh, siblings) = (HostAccess::On, NeighProxy::Proxy, Siblings::Direct);
        let options = Options { mode, flag, guard, host, neigh, siblings };
        let slave = Slave::new(300, options, State { up: true, ..State::default() });
        let described = HostEnd { master: 2, slot: Slot(7) };
        let alias = format!("{described}{ENTRY}{:016x}", u64::from_be_bytes(zerocopy::transmute!(slave)));
        let link = LinkInfo { ifindex: 300, alias: Some(alias), ..LinkInfo::default() };
        assert_eq!((told(&link), HostEnd::of(&link)), (Some(slave), Some(described)));
        let owned = LinkInfo {
            alias: link.alias.clone().map(|text| host_end::with_owner(text, Some("cni n entry=0"))),
            ..link
        };
        assert_eq!((told(&owned), host_end::owner_of(&owned)), (Some(slave), Some("cni n entry=0")));
        assert_eq!(told(&LinkInfo { ifindex: 301, ..owned }), None);
        assert_eq!(told(&LinkInfo { alias: Some(described.to_string()), ..LinkInfo::default() }), None);
    }
}
