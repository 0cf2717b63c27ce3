//! What is in a whole map? Read many entries at a time, by `bpf(2)` itself: aya makes two calls for each entry.
#![allow(unsafe_code)]

use super::bpf::{address, bpf_mut, failed, raw};
use super::bpf_map::map_info;
use crate::error::Result;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Linux 5.6.
const BPF_MAP_LOOKUP_BATCH: i32 = 24;
/// More than a bucket of a hash holds, but by accident.
const CHUNK: usize = 1024;

/// Where the kernel stands in a map: the number of a hash's bucket, or an array's index.
type Cursor = u32;

/// A hash or an array that is read whole; not one with a value for each CPU.
pub struct Whole<K, V> {
    map: OwnedFd,
    name: &'static str,
    types: PhantomData<(K, V)>,
}

impl<K, V> Whole<K, V>
where
    K: FromBytes + IntoBytes + Immutable + Copy,
    V: FromBytes + IntoBytes + Immutable + Copy,
{
    /// Keeps the map. Refuses it if its keys or values have other lengths.
    pub fn of(name: &'static str, map: impl AsFd) -> Result<Self> {
        let failed = || failed("read", format!("the map {name}"));
        let shape = map_info(&map)?.1;
        if (shape.key as usize, shape.value as usize) != (size_of::<K>(), size_of::<V>()) {
            return Err(failed()(io::Error::from(io::ErrorKind::InvalidData)));
        }
        let map = map.as_fd().try_clone_to_owned().map_err(failed())?;
        Ok(Self { map, name, types: PhantomData })
    }

    /// Its entries, of an array with their indexes, or the first `most` and a few more. Of a hash that changes meanwhile, all
    /// entries that are there from first to last.
    pub fn entries(&self, most: usize) -> Result<Vec<(K, V)>> {
        self.read(most).map_err(failed("read", format!("the map {}", self.name)))
    }

    fn read(&self, most: usize) -> io::Result<Vec<(K, V)>> {
        let (mut found, mut from, mut size) = (Vec::new(), None, CHUNK.min(most));
        while found.len() < most {
            let (mut keys, mut values) = (vec![K::new_zeroed(); size], vec![V::new_zeroed(); size]);
            match batch(&self.map, from, &mut keys, &mut values) {
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => size *= 2,
                Err(error) => return Err(error),
                Ok((count, next)) => {
                    found.extend(keys.into_iter().zip(values).take(count));
                    if next.is_none() {
                        break;
                    }
                    from = next;
                }
            }
        }
        Ok(found)
    }
}

/// The next entries: how many, and where to go on unless these were the last. `ENOSPC` if a bucket has more. Keys and values are
/// as long as the map's.
fn batch<K, V>(
    map: &impl AsFd,
    from: Option<Cursor>,
    keys: &mut [K],
    values: &mut [V],
) -> io::Result<(usize, Option<Cursor>)> {
    let (mut start, mut next) = ([from.unwrap_or_default()], [0]);
    let mut attr = BatchAttr {
        from: if from.is_some() { address(&mut start) } else { 0 },
        next: address(&mut next),
        keys: address(keys),
        values: address(values),
        count: keys.len().min(values.len()) as u32,
        map: raw(map),
        entry_flags: 0,
        flags: 0,
    };
    // SAFETY: `start`, `next`, `keys` and `values` live past the call and have room for `count` entries of the map's sizes.
    match unsafe { bpf_mut(BPF_MAP_LOOKUP_BATCH, &mut attr) } {
        Ok(_) => Ok((attr.count as usize, Some(next[0]))),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok((attr.count as usize, None)),
        Err(error) => Err(error),
    }
}

/// `union bpf_attr`, as `BPF_MAP_LOOKUP_BATCH` reads and writes it.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct BatchAttr {
    from: u64,
    next: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    entry_flags: u64,
    flags: u64,
}
