//! What does one device send and receive? A raw socket that sends frames and waits for expected ones.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime};

use crate::frame::Frame;
use crate::history;
use crate::netns::Netns;
use crate::rest::{Rest, marker};
use crate::{pcap, sys};

/// How long a frame that must come may take; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many frames are kept for a failing test; a test with a million frames needs the memory.
const MOST_SEEN: usize = 20_000;

/// One device of a namespace: sends frames out of it, and receives what it receives.
///
/// Frames are kept until a test asks for them, so that order does not matter unless the test says so; when the test
/// fails, all that was seen is written to `target/pcap`.
#[derive(Debug)]
pub struct PacketSocket {
    name: String,
    socket: OwnedFd,
    pending: VecDeque<Frame>,
    seen: Vec<Frame>,
}

impl PacketSocket {
    /// Opens `device` in `netns`; what is sent from there, by this port or others, is not caught.
    #[must_use]
    pub fn open(netns: &Netns, device: &str) -> Self {
        Self::with_direction(netns, device, true)
    }

    /// Opens `device` in `netns` and catches what it sends as well, as tcpdump does.
    #[must_use]
    pub fn open_both_ways(netns: &Netns, device: &str) -> Self {
        Self::with_direction(netns, device, false)
    }

    /// Catches the packets of one protocol that get past the hooks of any device of `netns` and as far as its stack.
    #[must_use]
    pub fn open_stack(netns: &Netns, protocol: u16) -> Self {
        let opened = netns.within(|| sys::packet_socket(0, protocol, true));
        Self::new(format!("{}-stack-{protocol:04x}", netns.label()), opened)
    }

    fn with_direction(netns: &Netns, device: &str, ignore_outgoing: bool) -> Self {
        let opened = netns.within(|| sys::packet_socket(sys::device_index(device)?, sys::ALL, ignore_outgoing));
        Self::new(format!("{}-{device}", netns.label()), opened)
    }

    fn new(name: String, opened: io::Result<OwnedFd>) -> Self {
        let socket = opened.unwrap_or_else(|error| panic!("open a packet socket on {name}: {error}"));
        Self { name, socket, pending: VecDeque::new(), seen: Vec::new() }
    }

    /// Sends one frame out of the device, which may refuse it: the kernel's own driver reports a drop to the sender.
    #[track_caller]
    pub fn inject(&self, frame: &[u8]) {
        history::note(format!("{}: injected {} bytes", self.name, frame.len()));
        match sys::send(&self.socket, frame) {
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => (),
            sent => sent.unwrap_or_else(|error| panic!("{}: send: {error}", self.name)),
        }
    }

    /// Sends a unique frame out of the device: a receiver at the other end then knows that it has seen all frames before
    /// it. Returns its bytes.
    #[must_use]
    pub fn mark(&self) -> Vec<u8> {
        let marker = marker();
        sys::send(&self.socket, &marker).unwrap_or_else(|error| panic!("{}: send a marker: {error}", self.name));
        marker
    }

    /// Has the device receive a group's frames for as long as this port lives, as a packet socket does.
    pub fn join(&self, netns: &Netns, device: &str, group: [u8; 6]) {
        let joined = netns.within(|| sys::join_group(&self.socket, sys::device_index(device)?, group));
        joined.unwrap_or_else(|error| panic!("{}: join: {error}", self.name));
    }

