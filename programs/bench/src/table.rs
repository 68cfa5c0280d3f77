//! Outcomes for people: a few lines each.

use std::fmt::Write;

use super::outcome::Outcome;
use super::workload::Kind;
use midge_text::quantity::plural;

/// The outcome of one run.
pub(crate) fn render(outcome: &Outcome) -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    let unit = unit(outcome);
    if !outcome.broker.is_empty() {
        row("broker", outcome.broker.clone());
    }
    row("workload", summary(outcome));
    if !outcome.is_measured() {
        // Nothing but zeros would follow.
        row("checks", format!("{}nothing was measured", failed(outcome)));
        return columns(&rows);
    }
    if outcome.published > 0 && outcome.bytes > 0 {
        row("published", count(outcome.published as f64));
        row("delivered", count(outcome.delivered as f64));
    }
    row("time", seconds(outcome.seconds * 1e9));
    if outcome.figures.contains_key("sub_rate") {
        // The two halves have rates of their own.
    } else {
        row(&format!("{unit}s/s"), count(outcome.messages_per_second));
    }
    if outcome.bytes > 0 {
        row("bytes/s", bytes(outcome.bytes_per_second));
    }
    if let Some(latency) = &outcome.latency {
        let parts = [
            ("min", latency.min),
            ("p50", latency.p50),
            ("p90", latency.p90),
            ("p99", latency.p99),
            ("p99.9", latency.p999),
            ("p99.99", latency.p9999),
            ("max", latency.max),
        ];
        let parts = parts.map(|(name, nanos)| format!("{name} {}", seconds(nanos as f64)));
        row("latency", parts.join("  "));
    }
    let each = |cpu: f64| {
        let each = cpu * 1e9 / outcome.messages.max(1) as f64;
        let cores = cpu / outcome.seconds;
        format!("{} a {unit}, {cores:.2} cores", seconds(each))
    };
    if let Some(usage) = outcome.usage {
        row("broker CPU", each(usage.cpu_seconds));
        if let Some(rate) = outcome.messages_per_broker_cpu_second {
            row(&format!("{unit}s/broker-CPU-s"), count(rate));
        }
        let (before, after) = (usage.resident_before as f64, usage.resident_after as f64);
        let peak = usage.resident_peak as f64;
        let (before, after, peak) = (bytes(before), bytes(after), bytes(peak));
        row(
            "broker memory",
            format!("{after}, before {before}, peak {peak}"),
        );
    }
    if let Some(cpu) = outcome.load_cpu_seconds {
        row("load CPU", each(cpu));
    }
    for (name, value) in &outcome.figures {
        row(&name.replace('_', " "), figure(name, *value));
    }
    if outcome.cut_off > 0 {
        row("closed", plural(outcome.cut_off as u64, "subscriber"));
    }
    if outcome.interrupted {
        row("interrupted", "measured up to the signal".to_owned());
    }
    let checks = match (outcome.is_good(), outcome.lost) {
        (true, _) => "all passed".to_owned(),
        (false, 0) => "FAILED".to_owned(),
        (false, lost) => format!("FAILED, {} are missing", plural(lost, "message")),
    };
    row("checks", checks);
    columns(&rows)
}

fn failed(outcome: &Outcome) -> &'static str {
    if outcome.is_good() { "" } else { "FAILED, " }
}

fn columns(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:<width$}  {value}");
    }
    text
}

/// What is counted.
fn unit(outcome: &Outcome) -> &'static str {
    match outcome.workload.kind {
        Kind::Flow(_) | Kind::Crowd(_) => "message",
        Kind::Request(_) => "request",
        Kind::Idle(_) | Kind::Connect(_) => "connection",
        Kind::SubUnsub(_) => "line",
    }
}

