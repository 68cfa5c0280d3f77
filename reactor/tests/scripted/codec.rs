//! The codecs: every conversation whole, byte by byte, and cut anywhere.

use crate::support::{Bench, Cx, Log, Peer};
use midge_reactor::codec::{
    FrameError, Framing, Head, HeaderBody, LengthPrefixed, LineHandler, Lines, Mode, Prefix,
    RequestHandler, UnitHandler,
};
use midge_reactor::{Close, Eof, Handler};
use proptest::prelude::*;

/// Logs what it is handed, and does what lines tell it to.
#[derive(Debug)]
struct Obeys;

fn tell(cx: &Cx<'_>, what: &str, bytes: &[u8]) {
    cx.state.add(|| format!("{what} {}", bytes.escape_ascii()));
}

/// What all handlers of this file do apart from units.
macro_rules! tells_the_rest {
    () => {
        fn on_open(&mut self, cx: &mut Cx<'_>) {
            tell(cx, "open", b"");
        }

        fn on_timer(&mut self, cx: &mut Cx<'_>, timer: u64) {
            cx.state.add(|| format!("timer {timer}"));
        }

        fn on_error(&mut self, cx: &mut Cx<'_>, error: &FrameError) {
            cx.state.add(|| format!("error: {error}"));
            cx.send(b"-ERR");
        }

        fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
            assert!(cx.unread().is_empty(), "what was cut off has been told");
            tell(cx, "eof", b"");
            Eof::Close
        }

        fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
            cx.state.add(|| format!("close: {why}"));
        }
    };
}

impl LineHandler<Log> for Obeys {
    fn on_line(&mut self, cx: &mut Cx<'_>, line: &[u8], framing: &mut Framing) {
        tell(cx, "line", line);
        let text = String::from_utf8_lossy(line);
        let (order, argument) = text.split_once(' ').unwrap_or((&text, ""));
        let number = || argument.parse().unwrap_or(0);
        match order {
            "bytes" => framing.set_mode(Mode::Bytes(number())),
            "rest" => framing.set_mode(Mode::Rest),
            "until" if !argument.is_empty() => framing.set_delimiter(argument.to_owned()),
            "again" => {
                framing.set_mode(Mode::Bytes(3));
                framing.give_back(number());
            }
            "send" => {
                cx.send(b"sent");
            }
            "pause" => cx.pause(),
            "yield" => cx.yield_now(),
            "close" => cx.close(),
            "timer" => {
                cx.set_timer(std::time::Duration::ZERO, number() as u64);
            }
            _ => {}
        }
    }

    fn on_bytes(&mut self, cx: &mut Cx<'_>, bytes: &[u8], framing: &mut Framing) {
        tell(cx, "bytes", bytes);
        match bytes {
            b"more" => framing.set_mode(Mode::Bytes(4)),
            b"two back" => framing.give_back(2),
            _ => {}
        }
    }

    fn on_cut(&mut self, cx: &mut Cx<'_>, part: &[u8], mode: Mode) {
        cx.state
            .add(|| format!("cut {mode:?} {}", part.escape_ascii()));
    }

    tells_the_rest!();
}

impl UnitHandler<Log> for Obeys {
    fn on_unit(&mut self, cx: &mut Cx<'_>, unit: &[u8]) {
        tell(cx, "unit", unit);
    }

    fn on_cut(&mut self, cx: &mut Cx<'_>, part: &[u8]) {
        tell(cx, "cut", part);
    }

    tells_the_rest!();
}

impl RequestHandler<Log> for Obeys {
    fn on_request(&mut self, cx: &mut Cx<'_>, head: Head<'_>, body: &[u8]) {
        for line in head.lines() {
            tell(cx, "head", line);
        }
        if let Some(kind) = head.get("KIND") {
            tell(cx, "kind", kind);
        }
        tell(cx, "body", body);
    }

    fn on_cut(&mut self, cx: &mut Cx<'_>, part: &[u8]) {
        tell(cx, "cut", part);
    }

    tells_the_rest!();
}

fn lines() -> Lines<Obeys> {
    Lines::new(Obeys)
}

fn units(prefix: Prefix) -> LengthPrefixed<Obeys> {
    LengthPrefixed::new(Obeys, prefix)
}

fn requests() -> HeaderBody<Obeys> {
    HeaderBody::new(Obeys)
}

