//! Which sysctls must be set so that the host's stack forwards packets to and from slaves?
//!
//! `forwarding` of IPv6 is never set for the master or for all: the kernel would delete the default routes that it learnt from
//! router advertisements. `force_forwarding` (Linux 6.17) does not delete them.

use crate::error::{Result, io_error, refused};
use crate::kernel::sysctl;
use crate::port::tables::PortMaps;
use crate::refusal::Refusal;
use ipvl_core::{PortEntry, Slave};
use std::fs;
use std::path::Path;

/// All IPv6 routes of this netns, one on each line.
const ROUTES: &str = "/proc/thread-self/net/ipv6_route";
/// The flags of a default route learnt from a router (`RTF_DEFAULT | RTF_ADDRCONF`).
const LEARNT: u32 = 0x0005_0000;

/// Prepares a host end that is still down: it sends nothing of its own, and the host forwards what it receives there.
pub fn prepare_host_end(name: &str, slave: Slave) -> Result<()> {
    let host_access = slave.host();
    set(4, name, "forwarding", "1")?;
    set(4, name, "accept_redirects", "0")?;
    set(4, name, "send_redirects", "0")?;
    if !exists(6, name, "disable_ipv6") {
        return Ok(());
    }
    set(6, name, "disable_ipv6", if host_access { "0" } else { "1" })?;
    allow_lookups(name)?;
    if host_access {
        set(6, name, "accept_ra", "0")?;
        set(6, name, "accept_redirects", "0")?;
        if exists(6, name, "force_forwarding") {
            set(6, name, "force_forwarding", "1")?;
        }
    }
    Ok(())
}

/// Prepares a slave's device that is still down, in its own netns: it announces changes of its addresses, as with the CNI
/// project's ipvlan plugin, and IPv6 is on if the slave gets an IPv6 address.
pub fn prepare_slave(name: &str, wants_v6: bool) -> Result<()> {
    set(4, name, "arp_notify", "1")?;
    if !exists(6, name, "ndisc_notify") {
        return Ok(());
    }
    set(6, name, "ndisc_notify", "1")?;
    if wants_v6 && get(6, name, "disable_ipv6")? == "1" {
        set(6, name, "disable_ipv6", "0")?;
    }
    Ok(())
}

/// Lets the programs look up routes for an l3 slave's IPv6 packets: the kernel answers only for a device that forwards. The
/// host forwards nothing more by that. Not done if the kernel would delete a learnt default route.
fn allow_lookups(host_end: &str) -> Result<()> {
    if get(6, host_end, "forwarding")? == "1" {
        return Ok(());
    }
    let routes = fs::read_to_string(ROUTES).map_err(io_error("read", ROUTES))?;
    if routes.lines().any(is_learnt_default) { Ok(()) } else { set(6, host_end, "forwarding", "1") }
}

/// A route's fields: destination, its length, source, its length, next hop, metric, two counters, flags, device. All are hex
/// but the last.
fn is_learnt_default(route: &str) -> bool {
    let fields: Vec<&str> = route.split_whitespace().collect();
    let [_, "00", .., flags, _] = fields[..] else { return false };
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & LEARNT != 0)
}

/// Switches forwarding on at the master, and first records in the port what must be undone. If IPv6 cannot be forwarded, it
/// fails if `all_or_nothing`, and otherwise switches on IPv4 alone.
pub fn start_forwarding(master: &str, maps: &mut PortMaps, all_or_nothing: bool) -> Result<()> {
    let wanted = has_ipv6(master)? && get(6, "all", "forwarding")? != "1";
    let v6 = wanted && exists(6, master, "force_forwarding");
    if wanted && !v6 && all_or_nothing {
        return Err(refused("switch on host access at", master, Refusal::NeedsForwarding));
    }
    if get(4, master, "forwarding")? == "0" {
        maps.change_port(|port| port.flags |= PortEntry::FORWARDING_4)?;
        set(4, master, "forwarding", "1")?;
    }
    if v6 && get(6, master, "force_forwarding")? == "0" {
        maps.change_port(|port| port.flags |= PortEntry::FORWARDING_6)?;
        set(6, master, "force_forwarding", "1")?;
    }
    Ok(())
}

/// Undoes [`start_forwarding`].
pub fn stop_forwarding(master: &str, maps: &mut PortMaps) -> Result<()> {
    let port = maps.port()?;
    if port.has(PortEntry::FORWARDING_4) {
        set(4, master, "forwarding", "0")?;
    }
    if port.has(PortEntry::FORWARDING_6) {
        set(6, master, "force_forwarding", "0")?;
    }
    maps.change_port(|port| port.flags &= !(PortEntry::FORWARDING_4 | PortEntry::FORWARDING_6))
}

fn has_ipv6(device: &str) -> Result<bool> {
    Ok(exists(6, device, "disable_ipv6") && get(6, device, "disable_ipv6")? == "0")
}

fn switch(family: u8, device: &str, name: &str) -> String {
    format!("net/ipv{family}/conf/{device}/{name}")
}

fn exists(family: u8, device: &str, name: &str) -> bool {
    Path::new(&sysctl::path(&switch(family, device, name))).exists()
}

fn get(family: u8, device: &str, name: &str) -> Result<String> {
    let path = sysctl::path(&switch(family, device, name));
    let text = fs::read_to_string(&path).map_err(io_error("read", path))?;
    Ok(text.trim().to_owned())
}

fn set(family: u8, device: &str, name: &str, value: &str) -> Result<()> {
    let switch = switch(family, device, name);
    sysctl::set(&switch, value).map_err(io_error("write", sysctl::path(&switch)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learnt_default_route_is_recognized() {
        let route = |len, flags| {
            let zero = "0".repeat(32);
            format!("{zero} {len} {zero} 00 fe80{} 00000400 00000001 00000000 {flags}     eth0", "0".repeat(28))
        };
        assert!(is_learnt_default(&route("00", "00450003")), "from an advertisement");
        assert!(!is_learnt_default(&route("00", "00000003")) && !is_learnt_default(&route("40", "00450003")));
        assert!(!is_learnt_default(&route("00", "00200200")), "the null route");
    }
}
