//! A connection that has subscriptions and hears nothing.

use midge_reactor::{Close, Context, Handler, Input};

use super::hello;
use super::thread::{self, Shard};

/// One connection that does nothing.
#[derive(Debug)]
pub(crate) struct Idler {
    who: &'static str,
    hello: String,
    joined: bool,
}

impl Idler {
    /// Says `hello`, which holds its subscriptions.
    pub(crate) fn new(who: &'static str, hello: &str) -> Idler {
        Idler {
            who,
            hello: format!("{hello}PING\r\n"),
            joined: false,
        }
    }
}

impl Handler<Shard> for Idler {
    fn on_open(&mut self, cx: &mut Context<'_, Shard>) {
        cx.send(std::mem::take(&mut self.hello).as_bytes());
    }

    fn on_input(&mut self, cx: &mut Context<'_, Shard>, input: &mut Input<'_>) {
        if hello::asides(cx, self.who, input) && !self.joined {
            self.joined = true;
            thread::ready(cx);
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, Shard>, why: &Close) {
        hello::ended(cx, self.who, 0, why);
    }
}
