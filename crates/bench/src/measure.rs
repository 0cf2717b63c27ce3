//! In which order is everything measured? In rounds: a round runs one load on one path with all candidates in turn, then
//! the next, so that other activity of the machine affects all of them.

use crate::candidate::{Candidate, PATHS, Path};
use crate::load::{LOADS, Load};
use crate::network::Network;
use crate::results::Results;
use std::env;
use std::io;
use std::path::Path as File;
use std::time::Instant;

/// Builds the networks of these candidates and loads them; what is known after a round is in `file`.
pub fn measure(all: Vec<Candidate>, file: &File) -> io::Result<()> {
    let plan = Plan::from_environment();
    let mut results = Results::new(plan.counting);
    for group in plan.groups(all) {
        measure_group(&plan, group, &mut results, file)?;
    }
    Ok(())
}

fn measure_group(plan: &Plan, group: Vec<Candidate>, results: &mut Results, file: &File) -> io::Result<()> {
    let start = Instant::now();
    let networks: Vec<_> = group.into_iter().filter_map(build).collect();
    eprintln!("{} networks made in {:.0?}", networks.len(), start.elapsed());
    for round in 0..plan.rounds {
        for load in LOADS {
            eprintln!("round {} of {}, {}", round + 1, plan.rounds, load.name());
            each_cell(|path, v6| plan.turn(&networks, load, path, v6, results));
        }
        results.write(file)?;
    }
    Ok(())
}

/// How much is measured, as the environment says.
pub struct Plan {
    /// How often.
    pub rounds: u32,
    /// Under `vm/run -I`: one processor, on which a nanosecond is an instruction.
    pub counting: bool,
    /// `ONLY="ipvl l2"`: only candidates with one of these texts in their names.
    only: String,
    /// `QUICK=1`: half of the operations, too.
    pub quick: bool,
    /// `APART=1`: one candidate after the other, each when the last one's network is gone: some hooks cost all devices.
    apart: bool,
}

impl Plan {
    /// Reads it.
    pub fn from_environment() -> Self {
        let set = |name: &str| env::var(name).is_ok_and(|value| !value.is_empty());
        let (quick, counting) = (set("QUICK"), set("COUNTING"));
        let rounds = match (quick, counting) {
            (true, true) => 1,
            (true, false) => 3,
            (false, true) => 3,
            (false, false) => 7,
        };
        Self { rounds, counting, only: env::var("ONLY").unwrap_or_default(), quick, apart: set("APART") }
    }

    /// The candidates that are not left out.
    pub fn wanted(&self, all: Vec<Candidate>) -> impl Iterator<Item = Candidate> {
        let only: Vec<&str> = self.only.split(',').collect();
        all.into_iter().filter(move |one| only.iter().any(|part| one.name().contains(part)))
    }

    /// Those that are there at the same time.
    fn groups(&self, all: Vec<Candidate>) -> Vec<Vec<Candidate>> {
        let wanted: Vec<_> = self.wanted(all).collect();
        wanted.chunks(if self.apart { 1 } else { usize::MAX }).map(<[_]>::to_vec).collect()
    }

    fn turn(&self, networks: &[(Candidate, Network)], load: Load, path: Path, v6: bool, results: &mut Results) {
        let family = if v6 { "IPv6" } else { "IPv4" };
        let operations = load.operations(self.counting) / if self.quick { 2 } else { 1 };
        for (candidate, network) in networks.iter().filter(|(candidate, _)| candidate.has(path)) {
            let sample = load.run(network.ends(path, v6), operations);
            results.add([&candidate.name(), load.name(), path.name(), family], sample);
        }
    }
}

fn build(candidate: Candidate) -> Option<(Candidate, Network)> {
    let start = Instant::now();
    let network = Network::new(candidate);
    match &network {
        Some(_) => eprintln!("{}, made in {:.1?}", candidate.name(), start.elapsed()),
        None => eprintln!("{}: left out, this kernel cannot make it", candidate.name()),
    }
    Some((candidate, network?))
}

/// Each path in each family.
pub fn each_cell(mut work: impl FnMut(Path, bool)) {
    for path in PATHS {
        for v6 in [false, true] {
            work(path, v6);
        }
    }
}
