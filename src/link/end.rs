//! The end of a connection: why, what is told of it, and what it leaves.

use super::Link;
use super::shutdown::end_if_alone;
use crate::core::accounts::AccountId;
use crate::core::close::CloseReason;
use crate::core::receiver::{Label, Traffic, line_about};
use crate::door::Transport;
use crate::state::State;
use crate::state::told::is_slow_told;
use crate::websocket::{self, Framing};
use midge_reactor::Context;
use std::time::Duration;

/// What there is to tell of a conversation that is over.
#[derive(Debug)]
pub(crate) struct Summary {
    /// How the far end has introduced itself.
    pub introduced: String,
    /// The account that it was in.
    pub account: AccountId,
    pub received: Traffic,
    pub sent: Traffic,
}

impl Link {
    /// Whether it is over, or is being sent away.
    pub(crate) fn is_over(&self) -> bool {
        self.reason.is_some()
    }

    /// The conversation is over, or never began: answers why, which is the first reason that there was, and
    /// whether that is this one.
    pub(crate) fn over(&mut self, reason: CloseReason) -> (CloseReason, bool) {
        let is_new = self.reason.is_none();
        (*self.reason.get_or_insert(reason), is_new)
    }

    /// Has the far end told why, behind all that is queued for it, if its framing has words for that.
    pub(crate) fn tell_end(&self, cx: &mut Context<'_, State>) {
        if let (Transport::WebSocket, Some(reason)) = (self.label.door.transport(), self.reason)
            && let Some(framing) = cx.layer_mut::<Framing>()
        {
            framing.end_with(websocket::status_of(reason), &reason.to_string());
        }
    }

    /// What became of the conversation.
    pub(crate) fn sum_up(&mut self, summary: Summary) {
        self.summary = Some(Box::new(summary));
    }

    /// Nothing is asked of it any more, and no publisher waits for it.
    pub(crate) fn release(&mut self, cx: &mut Context<'_, State>) {
        let key = cx.key();
        cx.state.core.backpressure.left(key, &mut cx.io);
        self.liveness.end(cx);
        self.end_login(cx);
        self.expire(cx, None);
    }

    /// Its conversation is over and its socket is not closed.
    pub(crate) fn stand_with_ending(&mut self, cx: &mut Context<'_, State>, is_sent_away: bool) {
        if self.ending.is_none() {
            self.ending = cx.state.ending.add(cx.key(), is_sent_away);
        }
    }

    /// Closes it once its last words are written.
    pub(crate) fn dismiss(&mut self, cx: &mut Context<'_, State>) {
        self.stand_with_ending(cx, true);
        if cx.io.congested(cx.key()) {
            // It reads nothing, so it would not read this: its queue is better spent on others.
            cx.close();
        } else {
            cx.close_after_write();
        }
    }

    /// Its socket is closed: tells why, and ends the broker in lame duck mode if it was the last. `kind` is what the
    /// log calls it.
    pub(crate) fn closed(&mut self, cx: &mut Context<'_, State>, kind: &str) {
        if let Some(place) = self.ending.take() {
            cx.state.ending.remove(place);
        }
        let reason = self.reason.unwrap_or(CloseReason::ClientClosed);
        self.log_loss(cx, reason);
        self.log_end(kind, reason, cx.now() - self.opened);
        end_if_alone(cx);
    }

    /// Counts it, for all accounts together and for the one that it was in.
    fn count_slow_consumer(&self, state: &mut State) {
        state.counts.slow_consumers += 1;
        if let Some(summary) = &self.summary {
            state.core.accounts[summary.account].slow_consumers += 1;
        }
    }

    /// Counts and tells what it did not get, if it was too slow or the broker ends.
    fn log_loss(&self, cx: &mut Context<'_, State>, reason: CloseReason) {
        let (label, queued) = (&self.label, cx.queued());
        let is_slow = matches!(
            reason,
            CloseReason::SlowConsumerPending
                | CloseReason::SlowConsumerTotal
                | CloseReason::SlowConsumerDeadline
        );
        if is_slow {
            self.count_slow_consumer(cx.state);
            let now = cx.now();
            // One message may be too much for thousands.
            if !is_slow_told(cx.state, now) {
                return;
            }
        }
        match reason {
            CloseReason::SlowConsumerPending => {
                let max = cx.state.config.pending_bytes_max;
                line_about!(
                    info,
                    label,
                    "Slow Consumer Detected: MaxPending of {max} Exceeded"
                );
            }
            CloseReason::SlowConsumerTotal => {
                let max = cx.state.core.total_bytes_max;
                line_about!(
                    info,
                    label,
                    "Slow Consumer Detected: MaxPendingTotal of {max} neared by all queues together; this one is among the longest, with {queued} bytes"
                );
            }
            CloseReason::SlowConsumerDeadline => {
                let deadline = cx.state.config.write_deadline;
                line_about!(
                    info,
                    label,
                    "Slow Consumer Detected: WriteDeadline of {deadline:?} exceeded with {queued} total bytes."
                );
            }
            CloseReason::ServerShutdown if queued > 0 => {
                line_about!(
                    warn,
                    label,
                    "{queued} queued bytes could not be sent before the connection ended"
                );
            }
            _ => {}
        }
    }

    /// One line about a connection that has ended: who, why, how long, how much.
    fn log_end(&self, kind: &str, reason: CloseReason, open: Duration) {
        if !log::log_enabled!(target: "midge", log::Level::Debug) {
            return;
        }
        let Label { peer, cid, .. } = self.label;
        let Some(summary) = &self.summary else {
            return log::debug!(
                target: "midge", cid, peer:%, reason:%, open_seconds = open.as_secs_f64();
                "{} - {kind} connection closed: {reason}", self.label
            );
        };
        let Summary {
            introduced,
            received,
            sent,
            ..
        } = &**summary;
        let who = match introduced.as_str() {
            "" => String::new(),
            text => format!("{text:?}, "),
        };
        log::debug!(
            target: "midge",
            cid,
            peer:%,
            reason:%,
            client = introduced.as_str(),
            open_seconds = open.as_secs_f64(),
            in_msgs = received.messages,
            in_bytes = received.bytes,
            out_msgs = sent.messages,
            out_bytes = sent.bytes;
            "{} - {kind} connection closed: {reason}; {who}open for {open:.3?}, \
             in {} messages, {} bytes, out {} messages, {} bytes",
            self.label, received.messages, received.bytes, sent.messages, sent.bytes
        );
    }
}
