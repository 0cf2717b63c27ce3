//! Which options of a network does only this door have?

/// The way out of the containers, instead of dockerd's own choice.
pub const GATEWAY: &str = "gateway";
/// What becomes of a MAC address that a user asks for.
pub const MAC: &str = "mac";
/// All of them.
pub const OWN_OPTIONS: [&str; 2] = [GATEWAY, MAC];
