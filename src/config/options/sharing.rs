//! `exports` and `imports` of an account.
//!
//! ```text
//! exports: [ {stream: "pub.>"}, {service: svc, accounts: [B], response_type: stream, response_threshold: 5s}
//!            {service: "s.*", account_token_position: 2, latency: {sampling: 10%, subject: took}} ]
//! imports: [ {stream: {account: A, subject: "pub.>"}, prefix: fromA}
//!            {service: {account: A, subject: "tr.*.*"}, to: "rt.$2.$1", share: true} ]
//! ```
//!
//! What is wrong with one of them is told where it is read. Who may import what is known once all accounts are read.

use super::reader::{Reader, go_type};
use crate::config::duration;
use crate::config::language::{Kind, Map, Pair, Position, Value};
use crate::config::sharing::{self, Place};
use crate::config::{
    Account, Export, ExportKind, Import, ImportKind, Latency, Response, Sampling, Service,
};
use std::collections::HashMap;
use std::time::Duration;

const EXPORT_KEYS: [&str; 12] = [
    "stream",
    "service",
    "accounts",
    "response",
    "response_type",
    "threshold",
    "response_threshold",
    "response_max_time",
    "response_time",
    "latency",
    "account_token_position",
    "allow_trace",
];

const IMPORT_KEYS: [&str; 6] = ["stream", "service", "to", "prefix", "share", "allow_trace"];

/// Where exports and imports stand.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// By account, in the order of its own.
    exports: HashMap<String, Vec<Position>>,
    imports: HashMap<String, Vec<Position>>,
    /// Whether one was left out, so that others may lack it.
    is_wanting: bool,
}

