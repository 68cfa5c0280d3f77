//! A sample as text.

use std::collections::HashMap;
use std::fmt::Write;

use midge_text::host_port;
use serde_json::Value;

use super::sample::{Flow, Sample, Sort, Traffic};
use crate::{peer, plain};

/// Columns and lines of a screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

/// A column of the table.
struct Column {
    head: &'static str,
    is_number: bool,
    /// The last to go where there is no room for all has the highest.
    rank: u8,
}

const fn text(head: &'static str, rank: u8) -> Column {
    Column {
        head,
        is_number: false,
        rank,
    }
}

const fn number(head: &'static str, rank: u8) -> Column {
    Column {
        head,
        is_number: true,
        rank,
    }
}

const COLUMNS: &[Column] = &[
    number("CID", 13),
    text("NAME", 12),
    text("HOST", 8),
    number("SUBS", 7),
    number("PENDING", 11),
    number("MSGS_TO", 10),
    number("MSGS_FROM", 9),
    number("BYTES_TO", 6),
    number("BYTES_FROM", 5),
    text("LANG", 2),
    text("VERSION", 1),
    text("UPTIME", 3),
    text("IDLE", 4),
];

/// Most letters of a text on a screen. A script gets all of it.
const TEXT_MAX: usize = 24;

/// Makes the page: totals, then a table of connections. With a `size` no line and no page is longer:
/// texts are cut, columns are left out, and the table shows rates. Without one it has all, and totals.
pub(super) fn render(
    sample: &Sample,
    before: Option<&Sample>,
    sort: Sort,
    size: Option<Size>,
) -> String {
    let columns = size.map_or(usize::MAX, |size| size.columns);
    let mut page = head(sample, before);
    page.push_str(&busiest(sample, columns));
    let rates = before
        .filter(|_| size.is_some())
        .map(|before| sample.rates(before));
    let rows = sample.connections.iter();
    let rows: Vec<Vec<String>> = rows.map(|one| row(one, rates.as_ref())).collect();
    if rows.is_empty() {
        page.push_str("no connections\n");
    } else {
        let (shown, total, order) = (rows.len(), sample.total, sort.name());
        let what = if rates.is_some() {
            ", messages and bytes per second"
        } else {
            ""
        };
        let _ = writeln!(page, "{shown} of {total} connections by {order}{what}\n");
        page.push_str(&table(rows, columns));
    }
    if let Some(size) = size {
        let mut lines: Vec<String> = page.lines().map(|line| cut(line, size.columns)).collect();
        lines.truncate(size.lines.saturating_sub(2));
        lines.push(String::new());
        lines.push(cut("q quits, s sorts by the next column", size.columns));
        page = lines.join("\n");
    }
    page
}

/// What it is, and where: midge by its own version, behind which stands the one it is compatible with.
fn product(varz: &Value, asked: &str) -> String {
    let text = |name: &str| shown(&varz[name]);
    let mut line = match varz["midge"].is_string() {
        true => format!(
            "midge {} (as nats-server {})",
            text("midge"),
            text("version")
        ),
        false => format!("nats-server {}", text("version")),
    };
    if let (Some(host), Some(port)) = (varz["host"].as_str(), varz["port"].as_u64()) {
        let host = plain::line(host);
        // At a Unix socket there is no port.
        if port > 0 {
            let _ = write!(line, " at {}", host_port::join(&host, port));
        }
    }
    let _ = writeln!(line, ", up {}", text("uptime"));
    // A name that was not set is the id, which says nothing.
    if varz["server_name"].is_string() && varz["server_name"] != varz["server_id"] {
        let _ = write!(line, "name {}, ", text("server_name"));
    }
    let _ = writeln!(line, "monitoring at {}", plain::line(asked));
    line
}

fn head(sample: &Sample, before: Option<&Sample>) -> String {
    let varz = &sample.varz;
    let text = |name: &str| shown(&varz[name]);
    let mut out = product(varz, &sample.asked);
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
                "; {} messages and {} per second",
                count(msgs),
                bytes(rate)
            );
        }
        out.push('\n');
    }
    out
}

