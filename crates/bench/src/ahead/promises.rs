//! Does a connection from socket to socket keep TCP's promises? Each promise is tested through the stack and past it.

use crate::load::Ends;
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send};
use rustix::pipe::{SpliceFlags, pipe, splice};
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

/// How long an expected event may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// After this the kernel has removed closed connections.
pub const SETTLED: Duration = Duration::from_millis(500);
const BULK: usize = 8 << 20;
/// More bytes than a socket's buffers hold.
const TOO_MUCH: usize = 64 << 20;

/// The result of a test: `Err` says what is wrong.
pub type Finding = Result<(), String>;

/// A promise, and how it is tested on a new connection.
pub struct Promise {
    pub name: &'static str,
    pub try_on: fn(Ends<'_>) -> Finding,
}

pub const PROMISES: [Promise; 15] = [
    Promise { name: "8 MiB each way at once arrive as they were", try_on: bulk },
    Promise { name: "1,000 short connections lose nothing", try_on: short_connections },
    Promise { name: "what was written before the end arrives before it", try_on: half_closed },
    Promise { name: "sendfile sends the file", try_on: send_file },
    Promise { name: "poll wakes a reader", try_on: polled },
    Promise { name: "what was peeked at is still there", try_on: peeked },
    Promise { name: "a slow reader stops the writer", try_on: slow_reader },
    Promise { name: "splice reads what has come", try_on: spliced },
    Promise { name: "MSG_WAITALL waits for all", try_on: wait_all },
    Promise { name: "FIONREAD says how much is there", try_on: readable },
    Promise { name: "SO_RCVLOWAT lets a reader sleep until then", try_on: low_water },
    Promise { name: "urgent data is apart", try_on: urgent },
    Promise { name: "MSG_ZEROCOPY is told when it is done", try_on: zero_copy },
    Promise { name: "closing with data unread resets the peer", try_on: closed_unread },
    Promise { name: "order holds after TCP_DEFER_ACCEPT", try_on: deferred },
];

fn check(good: bool, wrong: impl Display) -> Finding {
    if good { Ok(()) } else { Err(wrong.to_string()) }
}

fn told(error: impl Display) -> String {
    error.to_string()
}

fn listen(ends: Ends<'_>) -> Result<(TcpListener, SocketAddr), String> {
    let listener = ends.server.within(|| TcpListener::bind((ends.to, 0))).map_err(told)?;
    let address = listener.local_addr().map_err(told)?;
    Ok((listener, address))
}

fn connect(ends: Ends<'_>, to: SocketAddr) -> Result<TcpStream, String> {
    let stream = ends.client.within(|| TcpStream::connect(to)).map_err(told)?;
    prepare(&stream)?;
    Ok(stream)
}

fn prepare(stream: &TcpStream) -> Finding {
    stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(told)?;
    stream.set_nodelay(true).map_err(told)
}

fn pair(ends: Ends<'_>) -> Result<(TcpStream, TcpStream), String> {
    let (listener, address) = listen(ends)?;
    let client = connect(ends, address)?;
    let (server, _) = listener.accept().map_err(told)?;
    prepare(&server)?;
    Ok((client, server))
}

/// Bytes that do not repeat where a buffer ends.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn exactly(mut from: &TcpStream, wanted: &[u8]) -> Finding {
    let mut found = vec![0; wanted.len()];
    from.read_exact(&mut found).map_err(told)?;
    let differs = found.iter().zip(wanted).position(|(a, b)| a != b);
    differs.map_or(Ok(()), |at| Err(format!("byte {at} is another")))
}

fn at_end(mut from: &TcpStream) -> Finding {
    let length = from.read(&mut [0; 64]).map_err(told)?;
    check(length == 0, format!("{length} bytes more instead of the end"))
}

fn bulk(ends: Ends<'_>) -> Finding {
    let (client, server) = pair(ends)?;
    let bytes = pattern(BULK);
    let write = |mut to: &TcpStream| to.write_all(&bytes).map_err(told);
    thread::scope(|scope| {
        let others =
            [scope.spawn(|| write(&client)), scope.spawn(|| write(&server)), scope.spawn(|| exactly(&client, &bytes))];
        let read = exactly(&server, &bytes);
        others.into_iter().map(|other| other.join().expect("a thread")).fold(read, Result::and)
    })
}

