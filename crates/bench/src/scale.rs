//! What do many slaves of one master cost? Time to add and remove them, memory in the kernel and in the agent, and the
//! cost of a packet between two of them, compared with a port of only two slaves.

use crate::crowd::{ADDRESSES, Crowd, Maker};
use crate::load::Load;
use crate::results::Results;
use ipvl_control::kernel::bpf::{AttachType, map_fd_by_id, prog_fd_by_id, prog_info, prog_query};
use ipvl_core::IfIndex;
use ipvl_testbed::{EXT_MAC, EXT_V4, packet, wait_until};
use std::env;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

/// The two that talk.
const TALKERS: usize = 2;
/// How many are added one by one, after all others.
const LAST: usize = 5;
const ROUNDS: usize = 5;
/// More namespaces take longer to make than all that is measured.
const MOST_HOMES: usize = 250;
const COUNTS: &str = "2 1000 4096";
const SOON: Duration = Duration::from_secs(10);
/// The machine outside, as a place.
const OUTSIDE: usize = TALKERS;

/// Measures ports of `COUNTS` slaves, and writes what it found.
pub fn scale(file: &Path) -> io::Result<()> {
    let counting = env::var("COUNTING").is_ok_and(|value| !value.is_empty());
    let counts = env::var("COUNTS").ok().filter(|counts| !counts.is_empty()).unwrap_or_else(|| COUNTS.to_owned());
    let mut results = Results::new(counting);
    for count in counts.split_whitespace().filter_map(|count| count.parse().ok()) {
        eprintln!("{count} slaves with {ADDRESSES} addresses each");
        let mut notes = Notes { count, results: &mut results };
        if counting {
            packets(&mut notes)
        } else {
            everything(&mut notes)
        }
        results.write(file)?;
    }
    Ok(())
}

/// The results for a port of that many slaves.
struct Notes<'a> {
    count: usize,
    results: &'a mut Results,
}

impl Notes<'_> {
    fn add(&mut self, what: &str, number: f64) {
        eprintln!("{}: {what}: {number:.2}", self.count);
        self.results.add(["ipvl", what, &self.count.to_string(), ""], number);
    }
}

/// In the virtual kernel, where time is instructions, only packets are measured. The crowd is in the tables, but down, so
/// that it sends nothing itself.
fn packets(notes: &mut Notes<'_>) {
    let mut crowd = Crowd::new(Maker::Ipvl, TALKERS).expect("slaves");
    crowd.grow_to(notes.count.saturating_sub(TALKERS));
    crowd.address();
    crowd.rest();
    loads(&crowd, 2048, notes);
}

/// A crowd that comes up and is addressed at once: all in one netns, and each in its own, as far as there are namespaces.
fn convergence(notes: &mut Notes<'_>) {
    for (place, homes) in [("one netns", 1), ("a netns each", notes.count.min(MOST_HOMES))] {
        let mut crowd = Crowd::at_homes(Maker::Ipvl, 0, homes).expect("a master");
        crowd.grow_to(if homes == 1 { notes.count } else { homes });
        crowd.rest();
        let (processor, time) = crowd.raise_and_address();
        notes.add(&format!("agent CPU until all are in the table, {place}, ms"), millis(processor));
        notes.add(&format!("time until all are in the table, {place}, ms"), millis(time));
    }
}

