//! May the agent be killed at any time, and does it start and end when it should?

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ipvl_testbed::{EXT_V4, Lab, Netns, ipvl_path, require_root, wait_until};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::common::{Probe, agent, agents, exec, kill_agent, run, shell, signal, soon, start_agent};

#[test]
fn traffic_goes_on_when_the_agent_is_killed() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2 bridge", &["10.0.0.10/24"]);
    lab.add_slave(1, "mode l2 bridge", &["10.0.0.11/24"]);
    let streams = [
        Stream::start(&lab.slaves[0], &lab.slaves[1], "10.0.0.11:5001"),
        Stream::start(&lab.slaves[1], &lab.ext, "10.0.0.254:5001"),
    ];
    let probes = [
        Probe::start(&lab.slaves[0], &lab.slaves[1], "10.0.0.11:7"),
        Probe::start(&lab.slaves[0], &lab.ext, &format!("{EXT_V4}:7")),
        Probe::start(&lab.ext, &lab.slaves[1], "10.0.0.11:8"),
    ];
    probes.iter().for_each(|probe| probe.more(100));
    kill_agent(&lab.host);
    probes.iter().for_each(|probe| probe.more(300));
    for (probe, what) in probes.into_iter().zip(["between siblings", "to the wire", "from the wire"]) {
        probe.expect_no_loss(what);
    }
    for stream in streams {
        let (sent, received) = stream.finish();
        assert!(sent == received && sent > 1 << 20, "{sent} bytes sent, {received} received");
    }
}

#[test]
fn a_new_agent_sees_what_happened_while_there_was_none() {
    require_root!();
    let lab = Lab::new(3);
    lab.add_slave(0, "mode l2 bridge", &["10.0.0.10/24", "10.0.0.20/24"]);
    lab.add_slave(1, "mode l2 bridge", &["10.0.0.11/24"]);
    kill_agent(&lab.host);
    run(&lab.slaves[0], "ip addr add 10.0.0.21/24 dev ipvl0");
    run(&lab.slaves[0], "ip addr del 10.0.0.20/24 dev ipvl0");
    run(&lab.slaves[1], &format!("ip link set ipvl1 netns {}", lab.slaves[2].name()));
    run(&lab.slaves[2], "ip addr add 10.0.0.12/24 dev ipvl1");
    run(&lab.slaves[2], "ip link set ipvl1 up");
    let mut agent = start_agent(&lab.host);
    soon("the new addresses are in the table", || {
        let table = lab.ipvl("addr show");
        table.contains("10.0.0.21") && table.contains("10.0.0.12")
    });
    let table = lab.ipvl("addr show");
    assert!(!table.contains("10.0.0.20/") && !table.contains("10.0.0.11/"), "{table}");
    soon("the moved slave can be reached", || lab.pings(&lab.ext, "10.0.0.12"));
    assert!(lab.pings(&lab.slaves[2], "10.0.0.21"));
    lab.ipvl("link del ipvl0");
    lab.ipvl("link del ipvl1");
    assert!(agent.wait().expect("wait for the agent").success(), "the agent ends with success");
}

#[test]
fn a_second_agent_leaves_at_once() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l3", &["10.0.0.10/24"]);
    let first = agents(&lab.host);
    assert_eq!(first.len(), 1);
    lab.ipvl("agent");
    assert_eq!(agents(&lab.host), first);
}

#[test]
fn an_agent_that_is_being_killed_keeps_no_new_one_away() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l3", &["10.0.0.10/24"]);
    kill_agent(&lab.host);
    let mut agent = start_agent(&lab.host);
    for round in 0..20 {
        soon("an agent", || !agents(&lab.host).is_empty());
        agent.kill().expect("kill the agent");
        let mut next = start_agent(&lab.host);
        agent.wait().expect("wait for the agent");
        assert!(!ended_within_a_moment(&mut next), "round {round}: it left to the one that was being killed");
        agent = next;
    }
    lab.ipvl("link del ipvl0");
    assert!(agent.wait().expect("wait for the agent").success());
}

#[test]
fn without_slaves_an_agent_has_nothing_to_stay_for() {
    require_root!();
    let lab = Lab::new(0);
    lab.ipvl("agent");
    assert!(agents(&lab.host).is_empty());
}

#[test]
fn the_agent_goes_with_its_last_slave() {
    require_root!();
    let lab = Lab::new(2);
    for n in [0, 1] {
        lab.add_slave(n, "mode l2", &[]);
    }
    lab.ipvl("link del ipvl0");
    assert_eq!(agents(&lab.host).len(), 1);
    lab.ipvl("link del ipvl1");
    assert!(agents(&lab.host).is_empty(), "`link del` returns when the agent is gone");
}

