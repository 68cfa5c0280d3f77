//! The yardstick: what a message costs at the very least.
//!
//! ```text
//! cargo build --release && cargo bench --bench relay --no-run
//! target/release/midge bench versus --only 1-to-1 --b "target/release/deps/relay-<hash>"
//! ```
//!
//! A relay on mio that finds the subject in a hash map and copies the bytes to whoever has
//! subscribed. It speaks just as much of the protocol as a load generator needs. What a broker has
//! besides, it has not: wildcards, queue groups, limits of any kind, backpressure, checks of what
//! comes, counters, deadlines, fairness, logs. A client that breaks the protocol is dropped.

use memchr::memchr;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

const LISTENER: Token = Token(usize::MAX - 1);
const READ_BYTES: usize = 128 * 1024;

struct Client {
    stream: TcpStream,
    /// An op that is not whole yet.
    carry: Vec<u8>,
    /// What waits for the socket.
    out: Vec<u8>,
    dirty: bool,
}

/// A client and its sid.
type Subscription = (usize, Box<[u8]>);

struct Relay {
    clients: Vec<Option<Client>>,
    /// By subject.
    subscriptions: HashMap<Box<[u8]>, Vec<Subscription>>,
    dirty: Vec<usize>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let value = |flag: &str| {
        let place = args.iter().position(|arg| arg == flag)?;
        args.get(place + 1)
    };
    let (Some(host), Some(port)) = (value("-a"), value("-p")) else {
        // As `cargo test` and `cargo bench` call it.
        println!("usage: relay -a <address> -p <port>");
        return ExitCode::SUCCESS;
    };
    match format!("{host}:{port}").parse() {
        Ok(addr) => match run(addr) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("relay: {error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("relay: {host}:{port}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(addr: SocketAddr) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(128);
    let mut listener = TcpListener::bind(addr)?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut relay = Relay {
        clients: Vec::new(),
        subscriptions: HashMap::new(),
        dirty: Vec::new(),
    };
    let mut buffer = vec![0; READ_BYTES];
    let mut again = Vec::new();
    loop {
        let wait = (!again.is_empty()).then_some(std::time::Duration::ZERO);
        poll.poll(&mut events, wait)?;
        let mut ready = std::mem::take(&mut again);
        for event in &events {
            match event.token() {
                LISTENER => relay.accept(&listener, &poll)?,
                Token(id) => {
                    if event.is_writable() {
                        relay.mark(id);
                    }
                    if event.is_readable() && !ready.contains(&id) {
                        ready.push(id);
                    }
                }
            }
        }
        for id in ready {
            match relay.read(id, &mut buffer) {
                Ok(true) => again.push(id),
                Ok(false) => {}
                Err(_) => relay.clients[id] = None,
            }
        }
        relay.flush();
    }
}

impl Relay {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> io::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let id = self.clients.len();
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(id), both)?;
            let info = "INFO {\"server_id\":\"RELAY\",\"version\":\"0.0.0\",\"proto\":1,\
                        \"headers\":true,\"max_payload\":1048576}\r\n";
            self.clients.push(Some(Client {
                stream,
                carry: Vec::new(),
                out: info.into(),
                dirty: false,
            }));
            self.mark(id);
        }
    }

    fn mark(&mut self, id: usize) {
        if let Some(Some(client)) = self.clients.get_mut(id)
            && !std::mem::replace(&mut client.dirty, true)
        {
            self.dirty.push(id);
        }
    }

    /// One read; whether there may be more to come.
    fn read(&mut self, id: usize, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(Some(client)) = self.clients.get_mut(id) else {
            return Ok(false);
        };
        let carried = client.carry.len();
        let mut long = std::mem::take(&mut client.carry);
        // What is carried is mostly short; a long payload is collected in its own buffer.
        let (input, room) = if carried < READ_BYTES / 2 {
            buffer[..carried].copy_from_slice(&long);
            let room = READ_BYTES - carried;
            let len = match client.stream.read(&mut buffer[carried..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    client.carry = long;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
            (&buffer[..carried + len], len == room)
        } else {
            long.resize(carried + READ_BYTES, 0);
            let len = match client.stream.read(&mut long[carried..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            };
            long.truncate(carried + len);
            (&long[..], len == READ_BYTES)
        };
        let done = self.run(id, input)?;
        let rest = input[done..].to_vec();
        if let Some(Some(client)) = self.clients.get_mut(id) {
            client.carry = rest;
        }
        Ok(room)
    }

    /// Carries out the ops that are whole; answers how many bytes they were.
    fn run(&mut self, id: usize, input: &[u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(line_bytes) = memchr(b'\n', &input[done..]) {
            let op = &input[done..];
            let line = op[..line_bytes]
                .strip_suffix(b"\r")
                .unwrap_or(&op[..line_bytes]);
            let (name, arguments) = match memchr(b' ', line) {
                Some(blank) => (&line[..blank], &line[blank + 1..]),
                None => (line, &b""[..]),
            };
            let body = line_bytes + 1;
            match name {
                b"PUB" | b"HPUB" => {
                    let blank = memchr(b' ', arguments).ok_or(ErrorKind::InvalidData)?;
                    let size = number(arguments)?;
                    let end = body + size + 2;
                    if op.len() < end {
                        return Ok(done);
                    }
                    let tail = &op[name.len() + 1 + blank + 1..end];
                    self.publish(name.len() == 4, &arguments[..blank], tail);
                    done += end;
                    continue;
                }
                b"SUB" => {
                    let mut words = arguments.split(|&byte| byte == b' ');
                    let (subject, sid) = (words.next(), words.next_back());
                    let subject = subject.ok_or(ErrorKind::InvalidData)?;
                    let sid = sid.ok_or(ErrorKind::InvalidData)?;
                    let all = self.subscriptions.entry(subject.into()).or_default();
                    all.push((id, sid.into()));
                }
                b"PING" => {
                    if let Some(Some(client)) = self.clients.get_mut(id) {
                        client.out.extend_from_slice(b"PONG\r\n");
                    }
                    self.mark(id);
                }
                b"UNSUB" => {
                    for all in self.subscriptions.values_mut() {
                        all.retain(|(owner, sid)| *owner != id || **sid != *arguments);
                    }
                }
                _ => {}
            }
            done += body;
        }
        Ok(done)
    }

    fn publish(&mut self, header: bool, subject: &[u8], tail: &[u8]) {
        let Some(subscriptions) = self.subscriptions.get(subject) else {
            return;
        };
        for (id, sid) in subscriptions {
            let Some(Some(client)) = self.clients.get_mut(*id) else {
                continue;
            };
            let out = &mut client.out;
            out.extend_from_slice(if header { b"HMSG " } else { b"MSG " });
            out.extend_from_slice(subject);
            out.push(b' ');
            out.extend_from_slice(sid);
            out.push(b' ');
            out.extend_from_slice(tail);
            if !std::mem::replace(&mut client.dirty, true) {
                self.dirty.push(*id);
            }
        }
    }

    fn flush(&mut self) {
        for id in self.dirty.drain(..) {
            let Some(Some(client)) = self.clients.get_mut(id) else {
                continue;
            };
            client.dirty = false;
            let mut sent = 0;
            while sent < client.out.len() {
                match client.stream.write(&client.out[sent..]) {
                    Ok(len) => sent += len,
                    Err(_) => break,
                }
            }
            client.out.drain(..sent);
        }
    }
}

/// The last word of `arguments`.
fn number(arguments: &[u8]) -> io::Result<usize> {
    let digits = arguments.rsplit(|&byte| byte == b' ').next();
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| ErrorKind::InvalidData.into())
}
