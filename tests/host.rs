//! Does what the host decides hold for its slaves: its routes, rules, filters, proxies?

#[path = "host/connections.rs"]
mod connections;
#[path = "host/errors.rs"]
mod errors;
#[path = "host/filters.rs"]
mod filters;
#[path = "host/lab.rs"]
mod lab;
#[path = "host/marks.rs"]
mod marks;
#[path = "host/proxies.rs"]
mod proxies;
#[path = "host/queues.rs"]
mod queues;
#[path = "host/reflection.rs"]
mod reflection;
#[path = "host/routes.rs"]
mod routes;
#[path = "host/segments.rs"]
mod segments;
#[path = "host/storms.rs"]
mod storms;
#[path = "host/transfers.rs"]
mod transfers;