#[test]
fn the_agent_outlives_who_started_it() {
    require_root!();
    let lab = Lab::new(1);
    let add = format!("{} link add link eth0 name ipvl0 type ipvlan mode l2; sleep 60", ipvl_path().display());
    let mut shell = lab.host.command(["bash", "-c", &add]).process_group(0).spawn().expect("start a shell");
    soon("the slave is there", || exec(&lab.host, "ip link show ipvl0").ok && agents(&lab.host).len() == 1);
    let agent = agents(&lab.host)[0];
    soon("the agent leaves the session", || session_of(agent) == Some(agent));
    let group = Pid::from_raw(shell.id().cast_signed()).expect("a process id");
    kill_process_group(group, Signal::KILL).expect("kill the group");
    shell.wait().expect("wait for the shell");
    run(&lab.host, &format!("ip link set ipvl0 netns {}", lab.slaves[0].name()));
    run(&lab.slaves[0], "ip addr add 10.0.0.10/24 dev ipvl0");
    run(&lab.slaves[0], "ip link set ipvl0 up");
    soon("the agent does its work", || lab.pings(&lab.ext, "10.0.0.10"));
    assert_eq!(agents(&lab.host), [agent]);
}

#[test]
fn the_agent_holds_on_to_nothing_of_who_started_it() {
    require_root!();
    let lab = Lab::new(0);
    let script =
        "lock=$(mktemp); exec 9>$lock; flock -n 9; $IPVL link add link eth0 name a type ipvlan mode l2 || exit 2
        exec 9>&-; flock -n $lock true; free=$?; rm $lock; exit $free";
    let output = shell(&lab.host, script);
    assert_eq!(output.code, Some(0), "the agent keeps the caller's lock: {}", output.stderr);
    assert_eq!(agents(&lab.host).len(), 1);
}

#[test]
fn a_command_whose_agent_is_killed_meanwhile_goes_on_with_another() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    let first = agent(&lab.host);
    signal(first, Signal::STOP);
    thread::scope(|scope| {
        let command = scope.spawn(|| lab.try_ipvl("link set ipvl0 type ipvlan private"));
        soon("the command has asked", || is_asked(&lab.host));
        signal(first, Signal::KILL);
        let done = command.join().expect("no panic");
        assert!(done.ok, "{}", done.stderr);
    });
    assert!(lab.ipvl("link show ipvl0").contains("private"));
    assert_ne!(agents(&lab.host), [first]);
}

#[test]
fn a_stopped_agent_is_named_and_what_needed_it_is_undone() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    let agent = agent(&lab.host);
    signal(agent, Signal::STOP);
    let expected = format!("process {agent}, does not answer: it is stopped by a signal");
    thread::scope(|scope| {
        let examined = scope.spawn(|| lab.try_ipvl("doctor"));
        let added = lab.try_ipvl("link add link eth0 name ipvl1 type ipvlan mode l2");
        assert!(!added.ok && added.stderr.contains(&expected), "{}", added.stderr);
        let examined = examined.join().expect("no panic");
        assert!(!examined.ok && examined.stdout.contains(&expected), "{}", examined.stdout);
    });
    assert!(!exec(&lab.host, "ip link show ipvl1").ok, "it is undone");
    signal(agent, Signal::CONT);
    lab.ipvl("link add link eth0 name ipvl1 type ipvlan mode l2");
    assert_eq!(agents(&lab.host), [agent]);
}

/// Whether a connection to the agent waits to be accepted.
fn is_asked(netns: &Netns) -> bool {
    const CONNECTING: &str = "02";
    let sockets = run(netns, "cat /proc/net/unix");
    let waits = |line: &str| line.contains("@ipvl-agent") && line.split_whitespace().nth(5) == Some(CONNECTING);
    sockets.lines().any(waits)
}

fn ended_within_a_moment(process: &mut Child) -> bool {
    wait_until(Duration::from_millis(50), || process.try_wait().expect("ask after the agent").is_some())
}

fn session_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(3)?.parse().ok()
}

/// A TCP connection that carries as much as it can.
struct Stream {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<u64>,
}

impl Stream {
    fn start(from: &Netns, to: &Netns, target: &str) -> Self {
        let port = target.rsplit(':').next().expect("a port");
        let listener = to.within(|| TcpListener::bind(format!("0.0.0.0:{port}"))).expect("listen");
        let stream = from.within(|| TcpStream::connect(target)).expect("connect");
        let stop = Arc::new(AtomicBool::new(false));
        let receiver = thread::spawn(move || drain(listener.accept().expect("accept").0));
        let sender = thread::spawn({
            let stop = Arc::clone(&stop);
            move || pour(stream, &stop)
        });
        Self { stop, sender, receiver }
    }

    /// The bytes that were sent and received.
    fn finish(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        (self.sender.join().expect("the sender"), self.receiver.join().expect("the receiver"))
    }
}

fn pour(mut stream: TcpStream, stop: &AtomicBool) -> u64 {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(&[0; 4096]).expect("send");
        sent += 4096;
        // Leaves half of the machine to other tests.
        thread::sleep(std::time::Duration::from_micros(50));
    }
    sent
}

fn drain(mut stream: TcpStream) -> u64 {
    let (mut received, mut buffer) = (0, vec![0; 1 << 16]);
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        received += length as u64;
    }
    received
}
