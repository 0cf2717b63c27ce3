//! How do tests exercise the kernel? With namespaces, real frames in and out, and a capture of them when a test fails.
//!
//! A test starts with [`require_root!`], builds a [`Lab`], injects with a [`PacketSocket`] and says what must come out.
//! Nothing here touches a device outside the namespaces it made, and dropping removes them.

mod addresses;
mod at_once;
mod driver;
mod frame;
mod history;
mod lab;
mod netns;
pub mod packet;
mod packet_socket;
mod pcap;
mod require;
mod rest;
mod sys;
mod wait;

pub use addresses::{EXT_MAC, EXT_V4, EXT_V6, HOST_V4, HOST_V6, MASTER_MAC};
pub use at_once::at_once;
pub use driver::{Driver, ipvl_path};
pub use frame::Frame;
pub use lab::Lab;
pub use netns::{Netns, Output};
pub use packet::Mac;
pub use packet_socket::PacketSocket;
pub use require::{kernel_is_at_least, requires, requires_device, requires_kernel, requires_root};
pub use rest::{MARKER, Pinned, Rest};
pub use sys::{enter_new_netns, segment};
pub use wait::{bound, wait_until};
