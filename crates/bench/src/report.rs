//! What do the results say, for people? Tables in `docs/performance.md`, between its markers, and charts beside it.

use crate::ahead;
use crate::candidate::{PATHS, Path as Way};
use crate::chart::Chart;
use crate::goals;
use crate::load::{LOADS, Load};
use crate::profile;
use crate::results::{Results, Series};
use std::fs;
use std::io;
use std::path::Path;

/// Of addresses.
pub const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
/// Who is shown, beside whom, and whether in the charts: the C driver in the same mode where that is known.
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
/// Whom the others are compared with where there is no C driver.
const STAND_IN: &str = "macvlan";
/// How its bytes fall into packets is chance, so it is in no mean.
pub const UNSTEADY: Load = Load::TcpStream;
/// Part of the way only: compared with the C driver's l2.
const FLOORS: [&str; 4] = ["veth pair", "netkit pair", "redirect only", "redirect only, netkit"];

/// Reads `counting.json`, `native.json` and `verdicts.json` in `directory`, writes charts there, and tables into `page`.
pub fn report(directory: &Path, page: &Path) -> io::Result<()> {
    let mut text = fs::read_to_string(page)?;
    for (name, what) in [("counting", "instruction counts"), ("native", "time")] {
        let Ok(results) = Results::read(&directory.join(format!("{name}.json"))) else { continue };
        let compared = Compared { results: &results };
        if name == "counting" {
            text = replace(&text, "goals", &goals::table(&compared));
        }
        let mut pictures = String::new();
        for way in PATHS {
            let file = directory.join(format!("{name}-{}.svg", way.name().replace(' ', "-")));
            fs::write(&file, compared.chart(way, what).svg())?;
            pictures += &format!("![{}]({})\n", way.name(), link(page, &file));
        }
        text = replace(&text, name, &format!("{pictures}\n{}", compared.tables()));
    }
    let of = |name: &str| Results::read(&directory.join(name));
    if let Ok(counted) = of("verdicts.json") {
        text = replace(&text, "verdicts", &verdicts(&counted, &of("verdicts-native.json").unwrap_or_default()));
    }
    if let Ok(profiled) = of("profile.json") {
        text = replace(&text, "profile", &profile::tables(&profiled));
    }
    for (marker, files) in
        [("scale", ["scale.json", "scale-counting.json"]), ("storm", ["storm.json", "storm-native.json"])]
    {
        let tables: Vec<_> = files.iter().filter_map(|file| of(file).ok()).map(|results| columns(&results)).collect();
        if !tables.is_empty() {
            text = replace(&text, marker, &tables.join("\n"));
        }
    }
    if let Some(tables) = ahead::tables(directory) {
        text = replace(&text, "ahead", &tables);
    }
    fs::write(page, text)
}

/// How the page names a file that is beside it or below it.
fn link(page: &Path, file: &Path) -> String {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (page, file) = (real(page), real(file));
    let below = page.parent().and_then(|directory| file.strip_prefix(directory).ok());
    below.unwrap_or(&file).display().to_string()
}

/// Puts `new` between the markers of that name.
fn replace(text: &str, name: &str, new: &str) -> String {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    match (text.split_once(&start), text.split_once(&end)) {
        (Some((before, _)), Some((_, after))) => format!("{before}{start}\n{new}\n{end}{after}"),
        _ => text.to_owned(),
    }
}

/// Candidates beside each other.
pub struct Compared<'a> {
    results: &'a Results,
}

