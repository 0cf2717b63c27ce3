//! How much is read of what others hand us? Not more than anybody needs, and from a file only if it is one.

use rustix::fs::OFlags;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// In bytes: a file with the most slaves that a master can have takes less.
pub const MOST: u64 = 1 << 20;

/// All that comes; an error if that is more than [`MOST`].
pub fn read(input: impl Read) -> io::Result<Vec<u8>> {
    read_up_to(input, MOST)
}

/// The same, as a text.
pub fn read_text(input: impl Read) -> io::Result<String> {
    read_text_up_to(input, MOST)
}

/// The same of an input that may be larger.
pub fn read_text_up_to(input: impl Read, most: u64) -> io::Result<String> {
    let bytes = read_up_to(input, most)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// The text of a regular file, or of `/dev/null`, which has none: with it the unit asks for no slaves at all. Another
/// device or a pipe is not read: it might never end.
pub fn file(path: &Path) -> io::Result<String> {
    file_up_to(path, MOST)
}

/// The same of a file that may be larger.
pub fn file_up_to(path: &Path, most: u64) -> io::Result<String> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    match metadata.is_file() || is_null(&metadata) {
        true => read_text_up_to(file, most),
        false => Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

fn read_up_to(input: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    input.take(most + 1).read_to_end(&mut text)?;
    match text.len() as u64 > most {
        true => Err(io::Error::new(
            ErrorKind::FileTooLarge,
            format!("it has more than {most} bytes, the most that is read"),
        )),
        false => Ok(text),
    }
}

fn is_null(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == rustix::fs::makedev(1, 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_not_read_to_the_end() {
        let refused = read(io::repeat(b'x')).expect_err("too much").to_string();
        assert_eq!(refused, "it has more than 1048576 bytes, the most that is read");
        assert_eq!(read(io::repeat(b'x').take(MOST)).expect("just fits").len() as u64, MOST);
    }

    #[test]
    fn only_a_regular_file_is_read_as_one() {
        for path in ["/dev/zero", "/"] {
            assert_eq!(file(Path::new(path)).expect_err(path).to_string(), "it is not a regular file", "{path}");
        }
        assert!(file(Path::new("/proc/self/status")).is_ok());
        assert_eq!(file(Path::new("/dev/null")).expect("empty"), "");
    }
}
