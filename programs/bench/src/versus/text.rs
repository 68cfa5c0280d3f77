//! The results on a terminal.

use std::fmt::Write;

use super::results::{Compared, Comparison, Results, Summary};
use midge_text::quantity::plural;

/// All tables.
pub(super) fn render(results: &Results) -> String {
    let mut text = String::new();
    let machine = &results.machine;
    let _ = writeln!(
        text,
        "\n{}, {}, {} {}, congestion control {}",
        machine.processor,
        plural(machine.cores as u64, "core"),
        machine.system,
        machine.kernel,
        machine.congestion_control
    );
    let (rounds, seconds) = (plural(results.rounds as u64, "round"), results.seconds);
    let summaries = match results.rounds {
        0 | 1 => "",
        _ => "; medians, and the lowest and highest in brackets",
    };
    let _ = writeln!(text, "{}: {rounds} of {seconds} s{summaries}", results.date);
    for (place, broker) in results.brokers.iter().enumerate() {
        let letter = letter(place);
        let _ = writeln!(text, "{letter}: {} ({})", broker.version, broker.command);
    }
    let mut rows = vec![heading(results)];
    for workload in &results.workloads {
        rows.extend(table(workload, results));
    }
    text.push('\n');
    text += &aligned(&rows);
    let _ = writeln!(
        text,
        "\nA ratio is how many times better A is, the median over rounds:\nabove 1 A is better, also where less is better."
    );
    for workload in &results.workloads {
        notes(&mut text, workload, results);
    }
    text
}

/// A for the first broker.
pub(crate) fn letter(place: usize) -> char {
    char::from(b'A' + (place % 26) as u8)
}

fn heading(results: &Results) -> Vec<String> {
    let mut row = vec!["workload".to_owned(), "figure".to_owned()];
    row.extend((0..results.brokers.len()).map(|place| letter(place).to_string()));
    row.extend((1..results.brokers.len()).map(|place| format!("ratio A : {}", letter(place))));
    row
}

fn table(workload: &Compared, results: &Results) -> Vec<Vec<String>> {
    let mut name = workload.name.clone();
    let mut rows = Vec::new();
    for comparison in &workload.metrics {
        let mut row = vec![
            std::mem::take(&mut name),
            comparison.metric.title().to_owned(),
        ];
        row.extend((0..results.brokers.len()).map(|broker| value(comparison, broker)));
        row.extend((1..results.brokers.len()).map(|broker| ratio(comparison, broker)));
        rows.push(row);
    }
    rows
}

fn value(comparison: &Comparison, broker: usize) -> String {
    let Some(summary) = comparison.values[broker] else {
        return "-".to_owned();
    };
    let show = |value| comparison.metric.show(value);
    let Summary {
        lowest,
        median,
        highest,
    } = summary;
    if summary.is_point() {
        return show(median);
    }
    format!("{} ({} - {})", show(median), show(lowest), show(highest))
}

fn ratio(comparison: &Comparison, broker: usize) -> String {
    match comparison.ratios[broker] {
        Some(summary) if summary.is_point() => format!("{:.2}", summary.median),
        Some(summary) => format!(
            "{:.2} ({:.2} - {:.2})",
            summary.median, summary.lowest, summary.highest
        ),
        None => "-".to_owned(),
    }
}

fn notes(text: &mut String, workload: &Compared, results: &Results) {
    let name = &workload.name;
    if let Some(why) = &workload.skipped {
        let _ = writeln!(text, "{name}: not measured: {why}");
    }
    for (broker, count) in workload.cut_off.iter().enumerate() {
        if *count > 0 {
            let label = &results.brokers[broker].label;
            let rounds = plural(results.rounds as u64, "round");
            let _ = writeln!(
                text,
                "{name}: {label} closed a subscriber in {count} of {rounds}"
            );
        }
    }
    for flaw in &workload.faults {
        let label = &results.brokers[flaw.broker].label;
        let word = if flaw.expected { "" } else { "FAILED: " };
        let (round, fault) = (flaw.round, &flaw.text);
        let _ = writeln!(text, "{name}: {label}, round {round}: {word}{fault}");
    }
}

/// Columns under each other; numbers are wider than their headings.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        let _ = writeln!(text, "{}", line.join("  ").trim_end());
    }
    text
}
