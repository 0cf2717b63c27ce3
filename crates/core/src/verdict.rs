//! What may become of a frame, and for which reasons may it be dropped?

use crate::abi::Slot;
use crate::options::Flag;
use core::fmt;

/// What becomes of one frame: an [`Action`], packed into one machine word.
///
/// It is not the enum itself because the eBPF programs pass it from function to function. The fields that a variant of an
/// enum does not have are registers that were never written, and the verifier refuses a program that copies one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Verdict(u64);

/// A [`Verdict`], unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To one slave only.
    Deliver(Slot),
    /// A copy to each of several slaves, and the frame itself where [`Flood::then`] says.
    Flood(Flood),
    /// Out of the master as it is.
    Wire,
    /// Out by the host's routing table (l3).
    Route,
    /// Out of the master to its destination as a neighbour, without the host's routing table (l3, vepa).
    OnLink,
    /// Up the host's stack.
    Host,
    /// Back to the slave, or the node outside, that sent it, as the [reply](crate::Reply) to what it asks.
    Answer,
    /// Dropped, and counted by its reason.
    Drop(Reason),
}

const DELIVER: u64 = 1;
const FLOOD: u64 = 2;
const WIRE: u64 = 3;
const ROUTE: u64 = 4;
const ON_LINK: u64 = 5;
const HOST: u64 = 6;
const ANSWER: u64 = 7;
const DROP: u64 = 8;

impl Verdict {
    /// The verdict as two 32-bit words, the lower half first: the size of a word in the eBPF programs' context.
    #[inline(always)]
    pub fn words(self) -> [u32; 2] {
        [self.0 as u32, (self.0 >> 32) as u32]
    }

    /// The verdict that [`Verdict::words`] gave.
    #[inline(always)]
    pub fn from_words([low, high]: [u32; 2]) -> Self {
        Self(u64::from(low) | u64::from(high) << 32)
    }

    /// The action that was packed.
    #[inline(always)]
    pub fn action(self) -> Action {
        let argument = (self.0 >> 32) as u32;
        match self.0 & 0xff {
            DELIVER => Action::Deliver(Slot(argument)),
            FLOOD => Action::Flood(Flood { from: Slot(argument), to: self.flood_to(), then: self.then() }),
            WIRE => Action::Wire,
            ROUTE => Action::Route,
            ON_LINK => Action::OnLink,
            HOST => Action::Host,
            ANSWER => Action::Answer,
            _ => Action::Drop(Reason::from_number(argument)),
        }
    }

    /// Whether the frame is dropped. The upper word is then the reason's number.
    #[inline(always)]
    pub fn is_drop(self) -> bool {
        self.0 & 0xff == DROP
    }

    /// Whether the frame is flooded.
    #[inline(always)]
    pub fn is_flood(self) -> bool {
        self.0 & 0xff == FLOOD
    }

    /// Where the frame itself goes after its copies, if it is a flood.
    #[inline(always)]
    pub fn then(self) -> FloodThen {
        match self.0 >> 8 & 0xf {
            0 => FloodThen::Wire,
            1 => FloodThen::WireAndHost,
            2 => FloodThen::Host,
            _ => FloodThen::Nowhere,
        }
    }

    #[inline(always)]
    fn flood_to(self) -> FloodTo {
        match self.0 >> 12 & 0xf {
            0 => FloodTo::Nobody,
            1 => FloodTo::All,
            2 => FloodTo::Bridged,
            3 => FloodTo::Reflected(Flag::Bridge),
            4 => FloodTo::Reflected(Flag::Vepa),
            5 => FloodTo::Reflected(Flag::Private),
            _ => FloodTo::One(Slot((self.0 >> 16) as u32 & 0xffff)),
        }
    }
}

impl From<Action> for Verdict {
    #[inline(always)]
    fn from(action: Action) -> Self {
        Self(match action {
            Action::Deliver(slot) => DELIVER | u64::from(slot.0) << 32,
            Action::Flood(Flood { from, to, then }) => {
                FLOOD | (then as u64) << 8 | to.bits() << 12 | u64::from(from.0) << 32
            }
            Action::Wire => WIRE,
            Action::Route => ROUTE,
            Action::OnLink => ON_LINK,
            Action::Host => HOST,
            Action::Answer => ANSWER,
            Action::Drop(reason) => DROP | (reason as u64) << 32,
        })
    }
}

impl From<Reason> for Verdict {
    #[inline(always)]
    fn from(reason: Reason) -> Self {
        Action::Drop(reason).into()
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.action().fmt(f)
    }
}

/// A frame for several receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood {
    /// The sender, which gets no copy; [`crate::WIRE`] if it is outside.
    pub from: Slot,
    /// Which slaves get a copy.
    pub to: FloodTo,
    /// Where the frame goes after its copies.
    pub then: FloodThen,
}

/// Which slaves get a copy of a flooded frame. The sender never gets one, nor a slave that is down or not in l2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloodTo {
    /// None.
    Nobody,
    /// This one.
    One(Slot),
    /// All: the frame comes from outside.
    All,
    /// Those with flag bridge, which the sender has too.
    Bridged,
    /// Those that the frame reaches only by way of the switch, given its sender's flag: one of the two has vepa, neither
    /// has private.
    Reflected(Flag),
}

/// Where a flooded frame itself goes after its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloodThen {
    /// Out of the master.
    Wire,
    /// Out of the master, and a copy up the host's stack.
    WireAndHost,
    /// Up the host's stack.
    Host,
    /// Nowhere: the copies were all.
    Nowhere,
}

