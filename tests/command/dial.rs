//! The programs beside the broker come to it by TLS, by WebSocket and with keys.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::process::{Broker, scratch};
use midge_protocol::nkey::Seed;

/// A folder with a certificate for this machine, and another without trust.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = scratch(&format!("dial/{name}"));
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("ring makes keys");
        for (file, text) in [
            ("cert.pem", made.cert.pem()),
            ("key.pem", made.signing_key.serialize_pem()),
        ] {
            fs::write(folder.join(file), text).expect("a file of this test");
        }
        Folder(folder)
    }

    fn path(&self, file: &str) -> String {
        self.0.join(file).display().to_string()
    }

    /// A broker with this block of TLS, beside its certificate, and with other lines.
    fn broker(&self, tls: &str, rest: &str) -> Broker {
        let (cert, key) = (self.path("cert.pem"), self.path("key.pem"));
        let text =
            format!("tls {{cert_file: {cert:?}, key_file: {key:?}, timeout: 30{tls}}}\n{rest}");
        self.started(&text)
    }

    fn started(&self, text: &str) -> Broker {
        let file = self.0.join("midge.conf");
        fs::write(&file, text).expect("a file of this test");
        Broker::start(&["-c", &file.display().to_string()])
    }
}

/// Runs a line of midge, in which words are apart by blanks, in an environment without a broker's address.
fn midge(line: &str, environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_midge"))
        .args(line.split_whitespace())
        .env_remove("NATS_URL")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("midge runs")
}

#[track_caller]
fn succeeds(line: &str) {
    let output = midge(line, &[]);
    assert!(output.status.success(), "{line}: {output:?}");
}

#[track_caller]
fn fails(line: &str, code: i32, expected: &str) {
    let output = midge(line, &[]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(expected), "{line}: {output:?}");
    assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
}

/// A message published, and a load of several connections.
fn both(flags: &str) {
    succeeds(&format!("pub a x {flags}"));
    succeeds(&format!("bench fanout -n 2000 --subs 2 --size 1k {flags}"));
}

