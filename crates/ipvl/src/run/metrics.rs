//! How does a monitoring system get the metrics? Printed once, or over HTTP as often as it asks.

use super::output::show;
use crate::backend;
use crate::failure::Failure;
use crate::render::{MEDIA_TYPE, metrics};
use crate::serve::{Page, serve};
use ipvl_control::Names;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

/// What requests share.
static NAMES: Mutex<Option<Names>> = Mutex::new(None);

/// Prints the metrics, or serves them at this address until the process is ended.
pub fn run(listen: Option<SocketAddr>) -> Result<(), Failure> {
    let Some(address) = listen else { return show(&metrics(backend::overview(&mut Names::default())?)) };
    let page = Page { source, media_type: MEDIA_TYPE };
    let told = |address| eprintln!("ipvl metrics: http://{address}/metrics");
    match serve(address, page, told) {
        Ok(never) => match never {},
        Err(source) => Err(Failure::Listen { address, source }),
    }
}

fn source() -> Result<String, String> {
    let told = |error: backend::Error| {
        eprintln!("ipvl metrics: {error}");
        error.to_string()
    };
    // A panic while it was held leaves names that are read again.
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    backend::overview(names).map(metrics).map_err(told)
}
