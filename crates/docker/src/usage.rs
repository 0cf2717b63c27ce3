//! What can be said to ipvl-docker when it is started?

use std::path::PathBuf;
use std::time::Duration;

const SOCKET: &str = "/run/docker/plugins/ipvl.sock";
const STATE: &str = "/var/lib/ipvl/docker";
const STALE: Duration = Duration::from_secs(60);
const HELP: &str = "\
ipvl-docker: Docker's network driver ipvl (docker network create --driver ipvl)

usage: ipvl-docker [OPTION...]

  --socket PATH    where dockerd looks for it (default /run/docker/plugins/ipvl.sock); systemd's, if it hands one over
  --state DIR      where networks are remembered, a file each (default /var/lib/ipvl/docker)
  --stale SECONDS  after which an endpoint is removed that no container took, because dockerd died (default 60)
  --version        prints the version
  --help           prints this

  ipvl-docker agent: what `ipvl agent` does
";

/// What is wished.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    /// To serve dockerd.
    Serve(Settings),
    /// To be the agent.
    Agent,
    /// To be told something.
    Tell(String),
}

/// How to serve dockerd.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where.
    pub socket: PathBuf,
    /// Where networks are remembered.
    pub state: PathBuf,
    /// How long an endpoint may wait for its container.
    pub stale: Duration,
}

/// Reads the command line; what is wrong with it.
pub fn read(words: &[String]) -> Result<Wish, String> {
    let mut settings = Settings { socket: SOCKET.into(), state: STATE.into(), stale: STALE };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--socket" => settings.socket = value()?.into(),
            "--state" => settings.state = value()?.into(),
            "--stale" => settings.stale = seconds(value()?)?,
            "--help" => return Ok(Wish::Tell(HELP.to_owned())),
            "--version" => return Ok(Wish::Tell(format!("ipvl-docker {}\n", env!("CARGO_PKG_VERSION")))),
            "agent" => return Ok(Wish::Agent),
            other => return Err(format!("there is no option {other}")),
        }
    }
    Ok(Wish::Serve(settings))
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| format!("{text} is no number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Wish, String> {
        read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line_is_understood_or_refused() {
        let expected = Settings { socket: "/s".into(), state: "/d".into(), stale: Duration::from_secs(3) };
        assert_eq!(of("--socket /s --state /d --stale 3"), Ok(Wish::Serve(expected)));
        assert_eq!(of("agent"), Ok(Wish::Agent));
        assert!(matches!(of("--version"), Ok(Wish::Tell(text)) if text.starts_with("ipvl-docker ")));
        assert_eq!(of("--socket"), Err("--socket needs a value".to_owned()));
        assert_eq!(of("--stale x"), Err("x is no number of seconds".to_owned()));
        assert_eq!(of("-x"), Err("there is no option -x".to_owned()));
    }
}
