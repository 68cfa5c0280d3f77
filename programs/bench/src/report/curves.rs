//! Percentiles of latency, and figures over a number that grows: lines in small plots.

use std::fmt::Write;

use super::scale::Scale;
use super::{colour, escaped};
use crate::suite::{Metric, Series};
use crate::table;
use crate::versus::results::{Compared, Results};

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;

/// The percentiles that an axis names.
const PERCENTILES: [(f64, &str); 5] = [
    (0.0, "0"),
    (90.0, "90 %"),
    (99.0, "99 %"),
    (99.9, "99.9 %"),
    (99.99, "99.99 %"),
];

/// Most powers of ten above the first message that a curve shows.
const NINES_MAX: f64 = 4.3;

/// Whether there is a curve to draw.
pub(super) fn has_latency(workload: &Compared) -> bool {
    let shown = workload.metrics.iter();
    let shown = shown.filter(|one| matches!(one.metric, Metric::P50 | Metric::P99));
    shown.count() > 0 && workload.latency.iter().any(Option::is_some)
}

/// Latency of each broker, percentile by percentile.
pub(super) fn latency(workload: &Compared, results: &Results) -> String {
    let nines = |percentile: f64| -(1.0 - percentile / 100.0).max(1e-9).log10();
    let curves: Vec<Vec<(f64, f64)>> = workload
        .latency
        .iter()
        .map(|latency| {
            let points = latency.iter().flat_map(|latency| &latency.curve);
            points
                .map(|(percentile, nanos)| (nines(*percentile), *nanos as f64))
                .filter(|(nines, _)| *nines <= NINES_MAX)
                .collect()
        })
        .collect();
    let values = curves.iter().flatten().map(|(_, nanos)| *nanos);
    let scale = Scale::around(values, 10.0);
    let x = |nines: f64| LEFT + (WIDTH - LEFT - RIGHT) * nines / NINES_MAX;
    let mut svg = begin(&workload.title);
    for tick in scale.ticks(10.0) {
        horizontal(&mut svg, y(&scale, tick), &plain(&table::seconds(tick)));
    }
    for (percentile, text) in PERCENTILES {
        vertical(&mut svg, x(nines(percentile)), text);
    }
    for (broker, curve) in curves.iter().enumerate() {
        let points = curve
            .iter()
            .map(|(nines, nanos)| (x(*nines), y(&scale, *nanos)));
        line(&mut svg, points, broker, &results.brokers[broker].label);
    }
    svg + "</svg>\n"
}

/// A figure of each broker over the number of a series; nothing if fewer than two were measured.
pub(super) fn growth(results: &Results, series: Series, metric: Metric) -> Option<String> {
    let mut members: Vec<(usize, &Compared)> = results
        .workloads
        .iter()
        .filter_map(|workload| {
            let (of, number) = workload.series?;
            (of == series).then_some((number, workload))
        })
        .collect();
    members.sort_by_key(|(number, _)| *number);
    if members.len() < 2 {
        return None;
    }
    let found = |workload: &Compared, broker: usize| {
        let mut metrics = workload.metrics.iter();
        let comparison = metrics.find(|comparison| comparison.metric == metric)?;
        comparison.values[broker]
    };
    let brokers = 0..results.brokers.len();
    let summaries = members
        .iter()
        .flat_map(|(_, workload)| brokers.clone().filter_map(|broker| found(workload, broker)));
    let ends = summaries.flat_map(|summary| [summary.lowest, summary.highest]);
    let scale = Scale::around(ends, 10.0);
    let numbers = Scale::around(members.iter().map(|(number, _)| *number as f64), 10.0);
    let x = |number: usize| LEFT + (WIDTH - LEFT - RIGHT - 16.0) * numbers.place(number as f64);
    let mut svg = begin(series.title());
    for tick in scale.ticks(10.0) {
        horizontal(
            &mut svg,
            y(&scale, tick),
            &super::rows::metric_tick(metric, tick),
        );
    }
    for (number, _) in &members {
        vertical(&mut svg, x(*number), &table::thousands(*number));
    }
    for broker in brokers {
        let points = members
            .iter()
            .filter_map(|(number, workload)| Some((*number, found(workload, broker)?)));
        let middle = points
            .clone()
            .map(|(number, summary)| (x(number), y(&scale, summary.median)));
        line(&mut svg, middle, broker, &results.brokers[broker].label);
        for (number, summary) in points {
            let (x, colour) = (x(number), colour(broker));
            let (low, high) = (y(&scale, summary.lowest), y(&scale, summary.highest));
            let _ = write!(
                svg,
                "<line class=\"range\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\" style=\"stroke:{colour}\"/>\
                 <circle class=\"mark\" cx=\"{x:.1}\" cy=\"{:.1}\" r=\"5\" style=\"fill:{colour}\"><title>{} {}</title></circle>",
                y(&scale, summary.median),
                escaped(&results.brokers[broker].label),
                metric.show(summary.median)
            );
        }
    }
    Some(svg + "</svg>\n")
}

fn begin(title: &str) -> String {
    let title = escaped(title);
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">")
}

fn y(scale: &Scale, value: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * scale.place(value)
}

fn horizontal(svg: &mut String, y: f64, text: &str) {
    let (end, text_end, base) = (WIDTH - RIGHT, LEFT - 6.0, y + 4.0);
    let _ = write!(
        svg,
        "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
         <text x=\"{text_end}\" y=\"{base:.1}\" text-anchor=\"end\">{text}</text>"
    );
}

fn vertical(svg: &mut String, x: f64, text: &str) {
    let (bottom, base) = (HEIGHT - BOTTOM, HEIGHT - 8.0);
    let _ = write!(
        svg,
        "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
         <text x=\"{x:.1}\" y=\"{base}\" text-anchor=\"middle\">{text}</text>"
    );
}

fn line(svg: &mut String, points: impl Iterator<Item = (f64, f64)>, broker: usize, label: &str) {
    let mut path = String::new();
    for (x, y) in points {
        let _ = write!(path, "{x:.1},{y:.1} ");
    }
    let _ = write!(
        svg,
        "<polyline class=\"curve\" points=\"{}\" style=\"stroke:{}\"><title>{}</title></polyline>",
        path.trim_end(),
        colour(broker),
        escaped(label)
    );
}

/// A power of ten without zeros behind the point.
fn plain(text: &str) -> String {
    text.replace(".00", "").replace(".0", "")
}
