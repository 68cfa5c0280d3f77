//! Messages per second of any broker over real sockets, and what each message costs the broker.
//!
//! ```text
//! cargo bench --bench wire                                       the midge that was just built
//! cargo bench --bench wire -- --broker midge --broker nats-server    these, turn by turn
//! cargo bench --bench wire -- --addr 127.0.0.1:4222 --pid 8753   one that runs already
//! ```
//!
//! `--runs 5` rounds of `--seconds 2` of publishing for each workload. The brokers of `--broker` are
//! started anew in each round, as `<broker> -a 127.0.0.1 -p <port>`, on any free port or on `--port`.
//!
//! One publisher writes as fast as it is let; 0, 1 or 8 subscribers on connections of their own
//! read. A payload is 16 bytes: a sequence number and its complement. Each subscriber checks that it
//! got every message once and in order, byte for byte; the publisher, that its last `PING` is
//! answered. A run that fails a check is an error and not a number.
//!
//! A *message* is one publish where nobody listens, else one delivery. The broker's CPU time is user
//! and system time of all its threads, from `/proc/<pid>/stat`, in units of 10 ms on most systems.

use std::fmt::Display;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

const WORKLOADS: &[Workload] = &[
    Workload {
        name: "publish only",
        subscribers: 0,
    },
    Workload {
        name: "1 to 1",
        subscribers: 1,
    },
    Workload {
        name: "1 to 8",
        subscribers: 8,
    },
];

/// Begins every frame of a publisher; the payload and CR LF follow.
const PUB: &[u8] = b"PUB bench.wire 16\r\n";
/// Begins every frame to a subscriber.
const MSG: &[u8] = b"MSG bench.wire 1 16\r\n";
const PAYLOAD_BYTES: usize = 16;
/// Frames in one write of the publisher: about 37 KB.
const BATCH: usize = 1024;
/// The number of the message behind the last one.
const END: u64 = u64::MAX;
/// A broker that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

struct Workload {
    name: &'static str,
    subscribers: usize,
}

/// What the command line asks for.
struct Plan {
    brokers: Vec<Broker>,
    runs: usize,
    publishing: Duration,
    /// Where a program is to listen; any free port if there is none.
    port: Option<u16>,
}

/// Whom to measure.
enum Broker {
    /// A program to start and to stop.
    Program(String),
    /// One that runs already; its CPU time is known if its process is.
    Running { addr: String, pid: Option<u32> },
}

/// The outcome of one workload.
#[derive(Clone, Copy)]
struct Measured {
    messages: u64,
    elapsed: Duration,
    cpu: Option<Duration>,
}

