//! Which options may a slave of the module be given, and which does it have?
//!
//! Mode and flag have the kernel's own attributes; the rest is one attribute of ours, a word as in core with a selector of
//! the options that are given.

use crate::declared::Declaration;
use core::ffi::{CStr, c_char};
use ipvl_core::{Dhcp, Flag, IfIndex, Mode, OPTIONS, OptionKey, Options, Siblings, Slave, State};

/// `struct ipvl_request` in C: what a netlink message says of a slave.
#[repr(C)]
pub struct Request {
    /// `IPVLAN_MODE_*`, or [`NOT_GIVEN`].
    mode: u32,
    /// `IPVLAN_F_*`, or [`NOT_GIVEN`].
    flags: u32,
    /// The values of options.
    value: u32,
    /// The bits of the options that are given.
    selector: u32,
    /// What is declared or withdrawn; null for nothing.
    declared: *const Declaration,
}

/// `struct ipvl_answer` in C: an errno, and what to say about it (null for nothing).
#[repr(C)]
pub struct Answer {
    errno: i32,
    text: *const c_char,
}

impl Answer {
    /// It can be done.
    pub const YES: Self = Self { errno: 0, text: core::ptr::null() };

    /// Another slave has the address, or the host.
    pub const IN_USE: Self = Self::no(EADDRINUSE, c"Address already assigned to an ipvlan device");
    /// The slave's netns has no room.
    pub const QUOTA: Self = Self::no(EDQUOT, c"the slaves of this namespace have 4096 addresses, all that they may");
    /// There is no memory.
    pub const NO_MEMORY: Self = Self { errno: -ENOMEM, ..Self::YES };

    /// It cannot, and why.
    pub const fn no(errno: i32, text: &'static CStr) -> Self {
        Self { errno: -errno, text: text.as_ptr() }
    }
}

const NOT_GIVEN: u32 = u32::MAX;
/// There is no memory.
pub const ENOMEM: i32 = 12;
const EINVAL: i32 = 22;
/// Another has the address.
pub const EADDRINUSE: i32 = 98;
/// There is no room for more.
pub const EDQUOT: i32 = 122;

/// What a slave has of which nothing is said. As in the C driver, l3s slaves reach each other directly, and DHCP messages are
/// frames like others.
const DEFAULT: Options = Options { siblings: Siblings::Direct, dhcp: Dhcp::Off, ..Options::DEFAULT };

const OWN_ATTRIBUTES: u32 = mask(OptionKey::Mode) | mask(OptionKey::Flag);

const fn mask(key: OptionKey) -> u32 {
    OPTIONS[key as usize].mask
}

/// The options that are ours: those in the attribute.
fn ours() -> u32 {
    OPTIONS.iter().fold(0, |all, entry| all | entry.mask) & !OWN_ATTRIBUTES
}

/// What is wrong with a request; errno 0 if it can be carried out.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_options_check(request: &Request) -> Answer {
    match request.problem() {
        None => Answer::YES,
        Some((errno, None)) => Answer { errno: -errno, ..Answer::YES },
        Some((errno, Some(text))) => Answer::no(errno, text),
    }
}

/// The options that a slave has before it is given any.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_options_default() -> u32 {
    DEFAULT.bits()
}

/// A slave's options after a request that was checked.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_options_changed(options: u32, request: &Request) -> u32 {
    let kept = Options::of(options & !request.selector | request.value & request.selector);
    let mode = mode(request.mode).unwrap_or(kept.mode);
    let flag = flag(request.flags).unwrap_or(kept.flag);
    Options { mode, flag, ..kept }.bits()
}

/// The flags of a slave as `IPVLAN_F_*`.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_options_flags(options: u32) -> u16 {
    Options::of(options).flag.in_ipvlan()
}

/// The bits of the options that are in our attribute.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_options_ours() -> u32 {
    ours()
}

/// Whether host and slave reach each other.
#[unsafe(no_mangle)]
pub extern "C" fn ipvl_options_host(options: u32) -> bool {
    Slave::new(IfIndex::NONE, Options::of(options), State::default()).host()
}

impl Request {
    fn problem(&self) -> Option<(i32, Option<&'static CStr>)> {
        if self.mode != NOT_GIVEN && mode(self.mode).is_none() || self.flags != NOT_GIVEN && flag(self.flags).is_none()
        {
            return Some((EINVAL, None));
        }
        if self.selector & OWN_ATTRIBUTES != 0 {
            return Some((EINVAL, Some(c"mode and flag are set by IFLA_IPVLAN_MODE and IFLA_IPVLAN_FLAGS")));
        }
        if self.value & !self.selector != 0 || !are_whole(self.selector) {
            return Some((
                EINVAL,
                Some(c"no such option: the selector must have all bits of each option that is given"),
            ));
        }
        let wanted = DEFAULT.bits() & !self.selector | self.value;
        if Options::of(wanted).bits() != wanted {
            return Some((EINVAL, Some(c"no such value of an option")));
        }
        // SAFETY: null, or C's, which has seen that all of it is there.
        let declared = unsafe { self.declared.as_ref() }?;
        if self.mode != NOT_GIVEN || self.flags != NOT_GIVEN || self.selector != 0 {
            return Some((EINVAL, Some(c"a message declares an address, or sets mode, flag and options")));
        }
        declared.problem().map(|text| (EINVAL, Some(text)))
    }
}

/// Whether a selector has each of our options with all of its bits or not at all, and nothing else.
fn are_whole(selector: u32) -> bool {
    let part = |mask| selector & mask != 0 && selector & mask != mask;
    selector & !ours() == 0 && !OPTIONS.iter().any(|entry| part(entry.mask))
}

fn mode(number: u32) -> Option<Mode> {
    Mode::of_ipvlan(number.try_into().ok()?)
}

fn flag(flags: u32) -> Option<Flag> {
    Flag::of_ipvlan(flags.try_into().ok()?)
}
