//! What the parser makes of streams: by table, and for any stream, however it is cut.

use proptest::prelude::*;

use super::*;
use crate::ConnectOptions;

const QUIET: Rules = Rules {
    control_line_bytes_max: 4096,
    payload_bytes_max: 1024,
    headers: true,
    pedantic: false,
    connect_required: false,
};

/// Runs a stream that arrives in `pieces` and tells what happened, one line per event. As in a
/// broker, `CONNECT` changes the rules.
fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, rules: Rules) -> Vec<String> {
    run_with(pieces, rules, Waiting::ForAnything)
}

#[derive(Clone, Copy, PartialEq)]
enum Waiting {
    /// The parser is asked after each piece.
    ForAnything,
    /// The parser is asked only when as much is there as it said it needs.
    ForNeed,
}

fn run_with<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    mut rules: Rules,
    waiting: Waiting,
) -> Vec<String> {
    let mut events = Vec::new();
    let mut parser = Parser::default();
    let mut input = Vec::new();
    let mut awaited = 0;
    for piece in pieces {
        input.extend_from_slice(piece);
        if waiting == Waiting::ForNeed && input.len() < awaited {
            continue;
        }
        loop {
            let dropped = match parser.next(&input, &rules) {
                Ok(Step::Partial { need }) => {
                    assert!(
                        need > input.len(),
                        "{need} bytes needed, {} there",
                        input.len()
                    );
                    awaited = need;
                    break;
                }
                Ok(Step::Skip { len }) => len,
                Ok(Step::Warning(violation)) => {
                    assert!(!violation.is_fatal());
                    events.push(format!("warning: {violation}"));
                    continue;
                }
                Ok(Step::Op { op, len }) => {
                    events.push(show(&op));
                    if let ClientOp::Connect { json } = op {
                        let mut options = ConnectOptions::default();
                        if let Err(violation) = options.merge(json) {
                            events.push(format!("closed: {violation}"));
                            return events;
                        }
                        rules.headers = options.headers;
                        rules.pedantic = options.pedantic;
                        rules.connect_required = false;
                    }
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

fn show(op: &ClientOp<'_>) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match *op {
        ClientOp::Connect { json } => format!("connect {}", text(json)),
        ClientOp::Info { json } => format!("info {}", text(json)),
        ClientOp::Ping => "ping".into(),
        ClientOp::Pong => "pong".into(),
        ClientOp::Ok => "ok".into(),
        ClientOp::Subscribe {
            subject,
            queue,
            sid,
        } => {
            let queue = queue.map_or("-".into(), text);
            format!("sub {} queue {queue} sid {}", text(subject), text(sid))
        }
        ClientOp::Unsubscribe { sid, max } => match max {
            Some(max) => format!("unsub {} after {max}", text(sid)),
            None => format!("unsub {} now", text(sid)),
        },
        ClientOp::Publish(publish) => {
            let subject = text(publish.subject());
            let reply = publish
                .reply()
                .map_or(String::new(), |reply| format!(" reply {}", text(reply)));
            let header = match publish.header_size() {
                b"" => String::new(),
                size => format!(" header {}={}", text(size), text(publish.header())),
            };
            let (size, payload) = (text(publish.size()), text(publish.payload()));
            format!("pub {subject}{reply}{header} size {size}: {payload}")
        }
    }
}

/// Runs `stream` whole, byte by byte, and asked for only when the parser wants to be.
#[track_caller]
fn check(rules: Rules, stream: impl AsRef<[u8]>, expected: &[&str]) {
    let stream = stream.as_ref();
    let shown = stream.escape_ascii();
    assert_eq!(run([stream], rules), expected, "whole: {shown}");
    assert_eq!(
        run(stream.chunks(1), rules),
        expected,
        "byte by byte: {shown}"
    );
    let patient = run_with(stream.chunks(1), rules, Waiting::ForNeed);
    assert_eq!(patient, expected, "when needed: {shown}");
}

const UNKNOWN: &str = "closed: Unknown Protocol Operation";
const SILENT: &str = "closed: parse error";
const TOO_LONG: &str = "closed: maximum control line exceeded";
const TOO_LARGE: &str = "closed: Maximum Payload Violation";

#[test]
fn every_op_is_understood() {
    check(
        QUIET,
        "CONNECT {\"pedantic\":false}\r\nPING\r\nPONG\r\n+OK\r\nINFO {}\r\n\
         SUB a.* 1\r\nSUB a.* q 2\r\nUNSUB 1\r\nUNSUB 2 5\r\n\
         PUB a 2\r\nhi\r\nPUB a r 0\r\n\r\n",
        &[
            "connect {\"pedantic\":false}",
            "ping",
            "pong",
            "ok",
            "info {}",
            "sub a.* queue - sid 1",
            "sub a.* queue q sid 2",
            "unsub 1 now",
            "unsub 2 after 5",
            "pub a size 2: hi",
            "pub a reply r size 0: ",
        ]
        .map(|event| event.replace('"', "\\\""))
        .each_ref()
        .map(String::as_str),
    );
    check(
        QUIET,
        "HPUB a 1 3\r\nHhi\r\nHPUB a r 3 3\r\nHhi\r\n",
        &[
            "pub a header 1=H size 3: hi",
            "pub a reply r header 3=Hhi size 3: ",
        ],
    );
}

#[test]
fn names_and_blanks_are_lenient() {
    check(QUIET, "ping\npOnG\n+ok\r\n", &["ping", "pong", "ok"]);
    check(
        QUIET,
        "sub\t a \t 1\t\nunsub 1\n",
        &["sub a queue - sid 1", "unsub 1 now"],
    );
    check(QUIET, "pub a 2\nhi\r\n", &["pub a size 2: hi"]);
    check(
        QUIET,
        "Hpub  a\t1 2 \r\nhi\r\n",
        &["pub a header 1=h size 2: i"],
    );
    check(
        QUIET,
        "CONNECT{}\r\nINFO{}\r\nINFO null\r\n",
        &["connect {}", "info {}", "info null"],
    );
    check(QUIET, "connect  {} \t\r\n", &["connect {} \\t"]);
    check(
        QUIET,
        "PINGjunk \r\r\nPONG 1 2 3\n+OKAY\n",
        &["ping", "pong", "ok"],
    );
}

#[test]
fn unknown_names_are_told_at_the_first_wrong_byte() {
    let streams = [
        "X", " ", "\r", "\n", "PX", "PIX", "PUX", "SUX", "UX", "HX", "HM", "M", "R", "L", "A",
        "CX", "+X", "-X", "IX", "PUBX", "SUBS", "HPUB1", "UNSUB,", "-ERRX", "PUB\r", "SUB\n",
        "-ERR\r",
    ];
    for stream in streams {
        check(QUIET, stream, &[UNKNOWN]);
        check(
            QUIET,
            format!("PING\r\n{stream}PING\r\n"),
            &["ping", UNKNOWN],
        );
    }
    for stream in [
        "",
        "P",
        "PU",
        "PUB",
        "pub ",
        "PUB a 1",
        "PUB a 1\r\n",
        "PUB a 1\r\n1\r",
        "-ERR x",
    ] {
        check(QUIET, stream, &[]);
    }
}

#[test]
fn wrong_arguments_close_silently() {
    let lines = [
        "CONNECT\r\n",
        "CONNECT x\r\n",
        "CONNECT {} x\r\n",
        "PUB \r\n",
        "PUB \n",
        "PUB a\r\n",
        "PUB a b c 1\r\n",
        "PUB a -1\r\n",
        "PUB a +1\r\n",
        "PUB a x\r\n",
        "PUB a 1x\r\n",
        "PUB a 0000000001\r\n",
        "HPUB a 1\r\n",
        "HPUB a b c 1 1\r\n",
        "HPUB a x 1\r\n",
        "HPUB a 1 x\r\n",
        "HPUB a 2 1\r\n",
        "HPUB a 9999 9998\r\n",
        "SUB \r\n",
        "SUB a\r\n",
        "SUB a b c d\r\n",
        "UNSUB \r\n",
        "UNSUB 1 2 3\r\n",
        "INFO\r\n",
        "INFO 5\r\n",
        "INFO []\r\n",
        "INFO {} x\r\n",
    ];
    for line in lines {
        let events = run([line.as_bytes()], QUIET);
        assert_eq!(events.last().map(String::as_str), Some(SILENT), "{line:?}");
        assert_eq!(events, run(line.as_bytes().chunks(1), QUIET), "{line:?}");
    }
}

#[test]
fn an_error_that_the_peer_tells_closes_silently_by_its_own_name() {
    for line in ["-ERR \r\n", "-ERR 'x'\r\n", "-err x y\r\n"] {
        let events = run([line.as_bytes()], QUIET);
        assert_eq!(events, ["closed: the peer told of an error"], "{line:?}");
        assert_eq!(events, run(line.as_bytes().chunks(1), QUIET), "{line:?}");
    }
}

#[test]
fn cr_separates_arguments() {
    check(QUIET, "SUB a\rb\r\r\n", &["sub a queue - sid b"]);
    check(QUIET, "SUB \ra b c\r\n", &["sub a queue b sid c"]);
    check(QUIET, "UNSUB 1\r5\r\n", &["unsub 1 after 5"]);
    check(QUIET, "PUB a\r1\r\n1\r\n", &["pub a size 1: 1"]);
    check(QUIET, "PUB \ra 1\r\r\n1\r\n", &["pub a size 1: 1"]);
    check(QUIET, "PUB a\rb 1\r\n1\r\n", &["pub a reply b size 1: 1"]);
}

#[test]
fn arguments_may_hold_any_other_byte() {
    check(
        QUIET,
        b"PUB \0\xff\x0b 1\r\n1\r\n",
        &["pub \\x00\\xff\\x0b size 1: 1"],
    );
    check(
        QUIET,
        b"SUB \xc3\xbc. '\r\n",
        &["sub \\xc3\\xbc. queue - sid \\'"],
    );
}

#[test]
fn unsub_maximum_that_is_no_number_means_now() {
    for max in ["0", "000", "-1", "x", "1234567890", "1.5"] {
        check(QUIET, format!("UNSUB 7 {max}\r\n"), &["unsub 7 now"]);
    }
    check(
        QUIET,
        "UNSUB 7 007\r\nUNSUB 7 999999999\r\n",
        &["unsub 7 after 7", "unsub 7 after 999999999"],
    );
}

#[test]
fn sizes_keep_their_digits() {
    check(QUIET, "PUB a 002\r\nhi\r\n", &["pub a size 002: hi"]);
    check(
        QUIET,
        "HPUB a 01 002\r\nhi\r\n",
        &["pub a header 01=h size 002: i"],
    );
    check(QUIET, "HPUB a 00 002\r\nhi\r\n", &["pub a size 002: hi"]);
    check(
        QUIET,
        "PUB a 000000000\r\n\r\n",
        &["pub a size 000000000: "],
    );
}

#[test]
fn payload_may_hold_anything_and_ends_in_cr_lf() {
    check(
        QUIET,
        "PUB a 6\r\n\r\n\r\nPI\r\n",
        &["pub a size 6: \\r\\n\\r\\nPI"],
    );
    for wrong in ["abcd", "abc\n", "abc\rx", "ab\r\n", "abc \r\n"] {
        check(QUIET, format!("PUB a 3\r\n{wrong}"), &[UNKNOWN]);
    }
    check(QUIET, "PUB a 0\r\nx", &[UNKNOWN]);
}

#[test]
fn payload_limit_is_inclusive_and_told_before_the_payload() {
    let payload = "x".repeat(1024);
    let event = format!("pub a size 1024: {payload}");
    check(QUIET, format!("PUB a 1024\r\n{payload}\r\n"), &[&event]);
    check(QUIET, "PUB a 1025\r\n", &[TOO_LARGE]);
    check(QUIET, "PUB a 999999999\n", &[TOO_LARGE]);
    check(QUIET, "HPUB a 1 1025\r\n", &[TOO_LARGE]);
}

#[test]
fn headers_must_be_in_effect() {
    let rules = Rules {
        headers: false,
        ..QUIET
    };
    check(
        rules,
        "HPUB a 9999 9998\r\n",
        &["closed: message headers not supported"],
    );
    check(rules, "HPUB\r\n", &[UNKNOWN]);
}

#[test]
fn pedantic_warning_comes_once_and_before_the_payload() {
    let rules = Rules {
        pedantic: true,
        ..QUIET
    };
    let warning = "warning: Invalid Publish Subject";
    check(rules, "PUB a.* 1\r\n", &[warning]);
    check(
        rules,
        "PUB a.* 1\r\n1\r\nPUB a 1\r\n1\r\n",
        &[warning, "pub a.* size 1: 1", "pub a size 1: 1"],
    );
    check(rules, "PUB a.* 1\r\n1x", &[warning, UNKNOWN]);
    check(rules, "PUB a..b 9999\r\n", &[TOO_LARGE]);
    check(rules, "PUB a..b x\r\n", &[SILENT]);
    check(QUIET, "PUB a.* 1\r\n1\r\n", &["pub a.* size 1: 1"]);
}

#[test]
fn control_line_limit_counts_arguments_without_the_line_end() {
    let rules = Rules {
        control_line_bytes_max: 20,
        ..QUIET
    };
    let subject = "s".repeat(18);
    let sub = format!("sub {subject} queue - sid 1");
    check(rules, format!("SUB {subject} 1\r\n"), &[&sub]);
    check(rules, format!("SUB {subject} 1\n"), &[&sub]);
    check(rules, format!("SUB \t {subject} 1\r\n"), &[&sub]);
    check(rules, format!("SUB {subject} 1\r"), &[]);
    check(
        rules,
        format!("PUB {subject} 1\r\n1\r\n"),
        &[&format!("pub {subject} size 1: 1")],
    );
    for line in [
        format!("SUB {subject}s 1\r\n"),
        format!("SUB {subject}s 1"),
        format!("SUB {subject} 1 \r\n"),
        format!("SUB {subject} 1\rx"),
        format!("UNSUB {subject} 22\r\n"),
        format!("PUB {subject}s 1\r\n1\r\n"),
        format!("HPUB {subject} 1 1\r\n1\r\n"),
        format!("CONNECT {{{subject}xx"),
        format!("INFO {{{subject}xx"),
        format!("-ERR {{{subject}xx"),
    ] {
        check(rules, line, &[TOO_LONG]);
    }
}

#[test]
fn pages_of_blanks_and_junk_are_neither_limited_nor_kept() {
    let rules = Rules {
        control_line_bytes_max: 20,
        ..QUIET
    };
    let page = " ".repeat(1000);
    for blanks in [page.as_str(), "\t \t", &"\t".repeat(21)] {
        check(
            rules,
            format!("SUB {blanks}a{blanks}"),
            if blanks.len() > 20 { &[TOO_LONG] } else { &[] },
        );
        check(
            rules,
            format!("SUB {blanks}a 1\r\n"),
            &["sub a queue - sid 1"],
        );
        check(
            rules,
            format!("PUB {blanks}a 2\r\nhi\r\n"),
            &["pub a size 2: hi"],
        );
        check(rules, format!("CONNECT{blanks}{{}}\r\n"), &["connect {}"]);
        check(
            rules,
            format!("PING{blanks}\r\nPONG{blanks}\n"),
            &["ping", "pong"],
        );
    }
    let mut parser = Parser::default();
    let junk = format!("PING{page}");
    assert_eq!(
        parser.next(junk.as_bytes(), &rules),
        Ok(Step::Skip { len: 1004 })
    );
    assert_eq!(parser.next(b"", &rules), Ok(Step::Partial { need: 1 }));
    assert_eq!(
        parser.next(b"x\n", &rules),
        Ok(Step::Op {
            op: ClientOp::Ping,
            len: 2
        })
    );
    assert_eq!(parser.next(b"x", &rules), Err(Violation::UnknownOperation));
}

#[test]
fn connect_comes_first_when_it_must() {
    let rules = Rules {
        connect_required: true,
        ..QUIET
    };
    for stream in ["P", "\n", "PUB a 1\r\n1\r\n", "+", "x"] {
        check(rules, stream, &["closed: Authorization Violation"]);
    }
    check(rules, "cX", &[UNKNOWN]);
    check(rules, "connect {}\r\nPING\r\n", &["connect {}", "ping"]);
}

#[test]
fn need_never_waits_past_a_wrong_byte() {
    let mut parser = Parser::default();
    let mut need = |input: &str| match parser.next(input.as_bytes(), &QUIET) {
        Ok(Step::Partial { need }) => need,
        step => panic!("{step:?}"),
    };
    assert_eq!(need("PUB a 5"), 8);
    assert_eq!(
        need("PUB a 5\r\n"),
        15,
        "the CR behind the payload may be wrong"
    );
    assert_eq!(need("PUB a 5\r\nhell"), 15);
    assert_eq!(need("PUB a 5\r\nhello\r"), 16);
}

#[test]
fn cut_behind_a_name_leaves_nothing_behind() {
    let pieces = ["PUB", " a 1\r\n1\r\n", "\n"];
    assert_eq!(
        run(pieces.map(str::as_bytes), QUIET),
        ["pub a size 1: 1", UNKNOWN]
    );
}

#[test]
fn nothing_that_was_searched_is_searched_again() {
    let stream = "SUB \t\t a.long.subject \t queue sid\r\nPING some junk\r\nCONNECT{\"a\":1";
    let mut parser = Parser::default();
    let mut start = 0;
    for end in 1..=stream.len() {
        let input = &stream.as_bytes()[start..end];
        match parser.next(input, &QUIET) {
            Ok(Step::Op { len, .. }) => start += len,
            Ok(_) if matches!(parser.stage, Stage::Name) => assert!(input.len() < 8),
            Ok(_) => assert_eq!(parser.searched, input.len()),
            Err(violation) => panic!("{violation}"),
        }
    }
}

#[test]
fn input_that_shrinks_against_the_contract_does_no_harm() {
    for whole in ["PUB a.b r 5\r\nhell", "SUB a.b 1", "PING junk"] {
        for len in 0..whole.len() {
            let mut parser = Parser::default();
            let _ = parser.next(whole.as_bytes(), &QUIET);
            let input = &whole.as_bytes()[..len];
            if let Ok(Step::Partial { need }) = parser.next(input, &QUIET) {
                assert!(need > len);
            }
        }
    }
}

/// Pieces of ops, most of them right, glued together at random.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let op = prop_oneof![
        Just("PING\r\n"),
        Just("pong \t junk\n"),
        Just("+OK\r\n"),
        Just("CONNECT {\"headers\":true}\r\n"),
        Just("CONNECT {\"headers\":true,\"pedantic\":false}\r\n"),
        Just("INFO {}\r\n"),
        Just("SUB a.* 1\r\n"),
        Just("sub  a.>\tq 2 \r\n"),
        Just("UNSUB 1\r\n"),
        Just("UNSUB 1 5\r\n"),
        Just("PUB a.b 5\r\nhello\r\n"),
        Just("PUB a.b _INBOX.x 5\r\nhel\r\n\r\n"),
        Just("PUB a.* 0\r\n\r\n"),
        Just("pub a..b\t02\nhi\r\n"),
        Just("PUB a 9 \r\n\r\nPING\r\n\r\r\n"),
        Just("HPUB a.b 2 5\r\nhello\r\n"),
        Just("HPUB a.b _INBOX.x 0 5\r\nhello\r\n"),
        Just("HPUB a 5 5\r\nhello\r\n"),
        Just("PUB a 99\r\n"),
        Just("PUB aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\r\n1\r\n"),
        Just("PUB aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\r\n1\r\n"),
        Just("HPUB a 3 2\r\nhi\r\n"),
        Just("PING                                \r\n"),
        Just("SUB                                 a 1\r\n"),
        Just("SUB aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\r\n"),
    ];
    let junk = proptest::sample::select(&b"PUBHSNGCOET+-ERKI \t\r\n0123456789ab.*>{}\0\xff"[..]);
    // Mostly ops as they are; now and then one in which some bytes were changed or left out.
    let mangled = (
        op.clone(),
        proptest::collection::vec(
            (any::<proptest::sample::Index>(), junk.clone(), 0..3u8),
            0..3,
        ),
    )
        .prop_map(|(op, changes)| {
            let mut op = op.as_bytes().to_vec();
            for (index, byte, how) in changes {
                if op.is_empty() {
                    break;
                }
                let at = index.index(op.len());
                match how {
                    0 => op[at] = byte,
                    1 => op.insert(at, byte),
                    _ => {
                        op.remove(at);
                    }
                }
            }
            op
        });
    let part = prop_oneof![
        8 => op.prop_map(|op| op.as_bytes().to_vec()),
        3 => mangled,
        1 => proptest::collection::vec(junk, 0..12),
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

fn rules() -> impl Strategy<Value = Rules> {
    (any::<bool>(), any::<bool>(), proptest::bool::weighted(0.1)).prop_map(
        |(headers, pedantic, connect_required)| Rules {
            control_line_bytes_max: 32,
            payload_bytes_max: 16,
            headers,
            pedantic,
            connect_required,
        },
    )
}

#[test]
fn pongs_in_a_row_are_those_that_are_whole_and_written_as_usual() {
    for (input, len) in [
        ("", 0),
        ("PONG\r", 0),
        ("PONG\r\n", 6),
        ("PONG\r\nPONG\r\nPON", 12),
        ("PONG\r\nPING\r\nPONG\r\n", 6),
        ("PONG \r\nPONG\r\n", 0),
        ("PING\r\nPONG\r\n", 0),
    ] {
        assert_eq!(Parser::pongs(input.as_bytes()), len, "{input:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn ops_come_out_the_same_wherever_the_stream_is_cut(
        stream in stream(),
        rules in rules(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let whole = run([stream.as_slice()], rules);
        prop_assert_eq!(&run(stream.chunks(1), rules), &whole);
        prop_assert_eq!(&run_with(stream.chunks(1), rules, Waiting::ForNeed), &whole);

        for cut in 0..stream.len() {
            let pieces = stream.split_at(cut);
            prop_assert_eq!(&run([pieces.0, pieces.1], rules), &whole);
        }

        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
        prop_assert_eq!(&run(pieces, rules), &whole);
    }

    #[test]
    fn short_cut_agrees_with_the_complete_parser(stream in stream(), rules in rules()) {
        let mut input = stream.as_slice();
        let mut repeat = None;
        loop {
            let (mut quick, mut complete) = (Parser::default(), Parser::default());
            quick.repeat = repeat;
            let step = quick.next(input, &rules);
            prop_assert_eq!(step, complete.next_of_any(input, &rules));
            repeat = quick.repeat.take();
            prop_assert_eq!(format!("{quick:?}"), format!("{complete:?}"));
            // On to the next op; where there is none, to the next byte.
            let len = match step {
                Ok(Step::Op { len, .. }) => len,
                _ => 1,
            };
            if input.len() <= len {
                break;
            }
            input = &input[len..];
        }
    }

    #[test]
    fn no_bytes_make_it_panic(stream in proptest::collection::vec(any::<u8>(), 0..200), rules in rules()) {
        run(stream.chunks(7), rules);
    }
}
