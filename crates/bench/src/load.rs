//! Which loads are run, and how long does one operation take? Five loads, each between two namespaces.

use ipvl_testbed::Netns;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// The bytes that one operation of a stream sends.
pub const CHUNK: usize = 128 << 10;
/// The payload, in bytes, of the datagrams of `UdpPps`.
const DATAGRAM: usize = 64;
/// How many of these datagrams wait in the receiver's socket at most.
const BATCH: usize = 32;
/// After this a datagram counts as lost, and is sent again.
const LOST: Duration = Duration::from_millis(500);

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// 128 KiB of a TCP stream.
    TcpStream,
    /// One byte there and one back.
    TcpRr,
    /// A connection, one byte there and one back, and its end.
    TcpCrr,
    /// A datagram there and one back.
    UdpRr,
    /// A datagram sent and received by one thread.
    UdpPps,
}

/// All of them, in the order of the tables.
pub const LOADS: [Load; 5] = [Load::TcpStream, Load::TcpRr, Load::TcpCrr, Load::UdpRr, Load::UdpPps];

/// The two ends of a path.
#[derive(Clone, Copy)]
pub struct Ends<'a> {
    /// Where the client is.
    pub client: &'a Netns,
    /// Where the server is.
    pub server: &'a Netns,
    /// The server's address.
    pub to: IpAddr,
}

impl Load {
    /// netperf's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TcpStream => "TCP stream",
            Self::TcpRr => "TCP RR",
            Self::TcpCrr => "TCP CRR",
            Self::UdpRr => "UDP RR",
            Self::UdpPps => "UDP pps",
        }
    }

    /// How many operations make a sample of some tenths of a second, or of some millions of instructions.
    pub fn operations(self, counting: bool) -> u32 {
        match (self, counting) {
            (Self::TcpStream, false) => 3000,
            (Self::TcpRr | Self::UdpRr, false) => 3000,
            (Self::TcpCrr, false) => 600,
            (Self::UdpPps, false) => 40_000,
            (Self::TcpStream, true) => 200,
            (Self::TcpRr | Self::UdpRr, true) => 500,
            (Self::TcpCrr, true) => 100,
            (Self::UdpPps, true) => 2048,
        }
    }

    /// Nanoseconds for one operation, over `count` of them and after some for warming up.
    pub fn run(self, ends: Ends<'_>, count: u32) -> f64 {
        let warm = count / 8 + 1;
        let time = match self {
            Self::TcpStream => tcp(ends, discard, |stream| stream_out(stream, warm * 2, count)),
            Self::TcpRr => tcp(ends, echo, |stream| ping_pong(stream, warm, count)),
            Self::TcpCrr => connections(ends, warm, count),
            Self::UdpRr => udp_ping_pong(ends, warm, count),
            Self::UdpPps => datagrams(ends, warm, count),
        };
        time.as_nanos() as f64 / f64::from(count)
    }
}

/// Times `count` calls of `each`, after `warm` that do not count.
fn timed(warm: u32, count: u32, mut each: impl FnMut()) -> Duration {
    (0..warm).for_each(|_| each());
    let start = Instant::now();
    (0..count).for_each(|_| each());
    start.elapsed()
}

/// One connection, with `serve` at its other end.
fn tcp(ends: Ends<'_>, serve: fn(TcpStream), work: impl FnOnce(TcpStream) -> Duration + Send) -> Duration {
    let (listener, address) = listen(ends);
    thread::scope(|scope| {
        scope.spawn(move || serve(listener.accept().expect("accept the connection").0));
        ends.client.within(|| work(connect(address)))
    })
}

/// A listener at the server's end, and its address.
pub fn listen(ends: Ends<'_>) -> (TcpListener, SocketAddr) {
    let listener = ends.server.within(|| TcpListener::bind((ends.to, 0)).expect("listen"));
    let address = listener.local_addr().expect("the listener's address");
    (listener, address)
}

/// A connection that sends its bytes at once.
pub fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap_or_else(|error| panic!("connect to {to}: {error}"));
    stream.set_nodelay(true).expect("no delay");
    stream
}

fn stream_out(mut stream: TcpStream, warm: u32, count: u32) -> Duration {
    let chunk = vec![0; CHUNK];
    timed(warm, count, || stream.write_all(&chunk).expect("write"))
}

/// Reads to the end.
pub fn discard(mut stream: TcpStream) {
    let mut buffer = vec![0; CHUNK];
    while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
}

fn ping_pong(mut stream: TcpStream, warm: u32, count: u32) -> Duration {
    timed(warm, count, || {
        stream.write_all(&[1]).expect("write");
        stream.read_exact(&mut [0]).expect("read");
    })
}

fn echo(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("no delay");
    let mut byte = [0];
    while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
}

/// The server ends each connection, so that the client's ports are free again at once.
fn connections(ends: Ends<'_>, warm: u32, count: u32) -> Duration {
    let (listener, address) = listen(ends);
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..warm + count {
                let (mut stream, _) = listener.accept().expect("accept a connection");
                let mut byte = [0];
                stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte)).expect("answer");
            }
        });
        ends.client.within(|| timed(warm, count, || connection(address)))
    })
}

fn connection(to: SocketAddr) {
    let mut stream = connect(to);
    stream.write_all(&[1]).expect("write");
    let mut answer = [0; 2];
    stream.read_exact(&mut answer[..1]).expect("read");
    assert_eq!(stream.read(&mut answer).expect("read the end"), 0);
}

fn udp(ends: Ends<'_>) -> (UdpSocket, UdpSocket) {
    let server = ends.server.within(|| UdpSocket::bind((ends.to, 0)).expect("a socket for the server"));
    let any = if ends.to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let client = ends.client.within(|| {
        let client = UdpSocket::bind(any).expect("a socket for the client");
        client.connect(server.local_addr().expect("an address")).expect("connect");
        client
    });
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(LOST)).expect("a time limit");
    }
    (server, client)
}

fn udp_ping_pong(ends: Ends<'_>, warm: u32, count: u32) -> Duration {
    let (server, client) = udp(ends);
    thread::scope(|scope| {
        scope.spawn(move || udp_echo(&server));
        let time = timed(warm, count, || udp_exchange(&client));
        client.send(&[]).expect("send the end");
        time
    })
}

fn udp_exchange(client: &UdpSocket) {
    loop {
        client.send(&[1]).expect("send");
        if client.recv(&mut [0]).is_ok() {
            return;
        }
    }
}

/// An empty datagram is the end; should it be lost, so is the third silence in a row.
fn udp_echo(server: &UdpSocket) {
    let (mut byte, mut silence) = ([0], 0);
    while silence < 3 {
        match server.recv_from(&mut byte) {
            Ok((0, _)) => return,
            Ok((_, from)) => {
                silence = 0;
                server.send_to(&byte, from).expect("answer");
            }
            Err(_) => silence += 1,
        }
    }
}

fn datagrams(ends: Ends<'_>, warm: u32, count: u32) -> Duration {
    let (server, client) = udp(ends);
    let batches = |count: u32| count.div_ceil(BATCH as u32);
    let time = timed(batches(warm), batches(count), || {
        for _ in 0..BATCH {
            client.send(&[0; DATAGRAM]).expect("send");
        }
        // The first timeout ends the batch: a lost datagram must not be waited for again.
        let _lost = (0..BATCH).any(|_| server.recv(&mut [0; DATAGRAM]).is_err());
    });
    time.mul_f64(f64::from(count) / f64::from(batches(count) * BATCH as u32))
}
