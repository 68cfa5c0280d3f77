//! How long services take: of some requests it is told, when they are answered, or when they never will be.
//!
//! ```text
//! request ──▶ sampled? ──▶ Sample, beside the answer that is awaited ──▶ Measured ──▶ a message in the exporter's account
//!             by chance,   in time order, so that one that is over        kept until the loop has time
//!             by a header  is told in time
//! ```
//!
//! A service that is not measured costs a look at whether it is. Times are those of turns, as everywhere in `core/`.

use super::header::Requester;
use super::{Imports, Token};
use crate::core::Core;
use crate::core::accounts::{AccountId, Born};
use crate::core::origin::{Origin, Role};
use crate::core::sublist::ReceiverId;
use midge_protocol::Publish;
use midge_reactor::Time;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Most events that wait to be told. Past that none is made, and they are counted.
pub(crate) const MEASURED_MAX: usize = 4096;

/// Of which requests to a service it is told how long they took, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Measuring {
    /// Percent of the requests; of the others, and of all with 0, those whose header asks for it.
    pub percent: u8,
    /// The subject in the exporter's account.
    pub subject: Box<str>,
}

/// A request of which it is told.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The account that serves it, and where it is told there.
    pub account: Born,
    pub measuring: Arc<Measuring>,
    /// Who asks, as JSON.
    pub requester: Box<[u8]>,
    /// The round trip of who asks; zero if none was measured.
    pub round_trip: Duration,
    /// The headers that have asked for it.
    pub header: Option<Map<String, Value>>,
    pub began: Time,
    /// When it is waited for no longer.
    until: Time,
}

impl Sample {
    /// Bytes that are kept of what its sender says and is.
    pub(super) fn bytes(&self) -> usize {
        let fields = self.header.iter().flatten();
        let values = fields.map(|(name, value)| name.len() + value.to_string().len());
        self.requester.len() + values.sum::<usize>()
    }
}

/// What has become of one.
#[derive(Debug)]
pub(crate) struct Measured {
    pub sample: Box<Sample>,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Answered {
        /// Who has answered, as JSON, and its round trip.
        responder: Box<[u8]>,
        round_trip: Duration,
        at: Time,
    },
    /// It wants no answer.
    NoReply,
    NoResponder,
    /// No answer came in time.
    TooLate,
}

impl Core {
    /// The sample that a request is, if it is one.
    #[cold]
    pub(super) fn sample(
        &mut self,
        from: &Origin,
        there: AccountId,
        measuring: &Arc<Measuring>,
        message: &Publish<'_>,
        (requester, threshold): (&[u8], Duration),
    ) -> Option<Box<Sample>> {
        // What the broker itself says is no request, or an event about latency might bring about the next.
        if from.role != Role::Client {
            return None;
        }
        let account = &mut self.accounts[there];
        let by_chance =
            measuring.percent > 0 && account.random.below(100) < usize::from(measuring.percent);
        let header = match by_chance {
            true => None,
            false => Some(traced(message.header())?),
        };
        let began = self.clock.now();
        Some(Box::new(Sample {
            account: self.accounts.born(there),
            measuring: Arc::clone(measuring),
            requester: requester.into(),
            round_trip: self.round_trip(from.receiver),
            header,
            began,
            until: began + threshold,
        }))
    }

    pub(super) fn round_trip(&self, receiver: ReceiverId) -> Duration {
        let receiver = self.receivers.get(receiver.0 as usize);
        Duration::from_nanos(receiver.map_or(0, |one| u64::from(one.round_trip)))
    }

    /// An answer to a sample is awaited by this token.
    pub(super) fn time(&mut self, token: Token, until: Time, account: AccountId) {
        self.imports.timed.insert((until, account, token));
        // Somebody has to be woken then.
        self.requests.is_timing = true;
    }

    /// A sample is over.
    #[cold]
    pub(super) fn measured(&mut self, token: Option<Token>, sample: Box<Sample>, outcome: Outcome) {
        if let Some(token) = token {
            let place = (sample.until, sample.account.id, token);
            self.imports.timed.remove(&place);
        }
        let requests = &mut self.requests;
        match requests.measured.len() < MEASURED_MAX {
            true => requests.measured.push_back(Measured { sample, outcome }),
            false => requests.unmeasured += 1,
        }
    }

    /// It was answered from there.
    #[cold]
    pub(super) fn answered(&mut self, token: Token, sample: Box<Sample>, from: &Origin) {
        let responder = self.requester(from, from.is_told && from.crossed == 0);
        let mut told = Vec::new();
        if let Some(responder) = responder {
            responder.put(&mut told);
        }
        let outcome = Outcome::Answered {
            responder: told.into(),
            round_trip: self.round_trip(from.receiver),
            at: self.clock.now(),
        };
        self.measured(Some(token), sample, outcome);
    }

