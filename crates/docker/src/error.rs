//! What can go wrong while serving dockerd, and what is to be done about it?

use crate::own_options::OWN_OPTIONS;
use ipvl_control::keys::{nearest, of_engines};
use ipvl_core::Mac;
use std::io;
use std::path::PathBuf;

/// An error. dockerd receives it as `{"Err": "..."}`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not one of this call.
    #[error("cannot read the request: {0}")]
    Request(#[from] serde_json::Error),
    /// A text that is not the id of a network or an endpoint.
    #[error("cannot use {0:?} as an id: up to 64 letters and digits are expected")]
    Id(String),
    /// There is no such option.
    #[error("there is no network option {0}{meant}; those of ipvl are {options}", meant = meant(.0), options = options())]
    UnknownOption(String),
    /// Two options are names of one.
    #[error("{one} and {other} say the same: give one")]
    Twice {
        /// One name.
        one: String,
        /// The other.
        other: String,
    },
    /// There is no such option of an endpoint.
    #[error("there is no endpoint option {0}; ipvl has none, its options are the network's")]
    EndpointOption(String),
    /// An option has an invalid value.
    #[error("cannot use {option}={value}: {allowed}")]
    Value {
        /// Which.
        option: String,
        /// What was given.
        value: String,
        /// What could have been.
        allowed: String,
    },
    /// The network has no subnet, so endpoints could have no addresses.
    #[error("the network has no subnet, and ipvl assigns packets by address; give one by --subnet")]
    NoSubnet,
    /// A text that is not a subnet, a gateway or an address.
    #[error("cannot read {what} {text:?}")]
    Address {
        /// What it should be.
        what: &'static str,
        /// What it is.
        text: String,
    },
    /// The network was never created here, or its file was removed.
    #[error("network {0} is not known to ipvl-docker; remove it by `docker network rm`, then create it again")]
    NoNetwork(String),
    /// The endpoint's slave is gone.
    #[error(
        "endpoint {0} has no slave: something other than dockerd removed it; disconnect the container and connect it again"
    )]
    NoEndpoint(String),
    /// The endpoint has no address of any subnet of its network.
    #[error("address {0} is in no subnet of the network")]
    ForeignAddress(String),
    /// A network's file cannot be written, read or removed.
    #[error("cannot {op} {}: {source}", path.display())]
    File {
        /// What was tried.
        op: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The socket cannot be listened on.
    #[error("cannot listen on {}: {source}", path.display())]
    Socket {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A user wants a container to have a MAC address of its own.
    #[error(
        "{0} is not the master's MAC address, which all slaves share: leave it out, or create the network with -o \
         mac=ignore, which ignores such addresses"
    )]
    OwnMac(Mac),
    /// The kernel, or ipvl's control plane, refused.
    #[error(transparent)]
    Control(#[from] ipvl_control::Error),
}

/// The result of every function of this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

fn meant(name: &str) -> String {
    nearest(name, &OWN_OPTIONS).map(|meant| format!(", perhaps {meant} is meant")).unwrap_or_default()
}

fn options() -> String {
    of_engines().chain(OWN_OPTIONS).collect::<Vec<_>>().join(", ")
}

/// Names the operation and the file of a plain I/O error.
pub fn file_error(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File { op, path: path.into(), source }
}
