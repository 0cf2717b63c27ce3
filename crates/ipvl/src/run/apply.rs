//! How is `ipvl apply` carried out? Read, compare, say what differs, and do it.

use super::output::show;
use crate::backend;
use crate::command::Application;
use crate::failure::Failure;
use crate::render::{self, Style};
use ipvl_control::input;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

const DEFAULT: &str = "/etc/ipvl";
/// The pause between two look-ups of a missing master.
const LOOK: Duration = Duration::from_millis(100);
/// The pause between two lines of progress.
const PACE: Duration = Duration::from_secs(1);

/// Applies files.
pub fn run(application: &Application, style: Style) -> Result<(), Failure> {
    let texts = texts(&application.paths)?;
    let desired = backend::read(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))?;
    let deadline = Instant::now() + application.wait;
    while !backend::missing_masters(&desired)?.is_empty() && Instant::now() < deadline {
        thread::sleep(LOOK);
    }
    let plan = backend::plan(&desired, &backend::observe(&desired)?, application.prune)?;
    show(&render::plan(&plan, style))?;
    if application.dry_run || plan.is_empty() {
        return Ok(());
    }
    let mut progress = Progress::of(plan.steps.len());
    let tell = |done| {
        if !style.json {
            progress.show(done)
        }
    };
    Ok(backend::carry_out(&plan, tell)?)
}

/// The files and what is in them, in the order of their names where a directory has several.
fn texts(paths: &[PathBuf]) -> Result<Vec<(String, String)>, Failure> {
    let default = [PathBuf::from(DEFAULT)];
    let mut texts = Vec::new();
    for path in if paths.is_empty() { &default } else { paths } {
        let unread = |path: &Path, source| Failure::Unread { name: path.display().to_string(), source };
        let files = files(path).map_err(|source| unread(path, source))?;
        for file in files {
            let text = input::file(&file).map_err(|source| unread(&file, source))?;
            texts.push((file.display().to_string(), text));
        }
    }
    Ok(texts)
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Prints the progress of a long run: on a terminal in one line that is overwritten, elsewhere one line each second.
struct Progress {
    all: usize,
    next: Instant,
    terminal: bool,
}

impl Progress {
    fn of(all: usize) -> Self {
        Self { all, next: Instant::now() + PACE, terminal: io::stderr().is_terminal() }
    }

    fn show(&mut self, done: usize) {
        let last = self.terminal && done == self.all;
        if Instant::now() < self.next && !last {
            return;
        }
        let pace = if self.terminal { PACE / 10 } else { PACE };
        self.next = Instant::now() + pace;
        let (start, end) = match (self.terminal, last) {
            (true, true) => ("\r\x1b[K", ""),
            (true, false) => ("\r", ""),
            (false, _) => ("", "\n"),
        };
        let text = if last { String::new() } else { format!("{done} of {} slaves done", self.all) };
        // The reader may have closed stderr.
        let _ = write!(io::stderr(), "{start}{text}{end}").and_then(|()| io::stderr().flush());
    }
}
