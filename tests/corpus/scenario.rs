//! What is a scenario, and how many cases is it?
//!
//! ```toml
//! [[scenario]]
//! name = "unicast to a sibling"
//! rows = ["C1"]                  # of the table of what the C driver does
//! slaves = ["a", "b"]            # by default; words after a name hold in every variant: "b down"
//! declared = ["b 10.50.0.0/16"]  # ipvl addr add
//! joined = ["b group"]          # multicast groups; by default every slave gets all multicast
//! asked = ["a"]                  # slaves that have sent a DHCP request with the frame's transaction id
//! port = ["master-gone"]         # the master has left; "ip-only": it has no Ethernet header
//! from = "a"                     # or "wire"
//! after = "a"                    # from the wire, because a switch sent back what this slave had sent
//! frame = "udp a > b"
//! expect.bridge = "deliver b"    # a variant, laid over all slaves: "l3 private"; over one: "b l3, a vepa"; none: "-"
//! expect.vepa = "wire"
//! netns = "why real namespaces cannot judge it"
//! ```

use crate::frame::{self, FrameSource};
use crate::names::SLAVES;
use crate::outcome::Expected;
use crate::world::{Member, World};
use ipvl_control::read::snapshot::{Bytes, Snapshot};
use ipvl_core::{Action, Slot, digest, egress};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// One frame in one world, and what must become of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// `l2.toml: unicast to a sibling [bridge] udp4`.
    pub title: String,
    /// `l2.toml`.
    pub file: String,
    /// The scenario's name.
    pub name: String,
    /// Which of its worlds: the words before the expectation.
    pub variant: String,
    /// Which rows of the table of what the C driver does it speaks to: C for what slaves send, D for what the master
    /// receives.
    pub rows: Vec<String>,
    /// The master, its slaves and their addresses.
    pub world: World,
    /// The slave that sends it; `None` for the wire.
    pub from: Option<String>,
    /// The slave that had sent it before.
    pub after: Option<String>,
    /// The frame.
    pub frame: Bytes,
    /// What must become of it.
    pub expected: Expected,
    /// Why real namespaces cannot judge it, if they cannot.
    pub not_in_netns: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Words for every slave of the file, under all others.
    #[serde(default)]
    defaults: String,
    #[serde(default)]
    rows: Vec<String>,
    scenario: Vec<Scenario>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    name: String,
    #[serde(default)]
    rows: Vec<String>,
    #[serde(default = "two_slaves")]
    slaves: Vec<String>,
    #[serde(default)]
    declared: Vec<String>,
    joined: Option<Vec<String>>,
    #[serde(default)]
    asked: Vec<String>,
    #[serde(default)]
    port: Vec<String>,
    from: String,
    after: Option<String>,
    frame: String,
    expect: BTreeMap<String, String>,
    netns: Option<String>,
}

fn two_slaves() -> Vec<String> {
    SLAVES[..2].iter().map(|name| name.to_string()).collect()
}

/// All cases of the corpus.
///
/// # Panics
/// When a file of the corpus says nonsense.
pub fn corpus() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = fs::read_dir(&directory).expect("the directory of scenarios");
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.extension().is_some_and(|end| end == "toml")).flat_map(|path| cases(path)).collect()
}

fn cases(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).expect("a file of scenarios");
    let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let label = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    file.scenario.iter().flat_map(|scenario| scenario.cases(&label, &file)).collect()
}

impl Scenario {
    fn cases(&self, label: &str, file: &File) -> Vec<Case> {
        let rows = if self.rows.is_empty() { &file.rows } else { &self.rows };
        self.expect.iter().flat_map(|(variant, expected)| self.variant(label, file, rows, variant, expected)).collect()
    }

    fn variant(&self, label: &str, file: &File, rows: &[String], variant: &str, expected: &str) -> Vec<Case> {
        let world = self.world(&file.defaults, variant);
        let from = (self.from != "wire").then(|| self.from.clone());
        let way = match (&from, &self.after) {
            (Some(name), _) => FrameSource::Slave(world.member(name).options().mode),
            (None, Some(_)) => FrameSource::Reflected,
            (None, None) => FrameSource::Wire,
        };
        let mut frames = frame::frames(&self.frame, way);
        if world.is("ip-only") && from.is_none() {
            frames.iter_mut().for_each(|named| drop(named.frame.data.drain(..14)));
        }
        let case = |named: frame::Named| Case {
            title: format!("{label}: {} {} [{variant}] {}", rows.join(" "), self.name, named.label),
            file: label.to_owned(),
            name: self.name.clone(),
            variant: variant.to_owned(),
            rows: rows.to_vec(),
            world: world.clone(),
            from: from.clone(),
            after: self.after.clone(),
            frame: named.frame,
            expected: Expected::parse(expected),
            not_in_netns: self.netns.clone(),
        };
        frames.into_iter().map(case).collect()
    }

    fn world(&self, defaults: &str, variant: &str) -> World {
        let members = self.slaves.iter().map(|slave| member(slave, defaults, variant)).collect();
        let (declared, joined, port) = (self.declared.clone(), self.joined.clone(), self.port.clone());
        World { members, declared, joined, asked: self.asked.clone(), port }
    }
}

/// The words for one slave, the more special after the more general: file, variant for all, variant for it, scenario.
fn member(slave: &str, defaults: &str, variant: &str) -> Member {
    let (name, own) = slave.split_once(' ').unwrap_or((slave, ""));
    let mut words = split(defaults);
    for part in variant.split(',').map(split) {
        match part.split_first() {
            Some((first, rest)) if first == name => words.extend_from_slice(rest),
            Some((first, _)) if SLAVES.contains(&first.as_str()) || first == "-" => (),
            _ => words.extend(part),
        }
    }
    words.extend(split(own));
    Member { name: name.to_owned(), words: settled(&words) }
}

/// One word of each kind, the last one, so that worlds that are the same look the same.
fn settled(words: &[String]) -> Vec<String> {
    const KINDS: [&[&str]; 9] = [
        &["l2", "l3", "l3s"],
        &["bridge", "vepa", "private"],
        &["owned", "strict", "router", "declared", "off"],
        &["host"],
        &["down"],
        &["local"],
        &["proxy"],
        &["direct"],
        &["nodhcp"],
    ];
    if let Some(word) = words.iter().find(|word| !KINDS.iter().any(|kind| kind.contains(&word.as_str()))) {
        panic!("\"{word}\" says nothing of a slave");
    }
    let last = |kind: &&[&str]| words.iter().rfind(|word| kind.contains(&word.as_str())).cloned();
    let default = |kind: &&[&str]| (kind.len() > 1).then(|| kind[0].to_owned());
    KINDS.iter().filter_map(|kind| last(kind).or_else(|| default(kind))).collect()
}

fn split(words: &str) -> Vec<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

impl Case {
    /// The slot of the slave that sends it.
    pub fn sender(&self) -> Option<Slot> {
        self.from.as_ref().map(|name| self.world.member(name).slot())
    }

    /// The tables as they are when the frame comes: what its sender had sent before is remembered.
    pub fn snapshot(&self, mut snapshot: Snapshot) -> Snapshot {
        if let Some(name) = &self.after {
            let slot = self.world.member(name).slot();
            if let Action::Flood(flood) = egress(&self.frame, &snapshot, Some(slot)).action()
                && flood.reaches_wire()
            {
                snapshot.sent.insert(digest(&self.frame), slot);
            }
        }
        snapshot
    }
}
