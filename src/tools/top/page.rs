//! A sample as text.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::Value;

use super::sample::{Flow, Sample, Sort, Traffic};
use crate::tools::plain;

/// Columns and lines of a screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

/// The heads of the table's columns, and whether they are numbers.
const COLUMNS: &[(&str, bool)] = &[
    ("HOST", false),
    ("CID", true),
    ("NAME", false),
    ("SUBS", true),
    ("PENDING", true),
    ("MSGS_TO", true),
    ("MSGS_FROM", true),
    ("BYTES_TO", true),
    ("BYTES_FROM", true),
    ("LANG", false),
    ("VERSION", false),
    ("UPTIME", false),
    ("IDLE", false),
];

/// Makes the page: totals, then a table of connections. With a `size` no line and no page is longer,
/// and the table shows rates; without one it shows totals.
pub(super) fn render(
    sample: &Sample,
    before: Option<&Sample>,
    sort: Sort,
    size: Option<Size>,
) -> String {
    let mut page = head(sample, before);
    page.push_str(&busiest(sample));
    let rates = before
        .filter(|_| size.is_some())
        .map(|before| sample.rates(before));
    let rows = sample.connections.iter();
    let rows: Vec<Vec<String>> = rows.map(|one| row(one, rates.as_ref())).collect();
    let _ = writeln!(
        page,
        "{} of {} connections by {}{}\n",
        rows.len(),
        sample.total,
        sort.name(),
        if rates.is_some() {
            ", messages and bytes a second"
        } else {
            ""
        },
    );
    page.push_str(&table(&rows));
    if let Some(size) = size {
        let mut lines: Vec<String> = page.lines().map(|line| cut(line, size.columns)).collect();
        lines.truncate(size.lines.saturating_sub(2));
        lines.push(String::new());
        lines.push(cut("q quits, s sorts by the next column", size.columns));
        page = lines.join("\n");
    }
    page
}

fn head(sample: &Sample, before: Option<&Sample>) -> String {
    let varz = &sample.varz;
    let text = |name: &str| shown(&varz[name]);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} version {}, up {}",
        text("server_name"),
        text("version"),
        text("uptime")
    );
    let _ = writeln!(
        out,
        "cpu {}%, memory {}, {} connections, {} subscriptions, {} slow consumers",
        text("cpu"),
        bytes(varz["mem"].as_f64().unwrap_or_default()),
        text("connections"),
        text("subscriptions"),
        text("slow_consumers"),
    );
    let rate = before.map(|before| sample.rate(before));
    let total = sample.traffic();
    for (way, total, rate) in [
        ("in ", total.from, rate.map(|rate| rate.from)),
        ("out", total.to, rate.map(|rate| rate.to)),
    ] {
        let _ = write!(
            out,
            "{way}  {} messages, {}",
            count(total.msgs),
            bytes(total.bytes)
        );
        if let Some(Flow { msgs, bytes: rate }) = rate {
            let _ = write!(
                out,
                "; {} messages and {} a second",
                count(msgs),
                bytes(rate)
            );
        }
        out.push('\n');
    }
    out
}

/// The busiest subjects, a line each.
fn busiest(sample: &Sample) -> String {
    let mut out = String::new();
    let subjects = sample.subjects.iter().flatten();
    for (place, one) in subjects.enumerate() {
        let number = |name: &str| one[name].as_f64().unwrap_or_default();
        let name = if place == 0 { "now" } else { "" };
        let _ = write!(
            out,
            "{name:<3}  {}: {} messages and {} a second",
            shown(&one["subject"]),
            count(number("msgs_rate")),
            bytes(number("bytes_rate"))
        );
        let unheard = 100.0 * number("unrouted") / number("msgs").max(1.0);
        if unheard >= 0.5 {
            let _ = write!(out, ", {unheard:.0}% of them received by nobody");
        }
        out.push('\n');
    }
    out
}

fn row(one: &Value, rates: Option<&HashMap<u64, Traffic>>) -> Vec<String> {
    let text = |name: &str| shown(&one[name]);
    let number = |name: &str| one[name].as_f64().unwrap_or_default();
    let rate = one["cid"].as_u64().and_then(|cid| rates?.get(&cid));
    let traffic = match rate {
        Some(rate) => [rate.to.msgs, rate.from.msgs, rate.to.bytes, rate.from.bytes],
        None => ["out_msgs", "in_msgs", "out_bytes", "in_bytes"].map(number),
    };
    let [msgs_to, msgs_from, bytes_to, bytes_from] = traffic;
    vec![
        format!("{}:{}", text("ip"), text("port")),
        text("cid"),
        text("name"),
        text("subscriptions"),
        bytes(number("pending_bytes")),
        count(msgs_to),
        count(msgs_from),
        bytes(bytes_to),
        bytes(bytes_from),
        text("lang"),
        text("version"),
        text("uptime"),
        text("idle"),
    ]
}

/// Columns as wide as their longest entry, numbers to the right.
fn table(rows: &[Vec<String>]) -> String {
    let mut out = String::new();
    let width = |at: usize| {
        let entries = rows.iter().map(|row| row[at].chars().count());
        entries.chain([COLUMNS[at].0.len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let heads: Vec<String> = COLUMNS.iter().map(|(head, _)| (*head).to_owned()).collect();
    for row in std::iter::once(&heads).chain(rows) {
        let mut line = String::new();
        for (entry, ((_, is_number), width)) in row.iter().zip(COLUMNS.iter().zip(&widths)) {
            let _ = match is_number {
                true => write!(line, "{entry:>width$}  "),
                false => write!(line, "{entry:<width$}  "),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A text without anything that moves a terminal's cursor: names come from whoever connects.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => plain::line(text),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn cut(line: &str, columns: usize) -> String {
    line.chars().take(columns).collect()
}

fn count(number: f64) -> String {
    scaled(number, 1000.0, ["", "k", "M", "G", "T"])
}

fn bytes(number: f64) -> String {
    scaled(number, 1024.0, ["B", "KiB", "MiB", "GiB", "TiB"])
}

/// Whole below the first unit, then with one digit behind the point.
fn scaled(mut number: f64, base: f64, units: [&str; 5]) -> String {
    let mut at = 0;
    while number >= base && at + 1 < units.len() {
        number /= base;
        at += 1;
    }
    let digits = usize::from(at > 0);
    format!("{number:.digits$}{}", units[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, wanted) in [
            (0.0, "0"),
            (999.0, "999"),
            (1000.0, "1.0k"),
            (2.5e9, "2.5G"),
        ] {
            assert_eq!(count(number), wanted);
        }
        for (number, wanted) in [(0.0, "0B"), (1023.0, "1023B"), (1536.0, "1.5KiB")] {
            assert_eq!(bytes(number), wanted);
        }
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(shown(&Value::from("a\x1b[2Jb\n")), "a?[2Jb?");
    }
}
