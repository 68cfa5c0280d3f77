//! A simulated client that is told what to say, byte for byte, and writes down all that it hears.

use midge_protocol::{ServerOp, ServerParser, ServerStep};
use midge_reactor::{Close, Context, Eof, Handler, Input, Key};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What the talkers of one host share: what each has heard.
pub(crate) type Notes = BTreeMap<u64, Heard>;

/// What has come over one connection.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) key: Key,
    /// The number that `INFO` gave it.
    pub(crate) cid: Option<u64>,
    /// Of each message the subject, the sid, and the reply subject if there is one.
    pub(crate) heads: Vec<String>,
    pub(crate) payloads: Vec<Vec<u8>>,
    /// The header blocks that were not empty.
    pub(crate) headers: Vec<Vec<u8>>,
    pub(crate) errors: Vec<String>,
    pub(crate) pongs: usize,
    /// Whether it was told to go elsewhere.
    pub(crate) lame_duck: bool,
    pub(crate) ended: bool,
}

impl Heard {
    /// Nothing yet.
    pub(crate) fn new(key: Key) -> Heard {
        Heard {
            key,
            cid: None,
            heads: Vec::new(),
            payloads: Vec::new(),
            headers: Vec::new(),
            errors: Vec::new(),
            pongs: 0,
            lame_duck: false,
            ended: false,
        }
    }
}

/// What a talker does by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Habit {
    Listens,
    /// Answers requests with their own payload.
    Answers,
    /// Hangs up after its first words.
    HangsUp,
    /// Does not heed the end of the stream.
    Stays,
}

struct Talker {
    id: u64,
    words: Vec<u8>,
    habit: Habit,
    parser: ServerParser,
}

/// Connects a talker, whose first `words` follow as soon as that has worked.
pub(crate) fn dial(
    cx: &mut Context<'_, Notes>,
    id: u64,
    broker: SocketAddr,
    words: Vec<u8>,
    habit: Habit,
) {
    let talker = Talker {
        id,
        words,
        habit,
        parser: ServerParser::default(),
    };
    let heard = Heard::new(cx.connect(broker, talker));
    cx.state.insert(id, heard);
}

/// Says something more.
pub(crate) fn say(cx: &mut Context<'_, Notes>, id: u64, words: &[u8]) {
    cx.io.send(cx.state[&id].key, words);
}

impl Handler<Notes> for Talker {
    fn on_open(&mut self, cx: &mut Context<'_, Notes>) {
        cx.send(std::mem::take(&mut self.words));
        if self.habit == Habit::HangsUp {
            cx.close_after_write();
        }
    }

    fn on_input(&mut self, cx: &mut Context<'_, Notes>, input: &mut Input<'_>) {
        loop {
            let step = self.parser.next(input.peek());
            let (op, len) = match step.expect("the broker speaks the protocol") {
                ServerStep::Op { op, len } => (op, len),
                ServerStep::Partial { need } => return input.need(need),
            };
            let heard = cx.state.get_mut(&self.id).expect("made by the connect");
            match op {
                ServerOp::Info { json } => {
                    let json: serde_json::Value = serde_json::from_slice(json).expect("JSON");
                    heard.cid = json["client_id"].as_u64();
                    heard.lame_duck |= json["ldm"] == true;
                }
                ServerOp::Msg(msg) => {
                    let words = [Some(msg.subject), Some(msg.sid), msg.reply];
                    let words = words.into_iter().flatten();
                    let words: Vec<_> = words.map(String::from_utf8_lossy).collect();
                    heard.heads.push(words.join(" "));
                    heard.payloads.push(msg.payload.to_vec());
                    if !msg.header.is_empty() {
                        heard.headers.push(msg.header.to_vec());
                    }
                    if let (Habit::Answers, Some(reply)) = (self.habit, msg.reply) {
                        let size = msg.payload.len().to_string();
                        let words = [b"PUB ", reply, b" ", size.as_bytes(), b"\r\n"].concat();
                        cx.send([&words, msg.payload, b"\r\n"].concat());
                    }
                }
                ServerOp::Ping => {
                    cx.send(b"PONG\r\n");
                }
                ServerOp::Pong => heard.pongs += 1,
                ServerOp::Err { text } => {
                    heard
                        .errors
                        .push(String::from_utf8_lossy(text).into_owned());
                }
                // Verbose is the default of whoever says nothing about it.
                ServerOp::Ok => {}
            }
            input.consume(len);
        }
    }

    fn on_eof(&mut self, _: &mut Context<'_, Notes>) -> Eof {
        match self.habit {
            Habit::Stays => Eof::KeepOpen,
            _ => Eof::Close,
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_, Notes>, _: &Close) {
        if let Some(heard) = cx.state.get_mut(&self.id) {
            heard.ended = true;
        }
    }
}
