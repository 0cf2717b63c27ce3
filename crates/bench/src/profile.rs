//! Which functions use a packet's instructions? Samples of the program counter under load, for ipvl and for the kernel's
//! driver: where a goal is not reached, the difference says why.
//!
//! `perf` takes a sample every 50,021 nanoseconds of the machine's clock, which under `vm/run -I` are instructions: that is
//! several datagrams, and never in step with them. A function's share of the samples, times the instructions of a datagram
//! without `perf`, is the function's cost.

use crate::candidate::{Backend, Candidate, PATHS, Path};
use crate::compared::head;
use crate::load::Load;
use crate::network::Network;
use crate::results::Results;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};

const LOAD: Load = Load::UdpPps;
/// Enough for some 10,000 samples.
const DATAGRAMS: u32 = 50_000;
const PERIOD: &str = "50021";
const DATA: &str = "/tmp/ipvl-bench.perf";
const ORDERS: &str = "/tmp/ipvl-bench.orders";
const ANSWERS: &str = "/tmp/ipvl-bench.answers";
const ANSWER: &str = "ack\n";
/// One name for ipvl's programs and the functions in them.
const PROGRAMS: &str = "ipvl's programs";
const USER: &str = "in user space";
/// Only functions that differ from the C driver by at least so many instructions are shown.
const WORTH_SHOWING: f64 = 40.0;
/// Functions with fewer instructions are stored as one sum.
const WORTH_KEEPING: f64 = 15.0;
const SMALL: &str = "small functions";
const MODES: [&str; 3] = ["l2", "l3", "l3s"];

/// Profiles the C driver, and ipvl on both backends, in each mode on each path.
pub fn profile(file: &std::path::Path) -> io::Result<()> {
    allow_samples()?;
    let mut results = Results::new(true);
    for mode in MODES {
        let all =
            [Candidate::Kernel(mode), Candidate::Ipvl(mode, Backend::Veth), Candidate::Ipvl(mode, Backend::Netkit)];
        for candidate in all {
            eprintln!("{}", candidate.name());
            let Some(network) = Network::new(candidate) else { continue };
            PATHS.into_iter().try_for_each(|path| look(candidate, &network, path, &mut results))?;
        }
        results.write(file)?;
    }
    Ok(())
}

/// For each mode and path the functions that differ most.
pub fn tables(results: &Results) -> String {
    let pairs = MODES.into_iter().flat_map(|mode| PATHS.map(|path| (mode, path.name())));
    pairs.filter_map(|(mode, path)| table(results, mode, path)).collect::<Vec<_>>().join("\n")
}

fn look(candidate: Candidate, network: &Network, path: Path, results: &mut Results) -> io::Result<()> {
    let ends = network.ends(path, false);
    let whole = LOAD.run(ends, LOAD.operations(true));
    let recorder = record()?;
    LOAD.run(ends, DATAGRAMS);
    let mut small = 0.0;
    for (function, share) in shares(stop(recorder)?)? {
        match share * whole {
            figure if figure < WORTH_KEEPING => small += figure,
            figure => results.add([&candidate.name(), &function, path.name(), "IPv4"], figure),
        }
    }
    results.add([&candidate.name(), SMALL, path.name(), "IPv4"], small);
    Ok(())
}

fn allow_samples() -> io::Result<()> {
    fs::write("/proc/sys/kernel/perf_event_max_sample_rate", "1000000")?;
    fs::write("/proc/sys/kernel/perf_cpu_time_max_percent", "0")
}

/// Starts `perf`. It is slow to start, so it gets an order to begin and acknowledges it.
fn record() -> io::Result<Child> {
    let [orders, answers] = [ORDERS, ANSWERS].map(|name| {
        let _ = fs::remove_file(name);
        mknodat(CWD, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).map(|()| name)
    });
    let control = format!("fifo:{},{}", orders?, answers?);
    let words = ["record", "-q", "-a", "-e", "cpu-clock", "-c", PERIOD, "-D", "-1", "--control", &control, "-o", DATA];
    let recorder = Command::new("perf").args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    File::options().write(true).open(ORDERS)?.write_all(b"enable\n")?;
    File::open(ANSWERS)?.read_exact(&mut [0; ANSWER.len()])?;
    Ok(recorder)
}

/// The recording: a line for each sample, with address and function.
fn stop(mut recorder: Child) -> io::Result<String> {
    let id = rustix::process::Pid::from_child(&recorder);
    rustix::process::kill_process(id, rustix::process::Signal::INT)?;
    recorder.wait()?;
    let script =
        Command::new("perf").args(["script", "-i", DATA, "-F", "comm,ip,sym"]).stderr(Stdio::null()).output()?;
    Ok(String::from_utf8_lossy(&script.stdout).into_owned())
}