    /// Who publishes what comes from there; with more about the client if `is_told`.
    pub(super) fn requester(&self, from: &Origin, is_told: bool) -> Option<Requester<'_>> {
        let client = self.receivers.get(from.receiver.0 as usize)?;
        let quoted = |account: AccountId| {
            let border = self.accounts[account].border.as_ref();
            border.map(|border| &*border.quoted)
        };
        let service = match client.account == from.account {
            true => None,
            false => quoted(from.account),
        };
        let about = self.imports.about.get(&from.receiver);
        Some(Requester {
            account: quoted(client.account).or(service)?,
            service,
            round_trip: client.round_trip,
            about: about.map(|about| &**about).filter(|_| is_told),
        })
    }

    /// Ends the samples whose time is over; when the next one's is.
    pub(crate) fn end_late_samples(&mut self, now: Time) -> Option<Time> {
        while let Some(&(until, account, token)) = self.imports.timed.first() {
            if until > now {
                return Some(until);
            }
            self.imports.timed.pop_first();
            let border = self.accounts[account].border.as_mut();
            let over = border.and_then(|border| border.responses.end(token));
            if let Some(sample) = over.and_then(|one| one.sample) {
                self.measured(None, sample, Outcome::TooLate);
            }
        }
        None
    }

    /// Those that an account has lost without an answer.
    pub(super) fn lose_samples(&mut self, account: AccountId) {
        let Some(border) = &mut self.accounts[account].border else {
            return;
        };
        for (token, sample) in std::mem::take(&mut border.responses.lost) {
            self.measured(Some(token), sample, Outcome::TooLate);
        }
    }
}

impl Imports {
    /// Samples that wait for an answer.
    #[cfg(test)]
    pub(crate) fn timed(&self) -> usize {
        self.timed.len()
    }
}

/// Bytes of a header's value that are kept until the answer comes: a longer one is as none. What the W3C's
/// `tracestate` must have room for is half of it.
const VALUE_BYTES_MAX: usize = 1024;

/// The headers that ask for a trace, if some do: by the ways of Jaeger, of Zipkin (long or short), and of the W3C.
fn traced(header: &[u8]) -> Option<Map<String, Value>> {
    let text = str::from_utf8(header).ok()?;
    let lines = text.split("\r\n").skip(1);
    let fields = lines.filter_map(|line| line.split_once(':'));
    let fields: Vec<(&str, &str)> = fields
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    let find = |name: &str| {
        let found = fields
            .iter()
            .find(|(one, value)| one.eq_ignore_ascii_case(name) && value.len() <= VALUE_BYTES_MAX);
        found.map(|(_, value)| *value)
    };
    let told = |names: &[&str]| {
        let mut map = Map::new();
        for name in names {
            if let Some(value) = find(name) {
                map.insert((*name).to_owned(), json!([value]));
            }
        }
        map
    };
    let is_odd = |digits: &str| u8::from_str_radix(digits, 16).is_ok_and(|flags| flags & 1 == 1);
    if let Some(value) = find("Uber-Trace-Id") {
        let flags = value.split(':').nth(3)?;
        return is_odd(flags).then(|| told(&["Uber-Trace-Id"]));
    }
    const ZIPKIN: [&str; 4] = [
        "X-B3-Traceid",
        "X-B3-Spanid",
        "X-B3-Parentspanid",
        "X-B3-Sampled",
    ];
    match find("X-B3-Sampled") {
        Some("1") => return Some(told(&ZIPKIN)),
        Some("0") => return None,
        _ if find("X-B3-TraceId").is_some() => return Some(told(&ZIPKIN)),
        _ => {}
    }
    if let Some(value) = find("b3") {
        let mut parts = value.split('-');
        let is_denied = value == "0" || parts.nth(2) == Some("0");
        return (!is_denied).then(|| told(&["B3"]));
    }
    let value = find("traceparent")?;
    let flags = value.split('-').nth(3)?;
    is_odd(flags).then(|| told(&["Traceparent", "Tracestate"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_traced_if_one_of_its_headers_asks_for_that() {
        for (header, expected) in [
            ("", None),
            ("A: b", None),
            ("Uber-Trace-Id: 1:2:3:1", Some("Uber-Trace-Id")),
            ("Uber-Trace-Id: 1:2:3:2", None),
            ("uber-trace-id: 1:2:3:03", Some("Uber-Trace-Id")),
            ("X-B3-Sampled: 1", Some("X-B3-Sampled")),
            ("X-B3-Sampled: 0\r\nX-B3-TraceId: a", None),
            ("X-B3-TraceId: a", Some("X-B3-Traceid")),
            ("b3: 0", None),
            ("b3: a-b-0", None),
            ("b3: a-b-1", Some("B3")),
            ("traceparent: 00-a-b-01", Some("Traceparent")),
            ("traceparent: 00-a-b-00", None),
            (
                &format!(
                    "traceparent: 00-a-b-01\r\ntracestate: {}",
                    "s".repeat(VALUE_BYTES_MAX + 1)
                ),
                Some("Traceparent"),
            ),
        ] {
            let block = format!("NATS/1.0\r\n{header}\r\n\r\n");
            let found = traced(block.as_bytes());
            let names = found.map(|map| map.keys().cloned().collect::<Vec<_>>().join(" "));
            assert_eq!(names.as_deref(), expected, "{header}");
        }
    }
}
