//! What becomes of a frame, in words? `deliver b`, `flood b c then wire+host`, `drop private`.

use crate::names::SLAVES;
use ipvl_control::read::snapshot::{Bytes, Snapshot};
use ipvl_core::{Action, Flood, FloodThen, Reason, Slot, Tables, Verdict};

/// What a scenario expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The verdicts that will do, in words.
    pub verdicts: Vec<String>,
    /// The stations that see the frame in real namespaces: slaves, `ext`, `host`.
    pub reaches: Vec<String>,
}

impl Expected {
    /// Reads `VERDICT [or REASON] [-> NAMES]`. The stations that the verdict names see the frame, and so do those behind
    /// the arrow; `-> nobody` means that no station sees it.
    ///
    /// # Panics
    /// When the words are no verdict.
    pub fn parse(text: &str) -> Self {
        let (verdict, reaches) = match text.split_once("->") {
            Some((verdict, names)) => (verdict.trim(), Some(split(names))),
            None => (text, None),
        };
        let verdicts: Vec<_> = match verdict.strip_prefix("drop ") {
            Some(reasons) => reasons.split(" or ").map(|reason| format!("drop {}", known(reason.trim()))).collect(),
            None => vec![verdict.to_owned()],
        };
        let reaches = match reaches {
            Some(names) if names == ["nobody"] => Vec::new(),
            more => [implied(verdict), more.unwrap_or_default()].concat(),
        };
        Self { verdicts, reaches }
    }

    /// Whether `verdict` will do for `frame`.
    pub fn admits(&self, verdict: Verdict, frame: &Bytes, snapshot: &Snapshot) -> bool {
        self.verdicts.contains(&words(verdict, frame, snapshot))
    }
}

/// A verdict on a frame as scenarios write it: a flood has the names of the slaves that get a copy.
pub fn words(verdict: Verdict, frame: &Bytes, snapshot: &Snapshot) -> String {
    match verdict.action() {
        Action::Deliver(slot) => format!("deliver {}", name(slot)),
        Action::Flood(flood) => format!("flood {}then {}", copies(flood, frame, snapshot), then(flood.then)),
        Action::Wire => "wire".to_owned(),
        Action::Route => "route".to_owned(),
        Action::OnLink => "on-link".to_owned(),
        Action::Host => "host".to_owned(),
        Action::Answer => "answer".to_owned(),
        Action::Drop(reason) => format!("drop {reason}"),
    }
}

/// The slots of the slaves that a flood of `frame` reaches.
pub fn audience(flood: Flood, frame: &Bytes, snapshot: &Snapshot) -> Vec<Slot> {
    let (first, end) = flood.slots(&snapshot.port());
    let filter = flood.filter(frame, snapshot);
    (first..end).map(Slot).filter(|slot| filter.admits(*slot, snapshot.slave(*slot))).collect()
}

fn copies(flood: Flood, frame: &Bytes, snapshot: &Snapshot) -> String {
    audience(flood, frame, snapshot).into_iter().map(|slot| format!("{} ", name(slot))).collect()
}

fn name(slot: Slot) -> &'static str {
    SLAVES.get(slot.0 as usize).copied().unwrap_or("?")
}

fn then(then: FloodThen) -> &'static str {
    match then {
        FloodThen::Wire => "wire",
        FloodThen::WireAndHost => "wire+host",
        FloodThen::Host => "host",
        FloodThen::Nowhere => "nothing",
    }
}

/// The stations that see the frame if the verdict is carried out and nothing forwards it after that.
fn implied(verdict: &str) -> Vec<String> {
    match split(verdict).as_slice() {
        [flood, rest @ ..] if flood == "flood" => {
            let names = rest.iter().filter(|word| *word != "then").flat_map(|word| word.split('+'));
            names.filter(|name| *name != "nothing").map(wire_is_ext).collect()
        }
        [deliver, slave] if deliver == "deliver" => vec![slave.clone()],
        [way] if matches!(way.as_str(), "wire" | "route" | "on-link") => vec!["ext".to_owned()],
        [host] if host == "host" => vec!["host".to_owned()],
        [answer] if answer == "answer" => Vec::new(),
        [drop, ..] if drop == "drop" => Vec::new(),
        other => panic!("{other:?} is no verdict"),
    }
}

fn wire_is_ext(word: &str) -> String {
    if word == "wire" { "ext" } else { word }.to_owned()
}

fn known(reason: &str) -> &str {
    assert!(Reason::ALL.iter().any(|known| known.name() == reason), "\"{reason}\" is no reason");
    reason
}

fn split(words: &str) -> Vec<String> {
    words.split_whitespace().map(str::to_owned).collect()
}
