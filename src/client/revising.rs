//! Clients whose subscriptions are held against other permissions have a piece of that done in each turn, one after
//! the other.

use super::Client;
use super::session::Session;
use crate::link::queues::Queues;
use crate::state::State;
use midge_reactor::Context;

impl Client {
    /// Some of its subscriptions may not have been looked at yet: they are in the turns that come.
    pub(super) fn revise_later(&self, cx: &mut Context<'_, State>) {
        let is_revising = self.session.as_ref().is_some_and(Session::is_revising);
        if is_revising {
            let key = cx.key();
            cx.state.revising.push(key);
        }
        schedule(cx);
    }

    /// Its turn has come.
    fn revise(&mut self, cx: &mut Context<'_, State>) {
        if let Some(session) = &mut self.session {
            session.revise(cx.state, &mut Queues(&mut cx.io));
        }
        self.revise_later(cx);
    }
}

fn schedule(cx: &mut Context<'_, State>) {
    if cx.state.revising.is_to_be_scheduled() {
        cx.defer(go_on);
    }
}

fn go_on(cx: &mut Context<'_, State>) {
    for client in cx.state.revising.next() {
        // One that has gone has nothing left to be looked at.
        cx.call(client, Client::revise);
    }
    schedule(cx);
}
