//! What does a person type to work with IPVLAN devices? `ip link ... type ipvlan`, with `ipvl` for `ip`.

mod backend;
mod batch;
mod command;
mod definition;
mod failure;
mod frame;
mod graph;
mod misplaced;
mod names;
mod netns;
mod packet;
mod pages;
mod parse;
mod pcapng;
mod render;
mod run;
mod serve;
#[cfg(test)]
mod snapshot;
mod top;
mod usage;
mod words;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let line: Vec<String> = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let done = parse::command_line(&line)
        .map_err(failure::Failure::from)
        .and_then(|(options, command)| run::run(&options, command));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            run::tell(&failure, parse::wants_json(&line));
            ExitCode::from(failure.status())
        }
    }
}
