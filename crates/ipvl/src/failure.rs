//! Why did a command fail, and with which status does it end?

use crate::backend;
use crate::frame::FrameError;
use crate::usage::UsageError;
use ipvl_control::apply::ConfigError;
use ipvl_kubernetes::Refusal;
use std::io;
use std::net::SocketAddr;
use thiserror::Error;

/// Why a command failed.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "each variant's text names its fields")]
pub enum Failure {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error("Error: {0}")]
    Control(#[from] backend::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("Error: {0}. Nothing was changed.")]
    Config(#[from] ConfigError),
    #[error("Error: cannot read \"{name}\": {}. Nothing was changed.", in_words(source))]
    Unread { name: String, source: io::Error },
    #[error("Error: {0}. Nothing was translated.")]
    Kubernetes(#[from] Refusal),
    #[error("Error: the addresses of pod {pod} are those of several slaves: {}. Nothing was translated.", slaves.join(", "))]
    SeveralSlaves { pod: String, slaves: Vec<String> },
    #[error("Device \"{name}\" does not exist.")]
    NoSuchDevice { name: String },
    #[error("Cannot open network namespace \"{name}\": {}", in_words(source))]
    Netns { name: String, source: io::Error },
    #[error("Cannot open file \"{name}\" for reading: {}", in_words(source))]
    Batch { name: String, source: io::Error },
    #[error("No manual page \"{page}\": there are ipvl and ipvl-link, ipvl-addr, ipvl-stats and so on.")]
    NoSuchPage { page: String },
    #[error(
        "Error: cannot listen on {address}: {}; choose another port, or end what listens there: ss -ltnp",
        in_words(source)
    )]
    Listen { address: SocketAddr, source: io::Error },
    #[error("Error: cannot write \"{name}\": {}", in_words(source))]
    Unwritten { name: String, source: io::Error },
    #[error("Error: \"top\" needs a terminal; \"ipvl stats\" prints the counters once, \"ipvl metrics\" all of it.")]
    NoTerminal,
    #[error("Cannot write the answer: {0}")]
    Output(#[from] io::Error),
    /// Printed already, line by line.
    #[error("")]
    Told,
}

impl Failure {
    /// As iproute2: 255 for a wrong command line, 2 where the kernel said no, 1 for the rest.
    pub fn status(&self) -> u8 {
        match self {
            Self::Usage(error) => error.status(),
            Self::Control(_) | Self::Config(_) | Self::Listen { .. } => 2,
            Self::Netns { .. } => 255,
            _ => 1,
        }
    }
}

/// Without the number that Rust adds.
fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
