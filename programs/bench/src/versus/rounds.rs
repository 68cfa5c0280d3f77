//! All workloads on all brokers, several times.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::broker::{BrokerCommand, Running};
use super::machine::Machine;
use super::results::{BrokerInfo, Compared, Outcomes, Results};
use super::set_up::Files;
use crate::outcome::Outcome;
use crate::progress::Line;
use crate::run::{self, Target};
use crate::suite::Case;
use crate::table;

/// A broker that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures everything. Within a round each workload runs on all brokers one after the other, each
/// started anew, so that what is compared was measured within seconds; every second round begins
/// at the other end.
///
/// # Errors
/// A broker does not start, or the load cannot be set up. What a broker does wrong is in the
/// results.
pub(super) fn run(
    brokers: &[BrokerCommand],
    files: &Files,
    cases: &[Case],
    rounds: usize,
    seconds: f64,
    quiet: bool,
) -> Result<Results, run::Error> {
    let mut machine = Machine::look();
    let date = jiff::Timestamp::now()
        .strftime("%Y-%m-%d %H:%M UTC")
        .to_string();
    let interrupted = crate::interruption()?;
    let mut outcomes: Vec<Outcomes> = vec![Vec::new(); cases.len()];
    let mut skipped: Vec<Option<String>> = cases.iter().map(|case| case.unfit.clone()).collect();
    let fit = cases.iter().filter(|case| case.unfit.is_none()).count();
    let mut clock = Clock::new(rounds * fit * brokers.len(), quiet);
    'all: for round in 0..rounds {
        for (place, case) in cases.iter().enumerate() {
            if case.unfit.is_some() {
                continue;
            }
            let mut row: Vec<Option<Outcome>> = vec![None; brokers.len()];
            let mut order: Vec<usize> = (0..brokers.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for broker in order {
                clock.begin(round + 1, &brokers[broker].label, case);
                match measure(&brokers[broker], files, case, &interrupted, &mut clock) {
                    Ok(outcome) => {
                        clock.end(case, &outcome);
                        row[broker] = Some(outcome);
                    }
                    Err(error @ (run::Error::TooFewFiles { .. } | run::Error::TooLarge { .. })) => {
                        skipped[place] = Some(error.to_string());
                        clock.skip();
                    }
                    Err(error) => return Err(error),
                }
                if interrupted.load(Ordering::Relaxed) {
                    // The one that was cut short is not comparable.
                    break 'all;
                }
            }
            outcomes[place].push(row);
        }
    }
    clock.line.clear();
    machine.look_again();
    let info = brokers.iter().enumerate().map(|(broker, command)| {
        let mut all = outcomes.iter().flatten();
        let version = all.find_map(|row| {
            let name = &row.get(broker)?.as_ref()?.broker;
            (!name.is_empty()).then(|| name.clone())
        });
        BrokerInfo {
            label: command.label.clone(),
            version: version.unwrap_or_default(),
            command: command.words.join(" "),
        }
    });
    let info: Vec<BrokerInfo> = info.collect();
    let workloads = cases.iter().zip(&outcomes).zip(skipped);
    let workloads = workloads
        .map(|((case, outcomes), skipped)| Compared::of(case, outcomes, brokers.len(), skipped))
        .collect();
    Ok(Results {
        date,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        machine,
        rounds: outcomes.iter().map(Vec::len).max().unwrap_or(0),
        seconds,
        brokers: info,
        workloads,
    })
}

fn measure(
    command: &BrokerCommand,
    files: &Files,
    case: &Case,
    interrupted: &Arc<AtomicBool>,
    clock: &mut Clock,
) -> Result<Outcome, run::Error> {
    let broker = Running::start(command, case.setup, files)?;
    let target = Target {
        server: broker.server.clone(),
        requesters: broker.requesters.clone(),
        pid: Some(broker.pid()),
        patience: PATIENCE,
        interrupted: Arc::clone(interrupted),
    };
    run::run(&case.workload, &target, &mut |progress| {
        clock.line.show(progress);
    })
}

/// What was done, and how long the rest will take.
struct Clock {
    line: Line,
    /// Lines for a log, where there is no terminal.
    log: bool,
    began: Instant,
    all: usize,
    done: usize,
    heading: String,
}

impl Clock {
    fn new(all: usize, quiet: bool) -> Clock {
        Clock {
            line: Line::new(quiet),
            log: !quiet && !io::stderr().is_terminal(),
            began: Instant::now(),
            all,
            done: 0,
            heading: String::new(),
        }
    }

    fn begin(&mut self, round: usize, label: &str, case: &Case) {
        let (done, all) = (self.done + 1, self.all);
        let name = &case.workload.name;
        let left = self.left();
        self.heading = format!("{done}/{all}{left}  round {round}  {name}  {label}");
        self.line.begin(&self.heading);
    }

    /// All measurements take about the same time.
    fn left(&self) -> String {
        if self.done == 0 {
            return String::new();
        }
        let each = self.began.elapsed().as_secs_f64() / self.done as f64;
        let left = each * (self.all - self.done) as f64;
        if left < 90.0 {
            format!(", {left:.0} s left")
        } else {
            format!(", {:.0} min left", left / 60.0)
        }
    }

    fn end(&mut self, case: &Case, outcome: &Outcome) {
        self.done += 1;
        if self.log {
            let metric = case.metrics[0];
            let text = match (outcome.faults.first(), metric.of(outcome)) {
                (Some(fault), _) => fault.clone(),
                (None, Some(value)) => format!("{} {}", metric.show(value), metric.title()),
                (None, None) => format!("{}/s", table::count(outcome.messages_per_second)),
            };
            let _ = writeln!(io::stderr(), "{}: {text}", self.heading);
        }
    }

    fn skip(&mut self) {
        self.done += 1;
    }
}
