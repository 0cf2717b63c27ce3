//! Does the module survive what people and machines do to it at once? Workers give slaves short lives, while masters die and
//! the module is unloaded, all under floods.

use crate::floods;
use crate::random::Dice;
use crate::wire::*;
use crate::world::{FIRST_SLAVE, GOOD, World};
use ipvl_testbed::enter_new_netns;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What is done, and how often at least in [`SPAN`] rounds. Half of what is tried may fail: a master may just have died.
const KINDS: [(&str, u32); 8] = [
    ("add", 200),
    ("move", 200),
    ("address", 200),
    ("set", 400),
    ("delete", 100),
    ("netns death", 100),
    ("master death", SPAN / MASTER_DIES / 2),
    ("unload", 1),
];
const SPAN: u32 = 400;
const MASTER_DIES: u32 = 40;
const UNLOADED: u32 = SPAN;

/// Each of the workers, one for a processor, has so many slaves at a time.
const WORKERS: u32 = 2;
const EACH: u32 = 4;

/// Where a slave lives.
struct Home {
    net: Arc<File>,
    door: Door,
}

struct Torture {
    world: World,
    module: String,
    rounds: u32,
    end: Instant,
    round: AtomicU32,
    done: [AtomicU32; KINDS.len()],
    /// Where each slave lives, for the floods from inside.
    nets: Vec<Mutex<Option<Arc<File>>>>,
}

/// So many rounds, or as many as `seconds` allow; 0 is no limit. At the end the module is gone.
pub fn run(rounds: u32, seconds: u64, module: &str) {
    let begun = Instant::now();
    let end = begun + Duration::from_secs(if seconds == 0 { 1 << 20 } else { seconds });
    let nets = (0..WORKERS * EACH).map(|_| Mutex::new(None)).collect();
    let (round, done) = (AtomicU32::new(0), [const { AtomicU32::new(0) }; KINDS.len()]);
    let torture = Torture { world: World::new(), module: module.to_owned(), rounds, end, round, done, nets };
    torture.world.places.iter().take(2).for_each(floods::from); // the host and outside
    torture.all();
    torture.unloaded_in_the_midst();
    println!("torture: {} rounds in {} s", torture.count(), begun.elapsed().as_secs());
    torture.judge();
}

