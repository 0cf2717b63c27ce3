//! What does a command line ask for?

mod explain;
mod link;
mod policy;
mod values;
mod watching;

use crate::command::{Application, Command, Declaration, Drawing, Family, Switches, Timestamp, Topic, Watch, When};
use crate::definition::{OBJECTS, Object, Switch, Verb};
use crate::misplaced;
use crate::names::Named;
use crate::usage::UsageError;
use crate::words::Given;
use ipvl_control::{Kind, Term};
use std::path::PathBuf;
use std::time::Duration;

/// Between two readings of `top`.
const EVERY: Duration = Duration::from_secs(2);

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
        None if is_help(typed) => Ok(Command::Help(topic(rest))),
        None => {
            let known = OBJECTS.iter().filter(|object| !object.hidden).map(|object| object.name);
            Err(UsageError::UnknownObject { word: typed.clone() }.meaning(typed, known))
        }
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
        if let Some(command) = switches.set(switch, typed, value) {
            return Ok((switches, Some(command), line));
        }
    }
    Ok((switches, None, line))
}

fn find_switch(typed: &str) -> Result<&'static Switch, UsageError> {
    let unknown = || UsageError::UnknownOption { word: typed.to_owned() }.with(misplaced::switches(typed));
    Switch::find(typed).ok_or_else(unknown)
}

/// Whether `-j` is among the switches, even if something else is wrong with the line: then its failure is JSON.
pub fn wants_json(line: &[String]) -> bool {
    let mut line = line.iter();
    while let Some(typed) = line.next().filter(|typed| typed.starts_with('-') && *typed != "--") {
        match Switch::find(typed) {
            Some(switch) if switch.name == "json" => return true,
            Some(switch) if switch.value.is_some() => _ = line.next(),
            _ => {}
        }
    }
    false
}

fn take_value(typed: &str, line: &mut &[String]) -> Result<String, UsageError> {
    let (value, rest) = line.split_first().ok_or_else(|| UsageError::Incomplete { after: typed.to_owned() })?;
    *line = rest;
    Ok(value.clone())
}

impl Switches {
    fn set(&mut self, switch: &Switch, typed: &str, value: Option<String>) -> Option<Command> {
        match switch.name {
            "details" => self.details = true,
            "json" => self.json = true,
            "pretty" => self.pretty = true,
            "statistics" | "stats" => self.statistics = true,
            "timestamp" => self.timestamp = Some(Timestamp::Long),
            "tshort" => self.timestamp = Some(Timestamp::Short),
            "netns" => self.netns = value,
            "batch" => self.batch = value,
            "force" => self.force = true,
            "brief" => self.brief = true,
            "oneline" => self.oneline = true,
            "4" => self.family = Some(Family::V4),
            "6" => self.family = Some(Family::V6),
            "color" => self.color = When::from_word(switch.choice(typed)).unwrap_or_default(),
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
    object.commands.iter().find(|verb| verb.is_named(typed)).ok_or_else(|| {
        let known = object.commands.iter().flat_map(|verb| [verb.name].into_iter().chain(verb.aliases.iter().copied()));
        UsageError::UnknownCommand { object: object.name, word: typed.to_owned() }.meaning(typed, known)
    })
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

/// `help WORD...`: an object, or what the last word is.
fn topic(line: &[String]) -> Topic {
    match (line, line.first().and_then(|word| OBJECTS.iter().find(|object| object.name == *word))) {
        ([], _) => Topic::All,
        (_, Some(object)) => Topic::Object(object),
        ([.., last], None) => Kind::from_word(last).map_or_else(|| Topic::Word(last.clone()), Topic::Kind),
    }
}

fn is_help(typed: &str) -> bool {
    !typed.is_empty() && ("help".starts_with(typed) || typed == "-h" || typed == "--help" || typed == "-help")
}

fn verb_command(object: &'static Object, verb: &'static Verb, line: &[String]) -> Result<Command, UsageError> {
    if object.name == "link" && verb.name == "set" && line.iter().any(|word| word == "address") {
        return Err(UsageError::SlaveAddress);
    }
    let meant = |error| misplaced::explain(error, object, verb, line);
    let given = Given::read(line, verb).map_err(meant)?;
    given_command(object, verb, line, &given).map_err(meant)
}

fn given_command(object: &Object, verb: &Verb, line: &[String], given: &Given) -> Result<Command, UsageError> {
    match (object.name, verb.name) {
        ("link", "add") => link::add(given).map(Command::LinkAdd),
        ("link", "set") => link::set(given),
        ("link", "delete") => Ok(Command::LinkDelete { name: values::device(given.required("dev")?)? }),
        ("link", _) => link::show(given),
        ("addr", "add") => declaration(given).map(Command::AddressAdd),
        ("addr", "replace") => declaration(given).map(Command::AddressReplace),
        ("addr", "delete") => declaration(given).map(Command::AddressDelete),
        ("addr", _) => Ok(Command::AddressShow { slave: given.parsed("dev", values::device)? }),
        ("policy", verb) => policy::command(verb, given),
        ("stats", _) => Ok(Command::Stats { name: given.parsed("dev", values::device)? }),
        ("metrics", _) => Ok(Command::Metrics { listen: given.parsed("--listen", values::listen)? }),
        ("monitor", _) => watch(given).map(Command::Monitor),
        ("flows", _) => watching::filter(given).map(Command::Flows),
        ("capture", _) => watching::capture(given).map(Command::Capture),
        ("top", _) => Ok(Command::Top { every: given.parsed("--every", values::every)?.unwrap_or(EVERY) }),
        ("graph", _) => drawing(given).map(Command::Graph),
        ("explain", way) => explain::question(way, given).map(Command::Explain),
        ("doctor", _) => Ok(Command::Doctor { slave: given.parsed("dev", values::device)? }),
        ("agent", _) => Ok(Command::Agent(given.get("term").map_or(Term::WhileNeeded, |_| Term::Service))),
        ("set", _) => Ok(Command::SetFlowtable { on: given.required("value")? == "on" }),
        ("flush", _) => Ok(Command::FlushFlowtable),
        ("upgrade", _) => {
            let master = given.parsed("dev", values::device)?;
            Ok(Command::Upgrade { master, again: given.get("again").is_some() })
        }
        ("apply", _) => application(given),
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
        family: None,
    })
}

fn drawing(given: &Given) -> Result<Drawing, UsageError> {
    match (given.get("--html"), given.get("drawing")) {
        (Some(_), Some(word)) => Err(UsageError::Duplicate { word: "drawing", value: word.to_owned() }),
        (Some(file), None) => Ok(Drawing::Html(file.into())),
        (None, Some("--dot")) => Ok(Drawing::Dot),
        (None, Some(_)) => Ok(Drawing::Mermaid),
        (None, None) => Ok(Drawing::Tree),
    }
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
