//! `Shared`: exports, imports and mappings of an account's token, as those of a file are.
//!
//! A token is taken where each of its subjects is one. What else is wrong with an export, an import or a mapping leaves
//! that out, with a line for the log, and the others hold: as in nats-server, a token that was taken is not refused
//! afterwards.

use super::activation::Activation;
use super::export::{Export, ExportKind, InvalidExport, Latency, Response, Sampling, Service};
use super::import::{Import, ImportKind, InvalidImport};
use crate::jwt;
use crate::mapping::{Destination, InvalidMapping, Mapping};
use std::time::Duration;

/// What the token of an account has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Shared {
    pub(crate) exports: Vec<Export>,
    pub(crate) imports: Vec<Import>,
    pub(crate) mappings: Vec<Mapping>,
    /// What was left out, a line for each.
    pub(crate) left_out: Vec<String>,
}

impl Shared {
    /// Reads it. Costs a check of a signature for each activation.
    pub(crate) fn of(claims: &jwt::Account) -> Shared {
        let mut shared = Shared::default();
        for one in &claims.exports {
            match export(one) {
                Ok((export, doubt)) => {
                    shared.exports.push(export);
                    shared.left_out.extend(doubt.map(|one| one.to_string()));
                }
                Err(wrong) => shared.left_out.push(wrong.to_string()),
            }
        }
        for one in &claims.imports {
            match import(one) {
                Ok(import) => shared.imports.push(import),
                Err(wrong) => shared.left_out.push(wrong.to_string()),
            }
        }
        for (source, destinations) in &claims.mappings {
            match mapping(source, destinations) {
                Ok(mapping) => shared.mappings.push(mapping),
                Err(wrong) => shared.left_out.push(wrong.to_string()),
            }
        }
        shared
    }
}

/// An export, and what of it was left out.
fn export(claims: &jwt::Export) -> Result<(Export, Option<InvalidExport>), InvalidExport> {
    let service = Service {
        response: match claims.response_type.as_str() {
            "Stream" => Response::Stream,
            "Chunked" => Response::Chunked,
            _ => Response::Singleton,
        },
        threshold: u64::try_from(claims.response_threshold)
            .ok()
            .filter(|nanoseconds| *nanoseconds > 0)
            .map(Duration::from_nanos),
        latency: claims.service_latency.as_ref().map(|latency| Latency {
            sampling: match latency.sampling {
                0 => Sampling::Headers,
                percent => Sampling::Percent(percent),
            },
            subject: latency.results.clone(),
        }),
    };
    let (made, doubt) = match claims.kind.as_str() {
        "service" => {
            let unmeasured = Service {
                latency: None,
                ..service.clone()
            };
            match Export::new(&claims.subject, ExportKind::Service(service)) {
                Ok(made) => (made, None),
                // The service is there, and how long it takes is not told.
                Err(doubt) => (
                    Export::new(&claims.subject, ExportKind::Service(unmeasured))?,
                    Some(doubt),
                ),
            }
        }
        _ => (Export::stream(&claims.subject)?, None),
    };
    let made = match usize::try_from(claims.account_token_position) {
        // Where the subject tells whose it is, no activation is asked for.
        Ok(position) if position > 0 => made.with_account_token(position)?,
        _ if claims.token_req => made.with_activations(claims.revocations.clone()),
        _ => made,
    };
    Ok((made, doubt))
}

fn import(claims: &jwt::Import) -> Result<Import, InvalidImport> {
    let jwt::Import {
        account,
        subject,
        to,
        local_subject,
        ..
    } = claims;
    let is_service = claims.kind == "service";
    let kind = match is_service {
        true => ImportKind::Service {
            share: claims.share,
        },
        false => ImportKind::Stream,
    };
    let made = Import::new(account, claims.exported(), kind)?;
    // In the older form `to` is the exporter's subject of a service, and what stands before that of a stream.
    let local = match (local_subject.as_str(), is_service && !to.is_empty()) {
        ("", true) => subject,
        (local, _) => local,
    };
    let made = match (local, is_service || to.is_empty()) {
        ("", false) => made.with_prefix(to)?,
        ("", true) => made,
        (local, _) if local == made.subject() => made,
        (local, _) => made.to(local)?,
    };
    // One that cannot be read is among the issues of the token, which then is not taken.
    match Activation::parse(&claims.token) {
        Ok(activation) => Ok(made.with_activation(activation)),
        Err(_) => Ok(made),
    }
}

fn mapping(source: &str, destinations: &[jwt::MappingTo]) -> Result<Mapping, InvalidMapping> {
    let destinations = destinations.iter().map(|one| Destination {
        subject: one.subject.clone(),
        weight: match one.weight {
            0 => 100,
            weight => weight,
        },
        cluster: Some(one.cluster.clone()).filter(|name| !name.is_empty()),
    });
    Mapping::new(source, destinations)
}
