//! What does ipvl itself refuse, with which errno, and what can the user do instead?

use crate::quota;
use ipvl_core::maps::WATCHERS;
use ipvl_core::policy::{LABEL_BYTES, LABELS, MAX_RULES};
use ipvl_core::{Addr, Mac, Mode};
use std::fmt;
use std::io;

/// Why a request was refused, before anything was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no link of that name.
    NoLink,
    /// No master was named, and no default route leads to one.
    NoDefaultRoute,
    /// There is a link of that name already.
    NameTaken,
    /// There is no slave of that name.
    NoSlave,
    /// It is a slave of this master, which is in another netns.
    MasterElsewhere(String),
    /// The process may not see and change slaves.
    NeedsRoot,
    /// Several slaves, in several network namespaces, have that name.
    Ambiguous,
    /// The master is the loopback device.
    Loopback,
    /// The master is a VRF device: frames do not pass through it.
    IsVrf,
    /// The master is neither Ethernet nor plain IP.
    NotEthernet(u16),
    /// The master has no Ethernet header, and the mode needs one.
    NeedsEthernet(Mode),
    /// The master has no Ethernet header, and frames from a tap device have one.
    TapNeedsEthernet,
    /// A tap device must be in its master's netns.
    TapStays,
    /// The kernel or this container has no tun devices.
    NoTun,
    /// There is no user or group of that name.
    NoAccount(String),
    /// The master is itself a slave, of the master named here.
    IsSlave(String),
    /// The link is a host end.
    IsHostEnd,
    /// The MTU is smaller than an ipvlan's can be, or larger than the master's.
    Mtu {
        /// The MTU asked for, in bytes.
        mtu: u32,
        /// The largest that is possible.
        max: u32,
    },
    /// A MAC address was given that is not the master's.
    ForeignMac(Mac),
    /// The master has as many slaves as there can be.
    Full,
    /// The address table of the master is full.
    NoRoom,
    /// The netns of the slave has so many addresses in the table, the most that one may have.
    Quota(usize),
    /// Host access in IPv6 needs forwarding, which this kernel can only switch on for all interfaces at once.
    NeedsForwarding,
    /// Another slave or the host owns the address.
    AddressInUse {
        /// The address.
        addr: Addr,
        /// A slave's name, or `host`.
        owner: String,
    },
    /// This owner has a slave already.
    Attached,
    /// The text that names a slave's owner cannot be kept.
    UnfitOwner {
        /// The most bytes that it may have.
        most: usize,
    },
    /// No device can have the address, or the length is too large for its family.
    UnfitAddress {
        /// The address.
        addr: Addr,
        /// The length in bits.
        prefix_len: u8,
    },
    /// The address or prefix is not declared for this slave.
    NotDeclared(Addr),
    /// The link has no slaves.
    NoMaster,
    /// The programs on the master are of another version.
    OtherVersion {
        /// The version of the programs.
        theirs: u32,
        /// The version of this command.
        ours: u32,
    },
    /// The programs are of a build that tells nobody what becomes of packets.
    CannotTell,
    /// As many watch the master as can.
    Watched,
    /// The master has no Ethernet header, and what has none cannot be watched.
    NothingToWatch,
    /// A table of an older version has a layout that this version cannot read.
    UnfitTable {
        /// The table.
        name: String,
    },
    /// A program on the master has the name of one of ours, but another layout.
    ForeignProgram,
    /// The kernel needs this module to make such a master.
    NoModule(&'static str),
    /// Our kernel module is not loaded, and a slave of it was requested.
    NoOwnModule,
    /// Several slaves of our kernel module, in several network namespaces, have that name.
    AmbiguousInside,
    /// It is a slave of the kernel's own driver.
    OfKernelDriver,
    /// It is a slave of our kernel module, for which this is not possible.
    OfModule,
    /// Our kernel module tells nobody what becomes of its slaves' packets.
    ModuleTellsNobody,
    /// The host end has a queueing discipline that is not ours to replace.
    OtherQueue {
        /// Its kind.
        qdisc: String,
        /// The host end's name.
        host_end: String,
    },
    /// No packet would pass with such a burst.
    SmallBurst {
        /// The smallest burst that lets the largest packet pass, in bytes.
        least: u32,
    },
    /// There is no command `nft`.
    NoNft,
    /// The flowtable is off.
    FlowtableOff,
    /// The kernel has neither tcx nor clsact.
    NoHook(String),
    /// The kernel has no netkit, which was requested.
    NoNetkit(String),
    /// A policy cannot be so.
    Policy(PolicyRefusal),
}

