//! `Subjects` against an oracle that knows subjects as sets of messages: it lists all messages of a few tokens.

use midge_protocol::Subjects;
use proptest::collection::vec;
use proptest::prelude::*;

/// Tokens of messages. `z` stands for all that no subject here names.
const TOKENS: [&str; 4] = ["a", "b", "*", "z"];

/// Longer than any subject here.
const TOKENS_MAX: usize = 5;

/// Every message there is.
fn messages() -> Vec<Vec<&'static str>> {
    let mut all: Vec<Vec<&str>> = TOKENS.iter().map(|token| vec![*token]).collect();
    let mut from = 0;
    for _ in 1..TOKENS_MAX {
        let to = all.len();
        for at in from..to {
            let longer = TOKENS.map(|token| [&all[at][..], &[token]].concat());
            all.extend(longer);
        }
        from = to;
    }
    all
}

fn reaches(message: &[&str], subject: &str) -> bool {
    let mut left = message;
    for token in subject.split('.') {
        match (token, left) {
            (">", [_, ..]) => return true,
            ("*", [_, rest @ ..]) => left = rest,
            (_, [first, rest @ ..]) if token == *first => left = rest,
            _ => return false,
        }
    }
    left.is_empty()
}

fn subject() -> impl Strategy<Value = &'static str> {
    let subjects = [
        "a", "*", ">", "a.b", "b.a", "a.*", "*.b", "*.*", "a.>", "*.>", "a.a.b", "a.*.b", "*.a.*",
        "b.a.>", "a.*.>", "*.*.>", "*.b.a", "a.b.*.a", "*.*.*.*", "*.b.*.>",
    ];
    proptest::sample::select(subjects.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_set_answers_as_its_messages_do(set in vec(subject(), 0..6), asked in subject()) {
        let messages = messages();
        let subjects = Subjects::new(&set);
        let of = |subject: &str| -> Vec<bool> {
            messages.iter().map(|message| reaches(message, subject)).collect()
        };
        let asked_for = of(asked);
        let both = |one: &str| -> Vec<bool> {
            let pairs = asked_for.iter().zip(of(one));
            pairs.map(|(asked, one)| *asked && one).collect()
        };
        let covers = set.iter().any(|one| both(one) == asked_for);
        let overlaps = set.iter().any(|one| both(one).contains(&true));
        prop_assert_eq!(subjects.covers(asked.as_bytes()), covers);
        prop_assert_eq!(subjects.overlaps(asked.as_bytes()), overlaps);
        for message in &messages {
            let is_one = set.iter().any(|one| reaches(message, one));
            prop_assert_eq!(subjects.matches(message.join(".").as_bytes()), is_one, "{:?}", message);
        }
        prop_assert_eq!(subjects.is_empty(), set.is_empty());
    }
}
