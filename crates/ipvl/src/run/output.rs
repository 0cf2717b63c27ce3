//! How does a text get to standard output?

use crate::failure::Failure;
use std::io::{self, Write as _};

/// Prints a text.
pub fn show(text: &str) -> Result<(), Failure> {
    print(text).map(drop)
}

/// Prints a text; false if nothing reads standard output any more.
pub fn print(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => Ok(result.map(|()| true)?),
    }
}
