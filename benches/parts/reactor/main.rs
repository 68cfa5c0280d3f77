//! What the reactor costs, beside what one would take in its place: a loop over mio written by
//! hand, tokio on one thread, and calloop.
//!
//! ```text
//! cargo bench -p midge-benches --bench reactor                        everything, some minutes
//! cargo bench -p midge-benches --bench reactor -- --quick             everything once, some seconds
//! cargo bench -p midge-benches --bench reactor -- --only echo         one of echo, fan-out, timers, memory
//! cargo bench -p midge-benches --bench reactor -- --rounds 9 --millis 500
//! cargo bench -p midge-benches --bench reactor -- --only echo --connections 64 --burst 1
//! cargo bench -p midge-benches --bench reactor -- server mio echo     one server by itself, for a profiler
//! ```
//!
//! Linux only: the figures come from `/proc`. For 5,000 connections the limit on open files must be
//! above that; the program raises it as far as it may.
//!
//! **Echo.** Connections send bursts of 1 or 32 messages of 64 bytes, in one write each, and wait
//! until all has come back. **Fan-out.** One connection publishes a burst, the server copies each
//! message to all others, and the next burst leaves when all have it. Every byte that comes is
//! compared; a run that fails a check is an error and not a number.
//!
//! Each server is this program started again, so each has a process of its own; load and server are
//! kept on a core each. The figure that counts is the CPU time that the server's thread takes for a
//! message, user and system. In each of `--rounds 21` rounds all contenders have their turn, for
//! `--millis 250` each, a different one first; a line of the table tells the median over the rounds
//! with the lowest and the highest. A ratio is the median of the ratios of single rounds, whose
//! measurements were made within the same seconds: that is what other work on the machine disturbs
//! least.
//!
//! [`timers`] and [`memory`] say what they measure.

use crate::load::{Measured, Workload};
use crate::process::{Server, failed, on_server_core, pin};
use crate::servers::{Contender, Service};
use crate::summary::Summary;
use std::env;
use std::io;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

mod load;
mod memory;
mod process;
mod servers;
mod summary;
mod timers;

const ECHO: &[Workload] = &[
    echo(1, 1),
    echo(64, 1),
    echo(500, 1),
    echo(1, 32),
    echo(64, 32),
    echo(500, 32),
];

const FAN_OUT: &[Workload] = &[
    fan_out(100, 1),
    fan_out(1000, 1),
    fan_out(100, 32),
    fan_out(1000, 32),
];

const fn echo(connections: usize, burst: usize) -> Workload {
    let service = Service::Echo;
    Workload {
        service,
        connections,
        burst,
    }
}

const fn fan_out(connections: usize, burst: usize) -> Workload {
    let service = Service::FanOut;
    Workload {
        service,
        connections,
        burst,
    }
}

/// What the command line asks for.
struct Plan {
    only: Option<String>,
    rounds: usize,
    time: Duration,
    timers: usize,
    idle_connections: usize,
    /// Only workloads with so many connections.
    connections: Option<usize>,
    /// Only workloads with bursts of so many messages.
    burst: Option<usize>,
    /// Most connections of a workload that is run at all.
    connections_max: usize,
}

const FULL: Plan = Plan {
    only: None,
    rounds: 21,
    time: Duration::from_millis(250),
    timers: 1_000_000,
    idle_connections: 5_000,
    connections: None,
    burst: None,
    connections_max: usize::MAX,
};

const QUICK: Plan = Plan {
    only: None,
    rounds: 1,
    time: Duration::from_millis(100),
    timers: 100_000,
    idle_connections: 500,
    connections: None,
    burst: None,
    connections_max: usize::MAX,
};

/// A look whether all still works, for tests.
const CHECK: Plan = Plan {
    only: None,
    rounds: 1,
    time: Duration::from_millis(5),
    timers: 1_000,
    idle_connections: 10,
    connections: None,
    burst: None,
    connections_max: 100,
};

