//! What the command promises to operators and to their scripts: its flags, exit codes, log lines
//! and files. Each test runs the real binary and waits for what it says, never for a time.

use std::fs;
use std::io::Read;
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::process::{
    Broker, Client, LISTENING, Quiet, READY, closed_pipe, end_of, scratch, signal, wait_for_file,
};

#[test]
fn help_is_on_standard_output_and_succeeds() {
    for flag in ["-h", "-help", "--help", "help"] {
        let end = end_of(&[flag]);
        assert!(end.out.starts_with("\nUsage: midge [options]\n"), "{end:?}");
        assert!(end.out.contains("-p, --port <port>"), "{end:?}");
        assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{flag}");
    }
}

#[test]
fn version_is_on_standard_output_and_succeeds() {
    for flag in ["-v", "-version", "--version", "version"] {
        let end = end_of(&[flag]);
        let ours = concat!("midge: v", env!("CARGO_PKG_VERSION"));
        let lines: Vec<&str> = end.out.lines().collect();
        assert_eq!(lines, ["nats-server: v2.10.29", ours], "{flag}");
        assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{flag}");
    }
}

#[test]
fn help_survives_a_reader_that_goes_away() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_midge"))
        .arg("--help")
        .stdin(Stdio::piped())
        .stdout(closed_pipe())
        .stderr(Stdio::piped())
        .spawn()
        .expect("midge starts");
    let mut err = String::new();
    let stderr = child.stderr.as_mut().expect("stderr is a pipe");
    stderr.read_to_string(&mut err).expect("stderr is text");
    let code = child.wait().expect("midge ends").code();
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

#[test]
fn each_bad_flag_is_one_line_on_standard_error_and_fails() {
    for (args, beginning) in [
        (&["--bogus"][..], "flag provided but not defined: -bogus; "),
        (
            &["-prot", "1"],
            "flag provided but not defined: -prot; did you mean -port? ",
        ),
        (
            &["-p", "abc"],
            "invalid value \"abc\" for flag -p: parse error; ",
        ),
        (
            &["--port=70000"],
            "invalid value \"70000\" for flag -port: value out of range; ",
        ),
        (&["-p"], "flag needs an argument: -p; "),
        (
            &["-D=maybe"],
            "invalid boolean value \"maybe\" for -D: parse error; ",
        ),
        (&["---p", "1"], "bad flag syntax: ---p; "),
        (&["foo"], "unrecognized command: \"foo\"; "),
        (&["-D", "true", "x"], "unrecognized command: \"x\"; "),
        (
            &["-t"],
            "must specify [-c, --config] option to check configuration file syntax",
        ),
        (&["--tlscert", "x"], "flag -tlscert needs TLS, "),
        (&["-pass", "x"], "flag -pass needs a user name; "),
    ] {
        let end = end_of(args);
        assert!(end.err.starts_with(beginning), "{args:?}: {end:?}");
        assert!(end.err.ends_with('\n'), "{args:?}: {end:?}");
        assert_eq!(end.err.lines().count(), 1, "{args:?}: {end:?}");
        assert_eq!((end.code, end.out.as_str()), (Some(1), ""), "{args:?}");
    }
}

#[test]
fn a_log_file_that_cannot_be_opened_is_named_and_fails() {
    let file = scratch("no_such_directory").join("missing/midge.log");
    let name = file.to_str().expect("a path of this test");
    let end = end_of(&["-a", "127.0.0.1", "-p", "-1", "-l", name]);
    let beginning = format!("error opening file: open {name}: ");
    assert!(end.err.starts_with(&beginning), "{end:?}");
    assert_eq!(end.err.lines().count(), 1, "{end:?}");
    assert_eq!((end.code, end.out.as_str()), (Some(1), ""));
}

#[test]
fn a_port_in_use_is_fatal_and_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let (host, port) = address.split_once(':').expect("host and port");
    let end = end_of(&["-a", host, "-p", port]);
    let line = end.fatal_line();
    assert!(line.contains("port") && line.contains(&address), "{end:?}");
    assert_eq!((end.code, end.out.as_str()), (Some(1), ""));
    assert!(!end.err.contains(READY), "{end:?}");
}

