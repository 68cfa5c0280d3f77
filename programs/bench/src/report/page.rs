//! The page from top to bottom.

use std::fmt::Write;

use super::{colour, curves, escaped, rows, times};
use crate::suite::{Metric, Series};
use crate::table;
use crate::versus::letter;
use crate::versus::results::{Compared, Comparison, Results, Summary};
use midge_text::quantity::plural;

const STYLE: &str = include_str!("style.css");

/// How it was measured, for readers who have not seen the program.
const METHOD: &[&str] = &[
    "Every broker gets the same bytes in the same writes. In each round a workload runs on all brokers one after the other, each started anew with its defaults; every second round begins at the other end.",
    "Every message has a number and a check of all its bytes. A message that is lost, doubled, out of order, altered or foreign makes the measurement a failure.",
    "Publishers are never more than 16 MiB ahead of the slowest subscriber, since brokers close subscribers that are too far behind. There is no such bound where a publisher outruns a subscriber, or with a fixed rate.",
    "In an open loop each message is due at its own time whatever the broker does, and its latency counts from that time: a broker that stops for a while is charged for all messages that waited.",
    "Broker CPU is the user and system time of all the broker's threads. It does not include the CPU time of the load, so it is the fairest figure where load and broker share a machine.",
    "A ratio is the median of the rounds' own ratios, each of two measurements made within seconds. Above 1 the first broker is better, also where less is better.",
];

/// The whole report.
pub(crate) fn page(results: &Results) -> String {
    let names: Vec<String> = results
        .brokers
        .iter()
        .map(|broker| escaped(name(&broker.version, &broker.label)))
        .collect();
    let title = names.join(" beside ");
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n"
    );
    lead(&mut html, results);
    tiles(&mut html, results);
    for other in 1..results.brokers.len() {
        let heading = format!(
            "How many times better {} is than {}",
            escaped(&results.brokers[0].label),
            escaped(&results.brokers[other].label)
        );
        let text = "One figure for each workload; a bar to the left means that the other broker is better. The thin line spans the lowest and the highest round.";
        section(&mut html, &heading, text, &rows::ratios(results, other));
    }
    let legend = legend(results);
    let text = "Messages, requests or connections per second of CPU time that the broker spends. Dots are medians, lines span the lowest and the highest round.";
    let body = legend.clone() + &rows::dots(results, Metric::CpuRate);
    section(&mut html, "Per second of the broker's CPU", text, &body);
    latencies(&mut html, results, &legend);
    growths(&mut html, results, &legend);
    let text = match results.rounds {
        0 | 1 => "",
        _ => "Medians, and under them the lowest and the highest round.",
    };
    let body = format!("<div class=\"scroll\">{}</div>", all(results));
    section(&mut html, "All figures", text, &body);
    section(&mut html, "How it was measured", "", &how(results));
    html + "</main>\n</body>\n</html>\n"
}

fn name<'a>(version: &'a str, label: &'a str) -> &'a str {
    if version.is_empty() { label } else { version }
}

fn lead(html: &mut String, results: &Results) {
    let machine = &results.machine;
    let _ = writeln!(
        html,
        "<p>{}, {} of {} s on {} ({}), shared by broker and load.</p>",
        escaped(&results.date),
        plural(results.rounds as u64, "round"),
        results.seconds,
        plural(machine.cores as u64, "core"),
        escaped(&machine.processor)
    );
}

fn section(html: &mut String, heading: &str, text: &str, body: &str) {
    let text = if text.is_empty() {
        String::new()
    } else {
        format!("<p>{text}</p>\n")
    };
    let _ = writeln!(
        html,
        "<section>\n<h2>{heading}</h2>\n{text}{body}</section>"
    );
}

fn legend(results: &Results) -> String {
    let mut html = "<ul class=\"legend\">".to_owned();
    for (place, broker) in results.brokers.iter().enumerate() {
        let _ = write!(
            html,
            "<li><i style=\"background:{}\"></i>{}</li>",
            colour(place),
            escaped(name(&broker.version, &broker.label))
        );
    }
    html + "</ul>\n"
}

