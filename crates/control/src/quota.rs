//! How many addresses may the slaves of one netns have in a master's table, which all slaves share?

/// The agent's environment variable with another number.
pub const VARIABLE: &str = "IPVL_ADDRESS_QUOTA";
/// Without it.
pub const DEFAULT: usize = 4096;

/// What holds in this process.
pub fn own() -> usize {
    std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT)
}
