//! How do the two programs of a policy get onto a host end, and their maps into a port?
//!
//! `policy_out` comes before `slave_xmit` at the same hook; `policy_in` is at the host end's egress. They are loaded when a
//! port gets its first policy or label. From then on the port's program has their maps, too, though it uses none of them:
//! so they live as long as the port does.

use crate::error::{Result, refused};
use crate::kernel::bpf::{self, AttachType};
use crate::kernel::bpf_map::{MapShape, bind_map, map_info};
use crate::kernel::netlink::{FilterPoint, LinkInfo, Netlink};
use crate::model::Backend;
use crate::policy_words::PolicyKeys;
use crate::port::Port;
use crate::port::hook::{Hook, PRIORITY, named, unless_unknown};
use crate::port::host_end::backend_of;
use crate::port::object::{self, CONSTANTS, POLICY_IN, POLICY_MAPS, POLICY_OUT, SLAVE_XMIT};
use crate::port::programs::host_ends_of;
use crate::port::tables::PolicyMaps;
use crate::refusal::Refusal;
use ipvl_core::policy::{PeerKind, Policy, Rule};
use ipvl_core::{IfIndex, Slot};
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

/// Where one of the two programs is attached.
#[derive(Clone, Copy)]
enum Point {
    Hook(AttachType),
    Filter(FilterPoint, u16),
}

/// The two programs of a policy, and where they belong on one host end.
struct Points {
    ifindex: IfIndex,
    out: Point,
    inward: Point,
}

impl Port {
    /// The maps of its policies, if it has some.
    pub fn policy_maps(&self) -> Result<Option<PolicyMaps>> {
        PolicyMaps::by_ids(&bpf::prog_info(self.slave_xmit())?.map_ids)
    }

    /// The same; makes them if there are none. The caller has the lock.
    pub fn ensure_policy_maps(&self) -> Result<PolicyMaps> {
        if let Some(maps) = self.policy_maps()? {
            return Ok(maps);
        }
        let (out, _inward) = load(&maps_with_ids(&bpf::prog_info(self.slave_xmit())?.map_ids)?)?;
        bind(self.slave_xmit(), &out)?;
        self.policy_maps()?.ok_or_else(|| refused("find", "the maps of policies", Refusal::ForeignProgram))
    }

    /// Attaches the two programs to a host end, unless they are there. The caller has the lock.
    pub fn attach_policy(&self, netlink: &Netlink, host_end: &LinkInfo) -> Result<()> {
        let points = Points::of(netlink, host_end)?;
        if points.find(netlink)?.is_complete() {
            return Ok(());
        }
        let (out, inward) = match self.attached_elsewhere(netlink)? {
            Some(programs) => programs,
            None => load(&maps_with_ids(&bpf::prog_info(self.slave_xmit())?.map_ids)?)?,
        };
        points.detach(netlink)?;
        points.inward.attach(netlink, points.ifindex, &inward, POLICY_IN)?;
        points.out.attach(netlink, points.ifindex, &out, POLICY_OUT)
    }

    /// Detaches them again.
    pub fn detach_policy(&self, netlink: &Netlink, host_end: &LinkInfo) -> Result<()> {
        Points::of(netlink, host_end)?.detach(netlink)
    }

    /// Takes what is left of an earlier slave in this slot out of the policies: its own, its labels, and rules that name it. The
    /// caller has the lock, and is about to give the slot to a new slave.
    pub fn forget_policies_of(&self, slot: Slot) -> Result<()> {
        let Some(mut maps) = self.policy_maps()? else { return Ok(()) };
        maps.remove_policy(slot)?;
        maps.forget_counts(slot, &[])?;
        maps.set_labels(slot, 0)?;
        for (owner, policy) in maps.policies()? {
            let is_about_it = |rule: &Rule| rule.peer() == PeerKind::Slave(slot);
            if policy.rules().iter().any(is_about_it) {
                let left: Vec<Rule> = policy.rules().iter().copied().filter(|rule| !is_about_it(rule)).collect();
                if let Some(policy) = Policy::new(generation(Some(&policy)), policy.default, &left) {
                    maps.set_policy(owner, &policy)?;
                }
            }
        }
        Ok(())
    }

