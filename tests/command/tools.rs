//! `midge pub`, `sub`, `req`, `top` and `kick`, as they are typed, on midge; and on the nats-server that the variable
//! `NATS_SERVER` names, if it is set.

use midge_protocol::nkey::Seed;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::process::{Broker, End, Quiet, Running, end_of, scratch};

/// A broker, and its address as `--server` takes it.
struct Target {
    server: String,
    _midge: Option<Broker>,
    _nats: Option<Running>,
}

fn targets(flags: &[&str]) -> Vec<Target> {
    let midge = Broker::start(flags);
    let mut targets = vec![Target {
        server: midge.addr().to_string(),
        _midge: Some(midge),
        _nats: None,
    }];
    if let Some(program) = std::env::var_os("NATS_SERVER") {
        let mut command = Command::new(program);
        command.args(["-a", "127.0.0.1", "-p", "-1"]).args(flags);
        let mut nats = Running::start(&mut command);
        let line = nats.wait_for(&["client connections on "]);
        let (_, server) = line.trim().rsplit_once(' ').expect("an address");
        targets.push(Target {
            server: server.to_owned(),
            _midge: None,
            _nats: Some(nats),
        });
    }
    targets
}

fn run(command: &str, server: &str, args: &[&str]) -> End {
    end_of(&[&[command, "--server", server], args].concat())
}

/// A subscriber that has subscribed.
struct Subscriber {
    child: Child,
    err: BufReader<std::process::ChildStderr>,
}

impl Subscriber {
    fn start(server: &str, args: &[&str]) -> Subscriber {
        let mut child = Command::new(env!("CARGO_BIN_EXE_midge"))
            .args(["sub", "--server", server])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("midge starts");
        let mut err = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let mut line = String::new();
        err.read_line(&mut line).expect("text");
        assert!(line.starts_with("subscribed to "), "{line}");
        Subscriber { child, err }
    }

    /// Waits for its end: exit code, output, what it has complained of.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        let stdout = self.child.stdout.as_mut().expect("stdout is a pipe");
        stdout.read_to_string(&mut out).expect("text");
        self.err.read_to_string(&mut err).expect("text");
        (self.child.wait().expect("it ends").code(), out, err)
    }
}

#[test]
fn what_is_published_is_printed_by_whoever_has_subscribed() {
    for target in targets(&[]) {
        let to = target.server.as_str();
        let sub = Subscriber::start(to, &["a.*", "b", "--count", "4"]);
        let end = run(
            "pub",
            to,
            &["a.b", "hello", "-r", "answer", "-H", "Kind: greeting"],
        );
        assert_eq!((end.code, end.out.as_str()), (Some(0), ""), "{end:?}");
        assert_eq!(end.err, "1 message, 5 bytes published to a.b\n");
        let end = run("pub", to, &["b", "", "-q", "-n", "2"]);
        assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{end:?}");
        run("pub", to, &["a.c", "x"]);
        let expected = "[1] a.b 5 bytes, reply to answer\nKind: greeting\nhello\n\
                        [2] b 0 bytes\n\n[3] b 0 bytes\n\n[4] a.c 1 byte\nx\n";
        assert_eq!(sub.end(), (Some(0), expected.to_owned(), String::new()));
    }
}

#[test]
fn standard_input_is_one_message_or_a_message_a_line() {
    for target in targets(&[]) {
        let to = target.server.as_str();
        let sub = Subscriber::start(to, &["in", "--count=3", "--json"]);
        for args in [&["in"][..], &["in", "--lines"]] {
            let mut child = Command::new(env!("CARGO_BIN_EXE_midge"))
                .args(["pub", "--quiet", "-s", to])
                .args(args)
                .stdin(Stdio::piped())
                .spawn()
                .expect("midge starts");
            let mut stdin = child.stdin.take().expect("stdin is a pipe");
            stdin.write_all(b"one\ntwo\n").expect("it reads");
            drop(stdin);
            assert_eq!(child.wait().expect("it ends").code(), Some(0));
        }
        let expected = "{\"payload\":\"one\\ntwo\\n\",\"subject\":\"in\"}\n\
                        {\"payload\":\"one\",\"subject\":\"in\"}\n{\"payload\":\"two\",\"subject\":\"in\"}\n";
        assert_eq!(sub.end(), (Some(0), expected.to_owned(), String::new()));
    }
}

