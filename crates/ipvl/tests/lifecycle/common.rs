//! What do these tests look at? Agents, attached programs, and everything that could be left behind in a netns.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ipvl_control::kernel::bpf::{self, AttachType};
use ipvl_control::kernel::netlink::{FilterPoint, Netlink};
use ipvl_core::IfIndex;
use ipvl_testbed::{Lab, Netns, Output, bound, ipvl_path, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// For what must happen soon; only a failing test waits this long.
pub const SOON: Duration = Duration::from_secs(5);

/// Runs a line in a netns and fails the test unless it succeeds.
#[track_caller]
pub fn run(netns: &Netns, line: &str) -> String {
    netns.run(line.split_whitespace())
}

/// Runs a line in a netns.
#[track_caller]
pub fn exec(netns: &Netns, line: &str) -> Output {
    netns.exec(line.split_whitespace())
}

/// Runs shell text in a netns, with `$IPVL` set.
#[track_caller]
pub fn shell(netns: &Netns, text: &str) -> Output {
    let ipvl = format!("IPVL={}", ipvl_path().display());
    netns.exec(["env", &ipvl, "bash", "-c", text])
}

/// Fails unless `condition` comes true soon.
#[track_caller]
pub fn soon(what: &str, condition: impl FnMut() -> bool) {
    assert!(wait_until(SOON, condition), "{what}: not within {SOON:?}");
}

/// True if a ping is answered within a moment: for those that are expected to fail.
#[track_caller]
pub fn pings_now(from: &Netns, to: &str) -> bool {
    exec(from, &format!("ping -n -q -c 1 -W 0.3 {to}")).ok
}

/// The agents in a netns.
pub fn agents(netns: &Netns) -> Vec<u32> {
    let pids = exec(netns, &format!("ip netns pids {}", netns.name())).stdout;
    let is_agent = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.ends_with(b"ipvl\0agent\0") || words.ends_with(b"ipvl\0agent\0stay\0")
    };
    pids.lines().filter_map(|pid| pid.trim().parse().ok()).filter(is_agent).collect()
}

/// Kills a process.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).expect("a process id"), signal).expect("signal");
}

/// The only agent there.
#[track_caller]
pub fn agent(netns: &Netns) -> u32 {
    let [agent] = agents(netns)[..] else { panic!("agents: {:?}", agents(netns)) };
    agent
}

/// Kills the only agent there, and waits until it is gone.
#[track_caller]
pub fn kill_agent(netns: &Netns) {
    kill(agent(netns));
    soon("the agent is gone", || agents(netns).is_empty());
}

