//! Where are the messages sent? In three namespaces, with masters of all kinds under known numbers.

use crate::wire::{Door, GET_LINK, Message};
use ipvl_testbed::Netns;
use std::fs::{self, File};
use std::os::fd::AsRawFd;

/// The devices that a slave may be asked of, in `host`: a good master; a dummy, a bridge, its port, a macvlan and its
/// master, a tun without Ethernet, a VRF, loopback.
pub const GOOD: u32 = 10;
pub const MASTERS: [u32; 10] = [GOOD, 11, 12, 13, 14, 15, 16, 17, 1, 999];

/// The first number of a slave, and how many there may be.
pub const FIRST_SLAVE: u32 = 100;
pub const SLAVES: u32 = 20;

/// A namespace, its door, and a descriptor of it.
pub struct Place {
    pub netns: Netns,
    pub door: Door,
    file: File,
}

/// The host's namespace first, then two others.
pub struct World {
    pub places: Vec<Place>,
}

impl Place {
    pub fn new(label: &str) -> Self {
        let netns = Netns::new(label);
        let door = netns.within(Door::open);
        let file = open(&netns);
        Self { netns, door, file }
    }

    /// The namespace, to enter it.
    pub fn open(&self) -> File {
        open(&self.netns)
    }

    /// For `IFLA_NET_NS_FD`.
    pub fn descriptor(&self) -> [u8; 4] {
        self.file.as_raw_fd().to_ne_bytes()
    }

    /// The devices there are.
    pub fn devices(&self) -> Vec<String> {
        let text = self.netns.within(|| fs::read_to_string("/proc/thread-self/net/dev")).expect("read the devices");
        text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
    }

    /// Whether there is such a device.
    pub fn has(&self, name: &str) -> bool {
        self.devices().iter().any(|device| device == name)
    }
}

impl World {
    pub fn new() -> Self {
        let world = Self { places: ["host", "one", "two"].map(Place::new).into() };
        world.masters();
        world
    }

    /// Whether a slave has this number, wherever it is.
    pub fn has_link(&self, index: u32) -> bool {
        let question = Message::link(GET_LINK, 0, index, None);
        self.places.iter().any(|place| place.door.ask(&question) == Some(0))
    }

    pub fn host(&self) -> &Place {
        &self.places[0]
    }

    /// Makes those masters that are missing.
    pub fn masters(&self) {
        self.make_good();
        for line in [
            "link add d0 index 11 type dummy",
            "link add br0 index 12 type bridge",
            "link add p0 index 13 type dummy",
            "link set p0 master br0",
            "link add d1 index 14 type dummy",
            "link add mv0 index 15 link d1 type macvlan",
            "tuntap add tun0 mode tun",
            "link add vrf0 index 17 type vrf table 17",
            "link set d0 up",
            "link set vrf0 up",
        ] {
            self.ip(line);
        }
    }

    /// A wire to another namespace.
    pub fn make_good(&self) {
        let other = self.places[1].netns.name();
        self.ip(&format!("link add eth0 index {GOOD} type veth peer name e0 netns {other}"));
        self.ip("addr add 10.0.0.1/24 dev eth0");
        self.ip("link set eth0 up");
        for words in ["link set e0 up", "addr add 10.0.0.254/24 dev e0", "addr add fd00::fe/64 dev e0 nodad"] {
            self.places[1].netns.exec(std::iter::once("ip").chain(words.split(' ')));
        }
    }

    /// Runs `ip` in the host's namespace; what is there already is not made again.
    pub fn ip(&self, words: &str) {
        self.host().netns.exec(std::iter::once("ip").chain(words.split(' ')));
    }
}

fn open(netns: &Netns) -> File {
    File::open(format!("/run/netns/{}", netns.name())).expect("open the namespace")
}
