//! Which frames did a device carry before the test failed? They are in a file that tcpdump and Wireshark read.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use std::{env, fs};

use crate::frame::Frame;

const NANOSECONDS: u32 = 0xa1b2_3c4d;
const ETHERNET: u32 = 1;
const SNAPLEN: u32 = 1 << 18;

/// Writes `frames` to `target/pcap/<test>-<port>.pcap` and returns that path.
pub(crate) fn keep(port: &str, frames: &[Frame]) -> io::Result<PathBuf> {
    let test = std::thread::current().name().unwrap_or("test").replace("::", "-");
    let directory = profile_directory().with_file_name("pcap");
    fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{test}-{port}.pcap"));
    write(io::BufWriter::new(fs::File::create(&path)?), frames)?;
    Ok(path)
}

fn write(mut out: impl Write, frames: &[Frame]) -> io::Result<()> {
    let version: u32 = 2 | 4 << 16;
    for word in [NANOSECONDS, version, 0, 0, SNAPLEN, ETHERNET] {
        out.write_all(&word.to_le_bytes())?;
    }
    for frame in frames {
        let at = frame.at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let length = frame.bytes.len() as u32;
        for word in [at.as_secs() as u32, at.subsec_nanos(), length, length] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&frame.bytes)?;
    }
    out.flush()
}

/// Where cargo put the binaries of this build: `target/debug` or `target/release`.
pub(crate) fn profile_directory() -> PathBuf {
    let here = env::current_exe().unwrap_or_default();
    let profile = here.ancestors().find(|path| path.ends_with("debug") || path.ends_with("release"));
    profile.map_or_else(env::temp_dir, Path::to_path_buf)
}
