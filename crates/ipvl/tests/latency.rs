//! How long until an address that is added with stock tools works? A test binary of its own: what other tests make the
//! kernel wait for, such as programs being attached, is not measured along.

use std::net::UdpSocket;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ipvl_testbed::{Lab, MASTER_MAC, Netns, require_root};

/// From `ip addr add` to the first packet.
const AT_MOST: Duration = Duration::from_millis(10);
const MEASUREMENTS: usize = 9;

#[test]
fn an_address_added_with_stock_tools_works_in_ten_milliseconds() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l2 bridge", &["10.0.0.10/24"]);
    let receiver = lab.slaves[0].within(|| UdpSocket::bind("0.0.0.0:7")).expect("bind");
    receiver.set_read_timeout(Some(Duration::from_secs(2))).expect("set a timeout");
    let mut times: Vec<_> = (0..MEASUREMENTS).map(|n| first_packet(&lab, &receiver, n)).collect();
    times.sort();
    eprintln!("from `ip addr add` to the first packet: median {:?} of {times:?}", times[MEASUREMENTS / 2]);
    assert!(times[MEASUREMENTS / 2] < AT_MOST, "{times:?}");
}

/// How long after `ip addr add` began the first datagram for that address came; some milliseconds are `ip`'s own.
fn first_packet(lab: &Lab, receiver: &UdpSocket, n: usize) -> Duration {
    let address = format!("10.0.0.{}", 100 + n);
    let mac = MASTER_MAC.map(|byte| format!("{byte:02x}")).join(":");
    lab.ext.run(["ip", "neigh", "add", &address, "lladdr", &mac, "dev", "eth0"]);
    let sender = lab.ext.within(|| UdpSocket::bind("0.0.0.0:0")).expect("bind");
    let (stop, mut ip) = (AtomicBool::new(false), add_address(&lab.slaves[0], &address));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                sender.send_to(address.as_bytes(), (address.as_str(), 7)).expect("send");
                thread::sleep(Duration::from_micros(200));
            }
        });
        let start = Instant::now();
        let mut child = ip.spawn().expect("start ip");
        let mut datagram = [0; 64];
        let came = loop {
            match receiver.recv(&mut datagram) {
                Ok(length) if datagram[..length] == *address.as_bytes() => break Some(start.elapsed()),
                Ok(_) => {}
                Err(_) => break None,
            }
        };
        stop.store(true, Ordering::Relaxed);
        child.wait().expect("wait for ip");
        came.unwrap_or_else(|| panic!("{address} never worked"))
    })
}

fn add_address(netns: &Netns, address: &str) -> Command {
    // Not through `ip netns exec`: its mounts take longer than all the rest.
    let mut command = Command::new("ip");
    command.args(["-n", netns.name(), "addr", "add", &format!("{address}/24"), "dev", "ipvl0"]);
    command
}
