//! A simulated client: it subscribes, joins queue groups, publishes, asks for a while, stalls and
//! leaves, all by chance, and writes down what it did and what came of it. It judges nothing but the
//! bytes of a message; the rest is for `model.rs`.

use crate::framed;
use midge_protocol::{ServerOp, ServerParser, ServerStep};
use midge_reactor::{Close, Context, Handler, Input, Io, Key};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Subjects that are subscribed to, and those that are published to.
const PATTERNS: [&str; 8] = ["a.b", "a.*", "a.>", ">", "c", "*.b", "*", "d.e.f"];
const SUBJECTS: [&str; 6] = ["a.b", "a.c", "c", "d.e.f", "x.b", "a.b.c"];
const QUEUES: [&str; 2] = ["q", "r"];

const ACT: u64 = 1;
const READ_AGAIN: u64 = 2;

/// What the clients of one host share: each writes its own log.
#[derive(Debug)]
pub(crate) struct Peers {
    /// Orders what happens on all hosts, whose clocks differ.
    pub(crate) stamp: Rc<Cell<u64>>,
    pub(crate) logs: BTreeMap<u64, Log>,
}

impl Peers {
    fn stamp(&self) -> u64 {
        self.stamp.set(self.stamp.get() + 1);
        self.stamp.get()
    }
}

/// One connection, from its connect to its end.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) key: Option<Key>,
    pub(crate) echo: bool,
    /// It means harm; what it gets is of no interest.
    pub(crate) hostile: bool,
    /// The number that `INFO` gave it.
    pub(crate) cid: Option<u64>,
    pub(crate) ended: bool,
    /// The client has ended it, or its host has.
    pub(crate) left: bool,
    pub(crate) errors: Vec<String>,
    pub(crate) subscriptions: Vec<Subscribed>,
    pub(crate) published: Vec<Published>,
    pub(crate) pings_out: VecDeque<(usize, usize, u64)>,
}

#[derive(Debug)]
pub(crate) struct Subscribed {
    pub(crate) pattern: &'static str,
    pub(crate) queue: Option<&'static str>,
    pub(crate) max: Option<usize>,
    pub(crate) sent: u64,
    pub(crate) confirmed: Option<u64>,
    pub(crate) unsubscribed: Option<u64>,
    pub(crate) gone: Option<u64>,
    /// Connection and number of each message that came.
    pub(crate) got: Vec<(u64, usize)>,
}

#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) subject: &'static str,
    pub(crate) sent: u64,
    pub(crate) confirmed: Option<u64>,
}

/// What a client is like.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) broker: SocketAddr,
    /// Where it comes by WebSocket, if it does.
    pub(crate) websocket: Option<SocketAddr>,
    /// It makes a handshake of TLS when it has read `INFO`.
    pub(crate) secure: bool,
    pub(crate) acts: u32,
    pub(crate) payload_max: usize,
    pub(crate) batch_max: u64,
    pub(crate) echo: bool,
    pub(crate) stalls: bool,
    pub(crate) leaves: bool,
}

pub(crate) struct Client {
    id: u64,
    manner: Manner,
    parser: ServerParser,
}

/// Connects a client.
pub(crate) fn dial(cx: &mut Context<'_, Peers>, id: u64, manner: Manner) {
    let log = Log {
        echo: manner.echo,
        ..Log::default()
    };
    cx.state.logs.insert(id, log);
    let parser = ServerParser::default();
    let (broker, websocket) = (manner.broker, manner.websocket);
    let key = cx.connect(websocket.unwrap_or(broker), Client { id, manner, parser });
    if websocket.is_some() {
        framed::start(&mut cx.io, key, id);
    }
    log_of(cx.state, id).key = Some(key);
}

pub(crate) fn log_of(peers: &mut Peers, id: u64) -> &mut Log {
    peers.logs.get_mut(&id).expect("it was made by the connect")
}

/// Asks, and remembers what the answer will confirm.
pub(crate) fn ping(peers: &mut Peers, io: &mut Io<'_>, id: u64) {
    let stamp = peers.stamp();
    let log = log_of(peers, id);
    let key = log.key.expect("it is connected");
    if io.send(key, b"PING\r\n") {
        let so_far = (log.subscriptions.len(), log.published.len(), stamp);
        log.pings_out.push_back(so_far);
    }
}