/// The workload in a few words.
fn summary(outcome: &Outcome) -> String {
    let name = &outcome.workload.name;
    let words = match &outcome.workload.kind {
        Kind::Flow(flow) => {
            let mut words = format!(
                "{} to {}, {} bytes",
                flow.publishers, flow.subscribers, flow.size
            );
            if flow.headers {
                words += " and a header block";
            }
            if flow.subjects > 0 {
                let _ = write!(words, ", {} subjects", flow.subjects);
            }
            if let Some(rate) = flow.rate {
                let _ = write!(words, ", {} per second due", count(rate));
            }
            if let Some(rate) = flow.read_rate {
                let _ = write!(words, ", read at {}/s", bytes(rate as f64));
            }
            words
        }
        Kind::Request(request) => {
            let loops = match request.rate {
                Some(rate) => format!("{} per second due", count(rate)),
                None => format!("{} outstanding each", request.outstanding),
            };
            format!(
                "{} ask {}, {loops}, {} bytes",
                request.requesters, request.responders, request.size
            )
        }
        Kind::Crowd(crowd) => format!(
            "{}, {} messages per second due, {} bytes{}",
            plural(crowd.connections as u64, "connection"),
            count(crowd.rate),
            crowd.size,
            if crowd.warm_up > 0.0 {
                format!(", after {} s of warm-up", crowd.warm_up)
            } else {
                String::new()
            }
        ),
        Kind::Idle(idle) => format!(
            "{} with {}{}",
            plural(idle.connections as u64, "connection"),
            plural(idle.subscriptions as u64, "subscription"),
            if idle.connections == 1 { "" } else { " each" }
        ),
        Kind::Connect(connect) => format!("{} at a time", connect.concurrency),
        Kind::SubUnsub(subs) => plural(subs.subscriptions as u64, "subscription"),
    };
    format!("{name}: {words}")
}

/// A figure by the unit at the end of its name.
pub(crate) fn figure(name: &str, value: f64) -> String {
    if name.ends_with("_nanos") {
        seconds(value)
    } else if name.starts_with("bytes_") {
        bytes(value)
    } else if name.ends_with("_rate") {
        format!("{}/s", count(value))
    } else {
        format!("{value:.3}")
    }
}

/// A number with three or four significant digits and a unit: `12.3 M`.
pub(crate) fn count(number: f64) -> String {
    scaled(number, &[(1e9, " G"), (1e6, " M"), (1e4, " k")], "")
}

/// A whole number with its thousands apart: `100,000`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes: `12.3 MB`.
pub(crate) fn bytes(number: f64) -> String {
    scaled(number, &[(1e9, " GB"), (1e6, " MB"), (1e3, " kB")], " B")
}

/// Nanoseconds: `12.3 us`.
pub(crate) fn seconds(nanos: f64) -> String {
    let units = [(1e9, " s"), (1e6, " ms"), (1e3, " us"), (1.0, " ns")];
    scaled(nanos, &units, " ns")
}

fn scaled(number: f64, units: &[(f64, &str)], plain: &str) -> String {
    match units.iter().find(|(unit, _)| number.abs() >= *unit) {
        Some((unit, name)) => {
            // Scaled by a thousand at least, even if it is chosen from ten thousand on.
            let unit = if *unit == 1e4 { 1e3 } else { *unit };
            let value = number / unit;
            let digits = match value.abs() {
                value if value < 9.995 => 2,
                value if value < 99.95 => 1,
                _ => 0,
            };
            format!("{value:.digits$}{name}")
        }
        None => format!("{number:.0}{plain}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        assert_eq!(count(12_345_678.0), "12.3 M");
        assert_eq!(count(999.0), "999");
        assert_eq!(count(9_999.0), "9999");
        assert_eq!(count(50_000.0), "50.0 k");
        assert_eq!(bytes(1_500.0), "1.50 kB");
        assert_eq!(seconds(1_234.0), "1.23 us");
        assert_eq!(seconds(0.5), "0 ns");
        assert_eq!(seconds(99_960.0), "100 us");
    }
}
