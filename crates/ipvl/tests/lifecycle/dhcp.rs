//! Do stock DHCP clients in l2 slaves get leases of their own, and keep them?

use crate::common::{SOON, run};
use ipvl_testbed::{EXT_V4, Lab, Netns, require_root, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

/// dnsmasq offers one address to all that ask at the same moment; a client that is refused waits 3 s.
const PATIENCE: Duration = Duration::from_secs(60);
/// What both clients call when they have a lease. They pass the address in different variables.
const SCRIPT: &str = "#!/bin/sh
address=${ip:-${new_ip_address:-}}
case ${1:-$reason} in bound|renew|BOUND|RENEW) ;; *) exit 0 ;; esac
ip addr replace $address/24 dev $interface
echo ${1:-$reason} $address >> $(dirname $0)/$interface
";

#[test]
fn stock_clients_that_start_together_get_leases_of_their_own() {
    require_root!();
    let lab = Lab::new(5);
    let place = Place::new("together");
    let _server = place.server(&lab.ext, "eth0");
    (0..5).for_each(|n| drop(lab.add_slave(n, "mode l2", &[])));
    let clients: Vec<_> = (0..5)
        .map(|n| match n {
            3 => place.udhcpc(&lab.slaves[n], n, &["-C"]),
            4 => place.dhclient(&lab.slaves[n], n),
            _ => place.udhcpc(&lab.slaves[n], n, &[]),
        })
        .collect();
    let done = wait_until(PATIENCE, || (0..5).all(|n| place.leases(n).len() == 1));
    let leases: Vec<_> = (0..5).flat_map(|n| place.leases(n)).collect();
    assert!(done, "{leases:?}");
    let distinct: BTreeSet<_> = leases.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(distinct.len(), 5, "{leases:?}");
    assert!(lab.slaves.iter().all(|slave| lab.pings(slave, &EXT_V4.to_string())));
    for (n, client) in clients.iter().enumerate().take(4) {
        client.renew();
        let [first, second] = &place.wait_for_two(n)[..] else { panic!("one lease each time") };
        assert_eq!(first.replace("bound", "renew"), *second, "the same address, without starting again");
    }
}

#[test]
fn a_server_may_be_in_a_sibling() {
    require_root!();
    let lab = Lab::new(2);
    let place = Place::new("sibling");
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    lab.add_slave(1, "mode l2", &[]);
    let _server = place.server(&lab.slaves[0], "ipvl0");
    let client = place.udhcpc(&lab.slaves[1], 1, &[]);
    assert!(wait_until(PATIENCE, || place.leases(1).len() == 1), "no lease");
    assert!(lab.pings(&lab.slaves[1], "10.0.0.10"));
    client.renew();
    assert!(place.wait_for_two(1)[1].starts_with("renew"));
}

/// A directory with the clients' script and what it writes.
struct Place(PathBuf);

/// A program that is killed in the end.
struct Running(Child);

impl Place {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("ipvl-dhcp-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        fs::write(directory.join("script"), SCRIPT).expect("a script");
        fs::write(directory.join("dhclient.conf"), "send host-name \"a-name-that-leaves-no-padding\";\n")
            .expect("a file");
        let place = Self(directory);
        run(&Netns::new("chmod"), &format!("chmod 755 {}", place.file("script")));
        place
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn server(&self, netns: &Netns, device: &str) -> Running {
        let options = "--no-daemon --conf-file=/dev/null --no-resolv --port=0 --no-ping --leasefile-ro --pid-file=";
        let range = "--dhcp-range=10.0.0.100,10.0.0.150,10m";
        let server = start(netns, &format!("dnsmasq {options} {range} --interface={device}"));
        let listens = || run(netns, "ss -Hlun sport = :67").contains(":67");
        assert!(wait_until(SOON, listens), "the server does not listen");
        server
    }

    fn udhcpc(&self, netns: &Netns, n: usize, more: &[&str]) -> Running {
        let (script, more) = (self.file("script"), more.join(" "));
        start(netns, &format!("udhcpc -f -i ipvl{n} -s {script} -t 20 -T 1 -A 1 {more}"))
    }

    fn dhclient(&self, netns: &Netns, n: usize) -> Running {
        let [script, config, leases] = ["script", "dhclient.conf", "dhclient.leases"].map(|name| self.file(name));
        start(netns, &format!("dhclient -4 -d --no-pid -sf {script} -cf {config} -lf {leases} ipvl{n}"))
    }

    /// What the client of this slave has got: `bound 10.0.0.113`.
    fn leases(&self, n: usize) -> Vec<String> {
        let lines = fs::read_to_string(self.0.join(format!("ipvl{n}"))).unwrap_or_default();
        lines.lines().map(str::to_owned).collect()
    }

    fn wait_for_two(&self, n: usize) -> Vec<String> {
        assert!(wait_until(SOON, || self.leases(n).len() == 2), "{n} has {:?}", self.leases(n));
        self.leases(n)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Running {
    /// Has udhcpc renew its lease.
    fn renew(&self) {
        let pid = Pid::from_raw(self.0.id().cast_signed()).expect("a process id");
        kill_process(pid, Signal::USR1).expect("signal the client");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(netns: &Netns, line: &str) -> Running {
    let mut command = netns.command(line.split_whitespace());
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Running(silent.spawn().expect("start a program"))
}
