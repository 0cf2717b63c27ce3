//! How are results stored? Samples, their median and spread, as JSON.

use serde_json::{Value, json};
use std::io;
use std::path::Path;

/// All samples of one figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The candidate: "ipvl l2".
    pub candidate: String,
    /// The load: "TCP RR".
    pub load: String,
    /// The path: "slave to slave".
    pub path: String,
    /// "IPv4" or "IPv6".
    pub family: String,
    /// Nanoseconds, or instructions, an operation; one a round.
    pub samples: Vec<f64>,
}

/// A run of the benchmark.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// The kernel's release.
    pub kernel: String,
    /// "ns" or "instructions".
    pub unit: String,
    /// In the order in which they were measured.
    pub series: Vec<Series>,
}

impl Series {
    /// The median.
    pub fn median(&self) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let half = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
    }

    /// The smallest sample.
    pub fn least(&self) -> f64 {
        self.samples.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The largest minus the smallest sample, divided by the median.
    pub fn spread(&self) -> f64 {
        let most = self.samples.iter().copied().fold(0.0, f64::max);
        (most - self.least()) / self.median()
    }

    fn to_json(&self) -> Value {
        json!({
            "candidate": self.candidate, "load": self.load, "path": self.path, "family": self.family,
            "median": round(self.median()), "spread": round(self.spread() * 1000.0) / 1000.0,
            "samples": self.samples.iter().copied().map(round).collect::<Vec<_>>(),
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let samples = value["samples"].as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
        let (candidate, load, path, family) = (text("candidate")?, text("load")?, text("path")?, text("family")?);
        Some(Self { candidate, load, path, family, samples })
    }
}

impl Results {
    /// No results yet, on this kernel.
    pub fn new(counting: bool) -> Self {
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        let unit = if counting { "instructions" } else { "ns" };
        Self { kernel, unit: unit.to_owned(), series: Vec::new() }
    }

    /// Adds a sample to its series.
    pub fn add(&mut self, [candidate, load, path, family]: [&str; 4], sample: f64) {
        let found = self.series.iter_mut().find(|series| series.is([candidate, load, path, family]));
        if let Some(series) = found {
            series.samples.push(sample);
            return;
        }
        let [candidate, load, path, family] = [candidate, load, path, family].map(str::to_owned);
        self.series.push(Series { candidate, load, path, family, samples: vec![sample] });
    }

    /// The figure of a series, if it was measured: the median of counts, but the least of times, since other activity of the
    /// machine only adds to them.
    pub fn figure(&self, names: [&str; 4]) -> Option<f64> {
        let series = self.series.iter().find(|series| series.is(names))?;
        Some(if self.unit == "ns" { series.least() } else { series.median() })
    }

    /// Writes them.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let series: Vec<_> = self.series.iter().map(Series::to_json).collect();
        let lines: Vec<_> = series.iter().map(|line| format!("  {line}")).collect();
        let head = format!("\"kernel\": {}, \"unit\": {}", json!(self.kernel), json!(self.unit));
        std::fs::write(file, format!("{{{head}, \"series\": [\n{}\n]}}\n", lines.join(",\n")))
    }

    /// Reads them again.
    pub fn read(file: &Path) -> io::Result<Self> {
        let value: Value = serde_json::from_slice(&std::fs::read(file)?)?;
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let series = value["series"].as_array().into_iter().flatten().filter_map(Series::from_json).collect();
        Ok(Self { kernel: text("kernel"), unit: text("unit"), series })
    }
}

impl Series {
    pub fn is(&self, [candidate, load, path, family]: [&str; 4]) -> bool {
        self.candidate == candidate && self.load == load && self.path == path && self.family == family
    }
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(samples: &[f64]) -> Series {
        let [candidate, load, path, family] = ["a", "b", "c", "d"].map(str::to_owned);
        Series { candidate, load, path, family, samples: samples.to_vec() }
    }

    #[test]
    fn the_median_and_the_spread_are_those_of_the_samples() {
        assert_eq!(series(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(series(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert_eq!(series(&[2.0, 1.0, 3.0]).spread(), 1.0);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut results = Results { kernel: "6.12".into(), unit: "ns".into(), series: vec![series(&[1.5, 2.0])] };
        results.add(["a", "b", "c", "d"], 3.0);
        let file = std::env::temp_dir().join(format!("ipvl-bench-{}", std::process::id()));
        results.write(&file).expect("write");
        let read = Results::read(&file);
        std::fs::remove_file(&file).expect("remove");
        assert_eq!(read.expect("read"), results);
    }
}
