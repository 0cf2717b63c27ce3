//! What happens when memory runs out? Each allocation of each change fails in turn, and the kernel answers.
//!
//! `/proc/thread-self/fail-nth` has the kernel refuse the n-th allocation of this thread (Documentation/fault-injection).

use crate::wire::*;
use crate::world::{FIRST_SLAVE, GOOD, World};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::FileExt;

const L2: u16 = 0;
const L3: u16 = 1;
const L3S: u16 = 2;
/// More than any change needs.
const MOST: u32 = 2000;

/// One change, what must be there before, and the slave that is there after a yes and not after a no.
struct Change {
    name: &'static str,
    before: Vec<Message>,
    message: fn(&World) -> Message,
    makes: Option<&'static str>,
}

/// How the kernel answered when an allocation failed, and how often.
type Answers = BTreeMap<Option<i32>, u32>;

/// Lets all of them fail, and prints a line for each change that has `wanted` in its name.
pub fn run(wanted: &str) {
    let (world, failing) = (World::new(), Failing::new());
    for change in changes().into_iter().filter(|change| change.name.contains(wanted)) {
        let answers = exhaust(&world, &failing, &change);
        let said: Vec<_> =
            answers.keys().map(|answer| answer.map_or("-".to_owned(), |errno| errno.to_string())).collect();
        println!("{}: {}", change.name, said.join(" "));
        eprintln!("{}: {} allocations, answers {answers:?}", change.name, answers.values().sum::<u32>());
        assert!(answers.values().sum::<u32>() > 0, "{}: no allocation failed: is debugfs set up?", change.name);
    }
    reset(&world);
}

fn exhaust(world: &World, failing: &Failing, change: &Change) -> Answers {
    let mut answers = Answers::new();
    let (mut ready, mut nth) = (false, 1);
    while nth < MOST {
        if !ready {
            prepare(world, change);
        }
        let message = (change.message)(world);
        let answer = world.host().door.ask_around(&message, |begins| failing.set(if begins { nth } else { 0 }));
        judge(world, change, answer, nth);
        match (failing.has_failed(), answer) {
            (false, Some(0)) => return answers,
            // The last one was a no that had changed something, so this one was about something else.
            (false, _) if ready => ready = false,
            (false, _) => panic!("{}: {answer:?}, though no allocation failed", change.name),
            (true, _) => {
                *answers.entry(answer).or_default() += 1;
                // After a no all should be as before, so that the next one can fail from there.
                ready = answer.is_some_and(|errno| errno != 0);
                nth += 1;
            }
        }
    }
    panic!("{}: still fails after {MOST} allocations", change.name);
}

fn prepare(world: &World, change: &Change) {
    reset(world);
    for message in &change.before {
        assert_eq!(world.host().door.ask(message), Some(0), "{}: before", change.name);
    }
}

fn judge(world: &World, change: &Change, answer: Option<i32>, nth: u32) {
    let Some(name) = change.makes else { return };
    let index = FIRST_SLAVE + name[1..].parse::<u32>().expect("a slave's number");
    let is_there = world.has_link(index);
    match answer {
        Some(0) => assert!(is_there, "{}: yes, but no {name} (allocation {nth})", change.name),
        Some(_) => assert!(!is_there, "{}: no, but {name} is there (allocation {nth})", change.name),
        None => (),
    }
}

/// No slaves, and the good master as it was.
fn reset(world: &World) {
    for place in &world.places {
        for name in place.devices().iter().filter(|name| name.starts_with('s')) {
            let mut message = Message::link(DEL_LINK, 0, 0, None);
            message.put(NAME, format!("{name}\0").as_bytes());
            assert_eq!(place.door.ask(&message), Some(0), "delete {name}");
        }
    }
    if !world.host().has("eth0") {
        world.places[1].netns.exec(["ip", "link", "del", "e0"]);
        world.make_good();
    }
}

fn slave(n: u32, mode: u16) -> Message {
    Message::slave(&format!("s{n}"), FIRST_SLAVE + n, GOOD, mode)
}

fn up(n: u32) -> Message {
    Message::link(SET_LINK, 0, FIRST_SLAVE + n, Some(true))
}

fn v4(kind: u16, n: u8) -> Message {
    Message::address(kind, FIRST_SLAVE, IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)), 24)
}

