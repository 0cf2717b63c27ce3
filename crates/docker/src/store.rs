//! How are networks stored, which dockerd announces only once? One file for each, with the body of its call.

use crate::error::{Result, file_error};
use crate::network::Network;
use crate::protocol::CreateNetwork;
use rustix::fs::{Mode, OFlags, fsync, open};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

const EXTENSION: &str = "json";
/// The name's end while a file is being written. A file that kept it was never completed.
const DRAFT: &str = "draft";

/// The directory of the files.
#[derive(Debug)]
pub struct Store(PathBuf);

impl Store {
    /// A store in this directory, which is made unless it exists.
    pub fn open(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).map_err(file_error("make", directory))?;
        Ok(Self(directory.to_owned()))
    }

    /// Stores a network: completely, or not at all.
    pub fn save(&self, request: &CreateNetwork) -> Result<()> {
        let (draft, path) = (self.path(&request.network_id, DRAFT), self.path(&request.network_id, EXTENSION));
        let text = serde_json::to_vec_pretty(request)?;
        write(&draft, &text).map_err(file_error("write", &draft))?;
        fs::rename(&draft, &path).map_err(file_error("write", &path))?;
        self.settle()
    }

    /// The network of this id, if there is one.
    pub fn load(&self, id: &str) -> Result<Option<Network>> {
        let path = self.path(id, EXTENSION);
        match fs::read(&path) {
            Ok(text) => Network::read(&serde_json::from_slice(&text)?).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error("read", path)(error)),
        }
    }

    /// Removes a network's file. It is no error if there is none.
    pub fn remove(&self, id: &str) -> Result<()> {
        let path = self.path(id, EXTENSION);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(file_error("remove", path)(error)),
            _ => self.settle(),
        }
    }

    /// All networks with a file that can be read.
    pub fn networks(&self) -> Result<Vec<Network>> {
        let entries = fs::read_dir(&self.0).map_err(file_error("read", &self.0))?;
        let paths = entries.flatten().map(|entry| entry.path());
        let named = paths.filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
        let read = named.filter_map(|path| self.load(path.file_stem()?.to_str()?).ok().flatten());
        Ok(read.collect())
    }

    fn path(&self, id: &str, extension: &str) -> PathBuf {
        self.0.join(id).with_extension(extension)
    }

    /// Writes renames and removals to the disk, so that they survive a loss of power.
    fn settle(&self) -> Result<()> {
        let directory = open(&self.0, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        directory.and_then(fsync).map_err(|errno| file_error("write", &self.0)(errno.into()))
    }
}

fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_network_is_there_again_as_it_was_and_a_half_written_one_is_none() {
        let directory = std::env::temp_dir().join(format!("ipvl-docker-store-{}", std::process::id()));
        let store = Store::open(&directory).expect("a store");
        let body = json!({
            "NetworkID": "abc",
            "Options": { "com.docker.network.generic": { "parent": "eth0", "ipvlan_mode": "l3" } },
            "IPv4Data": [{ "AddressSpace": "LocalDefault", "Pool": "10.1.0.0/24", "Gateway": "10.1.0.1/24" }],
            "IPv6Data": [],
        });
        let request: CreateNetwork = serde_json::from_value(body).expect("a request");
        store.save(&request).expect("saved");
        fs::write(directory.join("half.draft"), "{").expect("written");
        let expected = Network::read(&request).expect("a network");
        assert_eq!(Store::open(&directory).and_then(|store| store.load("abc")).expect("read"), Some(expected.clone()));
        assert_eq!(store.networks().expect("read"), [expected]);
        store.remove("abc").expect("removed");
        store.remove("abc").expect("removed before");
        assert_eq!(store.load("abc").expect("read"), None);
        fs::remove_dir_all(&directory).expect("removed");
    }
}