impl FloodTo {
    #[inline(always)]
    fn bits(self) -> u64 {
        match self {
            Self::Nobody => 0,
            Self::All => 1,
            Self::Bridged => 2,
            Self::Reflected(flag) => 3 + flag as u64,
            Self::One(Slot(slot)) => 6 | u64::from(slot) << 4,
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $text:literal;)+) => {
        /// Why a frame was dropped. The number is the counter's index and never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum Reason { $($(#[doc = $doc])+ $name = $number,)+ }

        impl Reason {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The name that statistics and tests use.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The reason with this number; [`Reason::ActionFailed`] for a number that only a newer version has.
            #[inline(always)]
            pub fn from_number(number: u32) -> Self {
                match number { $($number => Self::$name,)+ _ => Self::ActionFailed }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

reasons! {
    /// It ends before its headers do.
    Truncated = 0, "truncated";
    /// A header contradicts itself or the frame's length.
    Malformed = 1, "malformed";
    /// A slave sent it with a tag: of a VLAN or of a provider's network.
    Tagged = 2, "tagged";
    /// A slave sent it with a source MAC address that is not the master's.
    ForeignMac = 3, "foreign-mac";
    /// Its source address belongs to the host.
    SpoofedHost = 4, "spoofed-host";
    /// Its source address belongs to another slave.
    SpoofedSlave = 5, "spoofed-slave";
    /// Its source address is not the slave's, and the guard is strict.
    NotOwned = 6, "not-owned";
    /// It is not IP, and there is nobody to give it to.
    NotIp = 7, "not-ip";
    /// A MAC control frame (PAUSE), which a slave may not send.
    MacControl = 8, "mac-control";
    /// Multicast or broadcast, which l3 and l3s do not carry.
    Multicast = 9, "multicast";
    /// Sender or receiver has flag private.
    Private = 10, "private";
    /// The slave that owns the address is down.
    SlaveDown = 11, "slave-down";
    /// It needs the host's stack (it is for the host or an l3s sibling), and there is no host access.
    NoHostAccess = 12, "no-host-access";
    /// It would go back to the slave that sent it.
    OwnFrame = 13, "own-frame";
    /// The host end has no entry in the table.
    NoSlave = 14, "no-slave";
    /// The master has left the netns.
    MasterGone = 15, "master-gone";
    /// The host's routing table has no route, or the address is the host's.
    NoRoute = 16, "no-route";
    /// A blackhole route.
    Blackhole = 17, "blackhole";
    /// An unreachable route.
    Unreachable = 18, "unreachable";
    /// A prohibit route.
    Prohibit = 19, "prohibit";
    /// It exceeds the MTU of the master or of its route.
    TooBig = 20, "too-big";
    /// The route needs something that only the host's own stack can do.
    RouteType = 21, "route-type";
    /// The sender's limit of copies is used up; the wire still gets the frame, its siblings do not.
    FloodLimit = 22, "flood-limit";
    /// A copy could not be made.
    CloneFailed = 23, "clone-failed";
    /// It came back from the switch, and its sender is unknown.
    Reflected = 24, "reflected";
    /// The kernel refused what the verdict asked for.
    ActionFailed = 25, "action-failed";
    /// An l2 slave sent it to the shared MAC address, and neither a slave nor the host owns its destination.
    Undeclared = 26, "undeclared";
    /// It is neither IP nor ARP, and the sender's guard is strict.
    ForeignProtocol = 27, "foreign-protocol";
    /// It has no source address, a station without one does not need it, and the sender's guard is strict.
    UnspecifiedSource = 28, "unspecified-source";
    /// It is a router's or a DHCP server's message, and the sender's guard is strict and not `router`.
    NotARouter = 29, "not-a-router";
    /// Its source address is not declared for the slave, and the guard is `declared`.
    NotDeclared = 30, "not-declared";
    /// An ICMP redirect from outside that names a sibling, to a slave that reaches siblings only by the outside.
    SiblingRedirect = 31, "sibling-redirect";
    /// Its sender has used up the rate at which it may send.
    RateLimit = 32, "rate-limit";
    /// The policy of the slave that sends it, or that is to receive it, does not let it pass.
    Policy = 33, "policy";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_survives_packing() {
        let slot = Slot(4095);
        let receivers = [FloodTo::Nobody, FloodTo::One(slot), FloodTo::All, FloodTo::Bridged];
        let reflected = [Flag::Bridge, Flag::Vepa, Flag::Private].map(FloodTo::Reflected);
        let thens = [FloodThen::Wire, FloodThen::WireAndHost, FloodThen::Host, FloodThen::Nowhere];
        let floods = receivers
            .into_iter()
            .chain(reflected)
            .flat_map(|to| thens.map(|then| Action::Flood(Flood { from: Slot(4096), to, then })));
        let rest = [Action::Deliver(slot), Action::Wire, Action::Route, Action::OnLink, Action::Host, Action::Answer];
        let drops = Reason::ALL.iter().map(|reason| Action::Drop(*reason));
        for action in floods.chain(rest).chain(drops) {
            assert_eq!(Verdict::from(action).action(), action);
            assert_eq!(Verdict::from_words(Verdict::from(action).words()).action(), action);
        }
    }

    #[test]
    fn a_reasons_number_is_its_place() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, place);
            assert_eq!(Reason::from_number(place as u32), *reason);
        }
    }
}
