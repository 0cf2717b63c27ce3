//! Which stations see a frame, and how often? Frames are sent on a stage, together, and looked for at every station.

use crate::identity::identity;
use ipvl_core::{Mode, Slot};
use ipvl_testbed::packet::{BROADCAST, Link, ethernet};
use ipvl_testbed::{Driver, EXT_MAC, EXT_V4, EXT_V6, Frame, MASTER_MAC};
use ipvl_tests::names::{Endpoint, SLAVES, endpoint};
use ipvl_tests::stage::Stage;
use ipvl_tests::world::World;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// A frame, and the slave that sends it; `None` for the wire.
pub type Shot = (Option<Slot>, Vec<u8>);

/// A marker that has not come after this will not come.
const PATIENCE: Duration = Duration::from_secs(20);
/// A frame takes so many hops at most, a neighbour's answer included; each marker is behind the hop before it.
const HOPS: usize = 4;
/// A protocol that no stack knows, but that the stage listens to.
const MARKER: u16 = 0x88b5;

/// The stations that saw one frame, and how often: slaves, `ext`, `host`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record(pub BTreeMap<&'static str, usize>);

impl Record {
    /// What is expected: each of these once.
    pub fn once<'a>(names: impl IntoIterator<Item = &'a String>) -> Self {
        Self(names.into_iter().map(|name| (observer(name), 1)).collect())
    }
}

impl Record {
    /// Nobody saw it.
    pub fn nobody(&self) -> bool {
        self.0.is_empty()
    }

    /// These saw it, each once, and no other station.
    pub fn only(&self, names: &[&str]) -> bool {
        self.0.len() == names.len() && names.iter().all(|name| self.0.get(name) == Some(&1))
    }

    /// One of these saw it, once, and no other station.
    pub fn one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.only(&[name]))
    }

    /// One of these saw it, once, or no station.
    pub fn one_at_most(&self, names: &[&str]) -> bool {
        self.nobody() || self.one_of(names)
    }

    /// One slave saw it, once, and no other station.
    pub fn one_slave(&self) -> bool {
        self.one_of(&SLAVES)
    }

    /// One slave and the host saw it, and no other station.
    pub fn host_and_one_slave(&self) -> bool {
        SLAVES.iter().any(|name| self.only(&["host", name]))
    }
}

impl Record {
    /// What its display says.
    pub fn parse(text: &str) -> Self {
        let one = |word: &str| match word.split_once('*') {
            Some((name, count)) => (observer(name), count.parse().expect("a number")),
            None => (observer(word), 1),
        };
        Self(text.split_whitespace().filter(|word| *word != "nobody").map(one).collect())
    }
}

/// `a b*2 host`, or `nobody`.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let often =
            |(name, count): (&&str, &usize)| if *count == 1 { (*name).to_owned() } else { format!("{name}*{count}") };
        let names: Vec<_> = self.0.iter().map(often).collect();
        f.write_str(&if names.is_empty() { "nobody".to_owned() } else { names.join(" ") })
    }
}

fn observer(name: &str) -> &'static str {
    let all = SLAVES.into_iter().chain(["ext", "host"]);
    all.into_iter().find(|known| *known == name).unwrap_or_else(|| panic!("\"{name}\" is no observer"))
}

/// A stage, and what marks the end of what was sent on it.
pub struct Recorder {
    /// Where frames are sent.
    pub stage: Stage,
    markers: u64,
    listeners: Vec<&'static str>,
}

impl Recorder {
    /// Builds the stage.
    pub fn new(driver: Driver) -> Self {
        let stage = Stage::of(driver);
        for (address, mac) in [(EXT_V4.to_string(), EXT_MAC), (EXT_V6.to_string(), EXT_MAC)] {
            stage.pin_neighbour(&address, mac);
        }
        Self { stage, markers: 0, listeners: Vec::new() }
    }

    /// Gives the host permanent neighbour entries for all stations on the wire: otherwise chance would decide which claims
    /// of the frames it accepts.
    pub fn pin_everybody(&self) {
        for name in SLAVES.into_iter().chain(["nobody"]) {
            let Endpoint { v4, v6 } = endpoint(name);
            let addresses = [v4.map(IpAddr::from), v6.map(IpAddr::from)];
            addresses.into_iter().flatten().for_each(|address| self.stage.pin_neighbour(&address.to_string(), EXT_MAC));
        }
    }

    /// Makes the world.
    pub fn play(&mut self, world: &World) {
        self.stage.play(world);
        let hears = |name: &&str| {
            let member = world.members.iter().find(|member| member.name == **name);
            member.is_some_and(|member| member.state().up && member.options().mode == Mode::L2)
        };
        self.listeners = SLAVES.into_iter().filter(hears).collect();
        self.settle();
    }

    /// Sends the frames, no two of them alike, and returns which stations saw each.
    pub fn record(&mut self, shots: &[Shot]) -> Vec<Record> {
        self.stage.clear();
        for (from, frame) in shots {
            self.stage.inject(*from, frame);
        }
        self.settle();
        let numbers: HashMap<_, _> = shots.iter().enumerate().map(|(n, (_, frame))| (identity(frame), n)).collect();
        assert_eq!(numbers.len(), shots.len(), "two frames look the same");
        let mut records = vec![Record::default(); shots.len()];
        for (name, frame) in self.stage.take() {
            if let Some(number) = numbers.get(&identity(&frame.bytes)) {
                *records[*number].0.entry(name).or_default() += 1;
            }
        }
        records
    }

    /// Waits until all that was sent has come to rest.
    ///
    /// Every queue on the way is first in, first out, so what was sent before a marker is one hop further when the marker
    /// has arrived. What the kernel's driver floods waits in a queue of its own, through which the last marker goes too.
    pub fn settle(&mut self) {
        for _ in 0..HOPS {
            self.pass(MASTER_MAC, &["host"]);
        }
        let listeners = [&["host"], self.listeners.as_slice()].concat();
        self.pass(BROADCAST, &listeners);
        self.pass(MASTER_MAC, &["host"]);
    }

    fn pass(&mut self, to: [u8; 6], observers: &[&'static str]) {
        self.markers += 1;
        let payload = [&b"a marker"[..], &self.markers.to_be_bytes(), &[0; 32]].concat();
        let marker = ethernet(Link::new(EXT_MAC, to), MARKER, &payload);
        self.stage.inject(None, &marker);
        let is_it = |frame: &Frame| frame.bytes == marker;
        for name in observers {
            let seen = self.stage.sightings(name, PATIENCE, is_it) > 0;
            assert!(seen, "{name} does not see the marker: is the machine at a standstill?");
        }
    }
}
