//! Does the agent work as a service: does it wait for slaves, notify when it is ready, and stay alone in its netns?

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use ipvl_testbed::{Lab, ipvl_path, require_root};
use rustix::process::Signal;

use crate::common::{agent, agents, kill_agent, run, signal, soon, start_agent};

const READY: Duration = Duration::from_secs(5);
/// Longer than anything here takes, and shorter than a wait for an agent that does not leave.
const AT_ONCE: Duration = Duration::from_millis(1500);

#[test]
fn it_waits_for_slaves_and_is_the_one_that_commands_find() {
    require_root!();
    let lab = Lab::new(1);
    let service = Service::start(&lab);
    assert_eq!(agents(&lab.host), [service.pid()], "without slaves");
    for _ in 0..2 {
        lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
        assert!(lab.pings(&lab.ext, "10.0.0.10"));
        let start = Instant::now();
        lab.ipvl("link del ipvl0");
        assert!(start.elapsed() < AT_ONCE, "a command waits for the end of an agent that stays");
        assert_eq!(agents(&lab.host), [service.pid()], "with its last slave gone");
    }
}

#[test]
fn it_takes_the_place_of_the_agent_that_a_command_started() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    let before = agents(&lab.host);
    let service = Service::start(&lab);
    assert_eq!(agents(&lab.host), [service.pid()], "in the place of {before:?}");
    run(&lab.slaves[0], "ip addr add 10.0.0.20/24 dev ipvl0");
    soon("it does the work", || lab.pings(&lab.ext, "10.0.0.20"));
}

#[test]
fn an_agent_that_is_stopped_is_ended_for_it() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    signal(agent(&lab.host), Signal::STOP);
    let service = Service::start(&lab);
    assert_eq!(agents(&lab.host), [service.pid()]);
}

#[test]
fn killed_it_leaves_its_place_to_the_next() {
    require_root!();
    let lab = Lab::new(1);
    let mut service = Service::start(&lab);
    kill_agent(&lab.host);
    service.0.wait().expect("wait for the agent");
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    assert_eq!(agents(&lab.host).len(), 1, "a command starts one meanwhile");
    let again = Service::start(&lab);
    assert_eq!(agents(&lab.host), [again.pid()]);
    let mut by_hand = start_agent(&lab.host);
    assert!(by_hand.wait().expect("wait for the agent").success(), "one by hand leaves at once");
    assert_eq!(agents(&lab.host), [again.pid()]);
}

/// An agent that has said that it is ready.
pub struct Service(Child);

impl Service {
    /// One that becomes ready.
    #[track_caller]
    pub fn start(lab: &Lab) -> Self {
        Self::start_by(lab, &[]).expect("a word of the agent's")
    }

    /// One that another program starts, if it becomes ready.
    pub fn start_by(lab: &Lab, starter: &[&str]) -> Option<Self> {
        let path = PathBuf::from(format!("/tmp/{}.notify", lab.host.name()));
        let socket = UnixDatagram::bind(&path).expect("bind the manager's socket");
        socket.set_read_timeout(Some(READY)).expect("set a timeout");
        let ipvl = ipvl_path().display().to_string();
        let mut command = lab.host.command(starter.iter().copied().chain([ipvl.as_str(), "agent", "stay"]));
        command.env("NOTIFY_SOCKET", &path).stdin(Stdio::null()).stdout(Stdio::null());
        let service = Self(command.spawn().expect("start the agent"));
        let mut news = [0; 64];
        let heard = socket.recv(&mut news);
        fs::remove_file(path).expect("remove the manager's socket");
        heard.is_ok_and(|length| news[..length].trim_ascii() == b"READY=1").then_some(service)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
