//! Lines go where the file says from a reload on.

use super::{Configured, DONE, is_there};
use crate::process::{PATIENCE, signal, text, wait_for_file};
use crate::syslog::{packets, patient};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;

#[test]
fn lines_go_on_in_a_new_log_and_look_as_wanted() {
    let it = Configured::start("log", "debug: false", &[]);
    let (first, second) = (
        it.file.with_file_name("first.log"),
        it.file.with_file_name("second.log"),
    );
    let reload = |it: &Configured, text: &str| {
        fs::write(&it.file, text).expect("a file of this test");
        signal(it.broker.child.id(), "HUP");
    };
    reload(
        &it,
        &format!("log_file: {:?}\ndebug: true\nlogtime: false", text(&first)),
    );
    wait_for_file(&first, "Reloaded server configuration");
    it.client_as("");
    wait_for_file(&first, "[DBG] 127.0.0.1:");
    let log = fs::read_to_string(&first).expect("the log is text");
    let pid = it.broker.child.id();
    let beginning = format!(
        "[{pid}] [INF] Reloaded: debug = true (was false)\n[{pid}] [INF] Reloaded: logtime = false (was true)\n\
         [{pid}] [INF] Reloaded: log_file = "
    );
    assert!(log.starts_with(&beginning), "{log}");
    reload(
        &it,
        &format!(
            "log_file: {:?}\nlogtime: true\nlogtime_utc: true\nlog_format: json\ntrace: true\nmax_traced_msg_len: 3",
            text(&second)
        ),
    );
    wait_for_file(&second, "Reloaded server configuration");
    let mut client = it.client_as("");
    client.say("PUB a 5\r\nhello\r\n");
    wait_for_file(&second, "hel...");
    let log = fs::read_to_string(&second).expect("the log is text");
    assert!(
        log.lines()
            .all(|line| line.starts_with("{\"time\":\"") && line.contains("+00:00\",\"level\":")),
        "{log}"
    );
    // Rotation.
    reload(
        &it,
        &format!(
            "log_file: {:?}\nlogtime: false\nlogfile_size_limit: 300\nlogfile_max_num: 2",
            text(&second)
        ),
    );
    wait_for_file(&second, "Rotated log, backup saved as");
}

#[test]
fn a_log_that_cannot_be_opened_yet_keeps_nobody_waiting() {
    let mut it = Configured::start("waiting_log", "debug: true", &[]);
    // With one connection waiting to be accepted, the next one waits for its turn.
    let path = it.file.with_file_name("syslog");
    let daemon = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let address = SockAddr::unix(&path).expect("a path of this test");
    daemon.bind(&address).expect("a path of this test");
    daemon.listen(0).expect("a listener");
    let first = UnixStream::connect(&path).expect("it listens");
    let elsewhere = format!("remote_syslog: \"unix://{}\"\ndebug: true", text(&path));
    fs::write(&it.file, elsewhere).expect("a file of this test");
    signal(it.broker.child.id(), "HUP");
    it.broker.position("[INF] Trapped \"hangup\" signal");
    let mut client = it.client_as("");
    // What is asked meanwhile is done afterwards.
    it.broker.lines.clear();
    signal(it.broker.child.id(), "HUP");
    it.broker.position("[INF] Trapped \"hangup\" signal");
    is_there(&mut client);
    drop(first);
    let _ = daemon.accept().expect("the first one");
    let (log, _) = daemon.accept().expect("the broker");
    log.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let lines = BufReader::new(log).lines().map_while(Result::ok);
    let done = lines.filter(|line| line.ends_with(": Reloaded server configuration"));
    assert_eq!(done.take(2).count(), 2);
    is_there(&mut client);
}

#[test]
fn lines_go_on_in_a_syslog_in_another_one_and_come_back() {
    let mut it = Configured::start("syslog", "debug: false", &[]);
    let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a free port"));
    let urls = sockets.each_ref().map(|socket| {
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        format!("udp://{}", socket.local_addr().expect("an address"))
    });
    let mut former = "none";
    for (socket, url) in sockets.iter().zip(&urls) {
        fs::write(&it.file, format!("remote_syslog: \"{url}\"")).expect("a file of this test");
        signal(it.broker.child.id(), "HUP");
        let receive = |buffer: &mut [u8]| patient(|| socket.recv(buffer));
        let packets = packets(receive, ": Reloaded server configuration\n");
        let told = format!(": Reloaded: remote_syslog = {url} (was {former})\n");
        assert!(packets[0].ends_with(&told), "{packets:?}");
        assert!(packets[0].starts_with("<5>"), "{packets:?}");
        assert_eq!(packets.len(), 2, "{packets:?}");
        former = url;
    }
    // What cannot be opened changes nothing: this is still told where lines went.
    fs::write(&it.file, "remote_syslog: \"foo://127.0.0.1:1\"").expect("a file of this test");
    signal(it.broker.child.id(), "HUP");
    let mut buffer = [0; 4096];
    let mut told = String::new();
    while !told.contains("Failed to reload server configuration: ") {
        match sockets[1].recv(&mut buffer) {
            Ok(len) => told = String::from_utf8_lossy(&buffer[..len]).into_owned(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{told}"),
        }
    }
    assert!(told.starts_with("<3>"), "{told}");
    assert!(
        told.contains("error invalid network type: \"foo\"; ")
            && told.ends_with("; nothing has changed\n"),
        "{told}"
    );
    is_there(&mut it.client_as(""));
    // And back to standard error, which has heard of nothing of this.
    it.broker.lines.clear();
    fs::write(&it.file, "debug: false").expect("a file of this test");
    signal(it.broker.child.id(), "HUP");
    it.broker.position(DONE);
    assert_eq!(
        it.broker
            .count("Reloaded: remote_syslog = none (was udp://"),
        1
    );
    assert_eq!(it.broker.count("foo"), 0, "{:?}", it.broker.lines);
}
