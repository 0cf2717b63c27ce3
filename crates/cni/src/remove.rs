//! How is a container's interface removed: when the container ends, and when the runtime did not report its end?

use crate::add::beside_master;
use crate::call::{Call, Command};
use crate::config::Network;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::ipam::Ipam;
use crate::owner;
use std::collections::BTreeSet;

/// DEL: succeeds any number of times, whatever is left of container and slave. The slave is deleted before its address is
/// freed.
pub fn delete(call: &Call, network: &Network) -> Result<(), Failure> {
    let owner = owner::of(call, network);
    let result = match (network.link_in_container, &call.netns) {
        (true, None) => Ok(false),
        (true, Some(path)) if !std::path::Path::new(path).exists() => Ok(false),
        _ => beside_master(call, network, || ipvl_control::detach(&owner)),
    };
    let given_back = Ipam::of(call, network).map_or(Ok(()), |ipam| ipam.del());
    result.and(given_back)
}

/// GC: removes the interfaces of this network that are not listed. Without a list it removes nothing.
pub fn collect(call: &Call, network: &Network) -> Result<(), Failure> {
    let Some(valid) = valid(network)? else { return Ok(()) };
    let ipam = Ipam::of(call, network);
    let mut failures = Vec::new();
    for attached in ipvl_control::attached(&owner::all(network))? {
        if valid.contains(&attached.owner) {
            continue;
        }
        failures.extend(ipvl_control::detach(&attached.owner).map_err(Failure::from).err());
        let Some((container, ifname)) = owner::container(&attached.owner) else { continue };
        let (container, ifname) = (container.to_owned(), ifname.to_owned());
        let gone = Call { command: Command::Del, container, ifname, netns: None, ..call.clone() };
        failures.extend(ipam.as_ref().and_then(|ipam| ipam.for_call(&gone).del().err()));
    }
    failures.extend(ipam.and_then(|ipam| ipam.hand_on().err()));
    failures.into_iter().next().map_or(Ok(()), Err)
}

/// The owners that are to stay; none if the runtime passed no list.
fn valid(network: &Network) -> Result<Option<BTreeSet<String>>, Failure> {
    let fields = Fields::of(&network.raw, "")?;
    let (listed, old) = (fields.list("cni.dev/valid-attachments")?, fields.list("cni.dev/attachments")?);
    let Some(listed) = listed.or(old) else { return Ok(None) };
    let owner = |value| {
        let fields = Fields::of(value, "cni.dev/valid-attachments[]")?;
        let text = |key| fields.text(key)?.ok_or_else(|| fields.wrong(key, "a name"));
        Ok(owner::one(network, text("containerID")?, text("ifname")?))
    };
    listed.iter().map(owner).collect::<Result<_, Failure>>().map(Some)
}