/// Starts an agent by hand.
pub fn start_agent(netns: &Netns) -> Child {
    let mut command = netns.command([ipvl_path().as_os_str(), "agent".as_ref()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("start the agent")
}

/// The programs on the ingress of the devices of a netns, by either hook: device, program name, id.
pub fn programs(netns: &Netns) -> Vec<(String, String, u32)> {
    netns.within(|| {
        let netlink = Netlink::open().expect("netlink");
        let links = netlink.links(None).expect("links").into_iter();
        links
            .flat_map(|link| attached(&netlink, link.ifindex).into_iter().map(move |id| (link.name.clone(), id)))
            .filter_map(|(device, id)| Some((device, bpf::prog_info(bpf::prog_fd_by_id(id).ok()?).ok()?.name, id)))
            .collect()
    })
}

fn attached(netlink: &Netlink, ifindex: IfIndex) -> Vec<u32> {
    let mut ids = bpf::prog_query(ifindex, AttachType::TcxIngress).unwrap_or_default();
    let filters = netlink.bpf_filters(FilterPoint::Device(ifindex)).unwrap_or_default();
    ids.extend(filters.into_iter().map(|filter| filter.prog_id));
    ids
}

/// Whether a program is loaded, attached or not.
pub fn is_loaded(id: u32) -> bool {
    bpf::prog_fd_by_id(id).is_ok()
}

/// The names of all host ends here.
pub fn host_ends(netns: &Netns) -> BTreeSet<String> {
    links(netns).into_iter().filter(|name| name.starts_with("ipvlh")).collect()
}

/// The names of all links here.
pub fn links(netns: &Netns) -> BTreeSet<String> {
    let all = run(netns, "ip -br link");
    let names = all.lines().filter_map(|line| line.split_whitespace().next());
    names.map(|name| name.split('@').next().unwrap_or_default().to_owned()).collect()
}

/// One attribute of a link, by iproute2's JSON name.
pub fn link_value(netns: &Netns, name: &str, key: &str) -> Value {
    let output = exec(netns, &format!("ip -d -j link show {name}")).stdout;
    serde_json::from_str::<Value>(&output).map_or(Value::Null, |links| links[0][key].clone())
}

/// Everything that ipvl could leave behind in a netns.
pub fn traces(netns: &Netns) -> String {
    let commands = [
        "ip -br link",
        "ip -4 route show table all proto 157",
        "ip -6 route show table all proto 157",
        "tc qdisc show",
    ];
    let mut text: String = commands.iter().map(|line| format!("{line}:\n{}", run(netns, line))).collect();
    for switch in ["ipv4/conf/eth0/forwarding", "ipv6/conf/eth0/forwarding", "ipv6/conf/eth0/force_forwarding"] {
        let value = netns.within(|| fs::read_to_string(format!("/proc/sys/net/{switch}")));
        text += &format!("{switch} {}\n", value.unwrap_or_default().trim());
    }
    text + &format!("programs {:?}\nagents {}\n", programs(netns), agents(netns).len())
}

/// Fails unless a netns is soon as it was.
#[track_caller]
pub fn expect_as_before(netns: &Netns, before: &str) {
    let mut after = String::new();
    let same = wait_until(SOON, || {
        after = traces(netns);
        after == before
    });
    assert!(same, "left behind:\n{after}\nbefore it was:\n{before}");
}

/// Fails unless every host end that is up has the program, and so no slave has a carrier without it.
#[track_caller]
pub fn expect_closed(lab: &Lab) {
    let programs = programs(&lab.host);
    for name in host_ends(&lab.host) {
        let flags = link_value(&lab.host, &name, "flags").to_string();
        let guarded = programs.iter().any(|(device, program, _)| *device == name && program == "slave_xmit");
        assert!(guarded || !flags.contains("\"UP\""), "{name} is up without a program: {flags} {programs:?}");
    }
}

/// Datagrams with a number, one in a millisecond.
pub struct Probe {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<Vec<String>>,
    receiver: JoinHandle<BTreeSet<u32>>,
    sent: Arc<std::sync::atomic::AtomicU32>,
}

impl Probe {
    /// From any address of one netns to `target`, which belongs to another.
    pub fn start(from: &Netns, to: &Netns, target: &str) -> Self {
        Self::start_every(Duration::from_millis(1), from, to, target)
    }

    /// The same at another pace.
    pub fn start_every(pace: Duration, from: &Netns, to: &Netns, target: &str) -> Self {
        let target: SocketAddr = target.parse().expect("address and port");
        let any = if target.is_ipv4() { "0.0.0.0" } else { "::" };
        let receiving = to.within(|| bound(|| UdpSocket::bind((any, target.port()))));
        // The reader may be delayed, but what has arrived stays in the socket.
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&receiving, 8 << 20).expect("make room");
        let sending = from.within(|| UdpSocket::bind((any, 0))).expect("bind the sender");
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let sender = thread::spawn({
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            move || send(&sending, target, pace, &stop, &sent)
        });
        let receiver = thread::spawn({
            let stop = Arc::clone(&stop);
            move || receive(&receiving, &stop)
        });
        Self { stop, sender, receiver, sent }
    }

    /// Waits until some more have been sent.
    #[track_caller]
    pub fn more(&self, datagrams: u32) {
        let goal = self.sent.load(Ordering::Relaxed) + datagrams;
        soon("datagrams go on", || self.sent.load(Ordering::Relaxed) >= goal);
    }

    /// Stops; how many were sent, which of them did not arrive, and what the sender was told.
    pub fn finish(self) -> Loss {
        self.stop.store(true, Ordering::Relaxed);
        let errors = self.sender.join().expect("the sender");
        let arrived = self.receiver.join().expect("the receiver");
        let sent = self.sent.load(Ordering::Relaxed);
        Loss { sent, lost: (0..sent).filter(|number| !arrived.contains(number)).collect(), errors }
    }

    /// Stops, and fails if any was lost.
    #[track_caller]
    pub fn expect_no_loss(self, what: &str) {
        soon("datagrams are sent before, meanwhile and after", || self.sent.load(Ordering::Relaxed) > 20);
        let loss = self.finish();
        assert!(loss.lost.is_empty(), "{what}: {loss:?}");
    }
}

/// What became of a probe.
#[derive(Debug)]
pub struct Loss {
    /// How many were sent.
    pub sent: u32,
    /// Which of them did not arrive.
    pub lost: Vec<u32>,
    /// What the sender's kernel said.
    #[allow(dead_code, reason = "printed")]
    pub errors: Vec<String>,
}

fn send(
    socket: &UdpSocket,
    target: SocketAddr,
    pace: Duration,
    stop: &AtomicBool,
    sent: &std::sync::atomic::AtomicU32,
) -> Vec<String> {
    let (mut next, mut errors) = (Instant::now(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let number = sent.load(Ordering::Relaxed);
        if let Err(error) = socket.send_to(&number.to_be_bytes(), target) {
            errors.push(format!("{number}: {error}"));
        }
        sent.store(number + 1, Ordering::Relaxed);
        // After a delay the sender does not send a burst.
        next = Instant::now().max(next + pace);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    errors
}

/// Until it was told to stop and nothing came for a while.
fn receive(socket: &UdpSocket, stop: &AtomicBool) -> BTreeSet<u32> {
    let mut arrived = BTreeSet::new();
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("set a timeout");
    loop {
        let mut number = [0; 4];
        let stopped = stop.load(Ordering::Relaxed);
        match socket.recv(&mut number) {
            Ok(_) => _ = arrived.insert(u32::from_be_bytes(number)),
            Err(_) if stopped => return arrived,
            Err(_) => {}
        }
    }
}
