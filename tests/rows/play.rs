//! What comes of an entry, in namespaces of its own?

use crate::entry::{Driver, Entry};
use ipvl_testbed::{Lab, Netns, Output, kernel_is_at_least, requires_device, wait_until};
use std::time::Duration;

/// For what must be so soon, also on an emulated machine; only a failure waits this long.
const SOON: Duration = Duration::from_secs(20);

/// Does it, and says what is wrong.
pub fn play(entry: &Entry, driver: Driver) -> Result<(), String> {
    let Some(expected) = entry.expected(driver) else { return Ok(()) };
    if entry.needs.as_ref().is_some_and(|kind| !requires_device(kind)) {
        return Ok(());
    }
    let stage = Stage { lab: Lab::new(2), driver };
    if driver.is_ours() && !kernel_is_at_least("6.17") {
        // The user's to set there, before host access: `ipvl doctor` says so.
        stage.lab.host.sysctl("net/ipv6/conf/all/forwarding", "1");
    }
    let title = format!("{} {}", entry.rows.join(" "), entry.name);
    for line in slaves(entry).iter().chain(&entry.given) {
        stage.prepare(line).map_err(|output| format!("{title}\n    {line}\n    {}", said(&output)))?;
    }
    let mut last = None;
    let at_once = expected.fails.is_some();
    let met = wait_until(if at_once { Duration::ZERO } else { SOON }, || {
        let output = stage.run(&entry.then);
        let met = expected.met_by(output.ok, &said(&output));
        last = Some(output);
        met
    });
    let output = last.map_or_else(String::new, |output| format!("{:?}: {}", output.code, said(&output)));
    if met { Ok(()) } else { Err(format!("{title}\n    {}\n    {expected:?}\n    {output}", entry.then)) }
}

/// The lines that make an entry's slaves.
fn slaves(entry: &Entry) -> Vec<String> {
    let lines = entry.slaves.iter().enumerate().flat_map(|(n, options)| {
        [
            format!("host: {{ipvl}} link add link eth0 name s{n} netns {{ns{n}}} type ipvlan {options}"),
            format!("ns{n}: ip addr add 10.0.0.1{n}/24 dev s{n}; ip addr add fd00::1{n}/64 dev s{n} nodad"),
            format!("ns{n}: ip link set s{n} up"),
            format!("soon ns{n}: ip link show s{n} | grep LOWER_UP"),
        ]
    });
    lines.collect()
}

/// Standard output and error, with single blanks.
fn said(output: &Output) -> String {
    let all = format!("{} {}", output.stdout, output.stderr);
    all.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Stage {
    lab: Lab,
    driver: Driver,
}

impl Stage {
    /// Runs a line that must succeed.
    fn prepare(&self, line: &str) -> Result<(), Output> {
        let (line, ours) = rest_after("ipvl only ", line);
        if ours && !self.driver.is_ours() {
            return Ok(());
        }
        let (line, patient) = rest_after("soon ", line);
        let mut last = self.run(line);
        let succeeded = last.ok
            || patient
                && wait_until(SOON, || {
                    last = self.run(line);
                    last.ok
                });
        if succeeded { Ok(()) } else { Err(last) }
    }

    fn run(&self, line: &str) -> Output {
        let (place, text) = line.split_once(':').unwrap_or_else(|| panic!("\"{line}\" does not say where"));
        self.place(place).exec(["sh", "-c", &self.filled_in(text)])
    }

    fn place(&self, name: &str) -> &Netns {
        match (name, self.driver) {
            ("host", _) | ("at s0" | "at s1", Driver::Ipvl | Driver::Netkit) => &self.lab.host,
            ("ext", _) => &self.lab.ext,
            ("ns0", _) | ("at s0", Driver::Kernel | Driver::Module) => &self.lab.slaves[0],
            ("ns1", _) | ("at s1", Driver::Kernel | Driver::Module) => &self.lab.slaves[1],
            _ => panic!("\"{name}\" is no place: host, ext, ns0, ns1, at s0, at s1"),
        }
    }

    fn filled_in(&self, text: &str) -> String {
        let host_on = if self.driver.is_ours() { "host on" } else { "" };
        let filled = text.replace("{ipvl}", &self.driver.command()).replace("{host on}", host_on);
        let named = ["host", "ext", "ns0", "ns1"];
        named.iter().fold(filled, |text, name| text.replace(&format!("{{{name}}}"), self.place(name).name()))
    }
}

fn rest_after<'a>(word: &str, line: &'a str) -> (&'a str, bool) {
    line.strip_prefix(word).map_or((line, false), |rest| (rest, true))
}
