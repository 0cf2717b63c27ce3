//! Which messages does nobody mean to send? Random ones: right, or wrong in one place, to the right device or a wrong one.

use crate::floods;
use crate::wire::*;
use crate::world::{FIRST_SLAVE, GOOD, MASTERS, Place, SLAVES, World};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How often each kind of message got each answer.
type Answers = BTreeMap<(&'static str, Option<i32>), u32>;

/// Sends messages for `seconds`, made from `seed`.
pub fn run(seconds: u64, seed: u64) {
    let mut world = World::new();
    floods::from(&world.places[1]);
    let mut dice = Dice(seed);
    let mut answers = Answers::new();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut step = 0u32;
    while Instant::now() < end {
        let (what, place, message) = draw(&mut dice, &world);
        let answer = world.places[place].door.ask(&message);
        *answers.entry((what, answer)).or_default() += 1;
        step += 1;
        if step.is_multiple_of(500) {
            shake(&mut dice, &mut world);
        }
    }
    for ((what, answer), count) in &answers {
        println!("{what:12} {:>5} {count}", answer.map_or("-".to_owned(), |errno| errno.to_string()));
    }
    println!("{step} messages in {seconds} s, seed {seed}");
    assert!(answers.contains_key(&("make", Some(0))), "no slave was made");
    assert!(answers.keys().any(|(_, answer)| *answer == Some(22)), "no message was wrong");
}

/// Now and then something dies that slaves depend on.
fn shake(dice: &mut Dice, world: &mut World) {
    match dice.below(3) {
        0 => {
            world.host().batch(&["link del eth0"]);
            world.make_good();
        }
        1 => world.places[2] = Place::new("two"),
        _ => world.masters(),
    }
}

/// What the message is, from which namespace, and the message.
fn draw(dice: &mut Dice, world: &World) -> (&'static str, usize, Message) {
    let place = dice.below(8).saturating_sub(5) as usize;
    let (what, mut message) = match dice.below(10) {
        0..=2 => ("make", make(dice, world)),
        3 => ("change", change(dice)),
        4 => ("move", set(dice, world)),
        5 => ("delete", delete(dice)),
        6 => ("address", address(dice, NEW_ADDR)),
        7 => ("unaddress", address(dice, DEL_ADDR)),
        8 => ("master", master(dice)),
        _ => ("read", Message::link(GET_LINK, 0, slave(dice), None)),
    };
    if dice.below(4) == 0 {
        spoil(dice, message.bytes());
    }
    (what, place, message)
}

fn slave(dice: &mut Dice) -> u32 {
    FIRST_SLAVE + dice.below(SLAVES)
}

fn name(dice: &mut Dice) -> Vec<u8> {
    match dice.below(12) {
        0 => vec![b'x'; dice.below(40) as usize],
        1 => b"eth0\0".to_vec(),
        2 => b"a/b\0".to_vec(),
        3 => b"s%d\0".to_vec(),
        4 => Vec::new(),
        _ => format!("s{}\0", dice.below(SLAVES)).into_bytes(),
    }
}

/// Attributes in random order, of which some are missing.
fn make(dice: &mut Dice, world: &World) -> Message {
    let mut index = if dice.below(2) == 0 { 0 } else { slave(dice) };
    if dice.below(20) == 0 {
        index = u32::MAX - dice.below(3);
    }
    let up = (dice.below(3) == 0).then_some(true);
    let mut message = Message::link(NEW_LINK, CREATE | (dice.below(2) as u16 * EXCLUSIVE), index, up);
    let mut parts = [0, 1, 2, 3, 4, 5, 6];
    dice.shuffle(&mut parts);
    for part in parts {
        match part {
            0 if dice.below(8) > 0 => message.put(LINK, &a_master(dice).to_ne_bytes()),
            1 if dice.below(8) > 0 => message.put(NAME, &name(dice)),
            2 if dice.below(10) > 0 => options(dice, &mut message),
            3 if dice.below(6) == 0 => message.put(MTU, &dice.number().to_ne_bytes()),
            4 if dice.below(8) == 0 => message.put(ADDRESS, &dice.bytes(12)),
            5 if dice.below(5) == 0 => message.put(NET_NS_FD, &a_namespace(dice, world)),
            6 if dice.below(8) == 0 => message.put(LINK_NET_NSID, &dice.number().to_ne_bytes()),
            _ => (),
        }
    }
    message
}

fn a_master(dice: &mut Dice) -> u32 {
    match dice.below(4) {
        0 => MASTERS[dice.below(MASTERS.len() as u32) as usize],
        1 => slave(dice),
        _ => GOOD,
    }
}

fn a_namespace(dice: &mut Dice, world: &World) -> [u8; 4] {
    match dice.below(8) {
        0 => dice.number().to_ne_bytes(),
        n => world.places[n as usize % 3].descriptor(),
    }
}

/// Kind, mode and flags; sometimes of another size, twice, or one inside another.
fn options(dice: &mut Dice, message: &mut Message) {
    match dice.below(12) {
        0 => message.nest(LINK_INFO, |info| {
            info.put(KIND, [&b"ipvlan\0"[..], b"ipvlan", b"ipvtap\0", b"", b"ipvlan\0\0\0\0"][dice.below(5) as usize]);
            info.nest(DATA, |data| {
                for _ in 0..dice.below(6) {
                    let attribute = [0, MODE, FLAGS, 3, 4, OPTIONS, DECLARED][dice.below(7) as usize];
                    data.put(attribute, &dice.bytes(24));
                }
            });
        }),
        1 => nested(dice, message, 0),
        _ => message.options_with(
            (dice.below(8) > 0).then(|| [0, 1, 2, 0, 1, 2, 3][dice.below(7) as usize]),
            (dice.below(2) > 0).then(|| [0, 1, 2, 0, 1, 2, 3, 0x8000][dice.below(8) as usize]),
            (dice.below(3) == 0).then(|| ours(dice)),
        ),
    }
}

/// Options of ours: a guard that there is, or any bits.
fn ours(dice: &mut Dice) -> (u32, u32) {
    const GUARD: u32 = 7 << 12;
    if dice.below(2) == 0 { (dice.below(5) << 12, GUARD) } else { (dice.number(), dice.number()) }
}

fn nested(dice: &mut Dice, message: &mut Message, depth: u32) {
    message.nest(if depth.is_multiple_of(2) { LINK_INFO } else { DATA }, |inner| {
        inner.put(KIND, b"ipvlan\0");
        if dice.below(12) > 0 && depth < 40 {
            nested(dice, inner, depth + 1);
        }
    });
}

fn change(dice: &mut Dice) -> Message {
    let up = (dice.below(3) == 0).then(|| dice.below(2) == 0);
    let mut message = Message::link(NEW_LINK, 0, slave(dice), up);
    if dice.below(3) == 0 {
        let wanted = declaration(dice);
        message.nest(LINK_INFO, |info| {
            info.put(KIND, b"ipvlan\0");
            info.nest(DATA, |data| data.put(DECLARED, &wanted));
        });
    } else {
        options(dice, &mut message);
    }
    message
}

/// An address or a prefix of few, so that slaves meet, to be declared, withdrawn or moved; sometimes wrong.
fn declaration(dice: &mut Dice) -> Vec<u8> {
    let low = dice.below(40) as u8;
    let (addr, len) = match dice.below(6) {
        0 | 1 => (Ipv4Addr::new(10, 0, 0, low).to_ipv6_mapped(), 128),
        2 => (Ipv4Addr::new(10, low, 0, 0).to_ipv6_mapped(), 112 + dice.below(16) as u8),
        3 => (Ipv6Addr::from(0xfd00_u128 << 112 | u128::from(low)), 128),
        4 => (Ipv6Addr::from(u128::from(0xfd00 + dice.below(4)) << 112), 16 + dice.below(112) as u8),
        _ => (Ipv6Addr::from(u128::from(dice.number()) << 64), dice.below(256) as u8),
    };
    let verb = dice.below(5) as u8;
    [&addr.octets()[..], &[len, verb, 0, 0]].concat()
}

/// Another namespace, name, MTU, address or master for a slave.
fn set(dice: &mut Dice, world: &World) -> Message {
    let up = (dice.below(2) == 0).then(|| dice.below(3) > 0);
    let mut message = Message::link(SET_LINK, 0, slave(dice), up);
    match dice.below(6) {
        0 | 1 => message.put(NET_NS_FD, &a_namespace(dice, world)),
        2 => message.put(NAME, &name(dice)),
        3 => message.put(MTU, &dice.below(3000).to_ne_bytes()),
        4 => message.put(ADDRESS, &dice.bytes(8)),
        _ => message.put(MASTER, &a_master(dice).to_ne_bytes()),
    }
    message
}

fn delete(dice: &mut Dice) -> Message {
    let mut message = Message::link(DEL_LINK, 0, if dice.below(3) == 0 { 0 } else { slave(dice) }, None);
    if dice.below(3) == 0 {
        message.put(NAME, &name(dice));
    }
    message
}

fn address(dice: &mut Dice, kind: u16) -> Message {
    let low = dice.below(40) as u8;
    let address: IpAddr = match dice.below(5) {
        0 | 1 => Ipv4Addr::new(10, 0, 0, low).into(),
        2 => Ipv6Addr::from(0xfd00_u128 << 112 | u128::from(low)).into(),
        3 => Ipv6Addr::from(0xff02_u128 << 112 | u128::from(low)).into(),
        _ => Ipv4Addr::from(dice.number()).into(),
    };
    let index = if dice.below(6) == 0 { GOOD } else { slave(dice) };
    Message::address(kind, index, address, dice.below(34) as u8)
}

/// The good master changes, or becomes something else: a bridge's port, another namespace's.
fn master(dice: &mut Dice) -> Message {
    let up = (dice.below(2) == 0).then(|| dice.below(4) > 0);
    let mut message = Message::link(SET_LINK, 0, if dice.below(4) == 0 { a_master(dice) } else { GOOD }, up);
    match dice.below(5) {
        0 => message.put(MTU, &(1280 + dice.below(300)).to_ne_bytes()),
        1 => message.put(ADDRESS, &[2, 0, 0, 0, 1, dice.below(4) as u8]),
        2 => message.put(MASTER, &[12u32, 0][dice.below(2) as usize].to_ne_bytes()),
        3 => message.put(ADDRESS, &dice.bytes(8)),
        _ => (),
    }
    message
}

/// Some bytes behind the header change, go, or come.
fn spoil(dice: &mut Dice, bytes: &mut Vec<u8>) {
    const HEADER: usize = 16;
    for _ in 0..=dice.below(3) {
        let room = bytes.len() - HEADER;
        let at = HEADER + dice.below(room.max(1) as u32) as usize;
        match dice.below(4) {
            0 => bytes.truncate(at.max(HEADER)),
            1 => bytes.extend(dice.bytes(40)),
            // An attribute's length lies at a multiple of four.
            2 if at / 4 * 4 + 2 <= bytes.len() => bytes[at / 4 * 4] = dice.below(256) as u8,
            _ if at < bytes.len() => bytes[at] = dice.below(256) as u8,
            _ => (),
        }
    }
}

/// Random numbers that a seed repeats (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    /// Any number.
    pub fn number(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as u32
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        self.number() % end
    }

    fn bytes(&mut self, end: u32) -> Vec<u8> {
        (0..self.below(end)).map(|_| self.number() as u8).collect()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u32 + 1) as usize);
        }
    }
}
