//! A small broker that does one thing wrong, or none: for those who must notice.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use midge_protocol::{ClientOp, Parser, Publish, Rules, Step};

/// What it does wrong; numbers count deliveries from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mischief {
    None,
    Lose(u64),
    Double(u64),
    /// Changes the payload's byte in the middle.
    Alter(u64),
    /// Delivers under another subject.
    Misroute(u64),
    /// Never answers `PING`.
    Hang,
    /// Answers `SUB` with an error.
    Refuse,
    /// Closes the subscriber's connection in place of this delivery.
    CutOff(u64),
}

/// Runs on threads of the test, which end with their clients.
pub(crate) struct FaultyBroker {
    pub(crate) addr: String,
}

struct Shared {
    mischief: Mischief,
    subscriptions: Mutex<Subscriptions>,
}

#[derive(Default)]
struct Subscriptions {
    all: Vec<(Vec<u8>, Vec<u8>, TcpStream)>,
    delivered: u64,
}

impl FaultyBroker {
    pub(crate) fn start(mischief: Mischief) -> FaultyBroker {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let addr = listener.local_addr().expect("it is bound").to_string();
        let shared = Arc::new(Shared {
            mischief,
            subscriptions: Mutex::default(),
        });
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                // A client that goes away ends its thread, and nothing else.
                thread::spawn(move || shared.serve(stream));
            }
        });
        FaultyBroker { addr }
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.write_all(b"INFO {\"version\":\"2.10.29\",\"max_payload\":1048576}\r\n")?;
        let (mut parser, rules) = (Parser::default(), Rules::default());
        let mut input = Vec::new();
        let mut read = [0; 65536];
        loop {
            let len = stream.read(&mut read)?;
            if len == 0 {
                return Ok(());
            }
            input.extend_from_slice(&read[..len]);
            let mut at = 0;
            while let Ok(Step::Op { op, len }) = parser.next(&input[at..], &rules) {
                at += len;
                match op {
                    ClientOp::Ping if self.mischief == Mischief::Hang => {}
                    ClientOp::Ping => stream.write_all(b"PONG\r\n")?,
                    ClientOp::Subscribe { .. } if self.mischief == Mischief::Refuse => {
                        stream.write_all(b"-ERR 'no such thing'\r\n")?;
                    }
                    ClientOp::Subscribe { subject, sid, .. } => {
                        let one = (subject.to_vec(), sid.to_vec(), stream.try_clone()?);
                        self.subscriptions().all.push(one);
                    }
                    ClientOp::Publish(publish) => self.deliver(&publish)?,
                    _ => {}
                }
            }
            input.drain(..at);
        }
    }

    fn deliver(&self, publish: &Publish<'_>) -> std::io::Result<()> {
        let mut guard = self.subscriptions();
        let Subscriptions { all, delivered } = &mut *guard;
        for (subject, sid, stream) in all.iter_mut() {
            if subject != publish.subject() {
                continue;
            }
            let number = *delivered;
            *delivered += 1;
            let mut payload = publish.payload().to_vec();
            let mut named: &[u8] = publish.subject();
            let mut copies = 1;
            match self.mischief {
                Mischief::Lose(at) if at == number => copies = 0,
                Mischief::Double(at) if at == number => copies = 2,
                Mischief::Misroute(at) if at == number => named = b"other",
                Mischief::Alter(at) if at == number => {
                    let middle = payload.len() / 2;
                    payload[middle] ^= 1;
                }
                Mischief::CutOff(at) if at <= number => {
                    stream.shutdown(std::net::Shutdown::Both)?;
                    return Ok(());
                }
                _ => {}
            }
            let size = payload.len().to_string();
            let head = [b"MSG", named, sid, size.as_bytes()].join(&b' ');
            let frame = [&head, &b"\r\n"[..], &payload, b"\r\n"].concat();
            stream.write_all(&frame.repeat(copies))?;
        }
        Ok(())
    }

    fn subscriptions(&self) -> MutexGuard<'_, Subscriptions> {
        let lock = self.subscriptions.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }
}
