//! Which commands are connected to the agent, what do they ask for, and how are they answered?

use super::spare::Spare;
use super::term::Term;
use crate::error::{Error, Result, io_error};
use crate::kernel::single::{self, Single};
use crate::port::object::Loaded;
use crate::slave::agent_client::{self, NAME};
use ipvl_core::IfIndex;
use rustix::event::PollFlags;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A request's line is shorter than this.
const LONGEST_LINE: usize = 256;
/// So many clients are connected at once; others wait.
const MOST: usize = 64;
/// A client that has asked nothing for so long, and waits for no answer, is disconnected.
const IDLE: Duration = Duration::from_secs(10);

/// The agent's socket and its clients.
pub struct Clients {
    term: Term,
    single: Option<Single>,
    connected: Vec<Client>,
    next: u64,
    /// Whether a client that connects now would be accepted.
    open: bool,
}

struct Client {
    id: u64,
    stream: UnixStream,
    line: Vec<u8>,
    /// What it is told, and its socket had no room for yet: it does not read as fast as it is answered. Until then nothing more
    /// is read from it.
    unsent: Vec<u8>,
    /// Requests that are not answered yet.
    waiting: usize,
    /// Whether it has asked for the counters.
    counters: bool,
    /// Whether it has asked for spare programs.
    spare: bool,
    /// The programs that it was given, held until it has opened them and disconnects.
    _lent: Option<Loaded>,
    /// When it last said something or got an answer.
    heard: Instant,
    gone: bool,
}

/// A client asks for a slave to be synced.
pub struct Request {
    /// The client's number.
    pub client: u64,
    /// The slave's host end.
    pub host_end: IfIndex,
}

impl Clients {
    /// Listens on the socket. No call blocks.
    pub fn new(single: Single, term: Term) -> Result<Self> {
        single.listener().set_nonblocking(true).map_err(io_error("listen on", "the agent's socket"))?;
        Ok(Self { term, single: Some(single), connected: Vec::new(), next: 0, open: true })
    }

    /// What to poll, and for what.
    pub fn fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let clients = self.connected.iter().map(|client| (client.stream.as_fd(), client.awaits()));
        let listener = self.single.as_ref().filter(|_| self.open).map(|single| single.listener().as_fd());
        listener.map(|fd| (fd, PollFlags::IN)).into_iter().chain(clients)
    }

    /// Reads the requests that have come.
    pub fn requests(&mut self) -> Vec<Request> {
        self.accept();
        let requests = self.connected.iter_mut().flat_map(|client| client.read(self.term)).collect();
        self.connected.retain(|client| !client.gone && !client.is_idle());
        self.open &= self.connected.len() < MOST;
        requests
    }

    /// Tells a client how its request went.
    pub fn answer(&mut self, client: u64, failure: Option<Error>) {
        let answer = failure.map_or_else(|| "ok".to_owned(), |error| one_line(&error.to_string()));
        if let Some(client) = self.connected.iter_mut().find(|other| other.id == client) {
            client.tell(&answer);
            (client.waiting, client.heard) = (client.waiting.saturating_sub(1), Instant::now());
        }
    }

    /// Tells the counters to the clients that have asked for them.
    pub fn tell_counters(&mut self, counters: impl Fn() -> String) {
        for client in self.connected.iter_mut().filter(|client| client.counters) {
            client.counters = false;
            client.tell(&counters());
        }
    }

    /// Gives spare programs to a client that has asked for them, if there are some.
    pub fn lend(&mut self, spare: &mut Spare) {
        for client in self.connected.iter_mut().filter(|client| client.spare) {
            let lent = spare.take();
            let answer = agent_client::spare_answer(lent.as_ref());
            client.tell(&answer);
            (client.spare, client._lent) = (false, lent);
        }
    }

    /// Accepts clients that run as root or as our own user; no other user may change anything. If accepting fails, as for
    /// lack of descriptors, the socket is not polled until the next turn, or the agent would spin.
    fn accept(&mut self) {
        self.open = true;
        for _ in self.connected.len()..MOST {
            match self.single.as_ref().map(|single| single.listener().accept()) {
                Some(Ok((stream, _))) if single::trusted_peer(NAME, &stream).is_ok() => self.connect(stream),
                Some(Ok(_)) => {}
                Some(Err(error)) => return self.open = is_temporary(&error),
                None => return,
            }
        }
    }

    fn connect(&mut self, stream: UnixStream) {
        if stream.set_nonblocking(true).is_ok() {
            self.next += 1;
            self.connected.push(Client::new(self.next, stream));
        }
    }

    /// Closes the socket and all connections. Clients that wait for an answer read the end of the stream.
    pub fn close(&mut self) {
        self.single = None;
        self.connected.clear();
    }
}

impl Client {
    fn new(id: u64, stream: UnixStream) -> Self {
        let (line, unsent, heard) = (Vec::new(), Vec::new(), Instant::now());
        let (counters, spare, _lent) = (false, false, None);
        Self { id, stream, line, unsent, waiting: 0, counters, spare, _lent, heard, gone: false }
    }

    /// What happens next on its socket.
    fn awaits(&self) -> PollFlags {
        if self.unsent.is_empty() { PollFlags::IN } else { PollFlags::OUT }
    }

    /// Tells it a line, as soon as its socket has room.
    fn tell(&mut self, line: &str) {
        self.unsent.extend([line.as_bytes(), b"\n"].concat());
        self.send();
    }

