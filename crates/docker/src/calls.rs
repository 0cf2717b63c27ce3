//! Which calls does dockerd make, and which part of the driver does each reach?

use crate::driver::Driver;
use crate::error::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The function for a call: it reads the body and answers.
pub type Act = fn(&Driver, &[u8]) -> Result<Value>;

/// One of dockerd's calls.
pub struct Call {
    /// `/NetworkDriver.Join`.
    pub path: &'static str,
    /// What it does.
    pub act: Act,
    /// The function that undoes it, with the same body, if dockerd is gone before it has the answer.
    pub undo: Option<Act>,
}

/// All calls that the driver answers. Those for drivers of a swarm (`AllocateNetwork`, ...) and those about published ports
/// are not here: dockerd takes "404 Not Found" for "not needed". The scope is `local` in a swarm as well: each node assigns
/// addresses itself, from its own config-only network. `ConnectivityScope` has dockerd tell other nodes the names.
pub const CALLS: &[Call] = &[
    plain("/Plugin.Activate", |_, _| Ok(json!({ "Implements": ["NetworkDriver"] }))),
    plain("/NetworkDriver.GetCapabilities", |_, _| {
        Ok(json!({ "Scope": "local", "ConnectivityScope": "global", "GwAllocChecker": true }))
    }),
    plain("/NetworkDriver.GwAllocCheck", |driver, body| answer(&driver.check_gateway(&read(body)?)?)),
    Call { path: "/NetworkDriver.CreateNetwork", act: create_network, undo: Some(delete_network) },
    plain("/NetworkDriver.DeleteNetwork", delete_network),
    Call { path: "/NetworkDriver.CreateEndpoint", act: create_endpoint, undo: Some(delete_endpoint) },
    plain("/NetworkDriver.EndpointOperInfo", |driver, body| driver.endpoint_info(&read(body)?)),
    plain("/NetworkDriver.Join", |driver, body| answer(&driver.join(&read(body)?)?)),
    plain("/NetworkDriver.Leave", |driver, body| done(driver.leave(&read(body)?))),
    plain("/NetworkDriver.DeleteEndpoint", delete_endpoint),
    plain("/NetworkDriver.DiscoverNew", |_, _| done(Ok(()))),
    plain("/NetworkDriver.DiscoverDelete", |_, _| done(Ok(()))),
];

const fn plain(path: &'static str, act: Act) -> Call {
    Call { path, act, undo: None }
}

fn create_network(driver: &Driver, body: &[u8]) -> Result<Value> {
    done(driver.create_network(&read(body)?))
}

fn delete_network(driver: &Driver, body: &[u8]) -> Result<Value> {
    let request: crate::protocol::NetworkOnly = read(body)?;
    done(driver.delete_network(&request.network_id))
}

/// The answer must leave out what dockerd has decided itself.
fn create_endpoint(driver: &Driver, body: &[u8]) -> Result<Value> {
    driver.create_endpoint(&read(body)?)?;
    Ok(json!({ "Interface": {} }))
}

fn delete_endpoint(driver: &Driver, body: &[u8]) -> Result<Value> {
    done(driver.delete_endpoint(&read(body)?))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(Error::Request)
}

fn answer(reply: &impl Serialize) -> Result<Value> {
    serde_json::to_value(reply).map_err(Error::Request)
}

fn done(result: Result<()>) -> Result<Value> {
    result.map(|()| json!({}))
}
