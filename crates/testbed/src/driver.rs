//! Which driver makes the slaves of a lab? ipvl, the kernel's own driver, or our module in its place, with the same words for all.

use std::path::PathBuf;

use crate::pcap::profile_directory;

/// Set to `kernel` to have tests judge the kernel's own driver, on a kernel that has it; to `module` for ours, if that is loaded
/// instead; to `clsact` for ipvl without tcx;
/// to `veth` or `netkit` for slaves of that kind.
const CHOICE: &str = "DRIVER";
/// Words that only ipvl knows; each has a value.
const OURS_ALONE: [&str; 5] = ["guard", "host", "neigh", "dhcp", "siblings"];

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The ipvl under test, which chooses hook and backend itself.
    Ipvl,
    /// The same, with slaves that are veth.
    Veth,
    /// The same, and attached as on a kernel without tcx.
    Clsact,
    /// The ipvl under test, with netkit slaves, on a kernel that has netkit.
    Netkit,
    /// The kernel's `ipvlan.ko`, by way of `ip`.
    Kernel,
    /// Our `ipvlan.ko`, by way of `ip`.
    Module,
}

impl Driver {
    /// What the environment variable `DRIVER` says; `ipvl` is the default.
    ///
    /// # Panics
    /// When it says anything else.
    #[must_use]
    pub fn chosen() -> Self {
        match std::env::var(CHOICE).as_deref() {
            Ok("kernel") => Self::Kernel,
            Ok("module") => Self::Module,
            Ok("veth") => Self::Veth,
            Ok("clsact") => Self::Clsact,
            Ok("netkit") => Self::Netkit,
            Ok("ipvl") | Err(_) => Self::Ipvl,
            Ok(other) => {
                panic!("{CHOICE}={other}: say \"kernel\", \"module\", \"veth\", \"clsact\", \"netkit\" or \"ipvl\"")
            }
        }
    }

    /// The command line for `words`, which are those of `ipvl`. The kernel's driver gets only the words that it knows.
    #[must_use]
    pub fn command(self, words: &str) -> Vec<String> {
        let binary = ipvl_path();
        let ours = binary.to_str().expect("a path in UTF-8");
        let words = match self {
            Self::Kernel | Self::Module => [vec!["ip"], understood(words)],
            _ => [[self.environment(), &[ours]].concat(), words.split_whitespace().collect()],
        };
        words.concat().into_iter().map(str::to_owned).collect()
    }

    /// Whether its slaves are made by `ip`: single devices, which are changed where they are.
    #[must_use]
    pub fn is_by_ip(self) -> bool {
        matches!(self, Self::Kernel | Self::Module)
    }

    /// What has ipvl do so.
    fn environment(self) -> &'static [&'static str] {
        match self {
            Self::Ipvl | Self::Kernel | Self::Module => &[],
            Self::Veth => &["env", "IPVL_BACKEND=veth"],
            Self::Clsact => &["env", "IPVL_BACKEND=veth", "IPVL_HOOK=clsact"],
            Self::Netkit => &["env", "IPVL_BACKEND=netkit"],
        }
    }
}

/// The `ipvl` under test: `$IPVL`, or the one that cargo built beside this test.
#[must_use]
pub fn ipvl_path() -> PathBuf {
    std::env::var_os("IPVL").map_or_else(|| profile_directory().join("ipvl"), PathBuf::from)
}

/// Leaves out, after `type ipvlan`, the words that only ipvl knows.
fn understood(words: &str) -> Vec<&str> {
    let mut kept = Vec::new();
    let mut options = false;
    let mut words = words.split_whitespace();
    while let Some(word) = words.next() {
        options |= word == "type";
        if options && OURS_ALONE.contains(&word) {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_driver_is_not_told_what_it_does_not_know() {
        let said = Driver::Kernel
            .command("link set guard up type ipvlan mode l2 vepa guard off host on dhcp off siblings host");
        assert_eq!(said, "ip link set guard up type ipvlan mode l2 vepa".split(' ').collect::<Vec<_>>());
    }
}
