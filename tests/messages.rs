//! Does the driver of `type ipvlan` survive messages that nobody means to send, and memory that runs out?
//!
//! `random SECONDS SEED` sends random messages; `memory` lets each allocation of each change fail in turn, and prints which
//! answers the kernel gave. Run by `make kmod-messages` in a virtual machine; then its kernel's log is read.

#[path = "messages/memory.rs"]
mod memory;
#[path = "messages/random.rs"]
mod random;
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
        _ => panic!("messages random SECONDS SEED | messages memory [CHANGE]"),
    }
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("{word} is not a number"))
}
