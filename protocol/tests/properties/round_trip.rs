//! What one side's encoder writes, the other side's parser reads.

use midge_protocol::{
    ClientOp, Decimal, Msg, Parser, Rules, ServerOp, ServerParser, ServerStep, Step, encode,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A word of a control line: any bytes but separators and line ends.
fn word() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("separator", |byte| !b" \t\r\n".contains(byte));
    prop_oneof![
        vec(byte, 1..40),
        "[a-z]{1,8}(\\.[a-z*>]{1,8}){0,4}".prop_map(String::into_bytes),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..100), Just(b"\r\nPING\r\n".to_vec())]
}

fn rules() -> Rules {
    Rules {
        headers: true,
        pedantic: false,
        ..Rules::default()
    }
}

/// The one op that `bytes` are.
#[track_caller]
fn only_op(bytes: &[u8]) -> ClientOp<'_> {
    match Parser::default().next(bytes, &rules()) {
        Ok(Step::Op { op, len }) if len == bytes.len() => op,
        step => panic!("{} gave {step:?}", bytes.escape_ascii()),
    }
}

#[track_caller]
fn only_server_op(bytes: &[u8]) -> ServerOp<'_> {
    match ServerParser::default().next(bytes) {
        Ok(ServerStep::Op { op, len }) if len == bytes.len() => op,
        step => panic!("{} gave {step:?}", bytes.escape_ascii()),
    }
}

proptest! {
    #[test]
    fn publish_is_read_as_written(
        subject in word(),
        reply in option::of(word()),
        header in body(),
        payload in body(),
        with_header: bool,
    ) {
        let mut out = Vec::new();
        if with_header {
            encode::hpublish(&mut out, &subject, reply.as_deref(), &header, &payload);
        } else {
            encode::publish(&mut out, &subject, reply.as_deref(), &payload);
        }
        let ClientOp::Publish(publish) = only_op(&out) else { panic!("no publish") };
        prop_assert_eq!(publish.subject(), subject.as_slice());
        prop_assert_eq!(publish.reply(), reply.as_deref());
        prop_assert_eq!(publish.header(), if with_header { header.as_slice() } else { b"" });
        prop_assert_eq!(publish.payload(), payload.as_slice());
    }

    #[test]
    fn delivery_of_a_publish_is_read_as_published(
        subject in word(),
        sid in word(),
        reply in option::of(word()),
        header in body(),
        payload in body(),
    ) {
        let mut published = Vec::new();
        encode::hpublish(&mut published, &subject, reply.as_deref(), &header, &payload);
        let ClientOp::Publish(publish) = only_op(&published) else { panic!("no publish") };

        let msg = Msg {
            subject: publish.subject(),
            sid: &sid,
            reply: publish.reply(),
            header_size: publish.header_size(),
            size: publish.size(),
            header: publish.header(),
            payload: publish.payload(),
        };
        let mut out = Vec::new();
        msg.put(&mut out);
        prop_assert_eq!(out.len(), msg.encoded_len());
        let ServerOp::Msg(delivery) = only_server_op(&out) else { panic!("no delivery") };
        prop_assert_eq!(delivery.subject, subject.as_slice());
        prop_assert_eq!(delivery.sid, sid.as_slice());
        prop_assert_eq!(delivery.reply, reply.as_deref());
        prop_assert_eq!(delivery.header, header.as_slice());
        prop_assert_eq!(delivery.payload, payload.as_slice());

        // The short way writes the same bytes.
        match publish.hand_on() {
            Some((subject, tail)) => {
                let name = if publish.has_header() { "HMSG " } else { "MSG " };
                let mut short = name.as_bytes().to_vec();
                subject.put(&mut short);
                short.extend_from_slice(&[&sid[..], b" "].concat());
                tail.put(&mut short);
                prop_assert_eq!(short, out);
            }
            None => prop_assert!(header.is_empty()),
        }
    }

    #[test]
    fn subscriptions_are_read_as_written(
        subject in word(),
        queue in option::of(word()),
        sid in word(),
        max in option::of(1u64..1_000_000_000),
    ) {
        let mut out = Vec::new();
        encode::sub(&mut out, &subject, queue.as_deref(), &sid);
        prop_assert_eq!(
            only_op(&out),
            ClientOp::Subscribe { subject: &subject, queue: queue.as_deref(), sid: &sid }
        );
        out.clear();
        encode::unsub(&mut out, &sid, max);
        prop_assert_eq!(only_op(&out), ClientOp::Unsubscribe { sid: &sid, max });
    }

    #[test]
    fn numbers_are_written_as_the_standard_library_does(number: u64) {
        let decimal = Decimal::new(number);
        let expected = number.to_string();
        prop_assert_eq!(decimal.as_bytes(), expected.as_bytes());
    }
}

#[test]
fn fixed_ops_are_read_as_written() {
    assert_eq!(only_op(encode::PING), ClientOp::Ping);
    assert_eq!(only_op(encode::PONG), ClientOp::Pong);
    assert_eq!(only_server_op(encode::PING), ServerOp::Ping);
    assert_eq!(only_server_op(encode::PONG), ServerOp::Pong);
    assert_eq!(only_server_op(encode::OK), ServerOp::Ok);

    let mut out = Vec::new();
    encode::connect(&mut out, b"{\"verbose\":false}");
    assert_eq!(
        only_op(&out),
        ClientOp::Connect {
            json: b"{\"verbose\":false}"
        }
    );

    out.clear();
    encode::no_responders(b"_INBOX.1", b"7").put(&mut out);
    let ServerOp::Msg(delivery) = only_server_op(&out) else {
        panic!("no delivery")
    };
    assert_eq!(
        (delivery.header, delivery.payload),
        (&b"NATS/1.0 503\r\n\r\n"[..], &b""[..])
    );
}
