//! What went wrong, in the runtime's form: a code of the specification, a message, what to do.

use ipvl_control::{Error, Refusal};
use serde_json::{Value, json};

/// The specification's codes, and ipvl's own from 100 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    IncompatibleVersion = 1,
    UnknownContainer = 3,
    Environment = 4,
    Io = 5,
    Decode = 6,
    Config = 7,
    TryAgain = 11,
    /// Nothing can be added now (1.1).
    NotAvailable = 50,
    /// The IPAM plugin cannot be run, or its answer is invalid.
    Ipam = 100,
    /// Another owner has the address.
    AddressInUse = 101,
    /// CHECK found another state than ADD left.
    NotAsAdded = 102,
    /// The kernel or the agent refused.
    Kernel = 103,
}

/// An error as it is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    code: u64,
    message: String,
    details: String,
}

impl Failure {
    /// An error with one of these codes.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code as u64, message: message.into(), details: String::new() }
    }

    /// An error that another plugin reported.
    pub fn told(code: u64, message: String, details: String) -> Self {
        Self { code, message, details }
    }

    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(Code::Environment, message)
    }

    pub fn io(message: impl Into<String>) -> Self {
        Self::new(Code::Io, message)
    }

    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Code::Config, message)
    }

    pub fn not_as_added(message: impl Into<String>) -> Self {
        Self::new(Code::NotAsAdded, message)
    }

    /// Adds details.
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }

    pub fn code(&self) -> u64 {
        self.code
    }

    pub fn text(&self) -> &str {
        &self.message
    }

    /// As the runtime reads it.
    pub fn to_json(&self, version: &str) -> Value {
        let mut json = json!({ "cniVersion": version, "code": self.code, "msg": self.message });
        if !self.details.is_empty() {
            json["details"] = self.details.clone().into();
        }
        json
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Netns { .. } => Code::UnknownContainer,
            Error::Held { .. } => Code::TryAgain,
            Error::Io { .. } => Code::Io,
            Error::Refused { refusal, .. } => code_of(refusal),
            _ => Code::Kernel,
        };
        Self::new(code, error.to_string())
    }
}

fn code_of(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::AddressInUse { .. } => Code::AddressInUse,
        Refusal::Full | Refusal::NeedsForwarding | Refusal::NoHook(_) | Refusal::OtherVersion { .. } => Code::Kernel,
        Refusal::ForeignProgram | Refusal::NoSlave => Code::Kernel,
        _ => Code::Config,
    }
}
