//! How are the results shown? As tables in `docs/performance.md`, between its markers, and as charts next to it.

use crate::ahead;
use crate::candidate::PATHS;
use crate::compared::{Compared, FAMILIES, head};
use crate::firewall;
use crate::goals;
use crate::module;
use crate::profile;
use crate::results::{Results, Series};
use crate::streams;
use std::fs;
use std::io;
use std::path::Path;

/// Reads `counting.json`, `native.json` and `verdicts.json` in `directory`, writes charts there, and tables into `page`.
pub fn report(directory: &Path, page: &Path) -> io::Result<()> {
    let mut text = fs::read_to_string(page)?;
    for (name, what) in [("counting", "instruction counts"), ("native", "time")] {
        let Ok(results) = Results::read(&directory.join(format!("{name}.json"))) else { continue };
        let compared = Compared::of(&results);
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
    if let Ok(table) = module::table(directory) {
        text = replace(&text, "kmod", &table);
    }
    if let Ok(table) = firewall::table(directory) {
        text = replace(&text, "firewall", &table);
    }
    if let Some(tables) = streams::tables(directory) {
        text = replace(&text, "streams", &tables);
    }
    if let Some(tables) = ahead::tables(directory) {
        text = replace(&text, "ahead", &tables);
    }
    fs::write(page, text)
}

/// The link from the page to a file next to it or below it.
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

/// The cost of one run of each program: instructions in the virtual kernel, nanoseconds on this machine.
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

/// A row for each figure, and a column for each state in which it was measured.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_goes_between_its_markers_and_nowhere_else() {
        let page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb";
        assert_eq!(replace(page, "x", "new"), "a\n<!-- x -->\n\nnew\n<!-- end of x -->\nb");
        assert_eq!(replace(page, "y", "new"), page);
    }
}
