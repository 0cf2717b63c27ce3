//! What can go wrong, with which operation on which object?

use crate::refusal::Refusal;
use std::io;

/// A failure, with its operation and its object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a netlink request.
    #[error("cannot {op} {object}: {source}{}", hint(extack))]
    Netlink {
        /// The operation, as a verb phrase: `create veth`.
        op: &'static str,
        /// Its object.
        object: String,
        /// The kernel's errno.
        source: io::Error,
        /// The kernel's own message, if it sent one.
        extack: Option<String>,
    },
    /// The kernel refused a `bpf(2)` call.
    #[error("cannot {op} {object}: {source}")]
    Bpf {
        /// The operation, as a verb phrase: `attach program to`.
        op: &'static str,
        /// Its object.
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
        /// The kernel's errno.
        source: io::Error,
    },
    /// Another process holds what only one process may hold.
    #[error("{object} is held by process {pid} of user {uid}; wait for it to end, or end it, then try again")]
    Held {
        /// What is held.
        object: String,
        /// The process; 0 if it is outside of our pid namespace.
        pid: u32,
        /// Its effective user.
        uid: u32,
    },
    /// ipvl itself refused, before anything was changed.
    #[error("cannot {op} {object}: {refusal}")]
    Refused {
        /// The operation.
        op: &'static str,
        /// Its object.
        object: String,
        /// The reason.
        refusal: Refusal,
    },
    /// A map or a program cannot be loaded or used.
    #[error("cannot {op} {object}: {}", root(.source.as_ref()))]
    Ebpf {
        /// The operation.
        op: &'static str,
        /// Its object.
        object: String,
        /// The library's error, with the kernel's as its cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No agent runs, and none can be started.
    #[error("there is no agent: {reason}")]
    NoAgent {
        /// Why.
        reason: &'static str,
    },
    /// The agent did not do what it was asked to do.
    #[error("the agent cannot set up {object}: {answer}")]
    Agent {
        /// The slave.
        object: String,
        /// The agent's answer.
        answer: String,
    },
    /// The agent does not answer.
    #[error(
        "the agent, process {pid}, does not answer: it is {state}; `kill -CONT {pid}` wakes a stopped one, and after \
         `kill -9 {pid}` the next command starts another, which goes on where it was"
    )]
    AgentSilent {
        /// Its process; 0 if it is outside of our pid namespace.
        pid: u32,
        /// What the process does.
        state: &'static str,
    },
    /// A file or a socket cannot be used.
    #[error("cannot {op} {object}: {source}")]
    Io {
        /// The operation.
        op: &'static str,
        /// Its object.
        object: String,
        /// The kernel's errno.
        source: io::Error,
    },
}

/// The result of every function of this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The kernel's errno, or the one that stands for a refusal.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Netlink { source, .. }
            | Self::Bpf { source, .. }
            | Self::Netns { source, .. }
            | Self::Io { source, .. } => source.raw_os_error(),
            Self::Refused { refusal, .. } => Some(refusal.errno()),
            Self::Held { .. } | Self::Ebpf { .. } => None,
            Self::NoAgent { .. } | Self::Agent { .. } | Self::AgentSilent { .. } => None,
        }
    }

    /// The same error, with the object's name as the user gave it.
    pub(crate) fn about(mut self, name: &str) -> Self {
        if let Self::Netlink { object, .. } = &mut self {
            name.clone_into(object);
        }
        self
    }

    /// The same error, with what to do besides.
    pub(crate) fn advising(mut self, advice: &str) -> Self {
        if let Self::Netlink { extack, .. } = &mut self {
            *extack = Some(extack.take().map_or_else(|| advice.to_owned(), |text| format!("{text}; {advice}")));
        }
        self
    }

    /// Whether a name or an address is taken already.
    pub fn is_exists(&self) -> bool {
        self.errno() == Some(libc::EEXIST)
    }

    /// Whether the kernel has refused a call of a library's: what the call was about may be as it should be.
    pub(crate) fn is_of_kernel(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if error.is::<io::Error>() {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Whether a queue is full, which may pass.
    pub fn is_full(&self) -> bool {
        self.errno() == Some(libc::EAGAIN)
    }

    /// Whether the object does not exist, or no longer.
    pub fn is_gone(&self) -> bool {
        matches!(self.errno(), Some(libc::ENODEV | libc::ENOENT | libc::ESRCH | libc::ENXIO | libc::EADDRNOTAVAIL))
    }
}

/// An [`Error::Io`] from an I/O error.
pub(crate) fn io_error<O: Into<String>>(op: &'static str, object: O) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { op, object: object.into(), source }
}

/// An [`Error::Ebpf`] from an error of aya.
pub(crate) fn ebpf<E: std::error::Error + Send + Sync + 'static>(
    op: &'static str,
    object: impl Into<String>,
) -> impl FnOnce(E) -> Error {
    let object = object.into();
    move |source| Error::Ebpf { op, object, source: Box::new(source) }
}

/// An [`Error::Refused`].
pub(crate) fn refused(op: &'static str, object: impl Into<String>, refusal: Refusal) -> Error {
    Error::Refused { op, object: object.into(), refusal }
}

/// An error and all its causes, down to the kernel's.
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
