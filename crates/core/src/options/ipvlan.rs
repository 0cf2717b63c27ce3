//! Which numbers do modes and flags have in the kernel's own driver (`include/uapi/linux/if_link.h`)?

use super::{Flag, Mode};

const PRIVATE: u16 = 1;
const VEPA: u16 = 2;

impl Mode {
    /// `IPVLAN_MODE_*`.
    pub fn in_ipvlan(self) -> u16 {
        match self {
            Self::L2 => 0,
            Self::L3 => 1,
            Self::L3s => 2,
        }
    }

    /// The mode that has this number there.
    pub fn of_ipvlan(number: u16) -> Option<Self> {
        [Self::L2, Self::L3, Self::L3s].into_iter().find(|mode| mode.in_ipvlan() == number)
    }
}

impl Flag {
    /// `IPVLAN_F_*`; bridge is neither.
    pub fn in_ipvlan(self) -> u16 {
        match self {
            Self::Bridge => 0,
            Self::Private => PRIVATE,
            Self::Vepa => VEPA,
        }
    }

    /// The flag that has this number there.
    pub fn of_ipvlan(number: u16) -> Option<Self> {
        [Self::Bridge, Self::Private, Self::Vepa].into_iter().find(|flag| flag.in_ipvlan() == number)
    }
}
