//! How fast is the kernel module beside the kernel's own driver? The same slaves of stock `ip`, made by the one and by the
//! other, in the same virtual kernel.

use crate::candidate::PATHS;
use crate::compared::{FAMILIES, UNSTEADY, head, precise};
use crate::load::LOADS;
use crate::results::Results;
use std::io;
use std::path::Path;

const MODES: [&str; 3] = ["l2", "l3", "l3s"];

/// The ratios of `kmod-kernel.json` and `kmod-module.json`; above 1 the module is faster.
pub fn table(directory: &Path) -> io::Result<String> {
    let [kernel, module] = ["kernel", "module"].map(|who| Results::read(&directory.join(format!("kmod-{who}.json"))));
    Ok(ratios(&kernel?, &module?))
}

fn ratios(kernel: &Results, module: &Results) -> String {
    let loads = LOADS.into_iter().filter(|load| *load != UNSTEADY);
    let names: Vec<_> = loads.map(|load| load.name()).collect();
    let columns: Vec<_> = ["", "mode"].into_iter().chain(names.iter().copied()).chain(["mean"]).collect();
    let mut text = format!("Linux {}, IPv4 / IPv6.\n\n{}", kernel.kernel, head(&columns));
    for (path, mode) in PATHS.into_iter().flat_map(|path| MODES.map(|mode| (path.name(), mode))) {
        let candidate = format!("C ipvlan {mode}");
        let ratio = |load: &str, family: &str| {
            let names = [&candidate, load, path, family];
            Some(kernel.figure(names)? / module.figure(names)?)
        };
        let all: Vec<_> = names.iter().map(|load| FAMILIES.map(|family| ratio(load, family))).collect();
        text += &format!("| {path} | {mode} | {} | **{}** |\n", cells(&all), precise(mean(&all)));
    }
    text
}

fn cells(all: &[[Option<f64>; 2]]) -> String {
    let cell = |[v4, v6]: &[Option<f64>; 2]| format!("{} / {}", precise(*v4), precise(*v6));
    all.iter().map(cell).collect::<Vec<_>>().join(" | ")
}

/// The geometric mean of those that were measured.
fn mean(all: &[[Option<f64>; 2]]) -> Option<f64> {
    let known: Vec<f64> = all.iter().flatten().copied().flatten().collect();
    (!known.is_empty()).then(|| (known.iter().map(|ratio| ratio.ln()).sum::<f64>() / known.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_ratios_of_both_drivers_and_their_mean() {
        let (mut kernel, mut module) = (Results::default(), Results::default());
        for (results, cost) in [(&mut kernel, 200.0), (&mut module, 100.0)] {
            results.add(["C ipvlan l3", "TCP RR", "slave to slave", "IPv4"], cost);
        }
        let table = ratios(&kernel, &module);
        assert!(table.contains("| slave to slave | l3 | 2.000 / - | - / - | - / - | - / - | **2.000** |"), "{table}");
        assert!(table.contains("| slave to slave | l2 | - / - | - / - | - / - | - / - | **-** |"), "{table}");
    }
}
