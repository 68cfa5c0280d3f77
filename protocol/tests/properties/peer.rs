//! What brokers say to one another: the encoder's bytes are what the parser reads, and the parser reads what a naive
//! second reading does, wherever the stream is cut.

use midge_protocol::encode::{PING, PONG};
use midge_protocol::peer::{
    Head, Interest, Kind, PeerConnect, PeerInfo, PeerMessage, PeerMsg, PeerOp, PeerParser,
    PeerRules, PeerStep, encode,
};
use midge_protocol::{Decimal, Publish, subject};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn optional(part: Option<&[u8]>) -> String {
    part.map_or("-".into(), |part| format!("<{}>", text(part)))
}

fn interest(
    origin: Option<&[u8]>,
    account: Option<&[u8]>,
    subject: &[u8],
    queue: Option<&[u8]>,
) -> String {
    [origin, account, Some(subject), queue]
        .map(optional)
        .join(" ")
}

/// A message as an event tells it: origin, account, subject, reply; then its queues and its body.
fn message(words: [Option<&[u8]>; 4], queues: &[&[u8]], header: &[u8], payload: &[u8]) -> String {
    let words = words.map(optional).join(" ");
    let queues: Vec<String> = queues.iter().map(|queue| text(queue)).collect();
    format!("msg {words} {queues:?} {} {}", text(header), text(payload))
}

fn show(op: &PeerOp<'_>) -> String {
    match op {
        PeerOp::Info { json } => format!("info {}", text(json)),
        PeerOp::Connect { json } => format!("connect {}", text(json)),
        PeerOp::Err { text: told } => format!("err {}", text(told)),
        PeerOp::Ping => "ping".into(),
        PeerOp::Pong => "pong".into(),
        PeerOp::Ok => "ok".into(),
        PeerOp::Account => "account".into(),
        PeerOp::Subscribe {
            interest: i,
            weight,
        } => {
            let key = interest(i.origin, i.account, i.subject, i.queue);
            format!("sub {key} x{weight}")
        }
        PeerOp::Unsubscribe(i) => {
            format!(
                "unsub {}",
                interest(i.origin, i.account, i.subject, i.queue)
            )
        }
        PeerOp::Message(read) => show_message(read),
    }
}

fn show_message(read: &PeerMessage<'_>) -> String {
    let publish = read.publish();
    let words = [
        read.origin(),
        read.account(),
        Some(publish.subject()),
        publish.reply(),
    ];
    let queues: Vec<&[u8]> = read.queues().collect();
    message(words, &queues, publish.header(), publish.payload())
}

/// What comes of a stream that arrives in `pieces`.
fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, rules: &PeerRules) -> Vec<String> {
    let (mut events, mut input) = (Vec::new(), Vec::new());
    let mut parser = PeerParser::default();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let dropped = match parser.next(&input, rules) {
                Ok(PeerStep::Partial { need }) => {
                    assert!(need > input.len());
                    break;
                }
                Ok(PeerStep::Refused { violation, len }) => {
                    assert!(!violation.is_fatal());
                    events.push(format!("-ERR {violation}"));
                    len
                }
                Ok(PeerStep::Op { op, len }) => {
                    events.push(show(&op));
                    len
                }
                Err(violation) => {
                    events.push(format!("-ERR {violation}"));
                    return events;
                }
            };
            assert!((1..=input.len()).contains(&dropped));
            input.drain(..dropped);
        }
    }
    events
}

/// The same of a stream that is there as a whole: line after line, each split at blanks.
fn naive(stream: &[u8], rules: &PeerRules) -> Vec<String> {
    let mut events = Vec::new();
    let mut rest = stream;
    loop {
        match naive_op(rest, rules) {
            Ok(None) => return events,
            Ok(Some((event, len))) => {
                events.push(event);
                rest = &rest[len..];
            }
            Err(told) => {
                events.push(format!("-ERR {told}"));
                return events;
            }
        }
    }
}

const UNKNOWN: &str = "Unknown Protocol Operation";
const PARSE: &str = "parse error";

