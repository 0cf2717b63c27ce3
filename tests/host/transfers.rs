//! Does much data arrive whole? TCP makes packets of several segments, and leaves checksums to devices.

use crate::lab::{lab, run};
use ipvl_testbed::{Netns, bound, require_root};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

const BYTES: usize = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn much_data_arrives_whole_in_every_mode() {
    require_root!();
    for mode in ["l2", "l3", "l3s"] {
        let options = format!("mode {mode} bridge host on");
        let lab = lab(&[&options, &options]);
        let [a, b] = &lab.slaves[..] else { panic!("two slaves") };
        if mode != "l2" {
            for slave in ["10.0.0.10/32", "fd00::10/128"] {
                let host = if slave.contains(':') { "fd00::1" } else { "10.0.0.1" };
                run(&lab.ext, &format!("ip route add {slave} via {host}"));
            }
        }
        whole(b, "10.0.0.11:80", a, "10.0.0.11:80");
        whole(b, "[fd00::11]:80", a, "[fd00::11]:80");
        whole(&lab.ext, "10.0.0.254:80", a, "10.0.0.254:80");
        whole(&lab.ext, "[fd00::254]:80", a, "[fd00::254]:80");
        whole(a, "10.0.0.10:80", &lab.ext, "10.0.0.10:80");
        whole(a, "[fd00::10]:80", &lab.ext, "[fd00::10]:80");
        whole(&lab.host, "10.0.0.1:80", a, "10.0.0.1:80");
        whole(a, "10.0.0.10:81", &lab.host, "10.0.0.10:81");
    }
}

/// Sends data from `client`, which connects to `to`, to a listener at `at` in `server`.
#[track_caller]
pub fn whole(server: &Netns, at: &str, client: &Netns, to: &str) {
    let listener = server.within(|| bound(|| TcpListener::bind(at)));
    let address = to.parse().expect("an address");
    let sender = client.within(|| TcpStream::connect_timeout(&address, PATIENCE));
    let mut sender = sender.unwrap_or_else(|error| panic!("connect to {to}: {error}"));
    sender.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    let receiving = thread::spawn(move || {
        let (mut receiver, _) = listener.accept().expect("accept");
        receiver.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut received = Vec::with_capacity(BYTES);
        receiver.read_to_end(&mut received).map(|_| received)
    });
    let data: Vec<u8> = (0..BYTES).map(|place| (place % 251) as u8).collect();
    sender.write_all(&data).unwrap_or_else(|error| panic!("send to {to}: {error}"));
    sender.shutdown(Shutdown::Write).expect("end");
    let received = receiving.join().expect("the receiver").unwrap_or_else(|error| panic!("receive at {at}: {error}"));
    assert!(received == data, "{} bytes of {BYTES} at {at}", received.len());
}
