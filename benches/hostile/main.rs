//! Hostile clients beside honest ones: what the honest ones notice.
//!
//! ```text
//! cargo bench --bench hostile                              each kind for 20 seconds
//! cargo test --bench hostile                               a small form of each, a minute in all
//! cargo bench --bench hostile -- --only storm --seconds 60
//! cargo bench --bench hostile -- --program nats-server --figures
//! cargo bench --bench hostile -- --server 127.0.0.1:4222 --pid 23379 --monitor 127.0.0.1:8222
//! cargo bench --bench hostile -- --list
//! cargo bench --bench hostile -- --soak 5                  all sorts at once, for five minutes ([`soak`])
//! ```
//!
//! A broker is started for each kind, this midge or `--program`, unless `--server` names one that
//! runs. Honest clients ping, publish, listen and ask beside it ([`honest`]), `/healthz` is asked for
//! ten times a second, and a line of the table tells what they have waited for and lost, how many
//! hostile connections were closed, and how much memory the broker had at most and two seconds after
//! they had left.
//!
//! The exit status is 1 if a promise is broken: the broker has ended, an honest client was closed, a
//! message or a request lost, a probe not answered, a wait longer than `WAIT_MAX`, or more memory
//! taken than the kind allows. These bounds hold on a machine with much else to do; the figures are
//! for the eye. `--figures` judges nothing, for a broker that has promised nothing.

use std::env;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::{Broker, Watch};
use crate::honest::Honest;
use crate::kinds::{KINDS, Kind};
use crate::stage::{Random, Stage};
use crate::swarm::Swarm;
use crate::table::Row;

mod broker;
mod honest;
mod kinds;
mod soak;
mod stage;
mod swarm;
mod table;
mod wanting;

/// How long memory may take to be given back.
const REST: Duration = Duration::from_secs(2);

/// How long the soak of a test is.
const SHORT_SOAK_MINUTES: f64 = 0.2;

/// What the command line asks for.
struct Plan {
    only: Option<String>,
    seconds: f64,
    is_full: bool,
    program: PathBuf,
    server: Option<SocketAddr>,
    monitor: Option<SocketAddr>,
    websocket: Option<SocketAddr>,
    pid: Option<u32>,
    judges: bool,
    lists: bool,
    /// How many minutes of a soak, in place of the kinds.
    soak: Option<f64>,
    /// To be the process of this number of hostile clients of a soak.
    crowd: Option<usize>,
}

