//! What `/accountz` tells of an account's exports and imports, in the fields of nats-server.

use crate::config::{self, ExportKind, ImportKind, Latency, Offers, Response, Sampling};
use crate::monitor::view::View;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
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
    /// Importers whose activations are no good if they were made by then.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    revoked_activations: BTreeMap<&'a str, Timestamp>,
}

/// Whom a list of revocations names, and until when.
pub(super) fn revoked(list: &BTreeMap<String, i64>) -> BTreeMap<&str, Timestamp> {
    let dates = list.iter().map(|(key, second)| {
        let date = Timestamp::from_second(*second);
        // One that no calendar has is as good as for ever.
        (key.as_str(), date.unwrap_or(Timestamp::MAX))
    });
    dates.collect()
}

/// How it is told how long a service takes.
#[derive(Serialize)]
struct Measured<'a> {
    sampling: Share,
    results: &'a str,
}

/// In percent, or what decides.
#[derive(Serialize)]
#[serde(untagged)]
enum Share {
    Percent(u8),
    Word(&'static str),
}

impl<'a> Measured<'a> {
    fn of(latency: &'a Latency) -> Measured<'a> {
        Measured {
            sampling: match latency.sampling {
                Sampling::Percent(percent) => Share::Percent(percent),
                Sampling::Headers => Share::Word("headers"),
            },
            results: &latency.subject,
        }
    }
}

impl<'a> Export<'a> {
    pub(super) fn of(export: &'a config::Export) -> Export<'a> {
        let service = match export.kind() {
            ExportKind::Stream => None,
            ExportKind::Service(service) => Some(service),
        };
        let response = |response: Response| match response {
            Response::Singleton => "Singleton",
            Response::Stream => "Streamed",
            Response::Chunked => "Chunked",
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
                .map(Measured::of),
            account_token_position: export.account_token_position(),
            approved_accounts: export.accounts(),
            token_req: export.activations().is_some(),
            revoked_activations: export.activations().map(revoked).unwrap_or_default(),
        }
    }
}

/// The subject is that of the exporter, and the importer's own is the local one. Of a service it stands in `to` as well, where
/// nats-server 2.9 has the two the other way round.
#[derive(Serialize)]
pub(super) struct Import<'a> {
    subject: &'a str,
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    local_subject: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    invalid: bool,
    share: bool,
    /// As in nats-server, which says this of answers alone, and shows none of those.
    tracking: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Measured<'a>>,
}

impl<'a> Import<'a> {
    /// `invalid` tells whether it is left out, `latency` whether its service is measured.
    pub(super) fn of(
        import: &'a config::Import,
        invalid: bool,
        latency: Option<&'a Latency>,
    ) -> Import<'a> {
        let local = import.local();
        let share = match import.kind() {
            ImportKind::Stream => None,
            ImportKind::Service { share } => Some(share),
        };
        Import {
            subject: import.subject(),
            account: import.account(),
            to: share.map(|_| local),
            local_subject: local,
            kind: match share {
                None => "stream",
                Some(_) => "service",
            },
            invalid,
            share: share.unwrap_or_default(),
            tracking: false,
            latency: latency.map(Measured::of),
        }
    }
}

/// What exporters offer of which it is told how long it takes, to be looked up by one importer.
pub(super) struct Latencies<'a> {
    view: &'a View<'a>,
    importer: &'a str,
    /// By exporter; `None` where nothing is measured.
    offers: HashMap<&'a str, Option<Offers<'a>>>,
}

impl<'a> Latencies<'a> {
    pub(super) fn new(view: &'a View<'a>, importer: &'a str) -> Latencies<'a> {
        Latencies {
            view,
            importer,
            offers: HashMap::new(),
        }
    }

    /// How it is told how long the service of an import takes, if it is. Costs a look at each export of an exporter, once.
    pub(super) fn of(&mut self, import: &'a config::Import) -> Option<&'a Latency> {
        let state = self.view.state;
        let offers = self.offers.entry(import.account()).or_insert_with(|| {
            let exporter = state.known.told(&state.config, import.account())?;
            let is_any = exporter.exports.iter().any(|one| latency(one).is_some());
            is_any.then(|| Offers::of(exporter))
        });
        let second = self.view.now().as_second();
        let export = offers.as_ref()?.offered(import, self.importer, second);
        latency(export.ok()?)
    }
}

fn latency(export: &config::Export) -> Option<&Latency> {
    match export.kind() {
        ExportKind::Stream => None,
        ExportKind::Service(service) => service.latency.as_ref(),
    }
}
