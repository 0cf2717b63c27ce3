//! How is the command `nft` run?

use crate::error::{Error, Result, io_error, refused};
use crate::refusal::Refusal;
use std::io::{self, Write};
use std::process::{Child, Command, Output, Stdio};

/// Where it is: administrators' folders are not in everybody's path.
const PROGRAMS: [&str; 2] = ["nft", "/usr/sbin/nft"];

/// What `nft` prints; none if it is not installed or fails.
pub fn ask(args: &[&str]) -> Option<String> {
    let run = |program: &&str| Command::new(program).args(args).stderr(Stdio::null()).output().ok();
    let output = PROGRAMS.iter().find_map(run).filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Has `nft` carry out a script: all of it or nothing.
pub fn order(op: &'static str, object: &str, script: &str) -> Result<()> {
    let output = feed(start(op, object)?, script).map_err(io_error("run", "nft"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().find(|line| line.contains("Error")).unwrap_or("it ended without a reason").to_owned();
    Err(Error::Nft { op, object: object.to_owned(), said })
}

fn start(op: &'static str, object: &str) -> Result<Child> {
    for program in PROGRAMS {
        let mut command = Command::new(program);
        command.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.map_err(io_error("run", program)),
        }
    }
    Err(refused(op, object, Refusal::NoNft))
}

fn feed(mut child: Child, script: &str) -> io::Result<Output> {
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends before it has read all says why.
        let _ = stdin.write_all(script.as_bytes());
    }
    child.wait_with_output()
}
