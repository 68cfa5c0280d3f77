//! The log in a file and on standard error: reopened, rotated, full, not read; and its lines.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::process::{
    Broker, Client, PROTOCOL_1, Quiet, READY, files_in, scratch, signal, text, wait_for_file,
};
use crate::raw::Raw;

#[test]
fn a_log_file_that_was_renamed_is_opened_again() {
    let directory = scratch("reopen");
    let (file, old) = (directory.join("midge.log"), directory.join("midge.log.1"));
    let mut broker = Quiet::start(&["-a", "127.0.0.1", "-p", "-1", "-l", text(&file)], None);
    wait_for_file(&file, READY);
    fs::rename(&file, &old).expect("it can be renamed");
    signal(broker.child.id(), "USR1");
    wait_for_file(&file, "[INF] File log re-opened");
    let log = fs::read_to_string(&file).expect("the log is text");
    assert_eq!(log.lines().count(), 1, "{log}");
    signal(broker.child.id(), "INT");
    assert_eq!(broker.end().code, Some(0));
    let log = fs::read_to_string(&file).expect("the log is text");
    assert!(log.ends_with("[INF] Server Exiting..\n"), "{log}");
    let log = fs::read_to_string(&old).expect("the old log is there");
    assert!(log.contains(READY) && !log.contains("Exiting"), "{log}");
}

/// Makes a log of this number of connections, with files of 2000 bytes, and answers the files.
fn rotated(test: &str, more: &[&str]) -> Vec<PathBuf> {
    let directory = scratch(test);
    let file = directory.join("midge.log");
    let mut args = vec!["-a", "127.0.0.1", "-p", "-1", "-D", "-l", text(&file)];
    args.extend(["--log_size_limit", "2000"]);
    args.extend(more);
    let mut broker = Quiet::start(&args, None);
    wait_for_file(&file, READY);
    let log = fs::read_to_string(&file).expect("the log is text");
    let port = log
        .split("127.0.0.1:")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    let port = port.and_then(|port| port.parse().ok()).expect("a port");
    for _ in 0..60 {
        Raw::join(SocketAddr::from(([127, 0, 0, 1], port))).leave();
    }
    signal(broker.child.id(), "INT");
    assert_eq!(broker.end().code, Some(0));
    files_in(&directory)
}

#[test]
fn a_log_file_past_its_limit_is_renamed_and_no_line_is_lost() {
    let files = rotated("rotation", &[]);
    assert!(files.len() > 3, "{files:?}");
    let mut created = 0;
    for (number, file) in files.iter().skip(1).chain(&files[..1]).enumerate() {
        let log = fs::read_to_string(file).expect("the log is text");
        let is_open = number + 1 == files.len();
        assert!(
            is_open || (2001..2400).contains(&log.len()),
            "{}",
            log.len()
        );
        assert!(log.ends_with('\n') && !log.contains('\r'), "{log}");
        created += log.matches("Client connection created").count();
        if number > 0 {
            let before = format!("{:?}", files[number]);
            let expected = format!("[INF] Rotated log, backup saved as {before}");
            let first = log.lines().next().expect("a line");
            assert!(first.ends_with(&expected), "{first}");
        }
    }
    assert_eq!(created, 60);
}

#[test]
fn the_oldest_log_files_go_when_there_are_too_many() {
    let files = rotated("purge", &["--log_max_num", "3"]);
    assert_eq!(files.len(), 3, "{files:?}");
    let log = fs::read_to_string(&files[0]).expect("the log is text");
    let logs = log + &fs::read_to_string(&files[2]).expect("the log is text");
    assert!(
        logs.contains("[INF] Purged log file \"midge.log.2"),
        "{logs}"
    );
}

