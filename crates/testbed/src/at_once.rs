//! How is something done with many things at once, most of which wait most of the time?

use std::sync::Mutex;
use std::thread;

/// Does `work` with all of `things`, in their order and with so many at a time; what failed.
pub fn at_once<T: Send>(most: usize, things: Vec<T>, work: impl Fn(T) -> Result<(), String> + Sync) -> Vec<String> {
    let (left, failures) = (Mutex::new(things.into_iter()), Mutex::new(Vec::new()));
    let next = || left.lock().expect("what is left").next();
    thread::scope(|scope| {
        for _ in 0..most {
            scope.spawn(|| {
                while let Some(thing) = next() {
                    failures.lock().expect("failures").extend(work(thing).err());
                }
            });
        }
    });
    failures.into_inner().expect("failures")
}
