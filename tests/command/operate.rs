//! What an operator touches around a broker that runs: signals, the log, files, lame duck mode. Each
//! test runs the real binary and waits for what it says or does, never for a time.

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::process::{
    Broker, Client, End, PATIENCE, Quiet, READY, end_of, scratch, signal, wait_for_file,
};
use crate::raw::Raw;
use midge_protocol::{ServerOp, encode};

/// A client that can be told of lame duck mode.
const PROTOCOL_1: &str =
    r#"{"verbose":false,"protocol":1,"name":"app","lang":"go","version":"1.2"}"#;

fn addr(broker: &Broker) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], broker.port))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of this test")
}

/// Runs the command with the flag `--signal`.
fn send(value: &str) -> End {
    end_of(&["--signal", value])
}

fn log_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
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
    Raw::join(addr(&broker)).leave();
    signal(broker.child.id(), "INT");
    assert_eq!(broker.end().code(), Some(0));
    broker.position("[INF] Trapped \"interrupt\" signal");
}

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

/// Makes a log of so many connections, with files of 2000 bytes, and answers the files.
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
    log_files(&directory)
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
fn systemd_is_told_when_clients_can_connect_and_that_the_loop_turns() {
    let path = scratch("notify").join("socket");
    let socket = UnixDatagram::bind(&path).expect("a path of this test");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let environment = [("NOTIFY_SOCKET", text(&path)), ("WATCHDOG_USEC", "10000")];
    let broker = Broker::start_in(&[], &environment);
    let told = || {
        let mut buffer = [0; 100];
        let len = patient(|| socket.recv(&mut buffer));
        String::from_utf8_lossy(&buffer[..len]).trim().to_owned()
    };
    assert_eq!(told(), "READY=1");
    Raw::join(addr(&broker)).leave();
    assert_eq!(
        (told(), told()),
        ("WATCHDOG=1".to_owned(), "WATCHDOG=1".to_owned())
    );
}

/// A read with a time limit, which is not resumed by itself when the process was stopped.
fn patient(mut read: impl FnMut() -> io::Result<usize>) -> usize {
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.expect("the broker tells"),
        }
    }
}

/// Reads packets until one contains `wanted`.
fn packets(mut receive: impl FnMut(&mut [u8]) -> usize, wanted: &str) -> Vec<String> {
    let mut packets: Vec<String> = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while packets.last().is_none_or(|packet| !packet.contains(wanted)) {
        let len = receive(&mut buffer);
        assert!(len > 0, "the end before {wanted:?}: {packets:#?}");
        let packet = String::from_utf8_lossy(&buffer[..len]);
        packets.push(packet.into_owned());
    }
    packets
}

#[test]
fn a_remote_syslog_gets_each_line_as_a_packet() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let url = format!("udp://{}", socket.local_addr().expect("an address"));
    let mut broker = Quiet::start(&["-a", "127.0.0.1", "-p", "-1", "-r", &url], None);
    let receive = |buffer: &mut [u8]| patient(|| socket.recv(buffer));
    let pid = broker.child.id();
    for packet in packets(receive, ": Server is ready\n") {
        assert!(
            packet.starts_with("<5>20") || packet.starts_with("<4>20"),
            "{packet}"
        );
        assert!(packet.contains(&format!(" midge[{pid}]: ")), "{packet}");
        assert!(
            packet.ends_with('\n') && !packet.contains("[INF]"),
            "{packet}"
        );
    }
    signal(pid, "TERM");
    packets(receive, ": Server Exiting..\n");
    let end = broker.end();
    assert_eq!((end.code, end.err.as_str()), (Some(1), ""));
}

#[test]
fn a_syslog_over_tcp_is_connected_to_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("tcp://{}", listener.local_addr().expect("an address"));
    let mut broker = Quiet::start(&["-a", "127.0.0.1", "-p", "-1", "-r", &url], None);
    let pid = broker.child.id();
    let accept = || {
        let (stream, _) = listener.accept().expect("the broker connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        BufReader::new(stream).lines().map_while(Result::ok)
    };
    let mut first = accept();
    assert!(first.any(|line| line.ends_with(": Server is ready")));
    drop(first);
    // The first line after that may still go into the old connection.
    let mut second = None;
    listener.set_nonblocking(true).expect("a listener");
    while second.is_none() {
        signal(pid, "USR1");
        match listener.accept() {
            Ok((stream, _)) => second = Some(stream),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        thread::yield_now();
    }
    let second = second.expect("a connection");
    second.set_nonblocking(false).expect("a stream");
    second.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    signal(pid, "INT");
    let mut lines = BufReader::new(second).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with(": Server Exiting..")));
    assert_eq!(broker.end().code, Some(0));
}

