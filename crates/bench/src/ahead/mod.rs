//! What is faster between siblings than the kernel's driver, and what does it break? All candidates, measured side by side.

mod cgroup;
mod page;
mod promises;
mod splice;
mod stream;
mod tried;

use crate::candidate::Path;
use crate::load::Load;
use crate::network::Network;
use crate::results::Results;
use cgroup::Cgroup;
use promises::{Finding, PROMISES, SETTLED};
use serde_json::json;
use splice::Splice;
use std::env;
use std::io;
use std::path::Path as File;
use std::thread;
use tried::{OURS, Tried};

pub use page::tables;

/// How often all networks are made, and how often each is measured. The placement in memory can make an operation up to a
/// third longer, for as long as the network exists.
const ROUNDS: (u32, u32) = (3, 3);
const SWITCHED_OFF: &str = "nothing is lost when the way is taken away";
const LOADS: [Load; 3] = [Load::TcpStream, Load::TcpRr, Load::TcpCrr];

/// Measures all candidates and writes the samples to `file`.
pub fn measure(file: &File) -> io::Result<()> {
    let set = |name: &str| env::var(name).is_ok_and(|value| !value.is_empty());
    let counting = set("COUNTING");
    let cgroup = Cgroup::join()?;
    let mut results = Results::new(counting);
    let (makings, rounds) = if set("QUICK") { (1, 1) } else { ROUNDS };
    for making in 0..makings {
        let all = Tried::all()?;
        for round in 0..rounds {
            eprintln!("round {} of {}", making * rounds + round + 1, makings * rounds);
            round_of(&all, &cgroup, &mut results)?;
            results.write(file)?;
        }
    }
    Ok(())
}

fn round_of(all: &[Tried], cgroup: &Cgroup, results: &mut Results) -> io::Result<()> {
    for load in LOADS {
        for v6 in [false, true] {
            for tried in all {
                turn(tried, load, v6, cgroup, results)?;
            }
        }
    }
    Ok(())
}

fn turn(tried: &Tried, load: Load, v6: bool, cgroup: &Cgroup, results: &mut Results) -> io::Result<()> {
    let family = if v6 { "IPv6" } else { "IPv4" };
    let operations = load.operations(results.unit != "ns");
    thread::sleep(SETTLED);
    let _splice = tried.prepare(cgroup)?;
    if load != Load::TcpStream {
        let sample = load.run(tried.siblings(v6), operations);
        results.add([tried.name, load.name(), Path::Siblings.name(), family], sample);
        return Ok(());
    }
    for (path, ends) in [(Path::Siblings, Some(tried.siblings(v6))), (Path::Out, tried.outwards(v6))] {
        if let Some(ends) = ends {
            results.add([tried.name, load.name(), path.name(), family], stream::run(ends, operations));
        }
    }
    Ok(())
}

/// Tests TCP's promises through the stack and past it, and writes the results to `file`.
pub fn promises(file: &File) -> io::Result<()> {
    let cgroup = Cgroup::join()?;
    let network = Network::new(OURS).ok_or(io::ErrorKind::Unsupported)?;
    let between = || Splice::between(&cgroup, network.place(0), network.place(1));
    let mut found = Vec::new();
    for v6 in [false, true] {
        let ends = network.ends(Path::Siblings, v6);
        let mut note = |promise: &str, stack: Finding, sockets: Finding| {
            found.push(json!({ "promise": promise, "v6": v6, "stack": stack.err(), "sockets": sockets.err() }));
        };
        for promise in &PROMISES {
            let stack = (promise.try_on)(ends);
            let _splice = between()?;
            note(promise.name, stack, (promise.try_on)(ends));
        }
        let (splice, stack) = (between()?, promises::switched_off(ends, || ()));
        note(SWITCHED_OFF, stack, promises::switched_off(ends, || drop(splice)));
    }
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    std::fs::write(file, format!("{:#}\n", json!({ "kernel": kernel, "found": found })))
}
