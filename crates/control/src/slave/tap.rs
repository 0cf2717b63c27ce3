//! How does a tap device become a slave, for a virtual machine to open?
//!
//! It is its own host end: what the guest sends arrives at the device, where `slave_xmit` decides, and what is redirected to
//! the device the guest receives. So it stays in its master's netns. Its addresses are the guest's and must be declared.

use crate::error::{Error, Result, io_error, refused};
use crate::kernel::netlink::{AddrGenMode, LinkChange, Netlink};
use crate::kernel::tun;
use crate::model::{Account, Tap};
use crate::refusal::Refusal;
use ipvl_core::{IfIndex, Mac};
use std::fs;
use std::io;

const PATTERN: &str = "ipvtap%d";
const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// A tap device to make.
pub struct TapSpec<'a> {
    /// Its name; by default the first free `ipvtap%d`.
    pub name: Option<&'a str>,
    /// The device's own address, which must be the master's: what the guest sends to it is for the host's stack.
    pub mac: Mac,
    /// In bytes.
    pub mtu: u32,
    /// Its alias as a host end.
    pub alias: &'a str,
    /// The user and group that may open it.
    pub tap: &'a Tap,
}

/// A new tap device. The kernel removes it when this is dropped. Until then it is down, and no other process can open it.
pub struct NewTap {
    device: tun::Device,
    /// Its number.
    pub ifindex: IfIndex,
}

impl NewTap {
    /// Makes it, down, and without a link-local address.
    pub fn create(netlink: &Netlink, spec: &TapSpec<'_>) -> Result<Self> {
        let name = spec.name.unwrap_or("a tap device");
        let (user, group) = spec.tap.owners().map_err(|refusal| refused("add", name, refusal))?;
        let device = tun::Device::create(spec.name.unwrap_or(PATTERN), spec.tap.multi_queue)
            .map_err(|error| not_created(name, error))?;
        let owned = user.map_or(Ok(()), |uid| device.set_user(uid));
        owned.and_then(|()| group.map_or(Ok(()), |gid| device.set_group(gid))).map_err(io_error("give away", name))?;
        let link = netlink.link_by_name(&device.name, None)?;
        let ifindex = link.ok_or_else(|| refused("find again", &device.name, Refusal::NoLink))?.ifindex;
        netlink.set_link(ifindex, &silent())?;
        let (mac, mtu, alias) = (Some(spec.mac), Some(spec.mtu), Some(spec.alias));
        netlink.set_link(ifindex, &LinkChange { mac, mtu, alias, ..LinkChange::default() })?;
        Ok(Self { device, ifindex })
    }

    /// Lets it live on: it is a complete slave now.
    pub fn keep(self) -> Result<()> {
        self.device.persist().map_err(io_error("keep", self.device.name))
    }
}

/// Without a link-local address. For a new device, and again for one that has been in another netns.
pub fn silent() -> LinkChange<'static> {
    LinkChange { addr_gen_mode: Some(AddrGenMode::None), ..LinkChange::default() }
}

impl Tap {
    /// The user and the group that may open it. Without both the kernel would let everybody, so it is the calling user.
    fn owners(&self) -> std::result::Result<(Option<u32>, Option<u32>), Refusal> {
        let user = self.user.as_ref().map(|user| user.id(USERS, "user")).transpose()?;
        let group = self.group.as_ref().map(|group| group.id(GROUPS, "group")).transpose()?;
        let own = rustix::process::geteuid().as_raw();
        Ok((user.or(group.is_none().then_some(own)), group))
    }
}

impl Account {
    fn id(&self, table: &str, kind: &str) -> std::result::Result<u32, Refusal> {
        match self {
            Self::Id(id) => Ok(*id),
            Self::Name(name) => {
                let text = fs::read_to_string(table).unwrap_or_default();
                lookup(&text, name).ok_or_else(|| Refusal::NoAccount(format!("{kind} {name}")))
            }
        }
    }
}

/// The number behind a name, in the format of passwd(5) and group(5).
fn lookup(table: &str, name: &str) -> Option<u32> {
    let mut fields = table.lines().map(|line| line.split(':')).find(|fields| fields.clone().next() == Some(name))?;
    fields.nth(2)?.parse().ok()
}

fn not_created(name: &str, error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => refused("make", name, Refusal::NoTun),
        // With IFF_TUN_EXCL the kernel says EBUSY where it elsewhere says EEXIST.
        Some(libc::EBUSY) => io_error("make", name)(io::Error::from_raw_os_error(libc::EEXIST)),
        _ => io_error("make", name)(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_the_number_behind_it() {
        let table = "root:x:0:0:root:/root:/bin/bash\nkvm:x:104:\nroo:x:7:\n";
        assert_eq!((lookup(table, "kvm"), lookup(table, "roo"), lookup(table, "ro")), (Some(104), Some(7), None));
    }

    #[test]
    fn without_a_user_or_a_group_only_its_maker_may_open_it() {
        let id = |id| Some(Account::Id(id));
        let owners = |user, group| Tap { user, group, multi_queue: false }.owners().ok();
        let own = rustix::process::geteuid().as_raw();
        assert_eq!(owners(None, None), Some((Some(own), None)));
        assert_eq!(owners(None, id(7)), Some((None, Some(7))));
        assert_eq!(owners(id(8), id(7)), Some((Some(8), Some(7))));
    }
}
