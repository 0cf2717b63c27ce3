//! What can go wrong while netavark is served? It is told as `{"error": "..."}`, which Podman shows to its user.

use crate::own_options::OWN_OPTIONS;
use ipnet::IpNet;
use ipvl_control::keys::{nearest, of_engines};
use ipvl_core::Mac;
use std::io;
use std::net::IpAddr;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such subcommand.
    #[error("there is no subcommand {0:?}; netavark's plugins have info, create, setup NETNS and teardown NETNS")]
    Usage(String),
    /// What is on standard input is not what the subcommand takes.
    #[error("cannot read {what} from standard input: {source}")]
    Json {
        /// What it should be.
        what: &'static str,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// What is on standard input cannot be read.
    #[error("cannot read {what} from standard input: {source}")]
    Input {
        /// What it should be.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Nobody reads what is answered.
    #[error("cannot write the answer: {0}")]
    Answer(io::Error),
    /// There is no such option.
    #[error("there is no option {0}{meant}; those of ipvl are {known}", meant = meant(.0), known = known())]
    UnknownOption(String),
    /// An option has a value that it cannot have.
    #[error("cannot use {option}={value}: {allowed}")]
    Value {
        /// Which.
        option: String,
        /// What was given.
        value: String,
        /// What could have been.
        allowed: String,
    },
    /// Two options are names of one.
    #[error("{one} and {other} say the same: give one")]
    Twice {
        /// One name.
        one: String,
        /// The other.
        other: String,
    },
    /// The master is given twice.
    #[error("the parent is {option} by option and {interface} by --interface-name; give one")]
    TwoParents {
        /// `-o parent=`.
        option: String,
        /// `network_interface`.
        interface: String,
    },
    /// Podman has no addresses to give out.
    #[error("the network has no subnet; give it one by --subnet, or none and --ipam-driver none")]
    NoSubnet,
    /// Somebody else would have to give out the addresses.
    #[error(
        "cannot use ipam driver {0}: host-local (Podman's own) or none; a DHCP server cannot tell slaves by their MAC \
         address, since they have their parent's"
    )]
    Ipam(String),
    /// There are subnets, and no address of any of them.
    #[error("Podman has chosen no address of the network's subnets")]
    NoAddress,
    /// An address that belongs to no subnet.
    #[error("{0} is in no subnet of the network")]
    ForeignAddress(IpAddr),
    /// A MAC address that is none.
    #[error("{0:?} is no MAC address")]
    NoMac(String),
    /// A user wants a container to have a MAC address of its own.
    #[error(
        "{0} is not the master's address, which all slaves share: leave it out, or create the network with -o mac=ignore, \
         which ignores such addresses"
    )]
    OwnMac(Mac),
    /// A route that cannot be made.
    #[error("cannot use the route to {destination}: {why}")]
    Route {
        /// Whereto.
        destination: IpNet,
        /// Why not.
        why: &'static str,
    },
    /// The container's device would make addresses of its own.
    #[error("cannot keep {interface} from making addresses by itself: {source}")]
    Autoconf {
        /// The device.
        interface: String,
        /// Why not.
        source: io::Error,
    },
    /// The kernel, or who steers it, refused.
    #[error(transparent)]
    Control(#[from] ipvl_control::Error),
}

/// What everything in this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

fn meant(name: &str) -> String {
    nearest(name, &OWN_OPTIONS).map(|meant| format!(", perhaps {meant} is meant")).unwrap_or_default()
}

fn known() -> String {
    of_engines().chain(OWN_OPTIONS).collect::<Vec<_>>().join(", ")
}