/// An answer has come to the first question that is open.
pub(crate) fn confirm(peers: &mut Peers, id: u64) {
    let stamp = peers.stamp();
    let log = log_of(peers, id);
    let (subscriptions, published, asked) = log.pings_out.pop_front().expect("a PONG has its PING");
    for one in &mut log.subscriptions[..subscriptions] {
        one.confirmed.get_or_insert(stamp);
        if one.unsubscribed.is_some_and(|at| at < asked) {
            one.gone.get_or_insert(stamp);
        }
    }
    for one in &mut log.published[..published] {
        one.confirmed.get_or_insert(stamp);
    }
}

/// Writes down one more message of `len` bytes; answers the bytes that publish it.
pub(crate) fn publish(peers: &mut Peers, id: u64, subject: &'static str, len: usize) -> Vec<u8> {
    let sent = peers.stamp();
    let log = log_of(peers, id);
    let number = log.published.len();
    log.published.push(Published {
        subject,
        sent,
        confirmed: None,
    });
    let payload = payload(id, number, len);
    let reply = if number.is_multiple_of(2) {
        "inbox.me "
    } else {
        ""
    };
    let mut op = format!("PUB {subject} {reply}{}\r\n", payload.len()).into_bytes();
    op.extend(payload);
    op.extend(b"\r\n");
    op
}

/// The bytes of one message: who, which, and a filler that depends on both.
fn payload(id: u64, number: usize, len: usize) -> Vec<u8> {
    let mut bytes = format!("{id} {number} ").into_bytes();
    let len = len.max(bytes.len());
    let from = bytes.len();
    let sum = id.wrapping_mul(31).wrapping_add(number as u64 * 7);
    bytes.extend((from..len).map(|at| b'a' + ((sum + at as u64) % 26) as u8));
    bytes
}

impl Client {
    fn chance(cx: &mut Context<'_, Peers>, of: u64) -> bool {
        cx.io.random().is_multiple_of(of)
    }

    fn subscribe(&mut self, cx: &mut Context<'_, Peers>) {
        let pattern = PATTERNS[cx.io.random() as usize % PATTERNS.len()];
        let queue = Self::chance(cx, 3).then(|| QUEUES[cx.io.random() as usize % QUEUES.len()]);
        let max = Self::chance(cx, 5).then(|| 1 + cx.io.random() as usize % 6);
        let sent = cx.state.stamp();
        let log = log_of(cx.state, self.id);
        let sid = log.subscriptions.len();
        log.subscriptions.push(Subscribed {
            pattern,
            queue,
            max,
            sent,
            confirmed: None,
            unsubscribed: None,
            gone: None,
            got: Vec::new(),
        });
        let queue = queue.map_or(String::new(), |queue| format!("{queue} "));
        let mut line = format!("SUB {pattern} {queue}{sid}\r\n");
        if let Some(max) = max {
            line = format!("{line}UNSUB {sid} {max}\r\n");
        }
        cx.send(line.as_bytes());
    }

    fn unsubscribe(&mut self, cx: &mut Context<'_, Peers>) {
        let pick = cx.io.random() as usize;
        let stamp = cx.state.stamp();
        let log = log_of(cx.state, self.id);
        let Some(count) = log.subscriptions.len().checked_sub(1) else {
            return;
        };
        let sid = pick % (count + 1);
        if log.subscriptions[sid].unsubscribed.is_none() {
            log.subscriptions[sid].unsubscribed = Some(stamp);
            cx.send(format!("UNSUB {sid}\r\n").as_bytes());
        }
    }

    fn publish(&mut self, cx: &mut Context<'_, Peers>) {
        for _ in 0..1 + cx.io.random() % self.manner.batch_max {
            let subject = SUBJECTS[cx.io.random() as usize % SUBJECTS.len()];
            let len = cx.io.random() as usize % (self.manner.payload_max + 1);
            let len = len.min(self.manner.payload_max);
            let op = publish(cx.state, self.id, subject, len);
            cx.send(&op);
        }
    }

