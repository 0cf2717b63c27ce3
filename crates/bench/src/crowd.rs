//! How are many slaves of one master made? Some talk, in namespaces of their own; the crowd is in a few other namespaces.

use crate::load::Ends;
use ipvl_testbed::{EXT_V4, Lab, Netns, ipvl_path};
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(500);
/// Ticks, of which there are 100 in a second, that the agent takes in such a pause when it has nothing to do.
const RESTING: u64 = 5;
/// The namespaces of the crowd. In only one, the kernel's IPv6 would look through all routes to `fe80::/64`, one for each
/// slave, for each packet.
const HOMES: usize = 64;
/// Addresses on each slave of the crowd: half of them IPv4, half IPv6.
pub const ADDRESSES: usize = 4;

/// Which driver makes the slaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// ipvl.
    Ipvl,
    /// The kernel's driver, by `ip`.
    Kernel,
}

/// A master with slaves in l2.
pub struct Crowd {
    lab: Lab,
    maker: Maker,
    talkers: usize,
    count: usize,
    homes: usize,
}

impl Crowd {
    /// A master with `talkers` slaves.
    pub fn new(maker: Maker, talkers: usize) -> Option<Self> {
        Self::at_homes(maker, talkers, HOMES)
    }

    /// The same, with a crowd in so many namespaces.
    pub fn at_homes(maker: Maker, talkers: usize, homes: usize) -> Option<Self> {
        let crowd = Self { lab: Lab::new(talkers + homes), maker, talkers, count: 0, homes };
        for netns in &crowd.lab.slaves {
            netns.sysctl("net/ipv6/conf/default/accept_dad", "0");
            netns.sysctl("net/ipv6/conf/default/router_solicitations", "0");
        }
        for n in 0..talkers {
            let (netns, tool) = (crowd.lab.slaves[n].name(), crowd.tool());
            let command = format!("{tool} link add link eth0 name t{n} netns {netns} type ipvlan mode l2");
            crowd.lab.host.exec(command.split(' ')).ok.then_some(())?;
            let netns = &crowd.lab.slaves[n];
            netns.run(["ip", "addr", "add", &format!("10.0.0.1{n}/8"), "dev", &format!("t{n}")]);
            netns.run(["ip", "link", "set", &format!("t{n}"), "up"]);
        }
        crowd.lab.ext.run(["ip", "addr", "add", "10.0.0.253/8", "dev", "eth0"]);
        Some(crowd)
    }

    /// Makes the crowd `count` large, by one command. Returns how long that took.
    pub fn grow_to(&mut self, count: usize) -> Duration {
        let add: Vec<_> = (self.count..count).map(|n| self.birth(n)).collect();
        let start = Instant::now();
        feed(&self.lab.host, &[&self.tool(), "-batch", "-"], &add);
        self.count = count;
        start.elapsed()
    }

    /// Sets all of it up, and waits until the agent and the kernel are done with that.
    pub fn raise(&self) {
        self.tell_each(0..self.count, |n| vec![format!("link set s{n} up")]);
        assert!(settles(|| self.running() == self.count), "not all of {} slaves have a carrier", self.count);
        self.rest();
    }

    /// Has all of it up and addressed at once; how much processor time the agent takes until all are in the table, and how
    /// long that lasts.
    pub fn raise_and_address(&self) -> (Duration, Duration) {
        let (start, before) = (Instant::now(), self.agent_ticks());
        self.tell_each(0..self.count, |n| vec![format!("link set s{n} up")]);
        self.address();
        let ticks = self.agent_ticks().saturating_sub(before);
        (Duration::from_millis(ticks * 10), start.elapsed())
    }

    /// Waits until the agent is idle: on one processor its work would be measured, too.
    pub fn rest(&self) {
        let mut before = u64::MAX;
        let rests = || {
            let now = self.agent_ticks();
            let last = std::mem::replace(&mut before, now);
            last != u64::MAX && now.saturating_sub(last) < RESTING
        };
        assert!(settles(rests), "the agent does not come to rest");
    }

    /// Adds one slave to it, by a command of its own. Returns how long that took.
    pub fn grow_by_one(&mut self) -> Duration {
        let command = format!("{} {}", self.tool(), self.birth(self.count));
        let start = Instant::now();
        self.lab.host.run(command.split(' '));
        let time = start.elapsed();
        self.home(self.count).run(["ip", "link", "set", &format!("s{}", self.count), "up"]);
        self.count += 1;
        time
    }

    /// Makes one bare pair of devices there, which is the least that a slave costs. Returns how long that took.
    pub fn bare_pair(&self) -> Duration {
        let home = self.home(0).name();
        let start = Instant::now();
        self.lab.host.run(["ip", "link", "add", "bare0", "type", "veth", "peer", "name", "bare1", "netns", home]);
        let time = start.elapsed();
        self.lab.host.run(["ip", "link", "del", "bare0"]);
        time
    }

    /// Shows all that there is of this kind. Returns how long that took.
    pub fn show(&self, kind: &str) -> Duration {
        let start = Instant::now();
        self.lab.host.run([&self.tool(), kind, "show"]);
        start.elapsed()
    }

    /// Starts an agent that stays, and waits until it has a spare pair of programs, before there is a slave.
    pub fn prepare(&self) -> Child {
        let mut command = self.lab.host.command([&self.tool(), "agent", "stay"]);
        let agent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let agent = agent.expect("start an agent");
        let descriptors = || fs::read_dir(format!("/proc/{}/fdinfo", agent.id())).into_iter().flatten().flatten();
        let is_program = |path: PathBuf| fs::read_to_string(path).is_ok_and(|text| text.contains("prog_type:\t3"));
        let programs = || descriptors().filter(|entry| is_program(entry.path())).count();
        // While they are loaded there are more descriptors of them, at first fewer programs.
        let mut seen = 0;
        let rests = || std::mem::replace(&mut seen, programs()) == 2 && seen == 2;
        assert!(settles(rests), "the agent does not load spare programs");
        agent
    }

