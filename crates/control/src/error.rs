//! What can go wrong while the kernel is told something, and what is to be done about it?

use crate::refusal::Refusal;
use std::io;

/// What went wrong, with the operation and the object it was about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a netlink request.
    #[error("cannot {op} {object}: {source}{}", hint(extack))]
    Netlink {
        /// What was asked, as a verb phrase: `create veth`.
        op: &'static str,
        /// Of which object.
        object: String,
        /// The kernel's errno.
        source: io::Error,
        /// The kernel's own words, where it has any.
        extack: Option<String>,
    },
    /// The kernel refused a `bpf(2)` call.
    #[error("cannot {op} {object}: {source}")]
    Bpf {
        /// What was asked, as a verb phrase: `attach program to`.
        op: &'static str,
        /// Of which object.
        object: String,
        /// The kernel's errno.
        source: io::Error,
    },
    /// A network namespace cannot be opened or entered.
    #[error("cannot {op} network namespace {object}: {source}")]
    Netns {
        /// `open` or `enter`.
        op: &'static str,
        /// Its name, path or pid.
        object: String,
        /// Why.
        source: io::Error,
    },
    /// Another process has what only one may have, and does not give it back.
    #[error("{object} is held by process {pid} of user {uid}; wait for it to end, or end it, then try again")]
    Held {
        /// What is held.
        object: String,
        /// By whom; 0 where that process is outside of our pid namespace.
        pid: u32,
        /// That process's effective user.
        uid: u32,
    },
    /// ipvl itself refused, before anything was changed.
    #[error("cannot {op} {object}: {refusal}")]
    Refused {
        /// What was asked.
        op: &'static str,
        /// Of which object.
        object: String,
        /// Why not.
        refusal: Refusal,
    },
    /// A map or a program cannot be made or used.
    #[error("cannot {op} {object}: {}", root(.source.as_ref()))]
    Ebpf {
        /// What was asked.
        op: &'static str,
        /// Of which object.
        object: String,
        /// The library's words, the kernel's at the end.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The agent did not do what it was asked.
    #[error("the agent cannot bring {object} into order: {answer}")]
    Agent {
        /// Which slave.
        object: String,
        /// Its own words.
        answer: String,
    },
    /// A file or a socket.
    #[error("cannot {op} {object}: {source}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// With which object.
        object: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// What everything in this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The kernel's errno, if it was the kernel who refused.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Netlink { source, .. }
            | Self::Bpf { source, .. }
            | Self::Netns { source, .. }
            | Self::Io { source, .. } => source.raw_os_error(),
            Self::Refused { refusal, .. } => Some(refusal.errno()),
            Self::Held { .. } | Self::Ebpf { .. } | Self::Agent { .. } => None,
        }
    }

    /// The same, about what a person called the object.
    pub(crate) fn about(mut self, name: &str) -> Self {
        if let Self::Netlink { object, .. } = &mut self {
            name.clone_into(object);
        }
        self
    }

    /// Whether a name or an address is taken already.
    pub fn is_exists(&self) -> bool {
        self.errno() == Some(libc::EEXIST)
    }

    /// Whether there is no room just now.
    pub fn is_full(&self) -> bool {
        self.errno() == Some(libc::EAGAIN)
    }

    /// Whether the object is gone, or never was.
    pub fn is_gone(&self) -> bool {
        matches!(self.errno(), Some(libc::ENODEV | libc::ENOENT | libc::ESRCH | libc::ENXIO | libc::EADDRNOTAVAIL))
    }
}

/// Names the operation and the object of a plain I/O error.
pub(crate) fn io_error<O: Into<String>>(op: &'static str, object: O) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { op, object: object.into(), source }
}

/// An `Error::Ebpf` out of what aya says.
pub(crate) fn ebpf<E: std::error::Error + Send + Sync + 'static>(
    op: &'static str,
    object: impl Into<String>,
) -> impl FnOnce(E) -> Error {
    let object = object.into();
    move |source| Error::Ebpf { op, object, source: Box::new(source) }
}

/// An `Error::Refused`.
pub(crate) fn refused(op: &'static str, object: impl Into<String>, refusal: Refusal) -> Error {
    Error::Refused { op, object: object.into(), refusal }
}

/// An error and what caused it, down to the kernel's.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn hint(extack: &Option<String>) -> String {
    extack.as_ref().map(|text| format!(" ({text})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_operation_object_and_the_kernels_words() {
        let source = io::Error::from_raw_os_error(libc::EEXIST);
        let extack = Some("name taken".to_owned());
        let error = Error::Netlink { op: "create veth", object: "ipvl0".to_owned(), source, extack };
        assert_eq!(error.to_string(), "cannot create veth ipvl0: File exists (os error 17) (name taken)");
        assert!(error.is_exists());
    }
}
