//! What stands around a broker that runs: systemd, addresses, the pid file and the ports file. As in the
//! files beside it, each test runs the real binary and waits for what it says or does, never for a time.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::process::{
    Broker, Client, PATIENCE, Quiet, READY, end_of, files_in, scratch, signal, text, wait_for_file,
};
use crate::raw::Raw;
use crate::syslog::patient;

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
    Raw::join(broker.addr()).leave();
    assert_eq!(
        (told(), told()),
        ("WATCHDOG=1".to_owned(), "WATCHDOG=1".to_owned())
    );
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
    assert_eq!(files_in(&directory), Vec::<PathBuf>::new());
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
    assert_eq!(files_in(&directory), Vec::<PathBuf>::new());
}

#[test]
fn the_ports_file_names_where_clients_come_by_websocket() {
    let directory = scratch("ports_websocket");
    let conf = directory.join("midge.conf");
    fs::write(
        &conf,
        "websocket { listen: \"127.0.0.1:-1\", no_tls: true }",
    )
    .expect("a file");
    let mut broker = Broker::start(&["-c", text(&conf), "--ports_file_dir", text(&directory)]);
    let at = broker.position("Listening for websocket clients on ");
    let (_, url) = broker.lines[at].rsplit_once(" on ").expect("an address");
    let file = directory.join(format!("midge_{}.ports", broker.child.id()));
    let ports = fs::read_to_string(&file).expect("it is there when the server is ready");
    let port = broker.port;
    let expected = format!("{{\"nats\":[\"nats://127.0.0.1:{port}\"],\"websocket\":[\"{url}\"]}}");
    assert_eq!(ports, expected);
    assert!(url.starts_with("ws://127.0.0.1:"), "{url}");
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
    Raw::join(broker.addr()).leave();
}
