//! A message by which the client asks the broker about itself or its account.

use super::Session;
use crate::core::delivery::{Published, Tally};
use crate::core::outbox::Outbox;
use crate::state::State;
use crate::state::asking::Asker;
use midge_protocol::Run;

/// What it costs to keep a question, in places of the sublist looked at.
const KEEPING: usize = 32;

impl Session {
    /// Carries out the first publish of `run`, which is allowed, if it asks the broker something. Who has subscribed to its
    /// subject gets it too, and first.
    #[cold]
    #[inline(never)]
    pub(super) fn publish_to_broker<O: Outbox>(
        &mut self,
        run: &Run<'_>,
        tally: &mut Tally,
        state: &mut State,
        out: &mut O,
    ) -> Option<Published> {
        let (message, account) = (run.first(), self.publisher.origin().account);
        let wish = state.wish_of(account, message)?;
        // Whether it has a responder is known when it is kept.
        let no_responders = std::mem::replace(&mut self.options.no_responders, false);
        let published = self.publish_apart(run, tally, state, out);
        self.options.no_responders = no_responders;
        // What repeats it asks once more.
        self.publisher.refused();
        if matches!(published, Published::WaitFor(_)) && !self.publisher.has_begun() {
            // It comes again.
            return Some(published);
        }
        tally.charge(KEEPING);
        let login = self.login.as_deref();
        let asker = Asker {
            user: login.map_or("", |login| &login.user).into(),
            permissions: self.permissions.clone(),
            until: login.and_then(|login| login.until),
        };
        let is_kept = state.ask(wish, asker, account, message);
        Some(match (published, message.reply()) {
            (Published::NOBODY, Some(reply)) if !is_kept && self.options.no_responders => {
                self.no_responders(reply, tally, state, out)
            }
            _ => published,
        })
    }
}