#[test]
fn a_line_that_no_packet_holds_is_lost_alone() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let url = format!("udp://{}", socket.local_addr().expect("an address"));
    let _broker = Quiet::start(&["-a", "127.0.0.1", "-p", "-1", "-DV", "-r", &url], None);
    let receive = |buffer: &mut [u8]| patient(|| socket.recv(buffer));
    let said = packets(receive, ": Server is ready\n");
    let mut ports = said.iter().filter_map(|packet| {
        let (_, port) = packet.split_once("client connections on 127.0.0.1:")?;
        port.trim().parse().ok()
    });
    let mut client = Client::connect(ports.next().expect("a port"));
    let payload = "x".repeat(70_000);
    client.say(&format!(
        "CONNECT {{\"verbose\":false}}\r\nPUB foo 70000\r\n{payload}\r\nSUB next 1\r\nPING\r\n"
    ));
    assert_eq!(client.until("PONG"), ["PONG"]);
    let mut told = packets(receive, "<<- [SUB next 1]");
    // The next line after the loss tells of it, whichever that is.
    let tells = |packet: &String| packet.contains(": 1 log lines were lost");
    while !told.iter().any(tells) {
        client.say("PING\r\n");
        assert_eq!(client.until("PONG"), ["PONG"]);
        told.extend(packets(receive, "<<- [PING]"));
    }
}

#[test]
fn a_syslog_over_udp_that_goes_away_and_comes_back_is_told_how_many_lines_it_missed() {
    let bind = |address: SocketAddr| {
        // A process that another test starts may hold the former socket for a moment.
        let socket = loop {
            match UdpSocket::bind(address) {
                Ok(socket) => break socket,
                Err(error) => assert_eq!(error.kind(), ErrorKind::AddrInUse),
            }
            thread::yield_now();
        };
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket
    };
    let mut socket = bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    let address = socket.local_addr().expect("an address");
    let url = format!("udp://{address}");
    let mut broker = Quiet::start(&["-a", "127.0.0.1", "-p", "-1", "-DV", "-r", &url], None);
    let said = packets(
        |buffer| patient(|| socket.recv(buffer)),
        ": Server is ready\n",
    );
    let mut ports = said.iter().filter_map(|packet| {
        let (_, port) = packet.split_once("client connections on 127.0.0.1:")?;
        port.trim().parse().ok()
    });
    let mut client = Client::connect(ports.next().expect("a port"));
    let mut ping = |times: usize| {
        for _ in 0..times {
            client.say("PING\r\n");
            client.until("PONG");
        }
    };
    ping(1);
    let mut told = Vec::new();
    // Lines are sent by a thread of their own, which may be late: then the next round loses some.
    while !told
        .iter()
        .any(|line: &String| line.contains(" log lines were lost: "))
    {
        drop(socket);
        ping(20);
        socket = bind(address);
        // The first may be lost to the refusal of one before.
        ping(3);
        told.extend(packets(
            |buffer| patient(|| socket.recv(buffer)),
            "<<- [PING]",
        ));
    }
    signal(broker.child.id(), "INT");
    packets(
        |buffer| patient(|| socket.recv(buffer)),
        ": Server Exiting..",
    );
    assert_eq!(broker.end().code, Some(0));
}

#[test]
fn a_syslog_that_goes_away_and_comes_back_is_told_how_many_lines_it_missed() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let url = format!("tcp://{address}");
    let mut broker = Quiet::start(&["-a", "127.0.0.1", "-p", "-1", "-r", &url], None);
    let pid = broker.child.id();
    let (stream, _) = listener.accept().expect("the broker connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with(": Server is ready")));
    drop((lines, listener));
    // Nobody listens: these are lost, but for what still went into the old connection.
    for _ in 0..5 {
        signal(pid, "USR1");
    }
    let listener = TcpListener::bind(address).expect("it is free again");
    listener.set_nonblocking(true).expect("a listener");
    let stream = loop {
        signal(pid, "USR1");
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        thread::yield_now();
    };
    stream.set_nonblocking(false).expect("a stream");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    // The number is told once it is known that lines arrive again.
    while !lines
        .next()
        .expect("a line")
        .contains(" log lines were lost")
    {
        signal(pid, "USR1");
    }
    signal(pid, "INT");
    let lines: Vec<String> = lines.collect();
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with(": Server Exiting..")),
        "{lines:#?}"
    );
    assert_eq!(broker.end().code, Some(0));
}

