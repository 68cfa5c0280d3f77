//! Passwords that another thread has to look at, since their hashes take some tenths of a second.

use super::Client;
use crate::auth::inquiry::ANSWER_WAIT_MAX;
use crate::auth::{Inquiry, Verdict};
use crate::client::session::Session;
use crate::link::queues::Queues;
use crate::state::State;
use midge_reactor::{Context, Key};

/// What goes on once it is known whether a password is good, under the settings of this version.
type Verified = fn(&mut Client, &mut Context<'_, State>, bool, u32);

/// Whoever wants to know whether a password is good.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    key: Key,
    version: u32,
    then: Verified,
}

impl Client {
    /// Has the credentials of a `CONNECT` looked at by another thread, and reads no more until then.
    pub(super) fn ask(&mut self, cx: &mut Context<'_, State>) {
        let Some(inquiry) = self.session.as_mut().and_then(Session::take_inquiry) else {
            return;
        };
        // The client has done its part; what remains is not to wait for ever.
        self.link.await_login(cx, ANSWER_WAIT_MAX);
        cx.io.pause(cx.key());
        self.compute(cx, inquiry, Client::answered);
    }

    /// Has an inquiry answered by another thread; `then` gets the answer, and the
    /// [version](State::auth_version) of what clients must present to which it belongs.
    pub(super) fn compute(
        &mut self,
        cx: &mut Context<'_, State>,
        inquiry: Inquiry,
        then: Verified,
    ) {
        let origin = Origin {
            key: cx.key(),
            version: cx.state.auth_version,
            then,
        };
        let inquirer = self.inquirer.get_or_insert_default();
        cx.state.inquiries.ask(inquirer, inquiry, origin);
        answer_next(cx);
    }

    /// What came of it.
    fn answered(&mut self, cx: &mut Context<'_, State>, is_good: bool, version: u32) {
        let Some(session) = &mut self.session else {
            return;
        };
        let mut is_good = is_good;
        if version != cx.state.auth_version {
            // Meanwhile it must present something else.
            match session.check(cx.state) {
                Verdict::Welcome => is_good = true,
                Verdict::Refused => is_good = false,
                Verdict::Pending(inquiry) => return self.compute(cx, inquiry, Client::answered),
            }
        }
        match session.answered(is_good, cx.state, &mut Queues(&mut cx.io)) {
            Ok(()) => {
                // One that was sent away is asked no more.
                if !self.link.is_over() {
                    self.connected(cx);
                }
                cx.io.resume(cx.key());
            }
            Err(violation) => self.refuse(cx, &violation),
        }
    }
}

/// Gives inquiries to threads, as long as there are both.
fn answer_next(cx: &mut Context<'_, State>) {
    loop {
        let (io, inquiries) = (&cx.io, &mut cx.state.inquiries);
        let Some((inquiry, origin)) = inquiries.start(|by| io.has_hung_up(by.key)) else {
            return;
        };
        let Origin { key, version, then } = origin;
        let given = cx.offload(
            move || inquiry.answer(),
            move |cx, answer| {
                cx.state.inquiries.done();
                // One that could not be answered is not good.
                let is_good = answer.unwrap_or(false);
                // A client that has gone meanwhile does not care.
                cx.call(key, move |client: &mut Client, cx| {
                    then(client, cx, is_good, version);
                });
                answer_next(cx);
            },
        );
        if let Err(error) = given {
            log::error!(target: "midge", "Error checking a password: {error}");
            cx.state.inquiries.done();
            cx.call(key, move |client: &mut Client, cx| {
                then(client, cx, false, version);
            });
        }
    }
}
