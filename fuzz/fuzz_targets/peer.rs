//! What brokers say to one another: no bytes make the parser panic, run in place or claim more than there is, what comes
//! out does not depend on how they were cut, and what is written again is read as the same.
//!
//! The first byte of the data chooses the rules, the second how long the pieces are; the rest is the stream, in which
//! some bytes stand for words: chance would take long to spell them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use midge_protocol::peer::{
    Head, Kind, PeerConnect, PeerInfo, PeerMessage, PeerMsg, PeerOp, PeerParser, PeerRules,
    PeerStep, PeerViolation, encode,
};
use midge_protocol::subject;

/// What a byte from 0x80 on stands for.
const WORDS: [&[u8]; 32] = [
    b"RMSG ",
    b"HMSG ",
    b"LMSG ",
    b"RS+ ",
    b"RS- ",
    b"LS+ ",
    b"LS- ",
    b"PING",
    b"PONG",
    b"+OK",
    b"-ERR ",
    b"INFO {",
    b"CONNECT {",
    b"A+ ",
    b"\r\n",
    b"\r\n\r\n",
    b" $G ",
    b" a.b ",
    b" | ",
    b" + ",
    b" q ",
    b" 0 ",
    b" 2 ",
    b" 12 ",
    b" 2\r\nhi\r\n",
    b" 0 2\r\nhi\r\n",
    b" 2 2\r\nhi\r\n",
    b"\"ip\":\"",
    b"\"name\":\"",
    b"\",",
    b"\"}",
    b"}\r\n",
];

/// `data` with the words in it.
fn spelled(data: &[u8]) -> Vec<u8> {
    let word = |byte: &u8| WORDS.get(usize::from(byte.wrapping_sub(0x80)));
    data.iter()
        .flat_map(|byte| word(byte).map_or(std::slice::from_ref(byte), |word| word))
        .copied()
        .collect()
}

fuzz_target!(|data: &[u8]| {
    let [choice, piece, data @ ..] = data else {
        return;
    };
    let stream = &*spelled(data);
    let flag = |bit: u8| choice & bit != 0;
    let kind = if flag(1) { Kind::Route } else { Kind::Leaf };
    let rules = PeerRules {
        line_bytes_max: if flag(2) { 24 } else { 64 * 1024 },
        payload_bytes_max: flag(4).then_some(4),
        unsubscribe_origin: flag(8),
        connect_required: flag(16),
        ..PeerRules::new(kind)
    };
    let whole = run(&rules, stream, stream.len().max(1));
    let cut = run(&rules, stream, usize::from(*piece).max(1));
    assert_eq!(whole, cut, "cut in pieces of {piece}");
});

/// What comes of `stream` in pieces of `len` bytes: how long each op was, what it was, and how it ended.
fn run(
    rules: &PeerRules,
    stream: &[u8],
    len: usize,
) -> (Vec<(usize, String)>, Option<PeerViolation<'static>>) {
    let mut ops = Vec::new();
    let mut parser = PeerParser::default();
    let (mut start, mut end) = (0, 0);
    loop {
        let input = &stream[start..end];
        match parser.next(input, rules) {
            Ok(PeerStep::Partial { need }) => {
                assert!(need > input.len());
                if end == stream.len() {
                    return (ops, None);
                }
                end = stream.len().min(end + len);
            }
            Ok(PeerStep::Refused { violation, len }) => {
                assert!(!violation.is_fatal() && (1..=input.len()).contains(&len));
                ops.push((len, violation.to_string()));
                start += len;
            }
            Ok(PeerStep::Op { op, len }) => {
                assert!((1..=input.len()).contains(&len));
                look_at(&op, rules, &input[..len]);
                ops.push((len, format!("{op:?}")));
                start += len;
            }
            Err(violation) => {
                assert!(violation.is_fatal());
                violation.put(&mut Vec::new());
                return (ops, Some(violation));
            }
        }
    }
}

fn look_at(op: &PeerOp<'_>, rules: &PeerRules, frame: &[u8]) {
    let mut out = Vec::new();
    match *op {
        PeerOp::Info { json } => {
            let Ok(info) = PeerInfo::read(json) else {
                return;
            };
            let told = info.forwarded([127, 0, 0, 1].into());
            told.put(&mut out);
            let again = PeerInfo::read(&out[b"INFO ".len()..]).expect("what was written");
            assert_eq!(again.forwarded([0; 16].into()), again);
            return;
        }
        PeerOp::Connect { json } => {
            if let Ok(connect) = PeerConnect::read(json) {
                let _ = connect.check(rules.kind);
                connect.put(rules.kind, &mut out);
                let again = PeerConnect::read(&out[b"CONNECT ".len()..]).expect("what was written");
                assert_eq!((again.name, again.cluster), (connect.name, connect.cluster));
            }
            return;
        }
        PeerOp::Subscribe { interest, weight } => {
            assert!(subject::is_subscribable(interest.subject));
            encode::subscribe(&mut out, &interest, weight);
        }
        PeerOp::Unsubscribe(interest) => encode::unsubscribe(&mut out, &interest),
        PeerOp::Message(message) => put_message(&message, frame, &mut out),
        PeerOp::Ping | PeerOp::Pong | PeerOp::Ok | PeerOp::Account | PeerOp::Err { .. } => return,
    }
    // Numbers lose their leading zeros; nothing else is longer than it was.
    let rules = PeerRules {
        connect_required: false,
        line_bytes_max: 64 * 1024,
        ..*rules
    };
    let len = out.len();
    let again = PeerParser::default().next(&out, &rules);
    let Ok(PeerStep::Op { op: read, len: all }) = again else {
        panic!("{op:?} was written as {}", out.escape_ascii());
    };
    assert_eq!(all, len);
    match (op, &read) {
        // A message may come without a tail, and has one when it is written.
        (PeerOp::Message(sent), PeerOp::Message(read)) => {
            assert_eq!(
                (sent.origin(), sent.account()),
                (read.origin(), read.account())
            );
            assert!(sent.queues().eq(read.queues()));
            let (sent, read) = (sent.publish(), read.publish());
            assert_eq!(
                (sent.subject(), sent.reply()),
                (read.subject(), read.reply())
            );
            assert_eq!(
                (sent.header(), sent.payload()),
                (read.header(), read.payload())
            );
        }
        (op, read) => assert_eq!(op, read),
    }
}

fn put_message(message: &PeerMessage<'_>, frame: &[u8], out: &mut Vec<u8>) {
    let publish = message.publish();
    assert!(publish.body_bytes() + 2 < frame.len());
    assert!(
        publish
            .tail()
            .is_none_or(|tail| frame.ends_with(tail.as_slice()))
    );
    assert_eq!(
        publish.header().is_empty(),
        publish.header_size().is_empty()
    );
    let queues: Vec<&[u8]> = message.queues().collect();
    let head = Head::new(message.origin(), message.account(), publish.subject());
    head.put(&publish, &queues, out);
    let msg = PeerMsg::of(&head, &publish, &queues);
    let mut long = Vec::new();
    msg.put(&mut long);
    assert_eq!((&long, long.len()), (&*out, msg.encoded_len()));
}
