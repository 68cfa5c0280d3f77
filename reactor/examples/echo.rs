//! An echo server: `cargo run --example echo`, then `nc 127.0.0.1 8081`. A line `quit` ends the
//! connection, Ctrl-C the server.

use midge_reactor::{Close, Context, Handler, Input, run};

struct Echo;

impl Handler for Echo {
    fn on_open(&mut self, _: &mut Context<'_>) {
        println!("-- someone connected to the echo server!");
    }

    fn on_input(&mut self, cx: &mut Context<'_>, input: &mut Input<'_>) {
        let data = input.take();
        cx.send(b">>> you sent: ");
        cx.send(data);
        if data.trim_ascii().eq_ignore_ascii_case(b"quit") {
            cx.close_after_write();
        }
    }

    fn on_close(&mut self, _: &mut Context<'_>, why: &Close) {
        println!("-- someone disconnected from the echo server: {why}");
    }
}

fn main() -> std::io::Result<()> {
    let addr = std::env::args().nth(1);
    run(|cx| {
        let listener = cx.listen(addr.as_deref().unwrap_or("127.0.0.1:8081"), |_| Echo)?;
        println!("listening on {:?}", cx.listening_on(listener));
        Ok(())
    })
}
