//! How does a slave look to its user, by what is known of it?

use super::record::{SlaveRecord, shown_name};
use crate::kernel::netlink::LinkInfo;
use crate::model::{Kind, Link};
use crate::port::ARPHRD_NONE;
use crate::port::host_end::{backend_of, is_tap};
use crate::rate::Rates;
use ipvl_core::{IfIndex, Mac, Options, Slot};

/// The slave as it is shown, without what needs more than the record.
pub fn link(record: &SlaveRecord, device: &LinkInfo, netns: Option<String>) -> Link {
    let SlaveRecord { host_end, master, slot, slave: entry, rates, .. } = record;
    Link {
        kind: if is_tap(host_end) { Kind::Ipvtap } else { Kind::Ipvlan },
        master_is_ip: master.arp_type == ARPHRD_NONE,
        slot: *slot,
        host_end: (host_end.ifindex, host_end.name.clone()),
        backend: backend_of(host_end).map(|backend| (backend, backend.why())),
        netnsid: host_end.link_netnsid,
        netns,
        options: entry.options_in_effect(),
        rates: *rates,
        queue: entry.state().queued.then(|| host_end.qdisc.clone()),
        ..alone(device, (master.ifindex, master.name.clone()))
    }
}

/// A slave that is one device, as it is shown without what its options are and where it is.
pub fn alone(device: &LinkInfo, master: (IfIndex, String)) -> Link {
    let name = shown_name(device.name.clone());
    Link {
        ifindex: device.ifindex,
        kind: Kind::Ipvlan,
        name: name.clone(),
        master,
        master_is_ip: false,
        slot: Slot(0),
        host_end: (device.ifindex, name),
        backend: None,
        netnsid: None,
        netns: None,
        flags: device.flags,
        operstate: device.operstate,
        mtu: device.mtu,
        txqlen: device.txqlen,
        qdisc: device.qdisc.clone(),
        mac: device.mac.unwrap_or(Mac([0; 6])),
        options: Options::DEFAULT,
        groups: Vec::new(),
        all_groups: false,
        queue: None,
        rates: Rates::default(),
        degraded: Vec::new(),
        detail: device.detail.clone(),
    }
}