    /// Gives a slave that is being made its labels and, if it is to have a policy, one that drops everything: its rules follow
    /// when all slaves are there that they may name. The caller has the lock, and opens the slave only after this.
    pub fn begin_policy(&self, netlink: &Netlink, host_end: &LinkInfo, slot: Slot, keys: &PolicyKeys) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut maps = self.ensure_policy_maps()?;
        let bits = maps.label_bits(&keys.labels, |refusal| refused("label", &host_end.name, refusal))?;
        maps.set_labels(slot, bits)?;
        let Some(closed) = keys.policy.as_ref().and_then(|_| Policy::new(generation(None), 0, &[])) else {
            return Ok(());
        };
        self.attach_policy(netlink, host_end)?;
        maps.set_policy(slot, &closed)
    }

    /// The programs as another host end of this port has them: loading takes longer than all else.
    fn attached_elsewhere(&self, netlink: &Netlink) -> Result<Option<(OwnedFd, OwnedFd)>> {
        for link in host_ends_of(netlink, self.master)? {
            if let Attached { out: Some(out), inward: Some(inward) } = Points::of(netlink, &link)?.find(netlink)? {
                return Ok(Some((out, inward)));
            }
        }
        Ok(None)
    }
}

/// A number that no earlier policy of the slot had: connections from before are known by it.
pub(crate) fn generation(old: Option<&Policy>) -> u32 {
    let now = clock_gettime(ClockId::Boottime);
    let millis = (now.tv_sec as u64).wrapping_mul(1000).wrapping_add(now.tv_nsec as u64 / 1_000_000) as u32;
    match old {
        Some(old) if old.generation >= millis => old.generation + 1,
        _ => millis,
    }
}

/// The maps of policies among a port's; refuses those that the programs of this build cannot read.
pub(super) fn maps_among(
    master: &str,
    maps: &BTreeMap<String, (OwnedFd, MapShape)>,
) -> Result<BTreeMap<String, OwnedFd>> {
    let wanted = object::policy_shapes()?;
    let mut found = BTreeMap::new();
    for (name, (map, shape)) in maps.iter().filter(|(name, _)| POLICY_MAPS.contains(&name.as_str())) {
        if wanted.get(name) != Some(shape) {
            return Err(refused("upgrade", master, Refusal::UnfitTable { name: name.clone() }));
        }
        let map = map.try_clone().map_err(crate::error::io_error("keep", name.clone()))?;
        found.insert(name.clone(), map);
    }
    Ok(found)
}

/// Gives new programs the place of the old ones at all host ends that have a policy, with the same maps of policies.
pub(super) fn upgrade(
    netlink: &Netlink,
    host_ends: &[LinkInfo],
    slave_xmit: &OwnedFd,
    policy_maps: &BTreeMap<String, OwnedFd>,
) -> Result<()> {
    if policy_maps.is_empty() {
        return Ok(());
    }
    let mut maps = maps_with_ids(&bpf::prog_info(slave_xmit)?.map_ids)?;
    for (name, map) in policy_maps {
        maps.insert(name.clone(), map.try_clone().map_err(crate::error::io_error("keep", name.clone()))?);
    }
    let (out, inward) = load(&maps)?;
    bind(slave_xmit, &out)?;
    for link in host_ends {
        let points = Points::of(netlink, link)?;
        if let Attached { out: Some(old), .. } = points.find(netlink)? {
            points.out.replace(netlink, points.ifindex, &out, &old, POLICY_OUT)?;
        }
        if let Attached { inward: Some(old), .. } = points.find(netlink)? {
            points.inward.replace(netlink, points.ifindex, &inward, &old, POLICY_IN)?;
        }
    }
    Ok(())
}

/// The maps with these ids, by their names, which a program of the same port can share.
fn maps_with_ids(ids: &[u32]) -> Result<BTreeMap<String, OwnedFd>> {
    let mut maps = BTreeMap::new();
    for id in ids {
        let map = bpf::map_fd_by_id(*id)?;
        let (name, _): (String, MapShape) = map_info(&map)?;
        if name != CONSTANTS {
            maps.insert(name, map);
        }
    }
    Ok(maps)
}

