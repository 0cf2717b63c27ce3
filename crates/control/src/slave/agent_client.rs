//! How does a command ask the agent to sync a slave, and start one if none runs?
//!
//! The agent listens on the abstract socket `ipvl-agent` of its netns. A request is a line, `sync HOST_END_IFINDEX`, and so
//! is the answer, `ok` or an error. The agent answers `ping` with `ok`. After `end` it ends, or answers `stays`.

use crate::error::{Error, Result, io_error};
use crate::kernel::single;
use crate::kernel::sys;
use ipvl_core::IfIndex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The abstract socket's name.
pub const NAME: &str = "ipvl-agent";
/// The names of the programs that can start an agent. Engines install their plugin as `ipvl`, which is the command's name.
const PROGRAMS: [&str; 4] = ["ipvl", "ipvl-cni", "ipvl-docker", "ipvl-netavark"];
const START_WAIT: Duration = Duration::from_secs(5);
/// Longer than the agent waits for the lock, which another command may hold.
const ANSWER_WAIT: Duration = Duration::from_secs(90);
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
    stream.set_read_timeout(Some(ANSWER_WAIT)).map_err(io_error("wait for", "the agent"))?;
    let mut answers = BufReader::new(stream);
    // All in one write, so that the agent handles them in one turn.
    let requests: String = host_ends.iter().map(|host_end| format!("sync {host_end}\n")).collect();
    if { stream }.write_all(requests.as_bytes()).is_err() {
        return Ok(false);
    }
    for host_end in host_ends {
        let mut answer = String::new();
        answers.read_line(&mut answer).map_err(io_error("hear from", "the agent"))?;
        match answer.trim() {
            "ok" => {}
            "" => return Ok(false),
            answer => return Err(Error::Agent { object: format!("link {host_end}"), answer: answer.to_owned() }),
        }
    }
    Ok(true)
}

/// Takes the agent's name; none if an agent runs already. The kernel frees the name of a killed agent a moment late; a
/// connection to it ends at once.
pub(crate) fn claim() -> Result<Option<UnixListener>> {
    loop {
        if let Some(listener) = single::claim(NAME)? {
            return Ok(Some(listener));
        }
        if let Some(stream) = connect()?
            && stays(&stream)?
        {
            return Ok(None);
        }
    }
}

/// Takes the agent's name, and ends the agent that has it. An agent has no state, so the next one simply goes on.
pub(crate) fn take_over() -> Result<UnixListener> {
    let deadline = Instant::now() + START_WAIT;
    loop {
        if let Some(listener) = single::claim(NAME)? {
            return Ok(listener);
        }
        let Some(stream) = connect()? else { continue };
        let pid = single::trusted_peer(NAME, &stream)?;
        if Instant::now() > deadline {
            return Err(Error::Held { object: single::socket(NAME), pid, uid: 0 });
        }
        if let Some(process) = process(&stream) {
            let _ = pidfd_send_signal(&process, Signal::TERM);
            await_exit(&process);
        }
    }
}

/// Ends the agent that runs, if there is one: of whatever version it is. The next command starts another, and so does the
/// service manager.
pub fn end_running() -> Result<()> {
    let Some(stream) = connect()? else { return Ok(()) };
    if let Some(process) = process(&stream) {
        let _ = pidfd_send_signal(&process, Signal::TERM);
        await_exit(&process);
    }
    Ok(())
}

/// Whether the agent answers, or is too busy to answer.
fn stays(mut stream: &UnixStream) -> Result<bool> {
    stream.set_read_timeout(Some(PING_WAIT)).map_err(io_error("wait for", "the agent"))?;
    if writeln!(stream, "ping").is_err() {
        return Ok(false);
    }
    Ok(match stream.read(&mut [0]) {
        Ok(length) => length > 0,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    })
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

fn await_exit(process: &OwnedFd) {
    let limit = Timespec { tv_sec: END_WAIT.as_secs() as i64, tv_nsec: 0 };
    let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit));
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

/// A connection to the agent. Any user can take the agent's name; only an agent of root or of our own user is trusted.
fn connect() -> Result<Option<UnixStream>> {
    let Some(stream) = single::connect(NAME)? else { return Ok(None) };
    single::trusted_peer(NAME, &stream)?;
    Ok(Some(stream))
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
