//! Tables of what nats-server does, and properties.

use super::*;
use midge_protocol::subject;
use proptest::prelude::*;

/// What a message to `subject` goes to, with this number by chance; `None` if no mapping fits.
fn map(mappings: &Mappings, subject: &str, number: usize) -> Option<String> {
    let mut mapped = b"left over".to_vec();
    let draw = |below| {
        assert_eq!(below, 100);
        number
    };
    let found = mappings.map(subject.as_bytes(), draw, &mut mapped);
    found
        .is_mapped
        .then(|| String::from_utf8(mapped).expect("it is text"))
}

fn of(mappings: &[Mapping]) -> Mappings {
    Mappings::new(mappings, None)
}

/// What a message to `subject` goes to by one mapping.
fn by(source: &str, destination: &str, subject: &str) -> Option<String> {
    let mapping = Mapping::to(source, destination);
    let mapping = mapping.unwrap_or_else(|error| panic!("{error}"));
    map(&of(&[mapping]), subject, 0)
}

/// Tokens that stand for the first `*` of `m.*.*`; for the second there is always `w`.
const TOKENS: [&str; 5] = ["abcdefgh", "ab-cd-ef", "-a--b-", "x", "---"];

/// A destination, and what a message with each of the tokens goes to.
type Row = (&'static str, [&'static str; 5]);

