//! What can go wrong while serving netavark? Errors are printed as `{"error": "..."}`, which Podman shows to its user.

use crate::own_options::OWN_OPTIONS;
use ipnet::IpNet;
use ipvl_control::keys::{nearest, of_engines};
use ipvl_core::Mac;
use std::io;
use std::net::IpAddr;

/// An error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such subcommand.
    #[error("there is no subcommand {0:?}; netavark's plugins have info, create, setup NETNS and teardown NETNS")]
    Usage(String),
    /// Standard input is not valid for the subcommand.
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
    /// The answer cannot be written.
    #[error("cannot write the answer: {0}")]
    Answer(io::Error),
    /// There is no such option.
    #[error("there is no option {0}{meant}; those of ipvl are {known}", meant = meant(.0), known = known())]
    UnknownOption(String),
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
    /// The network has no subnet, so Podman has no addresses to assign.
    #[error("the network has no subnet; give it one by --subnet, or none and --ipam-driver none")]
    NoSubnet,
    /// The network's IPAM driver is not supported.
    #[error(
        "cannot use ipam driver {0}: host-local (Podman's own), or none; with none, a DHCP client in the container works in l2"
    )]
    Ipam(String),
    /// The network has subnets, and Podman has assigned no address of them.
    #[error("Podman has chosen no address of the network's subnets")]
    NoAddress,
    /// An address that belongs to no subnet.
    #[error("{0} is in no subnet of the network")]
    ForeignAddress(IpAddr),
    /// A text that is not a MAC address.
    #[error("{0:?} is not a MAC address")]
    Mac(String),
    /// A user wants a container to have a MAC address of its own.
    #[error(
        "{0} is not the master's MAC address, which all slaves share: leave it out, or create the network with -o \
         mac=ignore, which ignores such addresses"
    )]
    OwnMac(Mac),
    /// A route that cannot be made.
    #[error("cannot use the route to {destination}: {why}")]
    Route {
        /// The destination.
        destination: IpNet,
        /// Why not.
        why: &'static str,
    },
    /// Autoconfiguration cannot be switched off on the container's device.
    #[error("cannot switch off address autoconfiguration on {interface}: {source}")]
    Autoconf {
        /// The device.
        interface: String,
        /// Why not.
        source: io::Error,
    },
    /// The kernel, or ipvl's control plane, refused.
    #[error(transparent)]
    Control(#[from] ipvl_control::Error),
}

/// The result of every function of this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

fn meant(name: &str) -> String {
    nearest(name, &OWN_OPTIONS).map(|meant| format!(", perhaps {meant} is meant")).unwrap_or_default()
}

fn known() -> String {
    of_engines().chain(OWN_OPTIONS).collect::<Vec<_>>().join(", ")
}
