//! `midge pub`, `sub` and `req`, as they are typed, on midge; and on the nats-server that the variable
//! `NATS_SERVER` names, if it is set.

#[path = "support/process.rs"]
mod process;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use process::{Broker, End, Quiet, end_of};

/// A broker, and its address as `--server` takes it.
struct Target {
    server: String,
    _midge: Option<Broker>,
    nats: Option<Child>,
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(child) = &mut self.nats {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn targets(flags: &[&str]) -> Vec<Target> {
    let midge = Broker::start(flags);
    let mut targets = vec![Target {
        server: format!("127.0.0.1:{}", midge.port),
        _midge: Some(midge),
        nats: None,
    }];
    if let Some(program) = std::env::var_os("NATS_SERVER") {
        let mut child = Command::new(program)
            .args(["-a", "127.0.0.1", "-p", "-1"])
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .expect("nats-server starts");
        let mut log = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let mut line = String::new();
        while !line.contains("client connections on ") {
            line.clear();
            assert!(
                log.read_line(&mut line).expect("text") > 0,
                "no nats-server"
            );
        }
        let (_, server) = line.rsplit_once(' ').expect("an address");
        targets.push(Target {
            server: server.trim().to_owned(),
            _midge: None,
            nats: Some(child),
        });
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
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
                        [2] b 0 bytes\n\n[3] b 0 bytes\n\n[4] a.c 1 bytes\nx\n";
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
        let err = "midge req: nobody answers requests on \"nobody\"\n";
        assert_eq!((end.code, end.err.as_str()), (Some(4), err));
        let silent = Subscriber::start(to, &["silent", "--count=1"]);
        let end = run("req", to, &["silent", "?", "--timeout", "50ms"]);
        assert_eq!(end.code, Some(3), "{end:?}");
        assert!(
            end.err.starts_with("midge req: nothing came within 50ms; "),
            "{end:?}"
        );
        assert_eq!(silent.end().0, Some(0));
        let end = run("sub", to, &["silent", "-t", "50ms"]);
        assert_eq!(end.code, Some(3), "{end:?}");
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
        let text = "midge pub: the broker says: Authorization Violation; give --user";
        assert!(end.err.starts_with(text), "{end:?}");
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
fn a_wrong_command_line_is_told_and_code_2() {
    for args in [
        &["pub"][..],
        &["pub", "a b", "x"],
        &["pub", "a", "x", "-H", "no header"],
        &["sub"],
        &["sub", "a", "--count", "0"],
        &["req", "a", "-t", "soon"],
        &["req", "a", "-s", "tls://h"],
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
    for command in ["pub", "sub", "req"] {
        let end = Quiet::start(&[command, "--help"], None).end();
        assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
        assert!(end.out.contains("--server"), "{end:?}");
        assert!(end.out.contains("Exit codes: "), "{end:?}");
    }
}