/// As nats-server 2.10.29 has it: with a mapping from `m.*.*` for each destination in its configuration, a message was
/// published with each token, and the subject read off what a subscription to `>` was sent. Where it loses the
/// message, since nothing but separators is in the token, that token is expected here. `left` and `right` are of
/// 2.15: 2.10 refuses them in a configuration.
const TABLE: &[Row] = &[
    (
        "b.$2.$1",
        [
            "b.w.abcdefgh",
            "b.w.ab-cd-ef",
            "b.w.-a--b-",
            "b.w.x",
            "b.w.---",
        ],
    ),
    (
        "b.{{wildcard(2)}}.{{wildcard(1)}}",
        [
            "b.w.abcdefgh",
            "b.w.ab-cd-ef",
            "b.w.-a--b-",
            "b.w.x",
            "b.w.---",
        ],
    ),
    (
        "b.{{ wildcard (1) }}",
        ["b.abcdefgh", "b.ab-cd-ef", "b.-a--b-", "b.x", "b.---"],
    ),
    (
        "b.$+1",
        ["b.abcdefgh", "b.ab-cd-ef", "b.-a--b-", "b.x", "b.---"],
    ),
    ("b.$", ["b.$", "b.$", "b.$", "b.$", "b.$"]),
    ("b.$x", ["b.$x", "b.$x", "b.$x", "b.$x", "b.$x"]),
    ("b.$1x", ["b.$1x", "b.$1x", "b.$1x", "b.$1x", "b.$1x"]),
    (
        "b.x{{wildcard(1)}}",
        [
            "b.x{{wildcard(1)}}",
            "b.x{{wildcard(1)}}",
            "b.x{{wildcard(1)}}",
            "b.x{{wildcard(1)}}",
            "b.x{{wildcard(1)}}",
        ],
    ),
    (
        "b.{{wildcard(1)}}x",
        [
            "b.{{wildcard(1)}}x",
            "b.{{wildcard(1)}}x",
            "b.{{wildcard(1)}}x",
            "b.{{wildcard(1)}}x",
            "b.{{wildcard(1)}}x",
        ],
    ),
    ("b.{{}}", ["b.{{}}", "b.{{}}", "b.{{}}", "b.{{}}", "b.{{}}"]),
    ("b", ["b", "b", "b", "b", "b"]),
    ("b.{{partition(10,1)}}", ["b.7", "b.0", "b.4", "b.5", "b.8"]),
    (
        "b.{{partition(10,1,2)}}",
        ["b.0", "b.1", "b.3", "b.6", "b.1"],
    ),
    (
        "b.{{partition(10,2,1)}}",
        ["b.8", "b.9", "b.9", "b.2", "b.7"],
    ),
    (
        "b.{{partition(1000000,1)}}",
        ["b.41997", "b.968970", "b.690784", "b.442695", "b.332998"],
    ),
    (
        "b.{{partition(2147483647,1)}}",
        [
            "b.1994041997",
            "b.2041968970",
            "b.1008207137",
            "b.2097959048",
            "b.1155849351",
        ],
    ),
    (
        "b.{{partition(2147483648,1)}}",
        [
            "b.1994041997",
            "b.2041968970",
            "b.1008207136",
            "b.2097959047",
            "b.1155849350",
        ],
    ),
    (
        "b.{{partition(4294967295,1,2)}}",
        [
            "b.339421070",
            "b.3598146311",
            "b.1892706293",
            "b.1248029136",
            "b.3846688611",
        ],
    ),
    (
        "b.{{partition( 10 , 1 , 2 )}}",
        ["b.0", "b.1", "b.3", "b.6", "b.1"],
    ),
    (
        "b.{{split(1,-)}}",
        ["b.abcdefgh", "b.ab.cd.ef", "b.a.b", "b.x", "b.---"],
    ),
    (
        "b.{{split(1, -)}}",
        ["b.abcdefgh", "b.ab.cd.ef", "b.a.b", "b.x", "b.---"],
    ),
    (
        "b.{{split(1,b)}}",
        ["b.a.cdefgh", "b.a.-cd-ef", "b.-a--.-", "b.x", "b.---"],
    ),
    (
        "b.{{split(1,cd)}}",
        ["b.ab.efgh", "b.ab-.-ef", "b.-a--b-", "b.x", "b.---"],
    ),
    (
        "b.{{split(1,)}}",
        [
            "b.a.b.c.d.e.f.g.h",
            "b.a.b.-.c.d.-.e.f",
            "b.-.a.-.-.b.-",
            "b.x",
            "b.-.-.-",
        ],
    ),
    (
        "b.{{splitfromleft(1,2)}}",
        ["b.ab.cdefgh", "b.ab.-cd-ef", "b.-a.--b-", "b.x", "b.--.-"],
    ),
    (
        "b.{{splitfromleft(1,0)}}",
        ["b.abcdefgh", "b.ab-cd-ef", "b.-a--b-", "b.x", "b.---"],
    ),
    (
        "b.{{splitfromleft(1,8)}}",
        ["b.abcdefgh", "b.ab-cd-ef", "b.-a--b-", "b.x", "b.---"],
    ),
    (
        "b.{{splitfromleft(1,7)}}",
        ["b.abcdefg.h", "b.ab-cd-e.f", "b.-a--b-", "b.x", "b.---"],
    ),
    (
        "b.{{splitfromleft(1,9)}}",
        ["b.abcdefgh", "b.ab-cd-ef", "b.-a--b-", "b.x", "b.---"],
    ),
    (
        "b.{{splitfromright(1,2)}}",
        ["b.abcdef.gh", "b.ab-cd-.ef", "b.-a--.b-", "b.x", "b.-.--"],
    ),
    (
        "b.{{splitfromright(1,0)}}",
        ["b.abcdefgh", "b.ab-cd-ef", "b.-a--b-", "b.x", "b.---"],
    ),
    (
        "b.{{splitfromright(1,8)}}",
        ["b.abcdefgh", "b.ab-cd-ef", "b.-a--b-", "b.x", "b.---"],
    ),
    (
        "b.{{slicefromleft(1,3)}}",
        ["b.abc.def.gh", "b.ab-.cd-.ef", "b.-a-.-b-", "b.x", "b.---"],
    ),
    (
        "b.{{slicefromleft(1,1)}}",
        [
            "b.a.b.c.d.e.f.g.h",
            "b.a.b.-.c.d.-.e.f",
            "b.-.a.-.-.b.-",
            "b.x",
            "b.-.-.-",
        ],
    ),
    (
        "b.{{slicefromleft(1,0)}}",
        ["b.abcdefgh", "b.ab-cd-ef", "b.-a--b-", "b.x", "b.---"],
    ),
    (
        "b.{{slicefromleft(1,4)}}",
        ["b.abcd.efgh", "b.ab-c.d-ef", "b.-a--.b-", "b.x", "b.---"],
    ),
    (
        "b.{{slicefromleft(1,8)}}",
        ["b.abcdefgh", "b.ab-cd-ef", "b.-a--b-", "b.x", "b.---"],
    ),
    (
        "b.{{slicefromright(1,3)}}",
        ["b.ab.cde.fgh", "b.ab.-cd.-ef", "b.-a-.-b-", "b.x", "b.---"],
    ),
    (
        "b.{{slicefromright(1,1)}}",
        [
            "b.a.b.c.d.e.f.g.h",
            "b.a.b.-.c.d.-.e.f",
            "b.-.a.-.-.b.-",
            "b.x",
            "b.-.-.-",
        ],
    ),
    (
        "b.{{slicefromright(1,0)}}",
        ["b.abcdefgh", "b.ab-cd-ef", "b.-a--b-", "b.x", "b.---"],
    ),
    (
        "b.{{slicefromright(1,4)}}",
        ["b.abcd.efgh", "b.ab-c.d-ef", "b.-a.--b-", "b.x", "b.---"],
    ),
    (
        "b.{{slicefromright(1,8)}}",
        ["b.abcdefgh", "b.ab-cd-ef", "b.-a--b-", "b.x", "b.---"],
    ),
    (
        "b.{{left(1,3)}}",
        ["b.abc", "b.ab-", "b.-a-", "b.x", "b.---"],
    ),
    (
        "b.{{right(1,3)}}",
        ["b.fgh", "b.-ef", "b.-b-", "b.x", "b.---"],
    ),
];

