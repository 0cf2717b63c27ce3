//! Has a program become longer, or a verdict more expensive? `budget.toml` stores the costs, which are compared with the
//! current ones: instructions and helper calls in the object, and instructions run for one frame in the virtual kernel.

use crate::results::Results;
use aya_obj::Object;
use aya_obj::generated::bpf_insn;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A cost that rises by less than this part is accepted: another release of the compiler can cause it.
const TOLERANCE: f64 = 0.02;
/// A cost that falls by more than this part must be stored.
const GAIN: f64 = 0.05;
const HEAD: &str = "\
# What the programs may cost. `cargo test -p ipvl-bench` compares [programs], `make budget` both tables; it says so when
# something is worse, or much better. `WRITE=1 make budget` writes this file anew; say in the commit why.
# [programs]: eBPF instructions, and calls of the kernel's helpers, of each program with its functions, as in the object.
# [runs]: machine instructions of one run on one frame, with the helpers' own, on Debian's 6.12 kernel (`vm/run -I`).
";
const CALL: u8 = 0x85;
/// In the source register of a call: it is to a function of the program's own.
const OWN: u8 = 1;

/// Figures by name.
type Figures = BTreeMap<String, u64>;

/// The two tables of the file.
#[derive(Default)]
struct Budget {
    programs: Figures,
    runs: Figures,
}

/// Prints current and stored costs. Returns an error if they differ too much.
pub fn compare(verdicts: &Path) -> io::Result<()> {
    let (now, kept) = (Budget::measured(verdicts)?, Budget::kept()?);
    print(&now.programs, &kept.programs);
    print(&now.runs, &kept.runs);
    let problems = [differing(&now.programs, &kept.programs), differing(&now.runs, &kept.runs)].concat();
    if problems.is_empty() { Ok(()) } else { Err(io::Error::other(problems.join("\n"))) }
}

/// Stores the current costs.
pub fn write(verdicts: &Path) -> io::Result<()> {
    let now = Budget::measured(verdicts)?;
    let table = |name: &str, figures: &Figures| {
        let lines: Vec<_> = figures.iter().map(|(what, number)| format!("\"{what}\" = {number}\n")).collect();
        format!("\n[{name}]\n{}", lines.concat())
    };
    fs::write(file(), format!("{HEAD}{}{}", table("programs", &now.programs), table("runs", &now.runs)))
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("budget.toml")
}

impl Budget {
    fn measured(verdicts: &Path) -> io::Result<Self> {
        let results = Results::read(verdicts)?;
        if results.unit != "instructions" {
            return Err(io::Error::other(format!("{} has no instruction counts", verdicts.display())));
        }
        let runs = results.series.iter().filter(|series| series.load == "verdict" && series.path != "floor");
        let name = |path: &str, family: &str, candidate: &str| format!("{candidate}, {path}, {family}");
        let runs = runs.map(|run| (name(&run.path, &run.family, &run.candidate), run.median() as u64));
        Ok(Self { programs: programs(ipvl_control::port::object::OBJECT)?, runs: runs.collect() })
    }

    fn kept() -> io::Result<Self> {
        let text = fs::read_to_string(file())?;
        let table: toml::Table = text.parse().map_err(io::Error::other)?;
        Ok(Self { programs: figures(&table, "programs"), runs: figures(&table, "runs") })
    }
}

fn figures(table: &toml::Table, name: &str) -> Figures {
    let entries = table.get(name).and_then(toml::Value::as_table).into_iter().flatten();
    entries.filter_map(|(what, number)| Some((what.clone(), number.as_integer()?.cast_unsigned()))).collect()
}

/// Every program of an object, with the functions that it calls.
fn programs(object: &[u8]) -> io::Result<Figures> {
    let mut object = Object::parse(object).map_err(io::Error::other)?;
    let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    object.relocate_calls(&sections).map_err(io::Error::other)?;
    let mut figures = Figures::new();
    for (name, program) in &object.programs {
        let instructions = &object.functions[&program.function_key()].instructions;
        let calls = instructions.iter().filter(|instruction| calls_helper(instruction)).count();
        figures.insert(format!("{name}, instructions"), instructions.len() as u64);
        figures.insert(format!("{name}, helper calls"), calls as u64);
    }
    Ok(figures)
}

fn calls_helper(instruction: &bpf_insn) -> bool {
    instruction.code == CALL && instruction.src_reg() != OWN
}

fn print(now: &Figures, kept: &Figures) {
    for (what, number) in now {
        let before = kept.get(what).map_or("-".to_owned(), u64::to_string);
        println!("{what:50} {number:7}   stored {before:>7}");
    }
}

/// What is wrong with a figure, and what to do.
fn differing(now: &Figures, kept: &Figures) -> Vec<String> {
    let names: HashSet<_> = now.keys().chain(kept.keys()).collect();
    let mut problems: Vec<_> =
        names.into_iter().filter_map(|what| problem(what, now.get(what), kept.get(what))).collect();
    problems.sort();
    problems
}

fn problem(what: &str, now: Option<&u64>, kept: Option<&u64>) -> Option<String> {
    let keep = "`WRITE=1 make budget` stores the current figures";
    match (now, kept) {
        (Some(now), Some(kept)) if *now as f64 > *kept as f64 * (1.0 + TOLERANCE) => {
            Some(format!("{what}: {now}, and {kept} are stored: worse. Make it shorter; or, for a good reason, {keep}"))
        }
        (Some(now), Some(kept)) if (*now as f64) < *kept as f64 * (1.0 - GAIN) => {
            Some(format!("{what}: {now}, and {kept} are stored: better. {keep}"))
        }
        (Some(now), None) => Some(format!("{what}: {now}, and nothing is stored. {keep}")),
        (None, Some(_)) => Some(format!("{what}: is stored, but no longer exists. {keep}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_program_is_longer_than_its_budget() {
        let now = programs(ipvl_control::port::object::OBJECT).expect("an object");
        let kept = Budget::kept().expect("a budget").programs;
        assert!(now.len() >= 4, "there are programs");
        let problems = differing(&now, &kept);
        assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    }

    #[test]
    fn what_is_worse_or_much_better_is_said() {
        let said = |now, kept| problem("x", now, kept).unwrap_or_default();
        assert!(said(Some(&103), Some(&100)).contains("worse"));
        assert!(said(Some(&94), Some(&100)).contains("better"));
        assert_eq!(said(Some(&101), Some(&100)) + &said(Some(&96), Some(&100)), "");
        assert!(said(None, Some(&1)).contains("no longer") && said(Some(&1), None).contains("nothing is stored"));
    }
}