fn naive_op(input: &[u8], rules: &PeerRules) -> Result<Option<(String, usize)>, &'static str> {
    if input.is_empty() {
        return Ok(None);
    }
    if rules.connect_required && !b"cC".contains(&input[0]) {
        return Err("Authorization Violation");
    }
    let free = ["INFO", "CONNECT", "PING", "PONG", "+OK", "-ERR"].as_slice();
    let (free, bound) = match rules.kind {
        Kind::Route => (
            [free, &["A+", "A-"]].concat(),
            ["RS+", "RS-", "LS+", "LS-", "RMSG", "HMSG", "LMSG"].as_slice(),
        ),
        Kind::Leaf => (free.to_vec(), ["LS+", "LS-", "HMSG", "LMSG"].as_slice()),
    };
    let upper = input.to_ascii_uppercase();
    let mut names = free.iter().chain(bound);
    let Some(name) = names
        .clone()
        .find(|name| upper.starts_with(name.as_bytes()))
    else {
        let is_begun = names.any(|name| name.as_bytes().starts_with(&upper));
        return if is_begun { Ok(None) } else { Err(UNKNOWN) };
    };
    if bound.contains(name) {
        match input.get(name.len()) {
            None => return Ok(None),
            Some(b' ' | b'\t') => {}
            Some(_) => return Err(UNKNOWN),
        }
    }
    let end = input.iter().position(|&byte| byte == b'\n');
    let line = &input[..end.unwrap_or(input.len())];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > rules.line_bytes_max {
        return Err("maximum control line exceeded");
    }
    let Some(end) = end else {
        return Ok(None);
    };
    let argument = &line[name.len()..];
    let json = text(argument.trim_ascii());
    let words: Vec<&[u8]> = argument
        .split(|byte| b" \t\r".contains(byte))
        .filter(|word| !word.is_empty())
        .collect();
    let line_bytes = end + 1;
    let event = match *name {
        "INFO" => format!("info {json}"),
        "CONNECT" => format!("connect {json}"),
        "-ERR" => {
            let told = argument.trim_ascii();
            let is_quoted = told.len() > 1 && told.starts_with(b"'") && told.ends_with(b"'");
            let told = if is_quoted {
                &told[1..told.len() - 1]
            } else {
                told
            };
            format!("err {}", text(told))
        }
        "PING" => "ping".into(),
        "PONG" => "pong".into(),
        "+OK" => "ok".into(),
        "A+" | "A-" => "account".into(),
        "RMSG" | "HMSG" | "LMSG" => {
            return naive_message(input, name, &words, line_bytes, rules);
        }
        name => naive_interest(name, &words, rules)?,
    };
    Ok(Some((event, line_bytes)))
}

fn naive_interest(name: &str, words: &[&[u8]], rules: &PeerRules) -> Result<String, &'static str> {
    let (origin, account, rest) = match (rules.kind, name, words) {
        (Kind::Leaf, _, rest) => (None, None, rest),
        (Kind::Route, "RS+" | "RS-", [account, rest @ ..]) => (None, Some(*account), rest),
        (Kind::Route, "LS-", [account, rest @ ..]) if !rules.unsubscribe_origin => {
            (Some(b"".as_slice()), Some(*account), rest)
        }
        (Kind::Route, _, [origin, account, rest @ ..]) => (Some(*origin), Some(*account), rest),
        _ => return Err(PARSE),
    };
    let key = |subject, queue| interest(origin, account, subject, queue);
    let told = match (name.ends_with('+'), rest) {
        (true, [subject]) => format!("sub {} x1", key(subject, None)),
        (true, [subject, queue, weight]) => {
            let weight = number(weight).ok_or(PARSE)?;
            format!("sub {} x{weight}", key(subject, Some(queue)))
        }
        (false, [subject]) => return Ok(format!("unsub {}", key(subject, None))),
        (false, [subject, queue]) => return Ok(format!("unsub {}", key(subject, Some(queue)))),
        _ => return Err(PARSE),
    };
    if subject::is_subscribable(rest[0]) {
        Ok(told)
    } else {
        Ok("-ERR Invalid Subscription".into())
    }
}

