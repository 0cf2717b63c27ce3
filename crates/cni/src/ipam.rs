//! How does an interface get its addresses? From an IPAM plugin, which gets the same input as this plugin.
//!
//! A plugin that does not support the configuration's version is called again with the newest version that it supports.

use crate::call::{Call, Command};
use crate::config::Network;
use crate::failure::{Code, Failure};
use crate::outcome::Outcome;
use crate::result;
use crate::version;
use serde_json::Value;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{self, Stdio};

/// An IPAM plugin, for one call.
pub struct Ipam<'a> {
    call: &'a Call,
    network: &'a Network,
    kind: &'a str,
}

impl<'a> Ipam<'a> {
    /// The plugin that the configuration names, if it names one.
    pub fn of(call: &'a Call, network: &'a Network) -> Option<Self> {
        network.ipam.as_deref().map(|kind| Self { call, network, kind })
    }

    /// The same for another container's interface.
    pub fn for_call(&self, call: &'a Call) -> Self {
        Self { call, ..*self }
    }

    /// Asks for addresses.
    pub fn add(&self) -> Result<Outcome, Failure> {
        let said = self.ask(Command::Add)?;
        let place = format!("the result of IPAM plugin {}", self.kind);
        let outcome = result::parse(&said, &place).map_err(|failure| self.failed(failure.text()))?;
        if outcome.ips.is_empty() {
            return Err(self.failed("it has given no address"));
        }
        Ok(outcome)
    }

    /// Gives back what the container has.
    pub fn del(&self) -> Result<(), Failure> {
        self.ask(Command::Del).map(drop)
    }

    /// Asks whether the container still has it.
    pub fn check(&self) -> Result<(), Failure> {
        self.ask(Command::Check).map(drop)
    }

    /// Calls the plugin for STATUS or GC, which only newer plugins know.
    pub fn hand_on(&self) -> Result<(), Failure> {
        if self.versions()?.iter().any(|theirs| theirs == version::NEWEST) {
            self.ask(self.call.command).map(drop)?;
        }
        Ok(())
    }

    fn ask(&self, command: Command) -> Result<Value, Failure> {
        match self.run(command, &self.network.version) {
            Err(failure) if failure.code() == Code::IncompatibleVersion as u64 => {
                let lower = version::common(&self.network.version, &self.versions()?);
                self.run(command, lower.ok_or(failure)?)
            }
            other => other,
        }
    }

    fn versions(&self) -> Result<Vec<String>, Failure> {
        let reply = self.run(Command::Version, version::NEWEST)?;
        let known = reply["supportedVersions"].as_array().cloned().unwrap_or_default();
        Ok(known.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// One call, and the plugin's answer.
    fn run(&self, command: Command, version: &str) -> Result<Value, Failure> {
        let input = self.input(version).to_string();
        let mut process = self.command(command)?;
        let failed = |error| self.failed(&format!("cannot run it: {error}"));
        let mut child = process.spawn().map_err(failed)?;
        // A plugin that does not read all of it fails, and its answer says why.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().map_err(failed)?;
        let said = serde_json::from_slice(&output.stdout);
        match (output.status.success(), said) {
            (true, Ok(result)) => Ok(result),
            (true, Err(_)) if output.stdout.iter().all(u8::is_ascii_whitespace) => Ok(Value::Null),
            (false, Ok(error)) => Err(self.told(&error)),
            (_, Err(_)) => {
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                Err(self.failed(&output.status.to_string()).with_details(said.trim()))
            }
        }
    }

    fn input(&self, version: &str) -> Value {
        let mut input = self.network.raw.clone();
        input["cniVersion"] = version.into();
        if let Some(previous) = input.get_mut("prevResult").filter(|value| value.is_object()) {
            *previous = result::in_version(previous.take(), version);
        }
        input
    }

    fn command(&self, command: Command) -> Result<process::Command, Failure> {
        let Call { container, netns, ifname, args, path, .. } = self.call;
        let args: Vec<String> = args.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut process = process::Command::new(self.program()?);
        process
            .env("CNI_COMMAND", command.word())
            .env("CNI_CONTAINERID", container)
            .env("CNI_NETNS", netns.as_deref().unwrap_or_default())
            .env("CNI_IFNAME", ifname)
            .env("CNI_ARGS", args.join(";"))
            .env("CNI_PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Ok(process)
    }

    fn program(&self) -> Result<PathBuf, Failure> {
        let Self { kind, call, .. } = self;
        let is_program = |path: &PathBuf| {
            path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        let places = call.path.split(':').filter(|place| !place.is_empty() && !kind.contains('/'));
        let found = places.map(|place| PathBuf::from(place).join(kind)).find(is_program);
        found.ok_or_else(|| self.failed(&format!("there is none of that name in CNI_PATH \"{}\"", call.path)))
    }

    fn told(&self, error: &Value) -> Failure {
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        let message = format!("IPAM plugin {}: {}", self.kind, text("msg"));
        Failure::told(error["code"].as_u64().unwrap_or(Code::Ipam as u64), message, text("details"))
    }

    fn failed(&self, why: &str) -> Failure {
        Failure::new(Code::Ipam, format!("IPAM plugin {}: {why}", self.kind))
    }
}
