//! Which way does a packet go?

/// In a rule: it is about what the slave receives.
pub(super) const IN: u8 = 1;
/// It is about what the slave sends.
pub(super) const OUT: u8 = 2;

/// Which way a packet goes, seen from the slave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the slave.
    In,
    /// From it.
    Out,
}

impl Direction {
    /// `in` or `out`, as rules have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// The other one.
    #[inline(always)]
    pub fn reversed(self) -> Self {
        match self {
            Self::In => Self::Out,
            Self::Out => Self::In,
        }
    }

    #[inline(always)]
    pub(super) fn bit(self) -> u8 {
        match self {
            Self::In => IN,
            Self::Out => OUT,
        }
    }
}