/// What the handler is told when the peer sends these pieces and ends.
fn told(handler: impl Handler<Log> + 'static, pieces: &[&[u8]]) -> (Vec<String>, Peer) {
    let mut bench = Bench::new();
    let peer = bench.client(handler);
    for piece in pieces {
        if !peer.ended() {
            peer.send(piece);
            bench.settle();
        }
    }
    if !peer.closed() {
        peer.finish();
    }
    bench.settle();
    assert!(peer.closed());
    (bench.told(), peer)
}

/// Whole and byte by byte, the handler is told `expected`, the end of the connection not counted if
/// it is the usual one.
fn check<H: Handler<Log> + 'static>(make: impl Fn() -> H, stream: &[u8], expected: &[&str]) {
    let bytes: Vec<_> = stream.chunks(1).collect();
    for (pieces, manner) in [(&[stream][..], "whole"), (&bytes, "byte by byte")] {
        let (mut told, _) = told(make(), pieces);
        if told.ends_with(&["eof ".to_owned(), "close: closed by the peer".to_owned()]) {
            told.truncate(told.len() - 2);
        }
        assert_eq!(told, expected, "{manner}: {}", stream.escape_ascii());
    }
}

#[test]
fn lines_end_with_lf_or_cr_lf_and_may_be_empty() {
    check(
        lines,
        b"a\r\nb\n\n\r\nc\rd\r\r\n",
        &["line a", "line b", "line ", "line ", "line c\\rd\\r"],
    );
}

#[test]
fn other_delimiters_keep_everything() {
    let bars = || lines().delimiter("||");
    check(
        bars,
        b"a\r\n|b\n||||\r||",
        &["line a\\r\\n|b\\n", "line ", "line \\r"],
    );
    check(
        || lines().delimiter("\r\n"),
        b"a\rb\nc\r\r\n\r\n",
        &["line a\\rb\\nc\\r", "line "],
    );
    check(
        || lines().delimiter("aab"),
        b"aaabaabx",
        &["line a", "line ", "cut Line x"],
    );
}

#[test]
fn the_delimiter_may_change_at_any_line() {
    check(
        lines,
        b"until ||\na\nb||until \n||c\r\n",
        &["line until ||", "line a\\nb", "line until \\n", "line c"],
    );
}

#[test]
fn a_block_comes_whole_and_then_lines_again() {
    check(
        lines,
        b"bytes 5\na\nb\r\nbytes 0\nbytes 4\nmorelastline\n",
        &[
            "line bytes 5",
            "bytes a\\nb\\r\\n",
            "line bytes 0",
            "bytes ",
            "line bytes 4",
            "bytes more",
            "bytes last",
            "line line",
        ],
    );
}

#[test]
fn a_block_of_nothing_needs_no_further_byte() {
    let mut bench = Bench::new();
    let peer = bench.client(lines());
    peer.send(b"bytes 0\n");
    bench.settle();
    assert_eq!(bench.told(), ["line bytes 0", "bytes "]);
    let peer = bench.client(lines().mode(Mode::Bytes(0)));
    peer.finish();
    bench.settle();
    assert_eq!(
        bench.told(),
        ["bytes ", "eof ", "close: closed by the peer"]
    );
}

#[test]
fn bytes_without_an_end_pass_as_they_come() {
    let pieces: [&[u8]; 4] = [b"rest\nab\n", b"c", b"\n\n", b"d"];
    let (told, _) = told(lines(), &pieces);
    assert_eq!(
        told[..5],
        [
            "line rest",
            "bytes ab\\n",
            "bytes c",
            "bytes \\n\\n",
            "bytes d"
        ]
    );
}

/// Takes two bytes of what comes without an end, then lines.
struct TakesTwo {
    left: usize,
}

impl LineHandler<Log> for TakesTwo {
    fn on_line(&mut self, cx: &mut Cx<'_>, line: &[u8], _: &mut Framing) {
        tell(cx, "line", line);
    }

    fn on_bytes(&mut self, cx: &mut Cx<'_>, bytes: &[u8], framing: &mut Framing) {
        let mine = bytes.len().min(self.left);
        self.left -= mine;
        bytes[..mine]
            .chunks(1)
            .for_each(|byte| tell(cx, "byte", byte));
        framing.give_back(bytes.len() - mine);
        if self.left == 0 {
            framing.set_mode(Mode::Line);
        }
    }
}

#[test]
fn bytes_given_back_come_again_as_lines() {
    let takes_two = || Lines::new(TakesTwo { left: 2 }).mode(Mode::Rest);
    check(
        takes_two,
        b"abcd\nef\n",
        &["byte a", "byte b", "line cd", "line ef"],
    );
    check(takes_two, b"ab\n", &["byte a", "byte b", "line "]);
}

