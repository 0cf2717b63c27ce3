//! Does the running kernel do what the lowest layers of the control plane ask of it?
#![expect(
    unsafe_code,
    reason = "tests move their threads into namespaces of their own and load programs of two instructions"
)]

mod attach;
mod events;
mod links;
mod lock;
mod maps;
mod namespaces;

use ipvl_control::Backend;
use ipvl_control::kernel::netlink::PairSpec;
use ipvl_control::kernel::netns;
use ipvl_core::{Addr, Mac};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::os::fd::OwnedFd;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const ADDR: Addr = Addr::v4([192, 0, 2, 10]);

fn pair() -> PairSpec<'static> {
    let (host_name, slave_name) = ("ipvlh%d", "ipvl%d");
    let backend = if Backend::has_netkit() { Backend::Netkit } else { Backend::Veth };
    PairSpec {
        backend,
        host_name,
        slave_name,
        mac: MAC,
        mtu: 1500,
        noarp_slave: false,
        alias: None,
        largest: None,
        netns: None,
    }
}

/// Runs `test` in a netns that is gone afterwards.
fn in_fresh_netns(test: impl FnOnce() + Send) {
    netns::within(fresh_netns(), test).unwrap();
}

fn fresh_netns() -> OwnedFd {
    let make = || {
        // SAFETY: only the network namespace is unshared, and only by a thread that ends right after.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("root");
        netns::own().unwrap()
    };
    std::thread::spawn(make).join().unwrap()
}