    /// Sends what its socket has room for.
    fn send(&mut self) {
        while !self.gone && !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(length) => _ = self.unsent.drain(..length),
                Err(error) if is_temporary(&error) => return,
                Err(_) => self.gone = true,
            }
        }
    }

    /// Reads what has come. The rest of an incomplete line wakes the agent again.
    fn read(&mut self, term: Term) -> Vec<Request> {
        self.send();
        if !self.unsent.is_empty() {
            return Vec::new();
        }
        let mut buffer = [0; LONGEST_LINE];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.gone = true,
            Ok(length) => {
                self.line.extend_from_slice(&buffer[..length]);
                self.heard = Instant::now();
            }
            Err(error) => self.gone |= !is_temporary(&error),
        }
        let mut requests = Vec::new();
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            match (parse(&line), line.trim_ascii()) {
                (Some(host_end), _) => requests.push(Request { client: self.id, host_end }),
                (None, b"ping") => self.tell("ok"),
                (None, b"counters") => self.counters = true,
                (None, b"end") if term == Term::Service => self.tell("stays"),
                (None, b"end") => {}
                (None, line) if line == agent_client::spare_request().as_bytes() => self.spare = true,
                (None, _) => self.gone = true,
            }
        }
        self.gone |= self.line.len() >= LONGEST_LINE;
        self.waiting += requests.len();
        requests
    }

    fn is_idle(&self) -> bool {
        self.waiting == 0 && self.heard.elapsed() > IDLE
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn parse(line: &[u8]) -> Option<IfIndex> {
    std::str::from_utf8(line).ok()?.trim().strip_prefix("sync ")?.parse().ok().map(IfIndex)
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::Uid;
    use std::os::unix::net::SocketAddr;

    const NOBODY: u32 = 65534;

    #[test]
    fn only_root_is_listened_to() {
        let (mut clients, address) = clients("only-root");
        let connect = || UnixStream::connect_addr(&address).expect("connect");
        let mut foreign = as_nobody(connect);
        writeln!(foreign, "sync 7").expect("write");
        assert!(clients.requests().is_empty());
        assert!(matches!(foreign.read(&mut [0]), Ok(0) | Err(_)), "it was sent away");

        let mut own = connect();
        writeln!(own, "sync 7").expect("write");
        let [Request { client, host_end: IfIndex(7) }] = clients.requests()[..] else { panic!("not one request") };
        clients.answer(client, Some(Error::Agent { object: "a".to_owned(), answer: "b\nc".to_owned() }));
        let mut answer = [0; 256];
        let length = own.read(&mut answer).expect("an answer");
        assert_eq!(&answer[..length], b"the agent cannot set up a: b c\n");
    }

    #[test]
    fn who_says_too_much_is_sent_away_and_there_are_never_too_many() {
        let (mut clients, address) = clients("too-much");
        let mut streams: Vec<_> = (0..2 * MOST).map(|_| UnixStream::connect_addr(&address).expect("connect")).collect();
        assert!(clients.requests().is_empty());
        assert_eq!((clients.connected.len(), clients.fds().count()), (MOST, MOST));
        for stream in &mut streams[..MOST] {
            stream.write_all(&[b'x'; 2 * LONGEST_LINE]).expect("write");
        }
        assert!(clients.requests().is_empty() && clients.connected.is_empty());
        clients.requests();
        assert_eq!(clients.connected.len(), MOST, "now it is the others' turn");
    }

    #[test]
    fn who_says_nothing_makes_room_for_others_unless_an_answer_is_due() {
        let (mut clients, address) = clients("idle");
        let mut streams: Vec<_> = (0..2).map(|_| UnixStream::connect_addr(&address).expect("connect")).collect();
        writeln!(streams[1], "sync 7").expect("write");
        let [Request { client, .. }] = clients.requests()[..] else { panic!("not one request") };
        let long_ago = Instant::now() - 2 * IDLE;
        clients.connected.iter_mut().for_each(|client| client.heard = long_ago);
        assert!(clients.requests().is_empty());
        assert_eq!(clients.connected.iter().map(|client| client.id).collect::<Vec<_>>(), [client]);
        clients.answer(client, None);
        clients.requests();
        assert_eq!(clients.connected.len(), 1, "it may ask again");
    }

    #[test]
    fn who_reads_later_than_it_is_answered_hears_every_answer() {
        const REQUESTS: usize = 5000;
        let (mut clients, address) = clients("slow");
        let mut asking = UnixStream::connect_addr(&address).expect("connect");
        let requests = "sync 7\n".repeat(REQUESTS);
        asking.write_all(requests.as_bytes()).expect("all fits into the socket");
        let mut taken = 0;
        while taken < REQUESTS && clients.fds().all(|(_, awaited)| awaited == PollFlags::IN) {
            taken += answer_all(&mut clients);
        }
        assert!(taken < REQUESTS, "the socket had room for all answers");
        let mut answers = String::new();
        asking.set_nonblocking(true).expect("a socket");
        while answers.lines().count() < REQUESTS {
            answer_all(&mut clients);
            let _ = asking.read_to_string(&mut answers);
        }
        assert_eq!(answers, "ok\n".repeat(REQUESTS));
    }

    fn answer_all(clients: &mut Clients) -> usize {
        let requests = clients.requests();
        requests.iter().for_each(|request| clients.answer(request.client, None));
        requests.len()
    }

    fn clients(name: &str) -> (Clients, SocketAddr) {
        let single = single::claim(&format!("test-{name}")).expect("root").expect("free");
        let address = single.listener().local_addr().expect("an address");
        (Clients::new(single, Term::WhileNeeded).expect("listen"), address)
    }

    /// In a thread that is not root.
    fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        let uid = Uid::from_raw(NOBODY);
        let work = || {
            rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root");
            work()
        };
        std::thread::scope(|scope| scope.spawn(work).join()).expect("no panic")
    }
}
