//! An echo server: `cargo run --example echo`, then `nc 127.0.0.1 7007`. A line `quit` says goodbye,
//! an interrupt (Ctrl-C) ends it in good order.

use midge_reactor::{Close, Context, Handler, Input, run};
use std::time::Duration;

const SIGINT: i32 = 2;

struct Echo;

impl Handler for Echo {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        println!("{:?} connected", cx.peer_addr());
    }

    fn on_input(&mut self, cx: &mut Context<'_>, input: &mut Input<'_>) {
        // Only whole lines; what is left comes again with the rest of its line behind it.
        while let Some(end) = input.peek().iter().position(|byte| *byte == b'\n') {
            let line = input.consume(end + 1);
            cx.send(b"you said: ");
            cx.send(line);
            if line.trim_ascii() == b"quit" {
                return cx.close_after_write();
            }
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, why: &Close) {
        println!("{:?} {why}", cx.peer_addr());
    }
}

fn main() -> std::io::Result<()> {
    run((), |cx| {
        cx.on_signals(&[SIGINT], |cx, _| cx.io.shutdown(Duration::from_secs(5)))?;
        let listener = cx.listen("127.0.0.1:7007", |_: &mut Context<'_>| Echo)?;
        println!("listening on {:?}", cx.listening_on(listener));
        Ok(())
    })
}
