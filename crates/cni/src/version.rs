//! Which versions of the specification are spoken, and which of two is newer?

use crate::call::Command;
use crate::failure::{Code, Failure};
use serde_json::{Value, json};

/// The supported versions, oldest first.
pub const SUPPORTED: [&str; 7] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/// The newest.
pub const NEWEST: &str = "1.1.0";

/// The answer to VERSION. The caller may send no configuration.
pub fn reply(input: &[u8]) -> Result<Value, Failure> {
    let asked: Value = serde_json::from_slice(input).unwrap_or_default();
    let version = asked["cniVersion"].as_str().filter(|text| !text.is_empty()).unwrap_or(NEWEST);
    Ok(json!({ "cniVersion": version, "supportedVersions": SUPPORTED }))
}

/// Whether this command can be done in this version.
pub fn require(version: &str, command: Command) -> Result<(), Failure> {
    let refused =
        |text: String| Err(Failure::new(Code::IncompatibleVersion, "incompatible CNI versions").with_details(text));
    if !SUPPORTED.contains(&version) {
        return refused(format!("config is \"{version}\", ipvl supports {SUPPORTED:?}"));
    }
    let since = match command {
        Command::Check => "0.4.0",
        Command::Gc | Command::Status => "1.1.0",
        Command::Add | Command::Del | Command::Version => SUPPORTED[0],
    };
    if is_at_least(version, since) {
        return Ok(());
    }
    refused(format!("{} came with {since}, the config is \"{version}\"", command.word()))
}

/// Whether a supported version is `other` or newer.
pub fn is_at_least(version: &str, other: &str) -> bool {
    rank(version) >= rank(other)
}

/// The newest version that is no newer than `most` and that another plugin supports as well.
pub fn common(most: &str, theirs: &[String]) -> Option<&'static str> {
    let known = SUPPORTED.iter().rev().copied().filter(|version| is_at_least(most, version));
    known.into_iter().find(|version| theirs.iter().any(|other| other == version))
}

fn rank(version: &str) -> Option<usize> {
    SUPPORTED.iter().position(|known| *known == version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_is_spoken() {
        let theirs = ["0.3.1", "0.4.0", "1.0.0"].map(str::to_owned);
        assert_eq!((common("1.1.0", &theirs), common("0.4.0", &theirs)), (Some("1.0.0"), Some("0.4.0")));
        assert_eq!((common("0.3.0", &theirs), common("1.1.0", &[])), (None, None));
    }

    #[test]
    fn a_command_needs_the_version_that_brought_it() {
        assert!(require("0.3.1", Command::Check).is_err() && require("0.4.0", Command::Check).is_ok());
        assert!(require("1.0.0", Command::Gc).is_err() && require("1.1.0", Command::Status).is_ok());
        assert!(require("0.1.0", Command::Add).is_ok() && require("0.2.0", Command::Check).is_err());
        assert!(require("0.0.1", Command::Add).is_err() && require("2.0.0", Command::Del).is_err());
    }
}