/// A few numbers in large type.
fn tiles(html: &mut String, results: &Results) {
    let mut tiles = Vec::new();
    let rates: Vec<f64> = results
        .workloads
        .iter()
        .filter_map(|workload| ratio(workload, Metric::CpuRate))
        .collect();
    if !rates.is_empty() {
        let logarithms: f64 = rates.iter().map(|ratio| ratio.ln()).sum();
        let mean = (logarithms / rates.len() as f64).exp();
        tiles.push((
            times(mean),
            format!(
                "the work per CPU second, geometric mean of {} workloads",
                rates.len()
            ),
        ));
    }
    let figures = [
        ("1-to-1", Metric::CpuRate, "1 to 1, 16 B, per CPU second"),
        ("request-1", Metric::P50, "shorter request and reply, p50"),
        (
            "idle",
            Metric::ConnectionBytes,
            "less memory per connection",
        ),
    ];
    for (name, metric, text) in figures {
        let mut workloads = results.workloads.iter();
        let found = workloads.find(|workload| workload.name == name);
        if let Some(ratio) = found.and_then(|workload| ratio(workload, metric)) {
            tiles.push((times(ratio), text.to_owned()));
        }
    }
    let failed: usize = results
        .workloads
        .iter()
        .map(|workload| workload.faults.iter().filter(|flaw| !flaw.expected).count())
        .sum();
    let _ = write!(html, "<div class=\"tiles\">");
    for (number, text) in tiles {
        let _ = write!(
            html,
            "<div class=\"tile\"><b>{number}</b><span>{text}</span></div>"
        );
    }
    let (class, word, text) = match failed {
        0 => (
            "good",
            "All".to_owned(),
            "checks have passed, every message accounted for",
        ),
        _ => (
            "bad",
            failed.to_string(),
            "checks have failed: see the notes at the end",
        ),
    };
    let _ = writeln!(
        html,
        "<div class=\"tile\"><b class=\"{class}\">{word}</b><span>{text}</span></div></div>"
    );
}

/// The median ratio of the first broker to the second.
fn ratio(workload: &Compared, metric: Metric) -> Option<f64> {
    let mut metrics = workload.metrics.iter();
    let found = metrics.find(|comparison| comparison.metric == metric)?;
    found.ratios.get(1)?.map(|summary| summary.median)
}

fn latencies(html: &mut String, results: &Results, legend: &str) {
    let mut plots = String::new();
    for workload in &results.workloads {
        if curves::has_latency(workload) && workload.series.is_none() {
            let plot = curves::latency(workload, results);
            let title = escaped(&workload.title);
            let _ = write!(plots, "<div><h3>{title}</h3>{plot}</div>");
        }
    }
    if !plots.is_empty() {
        let text = "Percentiles, up to the slowest of ten thousand. A request is timed from sending to the reply; in the open loop a message is timed from its due time to its arrival.";
        let body = format!("{legend}<div class=\"plots\">{plots}</div>");
        section(html, "Latency", text, &body);
    }
}

fn growths(html: &mut String, results: &Results, legend: &str) {
    let growing = [
        (Series::Subscriptions, Metric::CpuRate),
        (Series::Connections, Metric::CpuRate),
        (Series::Connections, Metric::P50),
    ];
    let mut plots = String::new();
    for (series, metric) in growing {
        if let Some(plot) = curves::growth(results, series, metric) {
            let (title, metric) = (series.title(), metric.title());
            let _ = write!(plots, "<div><h3>{title}: {metric}</h3>{plot}</div>");
        }
    }
    if !plots.is_empty() {
        let text = "The same load, while the number on the horizontal axis grows.";
        let body = format!("{legend}<div class=\"plots\">{plots}</div>");
        section(html, "Scaling", text, &body);
    }
}

