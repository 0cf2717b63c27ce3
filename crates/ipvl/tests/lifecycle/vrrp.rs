//! Does a VIP of keepalived move between two slaves of one host, so that a client hardly notices?

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use ipvl_testbed::{Lab, Netns, require_root};
use rustix::process::Signal;

use crate::common::{run, signal, soon};

const VIPS: [&str; 2] = ["10.0.0.99", "fd00::99"];
/// So many questions may stay unanswered, of which one is asked each tenth of a second: those of less than 3 s.
const MOST_MISSED: u32 = 29;
/// So many more are answered before, and again after the addresses have moved.
const MORE: u32 = 10;

#[test]
fn a_vip_leaves_a_device_that_is_set_down() {
    require_root!();
    let routers = Routers::start("down");
    let clients = routers.clients();
    run(&routers.lab.slaves[0], "ip link set ipvl0 down");
    routers.expect_active(1);
    expect_few_misses(clients);
}

#[test]
fn a_vip_leaves_a_router_that_is_stopped() {
    require_root!();
    let routers = Routers::start("stop");
    let clients = routers.clients();
    routers.keepalived[0].stop();
    routers.expect_active(1);
    expect_few_misses(clients);
}

#[test]
fn a_vip_leaves_a_container_that_is_gone() {
    require_root!();
    let mut routers = Routers::start("gone");
    let clients = routers.clients();
    drop(routers.lab.slaves.remove(0));
    soon("the slave is gone", || !routers.lab.ipvl("link show").contains("ipvl0"));
    routers.expect_owner(1);
    expect_few_misses(clients);
}

/// The killed one's kernel has the addresses and answers, so that it keeps them, until its device is set down. IPv4 stays on
/// the device even then.
#[test]
fn a_vip_of_a_router_that_is_killed_is_answered_for() {
    require_root!();
    let mut routers = Routers::start("kill");
    let clients = routers.clients();
    routers.keepalived[0].kill();
    let backup_has = || VIPS.iter().all(|vip| run(&routers.lab.slaves[1], "ip addr show dev ipvl1").contains(*vip));
    soon("the backup is the active one", backup_has);
    clients.iter().for_each(|client| client.more(MORE));
    routers.expect_owner(0);
    run(&routers.lab.slaves[0], "ip link set ipvl0 down");
    routers.expect_active(1);
    expect_few_misses(clients);
}

#[track_caller]
fn expect_few_misses(clients: [Client; 2]) {
    for (client, vip) in clients.into_iter().zip(VIPS) {
        client.more(MORE);
        let (asked, answered) = client.finish();
        eprintln!("{vip}: {} of {asked} unanswered", asked - answered);
        assert!(asked - answered <= MOST_MISSED, "{vip}: {answered} of {asked} answered");
    }
}

/// Two virtual routers of one host, of which the first is active.
struct Routers {
    lab: Lab,
    keepalived: [Keepalived; 2],
}

impl Routers {
    #[track_caller]
    fn start(name: &str) -> Self {
        let lab = Lab::new(2);
        for n in 0..2 {
            lab.add_slave(n, "mode l2 bridge", &[&format!("10.0.0.1{n}/24"), &format!("fd00::1{n}/64")]);
        }
        let keepalived = [0, 1].map(|n| Keepalived::start(name, &lab.slaves[n], n));
        let routers = Self { lab, keepalived };
        routers.expect_owner(0);
        routers
    }

    /// Waits until a slave has the addresses on its device and owns them.
    #[track_caller]
    fn expect_active(&self, n: usize) {
        let device = format!("ipvl{n}");
        let is_there = |vip: &&str| run(&self.lab.slaves[n], &format!("ip addr show dev {device}")).contains(*vip);
        soon(&format!("{device} has the addresses"), || VIPS.iter().all(is_there));
        self.expect_owner(n);
    }

    #[track_caller]
    fn expect_owner(&self, n: usize) {
        let owns = |vip: &str| self.lab.ipvl("addr show").contains(&format!("{vip} dev ipvl{n} master eth0 device"));
        soon(&format!("ipvl{n} owns the addresses"), || VIPS.iter().all(|vip| owns(vip)));
    }

    /// One for each VIP, outside.
    #[track_caller]
    fn clients(&self) -> [Client; 2] {
        let clients = VIPS.map(|vip| Client::start(&self.lab.ext, vip));
        clients.iter().for_each(|client| client.more(MORE));
        clients
    }
}