fn short_connections(ends: Ends<'_>) -> Finding {
    let (listener, address) = listen(ends)?;
    let bytes = pattern(10_000);
    for n in 0..1000 {
        let client = connect(ends, address)?;
        let (mut server, _) = listener.accept().map_err(told)?;
        server.write_all(&bytes).map_err(told)?;
        drop(server);
        exactly(&client, &bytes).and_then(|()| at_end(&client)).map_err(|error| format!("connection {n}: {error}"))?;
    }
    Ok(())
}

fn half_closed(ends: Ends<'_>) -> Finding {
    let (mut client, mut server) = pair(ends)?;
    let bytes = pattern(100_000);
    client.write_all(&bytes).map_err(told)?;
    client.shutdown(std::net::Shutdown::Write).map_err(told)?;
    exactly(&server, &bytes)?;
    at_end(&server)?;
    server.write_all(&bytes).map_err(told)?;
    drop(server);
    exactly(&client, &bytes)?;
    at_end(&client)
}

fn send_file(ends: Ends<'_>) -> Finding {
    let (client, server) = pair(ends)?;
    let file = std::fs::File::open(std::env::current_exe().map_err(told)?).map_err(told)?;
    let mut wanted = vec![0; 100_000];
    (&file).read_exact(&mut wanted).map_err(told)?;
    let mut at = 0;
    while at < wanted.len() as u64 {
        let left = wanted.len() - at as usize;
        check(rustix::fs::sendfile(&client, &file, Some(&mut at), left).map_err(told)? > 0, "nothing sent")?;
    }
    exactly(&server, &wanted)
}

fn wait_for(stream: &TcpStream, how: PollFlags, time: Duration) -> Result<bool, String> {
    let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
    poll(&mut [PollFd::new(stream, how)], Some(&time)).map(|count| count > 0).map_err(told)
}

fn polled(ends: Ends<'_>) -> Finding {
    let (mut client, server) = pair(ends)?;
    check(!wait_for(&server, PollFlags::IN, Duration::from_millis(50))?, "readable before anything came")?;
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            client.write_all(b"x")
        });
        check(wait_for(&server, PollFlags::IN, PATIENCE)?, "not woken")
    })
}

fn peeked(ends: Ends<'_>) -> Finding {
    let (mut client, server) = pair(ends)?;
    client.write_all(b"hello").map_err(told)?;
    wait_for(&server, PollFlags::IN, PATIENCE)?;
    let mut buffer = [0; 5];
    server.peek(&mut buffer).map_err(told)?;
    check(&buffer == b"hello", "something else at the first look")?;
    exactly(&server, b"hello")
}

fn slow_reader(ends: Ends<'_>) -> Finding {
    let (mut client, server) = pair(ends)?;
    client.set_nonblocking(true).map_err(told)?;
    let chunk = pattern(64 << 10);
    let mut taken = 0;
    while taken < TOO_MUCH && wait_for(&client, PollFlags::OUT, Duration::from_millis(200))? {
        match client.write(&chunk) {
            Ok(length) => taken += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(format!("{error} after {} MiB", taken >> 20)),
        }
    }
    drop(server);
    check(taken < TOO_MUCH, format!("{} MiB taken, and no end", taken >> 20))
}

fn spliced(ends: Ends<'_>) -> Finding {
    let (mut client, server) = pair(ends)?;
    client.write_all(b"hello").map_err(told)?;
    check(wait_for(&server, PollFlags::IN, PATIENCE)?, "not readable")?;
    let (out, into) = pipe().map_err(told)?;
    let length = splice(&server, None, &into, None, 64, SpliceFlags::NONBLOCK);
    let length = length.map_err(|error| format!("readable by poll, and splice says: {error}"))?;
    let mut buffer = [0; 64];
    rustix::io::read(&out, &mut buffer).map_err(told)?;
    check(&buffer[..length] == b"hello", format!("{length} bytes"))
}

