//! What a user may publish, and subscribe to.
//!
//! Made once for each user, and shared by its clients, as a [`Grant`]. What it comes to for one of them is said in
//! `auth/`.

use super::duration;
use midge_protocol::{Subjects, subject};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a user may publish, and subscribe to. The default is everything.
///
/// ```
/// use midge::{Permission, Permissions, Subjects, Subscriptions};
///
/// let permissions = Permissions {
///     publish: Permission { allow: Some(Subjects::new(["orders.>"])), ..Permission::default() },
///     subscribe: Permission {
///         allow: Some(Subscriptions::parse(["orders.>", "jobs workers"])?),
///         deny: Subscriptions::parse(["orders.secret.>"])?,
///     },
///     responses: None,
/// };
/// # Ok::<(), midge::InvalidSubject>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Permissions {
    /// Which messages it may publish, by their subjects.
    pub publish: Permission<Subjects>,
    /// What it may subscribe to.
    pub subscribe: Permission<Subscriptions>,
    /// Which responses it may publish whatever else is said; with some, and no list of what it may publish, it may
    /// publish nothing else. Default: none.
    pub responses: Option<Responses>,
}

/// Permissions that were made once and change no more: cheap to clone, and shared by all clients of a user.
///
/// ```
/// use midge::{Permissions, User};
///
/// let ann = User { permissions: Some(Permissions::default().into()), ..User::default() };
/// ```
#[derive(Clone, Debug)]
pub struct Grant(Arc<Numbered>);

#[derive(Debug)]
struct Numbered {
    permissions: Permissions,
    number: u64,
}

impl Grant {
    /// Its own number in this process: never zero, and that of no other, though it were equal.
    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }
}

impl From<Permissions> for Grant {
    fn from(permissions: Permissions) -> Grant {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed) + 1;
        Grant(Arc::new(Numbered {
            permissions,
            number,
        }))
    }
}

impl Deref for Grant {
    type Target = Permissions;

    fn deref(&self) -> &Permissions {
        &self.0.permissions
    }
}

/// Whether they say the same.
impl PartialEq for Grant {
    fn eq(&self, other: &Grant) -> bool {
        self.number() == other.number() || **self == **other
    }
}

impl Eq for Grant {}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// What is allowed, and what of that is denied.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Permission<T> {
    /// `None` is everything.
    pub allow: Option<T>,
    /// Wins over what is allowed.
    pub deny: T,
}

/// Responses: messages to the reply subject of a message that was delivered to the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Responses {
    /// How many to each; `None` is any number. Default 1.
    pub max: Option<u32>,
    /// For how long after the message; `None` is for ever. Default 2 minutes.
    pub expires: Option<Duration>,
}

impl Default for Responses {
    fn default() -> Responses {
        Responses {
            max: Some(1),
            expires: Some(Duration::from_secs(120)),
        }
    }
}

/// Subjects to subscribe to, some of them for members of queue groups only.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Subscriptions {
    /// Outside of queue groups, and in every group.
    pub(crate) plain: Arc<Subjects>,
    /// In the groups of one name, or, by wildcards, of many.
    pub(crate) queues: Vec<(Box<[u8]>, Arc<Subjects>)>,
}

/// A text that is no subject that may be subscribed to, and no such subject with the name of a queue group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidSubject(pub String);

impl fmt::Display for InvalidSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "subject {:?} is not a valid subject", self.0)
    }
}

impl std::error::Error for InvalidSubject {}

impl Subscriptions {
    /// Those of `subject`, or of `subject queue`: a queue group by its name, or by a subject with wildcards.
    ///
    /// # Errors
    /// The first that is neither.
    pub fn parse<'a>(
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Subscriptions, InvalidSubject> {
        let mut plain = Vec::new();
        let mut queues: Vec<(&str, Vec<&str>)> = Vec::new();
        for text in texts {
            let invalid = |subject: &str| InvalidSubject(subject.to_owned());
            let words: Vec<&str> = text.split_whitespace().collect();
            let (subject, queue) = match words[..] {
                [subject] => (subject, None),
                [subject, queue] => (subject, Some(queue)),
                _ => return Err(invalid(text)),
            };
            if !subject::is_subscribable(subject.as_bytes()) {
                return Err(invalid(subject));
            }
            let Some(queue) = queue else {
                plain.push(subject);
                continue;
            };
            match queues.iter_mut().find(|(name, _)| *name == queue) {
                Some((_, subjects)) => subjects.push(subject),
                None => queues.push((queue, vec![subject])),
            }
        }
        queues.sort_unstable();
        let subjects = |(queue, subjects): (&str, Vec<&str>)| {
            (queue.as_bytes().into(), Arc::new(Subjects::new(subjects)))
        };
        Ok(Subscriptions {
            plain: Arc::new(Subjects::new(plain)),
            queues: queues.into_iter().map(subjects).collect(),
        })
    }

