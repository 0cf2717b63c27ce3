//! Does the driver of `type ipvlan` survive messages that nobody means to send, and memory that runs out?
//!
//! `random SECONDS SEED` sends random messages; `memory` lets each allocation of each change fail in turn, and prints which
//! answers the kernel gave; `torture ROUNDS SECONDS MODULE` has slaves, masters, namespaces and the module come and go under
//! floods. Run by `make kmod-messages` and `make kmod-torture` in a virtual machine; then its kernel's log is read.

#[path = "messages/floods.rs"]
mod floods;
#[path = "messages/memory.rs"]
mod memory;
#[path = "messages/random.rs"]
mod random;
#[path = "messages/torture.rs"]
mod torture;
#[path = "messages/wire.rs"]
mod wire;
#[path = "messages/world.rs"]
mod world;

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["random", seconds, seed] => random::run(number(seconds), number(seed)),
        ["memory"] => memory::run(""),
        ["memory", wanted] => memory::run(wanted),
        ["torture", rounds, seconds, module] => torture::run(number(rounds) as u32, number(seconds), module),
        _ => panic!("messages random SECONDS SEED | memory [CHANGE] | torture ROUNDS SECONDS MODULE"),
    }
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("{word} is not a number"))
}
