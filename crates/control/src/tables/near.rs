//! What of the tables do the programs find without a search? A second copy, as far as it fits, of who sits behind which
//! host end and who owns which address. The hash maps say what is true; whatever is missing here is looked up there.

use super::{Abi, typed};
use crate::error::{Result, ebpf};
use aya::maps::{Array, Map, MapData};
use ipvl_core::{Addr, Owner, OwnerEntry, SEATS, Seat, Slot, Words};

/// The map `SEATS`.
pub struct Seats(Array<MapData, Abi<Seat>>);

impl Seats {
    /// From the map itself.
    pub fn from_data(data: MapData) -> Result<Self> {
        typed("SEATS", Map::Array(data)).map(Self)
    }

    /// Seats a slave, if its seat is free. It is in `IDS` already.
    pub fn seat(&mut self, host_end: u32, slot: Slot) -> Result<()> {
        match self.at(host_end)? {
            Seat { host_end: 0, .. } => self.write(host_end, Seat { host_end, slot: slot.0 }),
            _ => Ok(()),
        }
    }

    /// Frees the slave's seat. It is in `IDS` still.
    pub fn free(&mut self, host_end: u32) -> Result<()> {
        match self.at(host_end)?.host_end == host_end {
            true => self.write(host_end, Seat::default()),
            false => Ok(()),
        }
    }

    fn at(&self, host_end: u32) -> Result<Seat> {
        self.0.get(&(host_end % SEATS), 0).map(|seat| seat.0).map_err(ebpf("read", "the map SEATS"))
    }

    fn write(&mut self, host_end: u32, seat: Seat) -> Result<()> {
        self.0.set(host_end % SEATS, Abi(seat), 0).map_err(ebpf("write", "the map SEATS"))
    }
}

/// The map `NEARBY`. Writers hold the lock; readers are the programs, at any time: see [`ipvl_core::Nearby`].
pub struct Nearby(Array<MapData, Abi<ipvl_core::Nearby>>);

impl Nearby {
    /// From the map itself.
    pub fn from_data(data: MapData) -> Result<Self> {
        typed("NEARBY", Map::Array(data)).map(Self)
    }

    /// Puts an address there if nobody is. It is in `ADDRS` already.
    pub fn put(&mut self, addr: Addr, entry: OwnerEntry) -> Result<()> {
        if self.at(addr)?.owner != 0 {
            return Ok(());
        }
        self.write(ipvl_core::Nearby::new(addr, Owner::Nobody))?;
        self.write(ipvl_core::Nearby::new(addr, Owner::found(Some(&entry))))
    }

    /// Takes it out. It is in `ADDRS` still.
    pub fn take_out(&mut self, addr: Addr) -> Result<()> {
        match self.at(addr)? {
            here if here.addr == addr && here.owner != 0 => self.write(ipvl_core::Nearby::new(addr, Owner::Nobody)),
            _ => Ok(()),
        }
    }

    fn at(&self, addr: Addr) -> Result<ipvl_core::Nearby> {
        self.0.get(&Words::from(addr).place(), 0).map(|nearby| nearby.0).map_err(ebpf("read", "the map NEARBY"))
    }

    fn write(&mut self, nearby: ipvl_core::Nearby) -> Result<()> {
        self.0.set(Words::from(nearby.addr).place(), Abi(nearby), 0).map_err(ebpf("write", "the map NEARBY"))
    }
}