fn v6(kind: u16) -> Message {
    Message::address(kind, FIRST_SLAVE, IpAddr::V6(Ipv6Addr::from(0xfd00_u128 << 112 | 7)), 64)
}

fn mode(mode: u16) -> Message {
    let mut message = Message::link(NEW_LINK, 0, FIRST_SLAVE, None);
    message.options(Some(mode), None);
    message
}

fn moved(index: u32, world: &World) -> Message {
    let mut message = Message::link(SET_LINK, 0, index, None);
    message.put(NET_NS_FD, &world.places[2].descriptor());
    message
}

fn master(attribute: u16, value: &[u8]) -> Message {
    let mut message = Message::link(SET_LINK, 0, GOOD, None);
    message.put(attribute, value);
    message
}

fn changes() -> Vec<Change> {
    [making(), changing(), masters()].into_iter().flatten().collect()
}

fn making() -> Vec<Change> {
    let change = |name, before, message, makes| Change { name, before, message, makes: Some(makes) };
    vec![
        change("the first slave, l2", vec![], |_| slave(0, L2), "s0"),
        change("the first slave, l3", vec![], |_| slave(0, L3), "s0"),
        change("the first slave, l3s", vec![], |_| slave(0, L3S), "s0"),
        change("the second slave", vec![slave(0, L2)], |_| slave(1, L2), "s1"),
        change("the second slave, l3s", vec![slave(0, L2)], |_| slave(1, L3S), "s1"),
        change("the 17th slave", (0..16).map(|n| slave(n, L2)).collect(), |_| slave(16, L2), "s16"),
        change("a slave for another namespace", vec![], made_elsewhere, "s0"),
    ]
}

fn made_elsewhere(world: &World) -> Message {
    let mut message = slave(0, L2);
    message.put(NET_NS_FD, &world.places[2].descriptor());
    message
}

fn changing() -> Vec<Change> {
    let change = |name, before, message| Change { name, before, message, makes: None };
    let running = |mode| vec![slave(0, mode), up(0), v4(NEW_ADDR, 7), v6(NEW_ADDR)];
    vec![
        change("up", vec![slave(0, L2)], |_| up(0)),
        change("l2 becomes l3", running(L2), |_| mode(L3)),
        change("l2 becomes l3s", running(L2), |_| mode(L3S)),
        change("l3s becomes l2", running(L3S), |_| mode(L2)),
        change("an IPv4 address", vec![slave(0, L2), up(0)], |_| v4(NEW_ADDR, 9)),
        change("an IPv6 address", vec![slave(0, L2), up(0)], |_| v6(NEW_ADDR)),
        change("an address goes", running(L2), |_| v4(DEL_ADDR, 7)),
        change("down", running(L2), |_| Message::link(SET_LINK, 0, FIRST_SLAVE, Some(false))),
        change("to another namespace", running(L2), |world| moved(FIRST_SLAVE, world)),
        change("deleted", running(L3S), |_| Message::link(DEL_LINK, 0, FIRST_SLAVE, None)),
    ]
}

fn masters() -> Vec<Change> {
    let change =
        |name, message| Change { name, before: vec![slave(0, L3S), up(0), slave(1, L2)], message, makes: None };
    vec![
        change("the master's MTU", |_| master(MTU, &1400u32.to_ne_bytes())),
        change("the master's MAC address", |_| master(ADDRESS, &[2, 0, 0, 0, 7, 7])),
        change("the master goes to another namespace", |world| moved(GOOD, world)),
        change("the master is deleted", |_| Message::link(DEL_LINK, 0, GOOD, None)),
    ]
}

/// The switch of this thread.
struct Failing {
    file: File,
    failed: Cell<bool>,
}

impl Failing {
    fn new() -> Self {
        let file = File::options().read(true).write(true).open("/proc/thread-self/fail-nth");
        Self { file: file.expect("a kernel with fault injection"), failed: Cell::new(false) }
    }

    /// Has the `nth` allocation fail, or none any more.
    fn set(&self, nth: u32) {
        if nth == 0 {
            let mut left = [0; 16];
            let length = self.file.read_at(&mut left, 0).expect("read fail-nth");
            self.failed.set(left[..length].trim_ascii() == b"0");
        }
        self.file.write_at(nth.to_string().as_bytes(), 0).expect("write fail-nth");
    }

    fn has_failed(&self) -> bool {
        self.failed.get()
    }
}
