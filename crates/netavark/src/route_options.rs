//! Which options of a network are about routes, not about slaves?

/// The metric of the default route.
pub const METRIC: &str = "metric";
/// Whether containers get no default route.
pub const NO_DEFAULT_ROUTE: &str = "no_default_route";
/// All of them.
pub const ROUTE_OPTIONS: [&str; 2] = [METRIC, NO_DEFAULT_ROUTE];