#[test]
fn each_function_makes_of_a_token_what_nats_server_makes_of_it() {
    for (destination, expected) in TABLE {
        for (token, expected) in TOKENS.iter().zip(expected) {
            let mapped = by("m.*.*", destination, &format!("m.{token}.w"));
            assert_eq!(
                mapped.as_deref(),
                Some(*expected),
                "{destination} of {token}"
            );
        }
    }
}

#[test]
fn positions_count_bytes_and_an_empty_separator_splits_at_characters() {
    let mapped = |destination: &str| {
        let mapping = Mapping::to("m.*", destination).expect("it is right");
        let mut mapped = Vec::new();
        of(&[mapping]).map("m.é€x".as_bytes(), |_| 0, &mut mapped);
        mapped
    };
    // As with the table, where the token has this text.
    for (destination, expected) in [
        ("{{splitfromleft(1,2)}}", &b"\xc3\xa9.\xe2\x82\xacx"[..]),
        ("{{splitfromright(1,2)}}", b"\xc3\xa9\xe2\x82.\xacx"),
        ("{{slicefromleft(1,3)}}", b"\xc3\xa9\xe2.\x82\xacx"),
        ("{{slicefromright(1,4)}}", b"\xc3\xa9.\xe2\x82\xacx"),
        ("{{split(1,)}}", b"\xc3\xa9.\xe2\x82\xac.x"),
        ("{{partition(10,1)}}", b"3"),
    ] {
        assert_eq!(mapped(destination), expected, "{destination}");
    }
}

#[test]
fn what_is_left_of_a_subject_goes_behind_a_destination_with_a_full_wildcard() {
    for (source, destination, subject, expected) in [
        ("a.>", "b.>", "a.x.y", Some("b.x.y")),
        ("a.*.>", "b.>", "a.x.y.z", Some("b.y.z")),
        ("a.*.>", "$1.b.>", "a.x.y", Some("x.b.y")),
        (">", "all.>", "x.y", Some("all.x.y")),
        ("*", "one.$1", "x.y", None),
        ("a.>", "b.>", "a", None),
        ("a.>", "b.>", "a..x", None),
        // On the wire these are ordinary tokens.
        ("a.*", "b.$1", "a.*", Some("b.*")),
        ("a.*", "b.$1", "a.>", None),
        ("a.*.x", "b.$1", "a.>.x", None),
        ("a.>", "b.>", "a.>", Some("b.>")),
        ("a.>", "b.>", "a.x.>.y", Some("b.x.>.y")),
        ("a.b>", "c", "a.b>", Some("c")),
    ] {
        let mapped = by(source, destination, subject);
        assert_eq!(
            mapped.as_deref(),
            expected,
            "{source} {destination} {subject}"
        );
    }
}

