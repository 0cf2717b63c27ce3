//! Is ipvl as fast as it should be, and where does the rest go? Each goal with the ratios that were counted, and the cost
//! of a datagram, split into devices, redirects and the decision.

use crate::candidate::{PATHS, Path};
use crate::compared::{Compared, FAMILIES, UNSTEADY, head, shown};
use crate::load::{LOADS, Load};

/// No goal: the ratio is the price of policy between siblings.
const NONE: f64 = 0.0;
/// A candidate, its reference, and the least ratio wanted: between siblings, to the outside, from the outside.
const GOALS: [(&str, &str, [f64; 3]); 8] = [
    ("ipvl l2 netkit", "C ipvlan l2", [1.0, 1.0, 1.0]),
    ("ipvl l2", "C ipvlan l2", [0.97, 0.97, 0.97]),
    ("ipvl l3 netkit", "C ipvlan l3", [1.0, 1.05, 1.05]),
    ("ipvl l3", "C ipvlan l3", [0.97, 1.0, 1.0]),
    ("ipvl l3s direct netkit", "C ipvlan l3s", [0.97, NONE, NONE]),
    ("ipvl l3s direct", "C ipvlan l3s", [0.97, NONE, NONE]),
    ("ipvl l3s netkit", "C ipvlan l3s", [NONE, 1.0, 1.0]),
    ("ipvl l3s", "C ipvlan l3s", [NONE, 1.0, 1.0]),
];

/// Each goal with every ratio that it is about.
pub fn table(compared: &Compared<'_>) -> String {
    let mut text = head(&["", "goal", "TCP RR", "TCP CRR", "UDP RR", "UDP pps", "goals reached"]);
    for (path, n) in PATHS.into_iter().zip(0..) {
        for (candidate, reference, goals) in GOALS {
            text += &row(compared, candidate, reference, path, goals[n]).unwrap_or_default();
        }
    }
    text + "\n" + &rest(compared)
}

fn row(compared: &Compared<'_>, candidate: &str, reference: &str, path: Path, goal: f64) -> Option<String> {
    let steady = LOADS.into_iter().filter(|load| *load != UNSTEADY);
    let ratios: Vec<_> = steady
        .map(|load| FAMILIES.map(|family| compared.ratio(candidate, reference, load.name(), path.name(), family)))
        .collect();
    let known: Vec<f64> = ratios.iter().flatten().copied().flatten().collect();
    // What rounds to the goal has reached it.
    let reached = known.iter().filter(|ratio| **ratio + 0.005 >= goal).count();
    let cells: Vec<_> = ratios.iter().map(|[v4, v6]| format!("{} / {}", shown(*v4), shown(*v6))).collect();
    (!known.is_empty()).then(|| {
        let name = format!("{candidate}, {}", path.name());
        let (goal, reached) = match goal {
            NONE => ("none".to_owned(), "-".to_owned()),
            goal => (format!("{goal:.2}"), format!("{reached} of {}", known.len())),
        };
        format!("| {name} | {goal} | {} | {reached} |\n", cells.join(" | "))
    })
}

/// Instructions of one datagram in IPv4: the C driver's, and what each step towards ipvl adds.
fn rest(compared: &Compared<'_>) -> String {
    let mut text = head(&["a datagram, IPv4, instructions", "C driver's l2", "devices and redirects", "the decision"]);
    for (ours, bare) in [("ipvl l2", "redirect only"), ("ipvl l2 netkit", "redirect only, netkit")] {
        for path in PATHS {
            let cost = |candidate: &str| compared.cost(candidate, Load::UdpPps.name(), path.name(), FAMILIES[0]);
            if let (Some(driver), Some(bare), Some(whole)) = (cost("C ipvlan l2"), cost(bare), cost(ours)) {
                let (devices, decision) = (bare - driver, whole - bare);
                text += &format!("| {ours}, {} | {driver:.0} | {devices:+.0} | {decision:+.0} |\n", path.name());
            }
        }
    }
    text
}
