//! `midge passwd` and `nkey`: what they make lets clients in, and what they are told in secret is shown nowhere.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::process::{Command, Stdio};

use crate::process::{Broker, End, end_of, scratch, signal, text};
use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};

/// Runs midge with this standard input.
fn fed(args: &[&str], input: &[u8]) -> End {
    let mut child = Command::new(env!("CARGO_BIN_EXE_midge"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("midge starts");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // One that has complained already reads nothing.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().expect("midge ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    End {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// A broker whose users are these.
fn broker(test: &str, users: &str) -> Broker {
    let file = scratch(test).join("midge.conf");
    let config = format!("authorization {{ users: [ {users} ] }}\n");
    fs::write(&file, config).expect("a file of this test");
    Broker::start(&["-c", text(&file)])
}

/// The exit code of a client that logs in with these flags.
fn login(broker: &Broker, flags: &[&str]) -> Option<i32> {
    let server = broker.addr().to_string();
    end_of(&[&["pub", "a", "x", "-s", &server], flags].concat()).code
}

#[track_caller]
fn is_hash(line: &str, cost: &str) {
    let rest = line.strip_prefix(&format!("$2a${cost}$"));
    assert_eq!(rest.map(str::len), Some(53), "{line}");
}

#[test]
fn a_client_logs_in_with_the_password_of_which_passwd_made_the_hash() {
    let longest = "x".repeat(72);
    let passwords = ["s3cret", "with blanks, ü and \"quotes\"", &longest];
    let hashes = passwords.map(|password| {
        let end = fed(
            &["passwd", "--cost", "4"],
            format!("{password}\n").as_bytes(),
        );
        assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{end:?}");
        let hash = end.out.strip_suffix('\n').expect("one line");
        is_hash(hash, "04");
        hash.to_owned()
    });
    let users: Vec<String> = (0..)
        .zip(&hashes)
        .map(|(name, hash)| format!("{{user: u{name}, password: \"{hash}\"}}"))
        .collect();
    let broker = broker("secrets/passwd", &users.join(", "));
    for (name, password) in (0..).zip(passwords) {
        let name = format!("u{name}");
        let flags = ["--user", &name, "--password", password];
        assert_eq!(login(&broker, &flags), Some(0), "{password}");
        let other = format!("{password}x");
        let flags = ["--user", &name, "--password", &other];
        assert_eq!(login(&broker, &flags), Some(1), "{other}");
    }
}

#[test]
fn a_password_that_passwd_makes_stands_above_its_hash() {
    let end = fed(&["passwd", "--generate", "--cost=4"], b"");
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{end:?}");
    let lines: Vec<&str> = end.out.lines().collect();
    let [password, hash] = lines[..] else {
        panic!("{end:?}");
    };
    assert!(password.len() >= 22, "{password}");
    is_hash(hash, "04");
    let broker = broker(
        "secrets/generate",
        &format!("{{user: ann, password: {hash}}}"),
    );
    let flags = ["--user", "ann", "--password", password];
    assert_eq!(login(&broker, &flags), Some(0));
    // The cost of nats-server's tools, unless another one is asked for.
    let end = fed(&["passwd"], b"s3cret");
    is_hash(end.out.trim_end(), "11");
}

#[test]
fn a_client_logs_in_with_the_seed_of_which_nkey_made_the_public_key() {
    let end = fed(&["nkey"], b"");
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{end:?}");
    let lines: Vec<&str> = end.out.lines().collect();
    let [seed, public] = lines[..] else {
        panic!("{end:?}");
    };
    assert!(seed.starts_with("SU") && seed.len() == 58, "{seed}");
    assert!(public.starts_with('U') && public.len() == 56, "{public}");
    let other = fed(&["nkey"], b"");
    assert_ne!(end.out, other.out);
    let directory = scratch("secrets/seeds");
    let write = |name: &str, text: &str| {
        let file = directory.join(name);
        fs::write(&file, text).expect("a file of this test");
        file
    };
    let (ours, others) = (write("ann.nk", &end.out), write("bob.nk", &other.out));
    let broker = broker("secrets/nkey", &format!("{{nkey: {public}}}"));
    assert_eq!(login(&broker, &["--nkey", text(&ours)]), Some(0));
    assert_eq!(login(&broker, &["--nkey", text(&others)]), Some(1));
    let creds = format!(
        "-----BEGIN NATS USER JWT-----\neyJ0.a.b\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    let creds = write("ann.creds", &creds);
    for (file, input) in [(text(&ours), ""), (text(&creds), ""), ("-", seed)] {
        let end = fed(&["nkey", "--public", file], input.as_bytes());
        assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{end:?}");
        assert_eq!(end.out, format!("{public}\n"), "{file}");
    }
}

#[test]
fn nkey_refuses_what_is_no_seed_and_repeats_none() {
    let seed = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";
    let public = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";
    let wrong = seed.replace("776Y", "776Z");
    for (file, input, expected) in [
        (seed, "", "midge nkey: that looks like the seed itself, "),
        (&seed[..50], "", "that looks like the seed itself, "),
        (
            "/nowhere",
            "",
            "/nowhere: no such file or directory; name a file with a seed, or - ",
        ),
        ("/", "", "/: is a directory; "),
        ("-", "", "no seed of a user: a line of 58 letters"),
        ("-", public, "no seed of a user: "),
        ("-", &wrong, "no seed of a user: "),
    ] {
        let end = fed(&["nkey", "--public", file], input.as_bytes());
        assert_eq!((end.code, end.out.as_str()), (Some(1), ""), "{end:?}");
        assert!(end.err.contains(expected), "{end:?}");
        assert!(!end.err.contains("ICAMCAKBQ"), "{end:?}");
    }
}

#[test]
fn passwd_refuses_what_no_client_could_log_in_with_and_says_what_to_do() {
    let more = "x".repeat(73);
    let much = "x".repeat(1 << 17);
    for (args, input, code, expected) in [
        (
            &[][..],
            more.as_bytes(),
            1,
            "midge passwd: the password has more than 72 bytes, ",
        ),
        (&[], much.as_bytes(), 1, "has more than 72 bytes, "),
        (
            &[],
            b"",
            1,
            "the password is empty; give one, or let --generate make one",
        ),
        (&[], b"\nsecond\n", 1, "the password is empty; "),
        (&[], b"a\tb\n", 1, "a control character"),
        (&[], b"\xff\n", 1, "not text in UTF-8"),
        (
            &["--cost", "3"],
            b"s3cret",
            2,
            "write a number from 4 to 16; ",
        ),
        (
            &["--cost", "17"],
            b"s3cret",
            2,
            "write a number from 4 to 16; ",
        ),
        (&["s3cret"], b"", 2, "unexpected argument"),
    ] {
        let end = fed(&[&["passwd"], args].concat(), input);
        assert_eq!((end.code, end.out.as_str()), (Some(code), ""), "{end:?}");
        assert!(end.err.contains(expected), "{end:?}");
    }
}

const PASSWD: [&str; 3] = ["passwd", "--cost", "4"];

/// Types at a terminal, each text once the prompt before it is there; and what the terminal has shown.
fn typed(args: &[&str], dialogue: &[(&str, &[u8])]) -> (End, Vec<u8>) {
    let terminal = openpty(None, None).expect("the system has terminals");
    let mut child = Command::new(env!("CARGO_BIN_EXE_midge"))
        .args(args)
        .stdin(Stdio::from(terminal.slave))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("midge starts");
    let mut keyboard = File::from(terminal.master);
    let mut err = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
    let mut said = String::new();
    for (prompt, keys) in dialogue {
        let mut seen = Vec::new();
        while !seen.ends_with(prompt.as_bytes()) {
            let mut byte = [0];
            err.read_exact(&mut byte).expect("it asks");
            seen.push(byte[0]);
        }
        said += std::str::from_utf8(&seen).expect("text");
        keyboard.write_all(keys).expect("it reads");
    }
    err.read_to_string(&mut said).expect("text");
    let mut out = String::new();
    let stdout = child.stdout.as_mut().expect("stdout is a pipe");
    stdout.read_to_string(&mut out).expect("text");
    let code = child.wait().expect("it ends").code();
    let flags = tcgetattr(&keyboard).expect("a terminal").local_flags;
    let usual = LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::ICANON;
    assert!(
        flags.contains(usual),
        "the terminal is as it was: {flags:?}"
    );
    // Ends in an error, since the other side is closed.
    let mut shown = Vec::new();
    let _ = keyboard.read_to_end(&mut shown);
    (
        End {
            code,
            out,
            err: said,
        },
        shown,
    )
}

#[test]
fn a_password_is_typed_twice_and_shown_nowhere() {
    // The last letter of the first one is taken back.
    let (end, shown) = typed(
        &PASSWD,
        &[
            ("Password: ", b"s3crett\x7f\n"),
            ("The same again: ", b"s3cret\n"),
        ],
    );
    assert_eq!((end.code, shown), (Some(0), Vec::new()), "{end:?}");
    let hash = end.out.trim_end();
    is_hash(hash, "04");
    let hint = format!(
        "in the configuration file: authorization {{ users: [ {{user: NAME, password: \"{hash}\"}} ] }}\n"
    );
    assert_eq!(end.err, format!("Password: \nThe same again: \n\n{hint}"));
    let broker = broker(
        "secrets/typed",
        &format!("{{user: ann, password: \"{hash}\"}}"),
    );
    let flags = ["--user", "ann", "--password", "s3cret"];
    assert_eq!(login(&broker, &flags), Some(0));
}

#[test]
fn nothing_is_made_of_two_passwords_or_after_ctrl_c() {
    for (dialogue, expected) in [
        (
            &[("Password: ", &b"one\n"[..]), ("again: ", b"two\n")][..],
            "the two are not the same; type the password again",
        ),
        (&[("Password: ", b"one\x03")], "given up; nothing is made"),
        (
            &[("Password: ", b"one\n"), ("again: ", b"\x03")],
            "given up; ",
        ),
        (&[("Password: ", b"\n")], "the password is empty; "),
    ] {
        let (end, shown) = typed(&PASSWD, dialogue);
        assert_eq!((end.code, end.out.as_str()), (Some(1), ""), "{end:?}");
        assert!(end.err.contains(expected), "{end:?}");
        assert_eq!(shown, b"");
    }
}

#[test]
fn a_seed_is_typed_and_shown_nowhere() {
    let seed = b"SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y\n";
    let (end, shown) = typed(&["nkey", "--public", "-"], &[("Seed: ", seed)]);
    let public = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK\n";
    assert_eq!(
        (end.code, end.out.as_str(), shown),
        (Some(0), public, Vec::new()),
        "{end:?}"
    );
    let (end, _) = typed(&["nkey"], &[]);
    let public = end.out.lines().nth(1).expect("the second line");
    let hint =
        format!("in the configuration file: authorization {{ users: [ {{nkey: {public}}} ] }}\n");
    assert!(end.err.contains(&hint), "{end:?}");
}

#[test]
fn a_hash_that_is_not_whole_is_told_by_a_test_at_the_start_and_by_a_reload_once() {
    let file = scratch("secrets/broken").join("midge.conf");
    let user = |hash: &str| {
        let config =
            format!("authorization {{ users: [ {{user: ann, password: \"{hash}\"}} ] }}\n");
        fs::write(&file, config).expect("a file of this test");
    };
    let hash = fed(&["passwd", "--cost", "4"], b"s3cret").out;
    let hash = hash.trim_end();
    user(hash);
    let said = "what begins as a bcrypt hash and is none lets nobody in: that of user \"ann\"; ";
    let done = end_of(&["-t", "-c", text(&file)]);
    assert!(
        done.code == Some(0) && !done.err.contains("bcrypt"),
        "{done:?}"
    );
    let mut broker = Broker::start(&["-c", text(&file)]);
    assert_eq!(broker.count("bcrypt"), 0, "{:?}", broker.lines);
    user(&hash[..59]);
    let done = end_of(&["-t", "-c", text(&file)]);
    assert!(done.code == Some(1) && done.err.contains(said), "{done:?}");
    let done = end_of(&["check", text(&file)]);
    assert!(done.code == Some(0) && done.out.contains(said), "{done:?}");
    for expected in [1, 0] {
        broker.lines.clear();
        signal(broker.child.id(), "HUP");
        broker.position("[INF] Reloaded server configuration");
        assert_eq!(broker.count(said), expected, "{:?}", broker.lines);
    }
    let mut broker = Broker::start(&["-c", text(&file)]);
    broker.position(&format!("[WRN] {said}"));
}
