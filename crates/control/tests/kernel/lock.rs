//! Does one, and only one, get the lock, whatever becomes of the others?

use crate::in_fresh_netns;
use ipvl_control::Error;
use ipvl_control::kernel::lock::Lock;
use ipvl_control::kernel::netns;
use ipvl_control::kernel::single;
use rustix::process::Uid;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);
const NOBODY: u32 = 65534;

#[test]
fn a_hundred_contenders_get_it_one_after_the_other() {
    in_fresh_netns(|| {
        let (inside, netns) = (AtomicUsize::new(0), netns::own().unwrap());
        let critical = || {
            let _lock = Lock::acquire(LONG).unwrap();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            std::thread::sleep(Duration::from_millis(1));
            inside.fetch_sub(1, Ordering::SeqCst);
        };
        std::thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| netns::within(&netns, critical).unwrap());
            }
        });
    });
}

#[test]
fn a_killed_holder_frees_it_at_once() {
    in_fresh_netns(|| {
        let mut holder = spawn_holder();
        assert_eq!(Lock::held_by().unwrap(), Some(holder.id()));
        let refused = Lock::acquire(Duration::from_millis(50)).unwrap_err();
        assert!(matches!(refused, Error::Held { pid, .. } if pid == holder.id()), "{refused}");
        let (netns, start) = (netns::own().unwrap(), Instant::now());
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| netns::within(&netns, || Lock::acquire(LONG).unwrap()).unwrap());
            holder.kill().unwrap();
            holder.wait().unwrap();
            drop(waiter.join().unwrap());
        });
        assert!(start.elapsed() < Duration::from_secs(2));
        assert_eq!(Lock::held_by().unwrap(), None);
    });
}

#[test]
fn every_netns_has_its_own() {
    let lock = |inner: fn()| {
        in_fresh_netns(move || {
            let _lock = Lock::acquire(LONG).unwrap();
            inner()
        })
    };
    lock(|| in_fresh_netns(|| drop(Lock::acquire(Duration::ZERO).unwrap())));
}

#[test]
fn a_name_is_claimed_once() {
    in_fresh_netns(|| {
        assert_eq!(single::running("ipvl-agent").unwrap(), None);
        let claimed = single::claim("ipvl-agent").unwrap().expect("free");
        assert!(single::claim("ipvl-agent").unwrap().is_none());
        assert_eq!(single::running("ipvl-agent").unwrap(), Some(std::process::id()));
        drop(claimed);
        assert!(single::claim("ipvl-agent").unwrap().is_some());
    });
}

/// Any user can bind any abstract socket, and see which ones there are.
#[test]
fn another_user_can_neither_have_it_nor_keep_it_from_others_nor_pose_as_its_holder() {
    in_fresh_netns(|| {
        let own_name = || fs::read_to_string("/proc/thread-self/net/unix").unwrap();
        let lock = Lock::acquire(LONG).unwrap();
        let names: Vec<String> =
            own_name().split('@').skip(1).filter_map(|rest| rest.lines().next()).map(str::to_owned).collect();
        drop(lock);
        let squatters: Vec<UnixListener> = as_nobody(|| {
            let names = names.into_iter().chain(["ipvl-lock", "ipvl-agent"].map(str::to_owned));
            names.map(|name| UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap()).collect()
        });
        assert!(squatters.len() >= 3, "{squatters:?}");
        assert_eq!(Lock::held_by().unwrap(), None);
        let _lock = Lock::acquire(Duration::ZERO).unwrap();
        assert_eq!(Lock::held_by().unwrap(), Some(std::process::id()));
    });
}

#[test]
#[ignore = "not a test: the process that another test kills"]
fn holder() {
    let _lock = Lock::acquire(Duration::ZERO).unwrap();
    println!("\nheld");
    std::thread::sleep(LONG);
}

/// This program again, in this netns, as [`holder`].
fn spawn_holder() -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "lock::holder", "--ignored", "--nocapture"]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "held"));
    child
}

/// In a thread that is not root.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let uid = Uid::from_raw(NOBODY);
    let work = || {
        rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
        work()
    };
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap()
}