#[test]
fn tls_begins_behind_info_where_it_is_asked_or_the_broker_requires_it() {
    let folder = Folder::new("behind");
    let broker = folder.broker("", "");
    let (port, ca) = (broker.port, folder.path("cert.pem"));
    for flags in [
        format!("-s tls://localhost:{port} --tlsca {ca}"),
        format!("-s 127.0.0.1:{port} --tls --tlsca {ca}"),
        format!("-s 127.0.0.1:{port} --tlsinsecure"),
    ] {
        both(&flags);
    }
    // Those whom the system trusts are asked, and not the user.
    let line = format!("pub a x -s localhost:{port}");
    let output = midge(&line, &[("SSL_CERT_FILE", &ca)]);
    assert!(output.status.success(), "{output:?}");
    let stranger = Folder::new("behind-stranger").path("cert.pem");
    for command in ["pub a x", "bench pub -n 10"] {
        let line = format!("{command} -s tls://localhost:{port} --tlsca {stranger}");
        fails(&line, 1, "--tlsca names the authorities");
    }
    // Three hundred kibibytes, in many records.
    let line = format!("bench fanout -n 20 --size 300KiB -s tls://localhost:{port} --tlsca {ca}");
    succeeds(&line);
    for resume in ["", "--resume"] {
        let line = format!(
            "bench handshakes -n 50 --concurrency 2 --json {resume} -s tls://localhost:{port} --tlsca {ca}"
        );
        let output = midge(&line, &[]);
        assert!(output.status.success(), "{output:?}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let share = told["figures"]["resumed_share"].as_f64().expect("a share");
        // The first of each place have nothing to take up again.
        let expected = if resume.is_empty() {
            0.0..=0.0
        } else {
            0.5..=1.0
        };
        assert!(expected.contains(&share), "{told}");
    }
}

#[test]
fn tls_comes_first_where_that_is_asked_and_a_certificate_is_shown() {
    let folder = Folder::new("first");
    let ca = folder.path("cert.pem");
    let broker = folder.broker(", handshake_first: true", "");
    both(&format!(
        "-s localhost:{} --tlsfirst --tlsca {ca}",
        broker.port
    ));
    drop(broker);
    let broker = folder.broker(&format!(", verify: true, ca_file: {ca:?}"), "");
    let flags = format!("-s tls://localhost:{} --tlsca {ca}", broker.port);
    both(&format!(
        "{flags} --tlscert {ca} --tlskey {}",
        folder.path("key.pem")
    ));
    fails(&format!("pub a x {flags}"), 1, "midge pub: ");
}

#[test]
fn a_broker_in_clear_is_not_spoken_to_where_tls_is_asked() {
    let broker = Broker::start(&[]);
    for command in ["pub a x", "bench pub -n 10"] {
        let line = format!("{command} -s tls://localhost:{}", broker.port);
        fails(&line, 1, "the broker has none to offer");
        let line = format!("{command} -s ws://localhost:{}", broker.port);
        fails(&line, 1, "WebSocket: the answer is no HTTP");
    }
    let line = format!("bench handshakes -s localhost:{}", broker.port);
    fails(&line, 2, "has no handshakes");
}

#[test]
fn a_websocket_is_in_clear_or_by_tls() {
    let folder = Folder::new("websocket");
    let (cert, key) = (folder.path("cert.pem"), folder.path("key.pem"));
    for (tls, scheme, flags) in [
        ("no_tls: true".to_owned(), "ws", String::new()),
        (
            format!("tls {{cert_file: {cert:?}, key_file: {key:?}}}"),
            "wss",
            format!("--tlsca {cert}"),
        ),
    ] {
        let text = format!("websocket {{host: \"127.0.0.1\", port: -1, {tls}}}\n");
        let mut broker = folder.started(&text);
        let at = broker.position("Listening for websocket clients on ");
        let (_, port) = broker.lines[at].rsplit_once(':').expect("an address");
        both(&format!("-s {scheme}://localhost:{port}/any {flags}"));
        let line =
            format!("bench fanout -n 20 --size 300KiB -s {scheme}://localhost:{port} {flags}");
        succeeds(&line);
    }
}

#[test]
fn messages_of_a_websocket_are_compressed_where_that_is_asked_and_the_broker_agrees() {
    let folder = Folder::new("compressed");
    for compression in [true, false] {
        let text = format!(
            "websocket {{host: \"127.0.0.1\", port: -1, no_tls: true, compression: {compression}}}\n"
        );
        let mut broker = folder.started(&text);
        let at = broker.position("Listening for websocket clients on ");
        let (_, port) = broker.lines[at].rsplit_once(':').expect("an address");
        let flags = format!("-s ws://localhost:{port} --ws-compression");
        if compression {
            both(&flags);
            succeeds(&format!("bench fanout -n 20 --size 300KiB {flags}"));
        } else {
            for command in ["pub a x", "bench pub -n 10"] {
                fails(
                    &format!("{command} {flags}"),
                    1,
                    "the broker does not compress messages; set compression: true",
                );
            }
        }
    }
}

#[test]
fn a_unix_socket_is_a_place_where_a_broker_is() {
    let folder = Folder::new("unix");
    // The system has room for a hundred bytes of a path, and this directory may have more.
    let path = |name| {
        let file = format!("midge-{name}-{}.sock", std::process::id());
        std::env::temp_dir().join(file).display().to_string()
    };
    let (plain, secret) = (path("plain"), path("secret"));
    let (cert, key) = (folder.path("cert.pem"), folder.path("key.pem"));
    let _broker = folder.started(&format!(
        "listeners {{
           plain {{listen: \"unix:{plain}\"}}
           secret {{listen: \"unix:{secret}\", tls {{cert_file: {cert:?}, key_file: {key:?}}}}}
         }}\n"
    ));
    both(&format!("-s unix:{plain}"));
    both(&format!("-s unix://{plain}"));
    both(&format!("-s unix:{secret} --tlsca {cert}"));
    let url = format!("unix:{plain}");
    for line in ["pub a x", "bench pub -n 10", "bench idle --conns 20"] {
        let output = midge(line, &[("NATS_URL", &url)]);
        assert!(output.status.success(), "{line}: {output:?}");
    }
    fails(
        &format!("req nobody x -s unix:{plain}"),
        4,
        "no subscriber answers",
    );
    for command in ["pub a x", "sub a", "req a x", "bench pub -n 10"] {
        for (path, expected) in [
            ("/nowhere/m.sock", "there is no socket at this path"),
            (&cert, "what stands there is no socket"),
        ] {
            let line = format!("{command} -s unix:{path}");
            fails(
                &line,
                1,
                &format!("cannot connect to unix:{path}: {expected}"),
            );
        }
    }
}

#[test]
fn a_key_signs_what_the_broker_gives() {
    let folder = Folder::new("key");
    let seed = Seed::of([7; 32]);
    let file = folder.path("user.nk");
    fs::write(&file, seed.text().as_bytes()).expect("a file of this test");
    let users = format!("authorization {{users: [{{nkey: {}}}]}}\n", seed.public());
    let broker = folder.started(&users);
    both(&format!("-s localhost:{} --nkey {file}", broker.port));
    for command in ["pub a x", "bench pub -n 10"] {
        let line = format!("{command} -s localhost:{}", broker.port);
        fails(&line, 1, "uthorization");
    }
    drop(broker);
    let broker = folder.broker("", &users);
    let ca = folder.path("cert.pem");
    both(&format!(
        "-s tls://localhost:{} --tlsca {ca} --nkey {file}",
        broker.port
    ));
}

#[test]
fn monitoring_is_watched_by_https_with_a_password() {
    let folder = Folder::new("monitoring");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = free.expect("a port is free").port();
    let rest = format!(
        "https: \"127.0.0.1:{port}\"\nhttp_authorization {{user: ann, password: s3cret}}\n"
    );
    let _broker = folder.broker("", &rest);
    let ca = folder.path("cert.pem");
    succeeds(&format!(
        "top -n 1 -m https://ann:s3cret@localhost:{port} --tlsca {ca}"
    ));
    let place = format!("https://ann:s3cret@localhost:{port}");
    let line = format!("top -n 1 --tlsca {ca}");
    let output = midge(&line, &[("MIDGE_MONITOR", &place)]);
    assert!(output.status.success(), "{output:?}");
    fails(
        &format!("top -n 1 -m {place}"),
        1,
        "--tlsca names the authorities",
    );
    succeeds(&format!("kick --all -m {place} --tlsca {ca}"));
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let folder = Folder::new("files");
    let broker = folder.broker("", "");
    assert!(!Path::new("/nowhere").exists());
    for command in ["pub a x", "bench pub -n 10"] {
        let line = format!("{command} -s localhost:{} --tlsca /nowhere", broker.port);
        fails(&line, 1, "--tlsca /nowhere: ");
    }
}