#[test]
fn an_address_that_is_not_of_this_machine_is_fatal_and_named() {
    // Addresses that belong to no machine, and a name that belongs to no address.
    for host in ["203.0.113.7", "no-such-host.invalid"] {
        let end = end_of(&["-a", host, "-p", "4999"]);
        assert!(end.fatal_line().contains(host), "{end:?}");
        assert_eq!((end.code, end.out.as_str()), (Some(1), ""));
        assert!(!end.err.contains(READY), "{end:?}");
    }
}

#[test]
fn a_pid_file_that_cannot_be_written_is_named() {
    let file = scratch("pid_nowhere").join("missing/midge.pid");
    let name = file.to_str().expect("a path of this test");
    let end = end_of(&["-a", "127.0.0.1", "-p", "-1", "-P", name]);
    assert!(end.fatal_line().contains(name), "{end:?}");
    assert_eq!((end.code, end.out.as_str()), (Some(1), ""));
}

#[test]
fn a_start_that_fails_is_told_on_the_terminal_wherever_the_log_goes() {
    let directory = scratch("fatal_log");
    let (log, pid) = (directory.join("midge.log"), directory.join("missing/pid"));
    let (log_name, pid_name) = (log.display().to_string(), pid.display().to_string());
    let args = [
        "-a",
        "127.0.0.1",
        "-p",
        "-1",
        "-P",
        &pid_name,
        "-l",
        &log_name,
    ];
    let end = end_of(&args);
    let text = format!(
        "Could not write pidfile: open {pid_name}: no such file or directory; choose another file\n"
    );
    assert_eq!((end.code, end.err.as_str()), (Some(1), text.as_str()));
    let log = fs::read_to_string(&log).expect("the log is text");
    assert!(log.ends_with(&format!("[FTL] {text}")), "{log}");
    // Where the log is on the terminal already, once is enough.
    let end = end_of(&args[..6]);
    assert_eq!(end.err.matches(text.trim_end()).count(), 1, "{end:?}");
}

#[test]
fn start_lines_end_with_the_address_and_server_is_ready() {
    let mut broker = Broker::start(&[]);
    let listening = format!("{LISTENING}{}", broker.port);
    let at = broker.position(&listening);
    assert!(broker.lines[at + 1].ends_with(READY), "{:?}", broker.lines);
}

#[test]
fn port_minus_one_is_a_free_port_and_the_real_one_is_logged_and_announced() {
    let broker = Broker::start(&["-p", "-1"]);
    let other = Broker::start(&["--port=-1"]);
    assert!(broker.port != 0 && other.port != 0 && broker.port != other.port);
    let client = Client::connect(broker.port);
    let announced = format!("\"port\":{}", broker.port);
    let info: String = client.info.split(' ').collect();
    assert!(info.contains(&announced), "{info}");
}

#[test]
fn the_name_given_is_announced() {
    let broker = Broker::start(&["-n", "east"]);
    let info: String = Client::connect(broker.port).info.split(' ').collect();
    assert!(info.contains("\"server_name\":\"east\""), "{info}");
}

#[test]
fn each_line_bears_pid_time_and_level() {
    let mut broker = Broker::start(&[]);
    let pid = broker.child.id();
    let at = broker.position(READY);
    let line = &broker.lines[at];
    let time = line
        .strip_prefix(&format!("[{pid}] "))
        .and_then(|rest| rest.strip_suffix(&format!(" {READY}")))
        .unwrap_or_else(|| panic!("{line}"));
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    assert_eq!(shape, "9999/99/99 99:99:99.999999", "{line}");
    assert!(
        broker.lines.iter().all(|line| !line.contains('\x1b')),
        "colour without a terminal: {:?}",
        broker.lines
    );
}

#[test]
fn logtime_false_leaves_the_time_out() {
    let mut broker = Broker::start(&["-T=false"]);
    let expected = format!("[{}] {READY}", broker.child.id());
    let at = broker.position(READY);
    assert_eq!(broker.lines[at], expected);
}

