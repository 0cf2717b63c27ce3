//! How is a command carried out? It calls the control plane and prints the result.

mod apply;
mod explain;
mod graph;
mod metrics;
mod output;
mod top;
mod translate;
mod watching;

use crate::backend::{self, Inventory};
use crate::batch::{self, Action, Step};
use crate::command::{Command, Declaration, Family, Switches, Timestamp, Watch};
use crate::failure::Failure;
use crate::netns;
use crate::pages::{self, Candidate};
use crate::render::{self, Style};
use ipvl_control::{Kind, Link, LinkSpec, Severity, Statistics, input};
use output::{print, show};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;
use std::{fs, slice};

/// Carries out a command, or the batch that the switches name.
pub fn run(switches: &Switches, command: Option<Command>) -> Result<(), Failure> {
    if let Some(name) = &switches.netns {
        netns::enter(name).map_err(|source| Failure::Netns { name: name.clone(), source })?;
    }
    match (&switches.batch, command) {
        (_, Some(command)) => one(command, switches),
        (Some(file), None) => run_batch(file, switches),
        (None, None) => Ok(()),
    }
}

fn run_batch(file: &str, switches: &Switches) -> Result<(), Failure> {
    let text = read_batch(file).map_err(|source| Failure::Batch { name: file.to_owned(), source })?;
    let mut result = Ok(());
    for Step { lines, what } in batch::steps(&text, switches.force) {
        let done = what.map_err(Failure::from).and_then(|action| act(action, switches));
        let Err(failure) = done else { continue };
        let (first, last) = lines.into_inner();
        let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
        tell_of(&failure, Some((file.to_owned(), range)), Style::of(switches));
        result = Err(Failure::Told);
        if !switches.force {
            break;
        }
    }
    result
}

/// Prints a failure in one write, so that lines of several commands do not mix.
pub fn tell(failure: &Failure, json: bool) {
    if !matches!(failure, Failure::Told) {
        tell_of(failure, None, Style { json, ..Style::default() });
    }
}

fn tell_of(failure: &Failure, place: Option<(String, String)>, style: Style) {
    // The reader may have closed stderr.
    let _ = io::stderr().write_all(render::failure(&failure.to_string(), place.as_ref(), style).as_bytes());
}

fn read_batch(file: &str) -> io::Result<String> {
    match file {
        "-" => input::read_text(io::stdin()),
        path => fs::File::open(path).and_then(input::read_text),
    }
}

fn act(action: Action, switches: &Switches) -> Result<(), Failure> {
    match action {
        Action::Add(specs) => backend::require_rights("add").map_err(Failure::from).and_then(|()| add(&specs)),
        Action::Delete(names) => Ok(backend::require_rights("delete").and_then(|()| backend::delete_all(&names))?),
        Action::One(command) => one(*command, switches),
    }
}

fn one(command: Command, switches: &Switches) -> Result<(), Failure> {
    let style = Style::of(switches);
    command.needs_rights().map_or(Ok(()), backend::require_rights)?;
    match command {
        Command::Help(topic) => match pages::help(&topic) {
            Ok(text) => show(&text),
            Err(error) => Err(error.into()),
        },
        Command::Version => show(concat!("ipvl utility, ipvl-", env!("CARGO_PKG_VERSION"), "\n")),
        Command::LinkAdd(spec) => add(slice::from_ref(&spec)),
        Command::LinkSet { name, change } => Ok(backend::set(&name, &change)?),
        Command::LinkDelete { name } => Ok(backend::delete_all(&[name])?),
        Command::LinkShow { name, kind } => show_links(name, kind, switches.statistics, style),
        Command::AddressShow { slave } => show_addresses(slave, switches.family, style),
        Command::AddressAdd(Declaration { slave, addr, prefix_len }) => Ok(backend::declare(&slave, addr, prefix_len)?),
        Command::AddressReplace(Declaration { slave, addr, prefix_len }) => {
            Ok(backend::replace(&slave, addr, prefix_len)?)
        }
        Command::AddressDelete(Declaration { slave, addr, prefix_len }) => {
            Ok(backend::withdraw(&slave, addr, prefix_len)?)
        }
        Command::PolicyShow { slave } => {
            show(&render::policies(&backend::policies(slave.as_deref())?, switches.statistics, style))
        }
        Command::PolicyChange { slave, change } => Ok(backend::change_policy(&slave, &change)?),
        Command::PolicyTranslate { files } => translate::run(&files, style),
        Command::Stats { name } => show_statistics(name, style),
        Command::Metrics { listen } => metrics::run(listen),
        Command::Monitor(watch) => monitor(&Watch { family: switches.family, ..watch }, switches.timestamp, style),
        Command::Flows(filter) => watching::flows(&filter, style),
        Command::Capture(capture) => watching::capture(&capture, style),
        Command::Explain(question) => explain::run(&question, style),
        Command::Top { every } => top::run(every, switches.color),
        Command::Graph(drawing) => graph::run(drawing, style),
        Command::Doctor { slave } => examine(slave.as_deref(), style),
        Command::Agent(term) => Ok(backend::run_agent(term)?),
        Command::SetFlowtable { on } => Ok(backend::set_flowtable(on)?),
        Command::FlushFlowtable => Ok(backend::flush_flowtable()?),
        Command::Upgrade { master, again } => {
            show(&render::upgraded(&backend::upgrade(master.as_deref(), again)?, style))
        }
        Command::Apply(application) => apply::run(&application, style),
        Command::Schema => show(&backend::schema()),
        Command::Man { page } => show(&pages::page(&page).ok_or(Failure::NoSuchPage { page })?),
        Command::ManAll { dir } => write_pages(&dir),
        Command::Completion { shell } => show(pages::script(shell)),
        Command::Complete { words } => complete(&words),
    }
}

