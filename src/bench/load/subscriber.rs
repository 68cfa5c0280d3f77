//! Receives and checks.

use midge_reactor::{Close, Context, Handler, Input};

use super::board::{Checked, Event};
use super::hello;
use super::thread::Shard;
use crate::bench::check::{Aside, Receiver};

/// All has been published: ask for the broker's last word. Sent by the measuring thread.
pub(crate) const FINISH: u64 = 1;

/// One connection that subscribes.
#[derive(Debug)]
pub(crate) struct Subscriber {
    number: usize,
    who: String,
    hello: String,
    /// `None` once the result has been handed over.
    receiver: Option<Receiver>,
    joined: bool,
    finishing: bool,
    heard: Vec<Aside>,
}

impl Subscriber {
    pub(crate) fn new(number: usize, receiver: Receiver, hello: &str) -> Subscriber {
        Subscriber {
            number,
            who: format!("subscriber {number}"),
            hello: format!("{hello}PING\r\n"),
            receiver: Some(receiver),
            joined: false,
            finishing: false,
            heard: Vec::new(),
        }
    }

    fn pong(&mut self, cx: &mut Context<'_, Shard>) {
        if !self.joined {
            self.joined = true;
            cx.state.board.tell(Event::Ready);
        } else if self.finishing
            && let Some(receiver) = self.receiver.take()
        {
            cx.state.board.tell(Event::Checked(Checked {
                subscriber: self.number,
                received: receiver.received(),
                next: receiver.next().to_vec(),
                seen: receiver.into_seen(),
            }));
        }
    }
}

impl Handler<Shard> for Subscriber {
    fn on_open(&mut self, cx: &mut Context<'_, Shard>) {
        cx.send(self.hello.as_bytes());
    }

    fn on_input(&mut self, cx: &mut Context<'_, Shard>, input: &mut Input<'_>) {
        let Some(receiver) = &mut self.receiver else {
            input.take();
            return;
        };
        let heard = &mut self.heard;
        match receiver.feed(input.peek(), |aside| heard.push(aside), |_| {}) {
            Ok((len, need)) => {
                input.consume(len);
                input.need(need);
                cx.state.board.received[self.number].set(receiver.received());
            }
            Err(fault) => {
                cx.state.board.tell(Event::Failed(fault));
                cx.close();
                return;
            }
        }
        for aside in std::mem::take(&mut self.heard) {
            if hello::common(cx, &self.who, aside) {
                self.pong(cx);
            }
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_, Shard>, timer: u64) {
        if timer == FINISH && !self.finishing {
            self.finishing = true;
            cx.send(b"PING\r\n");
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, Shard>, why: &Close) {
        let received = self.receiver.as_ref().map_or(0, Receiver::received);
        hello::ended(cx, &self.who, received, why);
    }
}