#[test]
fn a_request_gets_its_replies() {
    for target in targets(&[]) {
        let to = target.server.as_str();
        let answers = ["help", "--count=2", "--raw", "--answer", "yes"];
        let one = Subscriber::start(to, &answers);
        let two = Subscriber::start(to, &answers);
        let end = run("req", to, &["help", "me", "--raw"]);
        assert_eq!((end.code, end.out.as_str()), (Some(0), "yes\n"), "{end:?}");
        let end = run("req", to, &["help", "us", "--raw", "-n", "2"]);
        assert_eq!(
            (end.code, end.out.as_str()),
            (Some(0), "yes\nyes\n"),
            "{end:?}"
        );
        for sub in [one, two] {
            assert_eq!(sub.end(), (Some(0), "me\nus\n".to_owned(), String::new()));
        }
    }
}

#[test]
fn a_request_that_nobody_answers_says_why() {
    for target in targets(&[]) {
        let to = target.server.as_str();
        let end = run("req", to, &["nobody", "there"]);
        let err = "midge req: no subscriber answers requests on \"nobody\"\n";
        assert_eq!((end.code, end.err.as_str()), (Some(4), err));
        let silent = Subscriber::start(to, &["silent", "--count=1"]);
        let end = run("req", to, &["silent", "?", "--timeout", "50ms"]);
        assert_eq!(end.code, Some(3), "{end:?}");
        let err = "midge req: timeout after 50ms: no reply received; wait longer with --timeout\n";
        assert_eq!(end.err, err);
        assert_eq!(silent.end().0, Some(0));
    }
}

#[test]
fn a_subscriber_that_times_out_says_what_it_received() {
    for target in targets(&[]) {
        let to = target.server.as_str();
        let end = run("sub", to, &["silent", "--timeout", "200ms"]);
        assert_eq!(end.code, Some(3), "{end:?}");
        let err =
            "midge sub: timeout after 200ms: no message received; wait longer with --timeout\n";
        assert!(end.err.ends_with(err), "{end:?}");
    }
}

#[test]
fn a_usage_is_the_same_where_the_environment_names_a_broker() {
    for (command, usage) in [
        ("pub", "Usage: midge pub [OPTIONS] <SUBJECT> [PAYLOAD]\n"),
        ("sub", "Usage: midge sub [OPTIONS] <SUBJECTS>...\n"),
        ("req", "Usage: midge req [OPTIONS] <SUBJECT> [PAYLOAD]\n"),
    ] {
        for url in [None, Some("nats://h:1")] {
            let mut midge = Command::new(env!("CARGO_BIN_EXE_midge"));
            midge.arg(command).env_remove("NATS_URL");
            let midge = midge.envs(url.map(|url| ("NATS_URL", url)));
            let output = midge.output().expect("midge starts");
            let err = String::from_utf8_lossy(&output.stderr);
            assert!(err.contains(usage), "{err}");
        }
    }
}

#[test]
fn a_queue_group_shares() {
    for target in targets(&[]) {
        let to = target.server.as_str();
        let join = || Subscriber::start(to, &["job", "-q", "g", "-n", "1", "-r"]);
        let workers = [join(), join()];
        // The first to have one leaves, and the other has the next.
        for _ in 0..64 {
            let end = run("pub", to, &["job", "x", "-q"]);
            assert_eq!(end.code, Some(0), "{end:?}");
        }
        for worker in workers {
            assert_eq!(worker.end(), (Some(0), "x\n".to_owned(), String::new()));
        }
    }
}

#[test]
fn who_is_not_let_in_or_finds_nobody_is_told_what_to_do() {
    for target in targets(&["--user", "ann", "--pass", "s3cret"]) {
        let to = target.server.as_str();
        let end = run("pub", to, &["a", "b"]);
        assert_eq!(end.code, Some(1), "{end:?}");
        let text = "midge pub: the broker refused: Authorization Violation; give --user";
        assert!(end.err.starts_with(text), "{end:?}");
        let end = run("pub", to, &["a", "b", "--user", "ann:wrong"]);
        let text = "midge pub: the broker refused: Authorization Violation; it does not accept these credentials\n";
        assert!((end.code, end.err.as_str()) == (Some(1), text), "{end:?}");
        for args in [
            &[
                "pub",
                "a",
                "b",
                "-s",
                to,
                "--user",
                "ann",
                "--password",
                "s3cret",
            ][..],
            &["pub", "a", "b", "-s", to, "--user", "ann:s3cret"],
            &["pub", "a", "b", "-s", &format!("nats://ann:s3cret@{to}")],
        ] {
            let end = end_of(args);
            assert_eq!(end.code, Some(0), "{end:?}");
        }
    }
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = free.local_addr().expect("an address").to_string();
    drop(free);
    let end = run("sub", &nobody, &["a"]);
    let text = format!("midge sub: cannot connect to {nobody}: ");
    assert!(end.err.starts_with(&text), "{end:?}");
    assert_eq!((end.code, end.err.lines().count()), (Some(1), 1), "{end:?}");
}