fn everything(notes: &mut Notes<'_>) {
    convergence(notes);
    let mut crowd = Crowd::new(Maker::Ipvl, 0).expect("a master");
    notes.add("first link add, ms", millis(crowd.grow_by_one()));
    notes.add("second link add, ms", millis(crowd.grow_by_one()));
    drop(crowd);
    let mut crowd = Crowd::new(Maker::Ipvl, 0).expect("a master");
    let mut agent = crowd.prepare();
    notes.add("first link add, spare programs, ms", millis(crowd.grow_by_one()));
    drop(crowd);
    let _ = agent.kill().and_then(|()| agent.wait());
    let mut crowd = Crowd::new(Maker::Ipvl, TALKERS).expect("slaves");
    let (others, before) = (notes.count.saturating_sub(TALKERS), kernel_memory());
    let many = others.saturating_sub(LAST);
    if many > 0 {
        notes.add("link add in a batch, per slave, ms", millis(crowd.grow_to(many)) / many as f64);
        crowd.raise();
        for _ in 0..LAST {
            notes.add("last link add, ms", millis(crowd.grow_by_one()));
            notes.add("bare pair by ip, ms", millis(crowd.bare_pair()));
        }
        notes.add("addr add in a batch, per address, ms", millis(crowd.address()) / (others * ADDRESSES) as f64);
        crowd.rest();
        notes.add("kernel memory per slave, kB", (kernel_memory() - before) / others as f64);
        for _ in 0..ROUNDS {
            notes.add("link show, ms", millis(crowd.show("link")));
            notes.add("addr show, ms", millis(crowd.show("addr")));
        }
        notes.add("slaves reached by a broadcast", reached(&crowd) as f64);
    }
    notes.add("maps of the port, kB", maps(&crowd));
    notes.add("agent, kB", agent_memory(&crowd));
    loads(&crowd, 40_000, notes);
    if others > 0 {
        notes.add("link del in a batch, per slave, ms", millis(crowd.dissolve()) / others as f64);
    }
}

/// The cost of a datagram with so many slaves.
fn loads(crowd: &Crowd, datagrams: u32, notes: &mut Notes<'_>) {
    for _ in 0..ROUNDS {
        for (what, ends) in
            [("slave to slave", [0, 1]), ("slave to outside", [0, OUTSIDE]), ("outside to slave", [OUTSIDE, 1])]
        {
            let [client, server] = ends;
            notes.add(&format!("datagram, {what}"), Load::UdpPps.run(crowd.ends(client, server), datagrams));
        }
    }
}

/// How many of the crowd one broadcast from outside comes to.
fn reached(crowd: &Crowd) -> usize {
    let before = crowd.received();
    let all: u64 = before.iter().sum::<u64>() + crowd.len() as u64;
    let target = [10, 9, 9, 9].into();
    crowd.place(OUTSIDE).port("eth0").inject(&packet::arp_request(EXT_MAC, EXT_V4, target));
    let _ = wait_until(SOON, || crowd.received().iter().sum::<u64>() >= all);
    let after = crowd.received();
    before.iter().zip(&after).filter(|(before, after)| after > before).count()
}

/// The memory of the maps of the master's program, as the kernel reports it.
fn maps(crowd: &Crowd) -> f64 {
    let index = crowd.host().run(["cat", "/sys/class/net/eth0/ifindex"]);
    let index = IfIndex(index.trim().parse().expect("an ifindex"));
    let ids = crowd.host().within(|| prog_query(index, AttachType::TcxIngress)).expect("ask for the master's program");
    let program = prog_fd_by_id(ids[0]).expect("open the program");
    let maps = prog_info(program).expect("describe the program").map_ids;
    let bytes = maps.into_iter().map(|id| {
        let map = map_fd_by_id(id).expect("open a map");
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_raw_fd())).expect("describe a map");
        let locked =
            text.lines().find_map(|line| line.strip_prefix("memlock:")).and_then(|word| word.trim().parse().ok());
        locked.unwrap_or(0.0)
    });
    bytes.sum::<f64>() / 1024.0
}

/// The memory of all processes in the master's netns, of which the agent is the only one.
fn agent_memory(crowd: &Crowd) -> f64 {
    let pids = crowd.host().run(["ip", "netns", "pids", crowd.host().name()]);
    let occupied = |pid: &str| line_of(&format!("/proc/{pid}/status"), "VmRSS:");
    pids.split_whitespace().map(occupied).sum()
}

fn kernel_memory() -> f64 {
    const KINDS: [&str; 5] = ["Slab:", "Percpu:", "VmallocUsed:", "KernelStack:", "PageTables:"];
    KINDS.map(|kind| line_of("/proc/meminfo", kind)).iter().sum()
}

/// The number, in kB, in the line of a file that begins so.
fn line_of(file: &str, start: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let rest = text.lines().find_map(|line| line.strip_prefix(start));
    rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
