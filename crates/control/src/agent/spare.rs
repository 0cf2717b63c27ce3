//! How does a new master get its programs without waiting for the verifier? An agent that stays has a pair of them loaded.
//!
//! Nothing else uses the pair and its maps, which are empty. A command that takes it opens it while the agent still holds
//! it. If either is killed before, the kernel frees what nobody holds, and the command loads a pair by itself.

use super::log::log_error;
use crate::error::Result;
use crate::port::object::{self, Loaded};
use rustix::process::setpriority_process;
use std::mem;
use std::thread::{self, JoinHandle};

/// Loading takes as much processor time as nothing else needs.
const LEAST_PRIORITY: i32 = 19;

/// At most one pair of programs that no port uses.
#[derive(Default)]
pub struct Spare(State);

#[derive(Default)]
enum State {
    #[default]
    None,
    Loading(JoinHandle<Result<Loaded>>),
    Ready(Box<Loaded>),
    /// The kernel refuses them: a command that loads them itself says why.
    Failed,
}

impl Spare {
    /// Begins to load a pair, if there is none.
    pub fn prepare(&mut self) {
        self.settle();
        if matches!(self.0, State::None) {
            self.0 = State::Loading(thread::spawn(load));
        }
    }

    /// Gives the pair away, if it is loaded.
    pub fn take(&mut self) -> Option<Loaded> {
        self.settle();
        match mem::take(&mut self.0) {
            State::Ready(loaded) => Some(*loaded),
            other => {
                self.0 = other;
                None
            }
        }
    }

    fn settle(&mut self) {
        self.0 = match mem::take(&mut self.0) {
            State::Loading(thread) if thread.is_finished() => match thread.join() {
                Ok(Ok(loaded)) => State::Ready(Box::new(loaded)),
                Ok(Err(error)) => {
                    log_error("spare programs", &error);
                    State::Failed
                }
                Err(_) => State::Failed,
            },
            other => other,
        };
    }
}

fn load() -> Result<Loaded> {
    // Of this thread, and of those that it starts.
    let _ = setpriority_process(None, LEAST_PRIORITY);
    object::load()
}
