//! Has all that was sent come to rest? It has when markers behind it have come out of the queues that it was in.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::lab::{EXT_MAC, MASTER_MAC};
use crate::netns::Netns;
use crate::packet::{Link, ethernet};
use crate::sys;

/// A protocol that no stack knows.
pub const MARKER: u16 = 0x88b5;
/// How often a frame waits in a queue, at most: twice for what comes to a host end and leaves by the wire, as often again
/// where a neighbour must be asked first, and that once more for what nobody has thought of.
const HOPS: usize = 8;
/// A marker that has not come after this will not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where markers queue up behind all that is on its way: a loopback device.
///
/// A veth, netkit or loopback device puts what it sends into the backlog of the CPU that sends it, which is one queue for
/// all devices of all namespaces, first in, first out. Whoever takes a frame out of it does so on that CPU, and does there
/// and then all that is to be done about it: programs, `bpf_redirect_peer`, the stack, sockets. If it is sent on, or copied,
/// it goes to the end of the same queue, and so do the answers to it. So when a marker has come out, all that was there
/// before it is one hop further, and after as many markers as there are hops at most, it has come wherever it goes, and is
/// in the sockets of those who watch.
///
/// Not waited for is what waits for a timer (a neighbour who does not answer is asked again), for another process, or in
/// another queue: a queueing discipline, a device with NAPI of its own, receive packet steering. A test that has these
/// must wait for something else.
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

/// A frame that is like no other, and that nobody copies: to a lab's master, or a slave of it.
pub(crate) fn marker() -> Vec<u8> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    ethernet(Link::new(EXT_MAC, MASTER_MAC), MARKER, &[&b"a marker"[..], &number.to_be_bytes(), &[0; 32]].concat())
}

/// Keeps this thread on one CPU until it is dropped. What it sends, and whatever becomes of that, is in one queue: [`Rest`].
#[derive(Debug)]
pub struct Pinned {
    before: CpuSet,
    /// Not for another thread.
    _own: std::marker::PhantomData<*const ()>,
}

impl Pinned {
    /// To the CPU that it is on.
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
        // Whoever took a CPU away meanwhile has given others.
        let _ = sched_setaffinity(None, &self.before);
    }
}

fn allowed() -> CpuSet {
    sched_getaffinity(None).unwrap_or_else(|error| panic!("ask on which CPUs this thread may run: {error}"))
}
