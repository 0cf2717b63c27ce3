//! How is a port watched? A watcher brings maps of its own, says what it wants, and renews that while it lives.
//!
//! Nothing is left behind by one that is killed: the programs look at the time, and forget it with the next packet.

use crate::error::{Result, ebpf, refused};
use crate::kernel::bpf;
use crate::kernel::bpf_map::{new_map, remove_entry, set_entry};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::port::Port;
use crate::port::tables::{Abi, open_by_ids, removed, take, typed};
use crate::port::watch::{FLOW_TABLE, FLOWS, RING, RINGS};
use crate::refusal::Refusal;
use aya::maps::{Array, Map, MapData, PerCpuArray, PerCpuHashMap, RingBuf};
use ipvl_core::PortEntry;
use ipvl_core::maps::{FlowCount, FlowKey, PacketTold, WATCHERS, Watch};
use rustix::time::{ClockId, clock_gettime};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::time::Duration;
use zerocopy::FromBytes;

/// The programs' variables.
const VARIABLES: &str = ".bss";
/// How long the programs wait for a watcher to renew what it wants.
const PATIENCE: Duration = Duration::from_secs(3);

/// Watches one port until it is dropped.
pub struct Watcher {
    index: u32,
    want: Watch,
    port: Port,
    watches: Array<MapData, Abi<Watch>>,
    lost: PerCpuArray<MapData, u64>,
    /// How many were lost when that was last asked.
    lost_before: u64,
    variables: MapData,
    arrays: [MapData; 2],
    ring: RingBuf<MapData>,
    flows: PerCpuHashMap<MapData, Abi<FlowKey>, Abi<FlowCount>>,
}

impl Watcher {
    /// Begins to watch. [`Watch::until`] is not looked at.
    pub fn open(port: Port, want: Watch, master: &str) -> Result<Self> {
        let _lock = Lock::acquire(LOCK_WAIT)?;
        let mut maps = open_by_ids(&bpf::prog_info(port.slave_xmit())?.map_ids)?;
        if !maps.contains_key(RINGS) {
            return Err(refused("watch", master, Refusal::CannotTell));
        }
        if port.maps.port()?.has(PortEntry::IP_ONLY) {
            return Err(refused("watch", master, Refusal::NothingToWatch));
        }
        let watches = typed("WATCHES", Map::Array(take(&mut maps, "WATCHES")?))?;
        let index = free(&watches)?.ok_or_else(|| refused("watch", master, Refusal::Watched))?;
        let arrays = [take(&mut maps, RINGS)?, take(&mut maps, FLOWS)?];
        let own = |array: &MapData, name, shape| {
            let map = new_map(name, shape, None)?;
            set_entry(array.fd(), &index, &map.as_raw_fd())?;
            MapData::from_fd(map).map_err(ebpf("open", "a map"))
        };
        let mut watcher = Self {
            index,
            want,
            port,
            watches,
            lost: typed("WATCH_LOST", Map::PerCpuArray(take(&mut maps, "WATCH_LOST")?))?,
            lost_before: 0,
            variables: take(&mut maps, VARIABLES)?,
            ring: typed("ring", Map::RingBuf(own(&arrays[0], "watch_ring", RING)?))?,
            flows: typed("flows", Map::PerCpuLruHashMap(own(&arrays[1], "watch_flows", FLOW_TABLE)?))?,
            arrays,
        };
        watcher.lost_before = watcher.all_lost()?;
        watcher.say()?;
        watcher.announce()?;
        Ok(watcher)
    }

    /// To be called each second.
    pub fn renew(&mut self) -> Result<()> {
        self.say()?;
        if !self.port.maps.port()?.has(PortEntry::WATCHED) {
            let _lock = Lock::acquire(LOCK_WAIT)?;
            self.announce()?;
        }
        Ok(())
    }

    /// Takes the packets that were told, each with its first bytes; or the first packets of flows.
    pub fn take_packets(&mut self, mut each: impl FnMut(PacketTold, &[u8])) {
        while let Some(item) = self.ring.next() {
            if let Ok((told, bytes)) = PacketTold::read_from_prefix(&item) {
                each(told, &bytes[..bytes.len().min(told.captured as usize)]);
            }
        }
    }

    /// What was counted of each flow so far, over all CPUs.
    pub fn flows(&self) -> Result<Vec<(FlowKey, FlowCount)>> {
        let mut flows = Vec::new();
        for entry in self.flows.iter() {
            let (Abi(key), each) = entry.map_err(ebpf("read", "the table of flows"))?;
            flows.push((key, each.iter().fold(FlowCount::default(), |sum, Abi(cpu)| plus(sum, *cpu))));
        }
        Ok(flows)
    }

    /// Forgets a flow; with its next packet it begins again.
    pub fn forget(&mut self, key: &FlowKey) -> Result<()> {
        removed(self.flows.remove(&Abi(*key))).map_err(ebpf("write", "the table of flows"))
    }

    /// How many packets, or beginnings of flows, were not told since this was last asked, because the ring buffer was full.
    pub fn take_lost(&mut self) -> Result<u64> {
        let all = self.all_lost()?;
        Ok(all.saturating_sub(std::mem::replace(&mut self.lost_before, all)))
    }

    /// Whether it is told packets, and not flows.
    pub fn wants_packets(&self) -> bool {
        self.want.snap > 0
    }

    /// The port.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Says what is wanted, and that somebody watches: an upgrade sets the programs' variables to zero.
    fn say(&mut self) -> Result<()> {
        let until = now() + PATIENCE.as_nanos() as u64;
        self.write(Watch { until, ..self.want })?;
        set_entry(self.variables.fd(), &0_u32, &1_u64)
    }

    fn write(&mut self, watch: Watch) -> Result<()> {
        self.watches.set(self.index, Abi(watch), 0).map_err(ebpf("write", "the map WATCHES"))
    }

    /// Keeps packets off the fast path, which tells nobody. The caller has the lock.
    fn announce(&mut self) -> Result<()> {
        self.port.maps.change_port(|port| port.flags |= PortEntry::WATCHED)
    }

    fn all_lost(&self) -> Result<u64> {
        let each = self.lost.get(&self.index, 0).map_err(ebpf("read", "the map WATCH_LOST"))?;
        Ok(each.iter().sum())
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // The programs do the same by themselves, a little later.
        let _ = self.write(Watch::default());
        let _ = self.arrays.iter().try_for_each(|array| remove_entry(array.fd(), &self.index));
    }
}

/// Nanoseconds of `CLOCK_MONOTONIC`, in which programs tell the time.
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The place of no living watcher.
fn free(watches: &Array<MapData, Abi<Watch>>) -> Result<Option<u32>> {
    for index in 0..WATCHERS {
        let Abi(watch) = watches.get(&index, 0).map_err(ebpf("read", "the map WATCHES"))?;
        if !watch.is_alive(now()) {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// CPUs that have seen nothing of a flow have zeros.
fn plus(sum: FlowCount, cpu: FlowCount) -> FlowCount {
    match (sum.packets, cpu.packets) {
        (0, _) => cpu,
        (_, 0) => sum,
        _ => FlowCount {
            first: sum.first.min(cpu.first),
            last: sum.last.max(cpu.last),
            packets: sum.packets + cpu.packets,
            bytes: sum.bytes + cpu.bytes,
        },
    }
}
