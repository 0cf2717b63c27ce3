//! How is a container's slave made, and how is it removed?

use crate::attachment::{about_ports, attachment, owner, status};
use crate::body::Container;
use crate::error::{Error, Result};
use crate::options::NetworkOptions;
use ipvl_control::kernel::{netns, sysctl};
use ipvl_control::{Attached, Attachment, NetnsRef, Refusal, attach, default_master, detach};
use serde_json::Value;
use std::io;

/// Makes the slave and prints the answer. If either fails, the slave is removed again.
pub fn setup(netns: &str, container: &Container, say: impl FnOnce(&Value) -> Result<()>) -> Result<()> {
    let options = NetworkOptions::of_container(&container.network, &container.network_options)?;
    let master = options.slave.master.clone().map_or_else(default_master, Ok)?;
    let wanted = attachment(netns, container, &options, &master)?;
    let attached = attach_afresh(&wanted)?;
    let done = finish(netns, container, &attached, say);
    if done.is_err() {
        detach(&wanted.owner)?;
    }
    done
}

/// Removes the slave. It is no error if there is none.
pub fn teardown(container: &Container) -> Result<()> {
    detach(&owner(container))?;
    Ok(())
}

fn finish(
    netns: &str,
    container: &Container,
    attached: &Attached,
    say: impl FnOnce(&Value) -> Result<()>,
) -> Result<()> {
    forbid_autoconf(netns, &container.network_options.interface_name)?;
    if let Some(line) = about_ports(container) {
        eprintln!("{line}");
    }
    say(&status(container, attached.mac)?)
}

/// Makes the slave. Podman runs one setup of a container in a network at a time, so an existing slave is what a killed
/// setup left, and is removed first.
fn attach_afresh(wanted: &Attachment) -> Result<Attached> {
    match attach(wanted) {
        Err(ipvl_control::Error::Refused { refusal: Refusal::Attached, .. }) => {
            detach(&wanted.owner)?;
            Ok(attach(wanted)?)
        }
        Err(ipvl_control::Error::Refused { refusal: Refusal::ForeignMac(mac), .. }) => Err(Error::OwnMac(mac)),
        other => Ok(other?),
    }
}

/// As with netavark's own drivers: a container has the addresses that Podman assigned, and none from advertisements.
fn forbid_autoconf(netns: &str, interface: &str) -> Result<()> {
    let netns = netns::open(&NetnsRef::Name(netns.to_owned()))?;
    let switch = format!("net/ipv6/conf/{interface}/autoconf");
    match netns::within(netns, || sysctl::set(&switch, "0"))? {
        // A container without IPv6 has no such switch.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::Autoconf { interface: interface.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}
