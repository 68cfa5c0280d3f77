//! Each example is started as a program and used as its first lines say.
//!
//! `cargo test` builds the examples; their programs lie beside this one.

use midge_reactor::tls;
use midge_reactor::{Close, Context, Handler, Input, Reactor};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

/// An example that runs. It is killed when the test is over.
struct Example {
    child: Child,
    output: BufReader<ChildStdout>,
    addr: SocketAddr,
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().expect("this test is a file");
    path.pop();
    path.pop();
    path.join("examples").join(name)
}

/// Starts a server that tells on its first line where it listens.
fn start(name: &str, args: &[&str]) -> Example {
    let mut child = Command::new(program(name))
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{name}: {error}; plain `cargo test` builds it"));
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("it says something");
    // From here on its end is this one's: a program that is left behind holds the test's output open.
    let mut example = Example {
        child,
        output,
        addr: SocketAddr::from(([0, 0, 0, 0], 0)),
    };
    example.addr = line
        .trim_start_matches(|letter: char| !letter.is_ascii_digit())
        .trim_end_matches(|letter: char| !letter.is_ascii_digit())
        .parse()
        .unwrap_or_else(|_| panic!("{name} says where it listens, and not {line:?}"));
    example
}

impl Example {
    fn connect(&self) -> Visitor {
        let stream = TcpStream::connect(self.addr).expect("it listens");
        Visitor {
            lines: BufReader::new(stream),
        }
    }

    /// The next line that the program prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it prints");
        line
    }
}

/// One connection to an example.
struct Visitor {
    lines: BufReader<TcpStream>,
}

impl Visitor {
    fn say(&mut self, text: &str) {
        let stream = self.lines.get_mut();
        stream.write_all(text.as_bytes()).expect("it listens");
    }

    #[track_caller]
    fn hears(&mut self, expected: &str) {
        let mut heard = vec![0; expected.len()];
        self.lines.read_exact(&mut heard).expect("it answers");
        assert_eq!(String::from_utf8_lossy(&heard), expected);
    }

    /// All that is left until the other end closes.
    fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.lines.read_to_end(&mut rest).expect("it closes");
        rest
    }
}

#[test]
fn echo_sends_back_what_it_gets_until_quit() {
    let mut echo = start("echo", &["127.0.0.1:0"]);
    let mut visitor = echo.connect();
    assert_eq!(echo.line(), "-- someone connected to the echo server!\n");
    visitor.say("hello\n");
    visitor.hears(">>> you sent: hello\n");
    visitor.say("quit\n");
    assert_eq!(visitor.rest(), b">>> you sent: quit\n");
    let line = echo.line();
    assert!(line.starts_with("-- someone disconnected"), "{line}");
}

#[test]
fn line_echo_answers_line_by_line() {
    let echo = start("line_echo", &["127.0.0.1:0"]);
    let mut visitor = echo.connect();
    visitor.say("one\r\ntw");
    visitor.hears("you said: one\r\n");
    visitor.say("o\nquit\n");
    assert_eq!(visitor.rest(), b"you said: two\r\n");
}

#[test]
fn line_echo_loses_patience() {
    let mut echo = start("line_echo", &["127.0.0.1:0", "50"]);
    let visitor = echo.connect();
    assert_eq!(visitor.rest(), b"");
    let line = echo.line();
    assert!(line.contains("idle"), "{line}");
}

#[test]
fn http_hello_answers_each_request_of_a_pipeline() {
    let http = start("http_hello", &["127.0.0.1:0"]);
    let mut visitor = http.connect();
    visitor.say("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\n");
    visitor.say("Connection: close\r\n\r\n");
    let answers = String::from_utf8(visitor.rest()).expect("text");
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2);
    assert!(answers.ends_with("\r\n\r\nHello, world!\n"), "{answers}");
}

#[test]
fn http_hello_refuses_a_head_without_end() {
    let http = start("http_hello", &["127.0.0.1:0"]);
    let mut visitor = http.connect();
    visitor.say(&"x".repeat(20_000));
    let answer = visitor.rest();
    assert!(answer.starts_with(b"HTTP/1.1 431 "));
}

#[test]
fn http_hello_reads_past_a_body_and_refuses_what_has_two_lengths() {
    let http = start("http_hello", &["127.0.0.1:0"]);
    let mut visitor = http.connect();
    visitor.say("POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\nGET /\r\n");
    visitor.hears("HTTP/1.1 200 OK\r\n");
    visitor.say("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n");
    let answers = String::from_utf8(visitor.rest()).expect("text");
    let (hello, refusal) = answers.split_once("HTTP/1.1").expect("a second answer");
    assert!(hello.ends_with("Hello, world!\n"), "{answers}");
    assert!(refusal.starts_with(" 400 "), "{answers}");
}

#[test]
fn chat_tells_everybody_who_comes_says_and_goes() {
    let chat = start("chat", &["127.0.0.1:0"]);
    let mut ann = chat.connect();
    ann.hears("Who are you?\n");
    ann.say("ann\n");
    ann.hears("Welcome, ann; 0 here.\n");
    let mut bob = chat.connect();
    bob.hears("Who are you?\n");
    bob.say("bob\n");
    bob.hears("Welcome, bob; 1 here.\n");
    ann.hears("* bob has come\n");
    bob.say("hello\n");
    ann.hears("<bob> hello\n");
    bob.say("/quit\n");
    ann.hears("* bob has gone\n");
    assert_eq!(bob.rest(), b"");
}

