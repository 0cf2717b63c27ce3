//! Do busy connections and a probe survive every change of a slave?

use std::process::{Child, Stdio};
use std::time::Duration;

use ipvl_testbed::{Lab, Netns, require_root, wait_until};
use serde_json::Value;

use crate::common::{Probe, exec, run};

/// As in `live.rs`: while the slave's stack and the table disagree about which of them resolves neighbours.
const GAP: usize = 5;
/// Longer than all changes take; the client is stopped before.
const LONG: Duration = Duration::from_secs(60);
const PORT: u16 = 5201;

/// Changes of one slave, and whether they may cost packets because its stack begins or ceases to resolve neighbours.
const CHANGES: &[(&str, bool)] = &[
    ("vepa", false),
    ("private", false),
    ("bridge", false),
    ("host on", false),
    ("host off", false),
    ("guard strict", false),
    ("guard off", false),
    ("guard owned", false),
    ("mode l3", true),
    ("private", false),
    ("bridge", false),
    ("mode l3s", false),
    ("mode l2", true),
];

#[test]
fn connections_and_probes_live_through_every_change() {
    require_root!();
    let lab = Lab::new(3);
    for n in 0..3 {
        lab.add_slave(n, "mode l2 bridge", &[&format!("10.0.0.1{n}/24")]);
        run(&lab.ext, &format!("ip route add 10.0.0.1{n}/32 via 10.0.0.1"));
    }
    let [changed, sibling, bystander] = &lab.slaves[..] else { unreachable!("three were asked for") };
    let streams = [
        ("of the changed one with the outside", Stream::start(changed, &lab.ext, "10.0.0.254")),
        ("between others", Stream::start(bystander, sibling, "10.0.0.11")),
    ];
    for (round, (change, costs)) in CHANGES.iter().enumerate() {
        let port = 1000 + round as u16;
        let probes = [
            ("to the wire", Probe::start(changed, &lab.ext, &format!("10.0.0.254:{port}"))),
            ("from the wire", Probe::start(&lab.ext, changed, &format!("10.0.0.10:{port}"))),
            ("between others", Probe::start(bystander, sibling, &format!("10.0.0.11:{}", port + 100))),
        ];
        probes.iter().for_each(|(_, probe)| probe.more(50));
        lab.ipvl(&format!("link set ipvl0 type ipvlan {change}"));
        probes.iter().for_each(|(_, probe)| probe.more(50));
        for (what, probe) in probes {
            let loss = probe.finish();
            let allowed = if *costs && what != "between others" { GAP } else { 0 };
            eprintln!("{change}, {what}: {} of {} lost", loss.lost.len(), loss.sent);
            assert!(loss.lost.len() <= allowed, "{change}, {what}: {loss:?}");
        }
    }
    for (what, stream) in streams {
        let carried = stream.finish(what);
        eprintln!("the connection {what} carried {carried} bytes");
        assert!(carried > 1 << 20, "{what}: {carried} bytes");
    }
    let shown = lab.ipvl("link show");
    assert_eq!(shown.matches("mode l2 bridge guard owned host off").count(), 3, "{shown}");
}

/// iperf3 from one netns to another, no faster than leaves others a share of the machine.
struct Stream {
    server: Child,
    client: Child,
}

impl Stream {
    #[track_caller]
    fn start(from: &Netns, to: &Netns, target: &str) -> Self {
        let mut command = to.command(["iperf3", "-s", "-1", "-p", &PORT.to_string()]);
        let server = command.stdout(Stdio::null()).spawn().expect("start iperf3");
        let listens = || exec(to, &format!("ss -Hltn sport = :{PORT}")).stdout.contains("LISTEN");
        assert!(wait_until(Duration::from_secs(5), listens), "iperf3 does not listen");
        let time = LONG.as_secs().to_string();
        let words = ["iperf3", "-J", "-b", "50M", "-t", &time, "-p", &PORT.to_string(), "-c", target];
        let client = from.command(words).stdout(Stdio::piped()).spawn().expect("start iperf3");
        Self { server, client }
    }

    /// Ends it, and says how many bytes arrived; fails if the connection had broken before.
    #[track_caller]
    fn finish(mut self, what: &str) -> u64 {
        assert!(self.client.try_wait().expect("wait for iperf3").is_none(), "{what}: it broke");
        let pid = rustix::process::Pid::from_child(&self.client);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("stop iperf3");
        let output = self.client.wait_with_output().expect("wait for iperf3");
        let _ = self.server.kill();
        let _ = self.server.wait();
        let report: Value = serde_json::from_slice(&output.stdout).expect("iperf3's JSON");
        let sent = &report["end"]["sum_sent"]["bytes"];
        sent.as_u64().unwrap_or_else(|| panic!("{what}: {report}"))
    }
}
