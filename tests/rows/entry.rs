//! How is an entry written?
//!
//! ```toml
//! [[entry]]
//! rows = ["A13"]                       # of docs/parity.md
//! name = "a slave as master"
//! needs = "vrf table 10"               # skipped, loudly, on a kernel without this kind of device
//! slaves = ["mode l2", "mode l3 {host on}"]  # s0 in ns0 with 10.0.0.10/24 and fd00::10/64, s1 in ns1 with ...11
//! given = ["host: {ipvl} link add link eth0 name s0 type ipvlan"]
//! then = "host: {ipvl} link add link s0 name s1 type ipvlan"
//! kernel.says = "s1@eth0"              # judged for this driver alone; without a word before it, for all
//! ipvl.fails = "the master is itself a slave"
//! module.says = "s1@eth0"              # of our module, where it is unlike the kernel's driver
//! netkit.says = "s1@eth0"              # of ipvl's slaves that are netkit, where they are unlike others
//! ```
//!
//! There are four namespaces: `host` with the master eth0 (10.0.0.1), `ext` at the other end of its wire (10.0.0.254),
//! `ns0` and `ns1` for slaves. A line is where, and then what a shell runs there; `{ns0}` is the name of a namespace,
//! `{ipvl}` the driver's command: `ipvl`, or `ip`. `at s0:` is where that command finds the slave: in its netns for
//! `ip`, in the host's for `ipvl`. `{host on}` is left out for `ip`, which has no such word. A line of `given` must
//! succeed; after `soon` it is tried until it does; after `ipvl only` it is left out for the kernel's driver.
//!
//! `then` must succeed with all that it `says` in its output and without what it `lacks`, soon; or it must end with an
//! error that has the words of `fails`, at once. Runs of blanks count as one.

use ipvl_testbed::ipvl_path;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Something to do, and what must be seen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub rows: Vec<String>,
    pub name: String,
    pub needs: Option<String>,
    #[serde(default)]
    pub slaves: Vec<String>,
    #[serde(default)]
    pub given: Vec<String>,
    pub then: String,
    says: Option<Words>,
    lacks: Option<String>,
    fails: Option<String>,
    kernel: Option<Expected>,
    pub module: Option<Expected>,
    ipvl: Option<Expected>,
    netkit: Option<Expected>,
}

/// What `then` must come to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub says: Option<Words>,
    pub lacks: Option<String>,
    pub fails: Option<String>,
}

/// One text, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Words {
    One(String),
    All(Vec<String>),
}

/// The driver that makes the slaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// With slaves that are veth.
    Ipvl,
    /// The same with slaves that are netkit.
    Netkit,
    Kernel,
    /// Our module in its place.
    Module,
}

impl Driver {
    /// By the environment: `DRIVER=kernel`, `module` or `netkit`, or else ipvl.
    pub fn chosen() -> Self {
        match std::env::var("DRIVER").as_deref() {
            Ok("kernel") => Self::Kernel,
            Ok("module") => Self::Module,
            Ok("netkit") => Self::Netkit,
            _ => Self::Ipvl,
        }
    }

    /// Whether ipvl makes them.
    pub fn is_ours(self) -> bool {
        !matches!(self, Self::Kernel | Self::Module)
    }

    /// What `{ipvl}` stands for.
    pub fn command(self) -> String {
        match self {
            Self::Ipvl => format!("env IPVL_BACKEND=veth {}", ipvl_path().display()),
            Self::Netkit => format!("env IPVL_BACKEND=netkit {}", ipvl_path().display()),
            Self::Kernel | Self::Module => "ip".to_owned(),
        }
    }
}

impl Entry {
    /// What this driver must do, if the entry has anything to say of it.
    pub fn expected(&self, driver: Driver) -> Option<Expected> {
        let own = match driver {
            Driver::Ipvl => &self.ipvl,
            Driver::Netkit => self.netkit.as_ref().map_or(&self.ipvl, |_| &self.netkit),
            Driver::Kernel => &self.kernel,
            Driver::Module => self.module.as_ref().map_or(&self.kernel, |_| &self.module),
        };
        let Expected { says, lacks, fails } = own.clone().unwrap_or_default();
        let all = Expected {
            says: says.or_else(|| self.says.clone()),
            lacks: lacks.or_else(|| self.lacks.clone()),
            fails: fails.or_else(|| self.fails.clone()),
        };
        (all.says.is_some() || all.lacks.is_some() || all.fails.is_some()).then_some(all)
    }

    /// Whether it expects one thing of one driver and another of the other, but for the words of an error.
    pub fn tells_drivers_apart(&self) -> bool {
        match (&self.kernel, &self.ipvl) {
            (Some(kernel), Some(ipvl)) => kernel.fails.is_none() || ipvl.fails.is_none(),
            _ => false,
        }
    }

    /// Whether it is to be judged for this driver, and is among the rows that were asked for ("A1 B2"; none is all).
    pub fn concerns(&self, driver: Driver, wanted: &str) -> bool {
        let asked = wanted.is_empty() || wanted.split_whitespace().any(|row| self.rows.iter().any(|own| own == row));
        asked && self.expected(driver).is_some()
    }
}

impl Expected {
    /// Whether this is it.
    pub fn met_by(&self, ok: bool, output: &str) -> bool {
        match (&self.fails, &self.says) {
            (Some(words), _) => !ok && output.contains(words),
            (None, says) => ok && says.iter().all(|says| says.are_in(output)) && !self.shows_what_it_must_not(output),
        }
    }

    fn shows_what_it_must_not(&self, output: &str) -> bool {
        self.lacks.as_ref().is_some_and(|words| output.contains(words))
    }
}

impl Words {
    fn are_in(&self, output: &str) -> bool {
        match self {
            Self::One(words) => output.contains(words),
            Self::All(all) => all.iter().all(|words| output.contains(words)),
        }
    }
}

/// All entries of `tests/rows`, by file.
pub fn entries() -> Vec<Entry> {
    #[derive(Deserialize)]
    struct File {
        entry: Vec<Entry>,
    }
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/rows"));
    let paths = fs::read_dir(directory).expect("tests/rows").map(|file| file.expect("a file").path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("read an entry's file");
        toml::from_str::<File>(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())).entry
    };
    paths.into_iter().flat_map(read).collect()
}