impl Plan {
    fn wants(&self, workload: &Workload) -> bool {
        let Workload {
            connections, burst, ..
        } = workload;
        *connections <= self.connections_max
            && self.connections.is_none_or(|only| only == *connections)
            && self.burst.is_none_or(|only| only == *burst)
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["server", contender, service] => serve(contender, service),
        ["timers", contender, count] => print_timers(contender, count),
        _ => plan(&words).and_then(|plan| run(&plan)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reactor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan(words: &[&str]) -> io::Result<Plan> {
    // `cargo bench` says `--bench`, and `cargo test` does not.
    let is_bench = env::args().any(|arg| arg == "--bench");
    let mut plan = if !is_bench || words.contains(&"--test") {
        CHECK
    } else if words.contains(&"--quick") {
        QUICK
    } else {
        FULL
    };
    let mut words = words.iter();
    while let Some(flag) = words.next() {
        if matches!(*flag, "--quick" | "--test") {
            continue;
        }
        let value = words.next();
        let value = value.ok_or_else(|| failed(format!("{flag}: needs a value")))?;
        let number = || {
            let number = value.parse::<u32>();
            number.map_err(|error| failed(format!("{flag} {value}: {error}")))
        };
        match *flag {
            "--only" => plan.only = Some((*value).to_owned()),
            "--rounds" => plan.rounds = number()? as usize,
            "--connections" => plan.connections = Some(number()? as usize),
            "--burst" => plan.burst = Some(number()? as usize),
            "--millis" => plan.time = Duration::from_millis(number()?.into()),
            _ => return Err(failed(format!("unknown flag {flag}"))),
        }
    }
    Ok(plan)
}

fn serve(contender: &str, service: &str) -> io::Result<()> {
    midge_reactor::raise_open_files()?;
    contender.parse::<Contender>()?.serve(service.parse()?)
}

fn print_timers(contender: &str, count: &str) -> io::Result<()> {
    let count = count.parse();
    let count = count.map_err(|error| failed(format!("how many timers? {error}")))?;
    let nanos = timers::measure(contender, count)?;
    println!("{}", nanos.map(|nanos| nanos.to_string()).join(" "));
    Ok(())
}

fn run(plan: &Plan) -> io::Result<()> {
    midge_reactor::raise_open_files()?;
    pin();
    let wanted = |name: &str| plan.only.as_deref().is_none_or(|only| only == name);
    for (name, workloads) in [("echo", ECHO), ("fan-out", FAN_OUT)] {
        if wanted(name) {
            for workload in workloads.iter().filter(|it| plan.wants(it)) {
                run_workload(plan, workload)?;
            }
        }
    }
    if wanted("timers") {
        run_timers(plan)?;
    }
    if wanted("memory") {
        run_memory(plan)?;
    }
    Ok(())
}

fn run_workload(plan: &Plan, workload: &Workload) -> io::Result<()> {
    let Workload {
        service,
        connections,
        burst,
    } = workload;
    let [midge, mio, tokio, calloop] = in_turns(plan, |contender| {
        let server = Server::start(contender, *service)?;
        load::measure(workload, &server, plan.time)
    })?;
    println!("\n{service}, {connections} connections, bursts of {burst}\n");
    println!("| server | CPU ns a message | million messages/s | CPU time to that of mio |");
    println!("|---|---:|---:|---:|");
    let all = [&midge, &mio, &tokio, &calloop];
    for (contender, results) in Contender::ALL.iter().zip(all) {
        let cpu = Summary::of(results.iter().map(Measured::cpu_nanos));
        let rate = Summary::of(results.iter().map(|it| it.per_second() / 1e6));
        let pairs = results.iter().zip(&mio);
        let ratio = Summary::of(pairs.map(|(this, mio)| this.cpu_nanos() / mio.cpu_nanos()));
        println!("| {contender} | {cpu:.0} | {rate:.3} | {ratio} |");
    }
    Ok(())
}

fn run_timers(plan: &Plan) -> io::Result<()> {
    let mut results = [const { Vec::new() }; timers::CONTENDERS.len()];
    for round in 0..plan.rounds.div_ceil(3) {
        for turn in 0..results.len() {
            let place = (round + turn) % results.len();
            results[place].push(timers_of(timers::CONTENDERS[place], plan.timers)?);
        }
    }
    println!("\ntimers, {} of them, CPU ns each\n", plan.timers);
    println!("| timers | {} |", timers::EXERCISES.join(" | "));
    println!("|---|---:|---:|---:|---:|");
    for (contender, results) in timers::CONTENDERS.iter().zip(&results) {
        match timers::count_of(contender, plan.timers) {
            count if count < plan.timers => print!("| {contender}, {count} of them |"),
            _ => print!("| {contender} |"),
        }
        for exercise in 0..timers::EXERCISES.len() {
            let nanos = Summary::of(results.iter().map(|nanos| nanos[exercise]));
            print!(" {nanos:.0} |");
        }
        println!();
    }
    Ok(())
}

/// [`timers::measure`] in a process of its own.
fn timers_of(contender: &str, count: usize) -> io::Result<Vec<f64>> {
    let child = Command::new(env::current_exe()?)
        .args(["timers", contender, &count.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    on_server_core(&child);
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let nanos: Vec<f64> = text.split_whitespace().flat_map(str::parse).collect();
    if nanos.len() != timers::EXERCISES.len() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("timers of {contender}: {text}{error}")));
    }
    Ok(nanos)
}

fn run_memory(plan: &Plan) -> io::Result<()> {
    let plan = Plan {
        only: None,
        rounds: plan.rounds.div_ceil(7),
        ..*plan
    };
    let all = in_turns(&plan, |contender| {
        memory::measure(contender, plan.idle_connections)
    })?;
    println!(
        "\nmemory, {} idle connections, bytes each\n",
        plan.idle_connections
    );
    println!("| server | silent so far | after one message |");
    println!("|---|---:|---:|");
    for (contender, results) in Contender::ALL.iter().zip(&all) {
        let silent = Summary::of(results.iter().map(|[silent, _]| *silent));
        let used = Summary::of(results.iter().map(|[_, used]| *used));
        println!("| {contender} | {silent:.0} | {used:.0} |");
    }
    Ok(())
}

/// Measures all contenders round by round, in each round another one first.
fn in_turns<T>(
    plan: &Plan,
    mut measure: impl FnMut(Contender) -> io::Result<T>,
) -> io::Result<[Vec<T>; Contender::ALL.len()]> {
    let mut results = [const { Vec::new() }; Contender::ALL.len()];
    for round in 0..plan.rounds {
        for turn in 0..results.len() {
            let place = (round + turn) % results.len();
            let contender = Contender::ALL[place];
            let measured = measure(contender);
            let measured = measured.map_err(|error| failed(format!("{contender}: {error}")))?;
            results[place].push(measured);
        }
    }
    Ok(results)
}