#[test]
fn the_subject_itself_goes_first_and_then_the_wildcards_in_order() {
    let mapping = |(source, destination)| Mapping::to(source, destination).expect("it is right");
    let mappings = of(&[
        ("q.*.*", "three.$1"),
        ("q.>", "first.>"),
        ("q.*", "second.$1"),
        ("q.a", "itself"),
        ("r.*", "former.$1"),
        ("r.*", "latter.$1"),
        ("x", "y"),
        ("y", "x"),
    ]
    .map(mapping));
    for (subject, expected) in [
        ("q.a", Some("itself")),
        ("q.b", Some("first.b")),
        ("q.b.c", Some("three.b")),
        ("r.a", Some("latter.a")),
        ("x", Some("y")),
        ("y", Some("x")),
        ("z", None),
        ("q", None),
        ("q..a", None),
        ("", None),
    ] {
        assert_eq!(map(&mappings, subject, 0).as_deref(), expected, "{subject}");
    }
    assert!(!mappings.is_empty() && Mappings::default().is_empty());
    let mut untouched = b"?".to_vec();
    let found = mappings.map(b"q.b", |_| 0, &mut untouched);
    assert_eq!(
        found,
        Found {
            is_mapped: true,
            work: 3
        }
    );
    let found = Mappings::default().map(b"q.b", |_| 0, &mut untouched);
    assert_eq!((found.is_mapped, &untouched[..]), (false, &b"first.b"[..]));
}

fn share(subject: &str, weight: u8) -> Destination {
    Destination {
        weight,
        ..Destination::to(subject)
    }
}

/// What each number below a hundred leads to, by the numbers where that changes.
fn spread(mappings: &Mappings, subject: &str) -> Vec<(usize, String)> {
    let all = (0..100).map(|number| (number, map(mappings, subject, number).expect("it fits")));
    let mut spread: Vec<(usize, String)> = Vec::new();
    for (number, mapped) in all {
        if spread.last().is_none_or(|(_, last)| *last != mapped) {
            spread.push((number, mapped));
        }
    }
    spread
}

#[test]
fn the_lightest_come_first_and_what_is_missing_to_a_hundred_stays_unless_the_source_is_named() {
    let check = |source, destinations: &[Destination], subject, expected: &[(usize, &str)]| {
        let mapping = Mapping::new(source, destinations.to_vec()).expect("it is right");
        let expected: Vec<(usize, String)> = (expected.iter())
            .map(|(number, subject)| (*number, (*subject).to_owned()))
            .collect();
        assert_eq!(
            spread(&of(&[mapping]), subject),
            expected,
            "{destinations:?}"
        );
    };
    check("a", &[share("b", 100)], "a", &[(0, "b")]);
    check(
        "a",
        &[share("b", 30), share("c", 20)],
        "a",
        &[(0, "c"), (20, "b"), (50, "a")],
    );
    check(
        "a",
        &[share("b", 60), share("c", 40)],
        "a",
        &[(0, "c"), (40, "b")],
    );
    check(
        "a",
        &[share("a", 10), share("b", 20)],
        "a",
        &[(0, "a"), (10, "b"), (30, "")],
    );
    check("a", &[share("a", 0)], "a", &[(0, "")]);
    check("a", &[share("b", 0)], "a", &[(0, "a")]);
    check("a", &[], "a", &[(0, "a")]);
    check(
        "a.$1.*",
        &[share("b.$1", 70)],
        "a.$1.x",
        &[(0, "a.$1.x"), (30, "b.x")],
    );
    check(
        "a.>",
        &[share("b.>", 50)],
        "a.x.y",
        &[(0, "b.x.y"), (50, "a.x.y")],
    );
}

#[test]
fn destinations_of_the_own_cluster_take_the_place_of_the_others() {
    let in_cluster = |subject, weight, cluster: &str| Destination {
        cluster: Some(cluster.to_owned()),
        ..share(subject, weight)
    };
    let mapping = Mapping::new(
        "a",
        [
            in_cluster("e", 80, "east"),
            share("m", 10),
            in_cluster("w", 100, "west"),
        ],
    );
    let mapping = mapping.expect("it is right");
    for (cluster, expected) in [
        (None, &[(0, "m"), (10, "a")][..]),
        (Some("east"), &[(0, "a"), (20, "e")]),
        (Some("west"), &[(0, "w")]),
        (Some("north"), &[(0, "m"), (10, "a")]),
    ] {
        let mappings = Mappings::new(std::slice::from_ref(&mapping), cluster);
        let expected: Vec<(usize, String)> = (expected.iter())
            .map(|(number, subject)| (*number, (*subject).to_owned()))
            .collect();
        assert_eq!(spread(&mappings, "a"), expected, "{cluster:?}");
    }
    let shares: Vec<_> = mapping.shares().collect();
    let expected = [
        ("m", 10, None),
        ("a", 100, None),
        ("a", 20, Some("east")),
        ("e", 100, Some("east")),
        ("w", 100, Some("west")),
    ];
    assert_eq!(shares, expected);
    assert_eq!(
        mapping.to_string(),
        "a -> [e 80% in cluster east, m 10%, w 100% in cluster west]"
    );
}