/// Each function's share of the samples that our own threads had.
fn shares(samples: String) -> io::Result<BTreeMap<String, f64>> {
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for line in samples.lines() {
        if let Some(function) = function_of(line) {
            *counts.entry(function).or_default() += 1.0;
        }
    }
    let all: f64 = counts.values().sum();
    if all == 0.0 {
        return Err(io::Error::other("perf has recorded nothing: is it installed, and are we root?"));
    }
    Ok(counts.into_iter().map(|(function, count)| (function, count / all)).collect())
}

/// The function of a sample: `ipvl-bench ffffffff81a3b2c1 __dev_queue_xmit`.
fn function_of(line: &str) -> Option<String> {
    let mut words = line.trim().strip_prefix("ipvl-bench")?.split_whitespace();
    let (address, name) = (words.next()?, words.next().unwrap_or("?"));
    Some(match name {
        _ if !address.starts_with("ffff") => USER.to_owned(),
        _ if name.starts_with("bpf_prog_") => PROGRAMS.to_owned(),
        _ => name.to_owned(),
    })
}

fn table(results: &Results, mode: &str, path: &str) -> Option<String> {
    let who = [format!("C ipvlan {mode}"), format!("ipvl {mode}"), format!("ipvl {mode} netkit")];
    let mut functions: BTreeMap<&str, [f64; 3]> = BTreeMap::new();
    for series in results.series.iter().filter(|series| series.path == path) {
        if let Some(n) = who.iter().position(|name| *name == series.candidate) {
            functions.entry(&series.load).or_default()[n] = series.median();
        }
    }
    let apart = |figures: &[f64; 3]| figures[1..].iter().map(|figure| (figure - figures[0]).abs()).fold(0.0, f64::max);
    let is_shown = |function: &str, figures: &[f64; 3]| function != SMALL && apart(figures) >= WORTH_SHOWING;
    let (mut shown, rest): (Vec<_>, Vec<_>) =
        functions.into_iter().partition(|(function, figures)| is_shown(function, figures));
    shown.sort_by(|(_, one), (_, other)| apart(other).total_cmp(&apart(one)));
    let others = rest.iter().fold([0.0; 3], |sum, (_, figures)| [0, 1, 2].map(|n| sum[n] + figures[n]));
    let all = shown.iter().fold(others, |sum, (_, figures)| [0, 1, 2].map(|n| sum[n] + figures[n]));
    let title = format!("{path}, {mode}");
    let mut text = head(&[&title, "C driver", "ipvl", "ipvl on netkit"]);
    for (function, figures) in shown.into_iter().chain([("all other functions", others), ("total", all)]) {
        text += &row(function, figures);
    }
    (all[0] > 0.0).then_some(text)
}

fn row(function: &str, [driver, veth, netkit]: [f64; 3]) -> String {
    format!(
        "| {function} | {driver:.0} | {veth:.0} ({:+.0}) | {netkit:.0} ({:+.0}) |\n",
        veth - driver,
        netkit - driver
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_belongs_to_a_function_of_the_kernel_to_our_programs_or_to_user_space() {
        let function = |line| function_of(line);
        assert_eq!(function("ipvl-bench  ffffffff81a3b2c1 veth_xmit").as_deref(), Some("veth_xmit"));
        assert_eq!(
            function("ipvl-bench  ffffffffc0012345 bpf_prog_2a7ce90731f982a5_slave_xmit").as_deref(),
            Some(PROGRAMS)
        );
        assert_eq!(function("ipvl-bench      7f00deadbeef __send").as_deref(), Some(USER));
        assert_eq!(function("swapper  ffffffff81a3b2c1 default_idle"), None);
    }

    #[test]
    fn what_differs_most_comes_first_and_nothing_is_lost() {
        let mut results = Results::new(true);
        for (candidate, function, figure) in [
            ("C ipvlan l2", "ipvlan_start_xmit", 300.0),
            ("C ipvlan l2", "ip_output", 100.0),
            ("ipvl l2", "veth_xmit", 400.0),
            ("ipvl l2", "ip_output", 101.0),
            ("ipvl l2 netkit", "ip_output", 99.0),
        ] {
            results.add([candidate, function, "slave to slave", "IPv4"], figure);
        }
        let text = tables(&results);
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(lines[0], "| veth_xmit | 0 | 400 (+400) | 0 (+0) |");
        assert_eq!(
            lines[2..],
            ["| all other functions | 100 | 101 (+1) | 99 (-1) |", "| total | 400 | 501 (+101) | 99 (-301) |"]
        );
    }
}
