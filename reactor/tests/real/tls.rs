//! TLS over the system's sockets, against rustls in a thread and against OpenSSL.
//!
//! OpenSSL's command comes in the system package `openssl`.

use crate::certificates::{Authority, NAME, name};
use crate::server::{Cx, Server, Told, patient};
use midge_reactor::tls::{self, ClientCerts, Identity, KeyError, Tls, TlsInfo};
use midge_reactor::{Close, Handler, Input, Reactor};
use rustls::{ClientConnection, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self};
use std::thread::{self};

/// Serves every connection with what `make` makes, and TLS from the first byte.
fn serve<H: Handler<Told> + 'static>(
    tls: Tls,
    mut make: impl FnMut() -> H + Send + 'static,
) -> Server {
    Server::run(move |cx| {
        let accept = move |_: &mut Cx<'_>| make();
        cx.listen_tls_with("127.0.0.1:0", &Default::default(), tls, accept)
    })
}

/// Sends back what comes, and tells of the handshake and the end.
#[derive(Default)]
struct Echo {
    /// Answers `STARTTLS` in plaintext, then begins.
    upgrades: Option<Tls>,
    most_queued: usize,
}

impl Handler<Told> for Echo {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        if self.upgrades.is_some() {
            cx.send(b"INFO {}\r\n");
        }
    }

    fn on_tls(&mut self, cx: &mut Cx<'_>, info: &TlsInfo) {
        let alpn = info.alpn.as_deref().map(String::from_utf8_lossy);
        let _ = cx.state.send(format!(
            "{:?} {:?} {alpn:?} {} certificates",
            info.version,
            info.server_name,
            info.peer_certificates.len()
        ));
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        const WORD: &[u8] = b"STARTTLS\r\n";
        if let Some(tls) = self.upgrades.take() {
            if !input.peek().starts_with(WORD) {
                self.upgrades = Some(tls);
                return;
            }
            input.consume(WORD.len());
            cx.send(b"+OK\r\n");
            cx.start_tls(tls).expect("it is open");
            cx.send(b"secret ");
            return;
        }
        cx.send(input.take());
        self.most_queued = self.most_queued.max(cx.queued());
        if cx.io.congested(cx.key()) {
            cx.pause();
        }
    }

    fn on_drain(&mut self, cx: &mut Cx<'_>) {
        let key = cx.key();
        cx.io.resume(key);
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        assert!(self.most_queued <= 2 << 20, "{} queued", self.most_queued);
        // The test may have gone.
        let _ = cx.state.send(format!("close: {why}"));
    }
}

fn client(authority: &Authority) -> ClientConnection {
    ClientConnection::new(authority.client(), name()).expect("all is in order")
}

#[test]
fn an_independent_client_is_echoed_and_ends_in_good_order() {
    let authority = Authority::new();
    let server = serve(Tls::server(authority.server()), Echo::default);
    let mut stream = StreamOwned::new(client(&authority), server.connect());
    stream.write_all(b"hello").expect("it is read");
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).expect("it is sent back");
    assert_eq!(&heard, b"hello");
    stream.conn.send_close_notify();
    stream.flush().expect("it is read");
    assert_eq!(stream.read(&mut heard).expect("a close_notify comes"), 0);
    drop(stream);
    assert_eq!(
        server.told(),
        format!("TLSv1_3 Some({NAME:?}) None 0 certificates")
    );
    assert_eq!(server.told(), "close: closed by the peer");
    server.stop();
}

#[test]
fn a_client_that_leaves_without_close_notify_is_told_as_truncation() {
    let authority = Authority::new();
    let server = serve(Tls::server(authority.server()), Echo::default);
    let mut stream = StreamOwned::new(client(&authority), server.connect());
    stream.write_all(b"hello").expect("it is read");
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).expect("it is sent back");
    let (_, socket) = stream.into_parts();
    socket
        .shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    server.told();
    assert_eq!(
        server.told(),
        "close: TLS: the peer ended without close_notify"
    );
    server.stop();
}

#[test]
fn an_upgrade_takes_a_client_hello_that_comes_behind_the_plaintext() {
    let authority = Authority::new();
    let tls = Tls::server(authority.server());
    let server = Server::start(move || Echo {
        upgrades: Some(tls.clone()),
        ..Echo::default()
    });
    let mut socket = server.connect();
    let mut conn = client(&authority);
    // The line and the beginning of the handshake in one write.
    let mut first = b"STARTTLS\r\n".to_vec();
    conn.write_tls(&mut first).expect("a vector takes all");
    socket.write_all(&first).expect("it is read");
    let mut plain = [0; 14];
    socket.read_exact(&mut plain).expect("it is sent");
    assert_eq!(&plain, b"INFO {}\r\n+OK\r\n");
    let mut stream = StreamOwned::new(conn, socket);
    stream.write_all(b"hello").expect("it is read");
    let mut heard = [0; 12];
    stream.read_exact(&mut heard).expect("it is sent back");
    assert_eq!(&heard, b"secret hello");
    drop(stream);
    server.stop();
}

