//! Do programs hang where they should, and are they found again?

use crate::{in_fresh_netns, pair};
use ipvl_control::kernel::bpf::{self, AttachType};
use ipvl_control::kernel::netlink::{FilterPoint, LinkChange, Netlink, NewPair};
use ipvl_control::port::Port;
use ipvl_core::IfIndex;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// No link has this ifindex.
const ABSENT: IfIndex = IfIndex(4711);
const AT: AttachType = AttachType::TcxIngress;

#[test]
fn a_program_hangs_on_after_its_descriptor_is_closed_and_is_found_again() {
    in_fresh_netns(|| {
        let NewPair { host_end: host, .. } = Netlink::open().unwrap().add_pair(&pair()).unwrap();
        assert!(bpf::prog_query(host, AT).unwrap().is_empty());
        let map = array_map();
        bpf::prog_attach(host, program(&map), AT).unwrap();
        let [id] = bpf::prog_query(host, AT).unwrap()[..] else { panic!("not one program") };
        let found = bpf::prog_fd_by_id(id).unwrap();
        let info = bpf::prog_info(&found).unwrap();
        assert_eq!((info.id, info.name.as_str(), info.map_ids.len()), (id, "next", 1));
        assert_ne!(info.tag, [0; 8]);
        bpf::map_fd_by_id(info.map_ids[0]).unwrap();
        let other = program(&map);
        bpf::prog_replace(host, &other, &found, AT).unwrap();
        assert_eq!(bpf::prog_query(host, AT).unwrap(), [bpf::prog_info(&other).unwrap().id]);
        assert!(!bpf::prog_detach(host, &found, AT).unwrap());
        assert!(bpf::prog_detach(host, &other, AT).unwrap());
        assert!(bpf::prog_query(host, AT).unwrap().is_empty());
    });
}

#[test]
fn a_device_that_is_gone_has_no_programs() {
    in_fresh_netns(|| {
        assert!(bpf::prog_query(ABSENT, AT).unwrap().is_empty());
        let error = bpf::prog_attach(ABSENT, program(&array_map()), AT).unwrap_err();
        assert!(error.is_gone() && error.to_string().contains("attach a program to link 4711"), "{error}");
    });
}

#[test]
fn a_foreign_program_with_our_name_only_stops_commands_for_its_device() {
    in_fresh_netns(|| {
        let netlink = Netlink::open().unwrap();
        let NewPair { host_end: device, .. } = netlink.add_pair(&pair()).unwrap();
        bpf::prog_attach(device, named(&array_map(), *b"master_rx\0\0\0"), AT).unwrap();
        assert!(Port::all(&netlink).unwrap().is_empty());
        let Err(refused) = Port::find(&netlink, device) else { panic!("taken for ours") };
        assert!(refused.to_string().contains("this version of ipvl did not load it"), "{refused}");
    });
}

#[test]
fn a_filter_comes_is_replaced_in_place_and_goes() {
    in_fresh_netns(|| {
        let netlink = Netlink::open().unwrap();
        let NewPair { host_end: host, .. } = netlink.add_pair(&pair()).unwrap();
        let hook = FilterPoint::Device(host);
        assert!(netlink.bpf_filters(hook).unwrap().is_empty());
        assert!(!netlink.delete_bpf_filter(hook, 7).unwrap());
        assert!(netlink.add_clsact(host, None).unwrap());
        assert!(!netlink.add_clsact(host, None).unwrap());
        exercise(&netlink, hook);
        assert!(netlink.delete_clsact(host).unwrap());
        assert!(!netlink.delete_clsact(host).unwrap());
        assert!(netlink.bpf_filters(FilterPoint::Device(ABSENT)).unwrap().is_empty());
    });
}

#[test]
fn one_filter_on_a_block_serves_many_devices() {
    in_fresh_netns(|| {
        let netlink = Netlink::open().unwrap();
        let NewPair { host_end: a, slave: b } = netlink.add_pair(&pair()).unwrap();
        assert!(netlink.bpf_filters(FilterPoint::Block(9)).unwrap().is_empty());
        assert!(netlink.add_clsact(a, Some(9)).unwrap() && netlink.add_clsact(b, Some(9)).unwrap());
        exercise(&netlink, FilterPoint::Block(9));
        netlink.add_bpf_filter(FilterPoint::Block(9), program(&array_map()), "ipvl", 7).unwrap();
        netlink.set_link(a, &LinkChange { up: Some(true), ..LinkChange::default() }).unwrap();
        assert!(netlink.delete_link(a).unwrap());
        assert_eq!(netlink.bpf_filters(FilterPoint::Block(9)).unwrap(), [], "the block goes with its last device");
    });
}

fn exercise(netlink: &Netlink, hook: FilterPoint) {
    let map = array_map();
    let programs = [program(&map), program(&map)];
    for program in &programs {
        netlink.add_bpf_filter(hook, program, "ipvl", 7).unwrap();
        let [filter] = &netlink.bpf_filters(hook).unwrap()[..] else { panic!("not one filter") };
        assert_eq!((filter.name.as_str(), filter.priority), ("ipvl", 7));
        assert_eq!(filter.prog_id, bpf::prog_info(program).unwrap().id);
    }
    assert!(netlink.delete_bpf_filter(hook, 7).unwrap());
    assert!(!netlink.delete_bpf_filter(hook, 7).unwrap());
    assert!(netlink.bpf_filters(hook).unwrap().is_empty());
}

/// `BPF_MAP_CREATE`: an array of one number.
fn array_map() -> OwnedFd {
    bpf(0, &[2, 4, 4, 1])
}

fn program(map: &OwnedFd) -> OwnedFd {
    named(map, *b"next\0\0\0\0\0\0\0\0")
}

/// `BPF_PROG_LOAD`: a classifier of that name that has `map` and returns `TCX_NEXT`.
fn named(map: &OwnedFd, name: [u8; 12]) -> OwnedFd {
    let load_map = 0x1118 | (map.as_raw_fd() as u64) << 32;
    let code: [u64; 4] = [load_map, 0, 0xffff_ffff_0000_00b7, 0x95];
    let halves = |pointer: *const u8| [pointer.addr() as u32, (pointer.addr() >> 32) as u32];
    let ([code_low, code_high], [license_low, license_high]) =
        (halves(code.as_ptr().cast()), halves(c"GPL".as_ptr().cast()));
    let [a, b, c] = [0, 4, 8].map(|at| u32::from_ne_bytes([name[at], name[at + 1], name[at + 2], name[at + 3]]));
    let classifier = 3;
    bpf(5, &[classifier, 4, code_low, code_high, license_low, license_high, 0, 0, 0, 0, 0, 0, a, b, c, 0])
}

fn bpf(command: i32, words: &[u32]) -> OwnedFd {
    // The kernel wants the attributes aligned as a u64.
    let mut attr = [0_u64; 16];
    for (place, word) in words.iter().enumerate() {
        attr[place / 2] |= u64::from(*word) << (place % 2 * 32);
    }
    // SAFETY: `attr` and what it points to live past the call, and the kernel only reads them.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_ptr(), words.len() * 4) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the kernel has just opened this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}
