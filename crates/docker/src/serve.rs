//! How does the driver receive dockerd's calls and answer them? HTTP on a Unix socket; each call in a thread of its own.

use crate::calls::{CALLS, Call};
use crate::driver::Driver;
use crate::endpoint;
use crate::error::Error;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::{Response, StatusCode, header};
use axum::routing::post;
use ipvl_control::{detach, input};
use serde_json::{Value, json};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";

/// Answers calls until `end`, and finishes those that have begun.
pub async fn serve(
    listener: UnixListener,
    driver: Driver,
    stale: Duration,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    tokio::spawn(clean_up(stale));
    axum::serve(listener, router(Arc::new(driver), stale)).with_graceful_shutdown(end).await
}

fn router(driver: Arc<Driver>, stale: Duration) -> Router {
    let mut router = Router::new();
    for call in CALLS {
        let driver = Arc::clone(&driver);
        let route = post(move |body: Bytes| {
            if call.path == "/Plugin.Activate" {
                // dockerd may have been restarted.
                tokio::spawn(clean_up(stale));
            }
            respond(driver, call, body)
        });
        router = router.route(call.path, route);
    }
    router.layer(DefaultBodyLimit::max(input::MOST as usize))
}

/// Lives until the answer is sent. If dockerd is gone by then, hyper drops it, and the thread sees that the connection is
/// closed.
async fn respond(driver: Arc<Driver>, call: &'static Call, body: Bytes) -> Response<Body> {
    let (answer, answered) = oneshot::channel();
    spawn_blocking(move || {
        let result = (call.act)(&driver, &body);
        if let Err(error) = &result {
            eprintln!("ipvl-docker: {}: {error}", call.path);
        }
        let succeeded = result.is_ok();
        if answer.send(result).is_err() && succeeded {
            take_back(&driver, call, &body);
        }
    });
    match answered.await {
        Ok(Ok(value)) => response(StatusCode::OK, &value),
        Ok(Err(error)) => response(status(&error), &json!({ "Err": error.to_string() })),
        Err(_) => response(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "Err": "ipvl-docker is ending" })),
    }
}

fn take_back(driver: &Driver, call: &Call, body: &[u8]) {
    let Some(undo) = call.undo else { return };
    match undo(driver, body) {
        Ok(_) => eprintln!("ipvl-docker: {}: dockerd closed the connection; the call was undone", call.path),
        Err(error) => {
            eprintln!("ipvl-docker: {}: dockerd closed the connection; cannot undo the call: {error}", call.path)
        }
    }
}

/// The status is 400 for a request that cannot be read. Every other error is in the body only.
fn status(error: &Error) -> StatusCode {
    if matches!(error, Error::Request(_)) { StatusCode::BAD_REQUEST } else { StatusCode::OK }
}

fn response(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(MEDIA_TYPE));
    response
}

/// Removes the slaves of endpoints that no container joined within a time in which any container would have started: the
/// dockerd that made them is gone.
async fn clean_up(stale: Duration) {
    let Ok(Ok(before)) = spawn_blocking(endpoint::unclaimed).await else { return };
    if before.is_empty() {
        return;
    }
    tokio::time::sleep(stale).await;
    let _ = spawn_blocking(move || {
        let after = endpoint::unclaimed().unwrap_or_default();
        for owner in before.iter().filter(|owner| after.contains(owner)) {
            match detach(owner) {
                Ok(_) => eprintln!("ipvl-docker: removed an endpoint that no container took: {owner}"),
                Err(error) => eprintln!("ipvl-docker: {error}"),
            }
        }
    })
    .await;
}