/// Why a policy cannot be as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyRefusal {
    /// It has no rule with this handle.
    NoSuchRule(u32),
    /// It would have more rules than it can.
    TooManyRules,
    /// A rule names a slave of another master.
    NoSibling,
    /// A label is empty, too long, or has a character that separates others.
    UnfitLabel,
    /// The slaves of the master have as many labels as there can be.
    TooManyLabels,
}

impl fmt::Display for PolicyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchRule(handle) => write!(f, "it has no rule {handle}; `ipvl policy show` lists them"),
            Self::TooManyRules => write!(f, "a policy has at most {MAX_RULES} rules"),
            Self::NoSibling => f.write_str("it is a slave of another master; name its addresses instead"),
            Self::UnfitLabel => write!(f, "a label is 1 to {LABEL_BYTES} visible ASCII characters without , and ;"),
            Self::TooManyLabels => write!(f, "the slaves of a master have at most {LABELS} labels between them"),
        }
    }
}

impl Refusal {
    /// The errno that the kernel's own driver gives in the same case, or the nearest.
    pub fn errno(&self) -> i32 {
        match self {
            Self::NoLink | Self::NoSlave | Self::NoMaster | Self::MasterElsewhere(_) => libc::ENODEV,
            Self::NeedsRoot => libc::EPERM,
            Self::NoDefaultRoute => libc::ENODEV,
            Self::NameTaken | Self::Attached => libc::EEXIST,
            Self::UnfitOwner { .. } | Self::UnfitAddress { .. } => libc::EINVAL,
            Self::Ambiguous | Self::AmbiguousInside => libc::ENOTUNIQ,
            Self::Loopback | Self::NotEthernet(_) | Self::NeedsEthernet(_) | Self::Mtu { .. } => libc::EINVAL,
            Self::IsSlave(_) | Self::IsHostEnd | Self::IsVrf => libc::EINVAL,
            Self::TapNeedsEthernet | Self::NoAccount(_) => libc::EINVAL,
            Self::ForeignMac(_) | Self::NeedsForwarding | Self::TapStays => libc::EOPNOTSUPP,
            Self::NoHook(_) | Self::NoModule(_) | Self::NoNetkit(_) => libc::EOPNOTSUPP,
            Self::OtherQueue { .. } => libc::EEXIST,
            Self::SmallBurst { .. } => libc::EINVAL,
            Self::NoTun => libc::ENODEV,
            Self::NoNft | Self::FlowtableOff => libc::ENOENT,
            Self::NoOwnModule | Self::OfKernelDriver | Self::OfModule | Self::ModuleTellsNobody => libc::EOPNOTSUPP,
            Self::Full | Self::NoRoom | Self::Quota(_) => libc::ENOSPC,
            Self::AddressInUse { .. } => libc::EADDRINUSE,
            Self::NotDeclared(_) => libc::EADDRNOTAVAIL,
            Self::OtherVersion { .. } | Self::UnfitTable { .. } | Self::ForeignProgram | Self::CannotTell => {
                libc::EPROTO
            }
            Self::Watched => libc::EBUSY,
            Self::NothingToWatch => libc::EOPNOTSUPP,
            Self::Policy(PolicyRefusal::NoSuchRule(_)) => libc::ENOENT,
            Self::Policy(PolicyRefusal::TooManyRules | PolicyRefusal::TooManyLabels) => libc::ENOSPC,
            Self::Policy(PolicyRefusal::NoSibling | PolicyRefusal::UnfitLabel) => libc::EINVAL,
        }
    }

    /// The C library's text for the errno, without the number.
    fn errno_text(&self) -> String {
        let text = io::Error::from_raw_os_error(self.errno()).to_string();
        text.split(" (os error").next().unwrap_or_default().to_owned()
    }
}

