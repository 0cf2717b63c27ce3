//! How is a slave stored in the map's word, and which part do commands and the agent write?
//!
//! Commands write the [`Options`], whether its rate is limited and whether it has a policy, the agent writes the [`State`].
//! Each leaves the other's part unchanged, by [`Slave::with_options`], [`Slave::with_limit`], [`Slave::with_policy`] or
//! [`Slave::with_state`].

use crate::abi::IfIndex;
use crate::options::{Dhcp, Flag, Guard, HostAccess, Mode, NeighProxy, Options, Siblings};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One slave, in one machine word: a change is a single write, so no packet sees half of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct Slave {
    /// The ifindex of its host end; 0 where there is no slave.
    pub host_end: IfIndex,
    bits: u32,
}

/// What the agent finds of a slave's devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether the slave, its host end and the master are up, so that frames for it are delivered.
    pub up: bool,
    /// Whether the slave is in the netns of its master, where `bpf_redirect_peer` does not reach it.
    pub local: bool,
    /// Whether frames for it must pass its host end's queue, which limits its bandwidth.
    pub queued: bool,
    /// Whether it gets every multicast frame, whatever it has joined: it asks for that, or its groups are not known (yet).
    pub all_groups: bool,
}

const UP: u32 = 1 << 7;
const LOCAL: u32 = 1 << 8;
const ALL_GROUPS: u32 = 1 << 9;
const QUEUED: u32 = 1 << 11;
/// Neither options nor the agent's: the slave has a policy.
const POLICED: u32 = 1 << 27;
/// What the slave sends is limited, by its entry in the map `RATES`.
const LIMITED: u32 = 1 << 28;
/// Derived from the options: l3s without `siblings direct`. One bit instead of two comparisons.
const HOOKED: u32 = 1 << 30;

impl Slave {
    /// No slave at all.
    pub const VACANT: Self = Self { host_end: IfIndex::NONE, bits: 0 };

    /// The word for the slave behind `host_end`.
    pub fn new(host_end: IfIndex, options: Options, state: State) -> Self {
        let State { up, local, queued, all_groups } = state;
        let hooked = options.mode == Mode::L3s && options.siblings == Siblings::Host;
        let found = bit(up, UP) | bit(local, LOCAL) | bit(queued, QUEUED) | bit(all_groups, ALL_GROUPS);
        Self { host_end, bits: options.bits() | found | bit(hooked, HOOKED) }
    }

    /// What commands have written.
    pub fn options(self) -> Options {
        Options::of(self.bits)
    }

    /// The same, with the host access that an l3s slave always has.
    pub fn options_in_effect(self) -> Options {
        let options = self.options();
        Options { host: if self.host() { HostAccess::On } else { options.host }, ..options }
    }

    /// What the agent has written.
    pub fn state(self) -> State {
        State {
            up: self.up(),
            local: self.local(),
            queued: self.bits & QUEUED != 0,
            all_groups: self.bits & ALL_GROUPS != 0,
        }
    }

    /// The same slave with other options. In another mode it gets every multicast frame until the agent knows its groups.
    pub fn with_options(self, options: Options) -> Self {
        let state = self.state();
        let all_groups = state.all_groups || options.mode != self.mode();
        self.keeping(Self::new(self.host_end, options, State { all_groups, ..state }))
    }

    /// The same slave in another state.
    pub fn with_state(self, state: State) -> Self {
        self.keeping(Self::new(self.host_end, self.options(), state))
    }

    /// The same slave with or without a limit of what it sends.
    pub fn with_limit(self, limited: bool) -> Self {
        Self { bits: self.bits & !LIMITED | bit(limited, LIMITED), ..self }
    }

    /// The same slave with a policy, or without one.
    pub fn with_policy(self, policed: bool) -> Self {
        Self { bits: self.bits & !POLICED | bit(policed, POLICED), ..self }
    }

    /// The other word, with what neither options nor state say as this one has it.
    fn keeping(self, other: Self) -> Self {
        Self { bits: other.bits | self.bits & (LIMITED | POLICED), ..other }
    }

    /// Whether it has a policy.
    pub fn has_policy(self) -> bool {
        self.has(POLICED)
    }

    /// Whether what it sends is limited.
    #[inline(always)]
    pub fn is_limited(self) -> bool {
        self.has(LIMITED)
    }

    /// Whether there is no slave.
    #[inline(always)]
    pub fn is_vacant(self) -> bool {
        self.host_end == IfIndex::NONE
    }

    /// l2, l3 or l3s.
    #[inline(always)]
    pub fn mode(self) -> Mode {
        Mode::of(self.bits)
    }

    /// bridge, vepa or private.
    #[inline(always)]
    pub fn flag(self) -> Flag {
        Flag::of(self.bits)
    }

    /// Which source addresses the slave may use.
    #[inline(always)]
    pub fn guard(self) -> Guard {
        Guard::of(self.bits)
    }

    /// Whether it has no guard. One comparison, where [`Slave::guard`] takes several.
    #[inline(always)]
    pub(crate) fn is_unguarded(self) -> bool {
        self.matches(Guard::MASK, Guard::Off.bits())
    }

