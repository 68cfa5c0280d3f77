//! An HTTP/1.1 server that says hello: `cargo run --example http_hello`, then
//! `curl http://127.0.0.1:8080/`. Keep-alive and pipelining cost nothing: what is left of the input
//! comes again with the rest of its request behind it.

use midge_reactor::{Context, Handler, Input, run};

const HELLO: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n";
const TOO_LARGE: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

struct Http;

impl Handler for Http {
    fn on_input(&mut self, cx: &mut Context<'_>, input: &mut Input<'_>) {
        while let Some(end) = input.peek().windows(4).position(|end| end == b"\r\n\r\n") {
            let head = input.consume(end + 4).to_ascii_lowercase();
            cx.send(HELLO);
            if head
                .windows(19)
                .any(|line| line == b"\r\nconnection: close")
            {
                return cx.close_after_write();
            }
        }
        if input.len() > HEAD_BYTES_MAX {
            cx.send(TOO_LARGE);
            cx.close_after_write();
        }
    }
}

fn main() -> std::io::Result<()> {
    let addr = std::env::args().nth(1);
    run(|cx| {
        let listener = cx.listen(addr.as_deref().unwrap_or("127.0.0.1:8080"), |_| Http)?;
        println!("listening on {:?}", cx.listening_on(listener));
        Ok(())
    })
}