fn naive_message(
    input: &[u8],
    name: &str,
    words: &[&[u8]],
    line_bytes: usize,
    rules: &PeerRules,
) -> Result<Option<(String, usize)>, &'static str> {
    let (origin, account, words) = match (rules.kind, name, words) {
        (Kind::Leaf, _, words) => (None, None, words),
        (Kind::Route, "LMSG", [origin, account, words @ ..]) => {
            (Some(*origin), Some(*account), words)
        }
        (Kind::Route, "RMSG" | "HMSG", [account, words @ ..]) => (None, Some(*account), words),
        _ => return Err(PARSE),
    };
    let with_header = name == "HMSG" || origin.is_some();
    let (subject, to, header_size, size) = match words {
        [subject, to @ .., header_size, size] if with_header => {
            (*subject, to, number(header_size), number(size))
        }
        [subject, to @ .., size] if !with_header => (*subject, to, Some(0), number(size)),
        _ => return Err(PARSE),
    };
    let (reply, queues) = match to {
        [] => (None, &[][..]),
        [reply] => (Some(*reply), &[][..]),
        [b"|", queues @ ..] => (None, queues),
        [b"+", reply, queues @ ..] => (Some(*reply), queues),
        _ => return Err(PARSE),
    };
    let (header_size, size) = (header_size.ok_or(PARSE)?, size.ok_or(PARSE)?);
    if header_size > size {
        return Err(PARSE);
    }
    if rules.payload_bytes_max.is_some_and(|max| size > max) {
        return Err("Maximum Payload Violation");
    }
    let rest = &input[line_bytes..];
    let trailer = &rest[size.min(rest.len())..];
    if trailer.len() < 2 && b"\r\n".starts_with(trailer) {
        return Ok(None);
    }
    if !trailer.starts_with(b"\r\n") {
        return Err(UNKNOWN);
    }
    let (header, payload) = rest[..size].split_at(header_size);
    let words = [origin, account, Some(subject), reply];
    let event = message(words, queues, header, payload);
    Ok(Some((event, line_bytes + size + 2)))
}

fn number(digits: &[u8]) -> Option<usize> {
    let is_number = (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| text(digits).parse().ok()).flatten()
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Route), Just(Kind::Leaf)]
}

fn rules() -> impl Strategy<Value = PeerRules> {
    let first = prop::bool::weighted(0.1);
    let payload = option::of(Just(8));
    (
        kind(),
        any::<bool>(),
        first,
        payload,
        select(&[40, 4096][..]),
    )
        .prop_map(
            |(kind, unsubscribe_origin, connect_required, payload_bytes_max, line_bytes_max)| {
                PeerRules {
                    line_bytes_max,
                    payload_bytes_max,
                    unsubscribe_origin,
                    connect_required,
                    ..PeerRules::new(kind)
                }
            },
        )
}

