//! Does an address have exactly one owner when several slaves take it in the same moment?

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use ipvl_control::kernel::netlink::Netlink;
use ipvl_control::{AddressEntry, AddressStatus};
use ipvl_core::Addr;
use ipvl_testbed::{Lab, Netns, require_root, wait_until};

use crate::common::{SOON, run};

const SLAVES: usize = 4;
const BLOCKS: usize = 20;
/// So many addresses are taken before the table is looked at.
const RACES: usize = 50;
/// Every so many, the host takes the address as well.
const WITH_HOST: usize = 10;
const IFA_F_NODAD: u32 = 2;
const MOMENT: Duration = Duration::from_millis(100);

/// A thousand times two slaves take an address at once, half of them IPv4, and now and then the host with them.
#[test]
fn whoever_takes_an_address_at_once_one_has_it() {
    require_root!();
    let lab = Lab::new(SLAVES);
    for n in 0..SLAVES {
        lab.add_slave(n, "mode l2 bridge", &[]);
    }
    run(&lab.ext, "ip route add 10.9.0.0/16 dev eth0");
    run(&lab.ext, "ip -6 route add fd09::/64 dev eth0");
    // A thread must not panic while others wait.
    let (race, block) = (Barrier::new(SLAVES + 1), Barrier::new(SLAVES + 2));
    let start = Instant::now();
    let problems: Vec<String> = thread::scope(|scope| {
        let places = lab.slaves.iter().enumerate().map(|(n, netns)| (Some(n), netns, format!("ipvl{n}")));
        for (taker, netns, device) in places.chain([(None, &lab.host, "eth0".to_owned())]) {
            let (race, block) = (&race, &block);
            scope.spawn(move || netns.within(|| contend(taker, &device, race, block)));
        }
        (0..BLOCKS).flat_map(|number| judged(&lab, number, &block)).collect()
    });
    eprintln!("{} races in {:?}", BLOCKS * RACES, start.elapsed());
    assert!(problems.is_empty(), "{problems:#?}");
}

/// Takes, in step with the others, each address that `taker` (the host or a slave) contests, and gives all back
/// when they have been looked at.
fn contend(taker: Option<usize>, device: &str, race: &Barrier, block: &Barrier) {
    let netlink = Netlink::open().expect("netlink");
    let ifindex = netlink.link_by_name(device, None).expect("read the link").expect("the link").ifindex;
    for number in 0..BLOCKS {
        let contested: Vec<_> = (0..RACES).map(|race| Race::new(number, race)).collect();
        for contest in &contested {
            race.wait();
            if contest.is_wanted_by(taker) {
                let (addr, len) = (contest.addr.into(), contest.len());
                netlink.add_address(ifindex, addr, len, IFA_F_NODAD).expect("add an address");
            }
        }
        block.wait();
        block.wait();
        for contest in contested.iter().filter(|contest| contest.is_wanted_by(taker)) {
            // One of them has been deleted already.
            let _ = netlink.delete_address(ifindex, contest.addr.into(), contest.len());
        }
        block.wait();
    }
}

/// One address, and the slaves that want it.
struct Race {
    addr: IpAddr,
    slaves: [usize; 2],
    host: bool,
}

impl Race {
    fn new(block: usize, race: usize) -> Self {
        let number = block * RACES + race;
        let (high, low) = ((number >> 8) as u8, number as u8);
        let v4 = IpAddr::from(Ipv4Addr::new(10, 9, high, low));
        let v6 = IpAddr::from(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 1, number as u16));
        let first = number % SLAVES;
        let second = (first + 1 + number / SLAVES % (SLAVES - 1)) % SLAVES;
        Self {
            addr: if number.is_multiple_of(2) { v4 } else { v6 },
            slaves: [first, second],
            host: race % WITH_HOST == WITH_HOST - 1,
        }
    }

    fn len(&self) -> u8 {
        if self.addr.is_ipv4() { 32 } else { 128 }
    }

    fn is_wanted_by(&self, taker: Option<usize>) -> bool {
        taker.map_or(self.host, |slave| self.slaves.contains(&slave))
    }

    /// The owner, as an index into `slaves`, if the table is as it should be.
    fn owner(&self, table: &[AddressEntry]) -> Result<Option<usize>, String> {
        let lines: Vec<_> = table.iter().filter(|entry| entry.addr == Addr::from(self.addr)).collect();
        let names = self.slaves.map(|n| format!("ipvl{n}"));
        let place = |entry: &AddressEntry| names.iter().position(|name| entry.slave.as_ref() == Some(name));
        let owners: Vec<_> = lines.iter().filter(|entry| entry.status == AddressStatus::Device).collect();
        let losers: BTreeSet<_> = lines
            .iter()
            .filter(|entry| entry.status == AddressStatus::Conflict)
            .map(|entry| (place(entry), entry.owner.clone()))
            .collect();
        let expected = match owners[..] {
            [owner] if self.host && owner.slave.is_none() => [0, 1].map(|n| (Some(n), Some("host".to_owned()))).into(),
            [owner] if !self.host && place(owner).is_some() => {
                place(owner).map(|n| (Some(1 - n), owner.slave.clone())).into_iter().collect()
            }
            _ => return Err(format!("{} of {names:?}: {lines:?}", self.addr)),
        };
        if losers == expected { Ok(place(owners[0])) } else { Err(format!("{}: {lines:?}", self.addr)) }
    }
}

