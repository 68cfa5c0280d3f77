//! The loop over a client's messages: nearly all bytes are spent here. What a client may do in its turn, and
//! what it pays for.

use super::Client;
use super::callout::take_answers_later;
use crate::core::backpressure::crowd;
use crate::core::delivery::{Published, Quota, Tally};
use crate::limits::Ration;
use crate::link::queues::Queues;
use crate::state::State;
use midge_reactor::{Context, Input, Key};

/// Most work done for one client's messages before the others have their turn, in subscriptions
/// and places of the sublist looked at: a few hundred bytes may ask for much and produce nothing.
const TURN_WORK_MAX: usize = 50_000;

/// After so much of it the clock is looked at: what a place costs is not always the same.
const WORK_BETWEEN_LOOKS: usize = 400;

/// Most work and output of messages that are delivered together, without a look at the clock: some 0.2
/// milliseconds, or ten times as much where memory must come from the system.
const RUN_WORK_MAX: usize = 8_000;
const RUN_BYTES_MAX: usize = 512 * 1024;

/// What is done of a message that goes in pieces before the clock is looked at, some 50 microseconds, 100 where
/// memory must come from the system; and most of it in one turn: very many clients may each have such a message.
const PIECE_WORK: usize = 500;
const PIECE_BYTES: usize = 32 * 1024;
const PIECES_WORK_MAX: usize = 4_000;

/// Most messages of one control line that are taken together: by then a look at each receiver costs
/// nothing.
const RUN_MESSAGES_MAX: usize = 256;

/// What has ended the publishes that came one behind the other.
pub(super) enum Ended {
    /// Something else comes next, or nothing.
    Over,
    /// The next one must wait for this receiver.
    WaitFor(Key),
    /// It is the others' turn.
    Yield,
}

impl Client {
    /// Carries out the publishes that come next and are whole and plainly written: nearly all bytes
    /// are spent here. `RATIONED` is whether its `ration` counts, and `MAPPED` whether there are mappings for what it
    /// publishes: without them the loop has nothing of either.
    pub(super) fn run_publishes<const RATIONED: bool, const MAPPED: bool>(
        &mut self,
        cx: &mut Context<'_, State>,
        input: &mut Input<'_>,
        tally: &mut Tally,
        ration: &mut Ration,
    ) -> Ended {
        let Some(session) = &mut self.session else {
            return Ended::Over;
        };
        // One that has begun goes on as any op does.
        if session.has_begun() {
            return Ended::Over;
        }
        let mut rest = input.peek();
        let end = 'input: loop {
            let rules = session.rules();
            // Lent from where it is: to move it costs as much as to compare a control line.
            let count_max = match RATIONED {
                true => ration.messages_max(RUN_MESSAGES_MAX),
                false => RUN_MESSAGES_MAX,
            };
            if RATIONED && count_max == 0 && !ration.drops(session.options().verbose) {
                break Ended::Over;
            }
            let mut next = self.parser.next_run(rest, rules, count_max.max(1));
            let Some(run) = &mut next else {
                break Ended::Over;
            };
            let each = run.bytes_each();
            if RATIONED && count_max == 0 {
                rest = &rest[each..];
                ration.dropped += 1;
                tally.charge(1);
                session.dropped();
                Client::tell_dropped(session, cx, run.first().subject());
                continue;
            }
            // Those that cannot go together are not tried again.
            let mut together = run.count();
            loop {
                // Before it is asked whose turn it is: one at least goes in each.
                let before = cx.io.produced();
                let published = if together > 1 {
                    let quota = quota(cx, tally);
                    session.publish::<MAPPED, _>(
                        run,
                        quota,
                        tally,
                        cx.state,
                        &mut Queues(&mut cx.io),
                    )
                } else {
                    session.publish_one::<MAPPED, _>(run, tally, cx.state, &mut Queues(&mut cx.io))
                };
                let messages = match published {
                    Published::Taken { messages, .. } => messages,
                    Published::WaitFor(receiver) => {
                        cx.state.measure(run.first().subject(), tally);
                        break 'input Ended::WaitFor(receiver);
                    }
                    Published::InPieces => {
                        // Those before it are measured here: it may be another turn that goes on with it.
                        cx.state.measure(run.first().subject(), tally);
                        break 'input Ended::Over;
                    }
                };
                pay(cx, messages * each, before, tally);
                rest = &rest[messages * each..];
                if messages == 1 {
                    together = 1;
                }
                let is_over = has_had_its_turn(cx, tally);
                if RATIONED {
                    ration.spend(messages, messages * each);
                }
                let is_spent = RATIONED && ration.messages_max(1) == 0;
                let is_last = is_over || is_spent || !run.advance(messages);
                // Once for all of the run, so that a long one is counted and not sampled. Behind the loop,
                // where it would be plainer, it costs 4 % more where subjects do not repeat.
                if is_last {
                    cx.state.measure(run.first().subject(), tally);
                }
                if is_over {
                    break 'input Ended::Yield;
                }
                if is_last {
                    break;
                }
            }
        };
        let done = input.len() - rest.len();
        if done > 0 {
            input.consume(done);
            self.link.heard(cx.now());
        }
        end
    }

    /// Takes a turn: `work` is all that this client does in it, and what its messages come to is counted for
    /// it, for the broker, and for monitoring.
    pub(super) fn take_turn<R>(
        &mut self,
        cx: &mut Context<'_, State>,
        work: impl FnOnce(&mut Client, &mut Context<'_, State>, &mut Tally) -> R,
    ) -> R {
        if let Some(records) = &mut cx.state.records {
            let core = &cx.state.core;
            let account = self.session.as_ref().map(|session| {
                let account = core.receiver(session.id()).account;
                core.accounts.born(account)
            });
            records.meter.begin_turn(cx.io.now(), account);
        }
        cx.state.core.clock.set(cx.io.now());
        cx.state.core.backpressure.begin(cx.key(), &cx.io);
        if cx.io.is_crowded() {
            crowd::look(&mut cx.state.core, &mut cx.io);
        } else {
            cx.state.core.backpressure.nobody_crowds();
        }
        let mut tally = Tally::default();
        let outcome = work(self, cx, &mut tally);
        if let Some(session) = &self.session
            && !tally.is_empty()
        {
            let received = cx.state.core.settle(session.id(), &tally);
            if let Some(records) = &mut cx.state.records {
                debug_assert!(tally.is_measured(), "{tally:?}");
                records.meter.end_turn(self.link.label.cid, received);
            }
        }
        if cx.state.core.requests.has_answers() {
            take_answers_later(cx);
        }
        if !cx.state.core.requests.is_empty() || !cx.state.asking.is_empty() {
            cx.defer(cx.state.serving.serve);
        }
        outcome
    }
}

