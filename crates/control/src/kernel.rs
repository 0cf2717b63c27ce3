//! How are the kernel's interfaces used? Netlink, `bpf(2)`, namespaces, locks; nothing here knows of ports and slaves.

pub mod bpf;
pub(crate) mod bpf_batch;
pub mod bpf_map;
mod claims;
pub(crate) mod event_counter;
pub mod fib;
pub(crate) mod filters;
pub mod finder;
mod instructions;
pub mod lock;
pub(crate) mod multicast;
pub mod netlink;
pub mod netns;
pub mod single;
pub mod sys;
pub mod sysctl;
pub(crate) mod tun;
