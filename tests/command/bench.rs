//! What `midge bench` promises: every workload works and says what it has counted, and a broker that
//! loses, doubles or alters a message is found out. The real binary, with little of everything.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

use crate::faulty::{FaultyBroker, Mischief};
use serde_json::Value;

/// A midge in a process of its own, which ends with this.
struct Broker {
    child: Child,
    addr: String,
}

impl Broker {
    fn start() -> Broker {
        let mut child = Command::new(env!("CARGO_BIN_EXE_midge"))
            .args(["-a", "127.0.0.1", "-p", "-1"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("midge starts");
        let log = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let mut lines = log.lines().map_while(Result::ok);
        let addr = lines
            .find_map(|line| {
                let (_, addr) = line.split_once("client connections on ")?;
                Some(addr.trim().to_owned())
            })
            .expect("midge tells where it listens");
        // A full pipe would stop the broker.
        std::thread::spawn(move || lines.for_each(drop));
        Broker { child, addr }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bench(args: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_midge"))
        .arg("bench")
        .args(args.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .expect("midge runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The outcome of a run that must succeed.
#[track_caller]
fn outcome(broker: &Broker, args: &str) -> Value {
    let pid = broker.child.id();
    let output = bench(&format!(
        "{args} --json --server {} --pid {pid}",
        broker.addr
    ));
    assert!(output.status.success(), "{args}: {output:?}");
    let outcome: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(outcome["faults"], Value::Array(Vec::new()), "{args}");
    let version = concat!("midge ", env!("CARGO_PKG_VERSION"));
    assert_eq!(outcome["broker"], version, "{args}");
    assert!(
        outcome["usage"]["resident_peak"].as_u64() > Some(0),
        "{outcome}"
    );
    outcome
}

#[test]
fn flows_count_every_message() {
    let broker = Broker::start();
    for (args, published, delivered) in [
        ("pub -n 5000", 5000, 0),
        ("fanout -n 5000", 5000, 5000),
        ("fanout -n 1000 --subs 8", 1000, 8000),
        ("fanout -n 1000 --size 0", 1000, 1000),
        ("fanout -n 1000 --size 5", 1000, 1000),
        ("fanout -n 1000 --size 20 --headers", 1000, 1000),
        ("fanout -n 200 --size 64KiB --pubs 2", 200, 200),
        ("fanout -n 10 --size 1MiB", 10, 10),
        ("fanout -n 1000 --bystanders 100 --idle 10", 1000, 1000),
        ("fanin -n 5001", 5001, 5001),
        ("queue -n 5000", 5000, 5000),
        ("subjects -n 5000 --subjects 1000", 5000, 5000),
        (
            "subjects -n 5000 --subjects 1000 --subs 3 --pubs 2",
            5000,
            5000,
        ),
        ("slow -n 1000", 1000, 2000),
        ("outrun -n 20000", 20000, 20000),
    ] {
        let outcome = outcome(&broker, args);
        assert_eq!(outcome["published"], published, "{args}");
        assert_eq!(outcome["delivered"], delivered, "{args}");
        assert_eq!(outcome["lost"], 0, "{args}");
        assert!(
            outcome["messages_per_second"].as_f64() > Some(0.0),
            "{outcome}"
        );
        assert!(outcome["latency"].is_null(), "{args}");
    }
}

#[test]
fn what_has_a_rate_tells_latencies() {
    let broker = Broker::start();
    for (args, count) in [
        ("latency -n 2000 --rate 100k", 2000),
        ("fanout -n 1000 --subs 2 --pubs 2 --rate 50k", 2000),
        ("request -n 500", 500),
        (
            "request -n 500 --outstanding 32 --clients 3 --responders 2",
            500,
        ),
        ("request -n 500 --rate 20k --size 1k", 500),
        // These are counted within the time that the rate gives them: enough for a busy machine.
        ("crowd -n 4000 --conns 20 --rate 20k", 4000),
        ("crowd -n 4000 --conns 1 --rate 20k", 4000),
        ("connect -n 100", 100),
    ] {
        let outcome = outcome(&broker, args);
        let latency = &outcome["latency"];
        assert_eq!(latency["count"], count, "{args}");
        let at = |name: &str| latency[name].as_u64().expect("it is a number");
        assert!(0 < at("min") && at("min") <= at("p50"), "{args}: {latency}");
        assert!(at("p50") <= at("p99") && at("p99") <= at("max"), "{args}");
    }
}

#[test]
fn a_warm_up_is_checked_and_not_counted() {
    let broker = Broker::start();
    let outcome = outcome(&broker, "crowd -n 500 --conns 20 --rate 20k --warm-up 0.05");
    let count = |name: &str| outcome[name].as_u64().expect("it is a number");
    // The first thousand are due within the 50 milliseconds, however many of them went in time.
    let (published, warm) = (count("published"), 1000);
    assert!(published >= 500, "{outcome}");
    assert_eq!(count("delivered"), published, "{outcome}");
    assert_eq!(count("lost"), 0, "{outcome}");
    assert!(count("messages") <= published, "{outcome}");
    let counted = outcome["latency"]["count"].as_u64().unwrap_or(0);
    assert_eq!(counted, published.saturating_sub(warm), "{outcome}");
}

#[test]
fn connections_and_subscriptions_are_weighed() {
    let broker = Broker::start();
    let idle = outcome(&broker, "idle --conns 50 --subs 3");
    assert_eq!(idle["messages"], 50);
    assert!(
        idle["figures"]["bytes_per_connection"].is_number(),
        "{idle}"
    );
    let subs = outcome(&broker, "sub-unsub --subs 2000");
    for name in ["sub_rate", "unsub_rate", "bytes_per_subscription"] {
        assert!(subs["figures"][name].is_number(), "{name}: {subs}");
    }
}

#[test]
fn a_broker_that_does_wrong_is_found_out() {
    for (mischief, args, expected) in [
        (Mischief::Lose(500), "fanout -n 1000", "1 lost or late"),
        (
            Mischief::Lose(999),
            "fanout -n 1000",
            "1 message lost for subscriber 0",
        ),
        (Mischief::Lose(3), "fanout -n 10 --size 0", "1 message lost"),
        (
            Mischief::Lose(3),
            "queue -n 10 --pubs 1 --subs 1",
            "1 message lost for all together",
        ),
        (Mischief::Double(500), "fanout -n 1000", "doubled or late"),
        (
            Mischief::Double(3),
            "queue -n 10 --pubs 1 --subs 1",
            "of publisher 0 came",
        ),
        (
            Mischief::Alter(500),
            "fanout -n 1000 --size 4k",
            "corrupted where message 500 of",
        ),
        (
            Mischief::Misroute(500),
            "fanout -n 1000",
            "a foreign message: other",
        ),
        (
            Mischief::Hang,
            "fanout -n 10 --patience 0.3",
            "the answer of 2 of 2 connections",
        ),
        (Mischief::Refuse, "fanout -n 10", "-ERR 'no such thing'"),
        (Mischief::CutOff(5), "fanout -n 10", "was closed after"),
    ] {
        let broker = FaultyBroker::start(mischief);
        let output = bench(&format!("{args} --server {}", broker.addr));
        let (out, told) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{args}: {out}{told}");
        assert!(told.contains(expected), "{args}: {told}");
        assert!(out.contains("FAILED"), "{args}: {out}");
        if matches!(mischief, Mischief::Hang | Mischief::Refuse) {
            assert!(out.contains("nothing was measured"), "{args}: {out}");
            assert!(
                !out.contains("0/s") && !out.contains("/s "),
                "{args}: {out}"
            );
            assert!(!out.contains("time"), "{args}: {out}");
        }
    }
}

#[test]
fn a_well_behaved_stranger_passes() {
    let broker = FaultyBroker::start(Mischief::None);
    let output = bench(&format!("fanout -n 1000 --subs 2 --server {}", broker.addr));
    assert!(output.status.success(), "{output:?}");
    let out = text(&output.stdout);
    assert!(out.contains("all passed"), "{out}");
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    refused(
        "pub --server 127.0.0.1:0",
        "invalid port \"0\"; use 1 to 65535",
    );
    refused("pub --server :4222", "no host; write host:port");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let free = free.expect("a port is free");
    for (args, expected) in [
        (format!("pub --server {free}"), "is a broker running there?"),
        ("pub --server nowhere.invalid".to_owned(), "write host:port"),
    ] {
        let output = bench(&args);
        assert_eq!(output.status.code(), Some(1), "{args}");
        let told = text(&output.stderr);
        assert!(told.contains(expected), "{args}: {told}");
    }
    let help = bench("--help");
    assert!(
        help.status.success() && text(&help.stdout).contains("versus"),
        "{help:?}"
    );
}

/// Asks for what cannot be done: nothing is measured, and the exit code is 2.
#[track_caller]
fn refused(args: &str, expected: &str) {
    let output = bench(args);
    let (out, told) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(2), "{args}: {out}{told}");
    assert!(told.contains(expected), "{args}: {told}");
    assert!(out.is_empty(), "{args}: {out}");
}

#[test]
fn numbers_that_make_no_sense_are_refused_by_the_flag_that_has_them() {
    for (command, flags) in [
        ("pub", "--pubs --msgs --duration --rate --patience"),
        ("fanout", "--pubs --subs --subjects --read-rate"),
        ("fanin", "--pubs --subs"),
        ("queue", "--pubs --subs"),
        ("subjects", "--pubs --subs --subjects"),
        ("latency", "--pubs --subs --rate"),
        ("slow", "--pubs --subs"),
        ("outrun", "--pubs --subs --read-rate"),
        (
            "request",
            "--clients --responders --outstanding --rate --msgs",
        ),
        ("crowd", "--conns --rate --duration"),
        ("idle", "--conns"),
        ("connect", "--concurrency --duration"),
        ("sub-unsub", "--subs"),
        ("versus", "--rounds --seconds"),
    ] {
        for flag in flags.split(' ') {
            let output = bench(&format!("{command} {flag} 0"));
            let told = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command} {flag}: {told}");
            assert!(
                told.contains("invalid value '0' for '"),
                "{command} {flag}: {told}"
            );
            assert!(
                told.contains(flag) && told.contains("or more"),
                "{command} {flag}: {told}"
            );
        }
    }
    refused(
        "fanout --subs 0",
        "\"midge bench pub\" is for messages without a subscriber",
    );
    refused("fanout --size big", "write bytes as");
    refused("queue --size 4", "use --size 16 or more");
    refused("slow --stalled 3", "at least one subscriber must read");
}

#[test]
fn messages_larger_than_the_broker_takes_are_refused() {
    let broker = Broker::start();
    for args in [
        "fanout --size 2MiB",
        "request --size 900G",
        "fanout --size 1MiB --headers",
    ] {
        let args = format!("{args} --server {}", broker.addr);
        refused(&args, "the broker takes messages of up to 1048576 bytes");
    }
}

#[test]
fn who_does_not_greet_is_no_broker() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("it is bound");
    // The system accepts, and nobody speaks.
    let output = bench(&format!("pub --patience 0.2 --server {addr}"));
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("sends no INFO as a NATS broker does: silent for 0.2 s"),
        "{told}"
    );
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn versus_looks_at_everything_before_it_begins() {
    let midge = env!("CARGO_BIN_EXE_midge");
    let folder = env!("CARGO_TARGET_TMPDIR");
    for (args, expected) in [
        (
            "--only nonsense --no-report".to_owned(),
            "--only nonsense: there is no such workload",
        ),
        (
            "--only 1-to-1,fanuot --no-report".to_owned(),
            "did you mean fanout?",
        ),
        (
            "--a /nowhere/broker --no-report".to_owned(),
            "--a /nowhere/broker: there is no such file",
        ),
        (
            "--b no-such-broker --no-report".to_owned(),
            "PATH has no such program",
        ),
        (
            format!("--b {midge} --broker /etc/passwd --no-report"),
            "--broker /etc/passwd: it cannot be executed",
        ),
        (
            format!("--b {midge} --report /nowhere/report.html"),
            "--report /nowhere/report.html: ",
        ),
        (
            format!("--b {midge} --report {folder}"),
            "name a file that can be written",
        ),
        (
            format!("--b {midge} --no-report --json /nowhere/a.json"),
            "--json /nowhere/a.json: ",
        ),
        (
            format!("--b {midge} --no-report --svg /nowhere/a.svg"),
            "--svg /nowhere/a.svg: ",
        ),
    ] {
        refused(&format!("versus --rounds 1000 {args}"), expected);
    }
    let old = format!("{folder}/old-{}.html", std::process::id());
    std::fs::write(&old, "mine").expect("it can be written");
    for args in [
        format!("versus --b {midge} --report {old}"),
        format!("versus --b {midge} --no-report --json {old}"),
        format!("versus --b {midge} --no-report --svg {old}"),
    ] {
        refused(&args, "it is there already; name another, or give --force");
    }
    refused(&format!("pub --csv {old}"), "it holds something else");
    assert_eq!(std::fs::read_to_string(&old).expect("it is there"), "mine");
    let _ = std::fs::remove_file(&old);
    // A program that is there and is no broker.
    let output = bench("versus --rounds 1000 --b true --no-report");
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("it ended at once") && output.stdout.is_empty(),
        "{told}"
    );

    let output = bench("pub --csv /nowhere/a.csv");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        text(&output.stderr).contains("--csv /nowhere/a.csv: "),
        "{output:?}"
    );
}

#[test]
fn versus_takes_the_names_of_subcommands_and_counts_one_round_as_one() {
    let midge = env!("CARGO_BIN_EXE_midge");
    let list = bench("versus --list --only fanin,slow");
    let out = text(&list.stdout);
    assert!(list.status.success(), "{list:?}");
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(out.contains("8-to-1") && out.contains("stalled"), "{out}");

    let output = bench(&format!(
        "versus --quick -q --b {midge} --no-report --only fanin"
    ));
    let out = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(out.contains(": 1 round of 0.1 s\n"), "{out}");

    let help = bench("versus --help");
    let out = text(&help.stdout);
    assert!(out.contains("  fanin     8-to-1"), "{out}");
}

#[test]
fn csv_has_a_heading_once_and_a_line_for_each_run() {
    let broker = Broker::start();
    let path = format!(
        "{}/bench-{}.csv",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let _ = std::fs::remove_file(&path);
    for _ in 0..2 {
        let output = bench(&format!("pub -n 100 --server {} --csv {path}", broker.addr));
        assert!(output.status.success(), "{output:?}");
    }
    let csv = std::fs::read_to_string(&path).expect("it was written");
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 3, "{csv}");
    assert!(lines[0].starts_with("workload,broker,good,published,"));
    assert!(lines[2].starts_with("pub,midge"), "{csv}");
    let _ = std::fs::remove_file(&path);
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error_with_the_file_the_action_and_the_reason() {
    let broker = Broker::start();
    for (flags, out, told) in [
        (
            "--csv /dev/full",
            Stdio::null(),
            "write /dev/full: no space left on device",
        ),
        ("", full(), "write standard output: no space left on device"),
        (
            "--json",
            full(),
            "write standard output: no space left on device",
        ),
    ] {
        let args = format!("pub -n 100 --server {} {flags}", broker.addr);
        let end = Command::new(env!("CARGO_BIN_EXE_midge"))
            .arg("bench")
            .args(args.split_whitespace())
            .stdout(out)
            .stderr(Stdio::piped())
            .output()
            .expect("midge runs");
        let said = text(&end.stderr);
        assert!(!end.status.success(), "{flags}: {said}");
        assert!(said.contains(told), "{flags}: {said}");
    }
}

/// An output that takes nothing.
fn full() -> Stdio {
    let file = std::fs::File::options().write(true).open("/dev/full");
    file.expect("this system has one").into()
}

#[test]
fn versus_measures_everything_and_writes_its_reports() {
    let stem = format!(
        "{}/versus-{}",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let midge = env!("CARGO_BIN_EXE_midge");
    let output = bench(&format!(
        "versus --quick --quiet --b {midge} --report {stem}.html --svg {stem}.svg --json {stem}.json"
    ));
    let (out, told) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{told}");
    let read = |kind: &str| {
        let path = format!("{stem}.{kind}");
        let read = std::fs::read_to_string(&path).expect("it was written");
        let _ = std::fs::remove_file(&path);
        read
    };
    let results: Value = serde_json::from_str(&read("json")).expect("it is JSON");
    let workloads = results["workloads"].as_array().expect("a list");
    assert!(workloads.len() > 20, "{}", workloads.len());
    let html = read("html");
    assert!(
        out.contains("stalled: not measured: a broker shows only after some seconds"),
        "{out}"
    );
    for workload in workloads {
        // Too short to tell anything true of it.
        if workload["name"] == "stalled" {
            assert!(workload["skipped"].is_string(), "{workload}");
            continue;
        }
        assert!(workload["skipped"].is_null(), "{workload}");
        assert_eq!(workload["faults"], Value::Array(Vec::new()), "{workload}");
        let name = workload["name"].as_str().expect("a name");
        assert!(out.contains(name), "{name} is missing: {out}");
        for metric in workload["metrics"].as_array().expect("a list") {
            for value in metric["values"].as_array().expect("a list") {
                assert!(value["median"].as_f64() > Some(0.0), "{name}: {metric}");
            }
        }
        let title = workload["title"].as_str().expect("a title");
        assert!(html.contains(title), "{title} is missing in the report");
    }
    // A report needs nothing from elsewhere.
    for fetched in ["http:", "https:", "<script", "<link", "@import", "url("] {
        assert!(!html.contains(fetched), "{fetched}");
    }
    assert!(read("svg").starts_with("<svg"));
}
