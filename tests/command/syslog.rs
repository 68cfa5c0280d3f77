//! Lines that go to a syslog: of this machine, over UDP and over TCP.

use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::thread;

use crate::process::{Client, PATIENCE, Quiet, end_of, scratch, signal, text};

/// A read with a time limit, which is not resumed by itself when the process was stopped.
pub(crate) fn patient(mut read: impl FnMut() -> io::Result<usize>) -> usize {
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.expect("the broker tells"),
        }
    }
}

/// Reads packets until one contains `wanted`.
pub(crate) fn packets(mut receive: impl FnMut(&mut [u8]) -> usize, wanted: &str) -> Vec<String> {
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
    // There is no listener: these are lost, but for what still went into the old connection.
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
