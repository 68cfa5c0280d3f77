//! What a client does wrong, as the log tells it.

use super::session::Session;
use crate::auth::failures::Kind;
use crate::config::{Auth, Config};
use crate::core::receiver::{Label, line_about};
use crate::state::State;
pub(super) use crate::state::told::is_told;
use midge_protocol::{ConnectOptions, Fault, Violation};
use midge_reactor::Time;

/// What has ended a conversation.
pub(super) struct Wrong {
    pub(super) violation: Violation<'static>,
    /// Where the parser stopped, for the log.
    pub(super) place: Option<Place>,
}

/// Where in its input a client was wrong, as far as the log may show it.
pub(super) struct Place {
    text: String,
    /// Bytes that a message was to have, if it was one.
    announced: Option<usize>,
}

impl Place {
    #[cold]
    pub(super) fn of(fault: Fault<'_>) -> Place {
        let announced = match fault {
            Fault::Arguments { announced, .. } => announced,
            _ => None,
        };
        let text = fault.to_string();
        Place { text, announced }
    }
}

impl From<Violation<'static>> for Box<Wrong> {
    fn from(violation: Violation<'static>) -> Box<Wrong> {
        Box::new(Wrong {
            violation,
            place: None,
        })
    }
}

/// One line for the operator about what a client did wrong, whose conversation this is.
pub(super) fn log_violation(
    label: &Label,
    session: Option<&Session>,
    violation: &Violation<'_>,
    place: Option<&Place>,
    state: &mut State,
    now: Time,
) {
    if kind_of(violation, session).is_some_and(|kind| !is_told(state, kind, now)) {
        return;
    }
    let text = place.map_or("", |place| place.text.as_str());
    match violation {
        Violation::UnknownOperation => {
            line_about!(error, label, "Client parser ERROR: {violation}, {text}");
        }
        Violation::Parse => {
            // The parser leaves the object of a CONNECT to the session.
            let text = place.map_or("in the arguments of CONNECT", |_| text);
            line_about!(error, label, "Client parser ERROR: {violation} {text}");
        }
        Violation::Kicked { .. } => line_about!(info, label, "{violation}"),
        Violation::PeerError => line_about!(error, label, "Client Error {text}"),
        Violation::ControlLineTooLong => {
            let max = state.config.control_line_bytes_max;
            line_about!(error, label, "{violation}: max_control_line {max}, {text}");
        }
        Violation::Authorization | Violation::AuthenticationTimeout => {
            let text = failure(violation, session, label, &state.config);
            line_about!(error, label, "{text}");
        }
        // The limiter, or what counts handshakes, tells of these.
        Violation::OwnConnectionsMax
        | Violation::AccountConnectionsMax
        | Violation::ConnectionRateMax
        | Violation::RateMax
        | Violation::Throttled => {
            line_about!(debug, label, "{violation}");
        }
        Violation::PayloadTooLarge => {
            let announced = place.and_then(|place| place.announced).unwrap_or_default();
            let max = session.map_or(0, |session| session.rules().payload_bytes_max);
            line_about!(
                error,
                label,
                "maximum payload exceeded: {announced} vs {max}"
            );
        }
        _ => line_about!(error, label, "{violation}"),
    }
}

/// As what a violation counts that may come by the thousand; `None` if others tell of it, or an operator has asked for
/// it.
fn kind_of(violation: &Violation<'_>, session: Option<&Session>) -> Option<Kind> {
    match violation {
        Violation::OwnConnectionsMax
        | Violation::AccountConnectionsMax
        | Violation::ConnectionRateMax
        | Violation::RateMax
        | Violation::Throttled
        | Violation::Kicked { .. } => None,
        Violation::Authorization | Violation::AuthenticationTimeout => Some(Kind::Login),
        Violation::ConnectionsMax => Some(Kind::Beginning),
        _ => Some(kind_of_error(session)),
    }
}

/// As what the end by an error counts: before its login a peer may be anybody, and is not to use up the lines about
/// those who are let in.
pub(super) fn kind_of_error(session: Option<&Session>) -> Kind {
    match session.is_none_or(Session::is_awaited) {
        true => Kind::Beginning,
        false => Kind::Conversation,
    }
}

/// What has failed: of several users, as whom.
fn failure(
    violation: &Violation<'_>,
    session: Option<&Session>,
    label: &Label,
    config: &Config,
) -> String {
    let auth = config.terms(label.door).auth;
    match (violation, session, auth) {
        (Violation::Authorization, Some(session), Auth::Users { .. }) => {
            if let Some(why) = session.held_to_other_ways(config) {
                return format!("authentication error - {why}");
            }
            if let Some(names) = session.sought(config) {
                return match names.as_str() {
                    "" => "authentication error - the certificate has no name".to_owned(),
                    names => format!(
                        "authentication error - no user is called {names}, as the certificate has it"
                    ),
                };
            }
            let ConnectOptions { user, nkey, .. } = session.options();
            match !nkey.is_empty() && auth.has_key() {
                true => format!("authentication error - Nkey {nkey:?}"),
                false => format!("authentication error - User {user:?}"),
            }
        }
        (Violation::Authorization, ..) => "authentication error".to_owned(),
        _ => violation.to_string(),
    }
}