#[test]
fn what_is_no_mapping_is_told_with_what_to_write() {
    const BAD: &str = "invalid mapping destination";
    for (source, destination, expected) in [
        ("a..b", "c", "Subject \"a..b\" is not a valid subject"),
        ("a.>.b", "c", "Subject \"a.>.b\" is not a valid subject"),
        ("a b", "c", "Subject \"a b\" is not a valid subject"),
        ("", "c", "Subject \"\" is not a valid subject"),
        (
            "a",
            "b..c",
            "invalid subject; a destination has no empty token, and > at its end only",
        ),
        (
            "a",
            "",
            "invalid subject; a destination has no empty token, and > at its end only",
        ),
        (
            "a.*",
            "b.*",
            "invalid subject; a destination names each * of its source by its number: $1",
        ),
        (
            "a.*",
            "b.>",
            "invalid subject; a destination ends in > if its source does, and in no other case",
        ),
        (
            "a.>",
            "b",
            "invalid subject; a destination ends in > if its source does, and in no other case",
        ),
        ("a", "c d", "invalid subject; a subject has no blanks"),
        (
            "a",
            "$1",
            "{BAD}: wildcard index out of range in $1; the source has no *",
        ),
        (
            "a.>",
            "$1.>",
            "{BAD}: wildcard index out of range in $1; the source has no *",
        ),
        (
            "a.*",
            "$2",
            "{BAD}: wildcard index out of range in $2: [2]; the source has 1 *, counted from 1",
        ),
        // nats-server takes the first token of the source for this one.
        (
            "a.*",
            "{{wildcard(0)}}",
            "{BAD}: wildcard index out of range in {{wildcard(0)}}: [0]; the source has 1 *, counted from 1",
        ),
        (
            "a.*",
            "{{partition(3,2)}}",
            "{BAD}: wildcard index out of range in {{partition(3,2)}}: [2]; the source has 1 *, counted from 1",
        ),
        (
            "a.*",
            "{{wildcard()}}",
            "{BAD}: not enough arguments passed to the function in {{wildcard()}}",
        ),
        (
            "a.*",
            "{{wildcard(1,2)}}",
            "{BAD}: too many arguments passed to the function in {{wildcard(1,2)}}",
        ),
        (
            "a.*",
            "{{partition(3)}}",
            "{BAD}: not enough arguments passed to the function in {{partition(3)}}",
        ),
        (
            "a.*",
            "{{split(1,a,b)}}",
            "{BAD}: too many arguments passed to the function in {{split(1,a,b)}}",
        ),
        (
            "a.*",
            "{{wildcard(x)}}",
            "{BAD}: function argument is invalid or in the wrong format in {{wildcard(x)}}",
        ),
        // nats-server loses each message for this one.
        (
            "a.*",
            "{{partition(0,1)}}",
            "{BAD}: function argument is invalid or in the wrong format in {{partition(0,1)}}; use 1 partition or more",
        ),
        (
            "a",
            "{{foo(1)}}",
            "{BAD}: unknown function in {{foo(1)}}; write one of wildcard, partition, split, splitFromLeft, \
             splitFromRight, sliceFromLeft, sliceFromRight, left or right",
        ),
    ] {
        let error = Mapping::to(source, destination).expect_err("it is none");
        let expected = expected.replace("{BAD}", BAD);
        let expected = match expected.starts_with("Subject") {
            true => expected,
            false => format!("Error adding mapping for {source:?} to {destination:?} : {expected}"),
        };
        assert_eq!(error.to_string(), expected);
    }
    for (destinations, expected) in [
        (
            vec![share("b", 101)],
            "Invalid weight 101 for mapping destination; use 0 to 100",
        ),
        (
            vec![share("b", 60), share("c", 41)],
            "Error adding mapping for \"a\" : total weight needs to be <= 100",
        ),
        (
            vec![share("b", 60), share("b", 1)],
            "Error adding mapping for \"a\" : duplicate entry for \"b\"",
        ),
    ] {
        let error = Mapping::new("a", destinations).expect_err("it is none");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn text_that_only_looks_like_a_function_is_text() {
    for text in [
        "$",
        "$x",
        "$1x",
        "x{{wildcard(1)}}",
        "{{wildcard(1)}}x",
        "{{}}",
        "x*y",
        "b>",
    ] {
        assert_eq!(by("m.*", text, "m.a").as_deref(), Some(text));
    }
    for text in ["{{Wildcard(1)}}", "{{ WILDCARD ( 1 ) }}", "$+1", "$01"] {
        assert_eq!(by("m.*", text, "m.a").as_deref(), Some("a"), "{text}");
    }
}

#[test]
fn a_transform_of_pieces_has_dots_between_them() {
    let put = |pieces: &[Piece<'_>], subject: &str| {
        let mut out = Vec::new();
        Transform::of(pieces.iter().copied()).put(subject.as_bytes(), &mut out);
        String::from_utf8(out).expect("it is text")
    };
    let (text, token) = (Piece::Text, Piece::Token);
    assert_eq!(put(&[text("p.q"), token(1), text("$1")], "a.b"), "p.q.b.$1");
    assert_eq!(
        put(&[token(1), token(0), Piece::Rest(2)], "a.b.c.d"),
        "b.a.c.d"
    );
    assert_eq!(put(&[text("x")], "a.b"), "x");
}

#[test]
fn a_token_that_names_a_wildcard_is_told_from_text_and_from_other_functions() {
    assert_eq!(wildcard("$2", 2), Ok(Some(1)));
    assert_eq!(wildcard("{{Wildcard(1)}}", 1), Ok(Some(0)));
    assert_eq!(wildcard("$x", 1), Ok(None));
    for token in ["$2", "{{split(1,-)}}", "{{foo(1)}}"] {
        let wrong = wildcard(token, 1).expect_err("it is none");
        assert!(wrong.contains(token), "{wrong}");
    }
}

/// A token of a destination for a source with two `*`.
fn destination_token() -> impl Strategy<Value = String> {
    let cut = "\\{\\{(splitFromLeft|splitfromright|sliceFromLeft|slicefromright|left|Right)\\([12],[0-9]\\)\\}\\}";
    prop_oneof![
        "[a-z]{1,3}",
        "\\$[12]",
        "\\{\\{wildcard\\([12]\\)\\}\\}",
        "\\{\\{partition\\([1-9],[12](,[12])?\\)\\}\\}",
        "\\{\\{split\\([12],[a-c-]{0,2}\\)\\}\\}",
        cut,
    ]
}

proptest! {
    #[test]
    fn what_matches_the_source_goes_to_a_subject_without_wildcards(
        tokens in proptest::collection::vec(destination_token(), 1..5),
        first in "[a-c-]{1,8}|\\PC{1,5}",
        second in "[a-c-]{1,8}",
        rest in proptest::option::of("[a-c]{1,3}(\\.[a-c]{1,3}){0,3}"),
    ) {
        prop_assume!(!first.contains(['.', ' ', '*', '>']) && !first.contains(char::is_whitespace));
        let (mut source, mut destination) = ("m.*.x.*".to_owned(), tokens.join("."));
        let mut given = format!("m.{first}.x.{second}");
        if let Some(rest) = &rest {
            source += ".>";
            destination += ".>";
            given = format!("{given}.{rest}");
        }
        let mapping = Mapping::to(&source, &destination).expect("it is right");
        let mut mapped = Vec::new();
        let found = of(&[mapping]).map(given.as_bytes(), |_| 0, &mut mapped);
        prop_assert!(found.is_mapped);
        prop_assert!(subject::is_literal_form(&mapped), "{}", mapped.escape_ascii());
        prop_assert!(!mapped.contains(&b' '));
        prop_assert!(rest.is_none_or(|rest| mapped.ends_with(rest.as_bytes())));
    }

    #[test]
    fn what_stays_stays_as_it_is(tokens in proptest::collection::vec("[a-c]|\\*", 1..5), number in 50_usize..100) {
        let source = tokens.join(".");
        let mapping = Mapping::new(&source, [share("other", 50)]).expect("it is right");
        let given = source.replace('*', "t");
        prop_assert_eq!(map(&of(&[mapping]), &given, number), Some(given));
    }
}
