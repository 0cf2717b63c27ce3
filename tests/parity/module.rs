//! Does our module do with each scenario what the kernel's driver does, or what ipvl's core decides, which is better?
//!
//! It plays what stock `ip` can ask for: worlds in which all slaves have one mode and one flag, and no option of ours.

use crate::Tally;
use crate::random;
use crate::recorder::Record;
use crate::scenarios::{Records, can_play, play, scenario};
use ipvl_core::{Flag, Mode, Options};
use ipvl_testbed::Driver;
use ipvl_tests::scenario::{Case, corpus};
use ipvl_tests::stage::shows;
use ipvl_tests::world::{Member, World};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// Plays the driver that was chosen. The kernel's is written to the file, ours is compared with it.
pub fn run(path: &Path, frames: usize, seed: u64) -> ExitCode {
    let driver = Driver::chosen();
    let cases: Vec<_> = corpus().into_iter().filter(|case| shows(case) && is_plain(&case.world)).collect();
    let played = play(driver, &cases);
    let random = random::record(driver, frames, seed);
    if driver == Driver::Kernel {
        let lines: Vec<_> = played.values().chain(&random).map(Record::to_string).collect();
        fs::write(path, lines.join("\n")).expect("write the records");
        println!("{} records written", lines.len());
        return ExitCode::SUCCESS;
    }
    let text = fs::read_to_string(path).expect("the records of the kernel's driver");
    let mut theirs: Vec<_> = text.lines().map(Record::parse).collect();
    assert_eq!(theirs.len(), played.len() + random.len(), "records of another run");
    let theirs_at_random = theirs.split_off(played.len());
    let scenarios = judge(&cases, &theirs, &played, &path.with_extension("standings"));
    let random = random::compare(frames, seed, theirs_at_random, random);
    Tally { passed: scenarios.passed + random.passed, failed: scenarios.failed + random.failed }.print()
}

/// Whether stock `ip` can make this world, with the kernel's driver as well as with ours.
fn is_plain(world: &World) -> bool {
    let plain = |options: Options| {
        let Options { mode, flag, .. } = options;
        options == Options { mode, flag, ..Options::DEFAULT }
    };
    let all_plain = world.members.iter().all(|member| plain(member.options()));
    can_play(Driver::Kernel, world) && all_plain && world.declared.is_empty()
}

/// Prints a line for each scenario, and writes those that are good to a file: `better l2.toml: C1 ...`.
fn judge(cases: &[Case], theirs: &[Record], ours: &Records, standings: &Path) -> Tally {
    let mut scenarios: BTreeMap<&str, Vec<Result<bool, String>>> = BTreeMap::new();
    for ((case, theirs), ours) in cases.iter().zip(theirs).zip(ours.values()) {
        scenarios.entry(scenario(case)).or_default().push(outcome(case, theirs, ours));
    }
    let good: Vec<_> = scenarios.iter().filter_map(|(name, outcomes)| report(name, outcomes)).collect();
    fs::write(standings, good.concat()).expect("write the standings");
    Tally { passed: good.len(), failed: scenarios.len() - good.len() }
}

/// Its line in the file, unless an outcome is wrong.
fn report(name: &str, outcomes: &[Result<bool, String>]) -> Option<String> {
    let wrong: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(String::as_str).collect();
    let better = outcomes.iter().filter(|outcome| **outcome == Ok(false)).count();
    match (wrong.is_empty(), better) {
        (true, 0) => println!("same    {name} ({})", outcomes.len()),
        (true, _) => println!("better  {name} ({better} of {})", outcomes.len()),
        _ => println!("WRONG   {name} ({} of {})\n    {}", wrong.len(), outcomes.len(), wrong.join("\n    ")),
    }
    wrong.is_empty().then(|| format!("{} {name}\n", if better == 0 { "same" } else { "better" }))
}

/// Scenarios in which no station need see the frame. The routing table of the host's stack has no route to `0.0.0.0`, which is no
/// destination (RFC 1122, 3.2.1.3), where `bpf_fib_lookup` finds the default route.
const NOWHERE: [&str; 1] = ["l3.toml: C31 to no address at all"];

/// Scenarios in which l3s slaves with flag vepa reach the switch with what is for a sibling: the module tells the host a slave's
/// MAC address, for which it asks in vain otherwise.
const BY_THE_SWITCH: [&str; 1] = ["l3.toml: C30 E3 unicast to a sibling"];

fn is_by_the_switch(case: &Case, ours: &Record) -> bool {
    let is_vepa = |member: &Member| (member.options().mode, member.options().flag) == (Mode::L3s, Flag::Vepa);
    let all = case.world.members.iter().all(is_vepa);
    all && BY_THE_SWITCH.contains(&scenario(case)) && *ours == Record::once(&["ext".to_owned()])
}

/// Whether a case ended as with the kernel's driver; if not, then as core decides, or what is wrong.
fn outcome(case: &Case, theirs: &Record, ours: &Record) -> Result<bool, String> {
    let decided = Record::once(&case.expected.reaches);
    match ours {
        _ if ours == theirs => Ok(true),
        _ if *ours == decided || is_by_the_switch(case, ours) => Ok(false),
        _ if ours.nobody() && NOWHERE.contains(&scenario(case)) => Ok(false),
        _ => Err(format!("{}: reaches {ours}, not {decided}; with the kernel's driver {theirs}", case.title)),
    }
}
