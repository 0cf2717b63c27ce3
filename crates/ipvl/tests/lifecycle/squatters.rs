//! Can a user without rights keep root from its slaves, by binding or filling sockets of ours?

use std::fs;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use ipvl_testbed::{Lab, Netns, require_root};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;

use crate::common::{agents, kill_agent, run, soon};

const NOBODY: u32 = 65534;
/// What older versions bound.
const FIXED: [&str; 2] = ["ipvl-lock", "ipvl-agent"];
/// So many connections to one socket of ours.
const CROWD: usize = 100;
/// So many sockets in all, which the test can open.
const MOST: usize = 500;

#[test]
fn who_binds_and_fills_our_sockets_stops_nothing() {
    require_root!();
    let lab = Lab::new(2);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (ready, is_ready) = channel();
        let squatter = scope.spawn(|| squat(&lab.host, &stop, ready));
        is_ready.recv().expect("it has bound the fixed names");
        for n in [0, 1] {
            lab.add_slave(n, "mode l2", &[&format!("10.0.0.1{n}/24")]);
        }
        lab.ipvl("link set ipvl0 type ipvlan vepa");
        run(&lab.host, "ip addr add 10.0.0.77/24 dev eth0");
        soon("the host's new address is protected", || lab.ipvl("addr show").contains("10.0.0.77 host"));
        kill_agent(&lab.host);
        lab.ipvl("link set ipvl0 type ipvlan bridge");
        assert_eq!(agents(&lab.host).len(), 1, "the next command starts an agent");
        assert!(lab.ipvl("doctor").contains("and answers"));
        lab.ipvl("link del ipvl0");
        lab.ipvl("link del ipvl1");
        assert!(agents(&lab.host).is_empty());
        stop.store(true, Ordering::Relaxed);
        let seen = squatter.join().expect("the squatter");
        assert!(seen > FIXED.len(), "it never found a socket of ours");
    });
}

/// As nobody, binds all names of ours that it can find, and connects to them; how many it found.
fn squat(netns: &Netns, stop: &AtomicBool, ready: Sender<()>) -> usize {
    let work = || {
        let uid = Uid::from_raw(NOBODY);
        set_thread_res_uid(uid, uid, uid).expect("root");
        let mut bound: Vec<UnixListener> = FIXED.iter().filter_map(|name| bind(name)).collect();
        assert_eq!(bound.len(), FIXED.len());
        ready.send(()).expect("the test waits");
        let (mut connected, mut names): (Vec<OwnedFd>, Vec<String>) = (Vec::new(), Vec::new());
        while !stop.load(Ordering::Relaxed) {
            names.extend(ours().into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
            bound.extend(names.iter().filter_map(|name| bind(name)));
            connected.extend(names.iter().flat_map(|name| (0..CROWD).map_while(|_| connect(name))));
            connected.truncate(if connected.len() > MOST { 0 } else { MOST });
        }
        names.len()
    };
    netns.within(work)
}

/// The abstract names of this netns that look like ours.
fn ours() -> Vec<String> {
    let all = fs::read_to_string("/proc/thread-self/net/unix").expect("a list");
    let names = all.lines().filter_map(|line| line.split_once('@')).map(|(_, name)| name.to_owned());
    names.filter(|name| name.starts_with("ipvl")).collect()
}

fn bind(name: &str) -> Option<UnixListener> {
    UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).ok()?).ok()
}

/// Without waiting for room in the queue.
fn connect(name: &str) -> Option<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
    let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).ok()?;
    rustix::net::connect(&socket, &address).ok().map(|()| socket)
}
