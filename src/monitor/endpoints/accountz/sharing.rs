//! What `/accountz` tells of an account's exports and imports, in the fields of nats-server.

use crate::config::{self, ExportKind, ImportKind, Latency, Response, Sampling};
use serde::Serialize;
use std::time::Duration;

#[derive(Serialize)]
pub(super) struct Export<'a> {
    subject: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_type: Option<&'static str>,
    /// In nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_threshold: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_latency: Option<Measured<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_token_position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_accounts: Option<&'a [String]>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    token_req: bool,
}

#[derive(Serialize)]
struct Measured<'a> {
    /// In percent; 0 where headers decide.
    sampling: u8,
    results: &'a str,
}

impl<'a> Export<'a> {
    pub(super) fn of(export: &'a config::Export) -> Export<'a> {
        let service = match export.kind() {
            ExportKind::Stream => None,
            ExportKind::Service(service) => Some(service),
        };
        let response = |response: Response| match response {
            Response::Singleton => "Singleton",
            Response::Stream => "Stream",
            Response::Chunked => "Chunked",
        };
        let measured = |latency: &'a Latency| Measured {
            sampling: match latency.sampling {
                Sampling::Percent(percent) => percent,
                Sampling::Headers => 0,
            },
            results: &latency.subject,
        };
        Export {
            subject: export.subject(),
            kind: match service {
                None => "stream",
                Some(_) => "service",
            },
            response_type: service.map(|service| response(service.response)),
            response_threshold: service
                .and_then(|service| service.threshold)
                .map(|threshold: Duration| threshold.as_nanos()),
            service_latency: service
                .and_then(|service| service.latency.as_ref())
                .map(measured),
            account_token_position: export.account_token_position(),
            approved_accounts: export.accounts(),
            token_req: export.activations().is_some(),
        }
    }
}

/// For a stream the subject is that of the exporter; for a service that of the importer, with the other in `to`.
#[derive(Serialize)]
pub(super) struct Import<'a> {
    subject: &'a str,
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_subject: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    invalid: bool,
    share: bool,
    tracking: bool,
}

impl<'a> Import<'a> {
    /// `invalid` tells whether it is left out.
    pub(super) fn of(import: &'a config::Import, invalid: bool) -> Import<'a> {
        let (local, remote) = (import.local(), import.subject());
        let other = |subject| (local != remote).then_some(subject);
        let share = match import.kind() {
            ImportKind::Stream => None,
            ImportKind::Service { share } => Some(share),
        };
        let (subject, to, local_subject, kind) = match share {
            None => (remote, None, other(local), "stream"),
            Some(_) => (local, Some(remote), None, "service"),
        };
        Import {
            subject,
            account: import.account(),
            to,
            local_subject,
            kind,
            invalid,
            share: share.unwrap_or_default(),
            tracking: false,
        }
    }
}