#[test]
fn json_lines_are_objects_with_the_text_and_more() {
    let mut broker = Broker::start_as(&["-D", "--log_format", "json", "--logtime_utc"]);
    let mut client = Raw::join_with(broker.addr(), PROTOCOL_1);
    client.sub("foo", None, "1");
    client.publish("foo", b"hello");
    client.sync();
    client.leave();
    let mut wrong = Raw::connect(broker.addr());
    wrong.send(b"NONSENSE\r\n");
    assert_eq!(
        wrong.line().as_deref(),
        Some("-ERR 'Unknown Protocol Operation'")
    );
    signal(broker.child.id(), "INT");
    assert_eq!(broker.end().code(), Some(0));
    let lines = broker.lines.iter();
    let lines: Vec<serde_json::Value> = lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        assert_eq!(line["pid"], broker.child.id(), "{line}");
        let time = line["time"].as_str().expect("a time");
        assert!(time.ends_with("+00:00") || time.ends_with('Z'), "{line}");
    }
    let text_of = |line: &serde_json::Value| line["msg"].as_str().map(str::to_owned);
    let mut about: Vec<_> = lines.iter().map(|line| (text_of(line), line)).collect();
    about.retain(|(text, _)| text.as_ref().is_some_and(|text| text.contains(" - cid:")));
    for (text, line) in &about {
        let text = text.as_deref().unwrap_or_default();
        let of = |name: &str| line[name].to_string().replace('"', "");
        let label = format!("{} - cid:{} - ", of("peer"), of("cid"));
        assert!(text.starts_with(&label), "{line}");
    }
    let wrong = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains("ERROR"));
    assert!(about.iter().any(|(text, _)| wrong(text)), "{about:?}");
    let end = lines.iter().find(|line| !line["reason"].is_null());
    let end = end.expect("the end of a connection");
    let told = end["msg"].as_str().expect("a text");
    assert!(told.contains(" - Client connection closed: Client Closed; \"v1.2:go:app\", open for"));
    assert_eq!(end["level"], "debug");
    assert_eq!(end["reason"], "Client Closed");
    assert_eq!(end["client"], "v1.2:go:app");
    assert_eq!((&end["in_msgs"], &end["in_bytes"]), (&1.into(), &5.into()));
    assert_eq!(
        (&end["out_msgs"], &end["out_bytes"]),
        (&1.into(), &5.into())
    );
    assert!(
        end["open_seconds"].as_f64().is_some_and(|open| open >= 0.0),
        "{end}"
    );
}

#[test]
fn who_was_refused_is_told_as_nats_server_tells_it() {
    let directory = scratch("refused");
    for (authorization, expected) in [
        (
            "users: [{user: ann, password: pw}]",
            r#" - authentication error - User "b\"ob""#,
        ),
        ("user: ann, password: pw", " - authentication error"),
        (
            r#"users: [{user: "b\"ob", password: no, allowed_connection_types: [WEBSOCKET, MQTT]}]"#,
            r#" - authentication error - User "b\"ob" may come in by WEBSOCKET, MQTT alone, and not by STANDARD"#,
        ),
    ] {
        let path = directory.join("midge.conf");
        fs::write(&path, format!("authorization {{ {authorization} }}\n"))
            .expect("the configuration is written");
        let mut broker = Broker::start(&["-c", text(&path)]);
        let mut client = Raw::connect(broker.addr());
        client.send(b"CONNECT {\"user\":\"b\\\"ob\",\"pass\":\"no\"}\r\n");
        let line = broker.position("authentication error");
        assert!(
            broker.lines[line].ends_with(expected),
            "{}",
            broker.lines[line]
        );
    }
}

