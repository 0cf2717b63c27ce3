//! How does a command ask the agent to sync a slave, and start one if none runs?
//!
//! The agent is the only process of its kind in its netns. A request to it is a line, `sync HOST_END_IFINDEX`, and so is
//! the answer, `ok` or an error. The agent answers `ping` with `ok`, and `counters` with what it has counted, as JSON. After
//! `end` it ends, or answers `stays`. `spare BUILD` asks for programs that no port uses: it answers with the ids of a pair
//! of that build, which it holds until the connection ends, or with `none`.

use crate::error::{Error, Result, io_error};
use crate::kernel::single::{self, Single};
use crate::kernel::sys;
use crate::port::object::{self, Loaded};
use crate::report::AgentCounters;
use ipvl_core::IfIndex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What the agent is called as the only process of its kind.
pub const NAME: &str = "ipvl-agent";
/// The names of the programs that can start an agent. Engines install their plugin as `ipvl`, which is the command's name.
const PROGRAMS: [&str; 4] = ["ipvl", "ipvl-cni", "ipvl-docker", "ipvl-netavark"];
const START_WAIT: Duration = Duration::from_secs(5);
/// Longer than the agent waits for the lock, which another command may hold.
const ANSWER_WAIT: Duration = Duration::from_secs(90);
/// After so long without an answer a command looks at what the agent's process does.
const SILENCE: Duration = Duration::from_secs(5);
/// An agent that is busy for longer gives no programs: to load them takes little more.
const SPARE_WAIT: Duration = Duration::from_millis(100);
/// A scrape waits no longer.
const COUNTERS_WAIT: Duration = Duration::from_secs(1);
const TRIES: usize = 5;
const PING_WAIT: Duration = Duration::from_secs(5);
const END_WAIT: Duration = Duration::from_secs(2);

/// Has the agent sync the slaves behind these host ends, and waits until it has. Starts an agent if none runs, or if the one
/// that runs is about to end.
pub fn sync(host_ends: &[IfIndex]) -> Result<()> {
    for _ in 0..TRIES {
        if ask(&connect_or_start()?, host_ends)? {
            return Ok(());
        }
    }
    Err(Error::NoAgent { reason: "each one that was started ended at once" })
}

/// Whether the agent did it; false if it ended instead.
fn ask(stream: &UnixStream, host_ends: &[IfIndex]) -> Result<bool> {
    stream.set_read_timeout(Some(SILENCE)).map_err(io_error("wait for", "the agent"))?;
    let mut answers = BufReader::new(stream);
    // All in one write, so that the agent handles them in one turn.
    let requests: String = host_ends.iter().map(|host_end| format!("sync {host_end}\n")).collect();
    if { stream }.write_all(requests.as_bytes()).is_err() {
        return Ok(false);
    }
    for host_end in host_ends {
        match hear(&mut answers)?.trim() {
            "ok" => {}
            "" => return Ok(false),
            answer => return Err(Error::Agent { object: format!("link {host_end}"), answer: answer.to_owned() }),
        }
    }
    Ok(true)
}

/// A line of the agent; empty if it has ended. An agent that is busy is waited for, one that is stopped is not.
fn hear(answers: &mut BufReader<&UnixStream>) -> Result<String> {
    let (start, mut line) = (Instant::now(), String::new());
    loop {
        match answers.read_line(&mut line) {
            Ok(_) => return Ok(line),
            Err(error) if is_timeout(&error) => {
                let silent = Silent::of(answers.get_ref())?;
                if silent.is_stopped() || start.elapsed() > ANSWER_WAIT {
                    return Err(silent.error());
                }
            }
            // It has ended without reading all of our requests.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                return Ok(String::new());
            }
            Err(error) => return Err(io_error("hear from", "the agent")(error)),
        }
    }
}

/// Programs for a new master: the agent's spare ones, else they are loaded now, which takes longer.
pub(crate) fn programs() -> Result<Loaded> {
    match spare() {
        Ok(Some(spare)) => Ok(spare),
        Ok(None) | Err(_) => object::load(),
    }
}

