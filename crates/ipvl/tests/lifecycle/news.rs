//! What if the agent loses events, or another program undoes its changes?

use std::fs;
use std::os::fd::OwnedFd;

use ipvl_testbed::{Lab, Netns, require_root};
use rustix::net::sockopt::{set_socket_recv_buffer_size, socket_recv_buffer_size};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};

use crate::common::{agents, run, soon};

/// The agent's subscription has by far the most room; no other socket of it comes near.
const ROOM: usize = 16 << 20;

#[test]
fn what_is_lost_is_read_again() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    let agent = Stopped::new(&lab.host);
    set_socket_recv_buffer_size(agent.subscription(), 4096).expect("set the buffer's size");
    let addresses: String = (2..100).map(|n| format!("addr add 127.0.0.{n}/8 dev lo\n")).collect();
    batch(&lab.host, &addresses);
    run(&lab.slaves[0], "ip addr add 10.0.0.20/24 dev ipvl0");
    run(&lab.slaves[0], &format!("ip link set ipvl0 netns {}", lab.slaves[1].name()));
    run(&lab.slaves[1], "ip addr add 10.0.0.30/24 dev ipvl0");
    run(&lab.slaves[1], "ip link set ipvl0 up");
    assert!(agent.lost_news(), "the test wants events to be lost");
    drop(agent);
    soon("the address that nobody told", || lab.ipvl("addr show").contains("10.0.0.30"));
    assert!(!lab.ipvl("addr show").contains("10.0.0.20"));
    soon("traffic", || lab.pings(&lab.ext, "10.0.0.30"));
    run(&lab.slaves[1], "ip addr add 10.0.0.40/24 dev ipvl0");
    soon("later news", || lab.ipvl("addr show").contains("10.0.0.40"));
}

#[test]
fn routes_that_are_flushed_come_back() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l3s", &["10.0.0.10/24", "fd00::10/64"]);
    let routes = |family: &str| run(&lab.host, &format!("ip {family} route show proto 157"));
    for (family, to) in [("-4", "10.0.0.10"), ("-6", "fd00::10")] {
        soon("the route", || routes(family).contains(to));
        run(&lab.host, &format!("ip {family} route flush proto 157"));
        soon("the route again", || routes(family).contains(to));
    }
    soon("from the host", || lab.pings(&lab.host, "10.0.0.10"));
    // Other programs' routes come and go.
    run(&lab.host, "ip route replace 10.0.0.10/32 via 10.0.0.254 proto static");
    run(&lab.host, "ip route del 10.0.0.10/32 via 10.0.0.254 proto static");
    lab.ipvl("link del ipvl0");
    assert_eq!((routes("-4"), routes("-6")), (String::new(), String::new()));
}

fn batch(netns: &Netns, lines: &str) {
    let file = tempfile(lines);
    run(netns, &format!("ip -batch {file}"));
    fs::remove_file(file).expect("remove the batch file");
}

fn tempfile(text: &str) -> String {
    let name = std::env::temp_dir().join(format!("ipvlt-{}-batch", std::process::id()));
    fs::write(&name, text).expect("write the batch file");
    name.display().to_string()
}

/// An agent that is stopped for a while.
struct Stopped(Pid);

impl Stopped {
    fn new(netns: &Netns) -> Self {
        let pid = Pid::from_raw(agents(netns)[0].cast_signed()).expect("a process id");
        kill_process(pid, Signal::STOP).expect("stop the agent");
        Self(pid)
    }

    fn path(&self, what: &str) -> String {
        format!("/proc/{}/{what}", self.0.as_raw_nonzero())
    }

    /// The socket on which it gets events.
    fn subscription(&self) -> OwnedFd {
        let process = pidfd_open(self.0, PidfdFlags::empty()).expect("open the process");
        let numbers = fs::read_dir(self.path("fd")).expect("list descriptors").flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut copies = numbers.filter_map(|fd| pidfd_getfd(&process, fd, PidfdGetfdFlags::empty()).ok());
        copies.find(|fd| socket_recv_buffer_size(fd).is_ok_and(|room| room > ROOM)).expect("a subscription")
    }

    /// Whether the kernel had no room for some of it: the ninth column.
    fn lost_news(&self) -> bool {
        let table = fs::read_to_string(self.path("net/netlink")).expect("list netlink sockets");
        table.lines().skip(1).any(|line| line.split_whitespace().nth(8).is_some_and(|drops| drops != "0"))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}
