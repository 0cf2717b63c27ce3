//! How does Podman get ipvl slaves? Its network program, netavark, runs this: a subcommand, JSON in, JSON out.
//!
//! Installed under the name `ipvl` in netavark's plugin directory, it is the driver `ipvl`. It stores nothing between two
//! calls: the host end's alias names the slave's owner.

mod attachment;
mod body;
mod create;
mod error;
mod options;
mod own_options;
mod setup;

use error::{Error, Result};
use ipvl_control::{Term, input};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::process::ExitCode;

/// Of the protocol (`plugin-API.md` of containers/netavark).
const API_VERSION: &str = "1.0.0";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If the answer cannot be written, the status still shows the failure.
            let _ = say(&json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        [] | ["info"] => say(&json!({ "version": env!("CARGO_PKG_VERSION"), "api_version": API_VERSION })),
        ["create"] => say(&create::create(read("a network")?)?),
        ["setup", netns] => setup::setup(netns, &read("a container's network")?, say),
        ["teardown", _netns] => setup::teardown(&read("a container's network")?),
        // Like every door, it can run as the agent of the slaves that it makes.
        ["agent"] => Ok(ipvl_control::run_agent(Term::WhileNeeded)?),
        _ => Err(Error::Usage(words.join(" "))),
    }
}

fn read<T: DeserializeOwned>(what: &'static str) -> Result<T> {
    let input = input::read(io::stdin()).map_err(|source| Error::Input { what, source })?;
    serde_json::from_slice(&input).map_err(|source| Error::Json { what, source })
}

fn say(answer: &Value) -> Result<()> {
    writeln!(io::stdout(), "{answer}").map_err(Error::Answer)
}
