//! What do many slaves of one master cost? Time to add them one by one and in one command, whether one broadcast reaches
//! all of them, and whether a packet between two of them cares how many others there are.
//!
//! `make bench-scale` runs it; `COUNTS="100 1000 4096"` says how many. Everything happens in namespaces of its own.

use ipvl_testbed::{Lab, Netns, packet, wait_until};
use std::io::Write;
use std::net::UdpSocket;
use std::process::Stdio;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);
const DATAGRAMS: u32 = 100_000;

fn main() {
    let counts = std::env::var("COUNTS").unwrap_or_else(|_| "100 1000".to_owned());
    let counts: Vec<usize> = counts.split_whitespace().filter_map(|count| count.parse().ok()).collect();
    println!("slaves  one by one: first 100, last 100   in one command   a broadcast reaches   between two slaves");
    let mut alone = None;
    for count in counts {
        let (first, last) = one_by_one(count);
        let crowd = Crowd::new(count);
        let base = *alone.get_or_insert_with(|| Crowd::new(0).packet());
        let packet = crowd.packet();
        println!(
            "{count:6}  {:17.1} ms {:10.1} ms {:10.2} ms each {:10} of {count:5} {:10.0} ns, {:.2} times that of two",
            millis(first),
            millis(last),
            millis(crowd.batch) / count as f64,
            crowd.reached(),
            packet,
            packet / base,
        );
    }
}

/// The time of one `ipvl link add`, averaged over the first and over the last hundred of `count`.
fn one_by_one(count: usize) -> (Duration, Duration) {
    let lab = Lab::new(0);
    let times: Vec<Duration> = (0..count)
        .map(|n| {
            let start = Instant::now();
            lab.ipvl(&format!("link add link eth0 name s{n} type ipvlan mode l2"));
            start.elapsed()
        })
        .collect();
    let hundred = count.clamp(1, 100);
    // The very first also loads the programs.
    (average(&times[1.min(count - 1)..hundred]), average(&times[count - hundred..]))
}

/// Many slaves in one namespace, and two that talk.
struct Crowd {
    lab: Lab,
    batch: Duration,
    count: usize,
}

impl Crowd {
    fn new(count: usize) -> Self {
        let lab = Lab::new(3);
        for netns in &lab.slaves {
            netns.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
        }
        let crowd = lab.slaves[2].name();
        let add: Vec<String> =
            (0..count).map(|n| format!("link add link eth0 name s{n} netns {crowd} type ipvlan mode l2")).collect();
        let start = Instant::now();
        if count > 0 {
            feed(&lab.host, &[ipvl_testbed::ipvl_path().to_string_lossy().as_ref(), "-batch", "-"], &add);
        }
        let batch = start.elapsed();
        let up: Vec<String> = (0..count).map(|n| format!("link set s{n} up")).collect();
        feed(&lab.slaves[2], &["ip", "-batch", "-"], &up);
        for (n, address) in [(0, "10.0.0.10/24"), (1, "10.0.0.11/24")] {
            lab.add_slave(n, "mode l2", &[address]);
        }
        let crowd = Self { lab, batch, count };
        assert!(wait_until(PATIENCE, || crowd.running() == count), "not all slaves have a carrier");
        crowd
    }

    fn running(&self) -> usize {
        let links = self.lab.slaves[2].run(["ip", "-o", "link", "show"]);
        links.lines().filter(|line| line.contains(",LOWER_UP>") && !line.contains(" lo:")).count()
    }

    /// How many of the crowd one broadcast from outside comes to.
    fn reached(&self) -> usize {
        let before = self.received();
        let wire = self.lab.wire();
        wire.inject(&packet::arp_request(ipvl_testbed::EXT_MAC, ipvl_testbed::EXT_V4, [10, 0, 0, 77].into()));
        let _ = wait_until(Duration::from_secs(2), || {
            self.received().iter().sum::<u64>() >= before.iter().sum::<u64>() + self.count as u64
        });
        let after = self.received();
        before.iter().zip(&after).filter(|(before, after)| **after == **before + 1).count()
    }

    /// The crowd's receive counters.
    fn received(&self) -> Vec<u64> {
        let text = self.lab.slaves[2].run(["cat", "/proc/net/dev"]);
        let crowd = text.lines().filter(|line| line.trim_start().starts_with('s'));
        crowd.filter_map(|line| line.split_whitespace().nth(2)?.parse().ok()).collect()
    }

    /// Nanoseconds for one datagram from one of the two to the other, the sender's system call included.
    fn packet(&self) -> f64 {
        let receiver = self.lab.slaves[1].within(|| UdpSocket::bind("10.0.0.11:5000").expect("a socket in ns1"));
        let sender = self.lab.slaves[0].within(|| UdpSocket::bind("10.0.0.10:0").expect("a socket in ns0"));
        let mut rounds: Vec<f64> = (0..5).map(|_| round(&sender)).collect();
        drop(receiver);
        rounds.sort_by(f64::total_cmp);
        rounds[rounds.len() / 2]
    }
}

fn round(sender: &UdpSocket) -> f64 {
    let start = Instant::now();
    for _ in 0..DATAGRAMS {
        let _ = sender.send_to(&[0; 64], "10.0.0.11:5000");
    }
    start.elapsed().as_nanos() as f64 / f64::from(DATAGRAMS)
}

fn feed(netns: &Netns, command: &[&str], lines: &[String]) {
    let mut child = netns.command(command).stdin(Stdio::piped()).spawn().expect("the command starts");
    let mut input = child.stdin.take().expect("it reads");
    input.write_all(lines.join("\n").as_bytes()).expect("it takes all lines");
    drop(input);
    assert!(child.wait().expect("it ends").success(), "{command:?} failed");
}

fn average(times: &[Duration]) -> Duration {
    times.iter().sum::<Duration>() / times.len().max(1) as u32
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