    /// Each of them, as it is written.
    pub(crate) fn texts(&self) -> Vec<String> {
        let mut all = texts(&self.plain);
        for (queue, subjects) in &self.queues {
            let queue = String::from_utf8_lossy(queue);
            all.extend(
                texts(subjects)
                    .iter()
                    .map(|subject| format!("{subject} {queue}")),
            );
        }
        all
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.queues.is_empty()
    }
}

impl Permissions {
    /// The same, with further subjects denied.
    pub(crate) fn denying(&self, publish: &[&str], subscribe: &[&str]) -> Permissions {
        let with = |list: &Subjects, more: &[&str]| {
            let own = texts(list);
            Subjects::new(own.iter().map(String::as_str).chain(more.iter().copied()))
        };
        let mut all = self.clone();
        all.publish.deny = with(&all.publish.deny, publish);
        all.subscribe.deny.plain = Arc::new(with(&all.subscribe.deny.plain, subscribe));
        all
    }

    /// Whether nothing is refused.
    pub fn is_everything(&self) -> bool {
        let Permissions {
            publish,
            subscribe,
            responses,
        } = self;
        let publishes = publish.allow.is_none() && publish.deny.is_empty();
        let subscribes = subscribe.allow.is_none() && subscribe.deny.is_empty();
        publishes && subscribes && responses.is_none()
    }
}

/// As in a configuration file.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Permissions {
            publish,
            subscribe,
            responses,
        } = self;
        let mut parts = Vec::new();
        let mut rule = |name: &str, allow: Option<Vec<String>>, deny: Vec<String>| {
            let mut lists = Vec::new();
            lists.extend(allow.map(|all| format!("allow: [{}]", all.join(", "))));
            lists.extend((!deny.is_empty()).then(|| format!("deny: [{}]", deny.join(", "))));
            if !lists.is_empty() {
                parts.push(format!("{name}: {{{}}}", lists.join(", ")));
            }
        };
        let allow = publish.allow.as_ref().map(texts);
        rule("publish", allow, texts(&publish.deny));
        let allow = subscribe.allow.as_ref().map(Subscriptions::texts);
        rule("subscribe", allow, subscribe.deny.texts());
        parts.extend(
            responses
                .as_ref()
                .map(|one| format!("allow_responses: {one}")),
        );
        write!(f, "{{{}}}", parts.join(", "))
    }
}

impl fmt::Display for Responses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let max = self.max.map_or("-1".to_owned(), |max| max.to_string());
        let expires = self.expires.map_or("-1s".to_owned(), duration::show);
        write!(f, "{{max: {max}, expires: {expires}}}")
    }
}

/// Each of `subjects`, as it is written.
pub(crate) fn texts(subjects: &Subjects) -> Vec<String> {
    let texts = subjects.texts().into_iter();
    texts
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_a_subject_or_a_subject_and_a_queue() {
        let parsed = Subscriptions::parse([" a.* ", "b q", "b\tq.*", "c q"]).expect("they are");
        assert_eq!(parsed.plain.texts(), [b"a.*"]);
        let queues: Vec<_> = parsed
            .queues
            .iter()
            .map(|(name, all)| (&**name, all.texts()))
            .collect();
        let both = vec![b"b".to_vec(), b"c".to_vec()];
        assert_eq!(queues, [(&b"q"[..], both), (b"q.*", vec![b"b".to_vec()])]);
        for (text, told) in [
            ("", ""),
            ("a..b", "a..b"),
            ("a. q", "a."),
            ("a b c", "a b c"),
        ] {
            let error = Subscriptions::parse(["a", text]).expect_err("it is neither");
            assert_eq!(error, InvalidSubject(told.to_owned()));
        }
    }
}
