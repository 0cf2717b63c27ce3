//! Does ipvl do with every frame what the kernel's own driver does with it, or better, as `docs/parity.md` says?
//!
//! Runs on a kernel that has ipvlan (`make parity` boots one): plays the corpus with the kernel's driver, with ipvl by tcx
//! and with ipvl by clsact, and compares which stations saw each frame; then so many random frames, from that seed.
//!
//!     parity FRAMES SEED
//!
//! Our module cannot be loaded beside the kernel's driver. So with `RECORDS=FILE` what one driver does is written by one machine
//! and judged by another: with `DRIVER=kernel` the kernel's driver is played, with `DRIVER=module` our module.

#[path = "parity/identity.rs"]
mod identity;
#[path = "parity/meeting.rs"]
mod meeting;
#[path = "parity/module.rs"]
mod module;
#[path = "parity/random.rs"]
mod random;
#[path = "parity/recorder.rs"]
mod recorder;
#[path = "parity/rules.rs"]
mod rules;
#[path = "parity/scenarios.rs"]
mod scenarios;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().expect("a number"));
    let (frames, seed) = (arguments.next().unwrap_or(0), arguments.next().unwrap_or(1));
    if let Some(path) = std::env::var_os("RECORDS") {
        return module::run(path.as_ref(), frames as usize, seed);
    }
    let scenarios = if std::env::var_os("RANDOM_ONLY").is_none() { scenarios::judge() } else { Tally::default() };
    let random = random::judge(frames as usize, seed);
    let (passed, failed) = (scenarios.passed + random.passed, scenarios.failed + random.failed);
    Tally { passed, failed }.print()
}

/// How many things were as they should be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// So many.
    pub passed: usize,
    /// So many were not.
    pub failed: usize,
}

impl Tally {
    /// Prints it; success if nothing failed.
    pub fn print(self) -> ExitCode {
        println!("parity result: {} passed; {} failed;", self.passed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