impl Compared<'_> {
    /// How many times as fast as its measure; above 1 is faster.
    pub fn ratio(&self, candidate: &str, beside: &str, load: &str, path: &str, family: &str) -> Option<f64> {
        let measure = self.results.figure([beside, load, path, family]);
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

    fn chart(&self, way: Way, what: &str) -> Chart {
        let shown: Vec<_> = SHOWN.into_iter().filter(|(.., charted)| *charted).collect();
        let bars = |load: &str| {
            let both = |(candidate, beside, _): &(&str, &str, bool)| self.mean(candidate, beside, &[load], way.name());
            shown.iter().map(both).collect()
        };
        let measure = if self.has_driver() { "the C driver in the same mode" } else { STAND_IN };
        Chart {
            title: format!("{}: speed beside {measure}, by {what}", way.name()),
            legend: shown.iter().map(|(candidate, ..)| (*candidate).to_owned()).collect(),
            groups: LOADS.iter().map(|load| (load.name().to_owned(), bars(load.name()))).collect(),
        }
    }

    /// The geometric mean of the ratios of these loads, over both families.
    fn mean(&self, candidate: &str, beside: &str, loads: &[&str], path: &str) -> Option<f64> {
        let all = loads.iter().flat_map(|load| FAMILIES.map(|family| (load, family)));
        let ratios: Vec<f64> =
            all.filter_map(|(load, family)| self.ratio(candidate, beside, load, path, family)).collect();
        let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
        (!ratios.is_empty()).then(|| (sum / ratios.len() as f64).exp())
    }

    fn tables(&self) -> String {
        let mut text = format!("Linux {}, {} rounds.\n", self.results.kernel, self.rounds());
        for way in PATHS {
            text += &format!("\n**{}**, IPv4 / IPv6\n\n", way.name());
            text += &head(&["", "TCP stream", "TCP RR", "TCP CRR", "UDP RR", "UDP pps", "mean but the stream"]);
            let floors = FLOORS.map(|name| (name, "C ipvlan l2", false));
            for (candidate, beside, _) in SHOWN.into_iter().chain(floors) {
                text += &self.row(candidate, beside, way.name()).unwrap_or_default();
            }
            text += &self.costs(way.name());
        }
        text + &format!("\nSpread of the samples (largest less smallest, by the median): {}.\n", self.spread())
    }

    fn row(&self, candidate: &str, beside: &str, path: &str) -> Option<String> {
        let names = LOADS.map(|load| load.name());
        let steady: Vec<_> = names.into_iter().filter(|name| *name != UNSTEADY.name()).collect();
        let mean = self.mean(candidate, beside, &steady, path)?;
        let cell = |load: &str| {
            let [v4, v6] = FAMILIES.map(|family| shown(self.ratio(candidate, beside, load, path, family)));
            format!("{v4} / {v6}")
        };
        Some(format!("| {candidate} | {} | **{mean:.3}** |\n", names.map(cell).join(" | ")))
    }

    /// What an operation costs at the one that the others are measured by.
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
            format!("{load} {:.1} %, at worst {:.1} %", percent(middle), percent(worst))
        };
        LOADS.map(|load| of(load.name())).join("; ")
    }
}

/// What a run of each program costs: instructions in the virtual kernel, nanoseconds here.
fn verdicts(counted: &Results, timed: &Results) -> String {
    let mut text = format!("Instructions on Linux {}; nanoseconds on {}.\n\n", counted.kernel, timed.kernel);
    text += &head(&["program", "frame", "IPv4, instructions", "IPv6", "IPv4, ns", "IPv6, ns"]);
    let verdicts = counted.series.iter().filter(|series| series.load == "verdict" && series.family == "IPv4");
    for series in verdicts {
        let cost = |results: &Results, family| {
            let figure = results.figure([&series.candidate, "verdict", &series.path, family]);
            figure.map_or("-".to_owned(), |cost| format!("{cost:.0}"))
        };
        let cells = [counted, timed].map(|results| FAMILIES.map(|family| cost(results, family)).join(" | "));
        text += &format!("| {} | {} | {} |\n", series.candidate, series.path, cells.join(" | "));
    }
    text += "\n";
    text += &head(&["program", "", ""]);
    for series in counted.series.iter().filter(|series| series.load == "size") {
        text += &format!("| {} | {} | {:.0} |\n", series.candidate, series.path, series.median());
    }
    text
}

/// A row for each thing, and a column for each state in which it was measured.
fn columns(results: &Results) -> String {
    let distinct = |of: fn(&Series) -> String| {
        let mut all = Vec::new();
        for one in results.series.iter().map(of) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    };
    let (loads, states) =
        (distinct(|series| series.load.clone()), distinct(|s| format!("{}, {}", s.candidate, s.path)));
    let names: Vec<&str> = std::iter::once("").chain(states.iter().map(String::as_str)).collect();
    let mut text = format!("Linux {}, {}.\n\n{}", results.kernel, results.unit, head(&names));
    for load in loads {
        let cell = |state: &String| {
            let is_it = |s: &&Series| s.load == load && format!("{}, {}", s.candidate, s.path) == *state;
            let median = results.series.iter().find(is_it).map(Series::median);
            median.map_or(
                "-".to_owned(),
                |median| if median < 100.0 { format!("{median:.1}") } else { format!("{median:.0}") },
            )
        };
        text += &format!("| {load} | {} |\n", states.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_goes_between_its_markers_and_nowhere_else() {
        let page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb";
        assert_eq!(replace(page, "x", "new"), "a\n<!-- x -->\n\nnew\n<!-- end of x -->\nb");
        assert_eq!(replace(page, "y", "new"), page);
    }

    #[test]
    fn half_the_cost_is_twice_the_speed() {
        let mut results = Results::default();
        results.add(["C ipvlan l2", "TCP RR", "slave to slave", "IPv4"], 200.0);
        results.add(["ipvl l2", "TCP RR", "slave to slave", "IPv4"], 100.0);
        let compared = Compared { results: &results };
        assert_eq!(compared.ratio("ipvl l2", "C ipvlan l2", "TCP RR", "slave to slave", "IPv4"), Some(2.0));
    }
}
