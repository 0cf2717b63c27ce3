//! When did a state change? For the few states that no event announces to a test.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(2);
/// How long a child of another test may take to begin.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks `condition` until it holds or `timeout` has passed; true if it held.
#[must_use]
pub fn wait_until(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(STEP);
    }
}

/// The socket that `bind` makes. A child of another test has the descriptors of all until it has begun, and so perhaps the port.
///
/// # Panics
///
/// The port does not become free, or there is another error.
pub fn bound<T>(bind: impl Fn() -> io::Result<T>) -> T {
    let mut made = bind();
    let _ = wait_until(PATIENCE, || match &made {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            made = bind();
            false
        }
        _ => true,
    });
    made.unwrap_or_else(|error| panic!("bind a socket: {error}"))
}
