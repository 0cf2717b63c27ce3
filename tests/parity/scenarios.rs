//! Does each scenario of the corpus end with ipvl as it does with the kernel's driver, or as a row of the document says?

use crate::Tally;
use crate::identity::identity;
use crate::recorder::{Record, Recorder};
use ipvl_core::Mode;
use ipvl_testbed::Driver;
use ipvl_testbed::packet::with_tag;
use ipvl_tests::document::{Standing, standings};
use ipvl_tests::scenario::{Case, corpus};
use ipvl_tests::stage::shows;
use ipvl_tests::world::World;
use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

/// The kernel's driver first: what it does is what the others are held against.
const DRIVERS: [Driver; 4] = [Driver::Kernel, Driver::Veth, Driver::Clsact, Driver::Netkit];

/// What one driver made of the cases that it can play, by their place in the corpus.
pub type Records = BTreeMap<usize, Record>;

/// Plays all, compares, and prints a line for each scenario.
pub fn judge() -> Tally {
    let cases: Vec<_> = corpus().into_iter().filter(shows).collect();
    let records: Vec<Records> = thread::scope(|scope| {
        let cases = &cases;
        let players: Vec<_> = DRIVERS.map(|driver| (driver, scope.spawn(move || play(driver, cases)))).into();
        players
            .into_iter()
            .map(|(driver, player)| player.join().unwrap_or_else(|_| panic!("{driver:?} failed")))
            .collect()
    });
    let standings = standings();
    let mut scenarios: BTreeMap<&str, Vec<Outcome>> = BTreeMap::new();
    for (number, case) in cases.iter().enumerate() {
        let [kernel, ours @ ..] = [0, 1, 2, 3].map(|driver: usize| records[driver].get(&number));
        let outcome = outcome(case, kernel, ours.map(|record| record.expect("ipvl plays all")), &standings);
        scenarios.entry(scenario(case)).or_default().push(outcome);
    }
    scenarios.iter().map(|(name, outcomes)| report(name, outcomes)).fold(Tally::default(), |tally, good| Tally {
        passed: tally.passed + usize::from(good),
        failed: tally.failed + usize::from(!good),
    })
}

pub fn scenario(case: &Case) -> &str {
    case.title.split(" [").next().unwrap_or_default()
}

/// Plays what this driver can.
pub fn play(driver: Driver, cases: &[Case]) -> Records {
    let start = Instant::now();
    let mut worlds: BTreeMap<&World, Vec<usize>> = BTreeMap::new();
    for (number, case) in cases.iter().enumerate().filter(|(_, case)| can_play(driver, &case.world)) {
        worlds.entry(&case.world).or_default().push(number);
    }
    let mut recorder = Recorder::new(driver);
    let mut records = Records::new();
    for (world, numbers) in &worlds {
        recorder.play(world);
        let together = |one: &usize, next: &usize| alike(&cases[*one], &cases[*next]);
        for numbers in numbers.chunk_by(together) {
            let cases: Vec<_> = numbers.iter().map(|number| &cases[*number]).collect();
            records.extend(numbers.iter().copied().zip(shoot(&mut recorder, &cases)));
        }
    }
    println!("{driver:?}: {} cases in {} worlds, {} s", records.len(), worlds.len(), start.elapsed().as_secs());
    records
}

/// The kernel's driver knows one mode and one flag for all.
pub fn can_play(driver: Driver, world: &World) -> bool {
    let of = |member: &ipvl_tests::world::Member| (member.options().mode, member.options().flag);
    let mut kinds = world.members.iter().filter(|member| member.state().up).map(of);
    let first = kinds.next();
    driver != Driver::Kernel || kinds.all(|kind| Some(kind) == first)
}

/// Whether two cases can be played at once: pieces of one frame, cut at different places.
fn alike(one: &Case, next: &Case) -> bool {
    let cut = |case: &Case| case.after.is_none() && case.title.contains(" cut to ");
    scenario(one) == scenario(next) && cut(one) && cut(next) && identity(&sent(one)) != identity(&sent(next))
}

fn sent(case: &Case) -> Vec<u8> {
    case.frame.vlan.map_or_else(|| case.frame.data.clone(), |id| with_tag(&case.frame.data, id))
}

fn shoot(recorder: &mut Recorder, cases: &[&Case]) -> Vec<Record> {
    for case in cases {
        if let Some(name) = &case.after {
            recorder.stage.inject(Some(case.world.member(name).slot()), &sent(case));
            recorder.settle();
        }
    }
    let shots: Vec<_> = cases.iter().map(|case| (case.sender(), sent(case))).collect();
    recorder.record(&shots)
}

/// How one case ended.
enum Outcome {
    /// The same with all.
    Same,
    /// Not the same, as these rows say.
    Covered(Vec<String>),
    /// What is wrong.
    Wrong(String),
}

fn outcome(
    case: &Case,
    kernel: Option<&Record>,
    ours: [&Record; DRIVERS.len() - 1],
    standings: &BTreeMap<String, Standing>,
) -> Outcome {
    let expected = Record::once(&case.expected.reaches);
    for (record, driver) in ours.into_iter().zip(&DRIVERS[1..]) {
        if *record != expected {
            return Outcome::Wrong(format!("{}: ipvl by {driver:?} reaches {record}, not {expected}", case.title));
        }
    }
    if kernel == Some(ours[0]) {
        return Outcome::Same;
    }
    let unlike = |row: &&String| standings.get(*row).is_some_and(|standing| *standing != Standing::Same);
    let covering: Vec<_> = case.rows.iter().filter(unlike).filter(|row| speaks_of(row, case)).cloned().collect();
    let theirs = kernel.map_or_else(|| "cannot be asked".to_owned(), |record| format!("reaches {record}"));
    match covering.as_slice() {
        [] => Outcome::Wrong(format!("{}: the kernel's driver {theirs}, ipvl {}", case.title, ours[0])),
        _ => Outcome::Covered(covering),
    }
}

/// The rows on the host's stack are about slaves with packets that pass it.
fn speaks_of(row: &str, case: &Case) -> bool {
    !row.starts_with('E') || case.world.members.iter().any(|member| member.options().mode == Mode::L3s)
}

/// Prints a scenario's line, and what is wrong with it; whether nothing is.
fn report(name: &str, outcomes: &[Outcome]) -> bool {
    let wrong = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Wrong(why) => Some(why.as_str()),
        _ => None,
    });
    let wrong: Vec<_> = wrong.collect();
    let covered = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Covered(rows) => Some(rows.join(" ")),
        _ => None,
    });
    let covered: Vec<_> = covered.collect();
    match (wrong.is_empty(), covered.first()) {
        (true, None) => println!("same    {name} ({})", outcomes.len()),
        (true, Some(rows)) => println!("better  {name} ({} of {}, {rows})", covered.len(), outcomes.len()),
        (false, _) => println!("WRONG   {name} ({} of {})\n    {}", wrong.len(), outcomes.len(), wrong.join("\n    ")),
    }
    wrong.is_empty()
}
