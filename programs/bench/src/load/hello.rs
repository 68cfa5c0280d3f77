//! What every connection hears besides messages.

use midge_protocol::{Delivery, ServerOp, ServerParser, ServerStep};
use midge_reactor::{Close, Context, Input};

use super::shared::Event;
use super::thread::Shard;
use crate::check::{Aside, Fault, shown};

/// Reads all whole ops.
///
/// # Errors
/// Those of `message`, and bytes that are no op.
pub(crate) fn ops(
    input: &mut Input<'_>,
    mut heard: impl FnMut(Aside),
    mut message: impl FnMut(&Delivery<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    loop {
        let data = input.peek();
        match ServerParser::default().next(data) {
            Ok(ServerStep::Partial { need }) => {
                input.need(need);
                return Ok(());
            }
            Ok(ServerStep::Op { op, len }) => {
                match op {
                    ServerOp::Info { json } => heard(Aside::Info(json.to_vec())),
                    ServerOp::Ping => heard(Aside::Ping),
                    ServerOp::Pong => heard(Aside::Pong),
                    ServerOp::Ok => {}
                    ServerOp::Err { text } => {
                        heard(Aside::Refused(String::from_utf8_lossy(text).into_owned()));
                    }
                    ServerOp::Msg(delivery) => message(&delivery)?,
                }
                input.consume(len);
            }
            Err(_) => return Err(Fault::Nonsense { shown: shown(data) }),
        }
    }
}

/// Reads what a connection hears that wants no message. Answers whether there was a `PONG`; of a
/// fault it has told, and closed the connection.
pub(crate) fn asides(cx: &mut Context<'_, Shard>, who: &str, input: &mut Input<'_>) -> bool {
    let mut pong = false;
    let foreign = |delivery: &Delivery<'_>| {
        let shown = shown(&[delivery.subject, delivery.payload].join(&b' '));
        Err(Fault::Foreign { shown })
    };
    let read = ops(input, |aside| pong |= common(cx, who, aside), foreign);
    if let Err(fault) = read {
        fail(cx, fault);
        return false;
    }
    pong
}

/// Tells of a fault and closes the connection.
pub(crate) fn fail(cx: &mut Context<'_, Shard>, fault: Fault) {
    cx.state.shared.report(Event::Failed(fault));
    cx.close();
}

/// Does what is the same in all roles; answers whether it was a `PONG`.
pub(crate) fn common(cx: &mut Context<'_, Shard>, who: &str, aside: Aside) -> bool {
    match aside {
        Aside::Info(json) => cx.state.shared.report(Event::Info(json)),
        Aside::Ping => {
            cx.send(b"PONG\r\n");
        }
        Aside::Pong => return true,
        Aside::Refused(text) => {
            let who = who.to_owned();
            let messages = cx.state.shared.received_total();
            // Some brokers say why before they cut a subscriber off.
            let fault = if text.eq_ignore_ascii_case("slow consumer") {
                Fault::CutOff {
                    who,
                    messages,
                    why: text,
                }
            } else {
                Fault::Refused { who, text }
            };
            fail(cx, fault);
        }
    }
    false
}

/// Tells of a connection's end, unless it is ours.
pub(crate) fn ended(cx: &mut Context<'_, Shard>, who: &str, messages: u64, why: &Close) {
    if !matches!(why, Close::Local | Close::Shutdown) {
        let fault = Fault::CutOff {
            who: who.to_owned(),
            messages,
            why: why.to_string(),
        };
        cx.state.shared.report(Event::Failed(fault));
    }
}
