//! A chat room: `cargo run --example chat`, then `nc 127.0.0.1 8083` in several terminals. The
//! room is the state that all handlers share; it needs neither `Rc` nor `RefCell` nor a lock.

use midge_reactor::codec::{Framing, LineHandler, Lines};
use midge_reactor::{Close, Context, Io, Key, run_with};
use std::collections::BTreeMap;
use std::time::Duration;

/// For how long a visitor may stay without a name.
const NAMELESS: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Room {
    names: BTreeMap<Key, String>,
}

impl Room {
    /// Tells everybody but `except`.
    fn tell(&self, io: &mut Io<'_>, except: Key, text: &str) {
        for key in self.names.keys().filter(|key| **key != except) {
            io.send(*key, text.as_bytes());
        }
    }
}

struct Visitor;

impl LineHandler<Room> for Visitor {
    fn on_open(&mut self, cx: &mut Context<'_, Room>) {
        cx.send(b"Who are you?\n");
        cx.set_timer(NAMELESS, 0);
    }

    fn on_line(&mut self, cx: &mut Context<'_, Room>, line: &[u8], _: &mut Framing) {
        let me = cx.key();
        let text = String::from_utf8_lossy(line);
        match cx.state.names.get(&me) {
            Some(_) if text == "/quit" => cx.close_after_write(),
            Some(name) => {
                let said = format!("<{name}> {text}\n");
                cx.state.tell(&mut cx.io, me, &said);
            }
            None => {
                cx.send(format!("Welcome, {text}; {} here.\n", cx.state.names.len()).as_bytes());
                cx.state.names.insert(me, text.to_string());
                let joined = format!("* {text} has come\n");
                cx.state.tell(&mut cx.io, me, &joined);
            }
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_, Room>, _: u64) {
        if !cx.state.names.contains_key(&cx.key()) {
            cx.close();
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, Room>, _: &Close) {
        if let Some(name) = cx.state.names.remove(&cx.key()) {
            let left = format!("* {name} has gone\n");
            cx.state.tell(&mut cx.io, Key::NONE, &left);
        }
    }
}

fn main() -> std::io::Result<()> {
    let addr = std::env::args().nth(1);
    run_with(Room::default(), |cx| {
        let addr = addr.as_deref().unwrap_or("127.0.0.1:8083");
        let listener = cx.listen(addr, |_| Lines::new(Visitor))?;
        println!("listening on {:?}", cx.listening_on(listener));
        Ok(())
    })
}
