//! One handler, two worlds: `cargo run --features sim --example simulated` plays it a thousand
//! times over a network that delays, cuts, stalls and resets, in a second or so; with an address as
//! its argument it serves that, for `nc`.
//!
//! The server keeps a total and answers each number it is sent with the new one. Its promise: no
//! number that was answered is counted twice or forgotten.

use midge_reactor::codec::{Framing, LineHandler, Lines};
use midge_reactor::{Context, run_with, sim};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

struct Adder;

impl LineHandler<u64> for Adder {
    fn on_line(&mut self, cx: &mut Context<'_, u64>, line: &[u8], _: &mut Framing) {
        match str::from_utf8(line).map(str::parse::<u64>) {
            Ok(Ok(number)) => {
                *cx.state += number;
                let total = format!("{}\n", cx.state);
                cx.send(total.as_bytes());
            }
            _ => cx.fail("this is not a number"),
        }
    }
}

fn serve(cx: &mut Context<'_, u64>, addr: &str) -> io::Result<Option<SocketAddr>> {
    let listener = cx.listen(addr, |_| Lines::new(Adder))?;
    Ok(cx.listening_on(listener))
}

/// Sends 1, 1, 1 ... and notes the last total it has heard of.
struct Caller;

impl LineHandler<u64> for Caller {
    fn on_open(&mut self, cx: &mut Context<'_, u64>) {
        cx.send(b"1\n".repeat(100));
    }

    fn on_line(&mut self, cx: &mut Context<'_, u64>, line: &[u8], _: &mut Framing) {
        let total = str::from_utf8(line).expect("a number");
        *cx.state = total.parse().expect("a number");
    }
}

fn simulate() {
    sim::check(0..1000, |sim| {
        let server = sim.host("server", 0, |cx| serve(cx, "0.0.0.0:7").map(drop));
        let addr = sim.addr(server, 7);
        let client = sim.host("client", 0, |cx| {
            cx.connect(addr, Lines::new(Caller));
            Ok(())
        });
        sim.run_for(Duration::from_secs(120));

        let heard = sim.with(client, |cx| *cx.state);
        let counted = sim.with(server, |cx| *cx.state);
        assert!(heard <= counted && counted <= 100);
        if sim.faults().all_connect() && sim.resets() == 0 {
            assert_eq!((heard, counted), (100, 100));
        }
    });
    println!("a thousand runs, and the promise was kept");
}

fn main() -> io::Result<()> {
    match std::env::args().nth(1) {
        Some(addr) => run_with(0, |cx| {
            println!("listening on {:?}", serve(cx, &addr)?);
            Ok(())
        }),
        None => {
            simulate();
            Ok(())
        }
    }
}
