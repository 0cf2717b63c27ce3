//! How does a test run the driver, and send it requests as dockerd does?

use ipvl_testbed::{Netns, wait_until};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

/// A network's id, as dockerd makes them.
pub const NETWORK: &str = "276219a357cae888b54998f1236b590b57b2e2cb991ac704f5174f0cae0bf418";
/// An endpoint's.
pub const ENDPOINT: &str = "3e6191e7a9fc90bbc2a9e01d35010ef49c71c68e3ce0f7985e3165ad5257f1c5";

const PATIENCE: Duration = Duration::from_secs(5);
const A_WHILE: Duration = Duration::from_millis(500);

/// A running driver in a netns. Dropping this kills the driver and removes its files.
pub struct Plugin {
    netns: String,
    directory: PathBuf,
    process: Option<Child>,
}

impl Plugin {
    /// Starts a driver.
    pub fn new(netns: &Netns, label: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("ipvl-docker-{}-{label}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("make a directory");
        let mut plugin = Self { netns: netns.name().to_owned(), directory, process: None };
        plugin.start();
        plugin
    }

    /// Starts it, and waits until it listens.
    pub fn start(&mut self) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns, env!("CARGO_BIN_EXE_ipvl-docker"), "--stale", "1"]);
        command.arg("--socket").arg(self.socket()).arg("--state").arg(self.state());
        let log = File::options().create(true).append(true).open(self.log_file()).expect("open a log");
        self.process = Some(command.stderr(log).spawn().expect("start ipvl-docker"));
        assert!(wait_until(PATIENCE, || UnixStream::connect(self.socket()).is_ok()), "ipvl-docker does not listen");
    }

    /// The same, with a socket passed as systemd does.
    pub fn start_activated(&mut self) {
        std::fs::remove_file(self.socket()).expect("remove the old socket");
        let listener = UnixListener::bind(self.socket()).expect("bind");
        let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns, "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_ipvl-docker")]);
        command.arg("--socket").arg("/nowhere").arg("--state").arg(self.state()).stdin(OwnedFd::from(listener));
        self.process = Some(command.spawn().expect("start ipvl-docker"));
    }

    /// By SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("kill ipvl-docker");
            process.wait().expect("wait for ipvl-docker");
        }
    }

    /// Killed, and started again.
    pub fn restart(&mut self) {
        self.kill();
        self.start();
    }

    /// The body of its answer.
    pub fn call(&self, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let (status, answer) = self.raw(path, &body);
        assert_eq!(status, 200, "{path}: {answer}");
        serde_json::from_str(&answer).expect("JSON")
    }

    /// The status and the body of its answer. dockerd names no content type.
    pub fn raw(&self, path: &str, body: &[u8]) -> (u16, String) {
        let mut stream = self.send(path, body);
        let mut reader = BufReader::new(&mut stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("a status line");
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut rest = String::new();
        reader.read_to_string(&mut rest).expect("an answer");
        (status, rest.split_once("\r\n\r\n").expect("an end of the headers").1.to_owned())
    }

    /// Sends a request, waits a moment, and closes the connection: if it closed at once, the driver might not begin the call.
    pub fn say_and_go(&self, path: &str, body: &Value) {
        let mut stream = self.send(path, body.to_string().as_bytes());
        stream.set_read_timeout(Some(A_WHILE)).expect("a limit");
        let answer = stream.read(&mut [0]).expect_err("no answer yet");
        assert_eq!(answer.kind(), ErrorKind::WouldBlock, "{answer}");
    }

    /// How many networks are stored.
    pub fn files(&self) -> usize {
        std::fs::read_dir(self.state()).expect("a directory").count()
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn send(&self, path: &str, body: &[u8]) -> UnixStream {
        let mut stream = UnixStream::connect(self.socket()).expect("connect");
        let accept = "Accept: application/vnd.docker.plugins.v1.2+json";
        let head = format!("POST {path} HTTP/1.1\r\nHost: ipvl\r\n{accept}\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Length: {}\r\n\r\n", body.len()).expect("write");
        stream.write_all(body).expect("write");
        stream
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("ipvl.sock")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state")
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// `CreateNetwork`, with these options.
pub fn network(options: Value) -> Value {
    json!({
        "NetworkID": NETWORK,
        "Options": { "com.docker.network.enable_ipv6": false, "com.docker.network.generic": options },
        "IPv4Data": [{ "AddressSpace": "LocalDefault", "Pool": "10.0.0.0/24", "Gateway": "10.0.0.254/24" }],
        "IPv6Data": [],
    })
}

/// `CreateEndpoint`, with this address.
pub fn endpoint(address: &str) -> Value {
    json!({
        "NetworkID": NETWORK,
        "EndpointID": ENDPOINT,
        "Interface": { "Address": address, "AddressIPv6": "", "MacAddress": "" },
        "Options": { "com.docker.network.endpoint.exposedports": [], "com.docker.network.portmap": [] },
    })
}

/// `Leave`, `DeleteEndpoint`, `DeleteNetwork`.
pub fn ids() -> Value {
    json!({ "NetworkID": NETWORK, "EndpointID": ENDPOINT })
}
