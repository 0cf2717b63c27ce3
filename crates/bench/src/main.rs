//! How fast is ipvl relative to the kernel's driver and other drivers? `make bench` runs this and writes what it found.
//!
//! `ipvl-bench measure FILE` makes every candidate's network, loads them in turns, and writes the samples as JSON;
//! `QUICK=1` takes fewer; `firewall FILE` the same where the host has rules; `streams FILE` has 1, 4 and 32 connections at once, with
//! two MTUs. `ipvl-bench verdicts FILE` times the programs alone, `profile FILE` says in which functions the
//! instructions go, `scale FILE` and `storm FILE` have many slaves. `ipvl-bench ahead FILE` and
//! `promises FILE` try what may be faster than the kernel's driver. `ipvl-bench budget` compares what verdicts cost with
//! what is kept of it. `ipvl-bench departures IFINDEX RATE` paces a device, for `scripts/rates`. `ipvl-bench report DIR PAGE`
//! turns the files of a directory into tables and charts. Under `vm/run -I` a nanosecond is an instruction.

mod ahead;
mod budget;
mod bytecode;
mod candidate;
mod chart;
mod compared;
mod crowd;
mod departures;
mod firewall;
mod goals;
mod load;
mod measure;
mod module;
mod netkit;
mod network;
mod profile;
mod report;
mod results;
mod scale;
mod storm;
mod streams;
mod sys;
mod verdicts;

use candidate::Candidate;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["measure", file] => measure::measure(Candidate::all(), Path::new(file)),
        ["firewall", file] => measure::measure(Candidate::FILTERED.to_vec(), Path::new(file)),
        ["streams", file] => streams::measure(Path::new(file)),
        ["ahead", file] => ahead::measure(Path::new(file)),
        ["promises", file] => ahead::promises(Path::new(file)),
        ["verdicts", file] => verdicts::verdicts().write(Path::new(file)),
        ["profile", file] => profile::profile(Path::new(file)),
        ["scale", file] => scale::scale(Path::new(file)),
        ["storm", file] => storm::storm(Path::new(file)),
        ["departures", ifindex, rate] => departures::pace(ifindex, rate),
        ["budget", verdicts] => budget::compare(Path::new(verdicts)),
        ["budget", "write", verdicts] => budget::write(Path::new(verdicts)),
        ["report", directory, page] => report::report(Path::new(directory), Path::new(page)),
        _ => {
            eprintln!(
                "usage: ipvl-bench measure FILE | firewall FILE | streams FILE | verdicts FILE | profile FILE | scale FILE | storm FILE | ahead FILE | \
                 promises FILE | departures IFINDEX RATE | budget [write] VERDICTS | report DIRECTORY PAGE"
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ipvl-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
