//! No bytes make a parser panic, run in place, or claim more than there is.
//!
//! The first byte of the data chooses the rules; the rest is the stream, seen by both directions.

#![no_main]

use libfuzzer_sys::fuzz_target;
use midge_protocol::{
    ClientOp, ConnectOptions, Parser, Rules, ServerParser, ServerStep, Step, encode, redacted,
    subject,
};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, stream)) = data.split_first() else {
        return;
    };
    client(choice, stream);
    server(stream);
});

fn client(choice: u8, stream: &[u8]) {
    let rules = Rules {
        control_line_bytes_max: if choice & 8 == 0 { 4096 } else { 24 },
        payload_bytes_max: if choice & 16 == 0 { 1024 } else { 4 },
        headers: choice & 1 != 0,
        pedantic: choice & 2 != 0,
        connect_required: choice & 4 != 0,
    };
    let mut parser = Parser::default();
    let mut input = stream;
    let mut warned = false;
    loop {
        match parser.next(input, &rules) {
            Ok(Step::Partial { need }) => {
                assert!(need > input.len());
                return;
            }
            Ok(Step::Skip { len }) => {
                assert!((1..=input.len()).contains(&len));
                input = &input[len..];
            }
            Ok(Step::Warning(violation)) => {
                assert!(!violation.is_fatal() && rules.pedantic && !warned);
                warned = true;
            }
            Ok(Step::Op { op, len }) => {
                assert!((1..=input.len()).contains(&len));
                look_at(&op, &input[..len]);
                input = &input[len..];
                warned = false;
            }
            Err(violation) => {
                assert!(violation.is_fatal());
                encode::err(&mut Vec::new(), &violation);
                return;
            }
        }
    }
}

fn look_at(op: &ClientOp<'_>, frame: &[u8]) {
    match *op {
        ClientOp::Connect { json } => {
            let _ = ConnectOptions::default().merge(json);
            redacted(json);
        }
        ClientOp::Publish(publish) => {
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
            let reached = subject::matches(b">", publish.subject());
            assert_eq!(reached, !subject::has_empty_token(publish.subject()));
        }
        ClientOp::Subscribe {
            subject: pattern, ..
        } => {
            assert!(!subject::matches(pattern, b"a..b"));
        }
        _ => {}
    }
}

fn server(stream: &[u8]) {
    let mut parser = ServerParser::default();
    let mut input = stream;
    loop {
        match parser.next(input) {
            Ok(ServerStep::Partial { need }) => {
                assert!(need > input.len());
                return;
            }
            Ok(ServerStep::Op { len, .. }) => {
                assert!((1..=input.len()).contains(&len));
                input = &input[len..];
            }
            Err(_) => return,
        }
    }
}
