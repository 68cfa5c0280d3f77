//! What a client was denied, as the log tells it: a line a second at most, since a client may try without end.

use crate::core::receiver::{Label, line_about};
use midge_protocol::Violation;
use midge_reactor::Time;
use std::time::Duration;

/// Time between two lines about one client.
const QUIET: Duration = Duration::from_secs(1);

/// What the log was told of what one client was denied.
#[derive(Debug, Default)]
pub(super) struct Denials {
    told: Option<Time>,
    /// Since then.
    untold: u64,
}

impl Denials {
    /// A client, which is `user`, was denied something; `sid` is that of a subscription.
    pub(super) fn log(
        &mut self,
        label: &Label,
        user: &str,
        violation: &Violation<'_>,
        sid: &[u8],
        now: Time,
    ) {
        if let Some(line) = self.line(user, violation, sid, now) {
            line_about!(error, label, "{line}");
        }
    }

    /// What is to be told.
    fn line(
        &mut self,
        user: &str,
        violation: &Violation<'_>,
        sid: &[u8],
        now: Time,
    ) -> Option<String> {
        let is_quiet = self.told.is_some_and(|told| now - told < QUIET);
        let is_denial = matches!(
            violation,
            Violation::PublishDenied { .. }
                | Violation::ReplyDenied { .. }
                | Violation::SubscribeDenied { .. }
        );
        if is_quiet || !is_denial {
            self.untold += u64::from(is_denial);
            return None;
        }
        self.told = Some(now);
        let user = if user.is_empty() { "N/A" } else { user };
        let line = match *violation {
            Violation::PublishDenied { subject } => {
                format!(
                    "Publish Violation - User {user:?}, Subject {}",
                    quoted(subject)
                )
            }
            Violation::ReplyDenied { reply } => {
                format!("Publish Violation - User {user:?}, Reply {}", quoted(reply))
            }
            Violation::SubscribeDenied { subject, queue } => {
                let queue = queue.map(|queue| format!(", Queue: {}", quoted(queue)));
                format!(
                    "Subscription Violation - User {user:?}, Subject {}{}, SID {}",
                    quoted(subject),
                    queue.unwrap_or_default(),
                    sid.escape_ascii()
                )
            }
            _ => return None,
        };
        Some(match std::mem::take(&mut self.untold) {
            0 => line,
            untold => format!("{line}, and {untold} more since the last line"),
        })
    }
}

/// A subscription, as the log names it.
pub(super) fn named(subject: &[u8], sid: &[u8]) -> String {
    format!("{} (sid {})", quoted(subject), quoted(sid))
}

/// A reload took this number of subscriptions away, of which these are the first.
pub(super) fn log_removed(label: &Label, removed: usize, named: &[String], user: &str) {
    let more = match removed - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = named.join(", ");
    line_about!(
        info,
        label,
        "Removed {removed} subs for User {user:?} - not authorized: {named}{more}"
    );
}

/// In double quotes, with nothing in it that could end the line.
fn quoted(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_tries_without_end_fills_no_log() {
        let mut denials = Denials::default();
        let at = |millis| Time::ZERO + Duration::from_millis(millis);
        let publish = Violation::PublishDenied { subject: b"a\n" };
        let subscribe = Violation::SubscribeDenied {
            subject: b"b",
            queue: Some(b"q"),
        };
        let reply = Violation::ReplyDenied { reply: b"_R_.x" };
        let mut line = |violation, millis| denials.line("ann", violation, b"7", at(millis));
        assert_eq!(line(&Violation::InvalidSubject, 0), None);
        let told = line(&publish, 0).expect("it is the first");
        assert_eq!(told, "Publish Violation - User \"ann\", Subject \"a\\n\"");
        assert_eq!((line(&publish, 500), line(&reply, 999)), (None, None));
        let told = line(&subscribe, 1000).expect("a second has passed");
        let text = "Subscription Violation - User \"ann\", Subject \"b\", Queue: \"q\", SID 7";
        assert_eq!(told, format!("{text}, and 2 more since the last line"));
        let told = line(&reply, 2000).expect("a second has passed");
        assert_eq!(told, "Publish Violation - User \"ann\", Reply \"_R_.x\"");
        let told = denials
            .line("", &publish, b"", at(9000))
            .expect("it is late");
        assert!(told.starts_with("Publish Violation - User \"N/A\""));
    }
}