/// The agent's spare programs; none if it has none, is of another build, or is killed before they are opened.
fn spare() -> Result<Option<Loaded>> {
    let Some(mut stream) = connect()? else { return Ok(None) };
    stream.set_read_timeout(Some(SPARE_WAIT)).map_err(io_error("wait for", "the agent"))?;
    let mut line = String::new();
    if writeln!(stream, "{}", spare_request()).is_err() || BufReader::new(&stream).read_line(&mut line).is_err() {
        return Ok(None);
    }
    let ids = line.trim().split_once(' ').map(|(slave_xmit, master_rx)| (slave_xmit.parse(), master_rx.parse()));
    match ids {
        // The agent holds them until `stream` is closed.
        Some((Ok(slave_xmit), Ok(master_rx))) => object::open(slave_xmit, master_rx).map(Some),
        _ => Ok(None),
    }
}

/// The request for spare programs of this build.
pub(crate) fn spare_request() -> String {
    format!("spare {:016x}", object::build())
}

/// The answer to it.
pub(crate) fn spare_answer(spare: Option<&Loaded>) -> String {
    spare.map_or_else(|| "none".to_owned(), |spare| format!("{} {}", spare.slave_xmit.id, spare.master_rx.id))
}

/// Does an agent run, and does it answer?
pub(crate) enum Health {
    /// None runs.
    None,
    /// This process answers.
    Answers(u32),
    /// One runs and does not answer.
    Silent(Error),
}

/// Asks the agent whether it is well.
pub(crate) fn health() -> Result<Health> {
    let Some(stream) = connect()? else { return Ok(Health::None) };
    let silent = Silent::of(&stream)?;
    match ping(&stream)? {
        Pong::Ended => Ok(Health::None),
        Pong::Answered => Ok(Health::Answers(silent.pid)),
        Pong::Silent => Ok(Health::Silent(Silent::of(&stream)?.error())),
    }
}

/// What the agent has counted; none if none runs. The inner value is none if the agent is of a version that does not count.
/// An agent that is busy for longer than a second is an error.
pub(crate) fn counters() -> Result<Option<Option<AgentCounters>>> {
    let Some(mut stream) = connect()? else { return Ok(None) };
    stream.set_read_timeout(Some(COUNTERS_WAIT)).map_err(io_error("wait for", "the agent"))?;
    if writeln!(stream, "counters").is_err() {
        return Ok(None);
    }
    let mut line = String::new();
    match BufReader::new(&stream).read_line(&mut line) {
        Ok(_) => Ok(Some(serde_json::from_str(&line).ok())),
        Err(error) if is_timeout(&error) => Err(Silent::of(&stream)?.error()),
        Err(_) => Ok(None),
    }
}

/// Takes the agent's name; none if an agent runs already. The kernel frees the name of a killed agent a moment late; a
/// connection to it ends at once.
pub(crate) fn claim() -> Result<Option<Single>> {
    loop {
        if let Some(single) = single::claim(NAME)? {
            return Ok(Some(single));
        }
        if let Some(stream) = connect()?
            && stays(&stream)?
        {
            return Ok(None);
        }
    }
}

/// Takes the agent's name, and ends the agent that has it. An agent has no state, so the next one simply goes on.
pub(crate) fn take_over() -> Result<Single> {
    let deadline = Instant::now() + START_WAIT;
    loop {
        if let Some(single) = single::claim(NAME)? {
            return Ok(single);
        }
        let Some(stream) = connect()? else { continue };
        let pid = single::trusted_peer(NAME, &stream)?;
        if Instant::now() > deadline {
            return Err(Error::Held { object: single::socket(NAME), pid, uid: 0 });
        }
        end(&stream);
    }
}

/// Ends the agent that runs, if there is one: of whatever version it is. The next command starts another, and so does the
/// service manager.
pub fn end_running() -> Result<()> {
    [connect()?, single::connect_older(NAME)].iter().flatten().for_each(end);
    Ok(())
}

/// Ends the agent at the other end of a connection, also if it is stopped or hangs.
fn end(stream: &UnixStream) {
    let Some(process) = process(stream) else { return };
    // A stopped process does not receive TERM until it is continued.
    let stopped = Silent::of(stream).is_ok_and(|silent| silent.is_stopped());
    if !stopped {
        let _ = pidfd_send_signal(&process, Signal::TERM);
    }
    if stopped || !await_exit(&process) {
        let _ = pidfd_send_signal(&process, Signal::KILL);
    }
}

/// Whether the agent answers, or is too busy to answer.
fn stays(stream: &UnixStream) -> Result<bool> {
    ping(stream).map(|pong| !matches!(pong, Pong::Ended))
}

