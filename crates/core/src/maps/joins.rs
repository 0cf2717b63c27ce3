//! Has any slave joined multicast groups that are not in `GROUPS` yet?
//!
//! The map `JOINS` has two counts: of joins, which grows at the moment of each, and what that count was when the agent last
//! read which groups the slaves had joined. Each has one writer only. While they differ, a slave may be in any group.

/// Where the count of joins is.
pub const JOINED: u32 = 0;
/// Where the count of those that the agent has seen is.
pub const SEEN: u32 = 1;
/// How many counts the map has.
pub const JOINS_LEN: u32 = 2;