#[test]
fn the_end_of_a_line_may_be_given_back_with_its_delimiter() {
    check(
        lines,
        b"again 3\nx\n",
        &["line again 3", "bytes  3\\n", "line x"],
    );
}

#[test]
fn bytes_given_back_in_an_endless_block_wait_for_more_behind_them() {
    let mut bench = Bench::new();
    let peer = bench.client(lines().mode(Mode::Rest));
    peer.send(b"two back");
    bench.settle();
    assert_eq!(bench.told(), ["bytes two back"]);
    peer.send(b"!");
    bench.settle();
    assert_eq!(bench.told(), ["bytes ck!"]);
    peer.send(b"two back");
    peer.finish();
    bench.settle();
    assert_eq!(bench.told()[..2], ["bytes two back", "cut Rest ck"]);
}

#[test]
fn what_the_end_cuts_off_is_handed_over() {
    check(lines, b"a\nb\r", &["line a", "cut Line b\\r"]);
    check(
        lines,
        b"bytes 5\nabc",
        &["line bytes 5", "cut Bytes(5) abc"],
    );
    check(lines, b"bytes 5\n", &["line bytes 5", "cut Bytes(5) "]);
    check(lines, b"rest\n", &["line rest"]);
    check(lines, b"", &[]);
    check(|| units(Prefix::U16), &[0, 3, b'a', b'b'], &["cut ab"]);
    check(|| units(Prefix::U16), &[0, 1, b'a', 0], &["unit a", "cut "]);
    check(|| units(Prefix::Varint), &[0x80], &["cut "]);
    check(|| units(Prefix::U8), &[], &[]);
    check(
        requests,
        b"Content-Length: 3\n\nab",
        &["cut Content-Length: 3\\n\\nab"],
    );
}

#[test]
fn a_line_of_the_longest_length_passes_and_one_byte_more_closes() {
    for (delimiter, end) in [("\n", "\n"), ("\n", "\r\n"), ("||", "||")] {
        let short = move || lines().line_bytes_max(5).delimiter(delimiter);
        let line = format!("12345{end}");
        check(short, line.as_bytes(), &["line 12345"]);
        let long = format!("ok{end}123456{end}more{end}");
        check(
            short,
            long.as_bytes(),
            &[
                "line ok",
                "error: line too long, limit 5 bytes",
                "close: line too long, limit 5 bytes",
            ],
        );
    }
}

#[test]
fn a_line_without_an_end_is_given_up_at_the_bound() {
    let mut bench = Bench::new();
    let peer = bench.client(lines().line_bytes_max(5));
    peer.send(b"1234567");
    bench.settle();
    assert_eq!(bench.told(), ["error: line too long, limit 5 bytes"]);
    assert_eq!(peer.text(), "-ERR");
    assert!(peer.ended());
}

#[test]
fn whatever_is_announced_beyond_the_bound_closes_before_it_comes() {
    let too_long = |len, max| {
        let text = format!("{len} bytes announced, limit {max} bytes");
        [format!("error: {text}"), format!("close: {text}")]
    };
    let [error, close] = &too_long(6, 5);
    let end = [error.as_str(), close];
    let block = [&["line bytes 6"][..], &end].concat();
    check(|| lines().block_bytes_max(5), b"bytes 6\nabc", &block);
    let unit = || units(Prefix::U8).unit_bytes_max(5);
    check(
        unit,
        &[5, 1, 2, 3, 4, 5, 6],
        &[&["unit \\x01\\x02\\x03\\x04\\x05"][..], &end].concat(),
    );
    let body = || requests().body_bytes_max(5);
    check(body, b"Content-Length: 6\nmore", &end);
    let [error, close] = &too_long(usize::MAX, 5);
    let most = format!("Content-Length: {}\n", "9".repeat(40));
    check(body, most.as_bytes(), &[error, close]);
}

#[test]
fn what_was_answered_before_a_violation_still_leaves() {
    let (_, peer) = told(
        lines().line_bytes_max(5),
        &[b"send\nsend\ntoo long\nsend\n"],
    );
    assert_eq!(peer.text(), "sentsent-ERR");
}

#[test]
fn units_come_without_their_length_and_may_be_empty() {
    check(
        || units(Prefix::U8),
        b"\x02ab\x00\x01c",
        &["unit ab", "unit ", "unit c"],
    );
    check(
        || units(Prefix::U16),
        b"\x00\x02ab\x00\x00",
        &["unit ab", "unit "],
    );
    check(|| units(Prefix::U32), b"\x00\x00\x00\x02ab", &["unit ab"]);
    let long = [&b"\xac\x02"[..], &[b'x'; 300], b"\x80\x00\x01y"].concat();
    let expected = format!("unit {}", "x".repeat(300));
    check(
        || units(Prefix::Varint),
        &long,
        &[&expected, "unit ", "unit y"],
    );
}