/// A router's keepalived, which is killed in the end.
struct Keepalived {
    parent: Child,
    place: PathBuf,
}

impl Keepalived {
    fn start(test: &str, netns: &Netns, n: usize) -> Self {
        let place = std::env::temp_dir().join(format!("ipvl-vrrp-{test}-{n}-{}", std::process::id()));
        fs::create_dir_all(&place).expect("a directory");
        fs::write(place.join("conf"), config(n)).expect("a file");
        let log = fs::File::create(place.join("log")).expect("a file");
        let at = place.display();
        let words = format!(
            "keepalived --dont-fork --log-console --vrrp --use-file {at}/conf --pid {at}/pid --vrrp_pid {at}/vrrp"
        );
        let mut command = netns.command(words.split(' '));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let parent = command.spawn().expect("start keepalived");
        let keepalived = Self { parent, place };
        soon("keepalived runs", || keepalived.worker().is_some());
        keepalived
    }

    /// The process that does the work.
    fn worker(&self) -> Option<u32> {
        fs::read_to_string(self.place.join("vrrp")).ok()?.trim().parse().ok()
    }

    /// As an init system does it.
    fn stop(&self) {
        signal(self.parent.id(), Signal::TERM);
    }

    /// Kills both processes. They are stopped first: the parent would start the other again, and the other would notice.
    fn kill(&mut self) {
        let all = [self.parent.id(), self.worker().expect("a process")];
        all.iter().for_each(|pid| signal(*pid, Signal::STOP));
        all.iter().for_each(|pid| signal(*pid, Signal::KILL));
        self.parent.wait().expect("wait for keepalived");
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.place.join("log")).unwrap_or_default());
        }
        // Its netns, which is removed before, has killed it.
        let _ = self.parent.kill();
        let _ = self.parent.wait();
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// An address of each family, by VRRPv3 with five advertisements a second.
fn config(n: usize) -> String {
    let (state, priority) = if n == 0 { ("MASTER", 150) } else { ("BACKUP", 100) };
    let instance = |name: &str, id: u8, addresses: &str| {
        format!(
            "vrrp_instance {name} {{\n state {state}\n interface ipvl{n}\n virtual_router_id {id}\n priority {priority}\n \
             advert_int 0.2\n virtual_ipaddress {{\n {addresses}\n }}\n}}\n"
        )
    };
    let [v4, v6] = VIPS;
    let both = instance("v4", 51, &format!("{v4}/32")) + &instance("v6", 52, &format!("fe80::99/64\n {v6}/128"));
    format!("global_defs {{\n router_id r{n}\n vrrp_version 3\n}}\n{both}")
}

/// A machine outside that asks an address ten times a second.
struct Client {
    ping: Child,
    answered: Arc<AtomicU32>,
    reader: JoinHandle<String>,
}

impl Client {
    fn start(netns: &Netns, address: &str) -> Self {
        let words = format!("env --default-signal=INT ping -n -i 0.1 {address}");
        let mut ping = netns.command(words.split(' ')).stdout(Stdio::piped()).spawn().expect("start ping");
        let (answered, lines) = (Arc::new(AtomicU32::new(0)), BufReader::new(ping.stdout.take().expect("a pipe")));
        let count = Arc::clone(&answered);
        let reader = thread::spawn(move || {
            let mut summary = String::new();
            for line in lines.lines().map_while(Result::ok) {
                count.fetch_add(u32::from(line.contains("bytes from") && !line.contains("DUP!")), Ordering::Relaxed);
                summary = if line.contains("packets transmitted") { line } else { summary };
            }
            summary
        });
        Self { ping, answered, reader }
    }

    /// Waits until some more have been answered.
    #[track_caller]
    fn more(&self, answers: u32) {
        let goal = self.answered.load(Ordering::Relaxed) + answers;
        soon("answers go on", || self.answered.load(Ordering::Relaxed) >= goal);
    }

    /// How many questions were asked, and how many answered.
    fn finish(mut self) -> (u32, u32) {
        signal(self.ping.id(), Signal::INT);
        self.ping.wait().expect("wait for ping");
        let summary = self.reader.join().expect("the reader");
        let asked = summary.split(' ').next().and_then(|word| word.parse().ok());
        (asked.unwrap_or_else(|| panic!("no summary: {summary}")), self.answered.load(Ordering::Relaxed))
    }
}
