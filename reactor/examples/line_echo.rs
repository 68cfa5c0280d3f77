//! Lines, with a timeout: `cargo run --example line_echo`, then `nc 127.0.0.1 8082`. Whoever says
//! nothing for thirty seconds is shown the door.

use midge_reactor::codec::{Framing, LineHandler, Lines};
use midge_reactor::{Close, Context, run};
use std::io;
use std::time::Duration;

struct Echo {
    patience: Duration,
}

impl LineHandler for Echo {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        cx.idle_timeout(Some(self.patience));
    }

    fn on_line(&mut self, cx: &mut Context<'_>, line: &[u8], _: &mut Framing) {
        match line {
            b"quit" => cx.close_after_write(),
            line => {
                cx.send([b"you said: ", line, b"\r\n"].concat());
            }
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, why: &Close) {
        println!("{:?}: {why}", cx.peer_addr());
    }
}

/// `line_echo [address [patience in milliseconds]]`
fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let addr = args.next().unwrap_or("127.0.0.1:8082".into());
    let millis = args.next().map_or(Ok(30_000), |millis| millis.parse());
    let patience = Duration::from_millis(millis.map_err(io::Error::other)?);
    run(|cx| {
        let listener = cx.listen(addr, move |_| Lines::new(Echo { patience }))?;
        println!("listening on {:?}", cx.listening_on(listener));
        Ok(())
    })
}