fn wait_all(ends: Ends<'_>) -> Finding {
    let (mut client, server) = pair(ends)?;
    client.write_all(&[1; 10]).map_err(told)?;
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            client.write_all(&[2; 10])
        });
        let mut buffer = [0; 20];
        let (length, _) = recv(&server, &mut buffer[..], RecvFlags::WAITALL).map_err(told)?;
        check(length == 20, format!("{length} bytes of 20"))
    })
}

fn readable(ends: Ends<'_>) -> Finding {
    let (mut client, server) = pair(ends)?;
    client.write_all(&[1; 10]).map_err(told)?;
    wait_for(&server, PollFlags::IN, PATIENCE)?;
    let length = ioctl_fionread(&server).map_err(told)?;
    check(length == 10, format!("{length} of 10"))
}

fn low_water(ends: Ends<'_>) -> Finding {
    let (mut client, server) = pair(ends)?;
    sys::set_option(server.as_fd(), libc::SOL_SOCKET, libc::SO_RCVLOWAT, 100).map_err(told)?;
    client.write_all(&[1; 10]).map_err(told)?;
    check(!wait_for(&server, PollFlags::IN, Duration::from_millis(100))?, "woken by 10 bytes of 100")?;
    client.write_all(&[1; 90]).map_err(told)?;
    check(wait_for(&server, PollFlags::IN, PATIENCE)?, "not woken by 100 of 100")
}

fn urgent(ends: Ends<'_>) -> Finding {
    let (client, server) = pair(ends)?;
    for (bytes, flags) in [(b"a", SendFlags::empty()), (b"!", SendFlags::OOB), (b"b", SendFlags::empty())] {
        send(&client, bytes, flags).map_err(told)?;
    }
    rustix::net::shutdown(&client, Shutdown::Write).map_err(told)?;
    let mut found = Vec::new();
    (&server).read_to_end(&mut found).map_err(told)?;
    check(found == b"ab", format!("{:?} in the stream", String::from_utf8_lossy(&found)))
}

fn zero_copy(ends: Ends<'_>) -> Finding {
    const SO_ZEROCOPY: i32 = 60;
    let (client, server) = pair(ends)?;
    sys::set_option(client.as_fd(), libc::SOL_SOCKET, SO_ZEROCOPY, 1).map_err(told)?;
    let bytes = pattern(50_000);
    let sent = send(&client, &bytes, SendFlags::from_bits_retain(libc::MSG_ZEROCOPY.cast_unsigned())).map_err(told)?;
    exactly(&server, &bytes[..sent])?;
    check(wait_for(&client, PollFlags::ERR, PATIENCE)?, "never told")
}

fn closed_unread(ends: Ends<'_>) -> Finding {
    let (mut client, server) = pair(ends)?;
    client.write_all(&[1; 10]).map_err(told)?;
    wait_for(&server, PollFlags::IN, PATIENCE)?;
    drop(server);
    match recv(&client, &mut [0; 10], RecvFlags::empty()) {
        Err(Errno::CONNRESET) => Ok(()),
        other => Err(format!("the peer is told {:?}", other.map(|(length, _)| length))),
    }
}

/// Removes the path past the stack (`stop`) while data is on it.
pub fn switched_off(ends: Ends<'_>, stop: impl FnOnce()) -> Finding {
    let (mut client, server) = pair(ends)?;
    client.write_all(b"first ").map_err(told)?;
    stop();
    thread::sleep(SETTLED);
    client.write_all(b"second").map_err(told)?;
    exactly(&server, b"first second")
}

/// The server's socket is made when the first data arrive; the second data must not overtake them.
fn deferred(ends: Ends<'_>) -> Finding {
    let (listener, address) = listen(ends)?;
    sys::set_option(listener.as_fd(), libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 5).map_err(told)?;
    let mut client = connect(ends, address)?;
    client.write_all(b"first ").map_err(told)?;
    thread::sleep(Duration::from_millis(50));
    client.write_all(b"second").map_err(told)?;
    let (server, _) = listener.accept().map_err(told)?;
    prepare(&server)?;
    exactly(&server, b"first second")
}
