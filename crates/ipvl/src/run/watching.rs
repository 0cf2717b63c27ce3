//! How are packets watched: as flows, as lines, or into a file for Wireshark?

use super::output::print;
use crate::backend::{Interest, Seen, Watching};
use crate::command::{Capture, Filter};
use crate::failure::Failure;
use crate::pcapng::{self, Packet, Way};
use crate::render::{self, Style};
use ipvl_control::Passage;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Prints flows until the reader is gone, or enough were printed.
pub fn flows(filter: &Filter, style: Style) -> Result<(), Failure> {
    watch(filter, 0, || Ok(Sink::Lines(style)))
}

/// Prints packets, or writes them to files.
pub fn capture(capture: &Capture, style: Style) -> Result<(), Failure> {
    watch(&capture.filter, capture.snap, || Sink::open(capture, style))
}

fn watch(filter: &Filter, snap: u32, sink: impl FnOnce() -> Result<Sink, Failure>) -> Result<(), Failure> {
    let (mut watching, mut sink) = (open(filter, snap)?, sink()?);
    let mut left = filter.count.unwrap_or(u64::MAX);
    while let Some(all) = watching.next(io::stdout())? {
        for seen in all.iter().filter(|seen| wanted(filter, seen)) {
            if !sink.write(seen)? {
                return Ok(());
            }
            left -= u64::from(!matches!(seen, Seen::Lost(_)));
            if left == 0 {
                return sink.flush();
            }
        }
        sink.flush()?;
    }
    Ok(())
}

fn open(filter: &Filter, snap: u32) -> Result<Watching, Failure> {
    let (slave, reason, drops) = (filter.slave.clone(), filter.reason, filter.drops);
    let watching = Watching::open(&Interest { slave, reason, drops, snap })?;
    if !watching.unwatched().is_empty() {
        let slaves = watching.unwatched().join(", ");
        eprintln!("not watched: {slaves}, of the kernel module; ip netns exec NETNS tcpdump -i SLAVE");
    }
    let masters: Vec<&str> = watching.masters().collect();
    match masters.is_empty() {
        true => eprintln!("there is no slave here, so there is nothing to see"),
        false => eprintln!("watching {}", masters.join(", ")),
    }
    Ok(watching)
}

fn wanted(filter: &Filter, seen: &Seen) -> bool {
    let passage = match seen {
        Seen::Flow { passage, .. } | Seen::Packet { passage, .. } => passage,
        Seen::Lost(_) => return true,
    };
    filter.from.is_none_or(|from| from == passage.src) && filter.to.is_none_or(|to| to == passage.dst)
}

/// Where packets go.
enum Sink {
    Lines(Style),
    Files(Files),
}

/// The files of a capture.
struct Files {
    name: Option<PathBuf>,
    snap: u32,
    /// Bytes of a file before the next is begun.
    limit: u64,
    /// How many files there are before the first is written again.
    most: u32,
    number: u32,
    out: BufWriter<Box<dyn Write>>,
    written: u64,
    /// By name, in this file.
    interfaces: HashMap<String, u32>,
}

impl Sink {
    fn open(capture: &Capture, style: Style) -> Result<Self, Failure> {
        let Some(name) = &capture.write else { return Ok(Self::Lines(style)) };
        let name = (name != "-").then(|| PathBuf::from(name));
        let limit = capture.megabytes.map_or(u64::MAX, |megabytes| u64::from(megabytes) * 1_000_000);
        let out = create(name.as_deref(), capture.megabytes.map(|_| 0))?;
        let (most, snap) = (capture.files.unwrap_or(u32::MAX), capture.snap);
        let mut files = Files { name, snap, limit, most, number: 0, out, written: 0, interfaces: HashMap::new() };
        files.put(&pcapng::section_header())?;
        Ok(Self::Files(files))
    }

    /// False if nobody reads it any more.
    fn write(&mut self, seen: &Seen) -> Result<bool, Failure> {
        match (self, seen) {
            (Self::Lines(style), seen) => print(&render::seen(seen, *style)),
            (Self::Files(files), Seen::Packet { passage, at, len, bytes }) => {
                let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
                files.packet(passage, at, *len, bytes)
            }
            (Self::Files(_), Seen::Lost(_)) => {
                eprint!("{}", render::seen(seen, Style::default()));
                Ok(true)
            }
            (Self::Files(_), Seen::Flow { .. }) => Ok(true),
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        match self {
            Self::Lines(_) => Ok(()),
            Self::Files(files) => Ok(files.out.flush()?),
        }
    }
}

impl Files {
    fn packet(&mut self, passage: &Passage, at: u64, len: u32, bytes: &[u8]) -> Result<bool, Failure> {
        if self.written >= self.limit {
            self.next_file()?;
        }
        let way = if passage.from.is_some() { Way::Out } else { Way::In };
        let name = passage.from.as_ref().or(passage.to.as_ref()).unwrap_or(&passage.master);
        let interface = self.interface(name)?;
        let comment = render::described(passage);
        self.put(&pcapng::packet(&Packet { interface, at, len, bytes, way, comment: &comment }))
    }

    fn interface(&mut self, name: &str) -> Result<u32, Failure> {
        if let Some(number) = self.interfaces.get(name) {
            return Ok(*number);
        }
        let number = self.interfaces.len() as u32;
        self.interfaces.insert(name.to_owned(), number);
        self.put(&pcapng::interface(name, self.snap))?;
        Ok(number)
    }

    fn next_file(&mut self) -> Result<(), Failure> {
        self.out.flush()?;
        self.number = (self.number + 1) % self.most;
        self.out = create(self.name.as_deref(), Some(self.number))?;
        self.written = 0;
        self.interfaces.clear();
        self.put(&pcapng::section_header()).map(drop)
    }

    fn put(&mut self, block: &[u8]) -> Result<bool, Failure> {
        self.written += block.len() as u64;
        match self.out.write_all(block) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            result => Ok(result.map(|()| true)?),
        }
    }
}

/// The file of this name, or standard output. Of several files, the names are `FILE0`, `FILE1`, ..., as tcpdump gives them.
fn create(name: Option<&Path>, number: Option<u32>) -> Result<BufWriter<Box<dyn Write>>, Failure> {
    let Some(name) = name else { return Ok(BufWriter::new(Box::new(io::stdout()))) };
    let mut path = name.as_os_str().to_owned();
    number.iter().for_each(|number| path.push(number.to_string()));
    match File::create(&path) {
        Ok(file) => Ok(BufWriter::new(Box::new(file))),
        Err(source) => Err(Failure::Unwritten { name: path.display().to_string(), source }),
    }
}
