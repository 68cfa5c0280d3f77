use super::*;
use crate::config::{Permission, Responses};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn permissions(permissions: config::Permissions) -> Permissions {
    Permissions::of(Some(&permissions.into()))
}

/// Those of lists of texts.
fn subscribe(allow: Option<&[&str]>, deny: &[&str]) -> Permissions {
    let list = |texts: &[&str]| Subscriptions::parse(texts.iter().copied()).expect("they are");
    permissions(config::Permissions {
        subscribe: Permission {
            allow: allow.map(list),
            deny: list(deny),
        },
        ..config::Permissions::default()
    })
}

fn publish(allow: Option<&[&str]>, deny: &[&str], responses: Option<Responses>) -> Permissions {
    permissions(config::Permissions {
        publish: Permission {
            allow: allow.map(Subjects::new),
            deny: Subjects::new(deny),
        },
        responses,
        ..config::Permissions::default()
    })
}

/// Why a message is refused, as it is told.
fn refusal(permissions: &Permissions, subject: &str, reply: Option<&str>) -> Option<String> {
    let (mut buffer, reply) = (Vec::new(), reply.map(str::as_bytes));
    let message = Publish::compose(&mut buffer, subject.as_bytes(), reply, b"", b"");
    let violation = permissions.refuse_publish(&message, &mut Verdicts::default());
    violation.map(|violation| violation.to_string())
}

#[test]
fn what_is_kept_for_servers_is_refused_to_every_user() {
    let to = |subject: &str| Some(format!("Permissions Violation for Publish to {subject:?}"));
    let with = |reply: &str| {
        Some(format!(
            "Permissions Violation for Publish with Reply of {reply:?}"
        ))
    };
    for permissions in [Permissions::default(), publish(Some(&[">"]), &["x"], None)] {
        for (subject, reply, refused) in [
            ("a", None, None),
            ("a", Some("b"), None),
            ("_GR_", None, None),
            ("_GR_.a", None, to("_GR_.a")),
            ("a", Some("_R_.b"), with("_R_.b")),
            ("a", Some("_GR_.b"), with("_GR_.b")),
            ("a", Some("$JS.ACK."), None),
            ("a", Some("$JS.ACK.b"), with("$JS.ACK.b")),
        ] {
            assert_eq!(
                refusal(&permissions, subject, reply),
                refused,
                "{subject} {reply:?}"
            );
        }
        assert_eq!(permissions.refuse_subscribe(b"a", None), None);
        assert_eq!(permissions.refuse_subscribe(b"a", Some(b"q")), None);
        let (subject, queue) = (&b"a"[..], Some(&b"_sys_"[..]));
        let denied = Violation::SubscribeDenied { subject, queue };
        assert_eq!(permissions.refuse_subscribe(subject, queue), Some(denied));
    }
}

#[test]
fn a_user_who_may_do_everything_is_not_asked_about() {
    let nothing_said = config::Permissions::default().into();
    assert_eq!(Permissions::of(Some(&nothing_said)), Permissions::default());
    assert_eq!(Permissions::of(None), Permissions::default());
}

#[test]
fn with_responses_and_no_list_nothing_else_may_be_published() {
    let responses = Some(Responses::default());
    let only = publish(None, &["b"], responses);
    assert!(refusal(&only, "a", None).is_some());
    assert_eq!(only.responses().and_then(|bounds| bounds.max), Some(1));
    let also = publish(Some(&["a"]), &[], responses);
    assert!(refusal(&also, "a", None).is_none() && refusal(&also, "b", None).is_some());
}

#[test]
fn entries_for_queue_groups_say_which_groups_may_subscribe() {
    let queues = [None, Some("v1"), Some("v2"), Some("x.y")];
    for (allow, deny, subject, expected) in [
        (Some(&["r"][..]), &[][..], "r", [true, true, true, true]),
        (Some(&["r v1"]), &[], "r", [false, true, false, false]),
        (Some(&["r", "r v1"]), &[], "r", [true, true, false, false]),
        (Some(&["z.> *"]), &[], "z.a", [false, true, true, false]),
        (Some(&["z.> *.y"]), &[], "z.a", [false, false, false, true]),
        (None, &["r v1"], "r", [true, false, true, true]),
        // In nats-server up to 2.11 the entry for a group lets the others in.
        (None, &["r", "r v1"], "r", [false, false, false, false]),
        (Some(&["r v1"]), &["r >"], "r", [false, false, false, false]),
    ] {
        let permissions = subscribe(allow, deny);
        let may = queues.map(|queue| {
            let refused =
                permissions.refuse_subscribe(subject.as_bytes(), queue.map(str::as_bytes));
            refused.is_none()
        });
        assert_eq!(may, expected, "{allow:?} {deny:?}");
    }
}

/// Tokens of messages. `z` stands for all that no list names.
const TOKENS: [&str; 4] = ["a", "b", "*", "z"];

/// Every message of up to four tokens, which is one more than any subject here has.
fn messages() -> Vec<String> {
    let mut all: Vec<String> = TOKENS.map(str::to_owned).to_vec();
    let mut from = 0;
    for _ in 1..4 {
        let to = all.len();
        for at in from..to {
            let longer = TOKENS.map(|token| format!("{}.{token}", all[at]));
            all.extend(longer);
        }
        from = to;
    }
    all
}

