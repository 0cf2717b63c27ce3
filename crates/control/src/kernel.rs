//! How is the kernel talked to? Netlink, `bpf(2)`, namespaces, locks: what knows nothing of ports and slaves.

pub mod bpf;
pub mod finder;
pub mod lock;
pub(crate) mod multicast;
pub mod netlink;
pub mod netns;
pub mod single;
pub mod sys;
pub(crate) mod tun;
