//! Medians, summaries, ratios: plain values.

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use crate::outcome::{Latency, Outcome};
use crate::suite::{Case, Metric, Series};

/// All that was measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Results {
    /// When it began.
    pub(crate) date: String,
    /// The version of the load.
    pub(crate) version: String,
    /// How to do it again.
    pub(crate) command: String,
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) brokers: Vec<BrokerInfo>,
    pub(crate) workloads: Vec<Compared>,
}

/// One of the brokers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct BrokerInfo {
    /// What it is called here.
    pub(crate) label: String,
    /// What it calls itself.
    pub(crate) version: String,
    pub(crate) command: String,
}

/// One workload on all brokers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Compared {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) series: Option<(Series, usize)>,
    pub(crate) metrics: Vec<Comparison>,
    /// By broker, the middle of the rounds' latencies, percentile by percentile.
    pub(crate) latency: Vec<Option<Latency>>,
    /// By broker, in how many rounds it has cut off a subscriber.
    pub(crate) cut_off: Vec<usize>,
    /// What went wrong.
    pub(crate) faults: Vec<Flaw>,
    /// Why it was not measured at all.
    pub(crate) skipped: Option<String>,
}

/// Something that went wrong.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Flaw {
    pub(crate) broker: usize,
    pub(crate) round: usize,
    pub(crate) text: String,
    /// The broker cut off a subscriber that was to be outrun: a result rather than a mistake.
    pub(crate) expected: bool,
}

/// One metric on all brokers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Comparison {
    pub(crate) metric: Metric,
    /// By broker.
    pub(crate) values: Vec<Option<Summary>>,
    /// By broker, how many times better the first one is, in the same round: above 1 it is better,
    /// whichever way the metric goes.
    pub(crate) ratios: Vec<Option<Summary>>,
}

/// Some numbers: the one in the middle, and the two ends.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) lowest: f64,
    pub(crate) median: f64,
    pub(crate) highest: f64,
}

impl Summary {
    /// Of these; `None` if there are none.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Summary> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        Some(Summary {
            lowest: sorted[0],
            median: f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)]),
            highest: sorted[last],
        })
    }

    /// Whether all numbers are one, as of one round they are.
    pub(crate) fn is_point(&self) -> bool {
        self.lowest == self.highest
    }
}

/// The outcomes of one workload: by round, by broker.
pub(crate) type Outcomes = Vec<Vec<Option<Outcome>>>;

impl Compared {
    /// Works out what came of one workload on a number of brokers.
    pub(crate) fn of(
        case: &Case,
        outcomes: &Outcomes,
        brokers: usize,
        skipped: Option<String>,
    ) -> Compared {
        let metrics = case.metrics.iter();
        let latency = (0..brokers).map(|broker| middle_latency(of_broker(outcomes, broker)));
        let mut faults = Vec::new();
        for (round, row) in outcomes.iter().enumerate() {
            for (broker, outcome) in row.iter().enumerate() {
                let Some(outcome) = outcome else { continue };
                faults.extend(outcome.faults.iter().map(|text| Flaw {
                    broker,
                    round: round + 1,
                    text: text.clone(),
                    expected: case.may_be_cut_off() && outcome.cut_off > 0,
                }));
            }
        }
        Compared {
            name: case.workload.name.clone(),
            title: case.title.clone(),
            series: case.series,
            metrics: metrics
                .map(|metric| compare(*metric, outcomes, brokers))
                .collect(),
            latency: latency.collect(),
            cut_off: (0..brokers)
                .map(|broker| {
                    of_broker(outcomes, broker)
                        .filter(|outcome| outcome.cut_off > 0)
                        .count()
                })
                .collect(),
            faults,
            skipped,
        }
    }

    /// Whether a check has failed.
    pub(crate) fn is_good(&self) -> bool {
        self.faults.iter().all(|flaw| flaw.expected)
    }
}

impl Results {
    /// Whether all checks have passed.
    pub(crate) fn is_good(&self) -> bool {
        self.workloads.iter().all(Compared::is_good)
    }
}

fn of_broker(outcomes: &Outcomes, broker: usize) -> impl Iterator<Item = &Outcome> {
    outcomes
        .iter()
        .filter_map(move |row| row.get(broker)?.as_ref())
}

/// Only outcomes without a fault are numbers.
fn value(metric: Metric, outcome: Option<&Outcome>) -> Option<f64> {
    let outcome = outcome.filter(|outcome| outcome.is_good())?;
    metric
        .of(outcome)
        .filter(|value| value.is_finite() && *value > 0.0)
}

fn compare(metric: Metric, outcomes: &Outcomes, brokers: usize) -> Comparison {
    let at = |row: &[Option<Outcome>], broker: usize| {
        value(metric, row.get(broker).and_then(Option::as_ref))
    };
    let values = (0..brokers).map(|broker| {
        let values = outcomes.iter().filter_map(|row| at(row, broker));
        Summary::of(values)
    });
    let ratios = (0..brokers).map(|broker| {
        let ratios = outcomes.iter().filter_map(|row| {
            let (first, other) = (at(row, 0)?, at(row, broker)?);
            Some(if metric.more_is_better() {
                first / other
            } else {
                other / first
            })
        });
        Summary::of(ratios)
    });
    Comparison {
        metric,
        values: values.collect(),
        ratios: ratios.collect(),
    }
}

/// Each percentile's median over the rounds.
fn middle_latency<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Option<Latency> {
    let all: Vec<&Latency> = outcomes
        .filter(|outcome| outcome.is_good())
        .filter_map(|outcome| outcome.latency.as_ref())
        .collect();
    let first = all.first()?;
    let middle = |part: &dyn Fn(&Latency) -> f64| {
        let summary = Summary::of(all.iter().map(|latency| part(latency)));
        summary.map_or(0.0, |summary| summary.median)
    };
    let whole = |part: &dyn Fn(&Latency) -> u64| middle(&|latency| part(latency) as f64) as u64;
    let curve = first
        .curve
        .iter()
        .enumerate()
        .map(|(place, (percentile, _))| {
            let value = whole(&|latency| latency.curve.get(place).map_or(0, |point| point.1));
            (*percentile, value)
        });
    Some(Latency {
        count: whole(&|latency| latency.count),
        min: whole(&|latency| latency.min),
        mean: middle(&|latency| latency.mean),
        p50: whole(&|latency| latency.p50),
        p90: whole(&|latency| latency.p90),
        p99: whole(&|latency| latency.p99),
        p999: whole(&|latency| latency.p999),
        p9999: whole(&|latency| latency.p9999),
        max: whole(&|latency| latency.max),
        curve: curve.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_two() {
        let summary = Summary::of([4.0, 1.0, 3.0, 2.0]).expect("there are some");
        assert_eq!(
            (summary.lowest, summary.median, summary.highest),
            (1.0, 2.5, 4.0)
        );
        assert_eq!(Summary::of([]), None);
    }
}