impl Reader<'_> {
    /// Reads `exports` of the account `name`.
    pub(super) fn exports(&mut self, pair: &Pair, name: &str, account: &mut Account) {
        let errors = self.report.errors.len();
        let what = ("Exports", "Export", "[ {stream: SUBJECT} ]");
        let mut known = HashMap::new();
        for (map, at) in self.items(pair, what) {
            if let Some((export, at)) = self.export(map, at) {
                let key = (export.is_service(), export.subject().to_owned());
                let place = *known.entry(key).or_insert(account.exports.len());
                // Offered to some and then to others, as tools write it, it is one.
                let joined = match account.exports.get_mut(place) {
                    Some(former) => former.join(export),
                    None => Err(Box::new(export)),
                };
                let Err(export) = joined else {
                    continue;
                };
                account.exports.push(*export);
                let places = &mut self.sharing.exports;
                places.entry(name.to_owned()).or_default().push(at);
            }
        }
        self.sharing.is_wanting |= self.report.errors.len() > errors;
    }

    /// Reads `imports` of the account `name`.
    pub(super) fn imports(&mut self, pair: &Pair, name: &str, account: &mut Account) {
        let errors = self.report.errors.len();
        let what = (
            "Imports",
            "Import",
            "[ {stream: {account: NAME, subject: SUBJECT}} ]",
        );
        for (map, at) in self.items(pair, what) {
            if let Some((import, at)) = self.import(map, at) {
                account.imports.push(import);
                let places = &mut self.sharing.imports;
                places.entry(name.to_owned()).or_default().push(at);
            }
        }
        self.sharing.is_wanting |= self.report.errors.len() > errors;
    }

    /// Tells what is wrong between accounts, once all of them are read.
    pub(super) fn sharing_is(&mut self) {
        if self.sharing.is_wanting {
            return;
        }
        for fault in sharing::faults(&self.options.config.accounts) {
            let (places, place) = match fault.place {
                Place::Export(place) => (&self.sharing.exports, place),
                Place::Import(place) => (&self.sharing.imports, place),
            };
            let at = places.get(&fault.account).and_then(|all| all.get(place));
            if let Some(at) = at {
                self.report.error(at, fault.text);
            }
        }
    }

    /// The maps in a list, and where each stands. `what` are the names of the list and of one of it, and how it is written.
    fn items<'p>(
        &mut self,
        pair: &'p Pair,
        what: (&str, &str, &str),
    ) -> Vec<(&'p Map, &'p Position)> {
        let (list, one, example) = what;
        let Kind::List(values) = &pair.value.kind else {
            let kind = go_type(&pair.value.kind);
            let text = format!(
                "{list} should be an array, got {kind}; write {}: {example}",
                pair.key
            );
            self.report.error(&pair.at, text);
            return Vec::new();
        };
        let mut maps = Vec::with_capacity(values.len());
        for value in values {
            match &value.kind {
                Kind::Map(map) => maps.push((map, &value.at)),
                kind => {
                    let kind = go_type(kind);
                    let text = format!(
                        "{one} Items should be a map with type entry, got {kind}; write {example}"
                    );
                    self.report.error(&value.at, text);
                }
            }
        }
        maps
    }

    fn export(&mut self, map: &Map, at: &Position) -> Option<(Export, Position)> {
        let errors = self.report.errors.len();
        let mut offered: Option<(&Pair, String)> = None;
        let (mut response, mut threshold, mut latency, mut trace) = (None, None, None, None);
        let (mut accounts, mut position) = (None, None);
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "stream" | "service" => {
                    let subject = self.exported(pair);
                    if let Some((other, _)) =
                        offered.as_ref().filter(|(other, _)| !is_same(other, pair))
                    {
                        let subject = subject.unwrap_or_default();
                        let (one, other) = (word(pair), word(other));
                        let text = format!(
                            "Detected {one} {subject:?} but already saw a {other}; make them two entries"
                        );
                        self.report.error(&pair.at, text);
                    } else {
                        offered = Some((pair, subject.unwrap_or_default()));
                    }
                }
                "accounts" => accounts = self.texts(pair),
                "response" | "response_type" => {
                    if response.is_some() {
                        let text = "Duplicate response type definition";
                        self.report.error(&pair.at, text);
                    }
                    response = Some((pair, self.response(pair)));
                }
                "threshold" | "response_threshold" | "response_max_time" | "response_time" => {
                    if threshold.is_some() {
                        let text = "Duplicate response threshold detected";
                        self.report.error(&pair.at, text);
                    }
                    threshold = Some((pair, self.threshold(pair)));
                }
                "latency" => latency = Some((pair, self.latency(pair))),
                "account_token_position" => position = self.token_position(pair),
                "allow_trace" => {
                    let _ = self.switch(pair);
                    trace = Some(pair);
                }
                _ if pair.used => {}
                _ => self.unknown(pair, "", EXPORT_KEYS.iter().copied()),
            }
        }
        let Some((pair, subject)) = offered else {
            return self.nothing(at, "export", "{stream: SUBJECT} or {service: SUBJECT}");
        };
        let kind = if word(pair) == "service" {
            if let Some(pair) = trace {
                self.ignore(pair, NO_TRACE);
            }
            ExportKind::Service(Service {
                response: response.and_then(|(_, it)| it).unwrap_or_default(),
                threshold: threshold.and_then(|(_, it)| it).flatten(),
                latency: latency.and_then(|(_, it)| it),
            })
        } else {
            let response = response.map(|(pair, _)| (pair, "response"));
            let threshold = threshold.map(|(pair, _)| (pair, "response"));
            let latency = latency.map(|(pair, _)| (pair, "latency"));
            let trace = trace.map(|pair| (pair, "allow_trace"));
            for (pair, what) in [response, threshold, latency, trace].into_iter().flatten() {
                let text = format!("Detected {what} directive on non-service; remove it");
                self.report.error(&pair.at, text);
            }
            ExportKind::Stream
        };
        if self.report.errors.len() > errors {
            return None;
        }
        let export = Export::new(&subject, kind);
        let export = export.and_then(|one| match accounts {
            Some(accounts) => one.only_for(accounts),
            None => Ok(one),
        });
        let export = export.and_then(|one| match position {
            Some(position) => one.with_account_token(position),
            None => Ok(one),
        });
        match export {
            Ok(export) => Some((export, pair.at.clone())),
            Err(wrong) => self.wrong(pair, wrong.to_string()),
        }
    }

    /// Tells of an entry that says neither what it is of.
    fn nothing<T>(&mut self, at: &Position, what: &str, example: &str) -> Option<T> {
        let text = format!("the {what} names neither a stream nor a service; write {example}");
        self.report.error(at, text);
        None
    }

    fn exported(&mut self, pair: &Pair) -> Option<String> {
        match pair.value.as_text() {
            Some(text) => Some(text.to_owned()),
            None => {
                let (word, kind) = (word(pair), go_type(&pair.value.kind));
                let text =
                    format!("Expected {word} name to be string, got {kind}; write {word}: SUBJECT");
                self.wrong(pair, text)
            }
        }
    }

    fn response(&mut self, pair: &Pair) -> Option<Response> {
        let Some(text) = pair.value.as_text() else {
            let kind = go_type(&pair.value.kind);
            let text = format!("Expected response type to be string, got {kind}");
            return self.wrong(pair, text);
        };
        match text.to_ascii_lowercase().as_str() {
            "single" | "singleton" => Some(Response::Singleton),
            "stream" => Some(Response::Stream),
            "chunk" | "chunked" => Some(Response::Chunked),
            _ => {
                let text =
                    format!("Unknown response type: {text:?}; use singleton, stream or chunked");
                self.wrong(pair, text)
            }
        }
    }

    /// How long an answer is waited for; 0 is the default.
    fn threshold(&mut self, pair: &Pair) -> Option<Option<Duration>> {
        let Value { kind, text, .. } = &pair.value;
        let is_text = match kind {
            Kind::Text => true,
            Kind::Integer(_) => text.parse::<i64>().is_err(),
            _ => false,
        };
        let nanoseconds = is_text.then(|| duration::nanoseconds(text).ok()).flatten();
        let Some(nanoseconds) = nanoseconds else {
            let got = match is_text {
                true => format!("{text:?}"),
                false => go_type(kind).to_owned(),
            };
            let text = format!(
                "Expected response threshold to be a parseable time duration, got {got}; write \"2m\""
            );
            return self.wrong(pair, text);
        };
        match u64::try_from(nanoseconds) {
            Ok(0) => Some(None),
            Ok(nanoseconds) => Some(Some(Duration::from_nanos(nanoseconds))),
            Err(_) => {
                let text = format!(
                    "{} is {text}, so no answer could be in time; it must be longer than 0",
                    pair.key
                );
                self.wrong(pair, text)
            }
        }
    }

    /// A subject, or a map with that and how many requests are measured.
    fn latency(&mut self, pair: &Pair) -> Option<Latency> {
        let map = match &pair.value.kind {
            Kind::Map(map) => map,
            Kind::Text => {
                return Some(Latency {
                    sampling: Sampling::Percent(100),
                    subject: pair.value.text.clone(),
                });
            }
            kind => {
                let kind = go_type(kind);
                let text = format!(
                    "Expected latency entry to be a map/struct or string, got {kind}; write latency: SUBJECT"
                );
                return self.wrong(pair, text);
            }
        };
        let errors = self.report.errors.len();
        let (mut sampling, mut subject) = (Some(Sampling::Percent(100)), None);
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "sampling" => sampling = self.sampling(pair),
                "subject" => {
                    subject = pair.value.as_text().map(str::to_owned);
                    if subject.is_none() {
                        let kind = go_type(&pair.value.kind);
                        let text = format!("Expected latency subject to be a string, got {kind}");
                        self.report.error(&pair.at, text);
                    }
                }
                _ if pair.used => {}
                _ => self.unknown(pair, "", ["sampling", "subject"].into_iter()),
            }
        }
        if self.report.errors.len() > errors {
            return None;
        }
        let Some(subject) = subject else {
            let text = "Latency subject required, but missing; add subject: SUBJECT";
            return self.wrong(pair, text);
        };
        let sampling = sampling?;
        Some(Latency { sampling, subject })
    }

    fn sampling(&mut self, pair: &Pair) -> Option<Sampling> {
        const BAD: &str = "bad sampling percentage, should be 1-100";
        let Value { kind, text, .. } = &pair.value;
        let number = match kind {
            Kind::Text if text.eq_ignore_ascii_case("headers") => return Some(Sampling::Headers),
            Kind::Text => text.strip_suffix('%').unwrap_or(text).parse::<i64>().ok(),
            Kind::Integer(number) => Some(*number),
            kind => {
                let kind = go_type(kind);
                let text = format!(
                    "Expected latency sample to be a string or map/struct, got {kind}; write 10% or headers"
                );
                return self.wrong(pair, text);
            }
        };
        let Some(number) = number else {
            let text = format!("Failed to parse latency sample: {text:?}; write 10% or headers");
            return self.wrong(pair, text);
        };
        match u8::try_from(number) {
            Ok(percent @ 1..=100) => Some(Sampling::Percent(percent)),
            _ => self.wrong(pair, BAD),
        }
    }

    /// Counted from 1; 0 is none.
    fn token_position(&mut self, pair: &Pair) -> Option<usize> {
        let number = self.integer(pair)?;
        match usize::try_from(number) {
            Ok(number) => Some(number).filter(|number| *number > 0),
            Err(_) => {
                let text = format!("{} is {number}; tokens are counted from 1", pair.key);
                self.wrong(pair, text)
            }
        }
    }

    fn import(&mut self, map: &Map, at: &Position) -> Option<(Import, Position)> {
        let errors = self.report.errors.len();
        let mut taken: Option<(&Pair, Option<(String, String)>)> = None;
        let (mut to, mut prefix, mut share, mut trace) = (None, None, None, None);
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "stream" | "service" => {
                    let source = self.source(pair);
                    match taken.as_ref().filter(|(other, _)| !is_same(other, pair)) {
                        Some((other, _)) => {
                            let text = format!(
                                "Detected {} but already saw a {}; make them two entries",
                                word(pair),
                                word(other)
                            );
                            self.report.error(&pair.at, text);
                        }
                        None => taken = Some((pair, source)),
                    }
                }
                // An empty text is the same as none.
                "to" => {
                    to = self
                        .text(pair)
                        .filter(|it| !it.is_empty())
                        .map(|it| (pair, it));
                }
                "prefix" => {
                    prefix = self
                        .text(pair)
                        .filter(|it| !it.is_empty())
                        .map(|it| (pair, it));
                }
                "share" => share = self.switch(pair).map(|share| (pair, share)),
                "allow_trace" => {
                    let _ = self.switch(pair);
                    trace = Some(pair);
                }
                _ if pair.used => {}
                _ => self.unknown(pair, "", IMPORT_KEYS.iter().copied()),
            }
        }
        let Some((pair, source)) = taken else {
            let example = "{stream: {account: NAME, subject: SUBJECT}}";
            return self.nothing(at, "import", example);
        };
        let kind = if word(pair) == "service" {
            if let Some((pair, _)) = prefix.take() {
                self.ignore(pair, "only streams have a prefix; use to");
            }
            if let Some(pair) = trace {
                let text = "Detected allow_trace directive on a non-stream; remove it";
                self.report.error(&pair.at, text);
            }
            let share = share.is_some_and(|(_, share)| share);
            ImportKind::Service { share }
        } else {
            if let (Some((to, _)), Some((prefix, _))) = (&to, &prefix) {
                let second = if (to.at.line, to.at.column) > (prefix.at.line, prefix.at.column) {
                    to
                } else {
                    prefix
                };
                let text =
                    "Stream import can not have a 'prefix' and a 'to' property; remove one of them";
                self.report.error(&second.at, text);
            }
            if let Some((pair, true)) = share {
                self.ignore(pair, "only services are told who asks");
            }
            if let Some(pair) = trace {
                self.ignore(pair, NO_TRACE);
            }
            ImportKind::Stream
        };
        let (account, subject) = source?;
        if self.report.errors.len() > errors {
            return None;
        }
        let import = Import::new(&account, &subject, kind);
        let import = import.and_then(|one| match (to, prefix) {
            (Some((_, to)), _) => one.to(&to),
            (None, Some((_, prefix))) => one.with_prefix(&prefix),
            (None, None) => Ok(one),
        });
        match import {
            Ok(import) => Some((import, pair.at.clone())),
            Err(wrong) => self.wrong(pair, wrong.to_string()),
        }
    }

    /// Whose it is, and what it is there.
    fn source(&mut self, pair: &Pair) -> Option<(String, String)> {
        let Kind::Map(map) = &pair.value.kind else {
            let (word, kind) = (word(pair), go_type(&pair.value.kind));
            let name = match word {
                "service" => "Service",
                _ => "Stream",
            };
            let text = format!(
                "{name} entry should be an account map, got {kind}; write {word}: {{account: NAME, subject: SUBJECT}}"
            );
            return self.wrong(pair, text);
        };
        let errors = self.report.errors.len();
        let (mut account, mut subject) = (None, None);
        for pair in map.iter() {
            match pair.key.to_ascii_lowercase().as_str() {
                "account" => account = self.text(pair),
                "subject" => subject = self.text(pair),
                _ if pair.used => {}
                _ => self.unknown(pair, "", ["account", "subject"].into_iter()),
            }
        }
        if self.report.errors.len() > errors {
            return None;
        }
        let both = account.zip(subject);
        let both = both.filter(|(account, subject)| !account.is_empty() && !subject.is_empty());
        if both.is_none() {
            let text =
                "Expect an account name and a subject; write {account: NAME, subject: SUBJECT}";
            self.report.error(&pair.at, text);
        }
        both
    }
}

const NO_TRACE: &str = "messages are not traced from broker to broker";

/// `stream` or `service`, in whatever case the key is.
fn word(pair: &Pair) -> &'static str {
    match pair.key.eq_ignore_ascii_case("service") {
        true => "service",
        false => "stream",
    }
}

fn is_same(one: &Pair, other: &Pair) -> bool {
    word(one) == word(other)
}

#[cfg(test)]
mod tests;