impl Refusal {
    /// What our kernel module, or the kernel's own driver, has to do with it.
    fn about_module(&self) -> &'static str {
        match self {
            Self::NoOwnModule => NO_OWN_MODULE,
            Self::AmbiguousInside => AMBIGUOUS_INSIDE,
            Self::OfKernelDriver => OF_KERNEL_DRIVER,
            Self::ModuleTellsNobody => MODULE_TELLS_NOBODY,
            _ => OF_MODULE,
        }
    }

    fn about_rate(&self) -> String {
        match self {
            Self::OtherQueue { qdisc, host_end } => format!(
                "its host end has a queue of another kind, {qdisc}: `tc qdisc del dev {host_end} root` removes it"
            ),
            Self::SmallBurst { least } => format!("its largest packet needs a burst of {least} bytes"),
            _ => String::new(),
        }
    }

    fn unwatchable(&self) -> String {
        match self {
            Self::CannotTell => {
                "its programs are of an older build, which tells nobody; `ipvl upgrade` replaces them".into()
            }
            Self::Watched => format!("{WATCHERS} processes watch it, and more cannot; end one of them"),
            _ => "its frames have no Ethernet header; watch the device itself by tcpdump".into(),
        }
    }
}

const NO_OWN_MODULE: &str = "ipvl's kernel module is not loaded (the kernel's own driver is another); load it, or use backend \
    veth or netkit";
const AMBIGUOUS_INSIDE: &str = "slaves in several network namespaces have that name; give it another first: \
    `ip -n NETNS link set NAME name NEW`";
const OF_KERNEL_DRIVER: &str = "it is a slave of the kernel's own ipvlan driver, which `ip link` changes";
const OF_MODULE: &str = "it is a slave of the kernel module, for which this cannot be done; addresses are set on its device: \
    `ip -n NETNS addr add ADDRESS dev NAME`; or make the slave with backend veth or netkit";
const MODULE_TELLS_NOBODY: &str = "the kernel module tells nobody what becomes of packets; `ip netns exec NETNS tcpdump -i NAME` \
    shows what a slave sends and gets, `ipvl stats` what was dropped, and `ipvl explain` why";
const NEEDS_ROOT: &str = "ipvl needs root: the kernel shows programs and maps, and so the slaves, to nobody else \
    (CAP_NET_ADMIN and CAP_SYS_ADMIN, outside of user namespaces)";
const NEEDS_FORWARDING: &str = "host access needs IPv6 forwarding, which before Linux 6.17 is one switch for all \
    interfaces; set `sysctl net.ipv6.conf.all.forwarding=1` yourself (it makes the host a router), or switch IPv6 off at \
    the master";
const NO_DEFAULT_ROUTE: &str = "no master was given, and there is no default route with a link to use; give a master";
const TAP_NEEDS_ETHERNET: &str = "the master has no Ethernet header, and a guest's frames have one; use type ipvlan";
const NO_TUN: &str = "there is no /dev/net/tun; `modprobe tun`, or pass the device to this container";
const AMBIGUOUS: &str = "slaves in several network namespaces have that name; use the name of the slave's host end, which \
    `ipvl link` shows";
const TAP_STAYS: &str = "a tap device works only in its master's network namespace; open it there and hand the descriptor on, \
    or start the virtual machine there";