fn all(results: &Results) -> String {
    let mut html = "<table>\n<thead><tr><th>workload</th><th>figure</th>".to_owned();
    for broker in &results.brokers {
        let _ = write!(html, "<th>{}</th>", escaped(&broker.label));
    }
    for place in 1..results.brokers.len() {
        let _ = write!(html, "<th>ratio A : {}</th>", letter(place));
    }
    html += "</tr></thead>\n<tbody>\n";
    for workload in &results.workloads {
        for (place, comparison) in workload.metrics.iter().enumerate() {
            let title = if place == 0 { &*workload.title } else { "" };
            let _ = write!(
                html,
                "<tr><td>{}</td><td>{}</td>",
                escaped(title),
                comparison.metric.title()
            );
            cells(&mut html, comparison);
            html += "</tr>\n";
        }
    }
    html + "</tbody>\n</table>"
}

fn cells(html: &mut String, comparison: &Comparison) {
    let mut cell = |summary: &Option<Summary>, show: &dyn Fn(f64) -> String| {
        let _ = match summary {
            Some(summary) if summary.is_point() => {
                write!(html, "<td>{}</td>", show(summary.median))
            }
            Some(summary) => write!(
                html,
                "<td>{}<small>{} – {}</small></td>",
                show(summary.median),
                show(summary.lowest),
                show(summary.highest)
            ),
            None => write!(html, "<td>–</td>"),
        };
    };
    for value in &comparison.values {
        cell(value, &|value| comparison.metric.show(value));
    }
    for ratio in comparison.ratios.iter().skip(1) {
        cell(ratio, &|ratio| format!("{ratio:.2}"));
    }
}

fn how(results: &Results) -> String {
    let machine = &results.machine;
    let mut html = "<dl>".to_owned();
    let mut pair = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(html, "<dt>{name}</dt><dd>{}</dd>", escaped(value));
        }
    };
    pair("Date", &results.date);
    pair(
        "Processor",
        &format!(
            "{}, {}",
            machine.processor,
            plural(machine.cores as u64, "core")
        ),
    );
    if machine.memory_bytes > 0 {
        pair("Memory", &table::bytes(machine.memory_bytes as f64));
    }
    pair(
        "System",
        &format!("{}, Linux {}", machine.system, machine.kernel),
    );
    pair("TCP congestion control", &machine.congestion_control);
    let load = format!(
        "{} before, {} after",
        machine.load_before, machine.load_after
    );
    pair("Load average", &load);
    for (place, broker) in results.brokers.iter().enumerate() {
        let text = format!("{}, {}", broker.version, broker.command);
        pair(&format!("Broker {}", letter(place)), &text);
    }
    pair("Load", &format!("midge bench {}", results.version));
    pair("Command", &results.command);
    html += "</dl>\n<ul>\n";
    for text in METHOD {
        let _ = writeln!(html, "<li>{text}</li>");
    }
    html += "</ul>\n";
    html += &notes(results);
    html
}

fn notes(results: &Results) -> String {
    let mut items = String::new();
    for workload in &results.workloads {
        let title = escaped(&workload.title);
        if let Some(why) = &workload.skipped {
            let _ = writeln!(items, "<li>{title}: not measured: {}</li>", escaped(why));
        }
        for (broker, count) in workload
            .cut_off
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            let _ = writeln!(
                items,
                "<li>{title}: {} closed a subscriber in {count} of {}.</li>",
                escaped(&results.brokers[broker].label),
                plural(results.rounds as u64, "round")
            );
        }
        for flaw in &workload.faults {
            let class = if flaw.expected { "" } else { " class=\"bad\"" };
            let _ = writeln!(
                items,
                "<li{class}>{title}: {}, round {}: {}</li>",
                escaped(&results.brokers[flaw.broker].label),
                flaw.round,
                escaped(&flaw.text)
            );
        }
    }
    if items.is_empty() {
        return items;
    }
    format!("<h3>Notes</h3>\n<ul>\n{items}</ul>\n")
}