enum Pong {
    Answered,
    Silent,
    Ended,
}

fn ping(mut stream: &UnixStream) -> Result<Pong> {
    stream.set_read_timeout(Some(PING_WAIT)).map_err(io_error("wait for", "the agent"))?;
    if writeln!(stream, "ping").is_err() {
        return Ok(Pong::Ended);
    }
    Ok(match stream.read(&mut [0]) {
        Ok(1..) => Pong::Answered,
        Err(error) if is_timeout(&error) => Pong::Silent,
        _ => Pong::Ended,
    })
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// An agent that does not answer.
struct Silent {
    /// Its process; 0 if it is outside of our pid namespace.
    pid: u32,
    /// The state's letter in `/proc/PID/stat`, if the process can be seen.
    state: Option<char>,
}

impl Silent {
    fn of(stream: &UnixStream) -> Result<Self> {
        let pid = single::trusted_peer(NAME, stream)?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
        Ok(Self { pid, state })
    }

    /// By a signal or by a debugger.
    fn is_stopped(&self) -> bool {
        matches!(self.state, Some('T' | 't'))
    }

    fn error(self) -> Error {
        let state = match self.state {
            Some('R') => "running",
            Some('S') => "sleeping",
            Some('D') => "waiting in the kernel",
            Some('T') => "stopped by a signal",
            Some('t') => "stopped by a debugger",
            Some('Z' | 'X') => "dead",
            _ => "in an unknown state",
        };
        Error::AgentSilent { pid: self.pid, state }
    }
}

/// Tells the agent that it has nothing left to do, and waits until it is gone, unless it says that it stays.
pub fn await_end() -> Result<()> {
    let Some(mut stream) = connect()? else { return Ok(()) };
    stream.set_read_timeout(Some(END_WAIT)).map_err(io_error("wait for", "the agent"))?;
    let process = process(&stream);
    // An error in writing or reading also means that it has ended.
    let _ = writeln!(stream, "end");
    let stays = stream.read(&mut [0]).is_ok_and(|length| length > 0);
    if let Some(process) = process.filter(|_| !stays) {
        await_exit(&process);
    }
    Ok(())
}

/// Whether the process ends in time.
fn await_exit(process: &OwnedFd) -> bool {
    let limit = Timespec { tv_sec: END_WAIT.as_secs() as i64, tv_nsec: 0 };
    poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)).is_ok_and(|ended| ended > 0)
}

/// A descriptor that tells when the agent's process is gone, which is a moment after its socket.
fn process(stream: &UnixStream) -> Option<OwnedFd> {
    let pid = Pid::from_raw(single::trusted_peer(NAME, stream).ok()?.cast_signed())?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

fn connect_or_start() -> Result<UnixStream> {
    if let Some(stream) = connect()? {
        return Ok(stream);
    }
    let program = program()?;
    // A descriptor of the calling program, such as that of a lock, must not stay open as long as the agent lives.
    sys::close_descriptors_on_exec();
    Command::new(&program)
        .arg("agent")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log())
        .spawn()
        .map_err(io_error("start", format!("the agent {}", program.display())))?;
    let deadline = Instant::now() + START_WAIT;
    loop {
        match connect()? {
            Some(stream) => return Ok(stream),
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
            None => return Err(Error::NoAgent { reason: "it does not start" }),
        }
    }
}

fn connect() -> Result<Option<UnixStream>> {
    single::connect(NAME)
}

/// The program to start as agent: this one, if it is the command or a plugin, else the command in the same directory. Every
/// plugin has the subcommand `agent`, so that it needs nothing else installed.
fn program() -> Result<PathBuf> {
    let this = std::env::current_exe().map_err(io_error("find", "this program"))?;
    let can_start = this.file_name().is_some_and(|name| PROGRAMS.iter().any(|door| name == *door));
    Ok(if can_start { this } else { this.with_file_name("ipvl") })
}

/// The journal, if there is one.
fn log() -> Stdio {
    journal().map_or_else(|_| Stdio::null(), |stream| Stdio::from(OwnedFd::from(stream)))
}

/// The header that `sd_journal_stream_fd(3)` writes: identifier, unit, priority, level prefix, no forwarding.
fn journal() -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect("/run/systemd/journal/stdout")?;
    stream.write_all(b"ipvl-agent\n\n6\n0\n0\n0\n0\n")?;
    Ok(stream)
}