/// Pieces of ops, most of them right for one kind or the other, glued together at random.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let ops = &[
        "PING\r\n",
        "pong junk\n",
        "+OK\r\n",
        "-ERR 'x'\r\n",
        "INFO {} \r\n",
        "CONNECT {\"a\":1}\r\n",
        "A+ $G\r\n",
        "RS+ $G a.*\r\n",
        "RS+ $G a w 2\r\n",
        "rs-\t$G  a\n",
        "RS- $G a w\r\n",
        "RS+ $G a..b\r\n",
        "LS+ LC $G a w 2\r\n",
        "LS+ LC $G a\r\n",
        "LS- LC $G a\r\n",
        "LS- $G a w\r\n",
        "LS- LC $G a w\r\n",
        "LS+ a w 2\r\n",
        "LS+ a.>\r\n",
        "LS- a\r\n",
        "LS+ a w x\r\n",
        "RMSG $G a 2\r\nhi\r\n",
        "RMSG $G a r 2\r\nhi\r\n",
        "RMSG $G a | q w 2\r\nhi\r\n",
        "RMSG $G a + r q 2\r\n\r\n\r\n",
        "RMSG $G a + r 0\r\n\r\n",
        "rmsg $G\ta  | | 2 \nhi\r\n",
        "HMSG $G a 1 2\r\nhi\r\n",
        "HMSG $G a r 2 2\r\nhi\r\n",
        "HMSG $G a | q 1 2\r\nhi\r\n",
        "HMSG $G a + r q w 0 2\r\nhi\r\n",
        "HMSG a 1 2\r\nhi\r\n",
        "HMSG a + r q 1 2\r\nhi\r\n",
        "LMSG LC $G a 0 2\r\nhi\r\n",
        "LMSG LC $G a + r q w 1 2\r\nhi\r\n",
        "LMSG LC $G a | q 2 1\r\nhi\r\n",
        "LMSG a 2\r\nhi\r\n",
        "LMSG a r 2\r\nhi\r\n",
        "LMSG a | q w 2\r\nhi\r\n",
        "LMSG a + r 2\r\nhi\r\n",
        "LMSG a 9\r\nPING\r\nhi!\r\n",
        "LS+ aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
    ][..];
    let junk = select(&b"RLHMSGAPINO+-| \t\r\n0123456789aq.*>$\0\xff"[..]);
    let change = (any::<Index>(), junk.clone(), 0..3u8);
    let mangled = (select(ops), vec(change, 0..3)).prop_map(|(op, changes)| {
        let mut op = op.as_bytes().to_vec();
        for (index, byte, how) in changes {
            let at = index.index(op.len());
            match how {
                0 => op[at] = byte,
                1 => op.insert(at, byte),
                _ => drop(op.remove(at)),
            }
        }
        op
    });
    let part = prop_oneof![
        8 => select(ops).prop_map(|op| op.as_bytes().to_vec()),
        4 => mangled,
        1 => vec(junk, 0..12),
    ];
    vec(part, 0..8).prop_map(|parts| parts.concat())
}

/// `stream` in pieces that end at `cuts`.
fn pieces<'a>(stream: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect()
}

/// A word of a control line: any bytes but separators and line ends.
fn word() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("separator", |byte| !b" \t\r\n".contains(byte));
    prop_oneof![
        vec(byte, 1..20),
        select(&["|", "+", "$G", "a.b", "_INBOX.1"][..]).prop_map(|word| word.as_bytes().to_vec()),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..50), Just(b"\r\nPING\r\n".to_vec())]
}

/// The bytes of an op of this kind, and what is to come of them.
fn op(kind: Kind) -> impl Strategy<Value = (Vec<u8>, String)> {
    let words = (
        word(),
        word(),
        word(),
        option::of(word()),
        option::of(word()),
    );
    let queues = vec(word(), 0..4);
    let rest = (0..1_000_000_000u32, 0..5u8, body(), body());
    (words, queues, rest).prop_map(move |(words, queues, (weight, what, header, payload))| {
        let (origin, account, name, reply, queue) = words;
        let is_route = kind == Kind::Route;
        let account = is_route.then_some(account.as_slice());
        let origin = Some(origin.as_slice()).filter(|_| is_route && weight % 2 == 0);
        let mut out = Vec::new();
        let key = Interest {
            origin,
            account,
            subject: &name,
            queue: queue.as_deref(),
        };
        let event = match what {
            0 => {
                encode::subscribe(&mut out, &key, weight);
                let weight = if queue.is_some() { weight } else { 1 };
                let key = interest(origin, account, &name, queue.as_deref());
                if subject::is_subscribable(&name) {
                    format!("sub {key} x{weight}")
                } else {
                    "-ERR Invalid Subscription".into()
                }
            }
            1 => {
                encode::unsubscribe(&mut out, &key);
                let key = interest(origin, account, &name, queue.as_deref());
                format!("unsub {key}")
            }
            2 => {
                out.extend_from_slice(if weight % 2 == 0 { PING } else { PONG });
                if weight % 2 == 0 { "ping" } else { "pong" }.into()
            }
            _ => {
                let queues: Vec<&[u8]> = queues.iter().map(Vec::as_slice).collect();
                let header = if what == 3 { b"".as_slice() } else { &header };
                let reply = reply.as_deref();
                let mut buffer = Vec::new();
                let publish = Publish::compose(&mut buffer, b"x", reply, header, &payload);
                let head = Head::new(origin, account, &name);
                head.put(&publish, &queues, &mut out);
                let mut long = Vec::new();
                let msg = PeerMsg::of(&head, &publish, &queues);
                msg.put(&mut long);
                assert_eq!((text(&out), out.len()), (text(&long), msg.encoded_len()));
                message(
                    [origin, account, Some(&name), reply],
                    &queues,
                    header,
                    &payload,
                )
            }
        };
        (out, event)
    })
}

