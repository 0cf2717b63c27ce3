//! Does a slave work, from the first command to its removal, on the running kernel?

mod adding;
mod agent;
mod announcing;
mod apply;
mod attaching;
mod capabilities;
mod common;
mod conflicts;
mod crowd;
mod dhcp;
mod direct;
mod examining;
mod explaining;
mod faults;
mod flags;
mod guard;
mod guest;
mod guest_addresses;
mod homecoming;
mod hooks;
mod host_source;
mod hostile;
mod howto;
mod ipvtap;
mod link_local;
mod live;
mod master;
mod monitor;
mod multicast;
mod netkit;
mod news;
mod places;
mod proxy;
mod refusals;
mod removal;
mod room;
mod service;
mod squatters;
mod streams;
mod tun;
mod tun_device;
mod upgrading;
mod watcher;

#[path = "../../src/snapshot.rs"]
mod snapshot;
