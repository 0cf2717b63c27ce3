//! What does a command line ask for?

mod explain;
mod link;
mod values;
mod watching;

use crate::command::{Application, Command, Declaration, Switches, Timestamp, Topic, Watch};
use crate::definition::{OBJECTS, Object, SWITCHES, Switch, Verb};
use crate::names::Named;
use crate::usage::UsageError;
use crate::words::Given;
use ipvl_control::{Kind, Term};
use std::path::PathBuf;

/// Reads switches and command. In a batch there may be no command.
pub fn command_line(line: &[String]) -> Result<(Switches, Option<Command>), UsageError> {
    let (switches, asked, rest) = split_switches(line)?;
    let command = match asked {
        Some(command) => Some(command),
        None if switches.batch.is_some() => None,
        None => Some(command(rest)?),
    };
    Ok((switches, command))
}

/// Reads a command without switches, as a batch has it.
pub fn command(line: &[String]) -> Result<Command, UsageError> {
    let Some((typed, rest)) = line.split_first() else { return Ok(Command::Help(Topic::All)) };
    match OBJECTS.iter().find(|object| object.is_named(typed)) {
        Some(object) => object_command(object, rest),
        None if is_help(typed) => Ok(Command::Help(Topic::All)),
        None => Err(UsageError::UnknownObject { word: typed.clone() }),
    }
}

type Split<'a> = (Switches, Option<Command>, &'a [String]);

fn split_switches(mut line: &[String]) -> Result<Split<'_>, UsageError> {
    let mut switches = Switches::default();
    while let Some((typed, rest)) = line.split_first().filter(|(typed, _)| typed.starts_with('-')) {
        line = rest;
        if typed == "--" {
            break;
        }
        let switch = find_switch(typed)?;
        let value = match switch.value {
            Some(_) => Some(take_value(typed, &mut line)?),
            None => None,
        };
        if let Some(command) = switches.set(switch.name, value) {
            return Ok((switches, Some(command), line));
        }
    }
    Ok((switches, None, line))
}

fn find_switch(typed: &str) -> Result<&'static Switch, UsageError> {
    let name = typed.trim_start_matches('-');
    SWITCHES
        .iter()
        .find(|switch| switch.is_named(name))
        .ok_or_else(|| UsageError::UnknownOption { word: typed.to_owned() })
}

fn take_value(typed: &str, line: &mut &[String]) -> Result<String, UsageError> {
    let (value, rest) = line.split_first().ok_or_else(|| UsageError::Incomplete { after: typed.to_owned() })?;
    *line = rest;
    Ok(value.clone())
}

impl Switches {
    fn set(&mut self, name: &str, value: Option<String>) -> Option<Command> {
        match name {
            "details" => self.details = true,
            "json" => self.json = true,
            "pretty" => self.pretty = true,
            "statistics" | "stats" => self.statistics = true,
            "timestamp" => self.timestamp = Some(Timestamp::Long),
            "tshort" => self.timestamp = Some(Timestamp::Short),
            "netns" => self.netns = value,
            "batch" => self.batch = value,
            "force" => self.force = true,
            "help" => return Some(Command::Help(Topic::All)),
            _ => return Some(Command::Version),
        }
        None
    }
}

fn object_command(object: &'static Object, line: &[String]) -> Result<Command, UsageError> {
    if let Some(topic) = help_topic(object, line) {
        return Ok(Command::Help(topic));
    }
    match (object.only_command(), line.split_first()) {
        (Some(verb), _) => verb_command(object, verb, line),
        (None, Some((typed, rest))) => verb_command(object, find_verb(object, typed)?, rest),
        (None, None) => match object.commands.iter().find(|verb| verb.name == "show") {
            Some(show) => verb_command(object, show, &[]),
            None => Ok(Command::Help(Topic::Object(object))),
        },
    }
}

