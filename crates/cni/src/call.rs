//! What is asked, and for which container? The environment of a call.

use crate::failure::Failure;
use ipvl_control::NetnsRef;

/// What a runtime can want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// An interface for a container.
    Add,
    /// An interface is removed.
    Del,
    /// Is the interface as ADD left it?
    Check,
    /// Remove all interfaces of the network that are not listed.
    Gc,
    /// Could an interface be added now?
    Status,
    /// Which versions are supported?
    Version,
}

/// The environment of a call; what the command does not need is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub command: Command,
    pub container: String,
    /// The netns; none if it is gone.
    pub netns: Option<String>,
    pub ifname: String,
    /// `K=V` pairs.
    pub args: Vec<(String, String)>,
    /// Where plugins are looked for.
    pub path: String,
}

impl Call {
    /// The call that this process was started for.
    pub fn from_environment() -> Result<Self, Failure> {
        Self::parse(|key| std::env::var(key).ok())
    }

    fn parse(read: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let get = |key: &str| read(key).unwrap_or_default();
        let command = command(&get("CNI_COMMAND"))?;
        let call = Self {
            command,
            container: get("CNI_CONTAINERID"),
            netns: Some(get("CNI_NETNS")).filter(|path| !path.is_empty()),
            ifname: get("CNI_IFNAME"),
            args: if command.is_for_a_container() { args(&get("CNI_ARGS"))? } else { Vec::new() },
            path: get("CNI_PATH"),
        };
        if command.is_for_a_container() {
            call.check()?;
        }
        Ok(call)
    }

    /// The container's network namespace.
    pub fn netns(&self) -> Result<NetnsRef, Failure> {
        let path = self.netns.clone().ok_or_else(|| Failure::environment("CNI_NETNS is missing"))?;
        // Without a slash it would be taken for a name.
        Ok(NetnsRef::Name(if path.contains('/') { path } else { format!("./{path}") }))
    }

    /// The value of an argument.
    pub fn arg(&self, key: &str) -> Option<&str> {
        self.args.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
    }

    fn check(&self) -> Result<(), Failure> {
        if !is_identifier(&self.container) {
            let text = format!("CNI_CONTAINERID \"{}\" must be letters, digits and _.-", self.container);
            return Err(Failure::environment(text));
        }
        let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        let is_name = (1..16).contains(&self.ifname.len()) && !self.ifname.contains(odd);
        if !is_name || [".", ".."].contains(&self.ifname.as_str()) {
            return Err(Failure::environment(format!("CNI_IFNAME \"{}\" is no name of an interface", self.ifname)));
        }
        match self.command {
            Command::Add | Command::Check => self.netns().map(drop),
            _ => Ok(()),
        }
    }
}

impl Command {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }

    fn is_for_a_container(self) -> bool {
        matches!(self, Self::Add | Self::Del | Self::Check)
    }
}

/// What the specification allows in the names of networks and containers.
pub fn is_identifier(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(good)
}

fn command(word: &str) -> Result<Command, Failure> {
    use Command::*;
    let found = [Add, Del, Check, Gc, Status, Version].into_iter().find(|command| command.word() == word);
    found.ok_or_else(|| match word {
        "" => Failure::environment("CNI_COMMAND is missing; this is a CNI plugin, which a container runtime calls"),
        other => {
            Failure::environment(format!("CNI_COMMAND \"{other}\" is none of ADD, DEL, CHECK, GC, STATUS, VERSION"))
        }
    })
}

fn args(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let pair = |text: &str| {
        let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty())?;
        Some((key.to_owned(), value.to_owned()))
    };
    let pairs = text.split(';').filter(|text| !text.is_empty()).map(pair);
    pairs.collect::<Option<_>>().ok_or_else(|| Failure::environment(format!("CNI_ARGS \"{text}\" is not K=V;K=V")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Call, Failure> {
        Call::parse(|key| pairs.iter().find(|(other, _)| *other == key).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_call_is_read_whole() {
        let pairs = [
            ("CNI_COMMAND", "ADD"),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_NETNS", "/run/netns/a"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_ARGS", "IgnoreUnknown=1;IP=10.0.0.9"),
        ];
        let call = parse(&pairs).expect("a call");
        assert_eq!((call.command, call.arg("IP"), call.arg("MAC")), (Command::Add, Some("10.0.0.9"), None));
    }

    #[test]
    fn a_call_without_what_its_command_needs_is_refused() {
        let add = [("CNI_COMMAND", "ADD"), ("CNI_CONTAINERID", "c1"), ("CNI_NETNS", "/n"), ("CNI_IFNAME", "eth0")];
        for (key, bad) in [
            ("CNI_COMMAND", ""),
            ("CNI_COMMAND", "add"),
            ("CNI_CONTAINERID", ""),
            ("CNI_CONTAINERID", "../c"),
            ("CNI_NETNS", ""),
            ("CNI_IFNAME", ""),
            ("CNI_IFNAME", "sixteen-letters-"),
            ("CNI_IFNAME", "a/b"),
            ("CNI_IFNAME", ".."),
            ("CNI_ARGS", "IP"),
        ] {
            let others = add.iter().copied().filter(|(other, _)| *other != key);
            let pairs: Vec<(&str, &str)> = others.chain([(key, bad)]).collect();
            assert!(parse(&pairs).is_err_and(|failure| failure.text().contains(key)), "{key}={bad}");
        }
    }

    #[test]
    fn a_container_that_is_gone_can_be_deleted_and_probes_need_nothing() {
        let del = [("CNI_COMMAND", "DEL"), ("CNI_CONTAINERID", "c1"), ("CNI_NETNS", ""), ("CNI_IFNAME", "eth0")];
        assert!(parse(&del).is_ok_and(|call| call.netns.is_none()));
        for command in ["VERSION", "STATUS", "GC"] {
            let dummy = [("CNI_COMMAND", command), ("CNI_NETNS", "dummy"), ("CNI_ARGS", "dummy")];
            assert!(parse(&dummy).is_ok() && parse(&dummy[..1]).is_ok(), "{command}");
        }
    }
}
