//! Outcomes as lines of comma-separated values.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use super::files;
use super::outcome::Outcome;

/// Appends an outcome to a file; a new file gets a line of names first.
///
/// # Errors
/// Those of the system, with the file's name.
pub(crate) fn append(path: &Path, outcome: &Outcome) -> io::Result<()> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    let mut file = opened.map_err(|error| files::named("open", path, &error))?;
    let columns = columns(outcome);
    let mut text = String::new();
    if file.metadata().is_ok_and(|file| file.len() == 0) {
        text += &line(columns.iter().map(|(name, _)| (*name).to_owned()));
    }
    text += &line(columns.into_iter().map(|(_, value)| value));
    let written = file.write_all(text.as_bytes());
    written.map_err(|error| files::named("write", path, &error))
}

fn columns(outcome: &Outcome) -> Vec<(&'static str, String)> {
    fn optional<T: ToString>(value: Option<T>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let (usage, latency) = (outcome.usage, outcome.latency.as_ref());
    let figure = |name: &str| optional(outcome.figures.get(name));
    vec![
        ("workload", outcome.workload.name.clone()),
        ("broker", outcome.broker.clone()),
        ("good", outcome.is_good().to_string()),
        ("published", outcome.published.to_string()),
        ("delivered", outcome.delivered.to_string()),
        ("lost", outcome.lost.to_string()),
        ("messages", outcome.messages.to_string()),
        ("bytes", outcome.bytes.to_string()),
        ("seconds", outcome.seconds.to_string()),
        (
            "messages_per_second",
            outcome.messages_per_second.to_string(),
        ),
        ("bytes_per_second", outcome.bytes_per_second.to_string()),
        (
            "messages_per_broker_cpu_second",
            optional(outcome.messages_per_broker_cpu_second),
        ),
        (
            "broker_cpu_seconds",
            optional(usage.map(|usage| usage.cpu_seconds)),
        ),
        (
            "broker_resident_bytes",
            optional(usage.map(|usage| usage.resident_after)),
        ),
        (
            "broker_peak_bytes",
            optional(usage.map(|usage| usage.resident_peak)),
        ),
        ("load_cpu_seconds", optional(outcome.load_cpu_seconds)),
        (
            "latency_p50_nanos",
            optional(latency.map(|latency| latency.p50)),
        ),
        (
            "latency_p90_nanos",
            optional(latency.map(|latency| latency.p90)),
        ),
        (
            "latency_p99_nanos",
            optional(latency.map(|latency| latency.p99)),
        ),
        (
            "latency_p999_nanos",
            optional(latency.map(|latency| latency.p999)),
        ),
        (
            "latency_max_nanos",
            optional(latency.map(|latency| latency.max)),
        ),
        ("bytes_per_connection", figure("bytes_per_connection")),
        ("bytes_per_subscription", figure("bytes_per_subscription")),
        ("sub_rate", figure("sub_rate")),
        ("unsub_rate", figure("unsub_rate")),
        ("faults", outcome.faults.join("; ")),
    ]
}

fn line(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.map(|value| quoted(&value)).collect();
    values.join(",") + "\n"
}

/// As RFC 4180 has it.
fn quoted(value: &str) -> String {
    if value.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_separates_is_quoted() {
        let values = ["plain", "a,b", "say \"x\""].map(str::to_owned);
        assert_eq!(
            line(values.into_iter()),
            "plain,\"a,b\",\"say \"\"x\"\"\"\n"
        );
    }
}
