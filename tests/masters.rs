//! Does a device of every kind that can be a master, and of some that share one, do as a master?
//!
//! Where the running kernel lacks a kind, its test skips itself and says so; `make verify-masters` runs all of them in a
//! virtual machine with a kernel that has everything.

#[path = "masters/bond.rs"]
mod bond;
#[path = "masters/bridge.rs"]
mod bridge;
#[path = "masters/lab.rs"]
mod lab;
#[path = "masters/macvlan.rs"]
mod macvlan;
#[path = "masters/made.rs"]
mod made;
#[path = "masters/tunnel.rs"]
mod tunnel;
#[path = "masters/vlan.rs"]
mod vlan;
#[path = "masters/vrf.rs"]
mod vrf;
#[path = "masters/wireguard.rs"]
mod wireguard;
