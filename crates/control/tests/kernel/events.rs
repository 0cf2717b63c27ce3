//! Is everything told that happens, here and in other namespaces?

use crate::{ADDR, fresh_netns, in_fresh_netns, pair};
use ipvl_control::NsId;
use ipvl_control::kernel::netlink::{Events, LinkChange, Netlink, NewPair, PairSpec, What};
use ipvl_control::kernel::netns;
use ipvl_core::IfIndex;
use rustix::event::{PollFd, PollFlags, poll};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Any routing protocol will do.
const PROTOCOL: u8 = 157;

#[test]
fn events_tell_what_happens_in_another_netns() {
    in_fresh_netns(|| {
        let (netlink, other) = (Netlink::open().unwrap(), fresh_netns());
        let NewPair { host_end: host, slave } =
            netlink.add_pair(&PairSpec { netns: Some(other.as_fd()), ..pair() }).unwrap();
        let nsid = netlink.link(host, None).unwrap().unwrap().link_netnsid;
        let mut events = Events::open(PROTOCOL).unwrap();
        assert_eq!(events.next().unwrap(), None);
        netns::within(&other, || Netlink::open().unwrap().add_address(slave, ADDR, 24, 0).unwrap()).unwrap();
        netlink.add_address(host, ADDR, 32, 0).unwrap();
        let is_new = |what: &What| matches!(what, What::NewAddress(address) if address.addr == ADDR);
        assert_eq!(wait_for(&mut events, is_new), (nsid, Some(slave)));
        assert_eq!(wait_for(&mut events, is_new), (None, Some(host)));
        netlink.delete_link(host).unwrap();
        let is_gone =
            |what: &What| matches!(what, What::DelLink(link) if link.kind.as_deref() == Some(pair().backend.kind()));
        let gone = [wait_for(&mut events, is_gone), wait_for(&mut events, is_gone)];
        assert!(gone.contains(&(nsid, Some(slave))) && gone.contains(&(None, Some(host))), "{gone:?}");
    });
}

#[test]
fn events_tell_ids_given_and_taken() {
    in_fresh_netns(|| {
        let (netlink, other) = (Netlink::open().unwrap(), fresh_netns());
        let mut events = Events::open(PROTOCOL).unwrap();
        netlink.add_pair(&PairSpec { netns: Some(other.as_fd()), ..pair() }).unwrap();
        let nsid = netlink.nsid_of_fd(&other).unwrap().unwrap();
        assert_eq!(wait_for(&mut events, |what| *what == What::NewNsid(nsid)), (None, None));
        drop(other);
        assert_eq!(wait_for(&mut events, |what| *what == What::DelNsid(nsid)), (None, None));
    });
}

#[test]
fn lost_events_are_told_once_and_later_ones_still_come() {
    in_fresh_netns(|| {
        let netlink = Netlink::open().unwrap();
        let NewPair { host_end: host, .. } = netlink.add_pair(&pair()).unwrap();
        let mut events = Events::open(PROTOCOL).unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&events, 4096).unwrap();
        for mtu in 1000..1100 {
            netlink.set_link(host, &LinkChange { mtu: Some(mtu), ..LinkChange::default() }).unwrap();
        }
        wait_for(&mut events, |what| *what == What::Overrun);
        while events.next().unwrap().is_some() {}
        netlink.set_link(host, &LinkChange { mtu: Some(1400), ..LinkChange::default() }).unwrap();
        let is_last = |what: &What| matches!(what, What::NewLink(link) if link.mtu == 1400);
        assert_eq!(wait_for(&mut events, is_last), (None, Some(host)));
    });
}

/// The netns and the link of the next event that is `wanted`.
#[track_caller]
fn wait_for(events: &mut Events, wanted: impl Fn(&What) -> bool) -> (Option<NsId>, Option<IfIndex>) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        while let Some(event) = events.next().unwrap() {
            if wanted(&event.what) {
                return (event.nsid, ifindex(&event.what));
            }
        }
        assert!(Instant::now() < deadline, "no such event");
        let timeout = Duration::from_secs(1).try_into().unwrap();
        poll(&mut [PollFd::new(events, PollFlags::IN)], Some(&timeout)).unwrap();
    }
}

fn ifindex(what: &What) -> Option<IfIndex> {
    match what {
        What::NewLink(link) | What::DelLink(link) => Some(link.ifindex),
        What::NewAddress(address) | What::DelAddress(address) => Some(address.ifindex),
        What::DelRoute(route) => Some(route.oif),
        What::Queue(link) | What::Groups(link) => Some(*link),
        What::NewNsid(_) | What::DelNsid(_) | What::Overrun => None,
    }
}
