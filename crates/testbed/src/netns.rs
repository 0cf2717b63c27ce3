//! Where does a test run? In network namespaces of its own, named under /run/netns and removed at the end.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::history;

/// Every name starts so; the process id follows, so that namespaces that a killed run left can be found and removed.
const PREFIX: &str = "ipvlt";

/// A network namespace. Dropping this removes it and ends every process in it.
#[derive(Debug)]
pub struct Netns {
    name: String,
    label: String,
}

/// The output of a command, and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit status was 0.
    pub ok: bool,
    /// The exit status, if it was not ended by a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Netns {
    /// Makes a namespace named after `label`, with loopback up.
    #[must_use]
    pub fn new(label: &str) -> Self {
        static SWEEP: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        SWEEP.call_once(remove_left_over);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}-{label}", std::process::id());
        let netns = Self { name, label: label.to_owned() };
        must(&["ip", "netns", "add", &netns.name]);
        netns.run(["ip", "link", "set", "lo", "up"]);
        netns
    }

    /// The name under /run/netns.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The label that it was made with, the same in every run.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Runs a command inside, as `ip netns exec` does, and fails the test unless it succeeds; its standard output.
    #[track_caller]
    pub fn run<I: IntoIterator<Item: AsRef<OsStr>>>(&self, command: I) -> String {
        let output = self.exec(command);
        assert!(output.ok, "the command above failed: {}{}", output.stderr, output.stdout);
        output.stdout
    }

    /// Runs a command inside and returns how it went.
    #[track_caller]
    pub fn exec<I: IntoIterator<Item: AsRef<OsStr>>>(&self, command: I) -> Output {
        output(&mut self.command(command))
    }

    /// A command that will run inside; the caller starts it and need not wait for it.
    pub fn command<I: IntoIterator<Item: AsRef<OsStr>>>(&self, command: I) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.name]).args(command);
        inside
    }

    /// Runs `work` in a thread that has entered the namespace.
    ///
    /// # Panics
    /// When the namespace cannot be entered, or `work` does.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            let file = fs::File::open(self.path()).expect("open the namespace");
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("enter the namespace");
            work()
        };
        thread::scope(|scope| scope.spawn(inside).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Writes a sysctl of this namespace: `net/ipv6/conf/eth0/accept_dad`.
    #[track_caller]
    pub fn sysctl(&self, key: &str, value: &str) {
        history::note(format!("{}# sysctl {key}={value}", self.name));
        self.within(|| fs::write(format!("/proc/sys/{key}"), value))
            .unwrap_or_else(|error| panic!("sysctl {key}={value}: {error}"));
    }

    fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        history::show_on_failure();
        remove(&self.name);
    }
}

fn remove(name: &str) {
    for pid in quiet(&["ip", "netns", "pids", name]).split_whitespace().filter_map(|pid| pid.parse().ok()) {
        if let Some(pid) = Pid::from_raw(pid).filter(|pid| *pid != rustix::process::getpid()) {
            // The process may have ended meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    quiet(&["ip", "netns", "del", name]);
}

/// Removes the namespaces of test processes that no longer exist.
fn remove_left_over() {
    let Ok(entries) = fs::read_dir("/run/netns") else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.trim_start_matches('-').split('-').next());
        if owner.is_some_and(|pid| !fs::exists(format!("/proc/{pid}")).unwrap_or(true)) {
            remove(&name);
        }
    }
}

#[track_caller]
fn must(command: &[&str]) {
    let output = output(Command::new(command[0]).args(&command[1..]));
    assert!(output.ok, "{}: {}", command.join(" "), output.stderr);
}

fn quiet(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

#[track_caller]
fn output(command: &mut Command) -> Output {
    history::note(typed(command));
    let done = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let output = Output {
        ok: done.status.success(),
        code: done.status.code(),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    };
    for line in output.stdout.lines().chain(output.stderr.lines()).take(20) {
        history::note(format!("    {line}"));
    }
    output
}

/// The command as a person would type it: `ip netns exec NAME` becomes the prompt.
fn typed(command: &Command) -> String {
    let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    match words.as_slice() {
        [netns, exec, name, rest @ ..] if netns == "netns" && exec == "exec" => format!("{name}# {}", rest.join(" ")),
        words => format!("# {} {}", command.get_program().to_string_lossy(), words.join(" ")),
    }
}
