//! Can the slaves be seen from here at all: by this user, in this netns?

use super::finding::bad;
use crate::error::Result;
use crate::kernel::netlink::Netlink;
use crate::model::Finding;
use crate::port::host_end::HostEnd;
use crate::slave::find;
use std::fs;

const NET_ADMIN: u32 = 12;
const SYS_ADMIN: u32 = 21;
const BPF: u32 = 39;

/// Why this process sees no slave: the kernel shows programs and maps to root only.
pub fn permissions() -> Option<Finding> {
    let status = fs::read_to_string("/proc/thread-self/status").ok()?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let capabilities = u64::from_str_radix(effective.trim(), 16).ok()?;
    let has = |bit: u32| capabilities & 1 << bit != 0;
    let enough = has(NET_ADMIN) && (has(SYS_ADMIN) || has(BPF));
    (!enough).then(|| bad("user", "needs root: the kernel does not show the slaves to others", "run this as root"))
}

/// The slaves in this netns of masters in another one: from here only their own ends can be seen.
pub fn slaves_of_others(netlink: &Netlink) -> Result<Vec<Finding>> {
    let links = netlink.links(None)?.into_iter();
    let away = links.filter(|link| link.link_netnsid.is_some() && HostEnd::of(link).is_none());
    let found = away.filter_map(|link| Some((find::master_of(netlink, &link)?, link.name)));
    let told = found.map(|(master, name)| {
        let text =
            format!("it is a slave of {master}, which is in another network namespace: nothing can be examined here");
        bad(
            &name,
            &text,
            &format!("run ipvl doctor where {master} is: nsenter -t 1 -n ipvl doctor, if that is the host's"),
        )
    });
    Ok(told.collect())
}