#[test]
fn proxy_relays_both_directions_and_either_may_end_first() {
    let upstream = start("http_hello", &["127.0.0.1:0"]);
    let proxy = start("proxy", &["127.0.0.1:0", &upstream.addr.to_string()]);
    let mut visitor = proxy.connect();
    visitor.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    visitor.hears("HTTP/1.1 200 OK\r\n");
    let _ = visitor.lines.get_mut().shutdown(Shutdown::Write);
    assert!(visitor.rest().ends_with(b"Hello, world!\n"));
}

#[test]
fn proxy_without_an_upstream_closes() {
    // A port that was free a moment ago, and is nobody's now.
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = free.local_addr().expect("it is bound");
    drop(free);
    let proxy = start("proxy", &["127.0.0.1:0", &addr.to_string()]);
    assert_eq!(proxy.connect().rest(), b"");
}

#[test]
fn udp_beacon_says_where_it_is_and_tells_who_answers() {
    let listener = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound").to_string();
    let mut child = Command::new(program("udp_beacon"))
        .arg(&addr)
        .stdout(Stdio::piped())
        .spawn()
        .expect("plain `cargo test` builds it");
    let output = child.stdout.take().expect("it is piped");
    let mut packet = [0; 100];
    let (len, from) = listener.recv_from(&mut packet).expect("it says something");
    assert_eq!(&packet[..len], b"here I am, 1\n");
    listener.send_to(b"I see\n", from).expect("it is there");
    let (len, _) = listener.recv_from(&mut packet).expect("and again");
    assert_eq!(&packet[..len], b"here I am, 2\n");
    let mut line = String::new();
    let told = BufReader::new(output).read_line(&mut line);
    let _ = child.kill();
    let _ = child.wait();
    told.expect("it prints");
    assert_eq!(line, format!("{addr}: I see\n"));
}

#[test]
fn subprocess_lets_a_visitor_speak_with_a_command() {
    let sort = start("subprocess", &["127.0.0.1:0", "sort", "-r"]);
    let mut visitor = sort.connect();
    visitor.say("a\nc\nb\n");
    let _ = visitor.lines.get_mut().shutdown(Shutdown::Write);
    assert_eq!(visitor.rest(), b"c\nb\na\n");
}

#[test]
fn subprocess_names_a_program_that_is_not_there() {
    let mut none = start("subprocess", &["127.0.0.1:0", "/no/such/program"]);
    assert_eq!(none.connect().rest(), b"");
    let line = none.line();
    assert!(line.contains("/no/such/program"), "{line}");
}

#[test]
fn tls_echo_answers_whoever_trusts_its_certificate() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("a certificate");
    let folder = std::env::temp_dir().join(format!("tls_echo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a place for it");
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("it can be written");
        path.to_str().expect("plain letters").to_owned()
    };
    let cert = file("cert.pem", made.cert.pem());
    let key = file("key.pem", made.signing_key.serialize_pem());
    let mut echo = start("tls_echo", &["127.0.0.1:0", &cert, &key]);

    let roots = tls::roots(made.cert.pem().as_bytes()).expect("a root");
    let config = tls::client_config(roots, None).expect("a configuration");
    let addr = echo.addr;
    let mut client = Reactor::new(Vec::new()).expect("a reactor");
    client.with(|cx| {
        let name = "localhost".try_into().expect("a name");
        cx.connect_tls(addr, config, name, Caller)
    });
    client.run().expect("it runs");
    assert_eq!(client.state, b"hello");
    assert!(echo.line().starts_with("TLSv1_3"));
    let _ = std::fs::remove_dir_all(&folder);
}

/// Sends a word and stops when it has come back.
struct Caller;

impl Handler<Vec<u8>> for Caller {
    fn on_open(&mut self, cx: &mut Context<'_, Vec<u8>>) {
        cx.send(b"hello");
    }

    fn on_input(&mut self, cx: &mut Context<'_, Vec<u8>>, input: &mut Input<'_>) {
        cx.state.extend(input.take());
        if cx.state.len() >= 5 {
            cx.close();
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, Vec<u8>>, _: &Close) {
        cx.stop();
    }
}

#[test]
fn simulated_plays_a_thousand_runs() {
    let output = Command::new(program("simulated")).output();
    let output = output.expect("plain `cargo test` builds it");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "a thousand runs, and the promise was kept\n"
    );
}

#[test]
fn simulated_serves_for_real() {
    let adder = start("simulated", &["127.0.0.1:0"]);
    let mut visitor = adder.connect();
    visitor.say("2\n3\n");
    visitor.hears("2\n5\n");
    let _ = visitor.lines.get_mut().shutdown(Shutdown::Write);
    assert_eq!(visitor.rest(), b"");
}

#[test]
fn several_threads_share_one_port() {
    let example = start("per_core", &["127.0.0.1:0", "2"]);
    let mut served = [false; 2];
    // The kernel chooses by a hash of the visitor's port: soon it has chosen both.
    for _ in 0..1000 {
        let mut line = String::new();
        let mut visitor = example.connect();
        visitor.lines.read_line(&mut line).expect("it answers");
        let number = match line.trim_end() {
            line if line.starts_with("thread 0 serves you, its visitor ") => 0,
            line if line.starts_with("thread 1 serves you, its visitor ") => 1,
            _ => panic!("{line:?}"),
        };
        served[number] = true;
        if served == [true; 2] {
            return;
        }
    }
    panic!("one alone serves: {served:?}");
}