fn add(specs: &[LinkSpec]) -> Result<(), Failure> {
    backend::add(specs)?;
    Ok(())
}

fn show_links(name: Option<String>, kind: Option<Kind>, statistics: bool, style: Style) -> Result<(), Failure> {
    let inventory = if statistics { Inventory::read()? } else { Inventory::read_uncounted()? };
    let mut links = only(slaves(&inventory)?, name, Link::is_called)?;
    links.retain(|link| kind.is_none_or(|kind| link.kind == kind));
    let statistics = if statistics { inventory.statistics()? } else { Vec::new() };
    show(&render::links(&links, &statistics, style))
}

/// The slaves of the masters in this netns. Where there are only other masters' slaves, that is said: none would be found.
fn slaves(inventory: &Inventory) -> Result<Vec<Link>, Failure> {
    let links = inventory.links();
    if links.is_empty() {
        backend::require_master_here("examine")?;
    }
    Ok(links)
}

/// Looks for the name among the slaves, because a slave may have no addresses.
fn show_addresses(slave: Option<String>, family: Option<Family>, style: Style) -> Result<(), Failure> {
    let inventory = Inventory::read_uncounted()?;
    let (mut entries, mut links) = (inventory.addresses()?, slaves(&inventory)?);
    entries.retain(|entry| family.is_none_or(|family| family.has(entry.addr)));
    if slave.is_some() {
        links = only(links, slave, Link::is_called)?;
        entries.retain(|entry| links.iter().any(|link| entry.slave.as_ref() == Some(&link.name)));
    }
    show(&render::addresses(&entries, &links, style))
}

fn show_statistics(name: Option<String>, style: Style) -> Result<(), Failure> {
    let inventory = Inventory::read()?;
    let mut links = slaves(&inventory)?;
    links.retain(|link| name.as_ref().is_some_and(|name| link.is_called(name)));
    let is_one_of = |line: &Statistics| links.iter().any(|link| line.is_of(link));
    let is_named = |line: &Statistics, name: &str| is_one_of(line) || line.is_master && line.name == name;
    show(&render::statistics(&only(inventory.statistics()?, name, is_named)?, style))
}

/// Runs until the reader of standard output is gone.
fn monitor(watch: &Watch, timestamp: Option<Timestamp>, style: Style) -> Result<(), Failure> {
    let mut monitor = backend::Monitor::open()?;
    while let Some(event) = monitor.next(io::stdout())? {
        let text = render::event(&event, watch, timestamp, SystemTime::now(), style);
        if !print(&text)? {
            break;
        }
    }
    Ok(())
}

fn examine(slave: Option<&str>, style: Style) -> Result<(), Failure> {
    let findings = backend::doctor(slave)?;
    show(&render::findings(&findings, style))?;
    match findings.iter().any(|finding| finding.severity == Severity::Bad) {
        true => Err(Failure::Told),
        false => Ok(()),
    }
}

fn only<T>(mut all: Vec<T>, name: Option<String>, is_named: impl Fn(&T, &str) -> bool) -> Result<Vec<T>, Failure> {
    let Some(name) = name else { return Ok(all) };
    all.retain(|one| is_named(one, &name));
    if all.is_empty() { Err(Failure::NoSuchDevice { name }) } else { Ok(all) }
}

fn write_pages(dir: &Path) -> Result<(), Failure> {
    for (name, text) in pages::pages() {
        fs::write(dir.join(format!("{name}.8")), text)?;
    }
    Ok(())
}

fn complete(words: &[String]) -> Result<(), Failure> {
    let typed = words.last().map_or("", String::as_str);
    let lines: String = pages::candidates(words)
        .into_iter()
        .flat_map(names)
        .filter(|(name, _)| name.starts_with(typed))
        .map(|(name, about)| if about.is_empty() { format!("{name}\n") } else { format!("{name}\t{about}\n") })
        .collect();
    show(&lines)
}

/// Omits names that cannot be read.
fn names(candidate: Candidate) -> Vec<(String, String)> {
    let names = match candidate {
        Candidate::Word(word, about) => return vec![(word, about)],
        Candidate::Devices => entries("/sys/class/net"),
        Candidate::Namespaces => entries("/run/netns"),
        Candidate::Slaves => {
            Inventory::read().map(|found| found.links()).unwrap_or_default().into_iter().map(|link| link.name).collect()
        }
    };
    names.into_iter().map(|name| (name, String::new())).collect()
}

fn entries(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}