#[test]
fn a_varint_of_more_than_64_bits_is_an_error() {
    let error = ["error: invalid length", "close: invalid length"];
    check(|| units(Prefix::Varint), &[0xff; 10], &error);
    let max = [&[0xff; 9][..], &[1]].concat();
    let told = told(units(Prefix::Varint), &[&max]).0;
    assert!(
        told[0].ends_with("bytes announced, limit 1048576 bytes"),
        "{told:?}"
    );
}

#[test]
fn requests_in_one_stream_are_separated() {
    check(
        requests,
        b"\r\nput a\r\ncontent-LENGTH:  4\r\nKind: x \r\n\r\n\n\nabget\nkind:\n\nA: b\n\n",
        &[
            "head put a",
            "head content-LENGTH:  4",
            "head Kind: x ",
            "kind x",
            "body \\n\\nab",
            "head get",
            "head kind:",
            "kind ",
            "body ",
            "head A: b",
            "body ",
        ],
    );
}

#[test]
fn a_length_that_could_be_read_in_two_ways_is_an_error() {
    let twice = ["error: length told twice", "close: length told twice"];
    check(
        requests,
        b"Content-Length: 1\ncontent-length: 1\n\na",
        &twice,
    );
    for value in ["", " ", "-1", "+1", "1 2", "0x1", "1,1"] {
        let head = format!("Content-Length:{value}\nx\n\n");
        let invalid = ["error: invalid length", "close: invalid length"];
        check(requests, head.as_bytes(), &invalid);
    }
    for name in ["Content-Length ", " Content-Length", "\tContent-Length"] {
        let head = format!("{name}: 1\n\n");
        let invalid = ["error: invalid length", "close: invalid length"];
        check(requests, head.as_bytes(), &invalid);
    }
}

#[test]
fn a_head_of_the_longest_length_passes_and_one_byte_more_closes() {
    check(
        || requests().head_bytes_max(6),
        b"a: b\n\n",
        &["head a: b", "body "],
    );
    let error = "head too long, limit 5 bytes";
    check(
        || requests().head_bytes_max(5),
        b"a: b\n\n",
        &[&format!("error: {error}"), &format!("close: {error}")],
    );
}

#[test]
fn units_that_are_sent_come_out_of_the_other_end() {
    let long = vec![b'z'; 255];
    let text = "ä".as_bytes();
    for prefix in [Prefix::U8, Prefix::U16, Prefix::U32, Prefix::Varint] {
        let mut bench = Bench::new();
        let peer = bench.client(units(prefix));
        let key = peer.key();
        bench.with(|cx| {
            for unit in [text, b"", &long] {
                assert!(prefix.send(&mut cx.io, key, unit));
            }
            let fits = prefix.send(&mut cx.io, key, &[0; 256]);
            assert_eq!(fits, prefix != Prefix::U8);
        });
        bench.settle();
        let received = peer.received();
        let told = told(units(prefix), &[&received]).0;
        assert_eq!(told[0], "unit \\xc3\\xa4", "a length counts bytes");
        assert_eq!(told[1], "unit ");
        assert_eq!(told[2].len(), "unit ".len() + long.len());
    }
}

#[test]
fn pause_yield_and_close_end_the_input_at_the_present_line() {
    let mut bench = Bench::new();
    let peer = bench.client(lines());
    let key = peer.key();
    peer.send(b"pause\na\nyield\nb\nclose\nc\n");
    bench.settle();
    assert_eq!(bench.told(), ["line pause"]);
    bench.with(|cx| cx.io.resume(key));
    bench.turn();
    assert_eq!(bench.told(), ["line a", "line yield"]);
    bench.settle();
    assert_eq!(bench.told(), ["line b", "line close", "close: closed"]);
}

