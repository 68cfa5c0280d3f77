//! The small plot: ratios of the most telling workloads, for a README. Knows light and dark.

use std::fmt::Write;

use super::scale::Scale;
use super::{escaped, times};
use crate::versus::results::{Results, Summary};
use midge_text::quantity::plural;

/// What it shows, if it was measured.
const SHOWN: &[&str] = &[
    "pub-only",
    "1-to-1",
    "1-to-1-1k",
    "1-to-8",
    "8-to-1",
    "queue-2-to-4",
    "subjects-100k",
    "request-1",
    "request-32",
    "latency-1.5m",
    "connect",
    "idle",
];

const WIDTH: f64 = 760.0;
const ROW: f64 = 26.0;
const LEFT: f64 = 330.0;
const RIGHT: f64 = 64.0;
const TOP: f64 = 62.0;

const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#0b0b0b}\
.h{font-size:15px;font-weight:600}.s{fill:#52514e;font-size:12px}.v{font-weight:600}\
.b{fill:#2a78d6}.l{fill:#eb6834}.g{stroke:#e4e3dc}.o{stroke:#bdbbb2}.w{stroke:#0b0b0b;stroke-width:2;opacity:.5}\
@media(prefers-color-scheme:dark){text{fill:#fff}.s{fill:#c3c2b7}.b{fill:#3987e5}.l{fill:#d95926}\
.g{stroke:#2e2e2b}.o{stroke:#55544f}.w{stroke:#fff}}";

/// The plot of the first broker beside the second, as SVG.
pub(crate) fn headline(results: &Results) -> String {
    let rows: Vec<(&str, &str, Summary)> = results
        .workloads
        .iter()
        .filter(|workload| {
            SHOWN.contains(&&*workload.name) || results.workloads.len() < SHOWN.len()
        })
        .filter_map(|workload| {
            let first = workload.metrics.first()?;
            let ratio = (*first.ratios.get(1)?)?;
            Some((&*workload.title, first.metric.title(), ratio))
        })
        .collect();
    let numbers = rows
        .iter()
        .flat_map(|(_, _, ratio)| [ratio.lowest, ratio.highest]);
    let scale = Scale::around(numbers.chain([1.0, 2.0]), 2.0);
    let x = |ratio: f64| LEFT + (WIDTH - LEFT - RIGHT) * scale.place(ratio);
    let height = TOP + ROW * rows.len() as f64 + 10.0;
    let brokers: Vec<String> = results
        .brokers
        .iter()
        .take(2)
        .map(|broker| escaped(&broker.version))
        .collect();
    let brokers = brokers.join(" beside ");
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{brokers}\">\
         <style>{STYLE}</style>\
         <text class=\"h\" x=\"8\" y=\"20\">{brokers}: how many times better</text>\
         <text class=\"s\" x=\"8\" y=\"38\">medians of {}, {} shared with the load; lines are lowest and highest</text>\n",
        plural(results.rounds as u64, "round"),
        plural(results.machine.cores as u64, "core")
    );
    let bottom = height - 8.0;
    for tick in scale.ticks(2.0) {
        let (x, class) = (x(tick), if tick == 1.0 { "o" } else { "g" });
        let text = if tick < 1.0 {
            format!("1/{:.0}", 1.0 / tick)
        } else {
            format!("{tick:.0}×")
        };
        let _ = writeln!(
            svg,
            "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text class=\"s\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
            TOP - 6.0
        );
    }
    for (place, (title, metric, ratio)) in rows.iter().enumerate() {
        let top = TOP + ROW * place as f64 + 5.0;
        let (middle, one, end) = (top + 8.0, x(1.0), x(ratio.median));
        let (left, width) = (one.min(end), (one - end).abs().max(1.0));
        let class = if end < one { "l" } else { "b" };
        let after = x(ratio.highest.max(1.0)) + 8.0;
        let _ = writeln!(
            svg,
            "<text x=\"8\" y=\"{:.1}\">{}<tspan class=\"s\"> {metric}</tspan></text>\
             <rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"16\" rx=\"3\"/>\
             <line class=\"w\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
             <text class=\"v\" x=\"{after:.1}\" y=\"{:.1}\">{}</text>",
            top + 12.5,
            escaped(&short(title)),
            x(ratio.lowest),
            x(ratio.highest),
            top + 12.5,
            times(ratio.median)
        );
    }
    svg + "</svg>\n"
}

/// Titles are made for a wider place.
fn short(title: &str) -> String {
    title
        .replace(
            "100,000 literal and wildcard subscriptions, random subjects",
            "100,000 subjects",
        )
        .replace("Request and reply", "Request")
        .replace(" to a queue group of ", " to group of ")
}