fn find_verb(object: &'static Object, typed: &str) -> Result<&'static Verb, UsageError> {
    object
        .commands
        .iter()
        .find(|verb| verb.is_named(typed))
        .ok_or_else(|| UsageError::UnknownCommand { object: object.name, word: typed.to_owned() })
}

/// `help` may end any command line, except one that the shell asks to complete.
fn help_topic(object: &'static Object, line: &[String]) -> Option<Topic> {
    let (last, before) = line.split_last()?;
    let alone = before.is_empty() && is_help(last);
    match last.as_str() {
        _ if object.name == "complete" => None,
        "help" if let Some(kind) = before.iter().find_map(|word| Kind::from_word(word)) => Some(Topic::Kind(kind)),
        "help" => Some(Topic::Object(object)),
        _ => alone.then_some(Topic::Object(object)),
    }
}

fn is_help(typed: &str) -> bool {
    !typed.is_empty() && ("help".starts_with(typed) || typed == "-h" || typed == "--help" || typed == "-help")
}

fn verb_command(object: &'static Object, verb: &'static Verb, line: &[String]) -> Result<Command, UsageError> {
    if object.name == "link" && verb.name == "set" && line.iter().any(|word| word == "address") {
        return Err(UsageError::SlaveAddress);
    }
    let given = Given::read(line, verb)?;
    match (object.name, verb.name) {
        ("link", "add") => link::add(&given).map(Command::LinkAdd),
        ("link", "set") => link::set(&given),
        ("link", "delete") => Ok(Command::LinkDelete { name: values::device(given.required("dev")?)? }),
        ("link", _) => link::show(&given),
        ("addr", "add") => declaration(&given).map(Command::AddressAdd),
        ("addr", "replace") => declaration(&given).map(Command::AddressReplace),
        ("addr", "delete") => declaration(&given).map(Command::AddressDelete),
        ("addr", _) => Ok(Command::AddressShow { slave: given.parsed("dev", values::device)? }),
        ("stats", _) => Ok(Command::Stats { name: given.parsed("dev", values::device)? }),
        ("monitor", _) => watch(&given).map(Command::Monitor),
        ("flows", _) => watching::filter(&given).map(Command::Flows),
        ("capture", _) => watching::capture(&given).map(Command::Capture),
        ("explain", way) => explain::question(way, &given).map(Command::Explain),
        ("doctor", _) => Ok(Command::Doctor { slave: given.parsed("dev", values::device)? }),
        ("agent", _) => Ok(Command::Agent(given.get("term").map_or(Term::WhileNeeded, |_| Term::Service))),
        ("upgrade", _) => {
            let master = given.parsed("dev", values::device)?;
            Ok(Command::Upgrade { master, again: given.get("again").is_some() })
        }
        ("apply", _) => application(&given),
        ("man", _) => Ok(man(given.get("page").unwrap_or("ipvl"))),
        ("completion", _) => {
            Ok(Command::Completion { shell: values::named(given.required("shell")?, "unknown shell")? })
        }
        _ => Ok(Command::Complete { words: line.iter().skip_while(|word| *word == "--").cloned().collect() }),
    }
}

fn watch(given: &Given) -> Result<Watch, UsageError> {
    let only = given.get("object").filter(|object| *object != "all");
    Ok(Watch {
        links: only.is_none_or(|only| only == "link"),
        addresses: only.is_none_or(|only| only == "address"),
        label: given.get("label").is_some(),
        device: given.parsed("dev", values::device)?,
    })
}

fn application(given: &Given) -> Result<Command, UsageError> {
    if given.get("schema").is_some() {
        return Ok(Command::Schema);
    }
    Ok(Command::Apply(Application {
        paths: given.all("file").map(PathBuf::from).collect(),
        dry_run: given.get("dry-run").is_some(),
        prune: given.get("prune").is_some(),
        wait: given.parsed("--wait", values::seconds)?.unwrap_or_default(),
    }))
}

/// What has a slash is a directory.
fn man(page: &str) -> Command {
    match page.contains('/') {
        true => Command::ManAll { dir: page.into() },
        false => Command::Man { page: page.to_owned() },
    }
}

fn declaration(given: &Given) -> Result<Declaration, UsageError> {
    let (addr, prefix_len) = values::prefix(given.required("local")?)?;
    Ok(Declaration { slave: values::device(given.required("dev")?)?, addr, prefix_len })
}

#[cfg(test)]
mod tests;
