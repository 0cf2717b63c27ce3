//! How is a socket taken over that systemd opened before it started this process?

use std::io::{self, ErrorKind};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

/// The listening socket that systemd passes (`LISTEN_FDS`), if it passes one.
pub fn inherited() -> io::Result<Option<UnixListener>> {
    let mut given = sd_notify::listen_fds()?;
    let Some(first) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "systemd hands over more than one socket"));
    }
    // SAFETY: the protocol of LISTEN_FDS gives this descriptor to this process, and this is called once.
    #[expect(unsafe_code, reason = "a number becomes a descriptor")]
    let owned = unsafe { OwnedFd::from_raw_fd(first) };
    Ok(Some(UnixListener::from(owned)))
}
