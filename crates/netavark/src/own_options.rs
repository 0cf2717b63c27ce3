//! Which options of a network does only this door have?

/// The metric of the default routes.
pub const METRIC: &str = "metric";
/// Whether containers get no default route.
pub const NO_DEFAULT_ROUTE: &str = "no_default_route";
/// What becomes of a MAC address that a user asks for.
pub const MAC: &str = "mac";
/// All of them.
pub const OWN_OPTIONS: [&str; 3] = [METRIC, NO_DEFAULT_ROUTE, MAC];