    /// Whether its guard is a strict one: these, and no others, have the lowest bit.
    #[inline(always)]
    pub(crate) fn is_strictly_guarded(self) -> bool {
        self.has(Guard::Strict.bits())
    }

    /// Whether a frame from it needs more than a look at its source: its guard is a strict one, or its rate is limited. One
    /// comparison, so that a slave without a limit costs no more.
    #[inline(always)]
    pub(crate) fn is_strict_or_limited(self) -> bool {
        self.has(Guard::Strict.bits() | LIMITED)
    }

    /// Whether host and slave reach each other: the option, or l3s, where packets pass the host's stack anyway.
    #[inline(always)]
    pub fn host(self) -> bool {
        self.has(HostAccess::MASK) || self.mode() == Mode::L3s
    }

    /// Whether its DHCP client is helped: in l2, unless it has `dhcp off`.
    #[inline(always)]
    pub fn has_dhcp(self) -> bool {
        self.matches(Mode::MASK | Dhcp::MASK, Mode::L2.bits() | Dhcp::On.bits())
    }

    /// See [`State::up`].
    #[inline(always)]
    pub fn up(self) -> bool {
        self.has(UP)
    }

    /// Whether it is up and has flag bridge: nothing that comes for it from outside needs a closer look.
    #[inline(always)]
    pub(crate) fn is_up_and_bridged(self) -> bool {
        self.matches(Flag::MASK | UP, UP)
    }

    /// Mask and value of a slave that is in l2 and up, see [`Slave::matches`].
    pub(crate) const L2_AND_UP: (u32, u32) = (Mode::MASK | UP, UP);
    /// The same, with flag bridge.
    pub(crate) const L2_AND_UP_BRIDGE: (u32, u32) = (Mode::MASK | UP | Flag::MASK, UP);
    /// The same, with flag vepa.
    pub(crate) const L2_AND_UP_VEPA: (u32, u32) = (Mode::MASK | UP | Flag::MASK, UP | Flag::Vepa.bits());
    /// The same, without flag private.
    pub(crate) const L2_AND_UP_NOT_PRIVATE: (u32, u32) = (Mode::MASK | UP | Flag::Private.bits(), UP);

    /// Whether frames to `sibling` are delivered directly: both have flag bridge, neither reaches siblings by the host's
    /// stack, and the sibling is up.
    #[inline(always)]
    pub(crate) fn reaches_directly(self, sibling: Self) -> bool {
        self.matches(Flag::MASK | HOOKED, 0) && sibling.matches(Flag::MASK | HOOKED | UP, UP)
    }

    /// Whether it may take over an address from `owner` that is down, or does not answer for it: both have flag bridge, and
    /// its guard is no strict one.
    pub fn may_take_over_from(self, owner: Self) -> bool {
        (self.flag(), owner.flag()) == (Flag::Bridge, Flag::Bridge) && !self.is_strictly_guarded()
    }

    /// Whether its IP packets to siblings pass the host's stack and its netfilter hooks: in l3s, unless it has `siblings
    /// direct`.
    #[inline(always)]
    pub fn reaches_siblings_by_host(self) -> bool {
        self.has(HOOKED)
    }

    /// Whether ARP and neighbour discovery from the wire are answered for it: it has `neigh proxy`, is up and not in l2.
    #[inline(always)]
    pub fn is_proxied(self) -> bool {
        let wanted = NeighProxy::Proxy.bits() | UP;
        self.matches(wanted, wanted) && self.mode() != Mode::L2
    }

    /// The property of a slave that gets frames which need no membership, see [`Slave::has`].
    pub(crate) const UP: u32 = UP;
    /// The property of a slave that gets every multicast frame, see [`State::all_groups`].
    pub(crate) const ALL_GROUPS: u32 = ALL_GROUPS;

    /// Whether the slave has one of these properties.
    #[inline(always)]
    pub(crate) fn has(self, properties: u32) -> bool {
        self.bits & properties != 0
    }

    /// Whether the slave's properties, masked by `mask`, are `want`.
    #[inline(always)]
    pub(crate) fn matches(self, mask: u32, want: u32) -> bool {
        self.bits & mask == want
    }

    /// Whether the slave is in the netns of its master.
    #[inline(always)]
    pub fn local(self) -> bool {
        self.has(LOCAL)
    }

    /// Whether frames for the slave go through its host end: `bpf_redirect_peer` does not reach it, or would bypass the host
    /// end's queue, or the program there that asks the slave's policy.
    #[inline(always)]
    pub fn by_host_end(self) -> bool {
        self.has(LOCAL | QUEUED | POLICED)
    }
}

