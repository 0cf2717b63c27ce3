//! On which stage are scenarios played? One host, one outside, and eight slaves that are changed to what a world asks for.
//!
//! Slaves are changed in place and never made anew, so that each world also tests a change under way. A slave that a world
//! does not have is down. The kernel's own driver can play the worlds in which all slaves are alike.

use crate::names::{SLAVES, slave_addresses};
use crate::scenario::Case;
use crate::world::World;
use ipvl_control::kernel::netlink::Netlink;
use ipvl_control::port;
use ipvl_core::{
    Addr, Group, Guard, IfIndex, Mode, OPTIONS, OptionKey, Options, Owner, OwnerEntry, Reason, Slave, Slot, WIRE,
};
use ipvl_testbed::{
    Driver, EXT_V4, EXT_V6, Frame, Lab, MARKER, Mac, PacketSocket, Rest, kernel_is_at_least, wait_until,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How many slaves a world can have here.
pub const PLACES: usize = 8;
/// What the host's stack can get: IPv4, ARP, IPv6, and what scenarios send that is none of these.
const PROTOCOLS: [u16; 5] = [0x0800, 0x0806, 0x86dd, MARKER, 0x8808];
/// `PACKET_OTHERHOST`: the frame is for another MAC address, or has a tag.
const OTHER_HOST: u8 = 3;
/// The tables must be in sync after this.
const PATIENCE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_micros(200);
const DOWN: &str = "down";

/// A lab, with an observer wherever a frame may go.
pub struct Stage {
    lab: Lab,
    /// The programs' tables and counters, if the programs are ours.
    port: Option<port::Port>,
    wire: PacketSocket,
    stack: Vec<PacketSocket>,
    slaves: Vec<PacketSocket>,
    /// The other ends of the slaves, if the driver makes pairs, and of the wire.
    ends: Vec<PacketSocket>,
    master: PacketSocket,
    rest: Rest,
    /// What each slave was last told to be.
    roles: Vec<String>,
    declared: BTreeSet<String>,
    /// The places of slaves with `guard declared`: their addresses are declared.
    guarded: BTreeSet<usize>,
    joined: BTreeSet<(Slot, Group)>,
    /// Whether the slaves get all multicast; none before they are first told.
    greedy: Option<bool>,
}

impl Stage {
    /// Builds it, with slaves of this driver.
    pub fn of(driver: Driver) -> Self {
        let lab = Lab::of(driver, PLACES);
        lab.host.run(["ip", "route", "add", "default", "via", &EXT_V4.to_string()]);
        lab.host.run(["ip", "-6", "route", "add", "default", "via", &EXT_V6.to_string()]);
        lab.host.sysctl("net/ipv6/conf/eth0/accept_ra", "0");
        for place in 0..PLACES {
            lab.slaves[place].sysctl("net/ipv6/conf/default/accept_ra", "0");
            // A slave must still be the only owner of its addresses while it is down.
            lab.slaves[place].sysctl("net/ipv6/conf/default/keep_addr_on_down", "1");
            let (v4, v6) = slave_addresses(place as u32);
            let name = lab.add_slave(place, "mode l2 bridge", &[&format!("{v4}/24"), &format!("{v6}/64")]);
            lab.slaves[place].sysctl(&format!("net/ipv6/conf/{name}/keep_addr_on_down"), "1");
        }
        let slaves = (0..PLACES).map(|place| lab.slaves[place].port(&device(place))).collect();
        let pairs = if driver.is_by_ip() { 0 } else { PLACES };
        let ends = (0..pairs).map(|place| lab.host.port(&format!("ipvlh{place}"))).collect();
        let (master, rest) = (lab.host.port("eth0"), lab.rest());
        let stack = PROTOCOLS.map(|protocol| PacketSocket::open_stack(&lab.host, protocol)).into();
        let (wire, port) = (lab.wire(), (!driver.is_by_ip()).then(|| find_port(&lab)));
        let (roles, declared, joined) = (vec![String::new(); PLACES], BTreeSet::new(), BTreeSet::new());
        let guarded = BTreeSet::new();
        Self { port, wire, stack, slaves, ends, master, rest, roles, declared, guarded, joined, greedy: None, lab }
    }

    /// Makes the slaves be what the world says, and waits until the programs' tables say so too.
    pub fn play(&mut self, world: &World) {
        let hosted = world.members.iter().any(|member| member.slave(IfIndex::NONE).host());
        let asks = self.port.is_some() && !kernel_is_at_least("6.17");
        if asks && hosted {
            self.forward("1");
        }
        for place in 0..PLACES {
            let role = role(world, place);
            if role != self.roles[place] {
                self.lab.set_slave(place, &role);
                self.roles[place] = role;
            }
        }
        if self.port.is_some() {
            let guarded = self.guarded_addresses(world);
            self.declare(&[&world.declared[..], &guarded].concat());
        }
        if asks && !hosted {
            self.forward("0");
        }
        self.join(world);
        // What one world's frames claimed must not be believed in the next.
        self.lab.host.run(["ip", "neigh", "flush", "dev", "eth0"]);
        let ready = wait_until(PATIENCE, || self.difference(world).is_none());
        assert!(ready, "{world:?}: {}", self.difference(world).unwrap_or_default());
    }

    /// Sends a case's frame from where it says.
    pub fn inject(&self, from: Option<Slot>, frame: &[u8]) {
        match from {
            Some(Slot(slot)) => self.slaves[slot as usize].inject(frame),
            None => self.wire.inject(frame),
        }
    }

    /// What l3s and host access ask of the user before Linux 6.17: whether the host forwards IPv6.
    fn forward(&self, switch: &str) {
        self.lab.host.sysctl("net/ipv6/conf/all/forwarding", switch);
    }

    /// Has the host know a neighbour's MAC address for good.
    pub fn pin_neighbour(&self, address: &str, mac: Mac) {
        let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
        self.lab.host.run(["ip", "neigh", "replace", address, "lladdr", &mac, "dev", "eth0", "nud", "permanent"]);
    }

    /// Returns when every observer has seen all that it will see of what was sent.
    ///
    /// After [`Rest`] no frame is on its way any more. Then each observer gets a marker of its own, through the same device
    /// and into the same socket as every other frame: a slave from its host end, the outside from the master, the host's
    /// stack from outside, because in every world a frame that is no IP is the host's. The marker is sent last and by the
    /// same CPU, so it is behind everything that the observer sees, and it shows that the observer still sees. A slave that
    /// is down receives nothing, and no marker.
    pub fn settle(&mut self) {
        self.rest.wait();
        let places = self.listening().map(|place| (SLAVES[place], self.ends[place].mark()));
        let markers: Vec<_> = places.chain([("ext", self.master.mark()), ("host", self.wire.mark())]).collect();
        for (name, marker) in markers {
            let seen = self.sightings(name, PATIENCE, |frame| frame.bytes == marker);
            assert!(seen == 1, "{name} sees its marker {seen} times");
        }
    }

    /// Forgets what was seen so far.
    pub fn clear(&mut self) {
        self.ports().into_iter().for_each(|(_, port)| port.clear());
    }

    /// How often the observer `name` sees a frame that `wanted` accepts: waits for the first, and not for more.
    pub fn sightings(&mut self, name: &str, patience: Duration, wanted: impl Fn(&Frame) -> bool) -> usize {
        let counts = |frame: &Frame| wanted(frame) && (name != "host" || frame.pkt_type != OTHER_HOST);
        let mut ports: Vec<_> = self.ports().into_iter().filter(|(observer, _)| *observer == name).collect();
        let deadline = Instant::now() + patience;
        loop {
            let seen: usize = ports.iter_mut().map(|(_, port)| port.count(counts)).sum();
            if seen > 0 || Instant::now() >= deadline {
                return seen;
            }
            sleep(STEP);
        }
    }

    /// All frames that were seen since the last call, by observer. Slaves' stacks and the host's ignore frames for others.
    pub fn take(&mut self) -> Vec<(&'static str, Frame)> {
        let ports = self.ports().into_iter();
        let seen = ports.flat_map(|(name, port)| port.take().into_iter().map(move |frame| (name, frame)));
        seen.filter(|(name, frame)| *name == "ext" || frame.pkt_type != OTHER_HOST).collect()
    }

    /// How many frames of this source were dropped for these reasons.
    pub fn drops(&self, source: Option<Slot>, reasons: &[Reason]) -> u64 {
        let source = source.unwrap_or(WIRE);
        let Some(port) = self.port.as_ref().filter(|_| !reasons.is_empty()) else { return 0 };
        let drops = port.maps.drops().expect("read the drops");
        let of_source = drops.get(&source).into_iter().flatten();
        of_source.filter(|(reason, _)| reasons.contains(reason)).map(|(_, count)| count).sum()
    }

    fn ports(&mut self) -> Vec<(&'static str, &mut PacketSocket)> {
        let slaves = SLAVES.into_iter().zip(&mut self.slaves);
        let stack = self.stack.iter_mut().map(|port| ("host", port));
        slaves.chain([("ext", &mut self.wire)]).chain(stack).collect()
    }

    fn declare(&mut self, wanted: &[String]) {
        let wanted: BTreeSet<_> = wanted.iter().cloned().collect();
        let (gone, new) = (&self.declared - &wanted, &wanted - &self.declared);
        for (verb, lines) in [("del", gone), ("add", new)] {
            for line in lines {
                let (name, prefix) = line.split_once(' ').expect("a slave and a prefix");
                let place = SLAVES.iter().position(|slave| *slave == name).expect("a slave's name");
                self.lab.ipvl(&format!("addr {verb} {prefix} dev {}", device(place)));
            }
        }
        self.declared = wanted;
    }

    /// What must be declared for slaves with `guard declared`. One that this world does not have keeps its guard.
    fn guarded_addresses(&mut self, world: &World) -> Vec<String> {
        for member in &world.members {
            let place = member.slot().0 as usize;
            match member.options().guard {
                Guard::Declared => self.guarded.insert(place),
                _ => self.guarded.remove(&place),
            };
        }
        let both = |place: &usize| {
            let (v4, v6) = slave_addresses(*place as u32);
            [format!("{} {v4}/32", SLAVES[*place]), format!("{} {v6}/128", SLAVES[*place])]
        };
        self.guarded.iter().flat_map(both).collect()
    }

    /// Slaves join and leave by their devices' own lists, which no protocol reports.
    fn join(&mut self, world: &World) {
        let wanted: BTreeSet<_> = world.memberships().into_iter().collect();
        let (gone, new) = (&self.joined - &wanted, &wanted - &self.joined);
        for (verb, memberships) in [("del", gone), ("add", new)] {
            for (Slot(slot), group) in memberships {
                let place = slot as usize;
                self.lab.slaves[place].run(["ip", "maddr", verb, &group.mac.to_string(), "dev", &device(place)]);
            }
        }
        self.joined = wanted;
        let greedy = world.joined.is_none();
        if self.greedy.replace(greedy) != Some(greedy) {
            for place in 0..PLACES {
                let switch = if greedy { "on" } else { "off" };
                self.lab.slaves[place].run(["ip", "link", "set", &device(place), "allmulticast", switch]);
            }
        }
    }

    /// What the tables say that they should not, or do not say.
    fn difference(&self, world: &World) -> Option<String> {
        let port = self.port.as_ref()?;
        let wanted = wanted(world);
        let found = found(port, world);
        if wanted != found {
            return Some(format!("the tables say {found:?}, not {wanted:?}"));
        }
        // The tables say first that a slave is up, then its host end comes up.
        self.listening().find(|place| !self.host_end_is_up(*place)).map(|place| format!("ipvlh{place} is down"))
    }

    fn host_end_is_up(&self, place: usize) -> bool {
        let name = format!("ipvlh{place}");
        let read = || Netlink::open()?.link_by_name(&name, None);
        self.lab.host.within(read).expect("read a link").is_some_and(|link| link.is_up())
    }

    /// The places with slaves that are up and have a host end.
    fn listening(&self) -> impl Iterator<Item = usize> {
        (0..self.ends.len()).filter(|place| !self.roles[*place].starts_with(DOWN))
    }
}

fn find_port(lab: &Lab) -> port::Port {
    lab.host.within(|| {
        let netlink = Netlink::open().expect("open netlink");
        let master = netlink.link_by_name("eth0", None).expect("look for the master").expect("a master");
        port::Port::find(&netlink, master.ifindex).expect("find the port").expect("a port")
    })
}

/// Whether this stage can show the case.
pub fn shows(case: &Case) -> bool {
    case.not_in_netns.is_none()
        && case.world.port.is_empty()
        && case.world.members.iter().all(|member| (member.slot().0 as usize) < PLACES && !member.state().local)
}

#[derive(Debug, PartialEq, Eq)]
struct Tables {
    slaves: BTreeMap<u32, String>,
    owners: BTreeMap<Addr, u32>,
    prefixes: BTreeMap<(Addr, u32), u32>,
    /// The slaves that get multicast, as far as the world says what they have joined.
    groups: BTreeSet<(Slot, Group)>,
    greedy: BTreeSet<u32>,
}

fn wanted(world: &World) -> Tables {
    let snapshot = world.snapshot();
    let slaves = (0..PLACES).map(|place| {
        let member = world.members.iter().find(|member| member.slot().0 as usize == place);
        (place as u32, member.map_or_else(|| DOWN.to_owned(), |member| in_words(member.slave(IfIndex::NONE))))
    });
    let owners = (0..PLACES as u32).flat_map(|slot| {
        let (v4, v6) = slave_addresses(slot);
        [IpAddr::from(v4), IpAddr::from(v6)].map(|ip| (ip.into(), slot))
    });
    let prefixes = snapshot.prefixes.iter().map(|(addr, len, owner)| match owner {
        Owner::Slave(Slot(slot)) => ((*addr, u32::from(*len)), *slot),
        other => panic!("{other:?} cannot own a prefix"),
    });
    let listens = |slot: &Slot| snapshot.slaves.get(slot).is_some_and(|slave| slave.up() && slave.mode() == Mode::L2);
    let groups = world.memberships().into_iter().filter(|(slot, _)| listens(slot)).collect();
    let greedy = snapshot.slaves.keys().filter(|slot| listens(slot) && world.joined.is_none());
    let greedy = greedy.map(|slot| slot.0).collect();
    Tables { slaves: slaves.collect(), owners: owners.collect(), prefixes: prefixes.collect(), groups, greedy }
}

/// The same from the kernel. Scenarios leave out link-local addresses and the host's.
fn found(port: &port::Port, world: &World) -> Tables {
    let slaves = port.maps.slots().expect("read the slots").into_iter().map(|(_, slot)| {
        let slave: Slave = port.maps.slave(slot).expect("read a slave");
        (slot.0, if slave.up() { in_words(slave) } else { DOWN.to_owned() })
    });
    let owners = port.maps.owners().expect("read the owners").into_iter();
    let owners = owners.filter(|(addr, entry)| entry.slot != OwnerEntry::HOST && !is_link_local(*addr));
    let prefixes = port.maps.prefixes().expect("read the prefixes").into_iter();
    let known: BTreeSet<Group> = world.memberships().into_iter().map(|(_, group)| group).collect();
    let all = port.maps.groups().expect("read the groups").into_iter().filter(|(group, _)| known.contains(group));
    let groups = all.flat_map(|(group, members)| members.slots().map(|slot| (slot, group)).collect::<Vec<_>>());
    let is_greedy = |slot: &Slot| {
        let slave = port.maps.slave(*slot).expect("read a slave");
        slave.up() && slave.mode() == Mode::L2 && slave.state().all_groups
    };
    let slots = port.maps.slots().expect("read the slots").into_iter().map(|(_, slot)| slot);
    Tables {
        slaves: slaves.collect(),
        owners: owners.map(|(addr, entry)| (addr, entry.slot.0)).collect(),
        prefixes: prefixes.map(|(addr, len, entry)| ((addr, len), entry.slot.0)).collect(),
        groups: groups.collect(),
        greedy: slots.filter(is_greedy).map(|slot| slot.0).collect(),
    }
}

/// What of a slave's properties can be seen in what it does.
fn in_words(slave: Slave) -> String {
    if !slave.up() {
        return DOWN.to_owned();
    }
    format!("{} local {}", option_words(slave.options_in_effect()), slave.local())
}

fn is_link_local(addr: Addr) -> bool {
    addr.0[..2] == [0xfe, 0x80]
}

fn device(place: usize) -> String {
    format!("ipvl{place}")
}

/// The words of `ipvl link set` for the slave in this place.
fn role(world: &World, place: usize) -> String {
    let Some(member) = world.members.iter().find(|member| member.slot().0 as usize == place) else {
        return DOWN.to_owned();
    };
    let up = if member.state().up { "up" } else { DOWN };
    format!("{up} type ipvlan {}", option_words(member.options()))
}

/// As ip(8) has it, a flag stands alone.
fn option_words(options: Options) -> String {
    let words = OPTIONS.iter().map(|entry| match entry.key {
        OptionKey::Flag => options.flag.word().to_owned(),
        key => format!("{} {}", entry.name, options.word(key)),
    });
    words.collect::<Vec<_>>().join(" ")
}
