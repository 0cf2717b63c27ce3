//! Who makes the slaves of a lab? ipvl, or the kernel's own driver, with the same words for both.

use crate::lab::ipvl_path;

/// Set to `kernel` to have tests judge the kernel's own driver, on a kernel that has it; to `clsact` for ipvl without tcx.
const CHOICE: &str = "DRIVER";
/// What has ipvl do so.
const WITHOUT_TCX: &str = "IPVL_HOOK=clsact";
/// What only ipvl knows; each has a value.
const OURS_ALONE: [&str; 3] = ["guard", "host", "neigh"];

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The one under test.
    Ipvl,
    /// The same, attached as on a kernel without tcx.
    Clsact,
    /// `ipvlan.ko`, by way of `ip`.
    Kernel,
}

impl Driver {
    /// What the environment variable `DRIVER` says: `kernel`, `clsact`, or `ipvl`, which is the default.
    ///
    /// # Panics
    /// When it says anything else.
    #[must_use]
    pub fn chosen() -> Self {
        match std::env::var(CHOICE).as_deref() {
            Ok("kernel") => Self::Kernel,
            Ok("clsact") => Self::Clsact,
            Ok("ipvl") | Err(_) => Self::Ipvl,
            Ok(other) => panic!("{CHOICE}={other}: say \"kernel\", \"clsact\" or \"ipvl\""),
        }
    }

    /// The command line for `words`, which are those of `ipvl`. The kernel's driver is told what it can understand of them.
    #[must_use]
    pub fn command(self, words: &str) -> Vec<String> {
        let binary = ipvl_path();
        let ours = binary.to_str().expect("a path in UTF-8");
        match self {
            Self::Ipvl => std::iter::once(ours).chain(words.split_whitespace()).map(str::to_owned).collect(),
            Self::Clsact => {
                ["env", WITHOUT_TCX, ours].into_iter().chain(words.split_whitespace()).map(str::to_owned).collect()
            }
            Self::Kernel => std::iter::once("ip").chain(understood(words)).map(str::to_owned).collect(),
        }
    }
}

/// After `type ipvlan`, what only ipvl knows is left out.
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
        let said = Driver::Kernel.command("link set guard up type ipvlan mode l2 vepa guard off host on");
        assert_eq!(said, "ip link set guard up type ipvlan mode l2 vepa".split(' ').collect::<Vec<_>>());
    }
}
