//! The soak: ten thousand hostile clients of all sorts at once, for minutes, beside a hundred honest ones.
//!
//! ```text
//! this process ─┬─ the broker
//!               ├─ 100 honest clients: alone for a while, and then beside the others
//!               └─ a child of the idle class of the scheduler: the hostile clients (crowd.rs, sorts.rs)
//! ```
//!
//! The hostile clients are in a process of their own that yields to all others: in life they have machines of their own, and
//! here they would take the processor from the honest ones, which says nothing about the broker. What they do is paced, so
//! that the load is the same in each run, and told.
//!
//! An honest client waits from the first byte of its question that the system takes to the read that brings the answer. What a
//! hypervisor took from the processors meanwhile (`steal`) is told for both times: some of it is in the longest hundredth of
//! the waits. The longest hundredth is told twice: of the waits, and of the waits without what the broker and the client wanted
//! of a processor and did not get (wanting.rs).
//!
//! A run fails if an honest client has lost something, was closed, or waited too long, or if a probe had no answer. How the
//! waits compare with those of the quiet time is told and not judged: that needs a quiet machine.

mod crowd;
mod sorts;

pub(crate) use crowd::crowd;

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::broker::{Broker, Watch};
use crate::honest::{FIRST_REQUESTER, Honest, Seen};
use crate::table::{WAIT_MAX, mb, ms};
use crate::wanting::times_of;

/// Honest clients in all.
const HONEST: usize = 100;

/// How the two times are compared with each other in the end.
const FACTOR_WANTED: f64 = 3.0;

/// What is wanted of a soak.
pub(crate) struct Plan<'a> {
    pub(crate) program: &'a Path,
    /// How long the hostile ones are there.
    pub(crate) time: Duration,
    pub(crate) hostile: usize,
}

/// Plays it; answers whether all promises were kept.
pub(crate) fn soak(plan: &Plan<'_>) -> io::Result<bool> {
    let Plan { time, hostile, .. } = *plan;
    println!(
        "soak: {hostile} hostile clients beside {HONEST} honest ones for {} s",
        time.as_secs()
    );
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-soak.log");
    let settings = sorts::settings()?;
    let mut broker = Broker::start(plan.program, &settings, &log)?;
    let requesters = HONEST - FIRST_REQUESTER;
    let quiet_theft = Theft::start();
    let quiet = Honest::start(&broker, requesters)?;
    let quiet_time = (time / 5).clamp(Duration::from_secs(3), Duration::from_secs(30));
    std::thread::sleep(quiet_time);
    let mut quiet = quiet.finish()?;
    let quiet_theft = quiet_theft.share();
    println!("{:8} {:>25}   {:>25}", "", "PING, ms", "requests, ms");
    println!(
        "{:8} {:>8} {:>8} {:>7}   {:>8} {:>8} {:>7} {:>15} {:>15}",
        "", "p50", "p99", "max", "p50", "p99", "max", "requests lost", "messages lost"
    );
    print("quiet", &mut quiet);
    let honest = Honest::start(&broker, requesters)?;
    let watch = Watch::start(&broker);
    let (began, before, theft) = (Instant::now(), times_of(broker.pid), Theft::start());
    let mut crowd = start_crowd(&broker, time, hostile)?;
    let told = listen_to(&mut crowd);
    let after = times_of(broker.pid);
    let share =
        |at: usize| 100.0 * (after[at] - before[at]).as_secs_f64() / began.elapsed().as_secs_f64();
    let mut attacked = honest.finish()?;
    let theft = theft.share();
    let (peak, health) = watch.finish();
    print("attacked", &mut attacked);
    println!("hostile  {told}");
    println!(
        "broker   {:.0} % of a processor, {:.0} % of the time without one that it wanted; {} MB at most",
        share(0),
        share(1),
        mb(peak)
    );
    println!(
        "steal    {quiet_theft:.1} % of a processor in the quiet time, {theft:.1} % beside the hostile ones"
    );
    for (what, before, after) in [
        ("PING", &mut quiet.pings, &mut attacked.pings),
        ("requests", &mut quiet.answers, &mut attacked.answers),
    ] {
        let factor = |before: Duration, after: Duration| after.as_secs_f64() / before.as_secs_f64();
        let all = factor(before.most(99), after.most(99));
        let served = [before, after].map(|waits| waits.most_served(99));
        println!(
            "p99 of {what}: {all:.1} times that of the quiet time; {FACTOR_WANTED} is wanted. \
             While there was a processor: {:.2} and {:.2} ms, {:.1} times",
            ms(served[0]),
            ms(served[1]),
            factor(served[0], served[1])
        );
    }
    let mut faults: Vec<String> = broker.end_told().into_iter().collect();
    faults.extend(judged(quiet));
    faults.extend(judged(attacked));
    if let Some(health) = health.filter(|health| health.failed > 0) {
        faults.push(format!(
            "/healthz failed {} times: {}",
            health.failed, health.failure
        ));
    }
    for fault in faults.iter().take(8) {
        println!("  BROKEN: {fault}");
    }
    Ok(faults.is_empty())
}

