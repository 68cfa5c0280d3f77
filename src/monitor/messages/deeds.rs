//! Requests that change something: `KICK`, `LDM` and `RELOAD`. What does it is the server's, which leaves its functions in
//! [`Serving`](crate::state::serving::Serving).

use super::body::{done, failed};
use super::{say, with_view};
use crate::monitor::view::View;
use crate::state::State;
use crate::state::serving::Told;
use midge_reactor::{Context, Key};
use std::rc::Rc;

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Deed {
    /// The connection with this number is closed, without a word.
    Kick(u64),
    /// The client with this number is told to go elsewhere, as in lame duck mode.
    LameDuck(u64),
    /// The configuration is read again.
    Reload,
}

const NO_CONNECTION: &str = "no such client or leafnode id";
const NO_CLIENT: &str = "no such client id";
const NOT_READY: &str =
    "client does not support Lame Duck Mode or is not ready to receive the notification";
const NO_CONFIGURATION: &str = "this server has no configuration file that it could read again";

/// Does it, and says what has come of it.
pub(super) fn do_it(cx: &mut Context<'_, State>, deed: Deed, reply: &[u8]) {
    let outcome = match deed {
        Deed::Kick(cid) => match key_of(cx.state, cid) {
            Some(key) => {
                (cx.state.serving.kick)(cx, key);
                Ok(())
            }
            None => Err(NO_CONNECTION),
        },
        Deed::LameDuck(cid) => match key_of(cx.state, cid) {
            Some(key) if takes_info(cx.state, cid) => {
                (cx.state.serving.send_away)(cx, key);
                Ok(())
            }
            Some(_) => Err(NOT_READY),
            None => Err(NO_CLIENT),
        },
        Deed::Reload => {
            if let Some(read_again) = cx.state.serving.read_again.clone() {
                return reload(cx, &*read_again, reply);
            }
            Err(NO_CONFIGURATION)
        }
    };
    tell(cx, reply, outcome);
}

/// Who has asked is told when it is over.
fn reload(
    cx: &mut Context<'_, State>,
    read_again: &dyn Fn(&mut Context<'_, State>, Told),
    reply: &[u8],
) {
    log::info!(target: "midge", "Reload requested by a message to $SYS");
    let reply: Rc<[u8]> = reply.into();
    read_again(
        cx,
        Box::new(move |cx, outcome| {
            cx.state.serving.said += 1;
            let outcome = match &outcome {
                Ok(()) => Ok(()),
                Err(why) => Err(why.as_str()),
            };
            tell(cx, &reply, outcome);
        }),
    );
}

fn key_of(state: &State, cid: u64) -> Option<Key> {
    let presence = state.records.as_ref()?.present.get(&cid)?;
    Some(presence.key)
}

fn takes_info(state: &State, cid: u64) -> bool {
    let presence = state.records.as_ref().and_then(|one| one.present.get(&cid));
    presence.is_some_and(|one| state.core.receiver(one.receiver).takes_info)
}

fn tell(cx: &mut Context<'_, State>, reply: &[u8], outcome: Result<(), &str>) {
    let payload = with_view(cx, |view: &View<'_>, _| match outcome {
        Ok(()) => done(view),
        Err(why) => failed(view, 500, why),
    });
    say(cx, reply, &payload.unwrap_or_default());
}