    fn act(&mut self, cx: &mut Context<'_, Peers>) {
        match cx.io.random() % 10 {
            0 | 1 => self.subscribe(cx),
            2 => self.unsubscribe(cx),
            3 => ping(cx.state, &mut cx.io, self.id),
            4 if self.manner.stalls => {
                cx.pause();
                let time = Duration::from_millis(cx.io.random() % 4_000);
                cx.set_timer(time, READ_AGAIN);
            }
            _ => self.publish(cx),
        }
        self.manner.acts -= 1;
        if self.manner.acts > 0 {
            let time = Duration::from_micros(cx.io.random() % 100_000);
            cx.set_timer(time, ACT);
        } else if self.manner.leaves {
            log_of(cx.state, self.id).left = true;
            cx.close_after_write();
        }
    }

    fn message(&mut self, cx: &mut Context<'_, Peers>, msg: &midge_protocol::Delivery<'_>) {
        let text = str::from_utf8(msg.payload).expect("all payloads are text");
        let mut words = text.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        let (Some(from), Some(number)) = (number(), number()) else {
            panic!("a payload that nobody has sent: {text:?}");
        };
        let number = number as usize;
        let whole = payload(from, number, msg.payload.len());
        assert_eq!(msg.payload, whole, "the bytes of {from}'s number {number}");
        let reply = number.is_multiple_of(2).then_some(&b"inbox.me"[..]);
        assert_eq!(msg.reply, reply, "the reply of {from}'s number {number}");
        let sid = str::from_utf8(msg.sid).map(str::parse::<usize>);
        let sid = sid.expect("a sid of ours").expect("a sid of ours");
        let log = log_of(cx.state, self.id);
        let subscription = log.subscriptions.get_mut(sid).expect("a sid of ours");
        assert!(
            midge_protocol::subject::matches(subscription.pattern.as_bytes(), msg.subject),
            "{} is not for {}",
            msg.subject.escape_ascii(),
            subscription.pattern
        );
        subscription.got.push((from, number));
    }

    /// Introduces itself.
    fn begin(&mut self, cx: &mut Context<'_, Peers>) {
        cx.set_timer(Duration::from_millis(1), ACT);
        let echo = self.manner.echo;
        cx.send(
            format!("CONNECT {{\"verbose\":false,\"pedantic\":false,\"echo\":{echo}}}\r\n")
                .as_bytes(),
        );
        self.subscribe(cx);
        ping(cx.state, &mut cx.io, self.id);
    }
}

impl Handler<Peers> for Client {
    fn on_open(&mut self, cx: &mut Context<'_, Peers>) {
        if !self.manner.secure {
            self.begin(cx);
        }
    }

    fn on_input(&mut self, cx: &mut Context<'_, Peers>, input: &mut Input<'_>) {
        loop {
            let step = self.parser.next(input.peek());
            let (op, len) = match step.expect("the broker speaks the protocol") {
                ServerStep::Op { op, len } => (op, len),
                ServerStep::Partial { need } => return input.need(need),
            };
            match op {
                ServerOp::Info { json } => {
                    let json: serde_json::Value = serde_json::from_slice(json).expect("JSON");
                    log_of(cx.state, self.id).cid = json["client_id"].as_u64();
                    if std::mem::take(&mut self.manner.secure) {
                        // What comes behind it is the broker's part of the handshake.
                        input.consume(len);
                        #[cfg(feature = "tls")]
                        crate::secured::start(cx);
                        return self.begin(cx);
                    }
                }
                ServerOp::Msg(msg) => self.message(cx, &msg),
                ServerOp::Ping => {
                    cx.send(b"PONG\r\n");
                }
                ServerOp::Pong => confirm(cx.state, self.id),
                ServerOp::Err { text } => {
                    let text = String::from_utf8_lossy(text).into_owned();
                    log_of(cx.state, self.id).errors.push(text);
                }
                ServerOp::Ok => panic!("nobody asked for it"),
            }
            input.consume(len);
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_, Peers>, timer: u64) {
        let key = cx.key();
        match timer {
            ACT => self.act(cx),
            _ => cx.io.resume(key),
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, Peers>, _: &Close) {
        log_of(cx.state, self.id).ended = true;
    }
}
