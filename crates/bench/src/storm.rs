//! What can other slaves still do while one slave broadcasts without end? Two of them exchange datagrams and a stream, and
//! one of the two broadcasts now and then, with and without the storm: with ipvl, which limits each sender's floods, and
//! with the kernel's driver, where all broadcasts share one queue.

use crate::crowd::{Crowd, Maker};
use crate::results::Results;
use ipvl_testbed::packet::gratuitous_arp;
use ipvl_testbed::{MASTER_MAC, Netns, PacketSocket};
use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const SLAVES: &str = "1000";
/// The slaves with namespaces of their own: two that talk, and one that sends the storm.
const TALKERS: usize = 3;
const STORMER: usize = 2;
/// Broadcasts a second.
const RATE: u64 = 10_000;
const LASTS: Duration = Duration::from_secs(10);
/// Gratuitous ARPs of the first slave a second.
const QUESTIONS: u64 = 20;
const ARP: u16 = 0x0806;
const TICK: Duration = Duration::from_millis(1);
const LOST: Duration = Duration::from_millis(20);

/// Sends a storm to `SLAVES` slaves of each driver, and writes what the other slaves could do meanwhile.
pub fn storm(file: &Path) -> io::Result<()> {
    let mut results = Results::new(env::var("COUNTING").is_ok_and(|value| !value.is_empty()));
    let slaves = env::var("SLAVES").ok().filter(|slaves| !slaves.is_empty()).unwrap_or_else(|| SLAVES.to_owned());
    let slaves: usize = slaves.parse().map_err(io::Error::other)?;
    for (maker, name) in [(Maker::Ipvl, "ipvl l2"), (Maker::Kernel, "C ipvlan l2")] {
        let Some(mut crowd) = Crowd::new(maker, TALKERS) else {
            eprintln!("{name}: left out, this kernel cannot make it");
            continue;
        };
        crowd.grow_to(slaves.saturating_sub(TALKERS));
        crowd.raise();
        for (storms, when) in [(false, "calm"), (true, "storm")] {
            let seen = watch(&crowd, storms);
            eprintln!("{name}, {when}: {seen:?}");
            for (what, number) in seen.figures() {
                results.add([name, what, when, ""], number);
            }
            results.write(file)?;
        }
    }
    Ok(())
}

/// The traffic that arrived in a run.
#[derive(Debug)]
struct Seen {
    seconds: f64,
    exchanges: u64,
    stream: u64,
    asked: u64,
    heard: u64,
    stormed: u64,
}

impl Seen {
    fn figures(&self) -> [(&'static str, f64); 4] {
        [
            ("requests answered per second", self.exchanges as f64 / self.seconds),
            ("stream, MB per second", self.stream as f64 / self.seconds / 1e6),
            ("gratuitous ARPs that arrive, %", 100.0 * self.heard as f64 / self.asked.max(1) as f64),
            ("broadcasts of the storm per second", self.stormed as f64 / LASTS.as_secs_f64()),
        ]
    }
}

/// Half of the time for exchanges, half for the stream; the broadcasts of both kinds all the time.
fn watch(crowd: &Crowd, storms: bool) -> Seen {
    let (over, stormed, asked) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let [a, b, c] = [0, 1, STORMER].map(|n| crowd.place(n));
    let storm_frame = gratuitous_arp(MASTER_MAC, [10, 0, 0, 12].into());
    let question = gratuitous_arp(MASTER_MAC, [10, 0, 0, 10].into());
    let mut ear = PacketSocket::open_stack(b, ARP);
    thread::scope(|scope| {
        if storms {
            scope.spawn(|| pace(&c.port("t2"), &storm_frame, RATE, &over, &stormed));
        }
        scope.spawn(|| pace(&a.port("t0"), &question, QUESTIONS, &over, &asked));
        let to = crowd.ends(0, 1).to;
        let exchanges = exchanges(a, b, SocketAddr::new(to, 5000), LASTS / 2);
        let stream = stream(a, b, SocketAddr::new(to, 5001), LASTS / 2);
        over.store(true, Relaxed);
        thread::sleep(LOST * 5);
        let heard = ear.count(|frame| frame.bytes == question || frame.contains(&question[14..42])) as u64;
        let (asked, stormed) = (asked.load(Relaxed), stormed.load(Relaxed));
        Seen { seconds: LASTS.as_secs_f64() / 2.0, exchanges, stream, asked, heard, stormed }
    })
}

/// Sends the frame `rate` times a second until it is over.
fn pace(port: &PacketSocket, frame: &[u8], rate: u64, over: &AtomicBool, sent: &AtomicU64) {
    let start = Instant::now();
    while !over.load(Relaxed) {
        let due = (start.elapsed().as_secs_f64() * rate as f64) as u64;
        while sent.load(Relaxed) < due && !over.load(Relaxed) {
            port.inject(frame);
            sent.fetch_add(1, Relaxed);
        }
        thread::sleep(TICK);
    }
}

/// Datagrams there and back, one after the other.
fn exchanges(a: &Netns, b: &Netns, to: SocketAddr, time: Duration) -> u64 {
    let server = b.within(|| UdpSocket::bind(to)).expect("a socket");
    let client = a.within(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    client.connect(to).expect("connect");
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(LOST)).expect("a time limit");
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut byte = [0];
            while !over.load(Relaxed) {
                if let Ok((_, from)) = server.recv_from(&mut byte) {
                    let _ = server.send_to(&byte, from);
                }
            }
        });
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < time {
            let _ = client.send(&[1]);
            count += u64::from(client.recv(&mut [0]).is_ok());
        }
        over.store(true, Relaxed);
        count
    })
}

/// Bytes of a stream that arrive.
fn stream(a: &Netns, b: &Netns, to: SocketAddr, time: Duration) -> u64 {
    let listener = b.within(|| TcpListener::bind(to)).expect("listen");
    thread::scope(|scope| {
        let reader = scope.spawn(move || drain(listener.accept().expect("accept").0));
        let mut stream = a.within(|| TcpStream::connect(to)).expect("connect");
        let (start, chunk) = (Instant::now(), vec![0; 128 << 10]);
        while start.elapsed() < time {
            stream.write_all(&chunk).expect("write");
        }
        drop(stream);
        reader.join().expect("a reader")
    })
}

fn drain(mut stream: TcpStream) -> u64 {
    let (mut buffer, mut total) = (vec![0; 128 << 10], 0);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return total,
            Ok(length) => total += length as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("read: {error}"),
        }
    }
}