#[test]
fn sixteen_mebibytes_go_both_ways_with_a_bounded_queue_past_a_client_that_reads_late() {
    const LEN: usize = 16 << 20;
    let authority = Authority::new();
    let server = serve(Tls::server(authority.server()), Echo::default);
    let mut stream = StreamOwned::new(client(&authority), server.connect());
    let pattern: Vec<u8> = (0..LEN)
        .map(|at| (at.wrapping_mul(31) >> 3) as u8)
        .collect();
    // A megabyte is sent before each is read: the server has to hold back, and to go on.
    let mut heard = vec![0; LEN];
    const STEP: usize = 1 << 20;
    for (piece, back) in pattern.chunks(STEP).zip(heard.chunks_mut(STEP)) {
        stream.write_all(piece).expect("it is read");
        stream.read_exact(back).expect("it is sent back");
    }
    assert!(heard == pattern);
    drop(stream);
    server.stop();
}

/// Dials with TLS, sends, and tells what comes back.
struct Caller(Vec<u8>);

impl Handler<Told> for Caller {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        cx.send(b"hello\n");
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.0.extend(input.take());
        if self.0.ends_with(b"\n") {
            let heard = String::from_utf8_lossy(&self.0).trim().to_owned();
            let _ = cx.state.send(heard);
            cx.close_after_write();
        }
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        let _ = cx.state.send(format!("close: {why}"));
        cx.stop();
    }
}

/// Calls `addr` from a reactor of its own; answers what the caller tells.
fn call(authority: &Authority, addr: SocketAddr) -> Vec<String> {
    let (tell, told) = mpsc::channel();
    let config = authority.client();
    let mut reactor = Reactor::new(tell).expect("there is a selector");
    reactor.with(|cx| cx.connect_tls(addr, config, name(), Caller(Vec::new())));
    reactor.run().expect("polling does not fail");
    drop(reactor);
    told.iter().collect()
}

#[test]
fn a_client_speaks_to_an_independent_server() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("it is bound");
    let config = authority.server();
    let server = thread::spawn(move || {
        let (socket, _) = listener.accept().expect("the test connects");
        let conn = ServerConnection::new(config).expect("all is in order");
        let mut stream = StreamOwned::new(conn, patient(socket));
        let mut line = [0; 6];
        stream.read_exact(&mut line).expect("it is sent");
        stream.write_all(&line).expect("it is read");
        // Both ends say so: the client's is read here, and dropping sends ours.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("a close_notify comes");
        rest
    });
    assert_eq!(call(&authority, addr), ["hello", "close: closed"]);
    assert!(server.join().expect("it does not panic").is_empty());
}

/// A folder with the PEM files of a test, and what runs in it.
struct Files(PathBuf);

impl Files {
    fn new(authority: &Authority, test: &str) -> Files {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
        std::fs::create_dir_all(&folder).expect("there is room");
        let files = Files(folder);
        // OpenSSL 3.0 does not read Ed25519 keys that carry their public half, as these would.
        let paper = authority.paper_of(&rcgen::PKCS_ECDSA_P256_SHA256, NAME, 2500);
        files.write("ca.pem", &authority.pem);
        files.write("cert.pem", &paper.certificate);
        files.write("key.pem", &paper.key);
        files
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("there is room");
    }

    fn openssl(&self, words: &str) -> Child {
        let _turn = crate::forking();
        Command::new("openssl")
            .args(words.split_whitespace())
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command openssl, of the system package openssl")
    }
}

/// Whether there is an OpenSSL to talk to. Where everything is to be tried, there must be.
fn openssl_is_there() -> bool {
    let _turn = crate::forking();
    let is_there = Command::new("openssl").arg("version").output().is_ok();
    assert!(
        is_there || std::env::var_os("CI").is_none(),
        "the command openssl is missing: install the system package openssl"
    );
    if !is_there {
        eprintln!("not tried: there is no command openssl");
    }
    is_there
}

fn lines(child: &mut Child) -> BufReader<ChildStdout> {
    BufReader::new(child.stdout.take().expect("it is piped"))
}