    /// Gives each slave of the crowd its addresses. Returns how long it took until all are in the address table.
    pub fn address(&self) -> Duration {
        let both = |n: usize, part: usize| {
            let (high, low) = (n / 250, n % 250 + 1);
            let v4 = format!("addr add 10.{}.{high}.{low}/32 dev s{n}", 1 + part);
            [v4, format!("addr add fd01::{}:{n:x}/128 dev s{n} nodad", 1 + part)]
        };
        let start = Instant::now();
        self.tell_each(0..self.count, |n| (0..ADDRESSES / 2).flat_map(|part| both(n, part)).collect());
        let wanted = self.count * ADDRESSES;
        let known =
            || self.lab.host.run([&self.tool(), "addr", "show"]).lines().filter(|line| is_of_crowd(line)).count();
        if self.maker == Maker::Ipvl {
            assert!(settles(|| known() >= wanted), "{} of {wanted} addresses are known", known());
        }
        start.elapsed()
    }

    /// Removes the whole crowd by one command. Returns how long that took.
    pub fn dissolve(&mut self) -> Duration {
        let del: Vec<_> = (0..self.count).map(|n| format!("link del s{n}")).collect();
        let start = Instant::now();
        feed(&self.lab.host, &[&self.tool(), "-batch", "-"], &del);
        self.count = 0;
        start.elapsed()
    }

    /// From one talker, or the machine outside where there is none of that number, to another.
    pub fn ends(&self, client: usize, server: usize) -> Ends<'_> {
        Ends { client: self.place(client), server: self.place(server), to: self.address_of(server) }
    }

    /// A talker's netns, or that of the machine outside.
    pub fn place(&self, n: usize) -> &Netns {
        if n < self.talkers { &self.lab.slaves[n] } else { &self.lab.ext }
    }

    /// The netns with the master.
    pub fn host(&self) -> &Netns {
        &self.lab.host
    }

    /// How many there are in the crowd.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The crowd's receive counters.
    pub fn received(&self) -> Vec<u64> {
        self.homes().iter().flat_map(received).collect()
    }

    fn address_of(&self, n: usize) -> IpAddr {
        if n < self.talkers { format!("10.0.0.1{n}").parse().expect("an address") } else { EXT_V4.into() }
    }

    /// The command that makes one slave of the crowd.
    fn birth(&self, n: usize) -> String {
        format!("link add link eth0 name s{n} netns {} type ipvlan mode l2", self.home(n).name())
    }

    fn homes(&self) -> &[Netns] {
        &self.lab.slaves[self.talkers..]
    }

    fn home(&self, n: usize) -> &Netns {
        &self.homes()[n % self.homes]
    }

    /// What `ip` is to do for each slave of the crowd, in its netns.
    fn tell_each(&self, crowd: Range<usize>, lines: impl Fn(usize) -> Vec<String>) {
        for (place, home) in self.homes().iter().enumerate() {
            let here = crowd.clone().filter(|n| n % self.homes == place);
            feed(home, &["ip", "-batch", "-"], &here.flat_map(&lines).collect::<Vec<_>>());
        }
    }

    /// How much processor time, in ticks, has gone to what runs in the master's netns: the agent alone.
    fn agent_ticks(&self) -> u64 {
        let pids = self.lab.host.run(["ip", "netns", "pids", self.lab.host.name()]);
        pids.split_whitespace().map(ticks).sum()
    }

    fn tool(&self) -> String {
        match self.maker {
            Maker::Ipvl => ipvl_path().display().to_string(),
            Maker::Kernel => "ip".to_owned(),
        }
    }

    fn running(&self) -> usize {
        self.homes().iter().map(running).sum()
    }
}

/// `utime` and `stime` of a process (`proc_pid_stat(5)`).
fn ticks(pid: &str) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    after_name.skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum()
}

fn running(home: &Netns) -> usize {
    let links = home.run(["ip", "-o", "link", "show", "up"]);
    links.lines().filter(|line| line.contains(",LOWER_UP>") && !line.contains(" lo:")).count()
}

/// The receive counters there.
fn received(home: &Netns) -> Vec<u64> {
    let text = home.run(["cat", "/proc/net/dev"]);
    let crowd = text.lines().filter(|line| line.trim_start().starts_with('s'));
    crowd.filter_map(|line| line.split_whitespace().nth(2)?.parse().ok()).collect()
}

/// Whether the condition comes true. It is checked seldom: to list thousands of devices keeps the one processor of a
/// virtual machine busy.
fn settles(mut is_true: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !is_true() {
        if start.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(PAUSE);
    }
    true
}

/// Whether a line of `ipvl addr show` is of one of the addresses that the crowd was given.
fn is_of_crowd(line: &str) -> bool {
    line.starts_with("fd01:") || (line.starts_with("10.") && !line.starts_with("10.0."))
}

/// Runs a command that reads lines.
fn feed(netns: &Netns, command: &[&str], lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let mut child = netns.command(command).stdin(Stdio::piped()).spawn().expect("the command starts");
    let mut input = child.stdin.take().expect("it reads");
    input.write_all(lines.join("\n").as_bytes()).expect("it takes all lines");
    drop(input);
    assert!(child.wait().expect("it ends").success(), "{command:?} failed");
}
