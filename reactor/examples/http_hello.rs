//! An HTTP/1.1 server that says hello: `cargo run --example http_hello`, then
//! `curl http://127.0.0.1:8080/`. Keep-alive and pipelining cost nothing: what is left of the input
//! comes again with the rest of its request behind it.

use midge_reactor::codec::{FrameError, Head, HeaderBody, RequestHandler};
use midge_reactor::{Context, run};

const HELLO: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n";
const TOO_LARGE: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const BAD: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

struct Http;

impl RequestHandler for Http {
    fn on_request(&mut self, cx: &mut Context<'_>, head: Head<'_>, _: &[u8]) {
        cx.send(HELLO);
        let connection = head.get("Connection");
        if connection.is_some_and(|value| value.eq_ignore_ascii_case(b"close")) {
            cx.close_after_write();
        }
    }

    fn on_error(&mut self, cx: &mut Context<'_>, error: &FrameError) {
        cx.send(match error {
            FrameError::HeadTooLong { .. } => TOO_LARGE,
            _ => BAD,
        });
    }
}

fn main() -> std::io::Result<()> {
    let addr = std::env::args().nth(1);
    run(|cx| {
        let addr = addr.as_deref().unwrap_or("127.0.0.1:8080");
        let listener = cx.listen(addr, |_| HeaderBody::new(Http))?;
        println!("listening on {:?}", cx.listening_on(listener));
        Ok(())
    })
}
