//! What the parser makes of streams: every form by table, wherever it is cut, and what real brokers have sent.

use super::*;
use crate::peer::op::{Interest, PeerMessage};
use crate::peer::{Head, PeerMsg, encode};

const ROUTE: PeerRules = PeerRules::new(Kind::Route);
const LEAF: PeerRules = PeerRules::new(Kind::Leaf);
const NEWER: PeerRules = PeerRules {
    unsubscribe_origin: true,
    ..ROUTE
};

#[derive(Clone, Copy, PartialEq)]
enum Waiting {
    /// The parser is asked after each piece.
    ForAnything,
    /// The parser is asked only when as much is there as it said it needs.
    ForNeed,
}

/// Runs a stream that arrives in `pieces` and tells what happened, one line per event.
fn run<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    rules: &PeerRules,
    waiting: Waiting,
) -> Vec<String> {
    let mut events = Vec::new();
    let mut parser = PeerParser::default();
    let mut input = Vec::new();
    let mut awaited = 0;
    for piece in pieces {
        input.extend_from_slice(piece);
        if waiting == Waiting::ForNeed && input.len() < awaited {
            continue;
        }
        loop {
            let dropped = match parser.next(&input, rules) {
                Ok(PeerStep::Partial { need }) => {
                    assert!(need > input.len(), "{need} of {}", input.len());
                    awaited = need;
                    break;
                }
                Ok(PeerStep::Refused { violation, len }) => {
                    assert!(!violation.is_fatal());
                    events.push(format!("refused: {violation}"));
                    len
                }
                Ok(PeerStep::Op { op, len }) => {
                    events.push(show(&op));
                    len
                }
                Err(violation) => {
                    assert!(violation.is_fatal());
                    events.push(format!("closed: {violation}"));
                    return events;
                }
            };
            assert!((1..=input.len()).contains(&dropped));
            input.drain(..dropped);
        }
    }
    events
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn show(op: &PeerOp<'_>) -> String {
    match op {
        PeerOp::Info { json } => format!("info {}", String::from_utf8_lossy(json)),
        PeerOp::Connect { json } => format!("connect {}", String::from_utf8_lossy(json)),
        PeerOp::Ping => "ping".into(),
        PeerOp::Pong => "pong".into(),
        PeerOp::Ok => "ok".into(),
        PeerOp::Account => "account".into(),
        PeerOp::Err { text: told } => format!("err {}", String::from_utf8_lossy(told)),
        PeerOp::Subscribe { interest, weight } => format!("sub {} x{weight}", key(interest)),
        PeerOp::Unsubscribe(interest) => format!("unsub {}", key(interest)),
        PeerOp::Message(message) => show_message(message),
    }
}

/// `account/origin/subject/queue`, `-` for what is not there.
fn key(interest: &Interest<'_>) -> String {
    let Interest {
        origin,
        account,
        subject,
        queue,
    } = *interest;
    [account, origin, Some(subject), queue]
        .map(|part| part.map_or("-".into(), text))
        .join("/")
}

fn show_message(message: &PeerMessage<'_>) -> String {
    let publish = message.publish();
    let queues: Vec<String> = message.queues().map(text).collect();
    let parts = [
        message.account(),
        message.origin(),
        Some(publish.subject()),
        publish.reply(),
    ];
    let tail = match publish.tail() {
        Some(tail) => {
            let header_size = Some(publish.header_size()).filter(|digits| !digits.is_empty());
            let words = [publish.reply(), header_size, Some(publish.size())];
            let words: Vec<&[u8]> = words.into_iter().flatten().collect();
            let mut expected = words.join(b" ".as_slice());
            for part in [b"\r\n", publish.header(), publish.payload(), b"\r\n"] {
                expected.extend_from_slice(part);
            }
            assert_eq!(text(tail.as_slice()), text(&expected), "the tail");
            match publish.hand_on() {
                Some((subject, _)) => {
                    assert_eq!(subject.as_slice(), [publish.subject(), b" "].concat());
                    ""
                }
                None => " apart",
            }
        }
        None => " no tail",
    };
    format!(
        "msg {} [{}] {}|{}{tail}",
        parts.map(|part| part.map_or("-".into(), text)).join("/"),
        queues.join(" "),
        text(publish.header()),
        text(publish.payload()),
    )
}

/// Runs `stream` whole, at every cut, byte by byte, and asked for only when the parser wants to be.
#[track_caller]
fn check(rules: &PeerRules, stream: impl AsRef<[u8]>, expected: &[&str]) {
    let stream = stream.as_ref();
    let shown = text(stream);
    let (any, needed) = (Waiting::ForAnything, Waiting::ForNeed);
    assert_eq!(run([stream], rules, any), expected, "whole: {shown}");
    let bytewise = run(stream.chunks(1), rules, any);
    assert_eq!(bytewise, expected, "byte by byte: {shown}");
    let patient = run(stream.chunks(1), rules, needed);
    assert_eq!(patient, expected, "when needed: {shown}");
    if stream.len() < 500 {
        for cut in 0..stream.len() {
            let pieces = stream.split_at(cut);
            let events = run([pieces.0, pieces.1], rules, any);
            assert_eq!(events, expected, "cut at {cut}: {shown}");
        }
    }
}

const UNKNOWN: &str = "closed: Unknown Protocol Operation";
const SILENT: &str = "closed: parse error";
const TOO_LONG: &str = "closed: maximum control line exceeded";

#[test]
fn what_both_kinds_say_is_understood() {
    for rules in [&ROUTE, &LEAF] {
        check(
            rules,
            "INFO {\"a\":1} \r\nCONNECT {}\r\nPING\r\nPONG\r\n+OK\r\n-ERR 'it's'\r\n",
            &[
                "info {\"a\":1}",
                "connect {}",
                "ping",
                "pong",
                "ok",
                "err it's",
            ],
        );
        check(
            rules,
            "info{}\nConnect\t {} \t\nping \npOnG junk\r\n+ok\n-err\r\n-ERRx y \n",
            &[
                "info {}",
                "connect {}",
                "ping",
                "pong",
                "ok",
                "err ",
                "err x y",
            ],
        );
    }
    check(
        &ROUTE,
        "A+ $G\r\nA- X\r\na+\n",
        &["account", "account", "account"],
    );
}

#[test]
fn interest_is_read_in_every_form() {
    let table: &[(&PeerRules, &str, &str)] = &[
        (&ROUTE, "RS+ $G a.*", "sub $G/-/a.*/- x1"),
        (&ROUTE, "RS+ $G a.* w 2", "sub $G/-/a.*/w x2"),
        (&ROUTE, "RS+ $G a.* w 0", "sub $G/-/a.*/w x0"),
        (&ROUTE, "RS+ $G a w 999999999", "sub $G/-/a/w x999999999"),
        (&ROUTE, "RS- $G a.*", "unsub $G/-/a.*/-"),
        (&ROUTE, "RS- $G a.* w", "unsub $G/-/a.*/w"),
        (&ROUTE, "LS+ LC $G a", "sub $G/LC/a/- x1"),
        (&ROUTE, "LS+ LC $G a w 3", "sub $G/LC/a/w x3"),
        (&ROUTE, "LS- $G a", "unsub $G//a/-"),
        (&ROUTE, "LS- $G a w", "unsub $G//a/w"),
        (&NEWER, "RS- $G a.* w", "unsub $G/-/a.*/w"),
        (&NEWER, "LS- LC $G a", "unsub $G/LC/a/-"),
        (&NEWER, "LS- LC $G a w", "unsub $G/LC/a/w"),
        (&LEAF, "LS+ a.>", "sub -/-/a.>/- x1"),
        (&LEAF, "LS+ a.> w 2", "sub -/-/a.>/w x2"),
        (&LEAF, "LS- a.>", "unsub -/-/a.>/-"),
        (&LEAF, "LS- a.> w", "unsub -/-/a.>/w"),
    ];
    for &(rules, line, expected) in table {
        check(rules, format!("{line}\r\n"), &[expected]);
        let loose = line.to_lowercase().replace(' ', " \t ");
        let expected = expected.replace("$G", "$g").replace("LC", "lc");
        check(rules, format!("{loose} \n{line}"), &[&expected]);
        // As long as a line may be, and one byte longer.
        let bound = |line_bytes_max| PeerRules {
            line_bytes_max,
            ..*rules
        };
        let line = format!("{line}\n");
        let events = run(
            [line.as_bytes()],
            &bound(line.len() - 1),
            Waiting::ForAnything,
        );
        assert_ne!(events, [TOO_LONG]);
        check(&bound(line.len() - 2), line, &[TOO_LONG]);
    }
}

#[test]
fn interest_in_what_nobody_may_subscribe_to_is_refused_and_the_peer_stays() {
    let refused = "refused: Invalid Subscription";
    for subject in ["a..b", ".", ".a", "a.", "a.>.b", ">.>"] {
        let line = format!("RS+ $G {subject}\r\nPING\r\n");
        check(&ROUTE, line, &[refused, "ping"]);
        let line = format!("LS+ LC $G {subject} w 1\r\nPING\r\n");
        check(&ROUTE, line, &[refused, "ping"]);
        let line = format!("LS+ {subject}\r\nPING\r\n");
        check(&LEAF, line, &[refused, "ping"]);
        // It was never there.
        let (line, op) = (
            format!("RS- $G {subject}\r\n"),
            format!("unsub $G/-/{subject}/-"),
        );
        check(&ROUTE, line, &[&op]);
    }
}

#[test]
fn messages_are_read_in_every_form() {
    let table: &[(&PeerRules, &str, &str)] = &[
        (&ROUTE, "RMSG $G a 3", "$G/-/a/- [] |abc"),
        (&ROUTE, "RMSG $G a r 3", "$G/-/a/r [] |abc"),
        (&ROUTE, "RMSG $G a | q 3", "$G/-/a/- [q] |abc apart"),
        (&ROUTE, "RMSG $G a | q w q 3", "$G/-/a/- [q w q] |abc apart"),
        (&ROUTE, "RMSG $G a + r q 3", "$G/-/a/r [q] |abc no tail"),
        (&ROUTE, "RMSG $G a + r q w 3", "$G/-/a/r [q w] |abc no tail"),
        (&ROUTE, "RMSG $G a + r 3", "$G/-/a/r [] |abc apart"),
        (&ROUTE, "RMSG $G a | 3", "$G/-/a/| [] |abc"),
        (&ROUTE, "RMSG $G a + 3", "$G/-/a/+ [] |abc"),
        (&ROUTE, "RMSG $G a + | | + 3", "$G/-/a/| [| +] |abc no tail"),
        (&ROUTE, "HMSG $G a 2 3", "$G/-/a/- [] ab|c"),
        (&ROUTE, "HMSG $G a r 2 3", "$G/-/a/r [] ab|c"),
        (&ROUTE, "HMSG $G a | q 2 3", "$G/-/a/- [q] ab|c apart"),
        (&ROUTE, "HMSG $G a | q w 3 3", "$G/-/a/- [q w] abc| apart"),
        (&ROUTE, "HMSG $G a + r q 2 3", "$G/-/a/r [q] ab|c no tail"),
        (
            &ROUTE,
            "HMSG $G a + r q w 2 3",
            "$G/-/a/r [q w] ab|c no tail",
        ),
        (&ROUTE, "HMSG $G a + r 2 3", "$G/-/a/r [] ab|c apart"),
        (&ROUTE, "HMSG $G a 0 3", "$G/-/a/- [] |abc apart"),
        (&ROUTE, "LMSG LC $G a 0 3", "$G/LC/a/- [] |abc apart"),
        (&ROUTE, "LMSG LC $G a 2 3", "$G/LC/a/- [] ab|c"),
        (&ROUTE, "LMSG LC $G a r 0 3", "$G/LC/a/r [] |abc no tail"),
        (&ROUTE, "LMSG LC $G a r 2 3", "$G/LC/a/r [] ab|c"),
        (&ROUTE, "LMSG LC $G a | q 0 3", "$G/LC/a/- [q] |abc apart"),
        (
            &ROUTE,
            "LMSG LC $G a | q w 2 3",
            "$G/LC/a/- [q w] ab|c apart",
        ),
        (
            &ROUTE,
            "LMSG LC $G a + r q 0 3",
            "$G/LC/a/r [q] |abc no tail",
        ),
        (&ROUTE, "LMSG LC $G a + r 2 3", "$G/LC/a/r [] ab|c apart"),
        (&LEAF, "LMSG a 3", "-/-/a/- [] |abc"),
        (&LEAF, "LMSG a r 3", "-/-/a/r [] |abc"),
        (&LEAF, "LMSG a | q 3", "-/-/a/- [q] |abc apart"),
        (&LEAF, "LMSG a | q w 3", "-/-/a/- [q w] |abc apart"),
        (&LEAF, "LMSG a + r q 3", "-/-/a/r [q] |abc no tail"),
        (&LEAF, "LMSG a + r 3", "-/-/a/r [] |abc apart"),
        (&LEAF, "HMSG a 2 3", "-/-/a/- [] ab|c"),
        (&LEAF, "HMSG a r 2 3", "-/-/a/r [] ab|c"),
        (&LEAF, "HMSG a | q w 2 3", "-/-/a/- [q w] ab|c apart"),
        (&LEAF, "HMSG a + r q 2 3", "-/-/a/r [q] ab|c no tail"),
    ];
    for &(rules, line, expected) in table {
        let stream = format!("{line}\r\nabc\r\nPING\r\n");
        check(rules, stream, &[&format!("msg {expected}"), "ping"]);
        // Blanks and the bare line feed change nothing but the tail.
        let loose = line.replace(' ', " \t");
        let expected = expected
            .trim_end_matches(" apart")
            .trim_end_matches(" no tail");
        let expected = format!("msg {expected} no tail");
        check(rules, format!("{loose} \nabc\r\n{line}"), &[&expected]);
        // A wrong byte behind the payload, the line alone, and a payload that is too large.
        check(rules, format!("{line}\r\nabcX"), &[UNKNOWN]);
        check(rules, format!("{line}\r\nabc\rX"), &[UNKNOWN]);
        check(rules, format!("{line}\r\nabc\r"), &[]);
        let rules = PeerRules {
            payload_bytes_max: Some(2),
            ..*rules
        };
        check(
            &rules,
            format!("{line}\r\n"),
            &["closed: Maximum Payload Violation"],
        );
    }
}

#[test]
fn a_payload_may_hold_anything_and_be_empty() {
    let message = "msg $G/-/a/- [] |\\r\\n\\r\\nPI";
    check(&ROUTE, "RMSG $G a 6\r\n\r\n\r\nPI\r\n", &[message]);
    check(&LEAF, "LMSG a 0\r\n\r\n", &["msg -/-/a/- [] |"]);
    check(
        &ROUTE,
        "RMSG $G a 007\r\nabcdefg\r\n",
        &["msg $G/-/a/- [] |abcdefg"],
    );
}

#[test]
fn a_message_subject_is_handed_on_whatever_its_form() {
    check(
        &ROUTE,
        "RMSG $G a..b 2\r\nhi\r\n",
        &["msg $G/-/a..b/- [] |hi"],
    );
    check(&LEAF, "LMSG a.* 2\r\nhi\r\n", &["msg -/-/a.*/- [] |hi"]);
}

#[test]
fn wrong_arguments_close_without_a_word() {
    let route = [
        "RS+ ",
        "RS+ $G",
        "RS+ $G a w",
        "RS+ $G a w x",
        "RS+ $G a w -1",
        "RS+ $G a w 0000000001",
        "RS+ $G a w 1 2",
        "RS+ $G a w 1 2 3 4 5",
        "RS- $G",
        "RS- $G a w 1",
        "LS+ LC $G",
        "LS+ LC $G a w",
        "LS+ LC $G a w 1 2",
        "LS- $G",
        "LS- LC $G a w",
        "RMSG ",
        "RMSG $G",
        "RMSG $G a",
        "RMSG a 3",
        "RMSG $G a * q 3",
        "RMSG $G a r q 3",
        "RMSG $G a || q 3",
        "RMSG $G a -3",
        "RMSG $G a x",
        "RMSG $G a 1000000000",
        "RMSG $G a 3x",
        "HMSG $G a 3",
        "HMSG $G a 4 3",
        "HMSG $G a x 3",
        "HMSG $G a r q 2 3",
        "LMSG LC $G a 3",
        "LMSG LC $G 3",
        "LMSG LC $G a r q 0 3",
        "LMSG a 3",
    ];
    let leaf = [
        "LS+ ",
        "LS+ a w",
        "LS+ a w x",
        "LS+ a w 1 2",
        "LS- ",
        "LS- a w 1",
        "LMSG ",
        "LMSG a",
        "LMSG a * q 3",
        "LMSG a r q 3",
        "HMSG a 3",
        "HMSG a 4 3",
        "HMSG a r q 2 3",
    ];
    let lines = route.map(|line| (&ROUTE, line)).into_iter();
    for (rules, line) in lines.chain(leaf.map(|line| (&LEAF, line))) {
        check(rules, format!("{line}\r\n"), &[SILENT]);
        check(
            rules,
            format!("PING\r\n{line}\nPING\r\n"),
            &["ping", SILENT],
        );
    }
    check(&NEWER, "LS- $G a\r\n", &[SILENT]);
    check(&NEWER, "LS- LC $G a w 1\r\n", &[SILENT]);
}

#[test]
fn unknown_names_are_told_at_the_first_wrong_byte() {
    for name in [
        "X", " ", "\r", "\n", "RX", "RMX", "RS ", "RS*", "RS+X", "RS-\r", "LS+\n", "RMSGX",
        "HMSG\r", "HPUB", "PUB", "SUB", "UNSUB", "MSG", "AX", "CONNEX", "PINX", "+X", "-X",
    ] {
        check(&ROUTE, name, &[UNKNOWN]);
        check(
            &ROUTE,
            format!("PING\r\n{name}PING\r\n"),
            &["ping", UNKNOWN],
        );
    }
    for name in ["A", "R", "RS+ $G a\r\n", "RMSG $G a 2\r\nhi\r\n"] {
        check(&LEAF, name, &[UNKNOWN]);
    }
    for begun in [
        "",
        "R",
        "rs",
        "RS+",
        "RS+ ",
        "RMSG $G a 3",
        "RMSG $G a 3\r\n",
        "A",
        "-ERR 'x'",
    ] {
        check(&ROUTE, begun, &[]);
    }
}

#[test]
fn connect_comes_first_where_it_must() {
    let rules = PeerRules {
        connect_required: true,
        ..ROUTE
    };
    for stream in ["P", "INFO {}\r\n", "RS+ $G a\r\n", "\n", "+", "x"] {
        check(&rules, stream, &["closed: Authorization Violation"]);
    }
    check(&rules, "cX", &[UNKNOWN]);
    check(&rules, "connect {}\r\n", &["connect {}"]);
}

#[test]
fn a_line_without_end_is_closed_and_not_before_it_must_be() {
    for start in [
        "RS+ $G ",
        "INFO {",
        "PING ",
        "+OK",
        "-ERR ",
        "CONNECT ",
        "RMSG $G a | q ",
    ] {
        let line = [start, &"x".repeat(ROUTE.line_bytes_max - start.len())].concat();
        assert_eq!(
            run([line.as_bytes()], &ROUTE, Waiting::ForAnything),
            [""; 0]
        );
        let line = format!("{line}\r");
        assert_eq!(
            run([line.as_bytes()], &ROUTE, Waiting::ForAnything),
            [""; 0]
        );
        check(&ROUTE, format!("{line}x"), &[TOO_LONG]);
    }
    let rules = PeerRules {
        line_bytes_max: usize::MAX,
        ..LEAF
    };
    check(&rules, "LS+ a\r\n", &["sub -/-/a/- x1"]);
}

#[test]
fn need_tells_the_length_of_a_frame_as_soon_as_its_line_is_there() {
    let mut parser = PeerParser::default();
    let line = b"HMSG $G a | q w 12 900000000\r\n";
    let need = line.len() + 900_000_000 + 1;
    assert_eq!(parser.next(line, &ROUTE), Ok(PeerStep::Partial { need }));
}

#[test]
fn nothing_that_was_searched_is_searched_again() {
    let stream =
        "RMSG $G a.long.subject \t + r queue queue 2\r\nhi\r\nPING some junk\r\nINFO{\"a\":1";
    let mut parser = PeerParser::default();
    let mut start = 0;
    for end in 1..=stream.len() {
        let input = &stream.as_bytes()[start..end];
        match parser.next(input, &ROUTE) {
            Ok(PeerStep::Op { len, .. }) => start += len,
            Ok(_) => match parser.stage {
                Stage::Name => assert!(input.len() < 8),
                Stage::Line { .. } => assert_eq!(parser.searched, input.len()),
                Stage::Payload(frame) => assert_eq!(parser.searched, frame.layout.line_bytes()),
            },
            Err(violation) => panic!("{violation}"),
        }
    }
}

#[test]
fn input_that_shrinks_against_the_contract_does_no_harm() {
    for whole in ["RMSG $G a + r q 5\r\nhell", "RS+ $G a w 1", "PING junk"] {
        for len in 0..whole.len() {
            let mut parser = PeerParser::default();
            let _ = parser.next(whole.as_bytes(), &ROUTE);
            if let Ok(PeerStep::Partial { need }) = parser.next(&whole.as_bytes()[..len], &ROUTE) {
                assert!(need > len);
            }
        }
    }
}

/// Writes `op` as this crate does.
fn put(op: &PeerOp<'_>, out: &mut Vec<u8>) {
    match *op {
        PeerOp::Ping => out.extend_from_slice(crate::encode::PING),
        PeerOp::Pong => out.extend_from_slice(crate::encode::PONG),
        PeerOp::Subscribe { interest, weight } => encode::subscribe(out, &interest, weight),
        PeerOp::Unsubscribe(interest) => encode::unsubscribe(out, &interest),
        PeerOp::Message(message) => {
            let publish = message.publish();
            let head = Head::new(message.origin(), message.account(), publish.subject());
            let queues: Vec<&[u8]> = message.queues().collect();
            let mut long = Vec::new();
            PeerMsg::of(&head, &publish, &queues).put(&mut long);
            head.put(&publish, &queues, out);
            assert!(out.ends_with(&long));
        }
        PeerOp::Err { .. } | PeerOp::Ok | PeerOp::Account => {}
        PeerOp::Info { json } => out.extend_from_slice(&[b"INFO ", json, b" \r\n"].concat()),
        PeerOp::Connect { json } => out.extend_from_slice(&[b"CONNECT ", json, b"\r\n"].concat()),
    }
}

/// What brokers of the reference have said to each other and to raw peers, in order: byte by byte and written again.
#[test]
fn what_real_brokers_say_is_read_and_written_to_the_byte() {
    let header = "NATS/1.0\r\nA: b\r\n\r\n";
    let route = [
        "INFO {\"server_id\":\"NBT4\",\"lnoc\":true,\"leafnode_urls\":[\"127.0.0.1:14105\"]} \r\n",
        "CONNECT {\"echo\":true,\"verbose\":false,\"name\":\"PEERID\",\"cluster\":\"C1\"}\r\n",
        "RS+ $G greet\r\nRS+ $G work w 2\r\nPING\r\nPONG\r\nRS+ $G news\r\nRS+ $G jobs crew 2\r\n",
        "RMSG $G news 5\r\nhello\r\n",
        "RMSG $G news inbox.7 5\r\nhello\r\n",
        &format!("HMSG $G news inbox.7 18 23\r\n{header}hello\r\n"),
        "RMSG $G jobs + inbox.8 crew 2\r\nj1\r\n",
        "RMSG $G greet 2\r\nhi\r\nRMSG $G work + inbox.9 w 3\r\njob\r\n",
        &format!("HMSG $G greet inbox.9 18 20\r\n{header}hi\r\n"),
        "RS+ $G work w 1\r\nRS- $G greet\r\nRS- $G work w\r\n",
        "RMSG $G foo.q + inbox.1 wk 5\r\nhello\r\n",
        &format!("HMSG $G foo.q | wk 18 23\r\n{header}hello\r\n"),
        "RMSG $G foo.q + inbox.1 wk wk2 5\r\nhello\r\n",
        "RMSG $G max 1\r\n1\r\nRMSG $G max 1\r\n2\r\nRMSG $G max 1\r\n3\r\nRMSG $G max 1\r\n4\r\n",
        "RS- $G max\r\nRS- $G foo.*\r\nRS- $G foo.q wk2\r\n",
        "LS+ LC $G foo\r\nLS+ LC $G foo wk 1\r\nLS- $G foo\r\nLS- $G foo wk\r\n",
        "RMSG $G bar | rq 2\r\nhi\r\nLMSG LC $G bar | rq 0 2\r\nhi\r\n",
        "HMSG $G bar + rep rq 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
        "LMSG LC $G bar + rep rq 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
    ];
    let newer = [
        "LS+ LC $G foo\r\nLS- LC $G foo\r\nLS- LC $G foo wk\r\nRS- $G foo\r\n",
        "LS+ _ $G n1\r\nLS- _ $G n1\r\n",
    ];
    let leaf = [
        "CONNECT {\"version\":\"0.1.0\",\"server_id\":\"LEAFID\",\"name\":\"leaf1\"}\r\n",
        "LS+ greet\r\nLS+ $JS.API.>\r\nLS+ $LDS.xYF0emmu6ksJffa20lR0Sw\r\nLS+ work w 1\r\nLS+ jobs crew 2\r\n",
        "LMSG news inbox.7 5\r\nhello\r\n",
        &format!("HMSG news 18 23\r\n{header}hello\r\n"),
        "LMSG jobs | crew 2\r\nj1\r\nLMSG greet inbox.9 2\r\nhi\r\nLMSG work | w 3\r\njob\r\nLS- greet\r\n",
        "LMSG $JS.hub.API.STREAM.CREATE.S1 _INBOX.x1 57\r\n\
         {\"name\": \"S1\", \"subjects\": [\"s1.>\"], \"storage\": \"memory\"}\r\n",
        "LMSG _INBOX.x1 40\r\n{\"stream\":\"S1\", \"domain\":\"hub\", \"seq\":1}\r\n",
        "LS+ $JS.ACK.S1.D1.*.*.*.*.*\r\n",
        "LMSG _INBOX.x1 $JS.ACK.S1.D1.1.1.1.1795351554657893808.0@s1.hello 5\r\nworld\r\n",
    ];
    for (rules, stream) in [
        (&ROUTE, route.concat()),
        (&NEWER, newer.concat()),
        (&LEAF, leaf.concat()),
    ] {
        let mut parser = PeerParser::default();
        let (mut out, mut start) = (Vec::new(), 0);
        for end in 1..=stream.len() {
            match parser.next(&stream.as_bytes()[start..end], rules) {
                Ok(PeerStep::Partial { .. }) => {}
                Ok(PeerStep::Op { op, len }) => {
                    put(&op, &mut out);
                    start += len;
                }
                step => panic!("{step:?} at {start}"),
            }
        }
        assert_eq!(String::from_utf8_lossy(&out), stream);
    }
    check(
        &ROUTE,
        "-ERR 'Not possible to have a dedicated route for account \"$SYS\" between those servers'\r\n",
        &["err Not possible to have a dedicated route for account \"$SYS\" between those servers"],
    );
}
