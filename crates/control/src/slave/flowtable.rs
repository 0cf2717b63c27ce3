//! Do established connections of slaves pass the host without its hooks? By a flowtable of nftables over masters and host
//! ends, if the user wants it.
//!
//! That it is on is nowhere written but in nftables itself, where no process of ours can lose it.

use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::kernel::{nft, sysctl};
use crate::port::Port;
use crate::refusal::Refusal;
use ipvl_core::{IfIndex, Mode, Slave};
use std::collections::{BTreeMap, BTreeSet};

const NAME: &str = "the flowtable";
const TABLE: &str = "ipvl";
/// It exists where connections are tracked, and nowhere else can there be a flowtable. Asking for a table where nothing of
/// netfilter is in use would load modules.
const TRACKING: &str = "net/netfilter/nf_conntrack_max";
/// A message for the kernel has room for 256 names (`NFT_NETDEVICE_MAX`).
const DEVICES_A_MESSAGE: usize = 200;

/// The devices of a flowtable, by ifindex: one that is made anew under an old name is another.
pub type Devices = BTreeMap<IfIndex, String>;

/// Whether it is on.
pub fn is_on() -> Result<bool> {
    match sysctl::get(TRACKING) {
        Some(_) => Netlink::has_nft_table(TABLE),
        None => Ok(false),
    }
}

/// Has established connections of slaves pass by the flowtable, or no longer. Nothing is lost meanwhile, and nothing changes
/// if it is so already.
///
/// # Errors
///
/// Without the command `nft`, and if the kernel has no flowtables: nothing has changed then.
pub fn set_flowtable(on: bool) -> Result<()> {
    let op = if on { "turn on" } else { "turn off" };
    let _lock = Lock::acquire(LOCK_WAIT)?;
    match (on, is_on()?) {
        (true, false) => nft::order(op, NAME, &made(&present()?)),
        (true, true) => add(&present()?),
        (false, true) => nft::order(op, NAME, &format!("delete table inet {TABLE}\n")),
        (false, false) => Ok(()),
    }
}

/// Has every connection pass the host's hooks again, until it is found to be established there once more: what to do after a
/// change of rules.
///
/// # Errors
///
/// If it is off.
pub fn flush_flowtable() -> Result<()> {
    let _lock = Lock::acquire(LOCK_WAIT)?;
    if !is_on()? {
        return Err(refused("flush", NAME, Refusal::FlowtableOff));
    }
    nft::order("flush", NAME, &format!("delete table inet {TABLE}\n{}", made(&present()?)))
}

/// Adds devices; those that it has already stay as they are.
pub fn add(devices: &Devices) -> Result<()> {
    nft::order("add devices to", NAME, &added(devices))
}

/// The masters and the host ends of slaves of which the host forwards packets: in l3s, and with host access.
pub fn devices<'a>(netlink: &Netlink, ports: impl IntoIterator<Item = &'a Port>) -> Result<Devices> {
    let mut wanted = BTreeSet::new();
    for port in ports {
        let forwarded: Vec<IfIndex> =
            port.maps.slaves()?.into_iter().filter(is_forwarded).map(|slave| slave.host_end).collect();
        wanted.extend((!forwarded.is_empty()).then_some(port.master));
        wanted.extend(forwarded);
    }
    let named = |link: LinkInfo| wanted.contains(&link.ifindex).then_some((link.ifindex, link.name));
    Ok(netlink.links(None)?.into_iter().filter_map(named).collect())
}

/// The devices that it has; none if `nft` cannot tell.
pub fn listed() -> Option<BTreeSet<String>> {
    let text = nft::ask(&["list", "flowtables", "inet"])?;
    let ours = text.split("table inet ").find(|table| table.starts_with("ipvl "))?;
    let devices = ours.split_once("devices = {").and_then(|(_, rest)| rest.split_once('}'));
    Some(devices.map_or_else(BTreeSet::new, |(names, _)| names.split(',').map(unquoted).collect()))
}

fn unquoted(name: &str) -> String {
    name.trim().trim_matches('"').to_owned()
}

fn present() -> Result<Devices> {
    let netlink = Netlink::open()?;
    devices(&netlink, &Port::all(&netlink)?)
}

fn is_forwarded(slave: &Slave) -> bool {
    slave.host_end != IfIndex::NONE && (slave.mode() == Mode::L3s || slave.host())
}

/// After all chains of other owners, so that what one of them drops gets no entry. What is not established meets one
/// expression.
fn made(devices: &Devices) -> String {
    format!(
        "add table inet {TABLE}\n\
         add flowtable inet {TABLE} established {{ hook ingress priority filter; counter; }}\n\
         add chain inet {TABLE} slaves\n\
         add rule inet {TABLE} slaves iifname \"ipvlh*\" flow add @established\n\
         add rule inet {TABLE} slaves oifname \"ipvlh*\" flow add @established\n\
         add chain inet {TABLE} forward {{ type filter hook forward priority 1000; policy accept; }}\n\
         add rule inet {TABLE} forward ct state established goto slaves\n\
         {}",
        added(devices)
    )
}

fn added(devices: &Devices) -> String {
    let names: Vec<String> = devices.values().map(|name| format!("\"{name}\"")).collect();
    let some = |names: &[String]| {
        format!(
            "add flowtable inet {TABLE} established {{ hook ingress priority filter; devices = {{ {} }}; counter; }}\n",
            names.join(", ")
        )
    };
    names.chunks(DEVICES_A_MESSAGE).map(some).collect()
}