fn load(maps: &BTreeMap<String, OwnedFd>) -> Result<(OwnedFd, OwnedFd)> {
    let maps = maps.iter().map(|(name, map)| (name.clone(), map.as_fd())).collect();
    let (out, inward) = object::load_policy(&maps)?;
    Ok((out.fd, inward.fd))
}

/// Binds the maps of policies that a program of a policy uses to the port's program.
fn bind(slave_xmit: impl AsFd, policy_out: &OwnedFd) -> Result<()> {
    for id in bpf::prog_info(policy_out)?.map_ids {
        let map = bpf::map_fd_by_id(id)?;
        if POLICY_MAPS.contains(&map_info(&map)?.0.as_str()) {
            bind_map(&slave_xmit, &map)?;
        }
    }
    Ok(())
}

/// The programs that are attached to a host end.
struct Attached {
    out: Option<OwnedFd>,
    inward: Option<OwnedFd>,
}

impl Attached {
    fn is_complete(&self) -> bool {
        self.out.is_some() && self.inward.is_some()
    }
}

impl Points {
    /// By the interface by which `slave_xmit` is attached: what is attached by tcx runs before all filters of clsact.
    fn of(netlink: &Netlink, host_end: &LinkInfo) -> Result<Self> {
        let ifindex = host_end.ifindex;
        let hook = Hook::find(netlink, ifindex, SLAVE_XMIT)?.map_or_else(Hook::choose, |(hook, _)| hook);
        let (out, inward) = match hook {
            Hook::Tcx => (Point::Hook(AttachType::TcxIngress), Point::Hook(AttachType::TcxEgress)),
            Hook::Clsact => (
                Point::Filter(FilterPoint::Device(ifindex), PRIORITY - 1),
                Point::Filter(FilterPoint::Egress(ifindex), PRIORITY),
            ),
        };
        let is_netkit = backend_of(host_end) == Some(Backend::Netkit);
        let out = if is_netkit { Point::Hook(AttachType::NetkitPeer) } else { out };
        Ok(Self { ifindex, out, inward })
    }

    fn find(&self, netlink: &Netlink) -> Result<Attached> {
        let out = self.out.find(netlink, self.ifindex, POLICY_OUT)?;
        Ok(Attached { out, inward: self.inward.find(netlink, self.ifindex, POLICY_IN)? })
    }

    fn detach(&self, netlink: &Netlink) -> Result<()> {
        let Attached { out, inward } = self.find(netlink)?;
        out.map_or(Ok(()), |program| self.out.detach(netlink, self.ifindex, &program))?;
        inward.map_or(Ok(()), |program| self.inward.detach(netlink, self.ifindex, &program))
    }
}

impl Point {
    fn find(self, netlink: &Netlink, ifindex: IfIndex, name: &str) -> Result<Option<OwnedFd>> {
        let ids = match self {
            Self::Hook(at) => unless_unknown(bpf::prog_query(ifindex, at))?,
            Self::Filter(point, priority) => {
                let filters = unless_unknown(netlink.bpf_filters(point))?;
                filters.iter().filter(|filter| filter.priority == priority).map(|filter| filter.prog_id).collect()
            }
        };
        for id in ids {
            if let Some(program) = named(id, name)? {
                return Ok(Some(program));
            }
        }
        Ok(None)
    }

    fn attach(self, netlink: &Netlink, ifindex: IfIndex, program: &OwnedFd, name: &str) -> Result<()> {
        match self {
            Self::Hook(at) => bpf::prog_attach_first(ifindex, program, at),
            Self::Filter(point, priority) => netlink.add_bpf_filter(point, program, name, priority),
        }
    }

    fn replace(self, netlink: &Netlink, ifindex: IfIndex, program: &OwnedFd, old: &OwnedFd, name: &str) -> Result<()> {
        match self {
            Self::Hook(at) => bpf::prog_replace(ifindex, program, old, at),
            Self::Filter(point, priority) => netlink.add_bpf_filter(point, program, name, priority),
        }
    }

    fn detach(self, netlink: &Netlink, ifindex: IfIndex, program: &OwnedFd) -> Result<()> {
        match self {
            Self::Hook(at) => bpf::prog_detach(ifindex, program, at).map(drop),
            Self::Filter(point, priority) => netlink.delete_bpf_filter(point, priority).map(drop),
        }
    }
}