#[test]
fn who_has_a_key_signs_with_it() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tools-keys");
    fs::create_dir_all(&folder).expect("a folder of this test");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file of this test");
        path.to_str().expect("text").to_owned()
    };
    let seed = Seed::of([7; 32]);
    let users = format!("authorization {{users: [{{nkey: {}}}]}}", seed.public());
    let good = write("good.nk", &format!("# a seed\n{}\n", &*seed.text()));
    let other = write("other.nk", &Seed::of([8; 32]).text());
    let none = write("none.nk", &seed.public());
    for target in targets(&["-c", &write("users.conf", &users)]) {
        let to = target.server.as_str();
        let with = |file: &str| run("pub", to, &["a", "b", "--nkey", file]);
        assert_eq!(with(&good).code, Some(0), "{:?}", with(&good));
        let end = with(&other);
        let text =
            "midge pub: the broker refused: Authorization Violation; it does not accept these";
        assert!(end.code == Some(1) && end.err.starts_with(text), "{end:?}");
        let end = with(&none);
        assert!(
            end.code == Some(2) && end.err.contains("it has no seed of a user"),
            "{end:?}"
        );
    }
    for target in targets(&[]) {
        let end = run("pub", &target.server, &["a", "b", "--nkey", &good]);
        let text = "midge pub: the broker gives nothing to sign";
        assert!(end.code == Some(1) && end.err.starts_with(text), "{end:?}");
    }
}

#[test]
fn a_wrong_command_line_is_told_and_code_2() {
    for args in [
        &["pub"][..],
        &["pub", "a b", "x"],
        &["pub", "a..b", "x"],
        &["pub", ".a", "x"],
        &["pub", "a.", "x"],
        &["pub", "a.*", "x"],
        &["pub", ">", "x"],
        &["pub", "a", "x", "--reply", "a.*"],
        &["pub", "a", "x", "--reply", "a..b"],
        &["req", "a..b", "x"],
        &["req", "a.>", "x"],
        &["sub", "a..b"],
        &["sub", "a.>.b"],
        &["sub", "a", "--queue", "g h"],
        &["sub", "a", "--timeout", "5x"],
        &["top", "--delay", "-1"],
        &["pub", "a", "x", "-H", "no header"],
        &["sub"],
        &["sub", "a", "--count", "0"],
        &["req", "a", "-t", "soon"],
        &["req", "a", "-s", "http://h"],
        &["sub", "a", "--raw", "--json"],
    ] {
        let end = end_of(args);
        assert_eq!(
            (end.code, end.out.as_str()),
            (Some(2), ""),
            "{args:?}: {end:?}"
        );
        assert!(end.err.contains("error: "), "{args:?}: {end:?}");
    }
    for (command, flag) in [
        ("pub", "--server"),
        ("sub", "--server"),
        ("req", "--server"),
        ("top", "--monitor"),
    ] {
        let end = Quiet::start(&[command, "--help"], None).end();
        assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
        assert!(end.out.contains(flag), "{end:?}");
        assert!(end.out.contains("Exit codes: "), "{end:?}");
    }
}

/// A monitoring port that counts up with each answer, and notes what it was asked. Ends after `asks`.
/// nats-server has no `/topz`.
fn monitor(asks: usize, has_topz: bool) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let answer = move || {
        let mut asked = Vec::new();
        for number in 0..asks {
            let (stream, _) = listener.accept().expect("somebody asks");
            let mut stream = BufReader::new(stream);
            let mut lines = Vec::new();
            while lines.last().is_none_or(|line: &String| line != "\r\n") {
                let mut line = String::new();
                stream.read_line(&mut line).expect("text");
                lines.push(line);
            }
            asked.push(lines[0].split(' ').nth(1).expect("a path").to_owned());
            let msgs = 1000 * (number as u64 + 1);
            let body = format!(
                "{{\"server_name\":\"east\",\"version\":\"2.10.29\",\"uptime\":\"1m2s\",\"cpu\":1.5,\
                 \"mem\":2097152,\"in_msgs\":{msgs},\"out_msgs\":0,\"connections\":[{{\"cid\":7,\
                 \"ip\":\"::1\",\"port\":5,\"name\":\"a\\u001b[2Jb\",\"out_msgs\":{msgs}}}],\"total\":9,\
                 \"subjects\":[{{\"subject\":\"a.\\u001b[2J\",\"msgs\":40,\"unrouted\":10,\
                 \"msgs_rate\":2000.0,\"bytes_rate\":1024.0}}]}}"
            );
            let head = match asked.last() {
                Some(path) if path.contains("/topz") && !has_topz => {
                    "HTTP/1.0 404 Not Found\r\n\r\n"
                }
                _ => "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n",
            };
            let stream = stream.get_mut();
            stream
                .write_all(format!("{head}{body}").as_bytes())
                .expect("it reads");
        }
        asked
    };
    (address, thread::spawn(answer))
}

