//! How fast are streams: one connection, several and many at once, with packets of each size?

use crate::candidate::{Backend, Candidate, PATHS, Path};
use crate::compared::{FAMILIES, head};
use crate::load::{CHUNK, Ends, connect, discard, listen};
use crate::measure::{Plan, each_cell};
use crate::network::Network;
use crate::results::{Results, Series};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path as File;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// How many connections there are at once.
const COUNTS: [u32; 3] = [1, 4, 32];
const MTUS: [u32; 2] = [1500, 9000];
/// Only our module tells its version.
const OUR_MODULE: &str = "/sys/module/ipvlan/version";

/// Builds the networks with one MTU, loads them in turns as [`crate::measure`] does, then those with the next.
pub fn measure(file: &File) -> io::Result<()> {
    let plan = Plan::from_environment();
    let mut results = Results::new(plan.counting);
    for mtu in MTUS {
        let networks: Vec<_> = plan.wanted(candidates()).filter_map(|candidate| build(candidate, mtu)).collect();
        for round in 0..plan.rounds {
            for count in COUNTS {
                eprintln!("MTU {mtu}, round {} of {}, {count} connections", round + 1, plan.rounds);
                each_cell(|path, v6| turn(&plan, &networks, (mtu, count), (path, v6), &mut results));
            }
            results.write(file)?;
        }
    }
    Ok(())
}

/// Those that this kernel may have: where our module is loaded, stock `ip` makes its slaves, and not those of the C driver.
fn candidates() -> Vec<Candidate> {
    let is_ours = File::new(OUR_MODULE).exists();
    let is_there = |candidate: &Candidate| match candidate {
        Candidate::Kernel(_) => !is_ours,
        Candidate::Ipvl(_, Backend::Module) => is_ours,
        _ => true,
    };
    Candidate::streaming().into_iter().filter(is_there).collect()
}

fn build(candidate: Candidate, mtu: u32) -> Option<(Candidate, Network)> {
    let network = Network::with_mtu(candidate, mtu).filter(|network| network.slave_mtu() == mtu);
    if network.is_none() {
        eprintln!("{}, MTU {mtu}: left out, this kernel cannot make it", candidate.name());
    }
    Some((candidate, network?))
}

fn turn(
    plan: &Plan,
    networks: &[(Candidate, Network)],
    (mtu, count): (u32, u32),
    (path, v6): (Path, bool),
    results: &mut Results,
) {
    let chunks = if plan.counting { 256 } else { 4096 } / if plan.quick { 2 } else { 1 };
    for (candidate, network) in networks.iter().filter(|(candidate, _)| candidate.has(path)) {
        let sample = stream(network.ends(path, v6), count, chunks / count);
        results.add([&candidate.name(), &load(mtu, count), path.name(), FAMILIES[usize::from(v6)]], sample);
    }
}

fn load(mtu: u32, count: u32) -> String {
    format!("{count} at once, MTU {mtu}")
}

/// Nanoseconds for a chunk, over all connections: from the first byte that counts until the last one was read.
fn stream(ends: Ends<'_>, count: u32, chunks: u32) -> f64 {
    let ((listener, address), ready) = (listen(ends), Barrier::new(count as usize));
    let time = thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..count {
                let (connection, _) = listener.accept().expect("accept a connection");
                scope.spawn(|| discard(connection));
            }
        });
        let connections: Vec<_> = ends.client.within(|| (0..count).map(|_| connect(address)).collect());
        let senders: Vec<_> =
            connections.into_iter().map(|connection| scope.spawn(|| send(connection, chunks, &ready))).collect();
        let times = senders.into_iter().map(|sender| sender.join().expect("a sender"));
        let (starts, ends): (Vec<_>, Vec<_>) = times.unzip();
        ends.into_iter().max().zip(starts.into_iter().min()).map_or(Duration::ZERO, |(end, start)| end - start)
    });
    time.as_nanos() as f64 / f64::from(count * chunks)
}

/// When it began and ended: the other side closes the connection when it has read all. Each sender looks at the clock itself,
/// since another thread may run only when many bytes are sent.
fn send(mut connection: TcpStream, chunks: u32, ready: &Barrier) -> (Instant, Instant) {
    let chunk = vec![0; CHUNK];
    (0..chunks / 8 + 1).for_each(|_| connection.write_all(&chunk).expect("write"));
    ready.wait();
    let start = Instant::now();
    (0..chunks).for_each(|_| connection.write_all(&chunk).expect("write"));
    connection.shutdown(Shutdown::Write).expect("end the stream");
    assert_eq!(connection.read(&mut [0]).expect("read the end"), 0);
    (start, Instant::now())
}

/// The tables of `streams.json`, `streams-module.json` and `streams-native.json`, as far as they are there.
pub fn tables(directory: &File) -> Option<String> {
    let files = ["streams.json", "streams-module.json", "streams-native.json"];
    let known = files.iter().filter_map(|file| Results::read(&directory.join(file)).ok());
    let tables: Vec<_> = known.map(|results| table(&results)).collect();
    (!tables.is_empty()).then(|| tables.join("\n"))
}

/// The median of each figure with its spread, path by path: a stream's figures differ from round to round.
fn table(results: &Results) -> String {
    let all: Vec<String> = Candidate::streaming().into_iter().map(Candidate::name).collect();
    let loads: Vec<String> = MTUS.into_iter().flat_map(|mtu| COUNTS.map(|count| load(mtu, count))).collect();
    let unit = if results.unit == "ns" { "Gbit/s" } else { "instructions for 128 KiB" };
    let mut text = format!("Linux {}, {unit}, IPv4 / IPv6, and behind ± half of the spread.\n", results.kernel);
    for path in PATHS {
        text += &format!("\n**{}**\n\n", path.name());
        text += &head(&[""].into_iter().chain(loads.iter().map(String::as_str)).collect::<Vec<_>>());
        for candidate in &all {
            let cell = |load: &String| FAMILIES.map(|family| figure(results, [candidate, load, path.name(), family]));
            let cells: Vec<_> = loads.iter().map(cell).collect();
            if cells.iter().flatten().any(Option::is_some) {
                let cells = cells.iter().map(|both| both.clone().map(|one| one.unwrap_or("-".to_owned())).join(" / "));
                text += &format!("| {candidate} | {} |\n", cells.collect::<Vec<_>>().join(" | "));
            }
        }
    }
    text
}

fn figure(results: &Results, names: [&str; 4]) -> Option<String> {
    let series: &Series = results.series.iter().find(|series| series.is(names))?;
    let median = match results.unit.as_str() {
        "ns" => format!("{:.1}", CHUNK as f64 * 8.0 / series.median()),
        _ => format!("{:.0}", series.median()),
    };
    let spread = format!(" ±{:.0} %", series.spread() * 50.0);
    Some(if series.samples.len() > 1 { median + &spread } else { median })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_each_figure_with_its_spread() {
        let mut results = Results { unit: "ns".into(), ..Results::default() };
        for sample in [100_000.0, 104_857.6, 120_000.0] {
            results.add(["macvlan", "4 at once, MTU 9000", "slave to slave", "IPv6"], sample);
        }
        results.add(["macvlan", "32 at once, MTU 9000", "slave to slave", "IPv4"], 104_857.6);
        let row = "| macvlan | - / - | - / - | - / - | - / - | - / 10.0 ±10 % | 10.0 / - |\n";
        assert!(table(&results).contains(row), "{}", table(&results));
        assert!(!table(&results).contains("veth"), "what was not measured has no row");
    }
}