fn ops() -> impl Strategy<Value = (Kind, Vec<(Vec<u8>, String)>)> {
    kind().prop_flat_map(|kind| (Just(kind), vec(op(kind), 0..6)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn ops_are_read_as_written_in_whatever_pieces_they_come(
        (kind, ops) in ops(),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let rules = PeerRules { unsubscribe_origin: true, ..PeerRules::new(kind) };
        let stream: Vec<u8> = ops.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let expected: Vec<String> = ops.into_iter().map(|(_, event)| event).collect();
        prop_assert_eq!(&run(pieces(&stream, &cuts), &rules), &expected);
        prop_assert_eq!(&naive(&stream, &rules), &expected);
    }

    #[test]
    fn a_naive_reading_comes_to_the_same_wherever_the_stream_is_cut(
        stream in stream(),
        rules in rules(),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let expected = naive(&stream, &rules);
        prop_assert_eq!(&run([stream.as_slice()], &rules), &expected);
        prop_assert_eq!(&run(stream.chunks(1), &rules), &expected);
        prop_assert_eq!(&run(pieces(&stream, &cuts), &rules), &expected);
    }

    #[test]
    fn no_bytes_make_it_panic(stream in vec(any::<u8>(), 0..200), rules in rules()) {
        run(stream.chunks(7), &rules);
        let _ = PeerInfo::read(&stream);
        let _ = PeerConnect::read(&stream);
    }

    #[test]
    fn a_peer_without_headers_gets_the_payload_alone(
        name in word(),
        reply in option::of(word()),
        header in body(),
        payload in body(),
    ) {
        let mut buffer = Vec::new();
        let publish = Publish::compose(&mut buffer, b"x", reply.as_deref(), &header, &payload);
        let head = Head::new(None, Some(b"$G"), &name);
        let size = Decimal::new(payload.len() as u64);
        let bare = PeerMsg {
            header_size: b"",
            header: b"",
            size: size.as_bytes(),
            ..PeerMsg::of(&head, &publish, &[])
        };
        let mut out = Vec::new();
        bare.put(&mut out);
        let expected = message([None, Some(b"$G"), Some(&name), reply.as_deref()], &[], b"", &payload);
        prop_assert_eq!(run([out.as_slice()], &PeerRules::new(Kind::Route)), [expected]);
    }

    #[test]
    fn infos_and_connects_are_read_as_written(texts in vec(any::<String>(), 8), flags in vec(any::<bool>(), 8)) {
        let text = |at: usize| texts[at].clone();
        let info = PeerInfo {
            server_id: text(0),
            host: text(1),
            cluster: text(2),
            ip: text(3),
            connect_urls: texts[4..6].to_vec(),
            leafnode_urls: flags[0].then(|| texts[6..].to_vec()),
            headers: flags[1],
            lnoc: flags[2],
            tls_required: flags[3],
            ..PeerInfo::default()
        };
        let mut out = Vec::new();
        info.put(&mut out);
        prop_assert_eq!(PeerInfo::read(&out[5..]), Ok(info));
        let connect = PeerConnect {
            name: text(0),
            cluster: text(1),
            user: text(2),
            pass: text(3).into(),
            headers: flags[1],
            ..PeerConnect::default()
        };
        for kind in [Kind::Route, Kind::Leaf] {
            let mut out = Vec::new();
            connect.put(kind, &mut out);
            prop_assert_eq!(PeerConnect::read(&out[8..]), Ok(connect.clone()));
        }
    }
}