#[test]
fn top_prints_samples_for_scripts() {
    let (address, asked) = monitor(6, false);
    let url = format!("http://{address}/nats");
    let args = [
        "top", "-m", &url, "-n", "2", "-d", "1ms", "-s", "msgs_to", "-l", "3",
    ];
    let end = end_of(&args);
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{end:?}");
    let connz = "/nats/connz?limit=3&sort=msgs_to";
    let topz = "/nats/topz?period=now&limit=5";
    let expected = ["/nats/varz", connz, topz, "/nats/varz", connz, topz];
    assert_eq!(asked.join().expect("it was asked"), expected);
    let heads = end
        .out
        .matches("nats-server 2.10.29, up 1m2s\nname east, ")
        .count();
    assert_eq!(heads, 2, "{end:?}");
    assert!(end.out.contains("cpu 1.5%, memory 2.0MiB, "), "{end:?}");
    assert!(
        end.out.contains("1 of 9 connections by msgs_to\n"),
        "{end:?}"
    );
    assert!(end.out.contains("in   1.0k messages, 0B\n"), "{end:?}");
    assert!(end.out.contains("in   4.0k messages, 0B; "), "{end:?}");
    assert!(!end.out.contains("now"), "{end:?}");
    let row = end.out.lines().find(|line| line.contains(" [::1]:5 "));
    let row: Vec<&str> = row.expect("a connection").split_whitespace().collect();
    assert_eq!(
        &row[..6],
        ["7", "a?[2Jb", "[::1]:5", "0B", "2.0k", "0"],
        "{end:?}"
    );
}

#[test]
fn top_tells_the_busiest_subjects_of_a_broker_that_knows_them() {
    let (address, asked) = monitor(3, true);
    let end = end_of(&["top", "-m", &address, "-n", "1"]);
    asked.join().expect("it was asked");
    let expected = "\nnow  a.?[2J: 2.0k messages and 1.0KiB per second, 25% of them unrouted\n";
    assert!(end.out.contains(expected), "{end:?}");
}

#[test]
fn top_has_json_and_says_whom_it_cannot_ask() {
    let (address, asked) = monitor(3, true);
    let end = end_of(&["top", "--monitor", &address, "-n1", "--json"]);
    assert_eq!(end.code, Some(0), "{end:?}");
    asked.join().expect("it was asked");
    let sample: serde_json::Value = serde_json::from_str(&end.out).expect("JSON");
    assert_eq!(sample["varz"]["in_msgs"], 1000);
    assert_eq!(sample["connections"][0]["cid"], 7);
    assert_eq!(sample["subjects"][0]["msgs"], 40);
    let end = end_of(&["top", "-m", &address, "-n", "1"]);
    let text = format!("midge top: cannot ask http://{address}/varz: ");
    assert!(end.err.starts_with(&text), "{end:?}");
    assert_eq!((end.code, end.out.as_str()), (Some(1), ""));
}

#[test]
fn a_time_is_a_number_of_seconds_or_has_units_in_every_flag() {
    for target in targets(&[]) {
        let to = target.server.as_str();
        for time in ["0.05", "50ms", "0.05s", ".05"] {
            let end = run("sub", to, &["silent", "-t", time]);
            assert_eq!(end.code, Some(3), "{time}: {end:?}");
            let end = run("pub", to, &["a", "x", "-q", "-n", "1k", "-t", "1m"]);
            assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{end:?}");
        }
    }
}

#[test]
fn an_inbox_is_as_short_as_those_of_clients() {
    for target in targets(&[]) {
        let to = target.server.as_str();
        let sub = Subscriber::start(
            to,
            &["_INBOX.>", "help", "--count=1", "--json", "-a", "yes"],
        );
        let end = run("req", to, &["help", "me", "--raw"]);
        assert_eq!((end.code, end.out.as_str()), (Some(0), "yes\n"), "{end:?}");
        let (_, out, _) = sub.end();
        let request: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        let reply = request["reply"].as_str().expect("it wants a reply");
        assert_eq!((&reply[..7], reply.len()), ("_INBOX.", 29), "{reply}");
    }
}

