//! A beacon: says where it is to whoever listens at an address, once a second, and tells who answers.
//! `nc -u -l 127.0.0.1 8084` in one terminal, `cargo run --example udp_beacon` in another.

use midge_reactor::{Context, Datagram, run};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(1);

struct Beacon {
    to: SocketAddr,
    sent: u64,
}

impl Datagram for Beacon {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        cx.set_interval(PERIOD, 0);
        self.on_timer(cx, 0);
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, _: u64) {
        self.sent += 1;
        cx.send_to(self.to, format!("here I am, {}\n", self.sent).as_bytes());
    }

    fn on_packet(&mut self, _: &mut Context<'_>, from: SocketAddr, packet: &[u8]) {
        println!("{from}: {}", String::from_utf8_lossy(packet).trim_end());
    }

    fn on_error(&mut self, _: &mut Context<'_>, error: &io::Error) {
        println!("nobody listens at {}: {error}", self.to);
    }
}

fn main() -> io::Result<()> {
    let to = std::env::args().nth(1);
    let to = to.as_deref().unwrap_or("127.0.0.1:8084").parse();
    let to = to.map_err(io::Error::other)?;
    run(|cx| cx.udp("127.0.0.1:0", Beacon { to, sent: 0 }).map(drop))
}
