//! Which text names the owner of a container's slave? It is in the host end's alias, which has little room.

use crate::call::Call;
use crate::config::Network;

const LONGEST_NAME: usize = 40;
const LONGEST_CONTAINER: usize = 90;

/// The owner of the interface that this call is about.
pub fn of(call: &Call, network: &Network) -> String {
    one(network, &call.container, &call.ifname)
}

/// The owner of that container's interface.
pub fn one(network: &Network, container: &str, ifname: &str) -> String {
    format!("{}{} {ifname}", all(network), fitting(container, LONGEST_CONTAINER))
}

/// How the owners of all interfaces in a network begin.
pub fn all(network: &Network) -> String {
    format!("cni {} ", fitting(&network.name, LONGEST_NAME))
}

/// The container and the interface of an owner, if it was not too long for them.
pub fn container(owner: &str) -> Option<(&str, &str)> {
    let mut words = owner.split(' ').skip(2);
    let (container, ifname) = (words.next()?, words.next()?);
    (!container.starts_with('#')).then_some((container, ifname))
}

/// The text if it is short enough, else its hash behind a character that no name begins with.
fn fitting(text: &str, most: usize) -> String {
    if text.len() <= most { text.to_owned() } else { format!("#{:016x}", hash(text)) }
}

/// FNV-1a: the same in every version of ipvl, unlike the standard library's hash.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_names_fit_and_stay_apart() {
        let (long, longer) = ("x".repeat(200), "x".repeat(201));
        let owner = |container: &str| {
            format!("cni {} {} fifteen-letters", fitting(&long, LONGEST_NAME), fitting(container, LONGEST_CONTAINER))
        };
        assert!(owner(&"y".repeat(LONGEST_CONTAINER)).len() <= 176);
        assert_ne!(owner(&long), owner(&longer));
        assert_eq!((container("cni n c1 eth0"), container(&owner(&long))), (Some(("c1", "eth0")), None));
    }
}
