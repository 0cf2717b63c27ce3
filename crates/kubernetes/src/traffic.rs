//! Which protocols and ports is a rule about?

use crate::objects::{NumberOrName, Port, Protocol};
use crate::refusal::Wrong;
use std::ops::RangeInclusive;

/// One protocol or all, and of it ports that connections are opened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Traffic {
    /// Its number.
    pub protocol: Option<u8>,
    ports: Option<(u16, u16)>,
}

/// The same, before it is known which number a name stands for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// This.
    Traffic(Traffic),
    /// What goes to the port with this name, which each pod may have another number for.
    Named(Protocol, String),
}

impl Traffic {
    /// Everything that is IP.
    pub const ANY: Self = Self { protocol: None, ports: None };

    /// What goes to this one port.
    pub fn to(protocol: Protocol, port: u16) -> Self {
        Self { protocol: Some(protocol.number()), ports: Some((port, port)) }
    }

    pub fn ports(self) -> Option<RangeInclusive<u16>> {
        self.ports.map(|(first, last)| first..=last)
    }
}

impl Protocol {
    fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl TryFrom<Port> for Wanted {
    type Error = Wrong;

    fn try_from(Port { protocol, port, end_port }: Port) -> Result<Self, Wrong> {
        let protocol = protocol.unwrap_or_default();
        let traffic = |ports| Ok(Self::Traffic(Traffic { protocol: Some(protocol.number()), ports }));
        match (port, end_port) {
            (Some(NumberOrName::Number(0)), _) => Err(Wrong::PortZero),
            (None, None) => traffic(None),
            (Some(NumberOrName::Number(port)), None) => traffic(Some((port, port))),
            (Some(NumberOrName::Number(first)), Some(last)) if first <= last => traffic(Some((first, last))),
            (Some(NumberOrName::Name(name)), None) => Ok(Self::Named(protocol, name)),
            (_, Some(last)) => Err(Wrong::EndPort(last)),
        }
    }
}
