//! On which socket does the driver listen: one that systemd passes, or one that it makes itself?

use crate::error::{Error, Result};
use crate::sys;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Only root may connect: dockerd is root.
const MODE: u32 = 0o600;

/// The socket, and its file if this process must remove it.
#[derive(Debug)]
pub struct Socket {
    /// Non-blocking.
    pub listener: UnixListener,
    file: Option<PathBuf>,
}

impl Socket {
    /// The socket that systemd passes, else a new one at `path`. A file that a killed process left there is replaced.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::Socket { path: path.to_owned(), source };
        let inherited = sys::inherited().map_err(failed)?;
        let file = inherited.is_none().then(|| path.to_owned());
        let listener = inherited.map_or_else(|| bind(path), Ok).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, file })
    }
}

/// Removes the file: dockerd would wait at a socket that no process listens on.
pub fn remove(socket_file: Option<&Path>) {
    if let Some(path) = socket_file {
        let _ = fs::remove_file(path);
    }
}

impl Socket {
    /// Both parts.
    pub fn into_parts(self) -> (UnixListener, Option<PathBuf>) {
        (self.listener, self.file)
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(ErrorKind::AddrInUse, "another process is listening there"));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    Ok(listener)
}
