//! Exports, imports and activations: what crosses from one account to another, as claims have it.
//!
//! This is the one place that knows their shape. What they come to is made in `config/sharing/claims.rs`.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;

/// What others may import.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Export {
    /// What people call it.
    pub name: String,
    /// The subject, or a pattern.
    pub subject: String,
    /// `stream` or `service`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether an importer needs an activation.
    pub token_req: bool,
    /// Importers, by key or all as `*`, whose activations are no good if they were made in this second or before.
    pub revocations: BTreeMap<String, i64>,
    /// `Singleton`, `Stream` or `Chunked`; none is the first.
    pub response_type: String,
    /// Nanoseconds in which a response must come; 0 is the default.
    pub response_threshold: i64,
    /// How latency is measured, if it is.
    pub service_latency: Option<Latency>,
    /// Which token of the subject, from 1 on, must be the importer's own key; 0 is none.
    pub account_token_position: u64,
}

/// How the latency of a service is measured.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Latency {
    /// Percent of the requests; 0 is those whose headers ask for it.
    #[serde(deserialize_with = "sampling")]
    pub sampling: u8,
    /// The subject that the measures are published to.
    pub results: String,
}

/// What an account takes from another.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Import {
    /// What people call it.
    pub name: String,
    /// The exporter's subject. Of a service with `to`, which is the old form, the importer's own.
    pub subject: String,
    /// The exporter, by key.
    pub account: String,
    /// The activation.
    pub token: String,
    /// The old form: of a service the exporter's subject, of a stream what stands before the subject.
    pub to: String,
    /// The importer's own subject; `$1` is what the first wildcard of `subject` stands for.
    pub local_subject: String,
    /// `stream` or `service`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the exporter is told who asks.
    pub share: bool,
}

/// What an account may import from the issuer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Activation {
    /// What may be imported.
    pub subject: String,
    /// `stream` or `service`.
    pub kind: String,
    /// The exporter, if it is a signing key of that which has signed.
    pub issuer_account: String,
}

impl Import {
    /// The exporter's subject, whichever form it is written in.
    pub fn exported(&self) -> &str {
        match self.kind == "service" && !self.to.is_empty() {
            true => &self.to,
            false => &self.subject,
        }
    }
}

/// A number, or `headers`.
fn sampling<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let value = Value::deserialize(deserializer)?;
    match value.as_u64().and_then(|number| u8::try_from(number).ok()) {
        Some(percent) => Ok(percent),
        None if value.as_str() == Some("headers") => Ok(0),
        None => Err(serde::de::Error::custom("sampling is 1 to 100, or headers")),
    }
}
