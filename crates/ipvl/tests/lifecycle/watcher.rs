//! What has `ipvl monitor` printed?

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use ipvl_testbed::{Lab, ipvl_path};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::{run, soon};

/// Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// `poll` or `ppoll`, on x86-64 and on others: nothing else that the monitor does waits there.
const POLLS: [&str; 3] = ["7 ", "271 ", "73 "];

/// A monitor at work, which ends when this is dropped.
pub struct Watcher {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
    lines: Option<Receiver<String>>,
}

impl Watcher {
    /// Starts one in the host's netns, and returns when it waits for what happens.
    #[track_caller]
    pub fn start(lab: &Lab, words: &str) -> Self {
        let mut watcher = Self::start_unread(lab, words);
        let (sender, lines) = channel();
        let out = watcher.out.take().expect("a pipe");
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        watcher.lines = Some(lines);
        watcher
    }

    /// A monitor with a reader that does not read.
    #[track_caller]
    pub fn start_unread(lab: &Lab, words: &str) -> Self {
        // A process in a shell's background ignores SIGINT, and its children inherit that.
        let mut command = lab.host.command(["env", "--default-signal=INT"]);
        command.arg(ipvl_path());
        let mut child = command.args(words.split(' ')).stdout(Stdio::piped()).spawn().expect("start a monitor");
        let syscall = format!("/proc/{}/syscall", child.id());
        let waits = || fs::read_to_string(&syscall).is_ok_and(|call| POLLS.iter().any(|poll| call.starts_with(poll)));
        soon("the monitor watches", waits);
        let out = child.stdout.take().map(BufReader::new);
        Self { child, out, lines: None }
    }

    /// The next lines, as they are, without those that depend on how busy the machine is: on link-local addresses, which
    /// come when IPv6 is ready, and on carriers that the agent is late to raise.
    #[track_caller]
    pub fn next_raw(&self, count: usize) -> Vec<String> {
        let mut told: Vec<String> = Vec::new();
        while told.len() < count {
            let lines = self.lines.as_ref().expect("it is read");
            let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error}; until now: {told:?}"));
            told.extend(Some(line).filter(|line| !line.contains("fe80::") && !line.contains("no carrier yet")));
        }
        told
    }

    /// The next lines, without times and indexes.
    #[track_caller]
    pub fn next(&self, count: usize) -> Vec<String> {
        self.next_raw(count).iter().map(|line| plain(line)).collect()
    }

    /// Fails unless these lines come next, in any order.
    #[track_caller]
    pub fn expect_all(&self, lines: &[&str]) {
        let (mut told, mut expected) = (self.next(lines.len()), lines.to_vec());
        told.sort();
        expected.sort_unstable();
        assert_eq!(told, expected);
    }

    /// Fails unless objects come next that say the same, in any order.
    #[track_caller]
    pub fn expect_like(&self, lines: &[&str]) {
        let mut told: Vec<String> = self.next_raw(lines.len()).iter().map(|object| in_words(object)).collect();
        let mut expected = lines.to_vec();
        told.sort();
        expected.sort_unstable();
        assert_eq!(told, expected);
    }

    /// Fails if there is anything left to tell.
    #[track_caller]
    pub fn expect_nothing_more(&self, lab: &Lab) {
        run(&lab.slaves[0], "ip addr add 203.0.113.9/32 dev ipvl0");
        assert_eq!(self.next(1), ["203.0.113.9 dev ipvl0 master eth0 device"]);
    }

    /// What has come, without waiting.
    pub fn pending(&self) -> Vec<String> {
        self.lines.as_ref().map(|lines| lines.try_iter().collect()).unwrap_or_default()
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Stops it for a while.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it continue.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Closes the reader.
    pub fn stop_reading(&mut self) {
        self.out = None;
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("wait for the monitor").is_some()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process id");
        kill_process(pid, signal).expect("send a signal");
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The line that an object stands for.
fn in_words(object: &str) -> String {
    let news: Value = serde_json::from_str(object).expect("an object");
    let word = |value: &Value| match value {
        Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        value => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    };
    let of = |key: &str| word(&news[key]);
    if news["object"] == "link" && news["event"] == "change" {
        let (name, master) = (of("ifname"), word(&news["ipvl"]["master"]));
        return format!("{name} master {master} {} {} (was {})", of("what"), of("new"), of("old"));
    }
    let length = if news["prefixlen"] == 32 { String::new() } else { format!("/{}", of("prefixlen")) };
    let start = if news["event"] == "delete" { "Deleted " } else { "" };
    let owner = news["owner"].as_str().map_or(String::new(), |owner| format!(" with {owner}"));
    format!("{start}{}{length} dev {} master {} {}{owner}", of("address"), of("dev"), of("master"), of("origin"))
}

fn plain(line: &str) -> String {
    let line = line.strip_prefix('[').and_then(|line| line.split_once("] ")).map_or(line, |(_, line)| line);
    let (start, line) = line.strip_prefix("Deleted ").map_or(("", line), |line| ("Deleted ", line));
    let is_index = |word: &str| word.parse::<u32>().is_ok();
    let line = line.split_once(": ").filter(|(index, _)| is_index(index)).map_or(line, |(_, line)| line);
    format!("{start}{line}")
}
