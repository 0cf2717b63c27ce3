//! Are namespaces found by their ids, and is it known what keeps one alive?

use crate::{fresh_netns, in_fresh_netns, pair};
use ipvl_control::kernel::finder::{self, Finder};
use ipvl_control::kernel::netlink::{Netlink, PairSpec};
use ipvl_control::kernel::netns;
use ipvl_control::{NetnsRef, NsId};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

#[test]
fn a_netns_is_found_by_its_id_through_a_process_or_a_descriptor() {
    in_fresh_netns(|| {
        let (netlink, other) = (Netlink::open().unwrap(), fresh_netns());
        netlink.add_pair(&PairSpec { netns: Some(other.as_fd()), ..pair() }).unwrap();
        let nsid = netlink.nsid_of_fd(&other).unwrap().unwrap();
        let mut finder = Finder::default();
        for _ in 0..2 {
            let found = finder.find(&netlink, nsid).unwrap().expect("our own descriptor leads there");
            assert!(netns::same(&found, &other).unwrap());
        }
        let mut inside = netns::within(&other, || sleeper(Stdio::null())).unwrap();
        drop(other);
        let found = finder.find(&netlink, nsid).unwrap().expect("the process leads there");
        assert!(netns::same(&found, netns::open(&NetnsRef::Pid(inside.id())).unwrap()).unwrap());
        assert_eq!(finder::name_of(&netlink, nsid), None);
        drop(found);
        end(&mut inside);
        assert!(finder.find(&netlink, nsid).unwrap().is_none());
    });
}

#[test]
fn each_of_several_is_found_in_any_order_once_it_has_an_id() {
    in_fresh_netns(|| {
        let netlink = Netlink::open().unwrap();
        let others: Vec<OwnedFd> = (0..8).map(|_| fresh_netns()).collect();
        let mut finder = Finder::default();
        for n in [5, 2, 7, 0, 1, 6, 3, 4, 5] {
            let nsid = netlink.ensure_nsid(others[n].as_fd()).unwrap().unwrap();
            let found = finder.find(&netlink, nsid).unwrap().expect("our own descriptor leads there");
            assert!(netns::same(&found, &others[n]).unwrap(), "{n}");
            finder.forget(nsid);
        }
    });
}

#[test]
fn the_last_user_knows_that_it_is() {
    in_fresh_netns(|| {
        assert!(becomes_last_user(&[]));
        let mut inside = sleeper(Stdio::null());
        assert!(!finder::last_user(&[]).unwrap());
        assert!(becomes_last_user(&[inside.id()]));
        end(&mut inside);
        assert!(becomes_last_user(&[]));
    });
}

#[test]
fn a_descriptor_elsewhere_is_a_user() {
    in_fresh_netns(|| {
        let own = netns::own().unwrap();
        let mut elsewhere = netns::within(fresh_netns(), || sleeper(Stdio::from(own))).unwrap();
        assert!(!finder::last_user(&[]).unwrap());
        end(&mut elsewhere);
        assert!(becomes_last_user(&[]));
    });
}

#[test]
fn a_mount_in_another_mount_namespace_is_a_user_and_a_way_in() {
    in_fresh_netns(|| {
        let own = netns::own().unwrap();
        let script = "mount -t tmpfs none /mnt && touch /mnt/n && mount --bind /proc/self/ns/net /mnt/n \
                      && echo ready && exec unshare -n sleep 60";
        let mut elsewhere =
            Command::new("unshare").args(["-m", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        BufReader::new(elsewhere.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        wait_for_other_netns(&elsewhere, &own);
        assert!(!finder::last_user(&[]).unwrap());
        end(&mut elsewhere);
        assert!(becomes_last_user(&[]));
    });
}

/// A user that may make a user namespace may mount anything there, also where ipvl looks for namespaces.
#[test]
fn a_pipe_in_the_place_of_a_netns_neither_blocks_nor_hides_it() {
    in_fresh_netns(|| {
        let (netlink, other) = (Netlink::open().unwrap(), fresh_netns());
        netlink.add_pair(&PairSpec { netns: Some(other.as_fd()), ..pair() }).unwrap();
        let nsid = netlink.nsid_of_fd(&other).unwrap().unwrap();
        let script = "mount -t tmpfs none /mnt && mkfifo /mnt/f && touch /mnt/n && \
                      mount --bind /proc/self/ns/net /mnt/n && mount --bind /mnt/f /mnt/n && echo ready && exec sleep 60";
        let trap = || {
            let mut command = Command::new("unshare");
            let mut trap = command.args(["-m", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
            BufReader::new(trap.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
            trap
        };
        let mut trap = netns::within(&other, trap).unwrap();
        let found = Finder::default().find(&netlink, nsid).unwrap().expect("the process in it leads there");
        assert!(netns::same(&found, &other).unwrap());
        end(&mut trap);
    });
}

#[test]
fn a_netns_that_was_nowhere_is_not_looked_for_again_at_once() {
    in_fresh_netns(|| {
        let (netlink, other) = (Netlink::open().unwrap(), fresh_netns());
        let mut finder = Finder::default();
        let nsid = NsId(0);
        assert!(finder.find(&netlink, nsid).unwrap().is_none());
        netlink.add_pair(&PairSpec { netns: Some(other.as_fd()), ..pair() }).unwrap();
        assert_eq!(netlink.nsid_of_fd(&other).unwrap(), Some(nsid));
        assert!(finder.find(&netlink, nsid).unwrap().is_none());
        finder.look_again();
        assert!(finder.find(&netlink, nsid).unwrap().is_some());
    });
}

#[test]
fn the_initial_netns_has_no_last_user() {
    let kernel_thread = NetnsRef::Pid(2);
    let Ok(initial) = netns::open(&kernel_thread) else {
        return eprintln!("skipped: the initial netns is out of sight");
    };
    let everybody: Vec<u32> = (1..100_000).collect();
    assert!(!netns::within(initial, || finder::last_user(&everybody)).unwrap().unwrap());
}

#[test]
fn a_missing_netns_is_named_in_the_error() {
    let error = netns::open(&NetnsRef::Name("no-such-netns".to_owned())).unwrap_err();
    assert!(error.to_string().contains("open network namespace /run/netns/no-such-netns"), "{error}");
}

fn sleeper(stdin: Stdio) -> Child {
    Command::new("sleep").arg("60").stdin(stdin).spawn().unwrap()
}

/// The child of another test has copies of this process's descriptors between its fork and its exec. So this waits.
fn becomes_last_user(ignore: &[u32]) -> bool {
    (0..100).any(|_| {
        finder::last_user(ignore).unwrap() || {
            thread::sleep(Duration::from_millis(50));
            false
        }
    })
}

fn wait_for_other_netns(child: &Child, own: &OwnedFd) {
    let theirs = || netns::open(&NetnsRef::Pid(child.id())).unwrap();
    while netns::same(theirs(), own).unwrap() {
        thread::yield_now();
    }
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}