fn addresses(lab: &Lab) -> Vec<AddressEntry> {
    lab.host.within(|| ipvl_control::Inventory::read()?.addresses()).expect("read the table")
}

/// What is wrong with the table after a block of races, and with where packets go for the first two addresses.
fn judged(lab: &Lab, number: usize, block: &Barrier) -> Vec<String> {
    block.wait();
    let races: Vec<_> = (0..RACES).map(|race| Race::new(number, race)).collect();
    let mut problems = Vec::new();
    let agreed = wait_until(SOON, || {
        let table = addresses(lab);
        problems = races.iter().filter_map(|race| race.owner(&table).err()).collect();
        problems.is_empty()
    });
    if agreed {
        problems.extend(races[..2].iter().flat_map(|race| delivered(lab, race)));
        problems.extend(handed_over(lab, &races[0]));
    }
    block.wait();
    block.wait();
    problems
}

/// Whether the owner gets what is sent to the address, and the other nothing.
fn delivered(lab: &Lab, race: &Race) -> Option<String> {
    let table = addresses(lab);
    let owner = race.owner(&table).ok().flatten()?;
    let target = SocketAddr::new(race.addr, 7);
    let sockets = race.slaves.map(|n| receiver(&lab.slaves[n], target));
    send(&lab.ext, target);
    let arrives = sockets[owner].recv(&mut [0; 8]).is_ok();
    lab.rest().wait();
    sockets[1 - owner].set_nonblocking(true).expect("not to wait any more");
    let got = [arrives, sockets[1 - owner].recv(&mut [0; 8]).is_ok()];
    (got != [true, false]).then(|| format!("{}: owner and other got {got:?}", race.addr))
}

/// Whether the address goes to the other once its owner has given it up.
fn handed_over(lab: &Lab, race: &Race) -> Option<String> {
    let read = || addresses(lab);
    let owner = race.owner(&read()).ok().flatten()?;
    let (from, to) = (race.slaves[owner], format!("ipvl{}", race.slaves[1 - owner]));
    run(&lab.slaves[from], &format!("ip addr del {}/{} dev ipvl{from}", race.addr, race.len()));
    let has_it = |entry: &AddressEntry| {
        entry.addr == race.addr.into() && entry.slave.as_ref() == Some(&to) && entry.status == AddressStatus::Device
    };
    if !wait_until(SOON, || read().iter().any(has_it)) {
        return Some(format!("{} has not gone to {to}: {:?}", race.addr, read()));
    }
    let target = SocketAddr::new(race.addr, 7);
    let socket = receiver(&lab.slaves[race.slaves[1 - owner]], target);
    send(&lab.ext, target);
    let got = socket.recv(&mut [0; 8]).is_ok();
    (!got).then(|| format!("{} is {to}'s, which gets nothing", race.addr))
}

fn receiver(netns: &Netns, at: SocketAddr) -> UdpSocket {
    let socket = netns.within(|| UdpSocket::bind(at)).expect("bind");
    socket.set_read_timeout(Some(MOMENT * 3)).expect("set a timeout");
    socket
}

/// A few times, for the first may wait for a neighbour.
fn send(netns: &Netns, target: SocketAddr) {
    let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = netns.within(|| UdpSocket::bind(any)).expect("bind");
    for _ in 0..3 {
        let _ = socket.send_to(b"x", target);
        thread::sleep(MOMENT / 10);
    }
}
