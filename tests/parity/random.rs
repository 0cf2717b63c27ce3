//! Do random frames end with ipvl as they do with the kernel's driver, or as a rule explains?

use crate::Tally;
use crate::identity::{identity, mark};
use crate::meeting::Meeting;
use crate::recorder::{Record, Recorder, Shot};
use crate::rules::{RULES, Rule};
use ipvl_core::Slot;
use ipvl_testbed::Driver;
use ipvl_tests::document::{Standing, standings};
use ipvl_tests::frame::FrameSource;
use ipvl_tests::random::{plain_frame_by, uniform_world};
use ipvl_tests::world::World;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::collections::{BTreeMap, HashSet};
use std::thread;
use std::time::Instant;

/// Making a world takes as long as so many frames.
const FRAMES_IN_A_WORLD: usize = 4000;
/// The kernel's driver queues a thousand multicasts, and drops what is more.
const FRAMES_AT_ONCE: usize = 250;
/// What a device with an MTU of 1500 sends.
const SIZES: std::ops::RangeInclusive<usize> = 14..=1514;
/// The run ends after so many unexplained differences.
const ENOUGH: usize = 20;

/// Sends `frames` frames with both drivers, compares, and prints what was not the same.
pub fn judge(frames: usize, seed: u64) -> Tally {
    let mut players = thread::scope(|scope| {
        let players = [Driver::Kernel, Driver::Veth].map(|driver| scope.spawn(move || player(driver)));
        players.map(|player| player.join().expect("a stage"))
    });
    let mut score = Score::default();
    each_batch(frames, seed, |world, batch| {
        let [kernel, ipvl] = &mut players;
        let Batch::Shots(shots) = batch else {
            thread::scope(|scope| [kernel, ipvl].map(|player| drop(scope.spawn(|| player.play(world)))));
            return true;
        };
        let (theirs, ours) = thread::scope(|scope| {
            let theirs = scope.spawn(|| kernel.record(shots));
            let ours = ipvl.record(shots);
            (theirs.join().expect("the kernel's driver's records"), ours)
        });
        score.judge_all(world, shots, theirs, ours);
        score.unexplained < ENOUGH
    });
    score.report()
}

/// Sends the same frames with the driver that `ip` makes slaves of, and returns which stations saw each.
pub fn record(driver: Driver, frames: usize, seed: u64) -> Vec<Record> {
    let (mut player, mut records) = (player(driver), Vec::new());
    each_batch(frames, seed, |world, batch| {
        match batch {
            Batch::World => player.play(world),
            Batch::Shots(shots) => records.extend(player.record(shots)),
        }
        true
    });
    records
}

/// Compares such records of the kernel's driver with those of our module, of which each slave has the default guard.
pub fn compare(frames: usize, seed: u64, theirs: Vec<Record>, ours: Vec<Record>) -> Tally {
    let mut score = Score::default();
    let mut pairs = theirs.into_iter().zip(ours);
    each_batch(frames, seed, |world, batch| {
        if let Batch::Shots(shots) = batch {
            let (theirs, ours) = pairs.by_ref().take(shots.len()).unzip();
            score.judge_all(&guarded(world), shots, theirs, ours);
        }
        true
    });
    score.report()
}

/// The same world, but no slave has `guard off`.
fn guarded(world: &World) -> World {
    let mut world = world.clone();
    world.members.iter_mut().for_each(|member| member.words.retain(|word| word != "off"));
    world
}

/// What comes next: another world, or frames in the last one.
enum Batch<'a> {
    World,
    Shots(&'a [Shot]),
}

