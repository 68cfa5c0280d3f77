//! Runs a command for whoever connects: `cargo run --example subprocess -- 127.0.0.1:8085 sort -r`,
//! then `printf 'a\nb\n' | nc -N 127.0.0.1 8085`. What the visitor sends is what the command reads,
//! and the other way round.

use midge_reactor::{Close, Context, Eof, Handler, Input, Key, ProxyOptions, run};
use std::io;
use std::process::Command;

/// The visitor, or the command.
struct End {
    other: Key,
}

impl Handler for End {
    fn on_input(&mut self, _: &mut Context<'_>, _: &mut Input<'_>) {
        unreachable!("what comes is relayed");
    }

    fn on_eof(&mut self, _: &mut Context<'_>) -> Eof {
        Eof::KeepOpen
    }

    fn on_close(&mut self, cx: &mut Context<'_>, _: &Close) {
        if let Some(status) = cx.exit_status() {
            println!("{status}");
        }
        cx.io.close_after_write(self.other);
    }
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(addr), Some(program)) = (args.next(), args.next()) else {
        return Err(io::Error::other(
            "usage: subprocess <address> <program> [argument ...]",
        ));
    };
    let args: Vec<String> = args.collect();
    run(|cx| {
        let listener = cx.listen(addr, move |cx| {
            let visitor = cx.key();
            let mut command = Command::new(&program);
            let child = match cx.spawn(command.args(&args), End { other: visitor }) {
                Ok(child) => child,
                Err(error) => {
                    println!("{error}");
                    cx.close();
                    return End { other: Key::NONE };
                }
            };
            for (from, to) in [(visitor, child), (child, visitor)] {
                let relay = cx.proxy(from, to, &ProxyOptions::default());
                relay.expect("both have just been made");
            }
            End { other: child }
        })?;
        println!("listening on {:?}", cx.listening_on(listener));
        Ok(())
    })
}
