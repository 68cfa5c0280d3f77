//! Values of the language as the types that options have. What does not fit is told, and is `None`.

use super::authorization::Credentials;
use super::operators::Operated;
use super::report::Report;
use super::sharing::Places;
use super::unix::People;
use crate::config::Monitor;
use crate::config::Network;
use crate::config::Options;
use crate::config::duration;
use crate::config::language::{Kind, Map, Pair, Value};
use midge_text::host_port;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Reads options into settings.
pub(super) struct Reader<'a> {
    pub(super) options: &'a mut Options,
    pub(super) report: &'a mut Report,
    /// What the whole file has to say about who may connect.
    pub(super) credentials: &'a mut Credentials,
    /// What it says of operators.
    pub(super) operated: &'a mut Operated,
    /// Where exports and imports stand.
    pub(super) sharing: &'a mut Places,
    /// Host, path and credentials of monitoring, whether it has a port in the file or not.
    pub(super) monitor: &'a mut Monitor,
    /// Users and groups of the machine.
    pub(super) people: &'a dyn People,
    /// Whether `trace_verbose` was there: it turns `trace` on, whatever that says.
    pub(super) trace_verbose: &'a mut bool,
}

impl Reader<'_> {
    /// A scalar's text, whatever else it looks like.
    pub(super) fn text(&mut self, pair: &Pair) -> Option<String> {
        match pair.value.as_text() {
            Some(text) => Some(text.to_owned()),
            None => self.mismatch(pair, "string", "text"),
        }
    }

    pub(super) fn switch(&mut self, pair: &Pair) -> Option<bool> {
        match pair.value.kind {
            Kind::Bool(value) => Some(value),
            _ => self.mismatch(pair, "bool", "true or false, without quotes"),
        }
    }

    pub(super) fn integer(&mut self, pair: &Pair) -> Option<i64> {
        match pair.value.kind {
            Kind::Integer(number) => Some(number),
            Kind::TooLarge => {
                let text = format!("integer '{}' is out of the range", pair.value.text);
                self.wrong(pair, text)
            }
            _ => self.mismatch(pair, "int64", "a whole number"),
        }
    }

    /// A number of things or bytes, where 0 stands for `default`.
    pub(super) fn count(&mut self, pair: &Pair, default: usize) -> Option<usize> {
        match self.integer(pair)? {
            0 => Some(default),
            number => match usize::try_from(number) {
                Ok(number) => Some(number),
                Err(_) => self.wrong(
                    pair,
                    format!("{} is {number}; it must be 1 or more", pair.key),
                ),
            },
        }
    }

    /// As [`count`](Reader::count), but no more than what nats-server has 31 bits for.
    pub(super) fn size(&mut self, pair: &Pair, default: usize) -> Option<usize> {
        let size = self.count(pair, default)?;
        if size > i32::MAX as usize {
            let text = format!("{} value is too big", pair.key);
            return self.wrong(pair, text);
        }
        Some(size)
    }

    /// A number, where 0 and less stand for no limit.
    pub(super) fn limit(&mut self, pair: &Pair) -> Option<Option<usize>> {
        let number = self.integer(pair)?;
        Some(usize::try_from(number).ok().filter(|&number| number > 0))
    }

    /// -1 is any free port, which sockets spell 0, and 0 is `None`.
    pub(super) fn port(&mut self, pair: &Pair) -> Option<Option<u16>> {
        let number = self.integer(pair)?;
        self.port_number(pair, number)
    }

    fn port_number(&mut self, pair: &Pair, number: i64) -> Option<Option<u16>> {
        match number {
            -1 => Some(Some(0)),
            0 => Some(None),
            _ => match u16::try_from(number) {
                Ok(port) => Some(Some(port)),
                Err(_) => self.wrong(
                    pair,
                    format!(
                        "address {number}: invalid port; use 1 to 65535, or -1 for any free port"
                    ),
                ),
            },
        }
    }

    /// `host:port`, `:port` or just a port: host and port, where a host was given and the port is
    /// not 0.
    pub(super) fn address(&mut self, pair: &Pair) -> Option<(Option<String>, Option<u16>)> {
        let text = match &pair.value.kind {
            Kind::Integer(number) => return Some((None, self.port_number(pair, *number)?)),
            Kind::Text => &pair.value.text,
            other => {
                let text = format!(
                    "expected port or host:port, got {}; write \"127.0.0.1:4222\" or 4222",
                    go_type(other)
                );
                return self.wrong(pair, text);
            }
        };
        let Some((host, Some(port))) = host_port::split(text) else {
            let text =
                format!("could not parse address string {text:?}; write host:port or just a port");
            return self.wrong(pair, text);
        };
        let Ok(number) = port.parse() else {
            return self.wrong(pair, format!("could not parse port {port:?}"));
        };
        let host = (!host.is_empty()).then(|| host.to_owned());
        Some((host, self.port_number(pair, number)?))
    }

    /// Text in Go's form, or a number of seconds with a warning. A unit without quotes (`2m`) is that
    /// unit: nats-server takes it for a million.
    pub(super) fn duration(&mut self, pair: &Pair) -> Option<Duration> {
        let Value { kind, text, .. } = &pair.value;
        let key = &pair.key;
        let advice =
            format!("invalid use of field {key:?}: {key} should be converted to a duration");
        match kind {
            Kind::Integer(seconds) if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') => {
                self.report
                    .warning(&pair.at, format!("{advice}; write \"{seconds}s\""));
                match u64::try_from(*seconds) {
                    Ok(seconds) => Some(Duration::from_secs(seconds)),
                    Err(_) => self.negative(pair),
                }
            }
            Kind::Text => self.duration_text(pair),
            Kind::Integer(_) => {
                let duration = self.duration_text(pair)?;
                let text = format!(
                    "{advice}; write \"{text}\" in quotes, which is how it is read here, since \
                     nats-server takes it for a number of seconds"
                );
                self.report.warning(&pair.at, text);
                Some(duration)
            }
            _ => self.mismatch(pair, "int64", "a duration such as \"2m\""),
        }
    }

    /// Text in Go's form, or a number of `unit`, which nats-server does not take.
    pub(super) fn duration_in(&mut self, unit: Duration, pair: &Pair) -> Option<Duration> {
        let text = &pair.value.text;
        match pair.value.kind {
            Kind::Text => self.duration_text(pair),
            Kind::Integer(number) if text.parse::<i64>().is_ok() => match u32::try_from(number) {
                Ok(number) => Some(unit * number),
                Err(_) if number < 0 => self.negative(pair),
                Err(_) => self.wrong(pair, format!("{} is too long", pair.key)),
            },
            Kind::Integer(_) => self.duration_text(pair),
            _ => self.mismatch(pair, "string", "a duration such as \"2m\""),
        }
    }

    /// A duration in `range`, or a number of microseconds. `allowed` is an example and the range.
    pub(super) fn microseconds(
        &mut self,
        pair: &Pair,
        range: RangeInclusive<Duration>,
        allowed: &str,
    ) -> Option<Duration> {
        let time = self.duration_in(Duration::from_micros(1), pair)?;
        if range.contains(&time) {
            return Some(time);
        }
        let text = format!(
            "{} takes a number of microseconds, or a duration such as {allowed}",
            pair.key
        );
        self.wrong(pair, text)
    }

    /// Seconds, whole or not, or text in Go's form: the `timeout` of a block, more than none.
    pub(super) fn seconds(&mut self, pair: &Pair, block: &str) -> Option<Duration> {
        let begin = format!("error parsing {block} config, 'timeout'");
        let seconds = match &pair.value.kind {
            Kind::Integer(seconds) if pair.value.text.parse::<i64>().is_ok() => *seconds as f64,
            Kind::Float(seconds) => *seconds,
            Kind::Text | Kind::Integer(_) => match duration::nanoseconds(&pair.value.text) {
                Ok(nanoseconds) => nanoseconds as f64 / 1e9,
                Err(text) => return self.wrong(pair, format!("{begin} {text}")),
            },
            _ => {
                let text = format!(
                    "{begin} wrong type; write a number of seconds, or a duration such as \"2s\""
                );
                return self.wrong(pair, text);
            }
        };
        match Duration::try_from_secs_f64(seconds) {
            Ok(timeout) if !timeout.is_zero() => Some(timeout),
            _ => {
                let text = format!(
                    "the {block} timeout is 0 or less, so no client could be in time; it must be longer"
                );
                self.wrong(pair, text)
            }
        }
    }

    fn duration_text(&mut self, pair: &Pair) -> Option<Duration> {
        match duration::nanoseconds(&pair.value.text) {
            Ok(nanoseconds) => match u64::try_from(nanoseconds) {
                Ok(nanoseconds) => Some(Duration::from_nanos(nanoseconds)),
                Err(_) => self.negative(pair),
            },
            Err(text) => self.wrong(
                pair,
                format!("error parsing {}: {text}; write it as \"2m\"", pair.key),
            ),
        }
    }

    fn negative<T>(&mut self, pair: &Pair) -> Option<T> {
        let text = format!("invalid {}, needs to be positive", pair.key);
        self.wrong(pair, text)
    }

    /// One text, or a list of texts.
    pub(super) fn texts(&mut self, pair: &Pair) -> Option<Vec<String>> {
        let Some(list) = pair.value.as_list() else {
            return self.text(pair).map(|text| vec![text]);
        };
        let texts = list.iter().map(|value| value.as_text().map(str::to_owned));
        match texts.collect() {
            Some(texts) => Some(texts),
            None => self.wrong(
                pair,
                format!("{} takes text or a list of texts only", pair.key),
            ),
        }
    }

    /// Networks, each as `10.0.0.0/8`, or an address alone.
    pub(super) fn networks(&mut self, pair: &Pair) -> Vec<Network> {
        let mut networks = Vec::new();
        for text in self.texts(pair).unwrap_or_default() {
            match Network::parse(&text) {
                Some(network) => networks.push(network),
                None => {
                    let text = format!(
                        "{}: {text:?} is no address and no network; write \"10.1.2.3\" or \"10.0.0.0/8\"",
                        pair.key
                    );
                    self.report.error(&pair.at, text);
                }
            }
        }
        networks
    }

    pub(super) fn map<'p>(&mut self, pair: &'p Pair) -> Option<&'p Map> {
        match &pair.value.kind {
            Kind::Map(map) => Some(map),
            _ => self.mismatch(pair, "map[string]interface {}", "a map in { }"),
        }
    }

    /// Gives the monitoring its host, its path and its credentials, once all are known.
    pub(super) fn monitor_is(&mut self) {
        let said = &*self.monitor;
        if let Some(monitor) = &mut self.options.config.monitor {
            monitor.host.clone_from(&said.host);
            monitor.base_path.clone_from(&said.base_path);
            monitor.auth.clone_from(&said.auth);
        }
    }

    /// Tells what is wrong with a pair.
    pub(super) fn wrong<T>(&mut self, pair: &Pair, text: impl Into<String>) -> Option<T> {
        self.report.error(&pair.at, text);
        None
    }

    fn mismatch<T>(&mut self, pair: &Pair, wanted: &str, takes: &str) -> Option<T> {
        let kind = &pair.value.kind;
        let text = format!(
            "interface conversion: interface {{}} is {}, not {wanted}; {} takes {takes}, not {kind}",
            go_type(kind),
            pair.key
        );
        self.wrong(pair, text)
    }
}

/// What nats-server's messages call a kind of value.
pub(super) fn go_type(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text => "string",
        Kind::Bool(_) => "bool",
        Kind::Integer(_) | Kind::TooLarge => "int64",
        Kind::Float(_) => "float64",
        Kind::List(_) => "[]interface {}",
        Kind::Map(_) => "map[string]interface {}",
    }
}