/// The worlds and frames of a seed, in turn, until there were so many frames or `player` has had enough.
fn each_batch(frames: usize, seed: u64, mut player: impl FnMut(&World, Batch) -> bool) {
    let start = Instant::now();
    println!("random: {frames} frames, SEED={seed}");
    rules_name_rows();
    let mut source = Source::new(seed);
    let mut sent = 0;
    while sent < frames {
        let world = source.pick(&uniform_world());
        player(&world, Batch::World);
        for _ in 0..FRAMES_IN_A_WORLD / FRAMES_AT_ONCE {
            let shots = source.shots(&world);
            if !player(&world, Batch::Shots(&shots)) {
                return;
            }
            sent += shots.len();
        }
        println!("random: {sent} frames, {} s", start.elapsed().as_secs());
    }
}

fn player(driver: Driver) -> Recorder {
    let recorder = Recorder::new(driver);
    recorder.pin_everybody();
    recorder
}

/// A rule that explains a difference must name a row that says there is one.
fn rules_name_rows() {
    let standings = standings();
    for Rule { name, row, .. } in RULES {
        let standing = standings.get(*row);
        let says_so = standing.is_some_and(|standing| *standing != Standing::Same);
        assert!(says_so, "the rule \"{name}\" names row {row}, which is {standing:?}");
    }
}

/// Where worlds and frames come from: the same ones for the same seed.
struct Source {
    runner: TestRunner,
}

impl Source {
    fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self { runner: TestRunner::new_with_rng(ProptestConfig::default(), rng) }
    }

    fn pick<T>(&mut self, strategy: &impl Strategy<Value = T>) -> T {
        strategy.new_tree(&mut self.runner).expect("a strategy that never gives up").current()
    }

    /// Frames from slaves that are up and from the wire, no two alike.
    fn shots(&mut self, world: &World) -> Vec<Shot> {
        let up = world.members.iter().filter(|member| member.state().up);
        let slaves: Vec<_> = up.map(|member| (member.slot(), member.options().mode)).collect();
        let (mut shots, mut seen) = (Vec::new(), HashSet::new());
        while shots.len() < FRAMES_AT_ONCE {
            let from = self.pick(&prop::option::weighted(0.6, 0..slaves.len().max(1)));
            let from = from.and_then(|number| slaves.get(number).copied());
            let way = from.map_or(FrameSource::Wire, |(_, mode)| FrameSource::Slave(mode));
            let mut frame = self.pick(&plain_frame_by(way)).data;
            if !SIZES.contains(&frame.len()) {
                continue;
            }
            mark(&mut frame, shots.len() as u16 + 1);
            if SIZES.contains(&frame.len()) && seen.insert(identity(&frame)) {
                shots.push((from.map(|(slot, _)| slot), frame));
            }
        }
        shots
    }
}

/// How many ended how.
#[derive(Default)]
struct Score {
    same: usize,
    by_rule: BTreeMap<&'static str, usize>,
    unexplained: usize,
}

impl Score {
    fn judge_all(&mut self, world: &World, shots: &[Shot], theirs: Vec<Record>, ours: Vec<Record>) {
        for ((shot, theirs), ours) in shots.iter().zip(theirs).zip(ours) {
            self.judge(world, shot, theirs, ours);
        }
    }

    fn judge(&mut self, world: &World, (from, frame): &(Option<Slot>, Vec<u8>), kernel: Record, ipvl: Record) {
        if kernel == ipvl {
            self.same += 1;
            return;
        }
        let meeting = Meeting::new(world, *from, frame, kernel, ipvl);
        match RULES.iter().find(|rule| (rule.explains)(&meeting)) {
            Some(rule) => *self.by_rule.entry(rule.name).or_default() += 1,
            None => {
                self.unexplained += 1;
                println!("WRONG   {meeting}");
            }
        }
    }

    fn report(self) -> Tally {
        println!("random: {} the same", self.same);
        for (name, count) in &self.by_rule {
            let row = RULES.iter().find(|rule| rule.name == *name).map_or("", |rule| rule.row);
            println!("random: {count} as {row} says: {name}");
        }
        println!("random: {} without an explanation", self.unexplained);
        let explained: usize = self.by_rule.values().sum();
        Tally { passed: self.same + explained, failed: self.unexplained }
    }
}
