//! What comes out of a stream does not depend on how it was cut.
//!
//! The first byte of the data chooses the rules, the second says how many bytes of cuts follow;
//! each of those is the length of a piece, over and over until the rest, the stream, is used up.

#![no_main]

use libfuzzer_sys::fuzz_target;
use midge_protocol::{Parser, Rules, Step};

fuzz_target!(|data: &[u8]| {
    let [choice, cuts, rest @ ..] = data else {
        return;
    };
    let (cuts, stream) = rest.split_at(usize::from(cuts % 16).min(rest.len()));
    let rules = Rules {
        control_line_bytes_max: 24,
        payload_bytes_max: 64,
        headers: choice & 1 != 0,
        pedantic: choice & 2 != 0,
        connect_required: choice & 4 != 0,
    };
    let whole = run(&[stream.len()], stream, &rules);
    assert_eq!(run(cuts, stream, &rules), whole);
    assert_eq!(run(&[1usize], stream, &rules), whole);
});

/// What happens when `stream` arrives in pieces of the given lengths, in turn; in one, if none.
fn run<L: Copy + Into<usize>>(lengths: &[L], stream: &[u8], rules: &Rules) -> Vec<String> {
    let mut events = Vec::new();
    let mut parser = Parser::default();
    let mut lengths = lengths.iter().map(|&length| length.into()).cycle();
    let (mut start, mut end) = (0, 0);
    while end < stream.len() {
        end += lengths
            .next()
            .unwrap_or(stream.len())
            .clamp(1, stream.len() - end);
        loop {
            match parser.next(&stream[start..end], rules) {
                Ok(Step::Partial { .. }) => break,
                Ok(Step::Skip { len }) => start += len,
                Ok(Step::Warning(violation)) => events.push(format!("{violation:?}")),
                Ok(Step::Op { op, len }) => {
                    events.push(format!("{op:?}"));
                    start += len;
                }
                Err(violation) => {
                    events.push(format!("{violation:?}"));
                    return events;
                }
            }
        }
    }
    events
}