#[test]
fn a_log_that_nobody_reads_loses_lines_and_the_broker_goes_on() {
    let file = scratch("full_pipe").join("midge.pid");
    let mut broker = Command::new(env!("CARGO_BIN_EXE_midge"))
        .args(["-a", "127.0.0.1", "-p", "-1", "-V", "-P", text(&file)])
        .stderr(Stdio::piped())
        .spawn()
        .expect("midge starts");
    let mut log = BufReader::new(broker.stderr.take().expect("stderr is a pipe"));
    let mut port = None;
    let mut line = String::new();
    while !line.contains(READY) {
        line.clear();
        log.read_line(&mut line).expect("the log is text");
        if let Some((_, rest)) = line.trim_end().split_once("connections on 127.0.0.1:") {
            port = rest.parse().ok();
        }
    }
    let mut client = Client::connect(port.expect("a port"));
    client.say("CONNECT {\"verbose\":false}\r\n");
    // A pipe holds 64 kB, and all of this is traced.
    let payload = "x".repeat(10_000);
    for _ in 0..100 {
        client.say(&format!("PUB foo 10000\r\n{payload}\r\nPING\r\n"));
        assert_eq!(client.until("PONG"), ["PONG"]);
    }
    // A peer that comes back is told.
    let reader = thread::spawn(move || {
        let mut told = false;
        let lines = log.lines().map_while(Result::ok);
        for line in lines {
            told |= line.contains("[WRN] ") && line.contains(" log lines were lost");
        }
        told
    });
    client.say("PING\r\n");
    assert_eq!(client.until("PONG"), ["PONG"]);
    signal(broker.id(), "INT");
    assert_eq!(broker.wait().expect("midge ends").code(), Some(0));
    assert!(reader.join().expect("the log is text"), "nothing was told");
}

#[test]
fn the_log_tells_who_knocks_by_the_first_bytes_and_never_by_a_secret() {
    let mut broker = Broker::start(&[]);
    for (said, told) in [
        (
            "GET /varz HTTP/1.1\r\n",
            r#"Client parser ERROR: Unknown Protocol Operation, proto='"GET /"...'"#,
        ),
        (
            "GET / HTTP/1.1\r\n",
            r#"Client parser ERROR: Unknown Protocol Operation, proto='"GET / HTTP/1.1"...'"#,
        ),
        (
            "POST /s3cret HTTP/1.1\r\n",
            r#"Client parser ERROR: Unknown Protocol Operation, proto='"POST /"...'"#,
        ),
        (
            "GET s3cret\r\n",
            r#"Client parser ERROR: Unknown Protocol Operation, proto='"GET"...'"#,
        ),
        (
            "SSH-2.0-OpenSSH_9.2\r\n",
            r#"Client parser ERROR: Unknown Protocol Operation, proto='"SSH-2.0-OpenSSH_"...'"#,
        ),
        (
            "\x16\x03\x01\x02\x00\x01\x00\x01",
            r#"Client parser ERROR: Unknown Protocol Operation, proto='"\x16\x03\x01"...'"#,
        ),
        (
            "CONNEKT {\"pass\":\"s3cret\"}\r\n",
            r#"Client parser ERROR: Unknown Protocol Operation, proto='"CONNEKT"...'"#,
        ),
        (
            "CONECT {\"pass\":\"s3cret\"}\r\n",
            r#"Client parser ERROR: Unknown Protocol Operation, proto='"CONECT"...'"#,
        ),
        (
            "connect{\"pass\"\"s3cret\"}\r\n",
            "Client parser ERROR: parse error in the arguments of CONNECT",
        ),
        (
            "CONECTs3cret\r\n",
            r#"Client parser ERROR: Unknown Protocol Operation, proto='"CON"...'"#,
        ),
        (
            "xCONNECTs3cret\r\n",
            r#"Client parser ERROR: Unknown Protocol Operation, proto='""...'"#,
        ),
        (
            "s3cret\r\n",
            r#"Client parser ERROR: Unknown Protocol Operation, proto='"s"...'"#,
        ),
        (
            "CONNECTs3cret\r\n",
            "Client parser ERROR: parse error in the arguments of CONNECT",
        ),
        (
            "CONNECT {\"pass\":\"s3cret\",\r\n",
            "Client parser ERROR: parse error in the arguments of CONNECT",
        ),
        (
            "CONNECT {}\r\nPUB s3cret s3cret x\r\n",
            "Client parser ERROR: parse error in the arguments of PUB",
        ),
        (
            "CONNECT {}\r\nPUB a 2\r\ns3cret\r\n",
            "Client parser ERROR: Unknown Protocol Operation, where a payload must end in CR LF",
        ),
        ("CONNECT {}\r\n-ERR 'no'\r\n", "Client Error 'no'"),
        (
            "CONNECT {}\r\nPUB a 2000000\r\n",
            "maximum payload exceeded: 2000000 vs 1048576",
        ),
        (
            &format!("CONNECT {}\r\n", "s3cret".repeat(1000)),
            "maximum control line exceeded: max_control_line 4096, in the arguments of CONNECT",
        ),
    ] {
        let mut client = Client::connect(broker.port);
        client.say(said);
        let line = format!(" - {told}");
        broker.position_of(|line_there| line_there.ends_with(&line), &line);
        drop(client);
    }
    assert_eq!(broker.count("s3cret"), 0, "{:#?}", broker.lines);
}