/// What the present client may still do and queue in its turn, before the clock is looked at.
fn quota(cx: &Context<'_, State>, tally: &Tally) -> Quota {
    let work = TURN_WORK_MAX.saturating_sub(tally.work());
    Quota {
        messages: RUN_MESSAGES_MAX,
        work: work.min(RUN_WORK_MAX),
        bytes: cx.io.output_left().min(RUN_BYTES_MAX),
    }
}

/// What is done at once of a message that goes in pieces.
pub(super) fn a_piece(bytes: usize) -> Quota {
    Quota {
        messages: 1,
        work: PIECE_WORK,
        bytes: bytes.min(PIECE_BYTES),
    }
}

/// Whether it is the others' turn, where a message goes in pieces. One at least is done in each turn.
pub(super) fn has_done_its_pieces(cx: &mut Context<'_, State>, tally: &Tally) -> bool {
    let work = tally.work();
    work > 0 && (work >= PIECES_WORK_MAX || cx.io.output_left() == 0 || cx.io.is_time_up())
}

/// Whether the present client has made so much output or work that it is the others' turn.
#[inline]
pub(super) fn has_had_its_turn(cx: &mut Context<'_, State>, tally: &mut Tally) -> bool {
    cx.io.output_left() == 0
        || tally.work_since_look() >= WORK_BETWEEN_LOOKS && has_worked_enough(cx, tally)
}

#[cold]
#[inline(never)]
fn has_worked_enough(cx: &mut Context<'_, State>, tally: &mut Tally) -> bool {
    tally.look();
    tally.work() >= TURN_WORK_MAX || cx.io.is_time_up()
}

/// The present client has published this many bytes, and produced so much until `before`. Some of those it
/// feeds may be behind, and then it has so much less to go on with; in a crowd, each copy counts. Its turn is
/// over if it has made more for itself than it may.
#[inline]
pub(super) fn pay(cx: &mut Context<'_, State>, bytes: usize, before: usize, tally: &mut Tally) {
    if cx.io.any_congested() {
        pay_for_some(cx, bytes, before, tally);
    }
}

#[cold]
#[inline(never)]
fn pay_for_some(cx: &mut Context<'_, State>, bytes: usize, before: usize, tally: &mut Tally) {
    let copies = cx.io.produced() - before;
    let bytes = if cx.io.is_crowded() { copies } else { bytes };
    cx.state.core.backpressure.spend(bytes, &cx.io);
    if cx.state.core.backpressure.pay_for_itself(&cx.io) {
        tally.charge(TURN_WORK_MAX);
    }
}
