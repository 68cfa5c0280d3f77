//! Signals, as `kill` and as `midge --signal` send them.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::process::{Broker, End, Quiet, READY, end_of, scratch, signal, text};
use crate::raw::Raw;

/// Runs the command with the flag `--signal`.
fn send(value: &str) -> End {
    end_of(&["--signal", value])
}

#[test]
fn signals_that_have_nothing_to_do_say_so_and_the_broker_goes_on() {
    let mut broker = Broker::start(&[]);
    signal(broker.child.id(), "USR1");
    broker.position("[INF] Trapped \"user defined signal 1\" signal");
    broker.position("[INF] File log re-open ignored, not a file logger");
    signal(broker.child.id(), "HUP");
    broker.position("[INF] Trapped \"hangup\" signal");
    broker.position(
        "[ERR] Failed to reload server configuration: can only reload config when a file is provided \
         using -c or --config",
    );
    Raw::join(broker.addr()).leave();
    signal(broker.child.id(), "INT");
    assert_eq!(broker.end().code(), Some(0));
    broker.position("[INF] Trapped \"interrupt\" signal");
}

#[test]
fn a_second_invocation_signals_the_first_by_pid_or_by_file() {
    let directory = scratch("second");
    for (command, code) in [
        ("quit", Some(0)),
        ("term", Some(1)),
        ("stop", None),
        ("ldm", Some(0)),
    ] {
        let file = directory.join(command);
        let mut broker = Broker::start(&["-P", text(&file)]);
        let process = match command {
            "quit" => broker.child.id().to_string(),
            _ => text(&file).to_owned(),
        };
        if command == "term" {
            // Written by something else perhaps, with a line feed.
            fs::write(&file, format!("{}\n", broker.child.id())).expect("a file of this test");
        }
        let end = send(&format!("{command}={process}"));
        assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{command}");
        assert_eq!(broker.end().code(), code, "{command}");
    }
    let mut broker = Broker::start(&[]);
    let pid = broker.child.id();
    assert_eq!(send(&format!("reopen={pid}")).code, Some(0));
    broker.position("File log re-open ignored");
    assert_eq!(send(&format!("reload={pid}")).code, Some(0));
    broker.position("Failed to reload server configuration");
}

#[test]
fn quit_ends_a_broker_at_once() {
    let mut broker = Broker::start(&[]);
    signal(broker.child.id(), "QUIT");
    assert_eq!(broker.end().signal(), Some(3));
}

#[test]
fn a_broker_of_these_tests_heeds_signals_that_the_tests_are_started_to_ignore() {
    let tests = std::env::current_exe().expect("it runs");
    let code = "trap '' INT QUIT; exec \"$0\" --exact signals::quit_ends_a_broker_at_once";
    let end = Quiet::of("sh".as_ref(), &["-c", code, text(&tests)]).end();
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(end.out.contains("1 passed"), "{end:?}");
}

#[test]
fn a_signal_that_cannot_be_sent_is_named_and_fails() {
    let nobody = scratch("signals").join("midge.pid");
    fs::write(&nobody, "pid").expect("a file of this test");
    let named = |name: &str, content: &str| {
        let file = nobody.with_file_name(name);
        fs::write(&file, content).expect("a file of this test");
        let value = format!("reload={}", text(&file));
        let told = format!(
            "invalid pid file: {} holds no process id; give ",
            text(&file)
        );
        (value, told)
    };
    // A configuration has passwords.
    let long = named("long.conf", "authorization {password: s3cr3t}");
    let lines = named("lines.conf", "user: u\npass: s3");
    let empty = named("empty.pid", "");
    let control = named("control.pid", "\u{1b}[2J");
    let mut ended = Command::new("true").spawn().expect("true runs");
    ended.wait().expect("it ends");
    for (value, beginning) in [
        ("bogus", "unknown signal \"bogus\"; ".to_owned()),
        (
            "stop=abc",
            "invalid pid: abc; read abc: no such file or directory; ".to_owned(),
        ),
        (
            "stop=/",
            "invalid pid: /; read /: is a directory; ".to_owned(),
        ),
        ("stop=0", "invalid pid: 0; give ".to_owned()),
        ("stop=-1", "invalid pid: -1; give ".to_owned()),
        ("stop=1=2", "invalid signal parameters: [2]; ".to_owned()),
        (
            &format!("stop={}", text(&nobody)),
            format!(
                "invalid pid: pid; {} holds no process id; give ",
                text(&nobody)
            ),
        ),
        (&long.0, long.1.clone()),
        (&lines.0, lines.1.clone()),
        (&empty.0, empty.1.clone()),
        (&control.0, control.1.clone()),
        (
            &format!("quit={}", ended.id()),
            format!("no such process: {}; ", ended.id()),
        ),
    ] {
        let end = send(value);
        assert!(end.err.starts_with(&beginning), "{value}: {end:?}");
        assert_eq!((end.code, end.out.as_str()), (Some(1), ""), "{value}");
        assert_eq!(end.err.lines().count(), 1, "{value}: {end:?}");
        assert!(!end.err.contains("s3"), "{value}: {end:?}");
    }
}

#[test]
fn without_a_pid_the_only_broker_of_this_program_is_found() {
    // A name of its own, so that it is not one of the other tests' brokers that is found.
    let program = scratch("only").join("midge-only");
    fs::copy(env!("CARGO_BIN_EXE_midge"), &program).expect("the binary can be copied");
    let send = |value: &str| Quiet::of(&program, &["--signal", value]).end();
    let end = send("quit");
    assert!(
        end.err.starts_with("no midge-only processes running"),
        "{end:?}"
    );
    assert_eq!(end.code, Some(1));

    let start = || {
        let mut broker = Quiet::of(&program, &["-a", "127.0.0.1", "-p", "-1"]);
        let stderr = broker.child.stderr.as_mut().expect("stderr is a pipe");
        let mut said = String::new();
        let mut byte = [0];
        while !said.contains(READY) {
            stderr.read_exact(&mut byte).expect("the broker starts");
            said.push(char::from(byte[0]));
        }
        broker
    };
    let mut one = start();
    let end = send("quit");
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
    assert_eq!(one.end().code, Some(0));

    let (mut one, mut two) = (start(), start());
    let end = send("quit");
    let mut pids = [one.child.id(), two.child.id()];
    pids.sort_unstable();
    let expected = format!(
        "multiple midge-only processes running:\n{}\n{}\n",
        pids[0], pids[1]
    );
    assert!(end.err.starts_with(&expected), "{end:?}");
    assert_eq!(end.code, Some(1));
    let end = send("quit=*");
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
    assert_eq!((one.end().code, two.end().code), (Some(0), Some(0)));
}