#[test]
fn a_syslog_of_this_machine_gets_short_times_and_the_facility_of_daemons() {
    let path = scratch("unix").join("log");
    let socket = UnixDatagram::bind(&path).expect("a path of this test");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let url = format!("unix://{}", text(&path));
    let broker = Quiet::start(&["-a", "127.0.0.1", "-p", "-1", "-r", &url], None);
    let receive = |buffer: &mut [u8]| patient(|| socket.recv(buffer));
    let tag = format!(" midge[{}]: ", broker.child.id());
    for packet in packets(receive, ": Server is ready\n") {
        assert!(
            packet.starts_with("<29>") || packet.starts_with("<28>"),
            "{packet}"
        );
        assert!(packet.contains(&tag), "{packet}");
    }
}

#[test]
fn a_syslog_that_is_not_there_is_named_and_fails() {
    for (url, beginning) in [
        ("foo://127.0.0.1:1", "error invalid network type: \"foo\"; "),
        ("unix:///no/such/socket", "error connecting to syslog: \""),
    ] {
        let end = end_of(&["-a", "127.0.0.1", "-p", "-1", "-r", url]);
        assert!(end.err.starts_with(beginning), "{end:?}");
        assert_eq!((end.code, end.err.lines().count()), (Some(1), 1), "{end:?}");
    }
}