    /// The first frame that `wanted` accepts, which must come in time; others stay for later questions.
    #[track_caller]
    pub fn expect(&mut self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Frame {
        match self.wait_for(PATIENCE, wanted) {
            Some(frame) => frame,
            None => panic!("{}: {what} did not come; what came:{}", self.name, self.list()),
        }
    }

    /// The first frame that `wanted` accepts, if it comes within `patience`.
    pub fn wait_for(&mut self, patience: Duration, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        if let Some(found) = self.pending.iter().position(&wanted) {
            return self.pending.remove(found);
        }
        let deadline = Instant::now() + patience;
        while let Some(frame) = self.next(deadline) {
            if wanted(&frame) {
                return Some(frame);
            }
            self.pending.push_back(frame);
        }
        None
    }

    /// Fails if a frame that `unwanted` accepts has come, once all that was sent has come to rest.
    #[track_caller]
    pub fn expect_none(&mut self, what: &str, rest: &Rest, unwanted: impl Fn(&Frame) -> bool) {
        rest.wait();
        if let Some(frame) = self.wait_for(Duration::ZERO, unwanted) {
            panic!("{}: {what} must not come, but did: {frame:?}", self.name);
        }
    }

    /// Fails if a frame that `unwanted` accepts comes before the one that `marker` accepts: the caller has sent a
    /// frame that is known to take the same way, after the one that must not arrive.
    #[track_caller]
    pub fn expect_none_before(
        &mut self,
        what: &str,
        marker: impl Fn(&Frame) -> bool,
        unwanted: impl Fn(&Frame) -> bool,
    ) {
        let first = self.expect(&format!("{what}, or the marker,"), |frame| unwanted(frame) || marker(frame));
        assert!(!unwanted(&first), "{}: {what} must not come, but did: {first:?}", self.name);
    }

    /// How many frames that `counted` accepts have come: all of them, if the caller knows that they are at [`Rest`].
    pub fn count(&mut self, counted: impl Fn(&Frame) -> bool) -> usize {
        std::iter::from_fn(|| self.wait_for(Duration::ZERO, &counted)).count()
    }

    /// All frames that have come and that no test has taken.
    pub fn take(&mut self) -> Vec<Frame> {
        let mut frames = std::mem::take(&mut self.pending);
        frames.extend(std::iter::from_fn(|| self.next(Instant::now())));
        frames.into()
    }

    /// Forgets what has come so far.
    pub fn clear(&mut self) {
        while self.next(Instant::now()).is_some() {}
        self.pending.clear();
    }

    fn next(&mut self, deadline: Instant) -> Option<Frame> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let received = sys::receive(&self.socket, left).unwrap_or_else(|e| panic!("{}: receive: {e}", self.name));
            if let Some(received) = received {
                let frame = on_the_wire(received);
                if self.seen.len() == MOST_SEEN {
                    self.seen.drain(..MOST_SEEN / 2);
                }
                self.seen.push(frame.clone());
                return Some(frame);
            }
            if left.is_zero() {
                return None;
            }
        }
    }

    fn list(&self) -> String {
        let lines: Vec<_> = self.pending.iter().take(20).map(|frame| format!("\n    {frame:?}")).collect();
        if lines.is_empty() { " nothing".to_owned() } else { lines.concat() }
    }
}

impl Netns {
    /// Opens a device for sending frames and catching those that arrive.
    #[must_use]
    pub fn port(&self, device: &str) -> PacketSocket {
        PacketSocket::open(self, device)
    }
}

impl Drop for PacketSocket {
    fn drop(&mut self) {
        if std::thread::panicking() {
            match pcap::keep(&self.name, &self.seen) {
                Ok(path) => eprintln!("{}: {} frames kept in {}", self.name, self.seen.len(), path.display()),
                Err(error) => eprintln!("{}: the capture could not be kept: {error}", self.name),
            }
        }
    }
}

fn on_the_wire(received: sys::Received) -> Frame {
    let sys::Received { mut bytes, pkt_type, vlan, checksum_open } = received;
    if let (Some((protocol, control)), true) = (vlan, bytes.len() >= 12) {
        let tag = [protocol.to_be_bytes(), control.to_be_bytes()].concat();
        bytes.splice(12..12, tag);
    }
    let mut frame = Frame { bytes, vlan: None, pkt_type, checksum_open, at: SystemTime::now() };
    frame.vlan = frame.tag();
    frame
}
