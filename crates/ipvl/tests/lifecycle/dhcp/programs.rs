//! Which DHCP clients, servers and relays do the tests run, and what have clients got?

use crate::common::{SOON, run, signal};
use ipvl_testbed::{Lab, Netns, wait_until};
use rustix::process::Signal;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

/// dnsmasq offers one address to all that ask at the same moment; a client that is refused waits 3 s.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What all clients call when they have a lease. They pass what they have got in different variables.
const SCRIPT: &str = "#!/bin/sh
address=${ip:-${new_ip_address:-}}
router=${router:-${new_routers:-}}
case ${1:-$reason} in bound|renew|BOUND|RENEW|REBOOT) ;; *) exit 0 ;; esac
ip addr replace $address/24 dev $interface
[ -z \"$router\" ] || ip route replace default via $router dev $interface
echo ${1:-$reason} $address >> $(dirname $0)/$interface
";
/// dhcpcd as in a container: with files of its own, and the DUID of the image.
const DHCPCD: &str = "#!/bin/sh
mount -t tmpfs none /run
mkdir -p /run/dhcpcd $1/lib.$2
mount --bind $1/lib.$2 /var/lib/dhcpcd
echo 00:01:00:01:32:9d:ab:7b:02:00:00:00:00:01 > /var/lib/dhcpcd/duid
exec dhcpcd -4 -B -c $1/script $2
";

/// A directory with the clients' script and what it writes.
pub struct Place(PathBuf);

/// A program that is killed in the end.
pub struct Running(Child);

impl Place {
    pub fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("ipvl-dhcp-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        fs::write(directory.join("script"), SCRIPT).expect("a script");
        fs::write(directory.join("dhcpcd"), DHCPCD).expect("a script");
        fs::write(directory.join("dhclient.conf"), "send host-name \"a-name-that-leaves-no-padding\";\n")
            .expect("a file");
        let place = Self(directory);
        run(&Netns::new("chmod"), &format!("chmod 755 {} {}", place.file("script"), place.file("dhcpcd")));
        place
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    pub fn udhcpc(&self, netns: &Netns, n: usize, more: &str) -> Running {
        let script = self.file("script");
        start(netns, &format!("udhcpc -f -i ipvl{n} -s {script} -t 20 -T 1 -A 1 {more}"))
    }

    pub fn dhclient(&self, netns: &Netns, n: usize) -> Running {
        let [script, config, leases] = ["script", "dhclient.conf", &format!("leases{n}")].map(|name| self.file(name));
        start(netns, &format!("dhclient -4 -d --no-pid -sf {script} -cf {config} -lf {leases} ipvl{n}"))
    }

    pub fn dhcpcd(&self, netns: &Netns, n: usize) -> Running {
        start(netns, &format!("{} {} ipvl{n}", self.file("dhcpcd"), self.0.display()))
    }

    /// What the client of this slave has got: `bound 10.0.0.113`.
    pub fn leases(&self, n: usize) -> Vec<String> {
        let lines = fs::read_to_string(self.0.join(format!("ipvl{n}"))).unwrap_or_default();
        lines.lines().map(str::to_owned).collect()
    }

    /// The last addresses of the clients of the first slaves, when each has got as many leases.
    #[track_caller]
    pub fn wait_for(&self, lab: &Lab, slaves: usize, count: usize) -> Vec<String> {
        let done = wait_until(PATIENCE, || (0..slaves).all(|n| self.leases(n).len() >= count));
        if !done {
            // What they show stands in the test's output.
            ["-d link show", "addr show", "stats", "doctor"].iter().for_each(|words| drop(lab.try_ipvl(words)));
        }
        let leases: Vec<_> = (0..slaves).map(|n| self.leases(n)).collect();
        assert!(done, "{leases:?}");
        leases.iter().filter_map(|lines| Some(lines.last()?.split_once(' ')?.1.to_owned())).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// dnsmasq, which serves addresses that begin and end so: `10.0.0.100,10.0.0.150`. Its leases are lost with it.
pub fn server(netns: &Netns, range: &str, more: &str) -> Running {
    dnsmasq(netns, &format!("--leasefile-ro --no-ping --dhcp-range={range},255.255.255.0,10m {more}"))
}

/// dnsmasq as a relay from this address of its own to a server.
pub fn relay(netns: &Netns, own: &str, server: &str) -> Running {
    dnsmasq(netns, &format!("--dhcp-relay={own},{server}"))
}

#[track_caller]
fn dnsmasq(netns: &Netns, options: &str) -> Running {
    let base = "--no-daemon --conf-file=/dev/null --no-resolv --port=0 --pid-file= --dhcp-authoritative";
    let running = start(netns, &format!("dnsmasq {base} {options}"));
    let listens = || run(netns, "ss -Hlun sport = :67").contains(":67");
    assert!(wait_until(SOON, listens), "dnsmasq does not listen");
    running
}

impl Running {
    /// Has udhcpc renew its lease.
    pub fn renew(&self) {
        signal(self.0.id(), Signal::USR1);
    }

    /// It answers what `asked` has it asked a moment later.
    pub fn after_a_moment(&self, asked: impl FnOnce()) {
        signal(self.0.id(), Signal::STOP);
        asked();
        thread::sleep(Duration::from_millis(300));
        signal(self.0.id(), Signal::CONT);
    }

    /// Ends it as an operator does, so that it keeps its lease.
    pub fn stop(mut self) {
        signal(self.0.id(), Signal::TERM);
        self.0.wait().expect("an end");
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
