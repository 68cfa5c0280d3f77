//! What new settings mean for a client that is connected.

use super::Client;
use crate::auth::Verdict;
use crate::config::Config;
use crate::link::queues;
use crate::state::State;
use midge_protocol::Violation;
use midge_reactor::Context;

/// New settings, and what about them concerns clients that are connected.
#[derive(Debug)]
pub(crate) struct Changes {
    former: Config,
    bounds: bool,
    pings: bool,
    other: bool,
}

impl Changes {
    /// The settings are `config` now and were `former`.
    pub(crate) fn of(former: Config, config: &Config) -> Changes {
        let bounds = |config: &Config| {
            let Config {
                pending_bytes_max,
                stall_producers,
                write_deadline,
                ..
            } = *config;
            (pending_bytes_max, stall_producers, write_deadline)
        };
        let limits = |config: &Config| (config.payload_bytes_max, config.control_line_bytes_max);
        Changes {
            bounds: bounds(&former) != bounds(config),
            pings: former.ping_interval != config.ping_interval,
            other: limits(&former) != limits(config) || !is_same_auth(&former, config),
            former,
        }
    }

    /// Whether there is anything for a client to do.
    pub(crate) fn is_any(&self) -> bool {
        self.bounds || self.pings || self.other
    }
}

/// Whether clients must present the same under both.
pub(crate) fn is_same_auth(one: &Config, other: &Config) -> bool {
    one.auth == other.auth && one.no_auth_user == other.no_auth_user
}

impl Client {
    /// Goes on under new settings, or ends.
    pub(crate) fn reloaded(&mut self, cx: &mut Context<'_, State>, changes: &Changes) {
        let Some(session) = &mut self.session else {
            return;
        };
        let verdict = session.reloaded(&changes.former, cx.state);
        if !session.is_awaited() {
            self.link.end_login(cx);
        }
        if changes.bounds {
            queues::bound(cx);
        }
        if changes.pings {
            self.link.ping_interval_changed(cx);
        }
        let outcome = match verdict {
            Verdict::Welcome => Ok(()),
            Verdict::Refused => Err(Violation::Authorization),
            // It goes on meanwhile: a moment ago all was well.
            Verdict::Pending(inquiry) => {
                self.compute(cx, inquiry, Client::reconsidered);
                Ok(())
            }
        };
        if let Err(violation) = outcome {
            self.refuse(cx, &violation);
        }
    }

    /// Another thread has looked whether its credentials are still good.
    fn reconsidered(&mut self, cx: &mut Context<'_, State>, is_good: bool, version: u32) {
        let Some(session) = &mut self.session else {
            return;
        };
        // If the settings have changed again, or it has presented others, this was done again too.
        if version != cx.state.auth_version || !session.is_suspect(cx.state) {
            return;
        }
        if is_good {
            session.reconsidered(&Verdict::Welcome, cx.state);
        } else {
            self.refuse(cx, &Violation::Authorization);
        }
    }

    /// There are too many clients, and this one is to go.
    pub(crate) fn close_as_surplus(&mut self, cx: &mut Context<'_, State>) {
        if self.session.is_some() {
            self.refuse(cx, &Violation::ConnectionsMax);
        }
    }
}
