//! What does a stream cost until its last byte has arrived? The writer's time alone means little where queues have no limit.

use crate::load::Ends;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const CHUNK: usize = 128 << 10;

/// Nanoseconds for 128 KiB, over `count` of them, after some for warming up.
pub fn run(ends: Ends<'_>, count: u32) -> f64 {
    let listener = ends.server.within(|| TcpListener::bind((ends.to, 0)).expect("listen"));
    let address = listener.local_addr().expect("the listener's address");
    let warm = count / 4 + 1;
    let time = thread::scope(|scope| {
        scope.spawn(move || {
            let (mut server, _) = listener.accept().expect("accept the connection");
            receive(&mut server, warm);
            receive(&mut server, count);
        });
        ends.client.within(|| {
            let mut client = TcpStream::connect(address).expect("connect");
            transfer(&mut client, warm);
            transfer(&mut client, count)
        })
    });
    time.as_nanos() as f64 / f64::from(count)
}

/// Writes everything, and waits until the reader reports that it has read it.
fn transfer(client: &mut TcpStream, count: u32) -> Duration {
    let chunk = vec![0; CHUNK];
    let start = Instant::now();
    for _ in 0..count {
        client.write_all(&chunk).expect("write");
    }
    client.read_exact(&mut [0]).expect("the answer");
    start.elapsed()
}

fn receive(server: &mut TcpStream, count: u32) {
    let mut chunk = vec![0; CHUNK];
    for _ in 0..count {
        server.read_exact(&mut chunk).expect("read");
    }
    server.write_all(&[1]).expect("answer");
}
