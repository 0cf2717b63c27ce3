//! How fast is each candidate relative to another? Ratios of results, as tables and charts.

use crate::candidate::{PATHS, Path as Way};
use crate::chart::Chart;
use crate::load::{LOADS, Load};
use crate::results::{Results, Series};

/// Of addresses.
pub const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
/// The candidates that are shown, what each is compared with (the C driver in the same mode), and whether charts show it.
const SHOWN: [(&str, &str, bool); 11] = [
    ("ipvl l2", "C ipvlan l2", true),
    ("ipvl l2 netkit", "C ipvlan l2", true),
    ("ipvl l3", "C ipvlan l3", true),
    ("ipvl l3 netkit", "C ipvlan l3", true),
    ("ipvl l3s", "C ipvlan l3s", true),
    ("ipvl l3s netkit", "C ipvlan l3s", true),
    ("ipvl l3s direct", "C ipvlan l3s", false),
    ("ipvl l3s direct netkit", "C ipvlan l3s", false),
    ("macvlan", "C ipvlan l2", true),
    ("veth+bridge", "C ipvlan l2", true),
    ("ipvl l2 clsact", "C ipvlan l2", false),
];
/// The reference where there is no C driver.
const STAND_IN: &str = "macvlan";
/// Left out of the means: how many bytes of a stream a packet gets is chance.
pub const UNSTEADY: Load = Load::TcpStream;
/// Candidates that are only part of a driver, compared with the C driver in l2.
const FLOORS: [&str; 4] = ["veth pair", "netkit pair", "redirect only", "redirect only, netkit"];

/// The results of several candidates.
pub struct Compared<'a> {
    results: &'a Results,
}

impl<'a> Compared<'a> {
    /// The candidates of these results.
    pub fn of(results: &'a Results) -> Self {
        Self { results }
    }

    /// The speed relative to the candidate `reference`; above 1 is faster.
    pub fn ratio(&self, candidate: &str, reference: &str, load: &str, path: &str, family: &str) -> Option<f64> {
        let measure = self.results.figure([reference, load, path, family]);
        let measure = measure.or_else(|| self.results.figure([STAND_IN, load, path, family]));
        Some(measure? / self.results.figure([candidate, load, path, family])?)
    }

    /// What an operation takes.
    pub fn cost(&self, candidate: &str, load: &str, path: &str, family: &str) -> Option<f64> {
        self.results.figure([candidate, load, path, family])
    }

    fn has_driver(&self) -> bool {
        self.results.series.iter().any(|series| series.candidate.starts_with("C ipvlan"))
    }

    /// The ratios on one path as a chart.
    pub fn chart(&self, way: Way, what: &str) -> Chart {
        let shown: Vec<_> = SHOWN.into_iter().filter(|(.., charted)| *charted).collect();
        let bars = |load: &str| {
            let both =
                |(candidate, reference, _): &(&str, &str, bool)| self.mean(candidate, reference, &[load], way.name());
            shown.iter().map(both).collect()
        };
        let measure = if self.has_driver() { "the C driver in the same mode" } else { STAND_IN };
        Chart {
            title: format!("{}: speed relative to {measure}, by {what}", way.name()),
            legend: shown.iter().map(|(candidate, ..)| (*candidate).to_owned()).collect(),
            groups: LOADS.iter().map(|load| (load.name().to_owned(), bars(load.name()))).collect(),
        }
    }

    /// The geometric mean of the ratios of these loads, over both families.
    fn mean(&self, candidate: &str, reference: &str, loads: &[&str], path: &str) -> Option<f64> {
        let all = loads.iter().flat_map(|load| FAMILIES.map(|family| (load, family)));
        let ratios: Vec<f64> =
            all.filter_map(|(load, family)| self.ratio(candidate, reference, load, path, family)).collect();
        let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
        (!ratios.is_empty()).then(|| (sum / ratios.len() as f64).exp())
    }

    /// All ratios, path by path.
    pub fn tables(&self) -> String {
        let mut text = format!("Linux {}, {} rounds.\n", self.results.kernel, self.rounds());
        for way in PATHS {
            text += &format!("\n**{}**, IPv4 / IPv6\n\n", way.name());
            text += &head(&["", "TCP stream", "TCP RR", "TCP CRR", "UDP RR", "UDP pps", "mean without TCP stream"]);
            let floors = FLOORS.map(|name| (name, "C ipvlan l2", false));
            for (candidate, reference, _) in SHOWN.into_iter().chain(floors) {
                text += &self.row(candidate, reference, way.name()).unwrap_or_default();
            }
            text += &self.costs(way.name());
        }
        text + &format!("\nSpread of the samples (largest minus smallest, divided by the median): {}.\n", self.spread())
    }

    fn row(&self, candidate: &str, reference: &str, path: &str) -> Option<String> {
        let names = LOADS.map(|load| load.name());
        let steady: Vec<_> = names.into_iter().filter(|name| *name != UNSTEADY.name()).collect();
        let mean = self.mean(candidate, reference, &steady, path)?;
        let cell = |load: &str| {
            let [v4, v6] = FAMILIES.map(|family| shown(self.ratio(candidate, reference, load, path, family)));
            format!("{v4} / {v6}")
        };
        Some(format!("| {candidate} | {} | **{mean:.3}** |\n", names.map(cell).join(" | ")))
    }

    /// What an operation costs with the reference.
    fn costs(&self, path: &str) -> String {
        let measure = if self.has_driver() { "C ipvlan l2" } else { STAND_IN };
        let cost = |load: &str, family: &str| {
            self.results.figure([measure, load, path, family]).map_or("-".to_owned(), |cost| format!("{cost:.0}"))
        };
        let cells = LOADS.map(|load| FAMILIES.map(|family| cost(load.name(), family)).join(" / "));
        format!("| {measure}, {} an operation | {} | |\n", self.results.unit, cells.join(" | "))
    }

    fn rounds(&self) -> usize {
        self.results.series.iter().map(|series| series.samples.len()).max().unwrap_or_default()
    }

    /// Of each load: the median of all series, and the worst.
    fn spread(&self) -> String {
        let of = |load: &str| {
            let wanted = |series: &&Series| series.load == load;
            let mut all: Vec<f64> = self.results.series.iter().filter(wanted).map(Series::spread).collect();
            all.sort_by(f64::total_cmp);
            let (middle, worst) = (all.get(all.len() / 2), all.last());
            let percent = |part: Option<&f64>| part.map_or(0.0, |part| part * 100.0);
            format!("{load} {:.1} %, worst {:.1} %", percent(middle), percent(worst))
        };
        LOADS.map(|load| of(load.name())).join("; ")
    }
}

/// The head of a table.
pub fn head(columns: &[&str]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    line(columns.to_vec()) + &line(columns.iter().map(|_| "---").collect())
}

/// A ratio in a table.
pub fn shown(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
}

/// A ratio where two digits say nothing.
pub fn precise(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_cost_is_twice_the_speed() {
        let mut results = Results::default();
        results.add(["C ipvlan l2", "TCP RR", "slave to slave", "IPv4"], 200.0);
        results.add(["ipvl l2", "TCP RR", "slave to slave", "IPv4"], 100.0);
        let compared = Compared::of(&results);
        assert_eq!(compared.ratio("ipvl l2", "C ipvlan l2", "TCP RR", "slave to slave", "IPv4"), Some(2.0));
    }
}