impl Torture {
    fn all(&self) {
        thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS).map(|worker| scope.spawn(move || self.work(worker))).collect();
            let over = || workers.iter().all(thread::ScopedJoinHandle::is_finished);
            scope.spawn(|| self.flood_from_inside());
            while !over() {
                self.disturb();
            }
        });
    }

    /// The number of the next round, if there is one more.
    fn next(&self) -> Option<u32> {
        let more = |round| (self.rounds == 0 || round < self.rounds) && Instant::now() < self.end;
        self.round.fetch_update(Relaxed, Relaxed, |round| more(round).then_some(round + 1)).ok()
    }

    fn count(&self) -> u32 {
        self.round.load(Relaxed)
    }

    fn is_over(&self) -> bool {
        self.rounds != 0 && self.count() >= self.rounds || Instant::now() >= self.end
    }

    fn work(&self, worker: u32) {
        let mut dice = Dice(u64::from(worker));
        let host = self.world.host().netns.within(Door::open);
        let mut homes: Vec<_> = (0..EACH).map(|n| self.home(worker * EACH + n)).collect();
        let mut at = 0;
        while let Some(round) = self.next() {
            if round.is_multiple_of(500) {
                eprintln!("torture: round {round}");
            }
            let (number, home) = (worker * EACH + at as u32, &mut homes[at]);
            self.end(number, home, &mut dice);
            host.ask(&Message::link(DEL_LINK, 0, FIRST_SLAVE + number, None)); // it may never have moved
            self.live(number, &host, home, &mut dice);
            at = (at + 1) % EACH as usize;
        }
    }

    /// A new namespace without a name, which dies with the last that holds it.
    fn home(&self, number: u32) -> Home {
        let enter = || {
            enter_new_netns().expect("a new namespace");
            (File::open("/proc/thread-self/ns/net").expect("open the namespace"), Door::open())
        };
        let (net, door) = thread::scope(|scope| scope.spawn(enter).join().expect("a namespace"));
        let net = Arc::new(net);
        *self.nets[number as usize].lock().expect("no panic") = Some(net.clone());
        Home { net, door }
    }

    fn live(&self, number: u32, host: &Door, home: &Home, dice: &mut Dice) {
        let index = FIRST_SLAVE + number;
        let low = 10 + 3 * number as u8 + dice.below(3) as u8; // its last one may still be a dying namespace's
        let v6 = Ipv6Addr::from(0xfd00_u128 << 112 | u128::from(low));
        let mut moved = Message::link(SET_LINK, 0, index, None);
        moved.put(NET_NS_FD, &home.net.as_raw_fd().to_ne_bytes());
        self.add(host, &Message::slave(&format!("s{number}"), index, GOOD, dice.below(3) as u16));
        self.ask("move", host, &moved);
        self.ask("address", &home.door, &Message::address(NEW_ADDR, index, Ipv4Addr::new(10, 0, 0, low).into(), 24));
        home.door.ask(&Message::address(NEW_ADDR, index, IpAddr::V6(v6), 64));
        home.door.ask(&Message::link(SET_LINK, 0, index, Some(true)));
        for _ in 0..2 {
            self.ask("set", &home.door, &setting(index, dice));
            home.door.ask(&Message::link(GET_LINK, 0, index, None));
        }
    }

    /// Waits while there is no master, or no module.
    fn add(&self, host: &Door, message: &Message) {
        let made = || {
            let made = host.ask(message) == Some(0);
            thread::sleep(Duration::from_millis(if made { 0 } else { 20 }));
            made
        };
        self.happened("add", (0..200).any(|_| made()));
    }

    fn end(&self, number: u32, home: &mut Home, dice: &mut Dice) {
        let index = FIRST_SLAVE + number;
        if dice.below(2) == 0 {
            self.ask("delete", &home.door, &Message::link(DEL_LINK, 0, index, None));
            return;
        }
        let lives = home.door.ask(&Message::link(GET_LINK, 0, index, None)) == Some(0);
        *home = self.home(number);
        self.happened("netns death", lives);
    }

    fn ask(&self, kind: &str, door: &Door, message: &Message) {
        self.happened(kind, door.ask(message) == Some(0));
    }

    fn happened(&self, kind: &str, really: bool) {
        let at = KINDS.iter().position(|(name, _)| *name == kind).expect("a kind");
        self.done[at].fetch_add(really.into(), Relaxed);
    }

    fn times(&self, kind: &str) -> u32 {
        let at = KINDS.iter().position(|(name, _)| *name == kind).expect("a kind");
        self.done[at].load(Relaxed)
    }

    fn flood_from_inside(&self) {
        let home = File::open("/proc/thread-self/ns/net").expect("open the namespace");
        for number in (0..self.nets.len()).cycle() {
            if self.is_over() {
                return;
            }
            let net = self.nets[number].lock().expect("no panic").clone();
            net.inspect(|net| floods::inside(net, &home));
        }
    }

    /// Has masters die and the module go as often as it is due.
    fn disturb(&self) {
        if self.count() / UNLOADED > self.times("unload") {
            self.unload();
            run_command("insmod", &self.module);
        } else if self.count() / MASTER_DIES > self.times("master death") {
            self.ask("master death", &self.world.host().door, &Message::link(DEL_LINK, 0, GOOD, None));
            self.world.make_good();
        } else {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// While a message is being answered the module is in use.
    fn unload(&self) {
        let gone = || Command::new("rmmod").arg("ipvlan").output().expect("run rmmod").status.success();
        assert!((0..200).any(|_| gone()), "rmmod does not succeed");
        self.happened("unload", true);
    }

    /// The last time, nothing is loaded again, so that it can be seen that no slave is left.
    fn unloaded_in_the_midst(&self) {
        let mut dice = Dice(7);
        let host = &self.world.host().door;
        let homes: Vec<_> = (0..EACH).map(|number| self.home(number)).collect();
        for (home, number) in homes.iter().zip(0..) {
            self.live(number, host, home, &mut dice);
        }
        let lives = || {
            let is_there = |(home, number): (&Home, u32)| {
                home.door.ask(&Message::link(GET_LINK, 0, FIRST_SLAVE + number, None)) == Some(0)
            };
            homes.iter().zip(0..).filter(|pair| is_there(*pair)).count()
        };
        assert_eq!(lives(), EACH as usize, "there are not slaves enough to unload the module under");
        self.unload();
        assert_eq!(lives(), 0, "slaves are left");
    }

    /// All kinds must have happened as often as was asked.
    fn judge(&self) {
        let rounds = self.count();
        let mut missing = Vec::new();
        for (at, (kind, least)) in KINDS.iter().enumerate() {
            let (times, least) = (self.done[at].load(Relaxed), rounds * least / SPAN);
            println!("torture: {kind}: {times} times, at least {least} asked");
            if times < least.max(1) {
                missing.push(*kind);
            }
        }
        assert!(missing.is_empty(), "too seldom: {}", missing.join(", "));
        assert!(rounds >= self.rounds, "{} rounds were asked", self.rounds);
    }
}

/// Another mode, flag and guard, and host access or none.
fn setting(index: u32, dice: &mut Dice) -> Message {
    const GUARD: u32 = 7 << 12;
    const HOST: u32 = 1 << 6;
    let mut message = Message::link(NEW_LINK, 0, index, None);
    let ours = (dice.below(4) << 12 | dice.below(2) << 6, GUARD | HOST);
    message.options_with(Some(dice.below(3) as u16), Some(dice.below(3) as u16), Some(ours));
    message
}

fn run_command(program: &str, argument: &str) {
    let done = Command::new(program).arg(argument).output().expect("run a command");
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
}
