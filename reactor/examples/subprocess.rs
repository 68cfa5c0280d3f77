//! Runs a command for whoever connects: `cargo run --example subprocess -- 127.0.0.1:8085 sort -r`,
//! then `printf 'a\nb\n' | nc -N 127.0.0.1 8085`. What the visitor sends is what the command reads,
//! and the other way round.

use midge_reactor::{Key, run, util::Relayed};
use std::io;
use std::process::Command;

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(addr), Some(program)) = (args.next(), args.next()) else {
        return Err(io::Error::other(
            "usage: subprocess <address> <program> [argument ...]",
        ));
    };
    let mut command = Command::new(program);
    command.args(args);
    run(|cx| {
        let listener = cx.listen(addr, move |cx| {
            let visitor = cx.key();
            let child = cx.spawn(&mut command, Relayed::to(visitor));
            Relayed::to(child.unwrap_or_else(|error| {
                println!("{error}");
                cx.close();
                Key::NONE
            }))
        })?;
        println!("listening on {:?}", cx.listening_on(listener));
        Ok(())
    })
}
