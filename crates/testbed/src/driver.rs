//! Who makes the slaves of a lab? ipvl, or the kernel's own driver, with the same words for both.

use crate::lab::ipvl_path;

/// Set to `kernel` to have tests judge the kernel's own driver, on a kernel that has it.
const CHOICE: &str = "DRIVER";
/// What only ipvl knows; each has a value.
const OURS_ALONE: [&str; 3] = ["guard", "host", "neigh"];

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The one under test.
    Ipvl,
    /// `ipvlan.ko`, by way of `ip`.
    Kernel,
}

impl Driver {
    /// What the environment variable `DRIVER` says: `kernel`, or `ipvl`, which is the default.
    ///
    /// # Panics
    /// When it says anything else.
    #[must_use]
    pub fn chosen() -> Self {
        match std::env::var(CHOICE).as_deref() {
            Ok("kernel") => Self::Kernel,
            Ok("ipvl") | Err(_) => Self::Ipvl,
            Ok(other) => panic!("{CHOICE}={other}: say \"kernel\" or \"ipvl\""),
        }
    }

    /// The command line for `words`, which are those of `ipvl`. The kernel's driver is told what it can understand of them.
    #[must_use]
    pub fn command(self, words: &str) -> Vec<String> {
        match self {
            Self::Ipvl => {
                let binary = ipvl_path().to_string_lossy().into_owned();
                std::iter::once(binary).chain(words.split_whitespace().map(str::to_owned)).collect()
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