/// The busiest subjects, a line each, in which the subject gives way.
fn busiest(sample: &Sample, columns: usize) -> String {
    let mut out = String::new();
    let subjects = sample.subjects.iter().flatten();
    for (place, one) in subjects.enumerate() {
        let number = |name: &str| one[name].as_f64().unwrap_or_default();
        let name = if place == 0 { "now" } else { "" };
        let mut line = format!(
            ": {} messages and {} per second",
            count(number("msgs_rate")),
            bytes(number("bytes_rate"))
        );
        let unrouted = 100.0 * number("unrouted") / number("msgs").max(1.0);
        if unrouted >= 0.5 {
            let _ = write!(line, ", {unrouted:.0}% of them unrouted");
        }
        let room = columns.saturating_sub(5 + line.chars().count());
        let subject = cut(&shown(&one["subject"]), room.max(8));
        let _ = writeln!(out, "{name:<3}  {subject}{line}");
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
    let host = peer::of(one);
    vec![
        text("cid"),
        text("name"),
        host,
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

/// Columns as wide as their longest entry, numbers to the right. Where they are wider than `room`
/// together, texts are cut, and then those of the lowest rank are left out.
fn table(mut rows: Vec<Vec<String>>, room: usize) -> String {
    if room < usize::MAX {
        for row in &mut rows {
            for (entry, column) in row.iter_mut().zip(COLUMNS) {
                if !column.is_number {
                    *entry = cut(entry, TEXT_MAX);
                }
            }
        }
    }
    let width = |at: usize| {
        let entries = rows.iter().map(|row| row[at].chars().count());
        entries.chain([COLUMNS[at].head.len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let mut kept: Vec<usize> = (0..COLUMNS.len()).collect();
    let wide = |kept: &[usize]| kept.iter().map(|at| widths[*at] + 2).sum::<usize>() - 2;
    while kept.len() > 1 && wide(&kept) > room {
        let least = kept.iter().copied().min_by_key(|at| COLUMNS[*at].rank);
        kept.retain(|at| Some(*at) != least);
    }
    let heads: Vec<String> = COLUMNS.iter().map(|one| one.head.to_owned()).collect();
    let mut out = String::new();
    for row in std::iter::once(&heads).chain(&rows) {
        let mut line = String::new();
        for at in &kept {
            let (entry, width) = (&row[*at], widths[*at]);
            let _ = match COLUMNS[*at].is_number {
                true => write!(line, "{entry:>width$}  "),
                false => write!(line, "{entry:<width$}  "),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A text without anything that moves a terminal's cursor: names come from clients.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => plain::line(text),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The text with an ellipsis in place of what is longer than `columns`.
fn cut(text: &str, columns: usize) -> String {
    match text.chars().count() {
        len if len <= columns => text.to_owned(),
        _ if columns == 0 => String::new(),
        _ => text.chars().take(columns - 1).chain(['…']).collect(),
    }
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
        for (number, expected) in [
            (0.0, "0"),
            (999.0, "999"),
            (1000.0, "1.0k"),
            (2.5e9, "2.5G"),
        ] {
            assert_eq!(count(number), expected);
        }
        for (number, expected) in [(0.0, "0B"), (1023.0, "1023B"), (1536.0, "1.5KiB")] {
            assert_eq!(bytes(number), expected);
        }
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(shown(&Value::from("a\x1b[2Jb\n")), "a?[2Jb?");
    }

    #[test]
    fn no_line_is_wider_than_the_screen_and_what_matters_most_stays() {
        let one = |cid: u64, name: &str| {
            serde_json::json!({
                "cid": cid, "name": name, "ip": "2001:db8:1111:2222:3333:4444:5555:6666",
                "port": 61234, "subscriptions": 123_456, "pending_bytes": 1_000_000_000,
                "out_msgs": 12_345_678, "in_msgs": 12_345_678, "out_bytes": 1_234_567_890_123u64,
                "in_bytes": 1_234_567_890_123u64, "lang": "nats-go-and-more", "version": "1.43.0",
                "uptime": "12d3h4m5s", "idle": "12d3h4m5s",
            })
        };
        let varz = serde_json::json!({
            "server_id": "N".repeat(56), "server_name": "N".repeat(56), "version": "2.10.29",
            "midge": "0.1.0", "host": "::", "port": 4222, "uptime": "12d3h4m5s", "cpu": 100.5,
            "mem": 1_u64 << 40, "connections": 10_000, "subscriptions": 1_000_000,
        });
        let subject = serde_json::json!({
            "subject": "s".repeat(200), "msgs": 100, "unrouted": 100, "msgs_rate": 123_456.7,
        });
        let mut sample = Sample::fake(varz, vec![one(123_456, &"x".repeat(60))]);
        sample.subjects = Some(vec![subject]);
        for columns in [40, 60, 80, 100, 200] {
            let size = Size { columns, lines: 24 };
            let page = render(&sample, None, Sort::Cid, Some(size));
            let widest = page.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(columns), "{columns}:\n{page}");
            assert!(page.starts_with("midge 0.1.0 "), "{page}");
            assert!(
                page.contains("123456  xxx") && page.contains("xx…"),
                "{page}"
            );
            assert!(!page.contains("NNNN"), "{page}");
            if columns >= 80 {
                let line = "at [::]:4222, up 12d3h4m5s\n";
                assert!(page.contains(line), "{page}");
                assert!(page.contains("100% of them unrouted"), "{page}");
                assert!(page.contains("953.7MiB"), "{page}");
            }
        }
        // A script gets all of it.
        let page = render(&sample, None, Sort::Cid, None);
        assert!(
            page.contains(&"x".repeat(60)) && page.contains("1.43.0"),
            "{page}"
        );
        // Without connections there is no head of a table.
        sample.connections.clear();
        let page = render(&sample, None, Sort::Cid, None);
        assert!(page.ends_with("no connections\n") && !page.contains("CID"));
    }
}
