//! A TCP proxy: `cargo run --example proxy -- 127.0.0.1:8000 example.org:80`. Bytes go from one
//! connection to the other inside the loop; one that is slow holds the other up, and either
//! direction may end before the other.

use midge_reactor::{Close, Context, Eof, Handler, Input, Key, ProxyOptions, run};
use std::io;

/// One end of a pair.
struct Half {
    peer: Key,
}

impl Handler for Half {
    fn on_input(&mut self, _: &mut Context<'_>, _: &mut Input<'_>) {
        unreachable!("what comes is relayed");
    }

    fn on_eof(&mut self, _: &mut Context<'_>) -> Eof {
        Eof::KeepOpen
    }

    fn on_close(&mut self, cx: &mut Context<'_>, _: &Close) {
        cx.io.close_after_write(self.peer);
    }
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(addr), Some(upstream)) = (args.next(), args.next()) else {
        return Err(io::Error::other(
            "usage: proxy <address> <upstream host:port>",
        ));
    };
    run(|cx| {
        let listener = cx.listen(addr, move |cx| {
            let visitor = cx.key();
            let server = cx.connect_host(&upstream, Half { peer: visitor });
            for (from, to) in [(visitor, server), (server, visitor)] {
                let relay = cx.proxy(from, to, &ProxyOptions::default());
                relay.expect("both have just been made");
            }
            Half { peer: server }
        })?;
        println!("listening on {:?}", cx.listening_on(listener));
        Ok(())
    })
}
