//! Has all that was sent come to rest? It has when markers behind it have come out of the queues that it was in.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::addresses::{EXT_MAC, MASTER_MAC};
use crate::netns::Netns;
use crate::packet::{Link, ethernet};
use crate::sys;

/// A protocol that no stack knows.
pub const MARKER: u16 = 0x88b5;
/// How often a frame waits in a queue, at most: twice for a frame that comes to a host end and leaves by the wire, as often
/// again where a neighbour must be resolved first, and the same once more as a reserve.
const HOPS: usize = 8;
/// A marker that has not come after this will not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A loopback device, in which markers queue behind all frames that are on their way.
///
/// A veth, netkit or loopback device puts what it sends into the backlog of the CPU that sends it, which is one queue for
/// all devices of all namespaces, first in, first out. The kernel takes a frame out of it on that CPU, and processes it
/// there completely: programs, `bpf_redirect_peer`, the stack, sockets. If it is sent on, or copied, it goes to the end of
/// the same queue, and so do the answers to it. So when a marker has come out, all frames before it are one hop further;
/// after as many markers as a frame can have hops, every frame has arrived, and is in the sockets of its observers.
///
/// This does not cover frames that wait for a timer (a neighbour that does not answer is asked again), for another
/// process, or in another queue: a queueing discipline, a device with NAPI of its own, receive packet steering. A test that
/// has these must wait for something else.
#[derive(Debug)]
pub struct Rest {
    lo: OwnedFd,
}

impl Rest {
    /// By the loopback device of this namespace, which is as good as any.
    #[must_use]
    pub fn new(netns: &Netns) -> Self {
        let lo = netns.within(|| sys::packet_socket(sys::device_index("lo")?, MARKER, true));
        Self { lo: lo.unwrap_or_else(|error| panic!("open a packet socket on lo: {error}")) }
    }

    /// Returns when what was sent has come to rest: by anybody, on the CPUs that the caller may run on.
    pub fn wait(&self) {
        let allowed = allowed();
        let cpus = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        match allowed.count() {
            1 => self.pass(),
            _ => cpus.for_each(|cpu| {
                let _here = Pinned::to(cpu);
                self.pass();
            }),
        }
    }

    fn pass(&self) {
        for _ in 0..HOPS {
            let marker = marker();
            sys::send(&self.lo, &marker).unwrap_or_else(|error| panic!("send a marker: {error}"));
            let deadline = Instant::now() + PATIENCE;
            while !self.comes(&marker, deadline) {
                assert!(Instant::now() < deadline, "no marker comes by: is the machine at a standstill?");
            }
        }
    }

    /// Whether it is the next that comes.
    fn comes(&self, marker: &[u8], deadline: Instant) -> bool {
        let received = sys::receive(&self.lo, deadline.saturating_duration_since(Instant::now()));
        received.unwrap_or_else(|error| panic!("receive a marker: {error}")).is_some_and(|frame| frame.bytes == marker)
    }
}

/// A unique frame that is not flooded: to a lab's master, or a slave of it.
pub(crate) fn marker() -> Vec<u8> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    ethernet(Link::new(EXT_MAC, MASTER_MAC), MARKER, &[&b"a marker"[..], &number.to_be_bytes(), &[0; 32]].concat())
}

/// Keeps this thread on one CPU until it is dropped, so that all frames that follow from what it sends are in one queue.
#[derive(Debug)]
pub struct Pinned {
    before: CpuSet,
    /// Not for another thread.
    _own: std::marker::PhantomData<*const ()>,
}

impl Pinned {
    /// Pins the thread to the CPU that it is on.
    #[must_use]
    pub fn here() -> Self {
        Self::to(sched_getcpu())
    }

    fn to(cpu: usize) -> Self {
        let before = allowed();
        let mut only = CpuSet::new();
        only.set(cpu);
        sched_setaffinity(None, &only).unwrap_or_else(|error| panic!("stay on CPU {cpu}: {error}"));
        Self { before, _own: std::marker::PhantomData }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // If that CPU was taken away meanwhile, the thread was moved to others.
        let _ = sched_setaffinity(None, &self.before);
    }
}

fn allowed() -> CpuSet {
    sched_getaffinity(None).unwrap_or_else(|error| panic!("ask on which CPUs this thread may run: {error}"))
}