fn main() -> ExitCode {
    match plan(env::args().skip(1)).and_then(|plan| run(&plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wire: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan(mut args: impl Iterator<Item = String>) -> io::Result<Plan> {
    let mut plan = Plan {
        brokers: Vec::new(),
        runs: 5,
        publishing: Duration::from_secs(2),
        port: None,
    };
    let (mut addr, mut pid, mut is_bench) = (None, None, false);
    while let Some(flag) = args.next() {
        if flag == "--bench" {
            // Said by `cargo bench`, and not by `cargo test`.
            is_bench = true;
            continue;
        }
        let value = args
            .next()
            .ok_or_else(|| failed(format!("{flag}: needs a value")))?;
        let number = || {
            let number = value.parse::<u32>();
            number.map_err(|error| failed(format!("{flag} {value}: {error}")))
        };
        match &*flag {
            "--broker" => plan.brokers.push(Broker::Program(value)),
            "--addr" => addr = Some(value),
            "--pid" => pid = Some(number()?),
            "--runs" => plan.runs = number()? as usize,
            "--seconds" => plan.publishing = Duration::from_secs(number()?.into()),
            "--port" => {
                let port = u16::try_from(number()?)
                    .map_err(|error| failed(format!("{flag} {value}: {error}")))?;
                plan.port = Some(port);
            }
            _ => return Err(failed(format!("unknown flag {flag}"))),
        }
    }
    if let Some(addr) = addr {
        plan.brokers.push(Broker::Running { addr, pid });
    }
    if plan.brokers.is_empty() {
        let midge = env!("CARGO_BIN_EXE_midge").to_owned();
        plan.brokers.push(Broker::Program(midge));
    }
    if !is_bench {
        (plan.runs, plan.publishing) = (1, Duration::from_millis(50));
    }
    Ok(plan)
}

fn run(plan: &Plan) -> io::Result<()> {
    // By workload, then by broker, then by round.
    let mut all = vec![vec![Vec::new(); plan.brokers.len()]; WORKLOADS.len()];
    for round in 1..=plan.runs {
        for (place, broker) in plan.brokers.iter().enumerate() {
            let running = Running::start(broker, plan.port)?;
            for (workload, results) in WORKLOADS.iter().zip(&mut all) {
                let measured = measure(workload, &running, plan.publishing)
                    .map_err(|error| failed(format!("{broker}, {}: {error}", workload.name)))?;
                let Workload { name, .. } = workload;
                println!("round {round}, {broker}, {name}: {measured}");
                results[place].push(measured);
            }
        }
    }
    for (workload, results) in WORKLOADS.iter().zip(&all) {
        report(workload, &plan.brokers, results);
    }
    Ok(())
}

/// One table: medians over the rounds, with the lowest and the highest. The ratio is the median of
/// those of single rounds, whose two measurements were made within the same minute.
fn report(workload: &Workload, brokers: &[Broker], results: &[Vec<Measured>]) {
    println!("\n{}, {PAYLOAD_BYTES} bytes\n", workload.name);
    println!(
        "| broker | million/s | payload MB/s | million per CPU second | first broker / this |"
    );
    println!("|---|---:|---:|---:|---:|");
    for (broker, result) in brokers.iter().zip(results) {
        let plain = Spread::of(result.iter().map(Measured::per_second));
        let cpu = Spread::of(result.iter().map(Measured::per_cpu_second));
        let pairs = results[0].iter().zip(result);
        let ratio =
            Spread::of(pairs.map(|(one, other)| one.per_cpu_second() / other.per_cpu_second()));
        let bytes = plain.median * PAYLOAD_BYTES as f64;
        println!("| {broker} | {plain} | {bytes:.0} | {cpu} | {ratio} |");
    }
}

/// One workload on one broker, checked.
fn measure(workload: &Workload, broker: &Running, publishing: Duration) -> io::Result<Measured> {
    let mut publisher = join(broker.addr, "")?;
    let subscribers = (0..workload.subscribers)
        .map(|_| join(broker.addr, "SUB bench.wire 1\r\n"))
        .collect::<io::Result<Vec<_>>>()?;

    let cpu_before = broker.cpu_time()?;
    let start = Instant::now();
    let (published, received) = thread::scope(|scope| {
        let receivers: Vec<_> = subscribers
            .into_iter()
            .map(|stream| scope.spawn(move || receive(stream)))
            .collect();
        let published = publish(&mut publisher, start + publishing);
        let received: io::Result<Vec<u64>> = receivers
            .into_iter()
            .map(|receiver| receiver.join().expect("a receiver does not panic"))
            .collect();
        (published, received)
    });
    let elapsed = start.elapsed();
    let cpu_after = broker.cpu_time()?;

    // What a receiver has to say is nearer to the cause.
    let received = received?;
    let published = published?;
    if let Some(count) = received.iter().find(|count| **count != published) {
        return Err(failed(format!("{published} published, {count} received")));
    }
    Ok(Measured {
        messages: published * workload.subscribers.max(1) as u64,
        elapsed,
        cpu: cpu_before
            .zip(cpu_after)
            .map(|(before, after)| after - before),
    })
}

/// A connection that has been through `CONNECT` and `said`.
fn join(addr: SocketAddr, said: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let hello = r#"CONNECT {"verbose":false,"pedantic":false}"#;
    write!(stream, "{hello}\r\n{said}PING\r\n")?;
    wait_for_pong(&stream, b"")?;
    Ok(stream)
}

/// Reads lines up to `PONG`, the first of them from `begun`; none may be an error or a message.
fn wait_for_pong(mut stream: &TcpStream, begun: &[u8]) -> io::Result<()> {
    let mut input = begun.chain(stream);
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        input.read_exact(&mut byte)?;
        line.push(byte[0]);
        if byte != *b"\n" {
            continue;
        }
        match &*line {
            b"PONG\r\n" => return Ok(()),
            b"PING\r\n" => stream.write_all(b"PONG\r\n")?,
            line if line.starts_with(b"INFO ") => {}
            line => return Err(unexpected(line)),
        }
        line.clear();
    }
}

/// Publishes until `deadline`, and the end; answers how many messages that was, without the end.
fn publish(stream: &mut TcpStream, deadline: Instant) -> io::Result<u64> {
    let frame = [PUB, &[0; PAYLOAD_BYTES], b"\r\n"].concat();
    let mut batch = frame.repeat(BATCH);
    let mut next = 0;
    while Instant::now() < deadline {
        for frame in batch.chunks_exact_mut(frame.len()) {
            number(frame, next);
            next += 1;
        }
        stream.write_all(&batch)?;
    }
    let mut end = frame;
    number(&mut end, END);
    stream.write_all(&[&end, &b"PING\r\n"[..]].concat())?;
    wait_for_pong(stream, b"")?;
    Ok(next)
}

/// Writes a sequence number and its complement to the payload of a publisher's frame.
fn number(frame: &mut [u8], sequence: u64) {
    frame[PUB.len()..][..8].copy_from_slice(&sequence.to_le_bytes());
    frame[PUB.len() + 8..][..8].copy_from_slice(&(!sequence).to_le_bytes());
}

/// Receives up to the end, checking every byte; answers how many messages came before it.
fn receive(mut stream: TcpStream) -> io::Result<u64> {
    const FRAME_BYTES: usize = MSG.len() + PAYLOAD_BYTES + 2;
    let mut buf = vec![0; 256 * 1024];
    let (mut filled, mut next) = (0, 0_u64);
    loop {
        match stream.read(&mut buf[filled..])? {
            0 => {
                return Err(failed(format!(
                    "a subscriber was cut off after {next} messages"
                )));
            }
            len => filled += len,
        }
        let mut rest = &buf[..filled];
        loop {
            if let Some((frame, behind)) = rest.split_at_checked(FRAME_BYTES)
                && let Some(tail) = frame.strip_prefix(MSG)
            {
                let sequence = sequence(tail).ok_or_else(|| unexpected(frame))?;
                rest = behind;
                if sequence == END {
                    // A message that was delivered twice would come in front of the answer.
                    stream.write_all(b"PING\r\n")?;
                    wait_for_pong(&stream, rest)?;
                    return Ok(next);
                }
                if sequence != next {
                    return Err(failed(format!(
                        "message {sequence} came in place of {next}"
                    )));
                }
                next += 1;
            } else if let Some(behind) = rest.strip_prefix(b"PING\r\n") {
                stream.write_all(b"PONG\r\n")?;
                rest = behind;
            } else if rest.len() >= FRAME_BYTES || rest.starts_with(b"-") {
                return Err(unexpected(rest));
            } else {
                break;
            }
        }
        let left = rest.len();
        buf.copy_within(filled - left..filled, 0);
        filled = left;
    }
}

/// The sequence number in a payload with its CR LF, if that is as it was sent.
fn sequence(tail: &[u8]) -> Option<u64> {
    let (sequence, tail) = tail.split_first_chunk()?;
    let (complement, line_end) = tail.split_first_chunk()?;
    let sequence = u64::from_le_bytes(*sequence);
    let good = u64::from_le_bytes(*complement) == !sequence && line_end == b"\r\n";
    good.then_some(sequence)
}

/// A broker that takes connections. One that was started is stopped when this is dropped.
struct Running {
    addr: SocketAddr,
    pid: Option<u32>,
    child: Option<Child>,
}

impl Running {
    fn start(broker: &Broker, port: Option<u16>) -> io::Result<Running> {
        let program = match broker {
            Broker::Program(program) => program,
            Broker::Running { addr, pid } => {
                let addr = addr
                    .parse()
                    .map_err(|error| failed(format!("{addr}: {error}")))?;
                let (pid, child) = (*pid, None);
                return Ok(Running { addr, pid, child });
            }
        };
        let addr = free_addr(port)?;
        let port = addr.port();
        let child = Command::new(program)
            .args(["-a", "127.0.0.1", "-p", &port.to_string()])
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(format!("{program}: {error}")))?;
        let running = Running {
            addr,
            pid: Some(child.id()),
            child: Some(child),
        };
        let start = Instant::now();
        while let Err(error) = TcpStream::connect(addr) {
            if start.elapsed() > Duration::from_secs(10) {
                return Err(failed(format!(
                    "{program} does not listen on {addr}: {error}"
                )));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    /// User and system time of all threads so far, if the process is known.
    fn cpu_time(&self) -> io::Result<Option<Duration>> {
        let Some(pid) = self.pid else { return Ok(None) };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name of the program, in parentheses, may hold blanks. State comes next, the times
        // are the eleventh and twelfth behind it.
        let times = stat.rsplit_once(')').map(|(_, fields)| {
            let ticks = fields.split_whitespace().skip(11).take(2);
            ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
        });
        let ticks: u64 = times.ok_or_else(|| failed(format!("cannot read {stat:?}")))?;
        Ok(Some(Duration::from_millis(
            ticks * 1000 / ticks_per_second()?,
        )))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An address of this machine where nobody listens at the moment.
fn free_addr(port: Option<u16>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0)))
        .map_err(|error| failed(format!("port {}: {error}", port.unwrap_or(0))))?;
    listener.local_addr()
}

fn ticks_per_second() -> io::Result<u64> {
    let output = Command::new("getconf").arg("CLK_TCK").output()?.stdout;
    let text = String::from_utf8_lossy(&output);
    text.trim()
        .parse()
        .map_err(|error| failed(format!("getconf CLK_TCK: {error}")))
}

impl Measured {
    /// Millions of messages per second.
    fn per_second(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64() / 1e6
    }

    /// Millions of messages per second of the broker's CPU; not a number if that is unknown.
    fn per_cpu_second(&self) -> f64 {
        let cpu = self.cpu.map_or(f64::NAN, |cpu| cpu.as_secs_f64());
        self.messages as f64 / cpu / 1e6
    }
}

impl Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (plain, cpu) = (self.per_second(), self.per_cpu_second());
        let nanos = 1000.0 / cpu;
        write!(
            f,
            "{} messages, {plain:.2} million/s, {cpu:.2} million/CPU s, {nanos:.0} ns each",
            self.messages
        )
    }
}

impl Display for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broker::Program(program) => f.write_str(program.rsplit('/').next().unwrap_or(program)),
            Broker::Running { addr, .. } => f.write_str(addr),
        }
    }
}

/// Some numbers: the one in the middle, and the two ends.
struct Spread {
    lowest: f64,
    median: f64,
    highest: f64,
}

impl Spread {
    fn of(numbers: impl Iterator<Item = f64>) -> Spread {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Spread {
            lowest: at(0),
            median: (at(last / 2) + at(last.div_ceil(2))) / 2.0,
            highest: at(last),
        }
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Spread {
            lowest,
            median,
            highest,
        } = self;
        write!(f, "{median:.2} ({lowest:.2} - {highest:.2})")
    }
}

fn unexpected(bytes: &[u8]) -> io::Error {
    let shown = &bytes[..bytes.len().min(80)];
    io::Error::new(
        ErrorKind::InvalidData,
        format!("not expected: {}", shown.escape_ascii()),
    )
}

fn failed(text: String) -> io::Error {
    io::Error::other(text)
}