#[test]
fn a_handler_may_fail_its_connection_and_the_reason_is_told() {
    let mut bench = Bench::new();
    let probe = crate::support::Probe::new;
    let now = bench.client(probe("now").on_input(|cx, _| {
        cx.send(b"never");
        cx.fail("out of sorts");
    }));
    let later = bench.client(probe("later").on_input(|cx, _| {
        cx.send(b"sorry");
        cx.fail_after_write("out of sorts");
    }));
    now.send(b"x");
    later.send(b"x");
    bench.settle();
    later.finish();
    bench.settle();
    assert_eq!(
        bench.told(),
        [
            "now input x",
            "later input x",
            "now close: out of sorts, 5 unsent",
            "later close: out of sorts"
        ]
    );
    assert_eq!((now.text(), later.text()), (String::new(), "sorry".into()));
    let (listener, gone) = (bench.listener, now.key());
    bench.with(|cx| {
        assert!(!cx.io.fail(gone, "it has gone"));
        assert!(!cx.io.fail(listener, "nobody to tell"));
    });
}

#[test]
fn input_does_not_come_again_after_the_end_of_input() {
    let mut bench = Bench::new();
    let leaves = crate::support::Probe::new("a")
        .on_input(|_, _| {})
        .on_eof(|cx| {
            assert_eq!(cx.unread(), b"unread");
            cx.pause();
            let key = cx.key();
            cx.io.resume(key);
            Eof::KeepOpen
        });
    let peer = bench.client(leaves);
    peer.send(b"unread");
    peer.finish();
    bench.settle();
    assert_eq!(bench.told(), ["a input unread", "a eof"]);
}

/// A stream of lines and orders, well formed or nearly so.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let text = "[ab|\r\n\x02é]{0,8}";
    let part = prop_oneof![
        4 => (text, prop_oneof![Just("\n"), Just("\r\n"), Just("||")])
            .prop_map(|(text, end)| text + end),
        1 => (0..12usize).prop_map(|len| format!("bytes {len}\n")),
        1 => (0..12usize).prop_map(|len| format!("\x05Content-Length: {len}\n\n")),
        1 => Just("until ||\n".to_owned()),
        1 => Just("until \n||".to_owned()),
        1 => Just("yield\n".to_owned()),
        1 => Just("more".to_owned()),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat().into_bytes())
}

fn cut_at<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for cut in cuts.into_iter().chain([stream.len()]) {
        pieces.push(&stream[from..cut]);
        from = cut;
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn cut_makes_no_difference<H: Handler<Log> + 'static>(
    make: impl Fn() -> H,
    stream: &[u8],
    cuts: &[prop::sample::Index],
) -> Result<(), TestCaseError> {
    let (whole, _) = told(make(), &[stream]);
    let (pieces, _) = told(make(), &cut_at(stream, cuts));
    prop_assert_eq!(whole, pieces);
    Ok(())
}

/// Lines as a loop over the whole stream tells them.
fn naive_lines(stream: &[u8], delimiter: &[u8]) -> Vec<String> {
    let (mut lines, mut from) = (Vec::new(), 0);
    for end in 0..=stream.len() {
        if stream[from..end].ends_with(delimiter) {
            let line = &stream[from..end - delimiter.len()];
            let line = match delimiter {
                b"\n" => line.strip_suffix(b"\r").unwrap_or(line),
                _ => line,
            };
            lines.push(format!("line {}", line.escape_ascii()));
            from = end;
        }
    }
    lines
}

proptest! {
    #[test]
    fn lines_come_out_the_same_wherever_the_stream_is_cut(
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        max in 5..20usize,
    ) {
        cut_makes_no_difference(|| lines().line_bytes_max(max), &stream, &cuts)?;
        cut_makes_no_difference(|| lines().delimiter("||"), &stream, &cuts)?;
    }

    #[test]
    fn units_come_out_the_same_wherever_the_stream_is_cut(
        stream in prop_oneof![stream(), prop::collection::vec(0..6u8, 0..60)],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        for prefix in [Prefix::U8, Prefix::U16, Prefix::Varint] {
            cut_makes_no_difference(|| units(prefix).unit_bytes_max(40), &stream, &cuts)?;
        }
    }

    #[test]
    fn requests_come_out_the_same_wherever_the_stream_is_cut(
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        max in 5..60usize,
    ) {
        let bounded = || requests().head_bytes_max(max).body_bytes_max(9);
        cut_makes_no_difference(bounded, &stream, &cuts)?;
    }

    #[test]
    fn lines_are_what_a_plain_loop_finds(
        stream in "[ab|\r\n]{0,40}",
        delimiter in prop_oneof![Just("\n"), Just("|"), Just("||"), Just("aab"), Just("\r\n")],
    ) {
        let (mut told, _) = told(lines().delimiter(delimiter), &[stream.as_bytes()]);
        told.retain(|line| line.starts_with("line "));
        prop_assert_eq!(told, naive_lines(stream.as_bytes(), delimiter.as_bytes()));
    }
}