fn main() -> ExitCode {
    match plan().and_then(|plan| run(&plan)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hostile: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan() -> io::Result<Plan> {
    // `cargo bench` says `--bench`, and `cargo test` does not.
    let is_bench = env::args().any(|arg| arg == "--bench");
    let mut plan = Plan {
        only: None,
        seconds: if is_bench { 20.0 } else { 1.5 },
        is_full: is_bench,
        program: env!("CARGO_BIN_EXE_midge").into(),
        server: None,
        monitor: None,
        websocket: None,
        pid: None,
        judges: true,
        lists: false,
        soak: None,
        crowd: None,
    };
    let mut words = env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(flag) = words.next() {
        let mut value = || {
            let value = words.next();
            value.ok_or_else(|| io::Error::other(format!("{flag}: needs a value")))
        };
        match &*flag {
            "--only" => plan.only = Some(value()?),
            "--seconds" => plan.seconds = number(&flag, &value()?)?,
            "--program" => plan.program = value()?.into(),
            "--server" => plan.server = Some(address(&flag, &value()?)?),
            "--monitor" => plan.monitor = Some(address(&flag, &value()?)?),
            "--websocket" => plan.websocket = Some(address(&flag, &value()?)?),
            "--pid" => plan.pid = Some(number(&flag, &value()?)?),
            "--short" => plan.is_full = false,
            "--full" => plan.is_full = true,
            "--figures" => plan.judges = false,
            "--list" => plan.lists = true,
            "--soak" => plan.soak = Some(number(&flag, &value()?)?),
            "--crowd" => plan.crowd = Some(number(&flag, &value()?)?),
            _ => return Err(io::Error::other(format!("unknown flag {flag}"))),
        }
    }
    if let Some(only) = &plan.only
        && !KINDS.iter().any(|kind| kind.name.contains(&**only))
    {
        return Err(io::Error::other(format!(
            "--only {only}: no such kind; --list tells all"
        )));
    }
    Ok(plan)
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> io::Result<T> {
    let number = value.parse();
    number.map_err(|_| io::Error::other(format!("{flag} {value}: not a number")))
}

fn address(flag: &str, value: &str) -> io::Result<SocketAddr> {
    let found = value
        .to_socket_addrs()
        .ok()
        .and_then(|mut addrs| addrs.next());
    found.ok_or_else(|| io::Error::other(format!("{flag} {value}: write host:port")))
}

/// Plays all that is wanted; answers whether all promises were kept.
fn run(plan: &Plan) -> io::Result<bool> {
    if plan.lists {
        for kind in KINDS {
            println!("{:14} {}", kind.name, kind.what);
        }
        return Ok(true);
    }
    if let (Some(count), Some(server), Some(websocket)) = (plan.crowd, plan.server, plan.websocket)
    {
        let time = Duration::from_secs_f64(plan.seconds);
        return soak::crowd(server, websocket, count, time).map(|()| true);
    }
    midge_reactor::raise_open_files()?;
    if let Some(minutes) = plan.soak {
        return soak(plan, minutes);
    }
    let wanted = |kind: &&Kind| {
        let only = plan.only.as_deref();
        only.is_none_or(|only| kind.name.contains(only))
    };
    table::heading();
    let mut kept = true;
    let mut before = None;
    for kind in KINDS.iter().filter(wanted) {
        let row = play(plan, kind, before)?;
        // A broker that all are put to does not begin anew.
        before = plan.server.and(row.after);
        kept &= row.print(kind, plan.judges);
    }
    // A test ends with a small soak.
    if !plan.is_full && plan.only.is_none() && plan.server.is_none() {
        kept &= soak(plan, SHORT_SOAK_MINUTES)?;
    }
    Ok(kept || !plan.judges)
}

fn soak(plan: &Plan, minutes: f64) -> io::Result<bool> {
    let kept = soak::soak(&soak::Plan {
        program: &plan.program,
        time: Duration::from_secs_f64(60.0 * minutes),
        hostile: if plan.is_full { 10_000 } else { 1_000 },
    })?;
    Ok(kept || !plan.judges)
}

fn play(plan: &Plan, kind: &Kind, before: Option<u64>) -> io::Result<Row> {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{}.log", kind.name));
    let mut broker = match plan.server {
        Some(server) => Broker::running(server, plan.monitor, plan.websocket, plan.pid),
        None => Broker::start(&plan.program, &(kind.settings)()?, &log)?,
    };
    let began = Instant::now();
    let honest = Honest::start(&broker, kind.requesters)?;
    let watch = Watch::start(&broker);
    let mut stage = Stage {
        swarm: Swarm::new(broker.addr)?,
        monitor: broker.monitor,
        websocket: broker.websocket,
        seconds: plan.seconds.max(kind.seconds_min),
        is_full: plan.is_full,
        random: Random(1),
        note: String::new(),
    };
    let mut faults = Vec::new();
    if let Err(error) = (kind.play)(&mut stage) {
        faults.push(format!("the hostile clients ended early: {error}"));
    }
    let Stage { swarm, note, .. } = stage;
    let closed = swarm.closed;
    drop(swarm);
    let seen = honest.finish()?;
    let (peak, health) = watch.finish();
    thread::sleep(REST);
    faults.extend(broker.end_told());
    let after = broker.resident_bytes();
    Ok(Row {
        seen,
        health,
        closed,
        peak: peak.max(after.unwrap_or(0)),
        after,
        before: before.unwrap_or(0),
        took: began.elapsed(),
        note,
        faults,
    })
}