#[test]
fn openssl_as_a_client_is_echoed_with_alpn_and_a_client_certificate() {
    if !openssl_is_there() {
        return;
    }
    let authority = Authority::new();
    let files = Files::new(&authority, "openssl_client");
    let config = tls::server_config_with(
        authority.paper(NAME).identity(),
        &ClientCerts::Required(Arc::new(authority.roots())),
        rustls::DEFAULT_VERSIONS,
        &[b"nats"],
    );
    for (version, shown) in [("-tls1_2", "TLSv1_2"), ("-tls1_3", "TLSv1_3")] {
        let tls = Tls::server(config.clone().expect("all is in order"));
        let server = serve(tls, Echo::default);
        let mut child = files.openssl(&format!(
            "s_client -connect {} -servername {NAME} -verify_hostname {NAME} -CAfile ca.pem \
             -verify_return_error -cert cert.pem -key key.pem -alpn h2,nats -quiet {version}",
            server.addr
        ));
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(b"hello\n").expect("it reads");
        let mut line = String::new();
        lines(&mut child).read_line(&mut line).expect("it is text");
        assert_eq!(line, "hello\n");
        drop(stdin);
        let told = format!("{shown} Some({NAME:?}) Some(\"nats\") 2 certificates");
        assert_eq!(server.told(), told);
        server.stop();
        child.wait().expect("it ends with its connection");
    }
}

#[test]
fn openssl_as_a_server_sends_back_what_a_client_sends() {
    if !openssl_is_there() {
        return;
    }
    let authority = Authority::new();
    let files = Files::new(&authority, "openssl_server");
    let mut child =
        files.openssl("s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem -rev -naccept 1");
    let mut out = lines(&mut child);
    // It tells the port it was given.
    let addr = loop {
        let mut line = String::new();
        assert!(
            out.read_line(&mut line).expect("it is text") > 0,
            "it has ended"
        );
        if let Some(addr) = line.trim().strip_prefix("ACCEPT ") {
            break addr.parse().expect("an address");
        }
    };
    let told = call(&authority, addr);
    assert_eq!(told[0], "olleh");
    drop(child.stdin.take());
    // It has served the one connection it was to serve.
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("it is text");
    child.wait().expect("it ends with its connection");
}

#[test]
fn bad_missing_or_contradictory_keys_are_refused_before_any_handshake() {
    let authority = Authority::new();
    let (paper, other) = (authority.paper(NAME), authority.paper("other"));
    let read = |certificate: &str, key: &str| {
        Identity::from_pem(certificate.as_bytes(), key.as_bytes())
            .map(drop)
            .map_err(|error| error.to_string())
    };
    assert_eq!(read(&paper.certificate, &paper.key), Ok(()));
    let refused = |certificate: &str, key: &str, why: &str| {
        let error = read(certificate, key).expect_err(why);
        assert!(error.contains(why), "{error}, wanted {why}");
    };
    refused("", &paper.key, "no certificate");
    refused(&paper.key, &paper.key, "no certificate");
    refused(&paper.certificate, "", "no private key");
    refused(&paper.certificate, &paper.certificate, "no private key");
    refused(
        &paper.certificate,
        &other.key,
        "not that of the certificate",
    );
    let two = format!("{}{}", paper.key, other.key);
    refused(&paper.certificate, &two, "more than one");
    let encrypted = paper.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    refused(&paper.certificate, &encrypted, "encrypted");
    let cut = &paper.key[..paper.key.len() / 2];
    refused(&paper.certificate, cut, "malformed");
    let garbled = paper.key.replacen("KEY-----\n", "KEY-----\n!!", 1);
    refused(&paper.certificate, &garbled, "malformed");
    let missing = Identity::from_files("no/such/cert.pem", "no/such/key.pem");
    assert!(matches!(missing, Err(KeyError::File(path, _)) if path == "no/such/cert.pem"));
}

/// Consumes nothing, and may leave a thousand bytes.
struct Hoard;

impl Handler<Told> for Hoard {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        let key = cx.key();
        cx.io.input_max(key, 1000);
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        let _ = cx.state.send(format!("{} unread", input.len()));
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        // The test may have gone.
        let _ = cx.state.send(format!("close: {why}"));
    }
}

#[test]
fn a_handler_that_leaves_too_much_plaintext_unread_is_closed_and_tells_so() {
    let authority = Authority::new();
    let server = serve(Tls::server(authority.server()), || Hoard);
    let mut stream = StreamOwned::new(client(&authority), server.connect());
    stream.write_all(&[b'x'; 1000]).expect("it is read");
    assert_eq!(server.told(), "1000 unread");
    stream.write_all(b"x").expect("it is read");
    assert_eq!(server.told(), "1001 unread");
    assert_eq!(server.told(), "close: too many bytes left unread");
    server.stop();
}
