//! With `midge-reactor`, as its front page shows it.

use super::{MESSAGE_BYTES, Service, announce};
use midge_reactor::{Close, Context, Handler, Input, run, run_with};
use std::io;

pub(super) fn serve(service: Service) -> io::Result<()> {
    match service {
        Service::Echo => run(|cx| {
            let listener = cx.listen("127.0.0.1:0", |_: &mut Context<'_>| Echo)?;
            announce(cx.listening_on(listener).ok_or(io::ErrorKind::NotFound)?)
        }),
        Service::FanOut => run_with(Vec::new(), |cx| {
            let listener = cx.listen("127.0.0.1:0", |_: &mut Context<'_, Members>| Member)?;
            announce(cx.listening_on(listener).ok_or(io::ErrorKind::NotFound)?)
        }),
    }
}

struct Echo;

impl Handler for Echo {
    fn on_input(&mut self, cx: &mut Context<'_>, input: &mut Input<'_>) {
        cx.send(input.take());
    }
}

type Members = Vec<midge_reactor::Key>;

struct Member;

impl Handler<Members> for Member {
    fn on_open(&mut self, cx: &mut Context<'_, Members>) {
        let me = cx.key();
        cx.state.push(me);
    }

    fn on_input(&mut self, cx: &mut Context<'_, Members>, input: &mut Input<'_>) {
        let me = cx.key();
        while input.len() >= MESSAGE_BYTES {
            let message = input.consume(MESSAGE_BYTES);
            for member in cx.state.iter().filter(|member| **member != me) {
                cx.io.send(*member, message);
            }
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, Members>, _: &Close) {
        let me = cx.key();
        cx.state.retain(|member| *member != me);
    }
}
