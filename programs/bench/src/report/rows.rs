//! Bars and dots, a row for each workload.

use std::fmt::Write;

use super::scale::Scale;
use super::{colour, escaped, times};
use crate::suite::Metric;
use crate::table;
use crate::versus::results::{Compared, Comparison, Results, Summary};

/// How many times better the first broker is than the one of this number: a bar for each workload,
/// by its most telling figure.
pub(super) fn ratios(results: &Results, other: usize) -> String {
    let rows: Vec<(&Compared, &Comparison, Summary)> = results
        .workloads
        .iter()
        .filter_map(|workload| {
            let first = workload.metrics.first()?;
            Some((workload, first, first.ratios[other]?))
        })
        .collect();
    let numbers = rows
        .iter()
        .flat_map(|(_, _, ratio)| [ratio.lowest, ratio.highest]);
    let scale = Scale::around(numbers.chain([0.8, 2.0]), 2.0);
    let ticks = scale.ticks(2.0);
    let one = scale.percent(1.0);
    let mut html = axis(
        ticks
            .iter()
            .map(|tick| (scale.percent(*tick), short(*tick))),
    );
    for (workload, comparison, ratio) in rows {
        let end = scale.percent(ratio.median);
        let (left, width) = (one.min(end), (one - end).abs());
        let (side, broker) = if end < one { (" left", other) } else { ("", 0) };
        let mut track = grid(ticks.iter().map(|tick| scale.percent(*tick)));
        let _ = write!(
            track,
            "<i class=\"bar{side}\" style=\"left:{left:.2}%;width:{width:.2}%;background:{}\"></i>\
             <i class=\"one\" style=\"left:{one:.2}%\"></i>",
            colour(broker)
        );
        let (low, high) = (scale.percent(ratio.lowest), scale.percent(ratio.highest));
        let _ = write!(
            track,
            "<i class=\"range\" style=\"left:{low:.2}%;width:{:.2}%\"></i>",
            high - low
        );
        let range = if ratio.is_point() {
            String::new()
        } else {
            format!("{:.2} – {:.2}", ratio.lowest, ratio.highest)
        };
        row(
            &mut html,
            &workload.title,
            comparison.metric.title(),
            &track,
            &times(ratio.median),
            &range,
        );
    }
    html
}

/// A figure of all brokers, with a dot for each.
pub(super) fn dots(results: &Results, metric: Metric) -> String {
    let rows: Vec<(&Compared, &Comparison)> = results
        .workloads
        .iter()
        .filter_map(|workload| {
            let mut metrics = workload.metrics.iter();
            let found = metrics.find(|comparison| comparison.metric == metric)?;
            found
                .values
                .iter()
                .any(Option::is_some)
                .then_some((workload, found))
        })
        .collect();
    let summaries = rows
        .iter()
        .flat_map(|(_, found)| found.values.iter().flatten());
    let scale = Scale::around(
        summaries.flat_map(|summary| [summary.lowest, summary.highest]),
        10.0,
    );
    let ticks = scale.ticks(10.0);
    let mut html = axis(
        ticks
            .iter()
            .map(|tick| (scale.percent(*tick), metric_tick(metric, *tick))),
    );
    for (workload, found) in rows {
        let mut track = grid(ticks.iter().map(|tick| scale.percent(*tick)));
        let mut values = Vec::new();
        for (broker, summary) in found.values.iter().enumerate() {
            let Some(summary) = summary else { continue };
            let (low, high) = (
                scale.percent(summary.lowest),
                scale.percent(summary.highest),
            );
            let _ = write!(
                track,
                "<i class=\"reach\" style=\"left:{low:.2}%;width:{:.2}%;background:{}\"></i>",
                high - low,
                colour(broker)
            );
            let label = &results.brokers[broker].label;
            let shown = metric.show(summary.median);
            let _ = write!(
                track,
                "<i class=\"dot\" title=\"{} {shown}\" style=\"left:{:.2}%;background:{}\"></i>",
                escaped(label),
                scale.percent(summary.median),
                colour(broker)
            );
            values.push(shown);
        }
        let first = values.first().cloned().unwrap_or_default();
        let others = values.get(1..).unwrap_or_default().join(", ");
        row(&mut html, &workload.title, "", &track, &first, &others);
    }
    html
}

fn row(html: &mut String, name: &str, under: &str, track: &str, value: &str, range: &str) {
    let (name, under) = (escaped(name), escaped(under));
    let under = if under.is_empty() {
        under
    } else {
        format!("<small>{under}</small>")
    };
    let _ = writeln!(
        html,
        "<div class=\"row\"><div class=\"name\">{name}{under}</div>\
         <div class=\"track\">{track}</div>\
         <div class=\"value\">{}<small>{}</small></div></div>",
        escaped(value),
        escaped(range)
    );
}

fn axis(ticks: impl Iterator<Item = (f64, String)>) -> String {
    let mut marks = String::new();
    for (place, text) in ticks {
        let _ = write!(marks, "<span style=\"left:{place:.2}%\">{text}</span>");
    }
    format!(
        "<div class=\"row axis\"><div class=\"name\"></div>\
         <div class=\"track\">{marks}</div><div></div></div>\n"
    )
}

fn grid(places: impl Iterator<Item = f64>) -> String {
    let mut lines = String::new();
    for place in places {
        let _ = write!(lines, "<i class=\"grid\" style=\"left:{place:.2}%\"></i>");
    }
    lines
}

/// A power of two as a factor.
fn short(factor: f64) -> String {
    if factor < 1.0 {
        format!("1/{:.0}", 1.0 / factor)
    } else {
        format!("{factor:.0}×")
    }
}

/// A power of ten.
pub(super) fn metric_tick(metric: Metric, value: f64) -> String {
    let text = metric.show(value).replace(".00", "").replace(".0", "");
    match metric {
        Metric::P50 | Metric::P99 | Metric::PeakMemory => text,
        _ if value < 1e4 => table::thousands(value as usize),
        _ => text,
    }
}
