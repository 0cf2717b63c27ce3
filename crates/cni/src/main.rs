//! What does a container runtime ask of its network, and what is the answer? The CNI plugin, versions 0.1.0 to 1.1.0.
//!
//! Installed under the name `ipvl` in the runtime's plugin folder. One process a call: the environment says what to do
//! with which container, stdin has the network's configuration, stdout gets the result or the error.

mod add;
mod bandwidth;
mod call;
mod check;
mod config;
mod failure;
mod fields;
mod ipam;
mod outcome;
mod outcome_020;
mod owner;
mod remove;
mod result;
mod status;
mod version;

use crate::call::{Call, Command};
use crate::config::Network;
use crate::failure::Failure;
use serde_json::Value;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("agent") {
        return agent();
    }
    let mut spoken = version::NEWEST.to_owned();
    let done = Call::from_environment().and_then(|call| perform(&call, &mut spoken));
    let (text, status) = match done {
        Ok(result) => (result, ExitCode::SUCCESS),
        Err(failure) => (Some(failure.to_json(&spoken)), ExitCode::FAILURE),
    };
    // The runtime may have closed the pipe; nothing is left to do then.
    let _ = text.map_or(Ok(()), |json| writeln!(std::io::stdout(), "{json:#}"));
    status
}

/// Carries out the call and returns its result, if it has one. `spoken` becomes the caller's version.
fn perform(call: &Call, spoken: &mut String) -> Result<Option<Value>, Failure> {
    let input = read_input()?;
    if call.command == Command::Version {
        return version::reply(&input).map(Some);
    }
    let network = Network::parse(&input)?;
    network.version.clone_into(spoken);
    version::require(&network.version, call.command)?;
    match call.command {
        Command::Add => add::add(call, &network).map(Some),
        Command::Del => remove::delete(call, &network).map(|()| None),
        Command::Check => check::check(call, &network).map(|()| None),
        Command::Gc => remove::collect(call, &network).map(|()| None),
        Command::Status => status::status(call, &network).map(|()| None),
        Command::Version => Ok(None),
    }
}

fn read_input() -> Result<Vec<u8>, Failure> {
    ipvl_control::input::read(std::io::stdin()).map_err(|error| Failure::io(format!("cannot read stdin: {error}")))
}

/// This program can run as the agent: control starts it so if no agent runs.
fn agent() -> ExitCode {
    match ipvl_control::run_agent(ipvl_control::Term::WhileNeeded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ipvl agent: {error}");
            ExitCode::FAILURE
        }
    }
}