#[test]
fn an_answer_is_refused_with_words_where_nobody_can_be_reached() {
    for target in targets(&[]) {
        let to = target.server.as_str();
        let sub = Subscriber::start(to, &["help", "--count=1", "--raw", "-a", "yes"]);
        let mut raw = std::net::TcpStream::connect(to).expect("it listens");
        raw.write_all(b"CONNECT {\"verbose\":false}\r\nPUB help a.* 2\r\nme\r\n")
            .expect("it reads");
        let err = "midge sub: no answer to \"a.*\": it has no subscriber\n";
        assert_eq!(sub.end(), (Some(0), "me\n".to_owned(), err.to_owned()));
    }
}

/// What answers there says who it is, reads so many bytes, says its last words, and is gone.
fn broker_that_leaves(reads: usize, words: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        stream
            .write_all(b"INFO {\"max_payload\":1000}\r\nPONG\r\n")
            .expect("it reads");
        let mut read = vec![0; reads];
        stream.read_exact(&mut read).expect("it is sent");
        stream.write_all(words).expect("it reads");
    });
    address
}

#[test]
fn a_broker_that_says_no_or_is_gone_makes_it_fail_with_words() {
    let reading: Vec<u8> = b"line\n".repeat(1 << 20);
    for (reads, words, told) in [
        (200, &b""[..], "the broker has closed the connection"),
        (200, b"-ERR 'Nothing goes'\r\n", "the broker "),
        (1 << 20, b"-ERR 'Nothing goes'\r\n", "the broker "),
    ] {
        let to = broker_that_leaves(reads, words);
        let mut child = Command::new(env!("CARGO_BIN_EXE_midge"))
            .args(["pub", "-s", &to, "a", "--lines"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("midge starts");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        let lines = reading.clone();
        // It ends in the middle, and so does this.
        let feeding = thread::spawn(move || while stdin.write_all(&lines).is_ok() {});
        let output = child.wait_with_output().expect("it ends");
        feeding.join().expect("it has ended");
        let err = String::from_utf8_lossy(&output.stderr);
        let expected = format!("midge pub: {told}");
        assert!(err.starts_with(&expected), "{err}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    }
}

#[test]
fn a_line_is_published_when_it_is_there() {
    for target in targets(&[]) {
        let to = target.server.as_str();
        let sub = Subscriber::start(to, &["a", "--count=1", "--raw"]);
        let mut child = Command::new(env!("CARGO_BIN_EXE_midge"))
            .args(["pub", "-q", "-s", to, "a", "--lines"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("midge starts");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        stdin.write_all(b"one\n").expect("it reads");
        assert_eq!(sub.end(), (Some(0), "one\n".to_owned(), String::new()));
        drop(stdin);
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
    }
}

#[test]
fn kick_shows_whom_it_finds_and_closes_them_when_that_is_meant() {
    let folder = scratch("tools/kick");
    let file = folder.join("midge.conf");
    let text = "http: \"127.0.0.1:-1\"\nhttp_authorization {user: ann, password: \"p@ss\"}\n";
    fs::write(&file, text).expect("a file of this test");
    let file = file.to_str().expect("a path of this test");
    let mut broker = Broker::start(&["-c", file]);
    let at = broker.position("Starting http monitor on ");
    let (_, address) = broker.lines[at].rsplit_once(' ').expect("an address");
    let monitor = format!("http://ann:p@ss@{address}");
    let kick = |monitor: &str, args: &[&str]| end_of(&[&["kick", "-m", monitor], args].concat());

    let server = broker.addr().to_string();
    let client = Subscriber::start(&server, &["a"]);
    let shown = kick(&monitor, &["--all"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let (connection, rest) = shown.out.split_once('\n').expect("a line");
    assert!(connection.starts_with("cid 1 127.0.0.1:"), "{shown:?}");
    assert_eq!(rest, "1 connection would be closed; add --yes to close\n");
    let none = kick(&monitor, &["--cid", "9", "--yes"]);
    assert_eq!(none.out, "no connection matches\n", "{none:?}");
    let done = kick(&monitor, &["--cid", "1", "--reason", "too loud", "--yes"]);
    assert!(done.out.ends_with("\n1 connection closed\n"), "{done:?}");
    let (code, _, err) = client.end();
    assert_eq!(code, Some(1));
    assert!(err.contains("Kicked: too loud"), "{err}");

    let stranger = kick(address, &["--all"]);
    assert_eq!(stranger.code, Some(1));
    assert!(
        stranger.err.contains("http://user:password@host:port"),
        "{stranger:?}"
    );
    let everybody = kick(&monitor, &[]);
    assert_eq!(everybody.code, Some(2), "{everybody:?}");
}
