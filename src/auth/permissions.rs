//! `Permissions`: what a client may publish, and subscribe to.
//!
//! Some subjects and one queue group are kept for traffic between servers, and refused to every user. What one
//! user may do and another may not will be fields of this value; the settings have none yet.

use midge_protocol::{Publish, Violation};

/// The queue group of servers that answer for the system.
const SYSTEM_QUEUE: &[u8] = b"_sys_";

/// What a client may publish, and subscribe to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Permissions;

impl Permissions {
    /// Why a message may not be published, if it may not.
    #[inline]
    pub(crate) fn refuse_publish<'a>(self, message: &Publish<'a>) -> Option<Violation<'a>> {
        let (subject, reply) = (message.subject(), message.reply());
        if subject.starts_with(b"_GR_.") {
            return Some(Violation::PublishDenied { subject });
        }
        let is_reserved = |reply: &[u8]| {
            let acknowledges = reply
                .strip_prefix(b"$JS.ACK.")
                .is_some_and(|rest| !rest.is_empty());
            acknowledges || reply.starts_with(b"_R_.") || reply.starts_with(b"_GR_.")
        };
        let reply = reply.filter(|reply| is_reserved(reply))?;
        Some(Violation::ReplyDenied { reply })
    }

    /// Why `subject` may not be subscribed to in this queue group, or in none, if it may not.
    pub(crate) fn refuse_subscribe<'a>(
        self,
        subject: &'a [u8],
        queue: Option<&'a [u8]>,
    ) -> Option<Violation<'a>> {
        (queue == Some(SYSTEM_QUEUE)).then_some(Violation::SubscribeDenied { subject, queue })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_servers_is_refused_to_every_user() {
        for (subject, reply, refused) in [
            ("a", None, None),
            ("a", Some("b"), None),
            ("_GR_", None, None),
            (
                "_GR_.a",
                None,
                Some("Permissions Violation for Publish to \"_GR_.a\""),
            ),
            (
                "a",
                Some("_R_.b"),
                Some("Permissions Violation for Publish with Reply of \"_R_.b\""),
            ),
            (
                "a",
                Some("_GR_.b"),
                Some("Permissions Violation for Publish with Reply of \"_GR_.b\""),
            ),
            ("a", Some("$JS.ACK."), None),
            (
                "a",
                Some("$JS.ACK.b"),
                Some("Permissions Violation for Publish with Reply of \"$JS.ACK.b\""),
            ),
        ] {
            let (mut buffer, reply) = (Vec::new(), reply.map(str::as_bytes));
            let message = Publish::compose(&mut buffer, subject.as_bytes(), reply, b"", b"");
            let violation = Permissions.refuse_publish(&message);
            let text = violation.map(|violation| violation.to_string());
            assert_eq!(text.as_deref(), refused, "{subject} {reply:?}");
        }
        assert_eq!(Permissions.refuse_subscribe(b"a", None), None);
        assert_eq!(Permissions.refuse_subscribe(b"a", Some(b"q")), None);
        let (subject, queue) = (&b"a"[..], Some(&b"_sys_"[..]));
        let denied = Violation::SubscribeDenied { subject, queue };
        assert_eq!(Permissions.refuse_subscribe(subject, queue), Some(denied));
    }
}