fn bit(on: bool, bit: u32) -> u32 {
    if on { bit } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: State = State { up: true, local: false, queued: false, all_groups: false };

    #[test]
    fn a_slave_survives_packing() {
        for (mode, flag, guard) in [
            (Mode::L2, Flag::Bridge, Guard::Owned),
            (Mode::L3, Flag::Vepa, Guard::Strict),
            (Mode::L3s, Flag::Private, Guard::Off),
        ] {
            let given = Options { mode, flag, guard, host: HostAccess::On, ..Options::DEFAULT };
            let options = Options { siblings: Siblings::Direct, ..given };
            let state = State { local: true, all_groups: true, queued: true, ..State::default() };
            let slave = Slave::new(IfIndex(7), options, state);
            assert_eq!((slave.options(), slave.state(), slave.host_end), (options, state, IfIndex(7)));
        }
    }

    #[test]
    fn a_policy_outlives_changes_of_the_rest_and_leads_through_the_host_end() {
        let slave = Slave::new(IfIndex(7), Options::DEFAULT, UP);
        let policed = slave.with_policy(true);
        assert!(!slave.by_host_end() && policed.by_host_end() && policed.has_policy());
        let changed = policed.with_options(Options { mode: Mode::L2, ..Options::DEFAULT }).with_state(State::default());
        assert!(changed.has_policy() && !changed.with_policy(false).has_policy());
        assert_eq!((policed.options(), policed.state()), (slave.options(), slave.state()));
    }

    #[test]
    fn strict_guards_and_no_others_have_the_lowest_bit() {
        for guard in [Guard::Owned, Guard::Strict, Guard::Router, Guard::Declared, Guard::Off] {
            let slave = Slave::new(IfIndex(7), Options { guard, ..Options::DEFAULT }, UP);
            let strict = matches!(guard, Guard::Strict | Guard::Router | Guard::Declared);
            assert_eq!((slave.is_strictly_guarded(), slave.is_unguarded()), (strict, guard == Guard::Off), "{guard:?}");
        }
    }

    #[test]
    fn each_writer_leaves_the_others_part_as_it_is() {
        let slave = Slave::new(IfIndex(7), Options { guard: Guard::Strict, ..Options::DEFAULT }, UP);
        let options = Options { neigh: NeighProxy::Proxy, ..Options::DEFAULT };
        assert_eq!(slave.with_options(options), Slave::new(IfIndex(7), options, UP));
        let state = State { queued: true, ..State::default() };
        assert_eq!(slave.with_state(state), Slave::new(IfIndex(7), slave.options(), state));
    }

    #[test]
    fn a_limit_is_left_alone_by_whatever_else_is_written() {
        let limited = Slave::new(IfIndex(7), Options::DEFAULT, UP).with_limit(true);
        assert!(limited.with_options(Options { mode: Mode::L2, ..Options::DEFAULT }).is_limited());
        assert!(limited.with_state(State::default()).is_limited() && !limited.with_limit(false).is_limited());
        assert_eq!((limited.options(), limited.state()), (Options::DEFAULT, UP));
    }

    #[test]
    fn in_another_mode_a_slave_gets_all_groups_at_first() {
        let slave = Slave::new(IfIndex(7), Options::DEFAULT, UP);
        let moved = slave.with_options(Options { mode: Mode::L2, ..Options::DEFAULT });
        assert!(moved.state().all_groups && !slave.with_options(Options::DEFAULT).state().all_groups);
    }

    #[test]
    fn only_an_l3s_slave_that_does_not_allow_the_direct_way_meets_siblings_by_the_host() {
        for mode in [Mode::L2, Mode::L3, Mode::L3s] {
            for siblings in [Siblings::Host, Siblings::Direct] {
                let options = Options { mode, siblings, host: HostAccess::On, ..Options::DEFAULT };
                let slave = Slave::new(IfIndex(7), options, UP);
                let by_host = mode == Mode::L3s && siblings == Siblings::Host;
                assert_eq!(
                    (slave.reaches_siblings_by_host(), slave.reaches_directly(slave)),
                    (by_host, !by_host),
                    "{options:?}"
                );
                assert_eq!(slave.options().siblings, siblings, "kept in every mode");
            }
        }
    }

    #[test]
    fn only_an_unrestricted_sibling_that_reaches_the_owner_may_take_over() {
        let slave = |flag, guard| Slave::new(IfIndex(7), Options { flag, guard, ..Options::DEFAULT }, UP);
        let owner = slave(Flag::Bridge, Guard::Strict);
        for (guard, may) in [
            (Guard::Off, true),
            (Guard::Owned, true),
            (Guard::Strict, false),
            (Guard::Router, false),
            (Guard::Declared, false),
        ] {
            assert_eq!(slave(Flag::Bridge, guard).may_take_over_from(owner), may, "{guard:?}");
        }
        for flag in [Flag::Private, Flag::Vepa] {
            assert!(!slave(flag, Guard::Owned).may_take_over_from(owner), "{flag:?}");
            assert!(!slave(Flag::Bridge, Guard::Owned).may_take_over_from(slave(flag, Guard::Owned)), "{flag:?}");
        }
    }

    #[test]
    fn a_slave_is_one_word_and_options_leave_the_states_bits_alone() {
        assert_eq!(size_of::<Slave>(), 8);
        let state = super::UP | LOCAL | ALL_GROUPS | QUEUED | HOOKED | LIMITED | POLICED;
        assert!(crate::OPTIONS.iter().all(|entry| entry.mask & state == 0));
    }
}