#[test]
fn json_lines_are_objects_with_the_text_and_more() {
    let mut broker = Broker::start_as(&["-D", "--log_format", "json", "--logtime_utc"]);
    let mut client = Raw::join_with(addr(&broker), PROTOCOL_1);
    client.sub("foo", None, "1");
    client.publish("foo", b"hello");
    client.sync();
    client.leave();
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
    ] {
        let path = directory.join("midge.conf");
        fs::write(&path, format!("authorization {{ {authorization} }}\n"))
            .expect("the configuration is written");
        let mut broker = Broker::start(&["-c", text(&path)]);
        let mut client = Raw::connect(addr(&broker));
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
    // Whoever comes back is told.
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

#[test]
fn connections_that_were_sent_away_leave_files_for_a_reload_a_new_log_and_monitoring() {
    let directory = scratch("reserve");
    let file = |name: &str| directory.join(name);
    let (config, log) = (file("midge.conf"), file("midge.log"));
    fs::write(&config, "max_connections: 1000\n").expect("a file of this test");
    let args = [
        "-a",
        "127.0.0.1",
        "-p",
        "-1",
        "-m",
        "-1",
        "-c",
        text(&config),
        "-l",
        text(&log),
    ];
    let mut broker = Quiet::start(&args, Some("ulimit -n 64"));
    wait_for_file(&log, READY);
    let said = fs::read_to_string(&log).expect("text");
    let port = |what: &str| {
        let (_, rest) = said.split_once(what).expect(what);
        let (_, rest) = rest.split_once("127.0.0.1:").expect("an address");
        let digits = rest
            .lines()
            .next()
            .and_then(|port| port.trim().parse().ok());
        SocketAddr::from(([127, 0, 0, 1], digits.expect("a port")))
    };
    let clients = port("Listening for client connections on ");
    let monitor = port("Starting http monitor on ");
    let mut first = Client::connect(clients.port());
    // They say nothing, read nothing, and stay, on both ports.
    let connect = |addr: SocketAddr| TcpStream::connect(addr).expect("it listens");
    let mut crowd: Vec<TcpStream> = (0..100).map(|_| connect(clients)).collect();
    crowd.extend((0..100).map(|_| connect(monitor)));
    for turn in 0..5 {
        let size = 5000 + turn;
        fs::write(
            &config,
            format!("max_connections: 1000\nmax_payload: {size}\n"),
        )
        .expect("a file");
        signal(broker.child.id(), "HUP");
        wait_for_file(&log, &format!("[INF] Reloaded: max_payload = {size}"));
        wait_for_file(&log, "[INF] Reloaded server configuration");
        let old = file(&format!("old.{turn}"));
        fs::rename(&log, &old).expect("it can be renamed");
        signal(broker.child.id(), "USR1");
        wait_for_file(&log, "[INF] File log re-opened");
        let said = fs::read_to_string(&old).expect("text");
        assert!(!said.contains("too many open files"), "{said}");
        let mut http = connect(monitor);
        http.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        http.write_all(b"GET /varz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .expect("it is read");
        let mut answer = String::new();
        http.read_to_string(&mut answer).expect("an answer");
        assert!(
            answer.contains(&format!("\"max_payload\": {size}")),
            "{answer}"
        );
        // Those who are in stay in.
        first.say("PING\r\n");
        assert_eq!(first.until("PONG").last().map(String::as_str), Some("PONG"));
        crowd.extend((0..20).map(|_| connect(clients)));
        crowd.extend((0..20).map(|_| connect(monitor)));
    }
    signal(broker.child.id(), "INT");
    assert_eq!(broker.end().code, Some(0));
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

#[test]
fn a_pid_file_that_takes_nothing_is_named_and_so_is_a_reload_s() {
    let end = end_of(&["-a", "127.0.0.1", "-p", "-1", "-P", "/dev/full"]);
    assert_eq!(end.code, Some(1));
    let told =
        "Could not write pidfile: write /dev/full: no space left on device; choose another file";
    assert!(end.fatal_line().ends_with(told), "{end:?}");
    let file = scratch("pid_full").join("midge.conf");
    fs::write(&file, "debug: false").expect("a file of this test");
    let mut broker = Broker::start(&["-c", text(&file)]);
    fs::write(&file, "pid_file: /dev/full").expect("a file of this test");
    signal(broker.child.id(), "HUP");
    broker.position(&format!("[ERR] {told}"));
    // Nor does it leave a part of a ports file behind.
    let directory = scratch("ports_full");
    let limit = "ulimit -f 0";
    let args = [
        "-a",
        "127.0.0.1",
        "-p",
        "-1",
        "--ports_file_dir",
        text(&directory),
    ];
    let mut broker = Command::new("sh")
        .args([
            "-c",
            &format!("{limit}; exec \"$0\" \"$@\""),
            env!("CARGO_BIN_EXE_midge"),
        ])
        .args(args)
        .stderr(Stdio::piped())
        .spawn()
        .expect("midge starts");
    let log = BufReader::new(broker.stderr.take().expect("stderr is a pipe"));
    let mut lines = log.lines().map_while(Result::ok);
    let told = lines.find(|line| line.contains("Error writing ports file"));
    let told = told.expect("it is told");
    assert!(
        told.contains(": write ") && told.ends_with("file too large; choose another directory"),
        "{told}"
    );
    assert!(lines.any(|line| line.contains(READY)));
    assert_eq!(log_files(&directory), Vec::<PathBuf>::new());
    signal(broker.id(), "INT");
    assert_eq!(broker.wait().expect("midge ends").code(), Some(0));
}

#[test]
fn the_ports_file_names_the_addresses_and_goes_at_the_end() {
    let directory = scratch("ports");
    let mut broker = Broker::start(&["--ports_file_dir", text(&directory)]);
    let pid = broker.child.id();
    let file = directory.join(format!("midge_{pid}.ports"));
    let ports = fs::read_to_string(&file).expect("it is there when the server is ready");
    let port = broker.port;
    assert_eq!(ports, format!("{{\"nats\":[\"nats://127.0.0.1:{port}\"]}}"));
    signal(pid, "TERM");
    broker.end();
    assert_eq!(log_files(&directory), Vec::<PathBuf>::new());
}

/// What monitoring on `addr` answers to `path`.
fn ask(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).expect("monitoring listens");
    let asked = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(asked.as_bytes()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}

#[test]
fn clients_of_both_families_are_served_by_default_and_told_as_what_they_are() {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let directory = scratch("families");
    let file = directory.join("midge.conf");
    fs::write(&file, "host: \"\"\nhttp: 0.0.0.0:-1\n").expect("the folder is ours");
    for (shown, args) in [
        ("0.0.0.0", &["-m", "-1"][..]),
        ("0.0.0.0", &["-m", "-1", "--log_format", "json"]),
        ("0.0.0.0", &["-a", "0.0.0.0", "-m", "-1"]),
        ("[::]", &["-a", "::", "-m", "-1"]),
        ("0.0.0.0", &["-c", text(&file)]),
    ] {
        let more = ["-D", "--ports_file_dir", text(&directory)];
        let mut broker = Broker::start_at(shown, &[args, &more].concat());
        let pid = broker.child.id();
        let ports = directory.join(format!("midge_{pid}.ports"));
        let ports = fs::read_to_string(&ports).expect("it is there when the server is ready");
        let ports: serde_json::Value = serde_json::from_str(&ports).expect("JSON");
        for (ip, host) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
            let ip: std::net::IpAddr = ip.parse().expect("an address");
            let mut client = TcpStream::connect((ip, broker.port)).expect("it listens there");
            let mut info = String::new();
            let mut lines = BufReader::new(client.try_clone().expect("a socket"));
            lines.read_line(&mut info).expect("INFO");
            assert!(info.contains(&format!("\"client_ip\":\"{ip}\"")), "{info}");
            client
                .write_all(b"CONNECT {\"verbose\":false}\r\nPING\r\n")
                .expect("it is read");
            let mut pong = String::new();
            lines.read_line(&mut pong).expect("an answer");
            assert_eq!(pong, "PONG\r\n");
            let here = client.local_addr().expect("a socket");
            let of = |kind: &str, scheme: &str| {
                let urls = ports[kind].as_array().expect("a list");
                let urls = urls.iter().filter_map(|url| url.as_str());
                let begin = format!("{scheme}://{host}:");
                let mut ports = urls.filter_map(|url| url.strip_prefix(&begin)?.parse().ok());
                ports.next().unwrap_or_else(|| panic!("{ports:?}"))
            };
            assert_eq!(of("nats", "nats"), broker.port);
            let monitor = SocketAddr::new(ip, of("monitoring", "http"));
            let connz = ask(monitor, "/connz");
            assert!(connz.contains(&format!("\"ip\": \"{ip}\"")), "{connz}");
            drop((client, lines));
            broker.position(&format!("{here} - cid:"));
        }
        signal(pid, "TERM");
        broker.end();
        let mapped = broker.lines.iter().find(|line| line.contains("::ffff:"));
        assert_eq!(mapped, None);
    }
}

#[test]
fn a_host_that_cannot_be_found_is_named() {
    // No resolver knows a name that ends so, and where there is none that is said with the name too.
    for host in ["256.1.1.1.invalid", "no.such.host.invalid"] {
        let end = end_of(&["-a", host, "-p", "-1"]);
        assert!(
            end.err.contains(&format!("listen tcp {host}:")),
            "{}",
            end.err
        );
    }
}

#[test]
fn a_directory_for_the_ports_file_that_is_not_there_is_an_error_and_no_more() {
    let directory = scratch("no_ports").join("missing");
    let mut broker = Broker::start(&["--ports_file_dir", text(&directory)]);
    let pid = broker.child.id();
    let at = broker.position("[ERR] Error writing ports file (");
    let file = format!("{}/midge_{pid}.ports): ", text(&directory));
    assert!(broker.lines[at].contains(&file), "{:?}", broker.lines);
    Raw::join(addr(&broker)).leave();
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

/// Waits until nobody accepts connections at `addr`.
fn until_refused(addr: SocketAddr) {
    loop {
        match TcpStream::connect(addr) {
            // It came before the listener was closed.
            Ok(_) => thread::yield_now(),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            // It was waiting to be accepted when the listener was closed.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("neither accepted nor refused: {error}"),
        }
    }
}

const ENTERING: &str = "[INF] Entering lame duck mode, stop accepting new clients";

#[test]
fn a_lame_duck_without_clients_ends_at_once() {
    let mut broker = Broker::start(&[]);
    signal(broker.child.id(), "USR2");
    assert_eq!(broker.end().code(), Some(0));
    broker.position("[INF] Trapped \"user defined signal 2\" signal");
    broker.position(ENTERING);
    broker.position("[INF] Server Exiting..");
}

#[test]
fn a_lame_duck_takes_nobody_in_and_tells_those_it_has_and_ends_when_they_have_left() {
    let mut broker = Broker::start(&[]);
    let mut told = Raw::join_with(addr(&broker), PROTOCOL_1);
    let mut silent = Raw::join(addr(&broker));
    // It has not had its first PONG, before which nothing else may come.
    let mut late = Raw::connect(addr(&broker));
    late.send(format!("CONNECT {PROTOCOL_1}\r\nSUB foo 1\r\n").as_bytes());
    late.publish("foo", b"");
    assert_eq!(late.line().as_deref(), Some("MSG foo: "));
    signal(broker.child.id(), "USR2");
    broker.position(ENTERING);
    until_refused(addr(&broker));
    let is_lame_duck = |op: &ServerOp<'_>| match op {
        ServerOp::Info { json } => {
            let info: serde_json::Value = serde_json::from_slice(json).expect("JSON");
            info["ldm"] == true
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(told.next(is_lame_duck), Some(true));
    late.send(encode::PING);
    assert_eq!(late.line().as_deref(), Some("PONG"));
    assert_eq!(late.next(is_lame_duck), Some(true));
    silent.send(encode::PING);
    assert_eq!(silent.line().as_deref(), Some("PONG"));
    // They still have all they had.
    told.sub("bar", None, "1");
    told.sync();
    silent.publish("bar", b"x");
    assert_eq!(told.line().as_deref(), Some("MSG bar: x"));
    for client in [told, silent, late] {
        client.leave();
    }
    // Long before its time is over.
    assert_eq!(broker.end().code(), Some(0));
}

#[test]
fn in_lame_duck_mode_term_is_ignored_and_int_ends_it() {
    let mut broker = Broker::start(&[]);
    let mut client = Raw::join(addr(&broker));
    signal(broker.child.id(), "USR2");
    broker.position(ENTERING);
    signal(broker.child.id(), "TERM");
    broker.position("[INF] Trapped \"terminated\" signal");
    client.sync();
    signal(broker.child.id(), "USR2");
    client.sync();
    signal(broker.child.id(), "INT");
    assert_eq!(client.line(), None);
    assert_eq!(broker.end().code(), Some(0));
    assert_eq!(broker.count(ENTERING), 1, "{:?}", broker.lines);
}

const SHORT: &[&str] = &[
    "--lame_duck_duration",
    "1s",
    "--lame_duck_grace_period",
    "100ms",
];

#[test]
fn a_client_that_is_sent_away_gets_all_that_was_accepted_for_it() {
    const MESSAGES: usize = 1500;
    let mut broker = Broker::start(SHORT);
    let mut slow = Raw::join_narrow(addr(&broker));
    slow.sub("queued", None, "1");
    slow.sync();
    let mut publisher = Raw::join(addr(&broker));
    let payload = |number: usize| format!("{number:04000}");
    for number in 0..MESSAGES {
        publisher.publish("queued", payload(number).as_bytes());
    }
    publisher.sync();
    signal(broker.child.id(), "USR2");
    broker.position("[INF] Closing existing clients");
    // It reads only now.
    for number in 0..MESSAGES {
        let right = slow.message(|message| message.payload == payload(number).as_bytes());
        assert_eq!(right, Some(true), "message {number} of {MESSAGES}");
    }
    assert_eq!(slow.line(), None);
    assert_eq!(publisher.line(), None);
    drop((slow, publisher));
    assert_eq!(broker.end().code(), Some(0));
}

#[test]
fn what_a_client_sent_before_it_saw_the_end_was_accepted() {
    const CLIENTS: usize = 8;
    let mut broker = Broker::start(&[SHORT, &["-D"]].concat());
    let to = addr(&broker);
    let publishers: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = Raw::join(to);
            let local = client.stream.local_addr().expect("an address");
            let publish = move || {
                // Without a pause, until the end of the stream is there to see.
                client.stream.set_nonblocking(true).expect("a socket");
                let frame = b"PUB nobody.home 5\r\nhello\r\n".repeat(50);
                let (mut sent, mut at) = (0, 0);
                while !matches!(client.stream.peek(&mut [0]), Ok(0)) {
                    match client.stream.write(&frame[at..]) {
                        Ok(len) => at += len,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                    }
                    if at == frame.len() {
                        (sent, at) = (sent + 50, 0);
                    }
                }
                client.stream.set_nonblocking(false).expect("a socket");
                if at > 0 {
                    let rest = client.stream.write_all(&frame[at..]);
                    rest.expect("the broker reads");
                    sent += 50;
                }
                client.stream.shutdown(Shutdown::Write).expect("a socket");
                // Until the broker has read it.
                let _ = client.stream.read(&mut [0]);
                sent
            };
            (local, thread::spawn(publish))
        })
        .collect();
    signal(broker.child.id(), "USR2");
    for (local, publisher) in publishers {
        let sent = publisher.join().expect("it sees the end");
        let who = format!("{local} - cid:");
        let is_it = |line: &str| line.contains(&who) && line.contains("closed: Server Shutdown; ");
        let at = broker.position_of(is_it, &who);
        let line = &broker.lines[at];
        let counted = format!(" in {sent} messages, {} bytes,", sent * 5);
        assert!(line.contains(&counted), "{counted}: {line}");
    }
    assert_eq!(broker.end().code(), Some(0));
}
