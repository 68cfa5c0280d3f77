//! A TCP proxy: `cargo run --example proxy -- 127.0.0.1:8000 example.org:80`. Bytes go from one
//! connection to the other inside the loop; one that is slow holds the other up, and either
//! direction may end before the other.

use midge_reactor::{run, util::Relayed};
use std::io;

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
            let server = cx.connect_host(&upstream, Relayed::to(visitor));
            Relayed::to(server)
        })?;
        println!("listening on {:?}", cx.listening_on(listener));
        Ok(())
    })
}
