//! How do writers of one netns exclude each other? By a lock that one of them has at a time.

use crate::error::{Error, Result, io_error};
use crate::kernel::single::{self, Single};
use crate::kernel::sys;
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than any command holds the lock.
pub const LOCK_WAIT: Duration = Duration::from_secs(60);
const NAME: &str = "ipvl-lock";
/// How long to wait before another try: between another process's claim and its `listen`, connecting fails.
const PAUSE: Duration = Duration::from_millis(1);

/// The lock, held until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _single: Single,
}

impl Lock {
    /// Waits for the lock of the calling thread's netns, no longer than `timeout`.
    pub fn acquire(timeout: Duration) -> Result<Self> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(single) = single::claim(NAME)? {
                return Ok(Self { _single: single });
            }
            match single::connect(NAME) {
                Ok(Some(stream)) => await_release(stream, deadline)?,
                // The queue of waiting processes is full.
                Err(error) if !error.is_full() => return Err(error),
                _ if Instant::now() < deadline => sleep(PAUSE),
                _ => return Err(Error::Held { object: single::socket(NAME), pid: 0, uid: 0 }),
            }
        }
    }

    /// The process that has the lock now.
    pub fn held_by() -> Result<Option<u32>> {
        single::running(NAME)
    }
}

/// The holder never accepts the connection, so the read ends when its socket is gone.
fn await_release(mut stream: UnixStream, deadline: Instant) -> Result<()> {
    let left = deadline.saturating_duration_since(Instant::now()).max(PAUSE);
    stream.set_read_timeout(Some(left)).map_err(io_error("wait for", single::socket(NAME)))?;
    match stream.read(&mut [0]) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(still_held(&stream)?),
        _ => Ok(()),
    }
}

fn still_held(stream: &UnixStream) -> Result<Error> {
    let sys::Peer { pid, uid } = sys::peer(stream).map_err(io_error("ask who has", single::socket(NAME)))?;
    Ok(Error::Held { object: single::socket(NAME), pid, uid })
}
