//! How long does an agent run?

/// How long an agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Until the last slave is gone. It does not start where an agent runs already.
    WhileNeeded,
    /// As a service, until it is stopped. It takes the place of an agent that runs already, and tells its service manager
    /// when it is ready (`sd_notify(3)`).
    Service,
}
