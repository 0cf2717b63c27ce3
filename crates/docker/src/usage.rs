//! Which command line does ipvl-docker have?

use std::path::PathBuf;
use std::time::Duration;

const SOCKET: &str = "/run/docker/plugins/ipvl.sock";
const STATE: &str = "/var/lib/ipvl/docker";
const STALE: Duration = Duration::from_secs(60);
const HELP: &str = "\
ipvl-docker: Docker's network driver ipvl (docker network create --driver ipvl)

usage: ipvl-docker [OPTION...]

  --socket PATH    the socket to listen on (default /run/docker/plugins/ipvl.sock); a socket from systemd is used instead
  --state DIR      the directory with one file for each network (default /var/lib/ipvl/docker)
  --stale SECONDS  remove an endpoint that no container has joined after this time (default 60)
  --upgrade        first replace the programs of masters by those of this version, as `ipvl upgrade` does, and start the
                   agent if there are slaves: for a managed plugin, whose agent and programs come and go with it
  --version        print the version
  --help           print this help

  ipvl-docker agent: run as the agent, like `ipvl agent`
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Serve dockerd.
    Serve(Settings),
    /// Run as the agent.
    Agent,
    /// Print a text.
    Tell(String),
}

/// How to serve dockerd.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// The socket's path.
    pub socket: PathBuf,
    /// The directory in which networks are stored.
    pub state: PathBuf,
    /// How long an endpoint may wait for its container.
    pub stale: Duration,
    /// Whether slaves that are there already get the programs and the agent of this version first.
    pub upgrade: bool,
}

/// Reads the command line. The error is a text.
pub fn read(words: &[String]) -> Result<Request, String> {
    let mut settings = Settings { socket: SOCKET.into(), state: STATE.into(), stale: STALE, upgrade: false };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--socket" => settings.socket = value()?.into(),
            "--state" => settings.state = value()?.into(),
            "--stale" => settings.stale = seconds(value()?)?,
            "--upgrade" => settings.upgrade = true,
            "--help" => return Ok(Request::Tell(HELP.to_owned())),
            "--version" => return Ok(Request::Tell(format!("ipvl-docker {}\n", env!("CARGO_PKG_VERSION")))),
            "agent" => return Ok(Request::Agent),
            other => return Err(format!("there is no option {other}")),
        }
    }
    Ok(Request::Serve(settings))
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| format!("{text} is not a number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Request, String> {
        read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line_is_understood_or_refused() {
        let stale = Duration::from_secs(3);
        let expected = Settings { socket: "/s".into(), state: "/d".into(), stale, upgrade: true };
        assert_eq!(of("--socket /s --state /d --stale 3 --upgrade"), Ok(Request::Serve(expected)));
        assert!(matches!(of(""), Ok(Request::Serve(Settings { upgrade: false, .. }))));
        assert_eq!(of("agent"), Ok(Request::Agent));
        assert!(matches!(of("--version"), Ok(Request::Tell(text)) if text.starts_with("ipvl-docker ")));
        assert_eq!(of("--socket"), Err("--socket needs a value".to_owned()));
        assert_eq!(of("--stale x"), Err("x is not a number of seconds".to_owned()));
        assert_eq!(of("-x"), Err("there is no option -x".to_owned()));
    }
}
