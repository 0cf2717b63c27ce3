//! How are a port's maps opened by their ids, and how do values get into them and out?

use crate::error::{Result, ebpf};
use crate::kernel::bpf;
use aya::Pod;
use aya::maps::{Map, MapData, MapError};
use std::collections::BTreeMap;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A value or a key as the kernel sees it: bytes without padding.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Abi<T>(pub T);

#[expect(unsafe_code, reason = "aya asks for this promise")]
// SAFETY: `IntoBytes` means no padding, `FromBytes` that any bytes are a value.
unsafe impl<T: IntoBytes + FromBytes + Immutable + Copy + 'static> Pod for Abi<T> {}

/// The maps with these ids, by their names.
pub(crate) fn open_by_ids(ids: &[u32]) -> Result<BTreeMap<String, MapData>> {
    let mut maps = BTreeMap::new();
    for id in ids {
        let data = MapData::from_fd(bpf::map_fd_by_id(*id)?).map_err(ebpf("open", "a map"))?;
        let info = data.info().map_err(ebpf("describe", "a map"))?;
        maps.insert(info.name_as_str().unwrap_or_default().to_owned(), data);
    }
    Ok(maps)
}

/// Takes the map of this name out of a port's maps.
pub(crate) fn take(maps: &mut BTreeMap<String, MapData>, name: &'static str) -> Result<MapData> {
    let missing = || ebpf("find", format!("the map {name}"))(MapError::InvalidName { name: name.to_owned() });
    maps.remove(name).ok_or_else(missing)
}

/// Checks the type and the sizes of a map.
pub(crate) fn typed<T: TryFrom<Map, Error = MapError>>(name: &'static str, map: Map) -> Result<T> {
    T::try_from(map).map_err(ebpf("use", format!("the map {name}")))
}

/// `None` instead of an error that says that there is no such key.
pub(super) fn found<T>(result: std::result::Result<T, MapError>) -> std::result::Result<Option<T>, MapError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removing what is not there is no error.
pub(crate) fn removed(result: std::result::Result<(), MapError>) -> std::result::Result<(), MapError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other,
    }
}

/// Whether the map has no room for another key.
pub(super) fn is_full(error: &MapError) -> bool {
    let MapError::SyscallError(error) = error else { return false };
    matches!(error.io_error.raw_os_error(), Some(libc::E2BIG | libc::ENOMEM))
}
