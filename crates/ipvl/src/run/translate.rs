//! Which commands give this machine's pods the policies that their NetworkPolicy objects ask for?

use super::output::show;
use crate::backend::{self, Inventory};
use crate::failure::Failure;
use crate::render::{self, PodOnSlave, Style};
use ipvl_control::input;
use ipvl_core::Addr;
use ipvl_kubernetes::{Cluster, Translated, translate};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// In bytes: some ten thousand pods.
const MOST: u64 = 256 << 20;

/// Prints them. One pod's policy that cannot be said stops all: what is printed is complete, or there is nothing.
pub fn run(files: &[PathBuf], style: Style) -> Result<(), Failure> {
    let mut texts = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let text = text(path).map_err(|source| Failure::Unread { name: name.clone(), source })?;
        texts.push((name, text));
    }
    let cluster = Cluster::read(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))?;
    let (mut here, mut elsewhere, inventory) = (Vec::new(), 0, Inventory::read()?);
    for pod in translate(&cluster) {
        match host_end(&inventory, &pod)? {
            Some(host_end) => here.push(PodOnSlave { pod: pod.pod, host_end, policy: pod.policy? }),
            None => elsewhere += 1,
        }
    }
    show(&render::translated(&here, elsewhere, style))
}

fn text(path: &Path) -> io::Result<String> {
    match path.as_os_str() == "-" {
        true => input::read_text_up_to(io::stdin(), MOST),
        false => input::file_up_to(path, MOST),
    }
}

/// By the host end's name, which no other device has: in their own namespaces, the slaves of most pods are `eth0`.
fn host_end(inventory: &Inventory, pod: &Translated) -> Result<Option<String>, Failure> {
    let mut slaves = BTreeSet::new();
    for addr in &pod.addresses {
        let found: Result<_, backend::Error> = inventory.host_ends_of(Addr::from(*addr));
        slaves.extend(found?.into_iter().map(str::to_owned));
    }
    match slaves.len() {
        0 | 1 => Ok(slaves.pop_first()),
        _ => Err(Failure::SeveralSlaves { pod: pod.pod.clone(), slaves: slaves.into_iter().collect() }),
    }
}
