//! Clients that break no rule and mean harm. What they publish stands in their logs, as that of the
//! others does, so that the model says who must get it; what comes to themselves they throw away.

use crate::client::{self, Log, Peers, log_of};
use midge_protocol::{ServerOp, ServerParser, ServerStep};
use midge_reactor::{Close, Context, Handler, Input};
use std::net::SocketAddr;
use std::time::Duration;

const ACT: u64 = 1;
const READ_AGAIN: u64 = 2;

/// More than any of them asks for, and less than the broker's limit on subscriptions.
const HOARD: usize = 250;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Wildcards that nearly match what it publishes.
    NearMatches,
    /// Subscribes to all, and reads a little from time to time: behind, and moving.
    Sips,
    /// Publishes much.
    Storms,
    /// Subscribes to very much, and vanishes.
    Hoards,
    /// Subscribes and gives up, as fast as it can.
    Floods,
    /// Asks, and reads no answer.
    NeverReads,
}

pub(crate) const KINDS: [Kind; 6] = [
    Kind::NearMatches,
    Kind::Sips,
    Kind::Storms,
    Kind::Hoards,
    Kind::Floods,
    Kind::NeverReads,
];

struct Hostile {
    id: u64,
    kind: Kind,
    acts: u64,
    payload_max: usize,
    parser: ServerParser,
}

/// Connects one, which does so many things and vanishes.
pub(crate) fn dial(
    cx: &mut Context<'_, Peers>,
    id: u64,
    (kind, acts): (Kind, u64),
    payload_max: usize,
    broker: SocketAddr,
) {
    let log = Log {
        echo: true,
        hostile: true,
        ..Log::default()
    };
    cx.state.logs.insert(id, log);
    let hostile = Hostile {
        id,
        kind,
        acts,
        payload_max,
        parser: ServerParser::default(),
    };
    let key = cx.connect(broker, hostile);
    log_of(cx.state, id).key = Some(key);
}

impl Hostile {
    /// What it is subscribed to from the start.
    fn subscriptions(&self) -> String {
        match self.kind {
            Kind::NearMatches => {
                let line = |number: usize| {
                    let token = |at: usize| ["a.", "*."][number >> at & 1];
                    let tokens: String = (0..5).map(token).collect();
                    format!("SUB {tokens}z {number}\r\n")
                };
                (0..32).map(line).collect()
            }
            Kind::Sips => "SUB > 1\r\nSUB a.* 2\r\nSUB c behind 3\r\n".to_owned(),
            Kind::Storms => String::new(),
            Kind::Hoards => {
                let line = |sid| format!("SUB h.{sid}.b.*.d.e.f.g.h.> {sid}\r\n");
                (1..HOARD).map(line).collect::<String>() + "SUB a.> 0\r\n"
            }
            Kind::Floods => "SUB a.b 1\r\n".to_owned(),
            Kind::NeverReads => "SUB inbox.me 1\r\nSUB a.> 2\r\nSUB > 3\r\n".to_owned(),
        }
    }

    fn act(&mut self, cx: &mut Context<'_, Peers>) {
        match self.kind {
            Kind::NearMatches => (0..5).for_each(|_| self.publish(cx, "a.a.a.a.a.y")),
            Kind::Sips | Kind::Hoards => {}
            Kind::Storms => {
                for _ in 0..20 {
                    let subject = ["a.b", "c", "d.e.f", "x.b"][cx.io.random() as usize % 4];
                    self.publish(cx, subject);
                }
            }
            Kind::Floods => {
                let pair = |sid| format!("SUB a.* f{sid}\r\nUNSUB f{sid}\r\n");
                cx.send((0..60).map(pair).collect::<String>().as_bytes());
            }
            Kind::NeverReads => (0..10).for_each(|_| self.publish(cx, "not.served")),
        }
        self.acts -= 1;
        if self.acts > 0 {
            let time = Duration::from_micros(cx.io.random() % 100_000);
            cx.set_timer(time, ACT);
        } else {
            log_of(cx.state, self.id).left = true;
            cx.close();
        }
    }

    fn publish(&mut self, cx: &mut Context<'_, Peers>, subject: &'static str) {
        let len = cx.io.random() as usize % (self.payload_max + 1);
        let op = client::publish(cx.state, self.id, subject, len.min(self.payload_max));
        cx.send(&op);
    }
}

impl Handler<Peers> for Hostile {
    fn on_open(&mut self, cx: &mut Context<'_, Peers>) {
        cx.send(b"CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n");
        cx.send(self.subscriptions().as_bytes());
        client::ping(cx.state, &mut cx.io, self.id);
        cx.set_timer(Duration::from_millis(1), ACT);
        if self.kind == Kind::Sips {
            cx.set_interval(Duration::from_millis(50), READ_AGAIN);
        }
    }

    fn on_input(&mut self, cx: &mut Context<'_, Peers>, input: &mut Input<'_>) {
        loop {
            let step = self.parser.next(input.peek());
            let (op, len) = match step.expect("the broker speaks the protocol") {
                ServerStep::Op { op, len } => (op, len),
                ServerStep::Partial { need } => {
                    input.need(need);
                    break;
                }
            };
            match op {
                ServerOp::Info { json } => {
                    let json: serde_json::Value = serde_json::from_slice(json).expect("JSON");
                    log_of(cx.state, self.id).cid = json["client_id"].as_u64();
                }
                ServerOp::Pong => client::confirm(cx.state, self.id),
                ServerOp::Ping => {
                    cx.send(b"PONG\r\n");
                }
                ServerOp::Err { text } => {
                    let text = String::from_utf8_lossy(text).into_owned();
                    log_of(cx.state, self.id).errors.push(text);
                }
                ServerOp::Msg(_) | ServerOp::Ok => {}
            }
            input.consume(len);
        }
        // From the greeting on, which gives the number that its end is told under.
        let is_greeted = log_of(cx.state, self.id).cid.is_some();
        if is_greeted && matches!(self.kind, Kind::Sips | Kind::NeverReads) {
            cx.pause();
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