#[test]
fn a_log_file_is_appended_to_and_standard_error_stays_empty() {
    let file = scratch("log_file").join("midge.log");
    let name = file.to_str().expect("a path of this test");
    let end = {
        fs::write(&file, "kept\n").expect("the file is written");
        let mut broker = Quiet::start(&["-a", "127.0.0.1", "-p", "-1", "-l", name], None);
        wait_for_file(&file, READY);
        signal(broker.child.id(), "TERM");
        broker.end()
    };
    assert_eq!((end.out.as_str(), end.err.as_str()), ("", ""));
    let log = fs::read_to_string(&file).expect("the log is text");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[0], "kept");
    let at = lines.iter().position(|line| line.contains(LISTENING));
    let at = at.unwrap_or_else(|| panic!("{log}"));
    let (_, port) = lines[at].rsplit_once(':').expect("an address");
    assert!(port.parse::<u16>().is_ok_and(|port| port != 0), "{log}");
    assert!(lines[at + 1].ends_with(READY), "{log}");
    assert!(!log.contains('\x1b'), "{log}");
}

#[test]
fn a_new_log_file_can_be_read_by_its_group_and_by_no_other() {
    let file = scratch("log_mode").join("midge.log");
    let name = file.to_str().expect("a path of this test");
    let _broker = Quiet::start(
        &["-a", "127.0.0.1", "-p", "-1", "-l", name],
        Some("umask 022"),
    );
    wait_for_file(&file, READY);
    let mode = fs::metadata(&file).expect("the log is there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o640);
}

#[test]
fn the_pid_file_holds_digits_only_and_stays_behind() {
    let file = scratch("pid_file").join("midge.pid");
    let name = file.to_str().expect("a path of this test");
    let mut broker = Broker::start(&["-P", name]);
    let pid = broker.child.id();
    let read = || fs::read_to_string(&file).expect("the file is there when the server is ready");
    assert_eq!(read(), pid.to_string());
    signal(pid, "TERM");
    broker.end();
    assert_eq!(read(), pid.to_string());
}

#[test]
fn sigterm_ends_with_code_1() {
    let mut broker = Broker::start(&[]);
    signal(broker.child.id(), "TERM");
    let status = broker.end();
    assert_eq!(status.code(), Some(1), "{status}: {:?}", broker.lines);
}

#[test]
fn sigint_ends_with_code_0() {
    let mut broker = Broker::start(&[]);
    signal(broker.child.id(), "INT");
    let status = broker.end();
    assert_eq!(status.code(), Some(0), "{status}: {:?}", broker.lines);
}

#[test]
fn clients_see_the_end_of_the_stream_when_the_broker_stops() {
    let mut broker = Broker::start(&[]);
    let mut client = Client::connect(broker.port);
    client.say("CONNECT {\"verbose\":false}\r\nPING\r\n");
    assert_eq!(client.until("PONG"), ["PONG"]);
    signal(broker.child.id(), "INT");
    assert_eq!(client.rest(), Vec::<String>::new());
    assert_eq!(broker.end().code(), Some(0));
}

#[test]
fn trace_shows_each_op_and_the_payload_and_no_debug_lines() {
    let mut broker = Broker::start(&["-V"]);
    hello(broker.port);
    for op in [
        "<<- [CONNECT {\"verbose\":false}]",
        "<<- [SUB foo 1]",
        "<<- [PUB foo 5]",
        "<<- MSG_PAYLOAD: [\"hello\"]",
        "->> [MSG foo 1 5]",
        "<<- [PING]",
        "->> [PONG]",
    ] {
        let at = broker.position(op);
        let line = &broker.lines[at];
        assert!(line.contains("[TRC] 127.0.0.1:"), "{line}");
        assert!(line.contains(" - cid:"), "{line}");
        assert!(line.ends_with(op), "{line}");
    }
    signal(broker.child.id(), "INT");
    broker.end();
    assert_eq!(broker.count("[DBG]"), 0, "{:?}", broker.lines);
}

#[test]
fn debug_shows_connections_and_no_ops() {
    let mut broker = Broker::start(&["-D"]);
    hello(broker.port);
    broker.position("Client connection created");
    broker.position("Client connection closed: ");
    signal(broker.child.id(), "INT");
    broker.end();
    assert!(broker.count("[DBG]") >= 2, "{:?}", broker.lines);
    assert_eq!(broker.count("[TRC]"), 0, "{:?}", broker.lines);
    assert_eq!(broker.count("hello"), 0, "{:?}", broker.lines);
}

#[test]
fn neither_debug_nor_trace_lines_are_logged_unless_asked_for() {
    let mut broker = Broker::start(&["-DV=false"]);
    hello(broker.port);
    signal(broker.child.id(), "INT");
    broker.end();
    assert_eq!(broker.count("[DBG]"), 0, "{:?}", broker.lines);
    assert_eq!(broker.count("[TRC]"), 0, "{:?}", broker.lines);
}

#[test]
fn traced_payloads_are_cut_at_the_length_given() {
    let mut broker = Broker::start(&["-V", "-max_traced_msg_len", "3"]);
    hello(broker.port);
    broker.position("<<- MSG_PAYLOAD: [\"hel...\"]");
}

#[test]
fn the_environment_has_no_say_in_the_log() {
    let mut broker = Broker::start_in(&[], &[("RUST_LOG", "trace"), ("RUST_LOG_STYLE", "always")]);
    hello(broker.port);
    signal(broker.child.id(), "INT");
    broker.end();
    assert_eq!(broker.count("[TRC]"), 0, "{:?}", broker.lines);
    assert_eq!(broker.count("\x1b"), 0, "{:?}", broker.lines);
}

#[test]
fn passwords_are_never_logged_be_they_right_or_wrong() {
    let mut broker = Broker::start(&["-DV", "-user", "ann", "-pass", "r1ght-s3cret"]);
    check_secrets(
        &mut broker,
        "{\"verbose\":false,\"user\":\"ann\",\"pass\":\"r1ght-s3cret\"}",
        "{\"verbose\":false,\"user\":\"ann\",\"pass\":\"wr0ng-s3cret\"}",
    );
}

#[test]
fn tokens_are_never_logged_be_they_right_or_wrong() {
    let mut broker = Broker::start(&["-DV", "-auth", "r1ght-s3cret"]);
    check_secrets(
        &mut broker,
        "{\"verbose\":false,\"auth_token\":\"r1ght-s3cret\"}",
        "{\"verbose\":false, \"auth_token\" : \"wr0ng-s3cret\"}",
    );
}

/// One client with the right secret, one with a wrong one; then the whole log is searched.
fn check_secrets(broker: &mut Broker, right: &str, wrong: &str) {
    let mut welcome = Client::connect(broker.port);
    welcome.say(&format!("CONNECT {right}\r\nPING\r\n"));
    assert_eq!(welcome.until("PONG"), ["PONG"]);

    let mut refused = Client::connect(broker.port);
    refused.say(&format!("CONNECT {wrong}\r\n"));
    let answer = refused.rest();
    assert_eq!(answer, ["-ERR 'Authorization Violation'"]);

    signal(broker.child.id(), "TERM");
    broker.end();
    assert_eq!(broker.count("<<- [CONNECT "), 2, "{:?}", broker.lines);
    assert_eq!(broker.count("[REDACTED]"), 2, "{:?}", broker.lines);
    assert_eq!(broker.count("s3cret"), 0, "{:?}", broker.lines);
}

/// One conversation that is over, on both sides, when this returns.
fn hello(port: u16) {
    let mut client = Client::connect(port);
    client.say("CONNECT {\"verbose\":false}\r\nSUB foo 1\r\nPUB foo 5\r\nhello\r\nPING\r\n");
    assert_eq!(client.until("PONG"), ["MSG foo 1 5", "hello", "PONG"]);
    let shut = client.stream.get_ref().shutdown(Shutdown::Write);
    shut.expect("the connection is open");
    assert_eq!(client.rest(), Vec::<String>::new());
}