fn print(when: &str, seen: &mut Seen) {
    let pings = [50, 99, 100].map(|percent| ms(seen.pings.most(percent)));
    let answers = [50, 99, 100].map(|percent| ms(seen.answers.most(percent)));
    println!(
        "{when:8} {:8.2} {:8.2} {:7.1}   {:8.2} {:8.2} {:7.1} {:>15} {:>15}",
        pings[0],
        pings[1],
        pings[2],
        answers[0],
        answers[1],
        answers[2],
        format!("{}/{}", seen.requests_lost, seen.requests),
        format!("{}/{}", seen.messages_lost, seen.messages),
    );
}

/// What was not as it must be.
fn judged(mut seen: Seen) -> Vec<String> {
    let mut faults = Vec::new();
    if seen.requests_lost > 0 || seen.messages_lost > 0 {
        faults.push(format!(
            "{} requests and {} messages were lost",
            seen.requests_lost, seen.messages_lost
        ));
    }
    let waits = [
        seen.pings.most(100),
        seen.answers.most(100),
        seen.publisher_max,
        seen.delivery_max,
    ];
    let longest = waits.into_iter().max().unwrap_or_default();
    if longest > WAIT_MAX {
        faults.push(format!("an honest client waited {:.0} ms", ms(longest)));
    }
    faults.extend(seen.wrongs);
    faults
}

/// Starts the process of the hostile clients, which yields to all others where that can be had.
fn start_crowd(broker: &Broker, time: Duration, hostile: usize) -> io::Result<Child> {
    let own = std::env::current_exe()?;
    let address = |addr: Option<SocketAddr>| addr.map_or(String::new(), |addr| addr.to_string());
    let words = [
        "--crowd".to_owned(),
        hostile.to_string(),
        "--seconds".to_owned(),
        time.as_secs_f64().to_string(),
        "--server".to_owned(),
        broker.addr.to_string(),
        "--websocket".to_owned(),
        address(broker.websocket),
    ];
    // The lowest priority of `nice` still has its share of each few milliseconds, which an honest client would wait for.
    let idle = Command::new("chrt")
        .args(["--idle", "0"])
        .arg(&own)
        .args(&words)
        .stdout(Stdio::piped())
        .spawn();
    idle.or_else(|_| {
        Command::new(&own)
            .args(&words)
            .stdout(Stdio::piped())
            .spawn()
    })
}

/// Waits for the end of the hostile clients; answers what they tell.
fn listen_to(crowd: &mut Child) -> String {
    let lines = crowd.stdout.take().map(BufReader::new);
    let lines = lines
        .into_iter()
        .flat_map(|lines| lines.lines().map_while(Result::ok));
    let told = lines.last().unwrap_or_else(|| "told nothing".to_owned());
    match crowd.wait() {
        Ok(status) if status.success() => told,
        status => format!("ended early, {status:?}: {told}"),
    }
}

/// What a hypervisor takes from the processors, as Linux tells it.
struct Theft {
    began: Instant,
    before: Duration,
}

impl Theft {
    fn start() -> Theft {
        Theft {
            began: Instant::now(),
            before: stolen(),
        }
    }

    /// In percent of one processor since the start.
    fn share(&self) -> f64 {
        let taken = stolen().saturating_sub(self.before);
        100.0 * taken.as_secs_f64() / self.began.elapsed().as_secs_f64()
    }
}

/// The time that was stolen from all processors since the system began; it is told in hundredths of a second.
fn stolen() -> Duration {
    let told = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = told.split_whitespace().nth(8);
    let ticks: u32 = ticks.and_then(|ticks| ticks.parse().ok()).unwrap_or(0);
    Duration::from_millis(10) * ticks
}
