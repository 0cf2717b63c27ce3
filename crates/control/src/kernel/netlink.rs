//! How are links, addresses, routes and filters read and changed? By synchronous rtnetlink.

mod address;
mod create;
mod events;
mod inside_route;
mod ipvlan;
mod ipvlan_device;
mod link;
mod neighbour;
mod nftables;
mod nsid;
mod pair;
mod route;
mod route_get;
mod rule;
mod slave_route;
mod socket;
mod tbf;
mod tc;
mod uapi;
mod wire;

pub use address::AddressInfo;
pub use create::NewLink;
pub use events::{Event, Events, What};
pub use inside_route::{FROM_FILES, InsideRoute, RouteKind};
pub use ipvlan::{Declaration, Declare, IpvlanChange, IpvlanInfo};
pub use ipvlan_device::NewIpvlan;
pub use link::{AddrGenMode, LinkChange, LinkInfo};
pub use neighbour::Neighbour;
pub use pair::{NEW_GROUP, NewPair, PairSpec};
pub use route::RouteInfo;
pub use route_get::ChosenRoute;
pub use rule::InsideRule;
pub use slave_route::SlaveRoute;
pub use socket::Netlink;
pub use tc::{BpfFilter, FilterPoint};