/// Starts midge with files of 8192 bytes at most, and answers it with its port.
fn with_small_files(pid_file: &Path, args: &[&str]) -> (Quiet, u16) {
    let ports = pid_file.parent().expect("a directory");
    let mut all = vec![
        "-a",
        "127.0.0.1",
        "-p",
        "-1",
        "--ports_file_dir",
        text(ports),
    ];
    all.extend(args);
    // In blocks of 512 bytes.
    let broker = Quiet::start(&all, Some("ulimit -f 16"));
    let file = ports.join(format!("midge_{}.ports", broker.child.id()));
    wait_for_file(&file, "nats://");
    let ports = fs::read_to_string(&file).expect("it is there");
    let port = ports.trim_end_matches("\"]}").rsplit(':').next();
    let port = port.and_then(|port| port.parse().ok()).expect("a port");
    (broker, port)
}

#[test]
fn a_log_file_that_may_grow_no_further_loses_lines_and_the_broker_goes_on() {
    let directory = scratch("file_size");
    let (file, old) = (directory.join("midge.log"), directory.join("old.log"));
    let (mut broker, port) = with_small_files(&file, &["-DV", "-l", text(&file)]);
    let mut client = Client::connect(port);
    while size_of(&file) < 8192 {
        client.say("PING\r\n");
        assert_eq!(client.until("PONG"), ["PONG"]);
    }
    // Of the next line nothing is left, nor of those behind it.
    for _ in 0..20 {
        client.say("PING\r\n");
        assert_eq!(client.until("PONG"), ["PONG"]);
    }
    fs::rename(&file, &old).expect("it can be renamed");
    signal(broker.child.id(), "USR1");
    wait_for_file(&file, "log lines were lost: file too large");
    client.say("PING\r\n");
    assert_eq!(client.until("PONG"), ["PONG"]);
    assert_eq!(size_of(&old), 8192);
    signal(broker.child.id(), "INT");
    let end = broker.end();
    assert_eq!(end.code, Some(0));
    let told = format!("Log file {}: file too large; lines are lost", text(&file));
    assert_eq!(end.err.matches(&told).count(), 1, "{}", end.err);
}

#[test]
fn standard_error_that_may_grow_no_further_loses_lines_and_the_broker_goes_on() {
    let directory = scratch("stderr_size");
    let file = directory.join("midge.log");
    let log = fs::File::create(&file).expect("a file of this test");
    let shell = "ulimit -f 16; exec \"$0\" -a 127.0.0.1 -p -1 -DV --ports_file_dir \"$1\"";
    let mut broker = Command::new("sh")
        .args(["-c", shell, env!("CARGO_BIN_EXE_midge"), text(&directory)])
        .stderr(log)
        .spawn()
        .expect("midge starts");
    wait_for_file(&file, READY);
    let log = fs::read_to_string(&file).expect("text");
    let (_, port) = log.split_once("connections on 127.0.0.1:").expect("a port");
    let port = port.lines().next().and_then(|port| port.parse().ok());
    let mut client = Client::connect(port.expect("a port"));
    while size_of(&file) < 8192 {
        client.say("PING\r\n");
        assert_eq!(client.until("PONG"), ["PONG"]);
    }
    for _ in 0..20 {
        client.say("PING\r\n");
        assert_eq!(client.until("PONG"), ["PONG"]);
    }
    signal(broker.id(), "INT");
    assert_eq!(broker.wait().expect("midge ends").code(), Some(0));
}

fn size_of(file: &Path) -> u64 {
    fs::metadata(file).expect("a file").len()
}
