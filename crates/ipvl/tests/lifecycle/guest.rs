//! What opens a tap device in these tests? A small virtual machine monitor, with a netns as its guest.
//!
//! The guest's stack is a real one, behind a tap device of its own; a thread carries frames from one device to the
//! other, with the virtio header that a virtual network card would have.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use ipvl_testbed::{Lab, Netns};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};

use crate::common::{run, soon};
use crate::tun_device::{self, TAP, VIRTIO_TAP};

/// The longest frame, with its virtio header.
const LONGEST: usize = 65535 + 64;
/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`, in the first byte of the header.
const NEEDS_CHECKSUM: u8 = 1;
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// A guest and its monitor. Dropping it is the monitor's end: the tap device stays.
pub struct Guest {
    /// Where the guest's stack is; its network card is `eth0`.
    pub netns: Netns,
    monitor: Option<Monitor>,
    flags: i32,
}

/// What carries the frames.
struct Monitor {
    stop: Arc<AtomicBool>,
    carrier: Option<JoinHandle<()>>,
    seen: Arc<Seen>,
}

/// What went by, in both directions: frames with a checksum yet to be made, and frames that stand for several.
#[derive(Default)]
pub struct Seen {
    pub partial: AtomicU32,
    pub large: AtomicU32,
}

impl Guest {
    /// A guest with the master's MAC address and these addresses, and a card without offloads.
    #[track_caller]
    pub fn boot(lab: &Lab, tap: &str, addresses: &[&str]) -> Self {
        Self::with_card(&lab.host, tap, addresses, TAP)
    }

    /// The same behind a tap device in another netns than the master's.
    #[track_caller]
    pub fn boot_at(place: &Netns, tap: &str, addresses: &[&str]) -> Self {
        Self::with_card(place, tap, addresses, TAP)
    }

    /// A guest with a card that takes large packets and unfinished checksums.
    #[track_caller]
    pub fn boot_with_offloads(lab: &Lab, tap: &str, addresses: &[&str]) -> Self {
        Self::with_card(&lab.host, tap, addresses, VIRTIO_TAP)
    }

    #[track_caller]
    fn with_card(place: &Netns, tap: &str, addresses: &[&str], flags: i32) -> Self {
        let netns = Netns::new("guest");
        netns.sysctl("net/ipv6/conf/default/accept_dad", "0");
        netns.sysctl("net/ipv6/conf/default/addr_gen_mode", "1");
        let mut guest = Self { netns, monitor: None, flags };
        guest.start_at(place, tap);
        for address in addresses {
            let nodad = if address.contains(':') { "nodad" } else { "" };
            run(&guest.netns, &format!("ip addr add {address} dev eth0 {nodad}"));
        }
        guest
    }

    /// Starts the monitor, which opens the tap device by its name, and the guest's card.
    #[track_caller]
    pub fn start(&mut self, lab: &Lab, tap: &str) {
        self.start_at(&lab.host, tap);
    }

    #[track_caller]
    fn start_at(&mut self, place: &Netns, tap: &str) {
        let outer = place.within(|| tun_device::open(tap, self.flags)).expect("open the tap device");
        let card = self.netns.within(|| tun_device::open("eth0", self.flags)).expect("make the guest's card");
        for file in [&outer, &card] {
            tun_device::set_offloads(file, self.flags == VIRTIO_TAP).expect("set offloads");
        }
        run(&self.netns, "ip link set eth0 address 02:00:00:00:00:01 up");
        self.monitor = Some(Monitor::start(outer, card));
    }

    /// Ends the monitor, as a kill would: the descriptors are closed. The guest's card is gone, too.
    pub fn kill(&mut self) {
        drop(self.monitor.take());
    }

    /// What went by since the monitor's start.
    pub fn seen(&self) -> &Seen {
        &self.monitor.as_ref().expect("a monitor").seen
    }
}

/// Fails unless a guest and another machine, each with its address, soon reach each other.
#[track_caller]
pub fn reach_each_other(lab: &Lab, a: (&Netns, &str), b: (&Netns, &str)) {
    soon(&format!("{} reaches {}", a.0.label(), b.1), || lab.pings(a.0, b.1));
    soon(&format!("{} reaches {}", b.0.label(), a.1), || lab.pings(b.0, a.1));
}

impl Monitor {
    fn start(outer: File, card: File) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
        let carrier = thread::spawn({
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&seen));
            move || carry(outer, card, &stop, &seen)
        });
        Self { stop, carrier: Some(carrier), seen }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It carries nothing but frames, and a panic of its own has been printed.
        let _ = self.carrier.take().map(JoinHandle::join);
    }
}

fn carry(mut outer: File, mut card: File, stop: &AtomicBool, seen: &Seen) {
    let mut frame = vec![0; LONGEST];
    [&outer, &card].into_iter().try_for_each(|file| fcntl_setfl(file, OFlags::NONBLOCK)).expect("do not wait");
    while !stop.load(Ordering::Relaxed) {
        let mut ready = [&outer, &card].map(|file| PollFd::new(file, PollFlags::IN));
        poll(&mut ready, Some(&PAUSE)).expect("wait for frames");
        pass_on(&mut outer, &mut card, &mut frame, seen);
        pass_on(&mut card, &mut outer, &mut frame, seen);
    }
}

/// All frames that are there; one that a device does not take, because it is down, is lost.
fn pass_on(from: &mut File, to: &mut File, frame: &mut [u8], seen: &Seen) {
    loop {
        match from.read(frame) {
            Ok(length) => {
                seen.note(&frame[..length]);
                let _ = to.write(&frame[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // The device went meanwhile, or is down.
            Err(_) => return thread::sleep(std::time::Duration::from_millis(1)),
        }
    }
}

impl Seen {
    /// Without a virtio header these are two bytes of a MAC address, which are not used.
    fn note(&self, frame: &[u8]) {
        self.partial.fetch_add(u32::from(frame[0] & NEEDS_CHECKSUM != 0), Ordering::Relaxed);
        self.large.fetch_add(u32::from(frame[1] != 0), Ordering::Relaxed);
    }
}