/// Whether a message reaches a subscription, by spelling out what a wildcard may stand for.
fn reaches(message: &str, subject: &str) -> bool {
    match (subject.split_once('.'), message.split_once('.')) {
        (None, _) if subject == ">" => true,
        (None, None) => subject == "*" || subject == message,
        (Some((token, subject)), Some((one, message))) => {
            (token == "*" || token == one) && reaches(message, subject)
        }
        _ => false,
    }
}

/// What a naive broker knows: lists of texts.
#[derive(Clone, Debug)]
struct Naive {
    allow: Option<Vec<String>>,
    deny: Vec<String>,
}

impl Naive {
    /// The entries of a list that are for a group, and those for all.
    fn entries(list: &[String]) -> impl Iterator<Item = (&str, Option<&str>)> {
        list.iter().map(|entry| match entry.split_once(' ') {
            Some((subject, queue)) => (subject, Some(queue)),
            None => (entry.as_str(), None),
        })
    }

    fn is_named(name: &str, queue: &str) -> bool {
        name == queue || reaches(queue, name)
    }

    /// Whether one subject has each message that the other has.
    fn has_all(subject: &str, of: &str, messages: &[String]) -> bool {
        let mut reached = messages.iter().filter(|message| reaches(message, of));
        reached.all(|message| reaches(message, subject))
    }

    fn may_publish(&self, message: &str) -> bool {
        let is_on = |list: &[String]| list.iter().any(|one| reaches(message, one));
        self.allow.as_ref().is_none_or(|list| is_on(list)) && !is_on(&self.deny)
    }

    fn may_subscribe(&self, subject: &str, queue: Option<&str>, messages: &[String]) -> bool {
        let has = |one: &str| Naive::has_all(one, subject, messages);
        for (one, name) in Naive::entries(&self.deny) {
            let is_for =
                name.is_none_or(|name| queue.is_some_and(|queue| Naive::is_named(name, queue)));
            if is_for && has(one) {
                return false;
            }
        }
        let Some(allow) = &self.allow else {
            return true;
        };
        let names: Vec<&str> = Naive::entries(allow)
            .filter(|(one, _)| has(one))
            .filter_map(|(_, name)| name)
            .collect();
        match queue {
            Some(queue) if !names.is_empty() => {
                names.iter().any(|name| Naive::is_named(name, queue))
            }
            _ => Naive::entries(allow).any(|(one, name)| name.is_none() && has(one)),
        }
    }

    fn delivers(&self, message: &str, queue: Option<&str>) -> bool {
        !Naive::entries(&self.deny).any(|(one, name)| {
            let is_for =
                name.is_none_or(|name| queue.is_some_and(|queue| Naive::is_named(name, queue)));
            is_for && reaches(message, one)
        })
    }
}

fn subject() -> impl Strategy<Value = String> {
    "(a|b|\\*)(\\.(a|b|\\*)){0,2}|>|(a|b|\\*)(\\.(a|b|\\*))?\\.>"
}

fn entry() -> impl Strategy<Value = String> {
    let queue = select(vec!["", "", " q", " v.a", " v.*", " *", " >"]);
    (subject(), queue).prop_map(|(subject, queue)| subject + queue)
}

fn naive(entry: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = Naive> {
    let lists = (option::of(vec(entry.clone(), 1..5)), vec(entry, 0..4));
    lists.prop_map(|(allow, deny)| Naive { allow, deny })
}

fn texts(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_publisher_is_refused_as_by_a_naive_broker(naive in naive(subject().boxed())) {
        let allow = naive.allow.as_deref().map(texts);
        let permissions = publish(allow.as_deref(), &texts(&naive.deny), None);
        for message in messages() {
            let is_refused = refusal(&permissions, &message, None).is_some();
            prop_assert_eq!(!is_refused, naive.may_publish(&message), "{}", message);
        }
    }

    #[test]
    fn a_subscriber_is_refused_and_spared_as_by_a_naive_broker(
        naive in naive(entry().boxed()),
        asked in vec((subject(), select(vec![None, Some("q"), Some("v.a"), Some("w")])), 1..6),
    ) {
        let allow = naive.allow.as_deref().map(texts);
        let permissions = subscribe(allow.as_deref(), &texts(&naive.deny));
        let messages = messages();
        for (subject, queue) in asked {
            let (bytes, name) = (subject.as_bytes(), queue.map(str::as_bytes));
            let is_refused = permissions.refuse_subscribe(bytes, name).is_some();
            prop_assert_eq!(!is_refused, naive.may_subscribe(&subject, queue, &messages), "{} {:?}", subject, queue);
            let filter = permissions.filter(bytes, name);
            let mut is_needed = false;
            for message in messages.iter().filter(|message| reaches(message, &subject)) {
                let is_kept = naive.delivers(message, queue);
                let denies = filter.as_ref().is_some_and(|filter| filter.denies(message.as_bytes()));
                prop_assert_eq!(!denies, is_kept, "{} {:?} {}", subject, queue, message);
                is_needed |= !is_kept;
            }
            prop_assert_eq!(filter.is_some(), is_needed, "a filter for {} {:?}", subject, queue);
        }
    }
}