const FOREIGN_PROGRAM: &str = "a program there has the name of one of ours, but this version of ipvl did not load it; use the version \
    that did, or detach the program";

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.errno_text())?;
        match self {
            Self::MasterElsewhere(master) => write!(
                f,
                "it is a slave of {master}, which is in another network namespace; run ipvl where {master} is, such as \
                 `nsenter -t 1 -n ipvl link`, if that is the host's"
            ),
            Self::NotEthernet(kind) => {
                write!(f, "the master is neither Ethernet nor plain IP (ARPHRD {kind}); use another device as master")
            }
            Self::NeedsEthernet(mode) => f.write_str(&needs_ethernet(*mode)),
            Self::NoAccount(name) => write!(f, "there is no {name}; give its number instead"),
            Self::IsSlave(master) => write!(f, "the master is itself a slave; add to its master {master} instead"),
            Self::Mtu { mtu, max } => write!(f, "mtu {mtu} is not between 68 and {max}, the master's"),
            Self::ForeignMac(mac) => write!(f, "{mac} is not the master's MAC address, which all its slaves share"),
            Self::NoRoom => f.write_str("the master's table of addresses is full; `ipvl doctor` names the slaves"),
            Self::Quota(most) => f.write_str(&quota_reached(*most)),
            Self::Full => write!(f, "the master has {} slaves, the maximum", ipvl_core::MAX_SLAVES),
            Self::AddressInUse { addr, owner } => write!(f, "{addr} belongs to {owner}; use another address"),
            Self::UnfitOwner { most } => write!(f, "an owner is 1 to {most} bytes without control characters"),
            Self::UnfitAddress { addr, prefix_len } => f.write_str(&unfit(*addr, *prefix_len)),
            Self::NotDeclared(addr) => write!(f, "{addr} is not declared for this slave; `ipvl addr` lists them"),
            Self::OtherVersion { theirs, ours } => f.write_str(&other_version(*theirs, *ours)),
            Self::CannotTell | Self::Watched | Self::NothingToWatch => f.write_str(&self.unwatchable()),
            Self::UnfitTable { name } => {
                write!(f, "the table {name} of its programs cannot be taken over; delete its slaves and add them again")
            }
            Self::NoModule(name) => write!(f, "the kernel has no such devices; try `modprobe {name}`"),
            Self::NoNetkit(kernel) => f.write_str(&no_netkit(kernel)),
            Self::NoHook(kernel) => f.write_str(&no_hook(kernel)),
            Self::OtherQueue { .. } | Self::SmallBurst { .. } => f.write_str(&self.about_rate()),
            Self::NoLink => f.write_str("there is no link of that name here; `ip link` lists them"),
            Self::NoDefaultRoute => f.write_str(NO_DEFAULT_ROUTE),
            Self::NameTaken => f.write_str("there is a link of that name already; choose another, or delete it"),
            Self::NoMaster => f.write_str("it is the master of no slave; `ipvl link` lists slaves and their masters"),
            Self::NoSlave => f.write_str("no slave of a master in this netns has that name; `ipvl link` lists them"),
            Self::NeedsRoot => f.write_str(NEEDS_ROOT),
            Self::Ambiguous => f.write_str(AMBIGUOUS),
            Self::Loopback => f.write_str("the loopback device cannot be a master"),
            Self::IsVrf => f.write_str("a VRF cannot be a master; use one of its member devices"),
            Self::TapNeedsEthernet => f.write_str(TAP_NEEDS_ETHERNET),
            Self::TapStays => f.write_str(TAP_STAYS),
            Self::NoTun => f.write_str(NO_TUN),
            Self::NoNft => f.write_str("there is no command nft; install nftables"),
            Self::FlowtableOff => f.write_str("it is off; `ipvl set flowtable on` turns it on"),
            Self::IsHostEnd => f.write_str("this is the host end of a slave; it belongs to ipvl"),
            Self::NeedsForwarding => f.write_str(NEEDS_FORWARDING),
            Self::Attached => f.write_str("this owner has a slave already; remove that slave first"),
            Self::ForeignProgram => f.write_str(FOREIGN_PROGRAM),
            Self::Policy(why) => write!(f, "{why}"),
            Self::NoOwnModule
            | Self::AmbiguousInside
            | Self::OfKernelDriver
            | Self::OfModule
            | Self::ModuleTellsNobody => f.write_str(self.about_module()),
        }
    }
}

fn unfit(addr: Addr, prefix_len: u8) -> String {
    format!("{addr}/{prefix_len} is not an address that a device can have")
}

fn needs_ethernet(mode: Mode) -> String {
    let mode = format!("{mode:?}").to_lowercase();
    format!("the master has no Ethernet header, which mode {mode} needs; use l3 or l3s")
}

fn quota_reached(most: usize) -> String {
    format!(
        "the slaves of its netns have {most} addresses, the most of one netns; raise {} of the agent",
        quota::VARIABLE
    )
}

fn no_netkit(kernel: &str) -> String {
    format!("the kernel ({kernel}) has no netkit (Linux 6.7, CONFIG_NETKIT); use backend veth")
}

fn no_hook(kernel: &str) -> String {
    format!("the kernel ({kernel}) has neither tcx nor clsact; ipvl needs Linux 5.10 with CONFIG_NET_CLS_ACT")
}

fn other_version(theirs: u32, ours: u32) -> String {
    let remedy = if theirs < ours { "run ipvl upgrade" } else { "use the command of that version" };
    format!("the loaded programs have version {theirs}, this command has {ours}; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_the_errno_and_then_why() {
        let text = Refusal::Loopback.to_string();
        assert_eq!(text, "Invalid argument: the loopback device cannot be a master");
    }
}
