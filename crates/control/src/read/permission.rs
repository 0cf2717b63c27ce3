//! Can slaves be seen from here at all: by this user, in this netns?

use crate::error::{Result, refused};
use crate::kernel::bpf;
use crate::kernel::netlink::Netlink;
use crate::port::host_end::HostEnd;
use crate::refusal::Refusal;
use crate::slave::find;
use std::fs;

const NET_ADMIN: u32 = 12;

/// An error unless this process may see and change slaves. Without the rights some questions would have empty answers.
pub fn require_rights(op: &'static str) -> Result<()> {
    // Only the kernel knows about user namespaces and security modules, so it is asked.
    let sees_programs = bpf::map_after(0).is_ok();
    match sees_programs && has_capability(NET_ADMIN) {
        true => Ok(()),
        false => Err(refused(op, "slaves", Refusal::NeedsRoot)),
    }
}

/// The slaves in this netns of masters in another one, and the masters' names: from here only their own ends can be seen.
pub fn slaves_of_others(netlink: &Netlink) -> Result<Vec<(String, String)>> {
    let links = netlink.links(None)?.into_iter();
    let away = links.filter(|link| link.link_netnsid.is_some() && HostEnd::of(link).is_none());
    Ok(away.filter_map(|link| Some((link.name.clone(), find::master_of(netlink, &link)?))).collect())
}

/// An error if this netns has slaves, but of masters in another one: this is the wrong place to look for slaves.
pub fn require_master_here(op: &'static str) -> Result<()> {
    match slaves_of_others(&Netlink::open()?)?.into_iter().next() {
        Some((slave, master)) => Err(refused(op, slave, Refusal::MasterElsewhere(master))),
        None => Ok(()),
    }
}

fn has_capability(bit: u32) -> bool {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = effective.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    capabilities.is_none_or(|capabilities| capabilities & 1 << bit != 0)
}
