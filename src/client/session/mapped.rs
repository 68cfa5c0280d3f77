//! A message that goes to another subject than it was published to, by the mappings of the client's account.
//!
//! It is made anew for that subject, and is then published as any other: so a message that is mapped costs a copy of
//! it more than one that is not, and a look at the mappings each time. One that no mapping fits is looked up once, as
//! long as its control line repeats.
//!
//! Chance chooses once for each message: what was chosen for one that is held is kept until it comes again, unless
//! there are other mappings by then. One that has begun keeps all of itself, since it goes on in pieces.
//!
//! Other mappings hold for the next message. Clients are not told of them: they have another number.

use super::Session;
use crate::core::delivery::{Published, Tally};
use crate::core::outbox::Outbox;
use crate::core::trace;
use crate::mapping::Mappings;
use crate::state::State;
use midge_protocol::{Publish, Redirected, Run};

/// Bytes that are copied at the cost of one place of the sublist looked at.
const COPIED: usize = 256;

/// What is kept of the publish that comes next, if it goes to another subject than it says.
#[derive(Debug)]
pub(super) enum Bound {
    /// It was held; by the mappings with this number it goes to this subject.
    Held(u64, Vec<u8>),
    /// It has begun, and this is it.
    Begun(Redirected),
}

impl Session {
    /// Whether there are mappings for what it publishes.
    #[inline]
    pub(in crate::client) fn is_mapped(&self, state: &State) -> bool {
        !self.mappings(state).is_empty()
    }

    #[inline(always)]
    fn mappings<'s>(&self, state: &'s State) -> &'s Mappings {
        &state.core.accounts[self.publisher.origin().account].mappings
    }

    /// Whether `message` is as the last one was, which was delivered where it said.
    #[inline(always)]
    pub(super) fn repeats<const MAPPED: bool>(&self, message: &Publish<'_>, state: &State) -> bool {
        self.publisher.repeats(message)
            && (!MAPPED || self.mappings_seen == self.mappings(state).number())
    }

    /// Carries out the first publish of `run`, if a mapping fits it.
    #[inline(never)]
    pub(super) fn publish_mapped<O: Outbox>(
        &mut self,
        run: &Run<'_>,
        tally: &mut Tally,
        state: &mut State,
        out: &mut O,
    ) -> Option<Published> {
        let message = run.first();
        self.mappings_seen = self.mappings(state).number();
        let mut way = std::mem::take(&mut state.way);
        match self.bound.take().map(|bound| *bound) {
            Some(Bound::Held(number, subject)) if number == self.mappings_seen => {
                way.subject = subject;
            }
            _ => {
                let account = &mut state.core.accounts[self.publisher.origin().account];
                let (mappings, random) = (&account.mappings, &mut account.random);
                let draw = |bound| random.below(bound);
                let found = mappings.map(message.subject(), draw, &mut way.subject);
                tally.charge(found.work);
                if !found.is_mapped {
                    state.way = way;
                    return None;
                }
                trace::mapped(&self.label, message.subject(), &way.subject);
            }
        }
        tally.charge(message.body_bytes() / COPIED);
        way.message.set(message, &way.subject);
        let mapped = Run::from(way.message.message());
        let published = self.publish_as_mapped(&mapped, tally, state, out);
        // What repeats it is to be mapped too, and is not what was delivered.
        self.publisher.refused();
        if matches!(published, Published::WaitFor(_)) {
            let held = Bound::Held(self.mappings_seen, way.subject.clone());
            self.bound = Some(Box::new(held));
        }
        // If only the search for its status 503 goes on, the message itself is over.
        if self.publisher.has_begun() {
            let begun = std::mem::take(&mut way.message);
            self.bound = Some(Box::new(Bound::Begun(begun)));
        }
        way.trim();
        state.way = way;
        Some(published)
    }

    fn publish_as_mapped<O: Outbox>(
        &mut self,
        run: &Run<'_>,
        tally: &mut Tally,
        state: &mut State,
        out: &mut O,
    ) -> Published {
        let refusal = (self.permissions).refuse_publish(run.first(), &mut state.verdicts);
        match refusal {
            Some(violation) => self.publish_refused(violation, run, tally, state, out),
            None => self.publish_allowed(run, tally, state, out),
        }
    }
}
