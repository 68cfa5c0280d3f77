//! Outcomes for people: a few lines each.

use std::fmt::Write;

use super::outcome::Outcome;

/// The outcome of one run.
pub(crate) fn render(outcome: &Outcome) -> String {
    let mut rows = vec![
        ("broker", outcome.broker.clone()),
        ("workload", outcome.workload.name.clone()),
        ("published", count(outcome.published as f64)),
        ("delivered", count(outcome.delivered as f64)),
        ("seconds", format!("{:.3}", outcome.seconds)),
        ("messages/s", count(outcome.rate())),
        ("bytes/s", bytes(outcome.byte_rate())),
    ];
    if let Some(usage) = outcome.usage {
        let each = usage.cpu_seconds * 1e9 / outcome.messages as f64;
        let cores = usage.cpu_seconds / outcome.seconds;
        rows.push((
            "broker CPU",
            format!("{each:.1} ns a message, {cores:.2} cores"),
        ));
        if let Some(rate) = outcome.cpu_rate() {
            rows.push(("messages/broker-CPU-s", count(rate)));
        }
        let (before, after) = (usage.resident_before as f64, usage.resident_after as f64);
        let peak = usage.resident_peak as f64;
        let memory = format!(
            "{}, before {}, peak {}",
            bytes(after),
            bytes(before),
            bytes(peak)
        );
        rows.push(("broker memory", memory));
    }
    if let Some(cpu) = outcome.load_cpu_seconds {
        let each = cpu * 1e9 / outcome.messages as f64;
        let cores = cpu / outcome.seconds;
        rows.push((
            "load CPU",
            format!("{each:.1} ns a message, {cores:.2} cores"),
        ));
    }
    let checks = if outcome.is_good() {
        "all passed".to_owned()
    } else {
        "FAILED".to_owned()
    };
    rows.push(("checks", checks));
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:<width$}  {value}");
    }
    text
}

/// A number with three or four significant digits and a unit: `12.3 M`.
pub(crate) fn count(number: f64) -> String {
    scaled(number, &[(1e9, " G"), (1e6, " M"), (1e3, " k")], "")
}

/// A number of bytes: `12.3 MB`.
pub(crate) fn bytes(number: f64) -> String {
    scaled(number, &[(1e9, " GB"), (1e6, " MB"), (1e3, " kB")], " B")
}

fn scaled(number: f64, units: &[(f64, &str)], plain: &str) -> String {
    match units.iter().find(|(unit, _)| number.abs() >= *unit) {
        Some((unit, name)) => {
            let value = number / unit;
            let digits = if value < 10.0 {
                2
            } else {
                usize::from(value < 100.0)
            };
            format!("{value:.digits$}{name}")
        }
        None => format!("{number:.0}{plain}"),
    }
}
