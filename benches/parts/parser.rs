//! Ops and bytes per second through the parser, by op: whole frames, in buffers as full as the
//! broker's. A payload is jumped over and not read, so the bytes of large ones cost nothing here.
//!
//! Before anything is measured each buffer is read once and checked: as many ops as went in, each
//! of them the one that went in, and nothing left over.

use criterion::{BatchSize, Criterion, Throughput};
use midge_protocol::{ClientOp, Parser, Rules, Step};
use std::hint::black_box;
use std::time::Duration;

/// As much as the reactor reads at once.
const BUFFER_BYTES: usize = 128 * 1024;

/// One op, repeated.
struct Case {
    name: &'static str,
    frame: Vec<u8>,
    /// Whether it is the op that was written.
    is_right: fn(&ClientOp<'_>) -> bool,
}

fn main() {
    // All micro-benches together take a few minutes.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut group = criterion.benchmark_group("parser");
    let rules = Rules {
        headers: true,
        pedantic: false,
        ..Rules::default()
    };
    for case in cases() {
        let count = BUFFER_BYTES / case.frame.len();
        let buffer = case.frame.repeat(count);
        let right = read(&buffer, &rules, case.is_right);
        assert_eq!(right, count, "{}", case.name);

        group.throughput(Throughput::ElementsAndBytes {
            elements: count as u64,
            bytes: buffer.len() as u64,
        });
        group.bench_function(case.name, |bencher| {
            bencher.iter(|| read(black_box(&buffer), &rules, |_| true));
        });
    }
    group.finish();
    in_pieces(&mut criterion, &rules);
    criterion.final_summary();
}

/// Reads `input` to its end; answers how many ops there were for which `is_right` holds.
fn read(input: &[u8], rules: &Rules, is_right: fn(&ClientOp<'_>) -> bool) -> usize {
    let mut parser = Parser::default();
    let (mut rest, mut right) = (input, 0);
    while !rest.is_empty() {
        match parser.next(rest, rules) {
            Ok(Step::Op { op, len }) => {
                right += usize::from(is_right(black_box(&op)));
                rest = &rest[len..];
            }
            other => panic!("{other:?} before {}", rest.escape_ascii()),
        }
    }
    right
}

/// The worst peer: one that sends a long control line a byte at a time. Its cost must grow with
/// the length of the line and not with its square.
fn in_pieces(criterion: &mut Criterion, rules: &Rules) {
    let line = [b"SUB ", "a".repeat(4000).as_bytes(), b" 1\r\n"].concat();
    let mut group = criterion.benchmark_group("parser");
    group.throughput(Throughput::Bytes(line.len() as u64));
    group.bench_function("SUB, a byte at a time", |bencher| {
        bencher.iter_batched_ref(
            Parser::default,
            |parser| {
                for end in 1..line.len() {
                    let step = parser.next(&line[..end], rules);
                    assert!(matches!(step, Ok(Step::Partial { .. })));
                }
                let step = parser.next(&line, rules);
                assert!(matches!(step, Ok(Step::Op { len, .. }) if len == line.len()));
            },
            BatchSize::SmallInput,
        );
    });
}

fn cases() -> Vec<Case> {
    let publish = |head: &str, payload: usize| {
        [head.as_bytes(), b"\r\n", &vec![b'x'; payload], b"\r\n"].concat()
    };
    vec![
        Case {
            name: "PUB, 16 bytes",
            frame: publish("PUB bench.wire 16", 16),
            is_right: |op| {
                matches!(op, ClientOp::Publish(message) if message.subject() == b"bench.wire"
                    && message.payload() == [b'x'; 16] && message.tail().is_some())
            },
        },
        Case {
            name: "PUB with reply, 128 bytes",
            frame: publish("PUB orders.new.eu _INBOX.Zx81kQw0.7 128", 128),
            is_right: |op| {
                matches!(op, ClientOp::Publish(message) if message.payload().len() == 128
                    && message.reply() == Some(b"_INBOX.Zx81kQw0.7") && message.tail().is_some())
            },
        },
        Case {
            name: "PUB written oddly, 16 bytes",
            frame: publish("pub  bench.wire\t16 ", 16),
            is_right: |op| {
                matches!(op, ClientOp::Publish(message) if message.subject() == b"bench.wire"
                    && message.payload() == [b'x'; 16] && message.tail().is_none())
            },
        },
        Case {
            name: "HPUB, 12 and 16 bytes",
            frame: b"HPUB bench.wire 12 28\r\nNATS/1.0\r\n\r\n0123456789abcdef\r\n".to_vec(),
            is_right: |op| {
                matches!(op, ClientOp::Publish(message) if message.header() == b"NATS/1.0\r\n\r\n"
                    && message.payload() == b"0123456789abcdef")
            },
        },
        Case {
            name: "PUB, 4096 bytes",
            frame: publish("PUB bench.wire 4096", 4096),
            is_right: |op| matches!(op, ClientOp::Publish(message) if message.payload() == [b'x'; 4096]),
        },
        Case {
            name: "SUB",
            frame: b"SUB orders.*.eu workers 42\r\n".to_vec(),
            is_right: |op| {
                let expected = ClientOp::Subscribe {
                    subject: b"orders.*.eu",
                    queue: Some(b"workers"),
                    sid: b"42",
                };
                *op == expected
            },
        },
        Case {
            name: "PING",
            frame: b"PING\r\n".to_vec(),
            is_right: |op| *op == ClientOp::Ping,
        },
    ]
}
