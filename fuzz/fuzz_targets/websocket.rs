//! Frames: no input makes the decoder panic, and what it makes of one does not depend on how that was cut.
//!
//! The first byte of the data chooses what was agreed on, the second says how many bytes of cuts follow; each of
//! those is the length of a piece, over and over until the rest, the stream, is used up.

#![no_main]

use libfuzzer_sys::fuzz_target;
use midge_protocol::websocket::{Decoder, Event, Masking};

fuzz_target!(|data: &[u8]| {
    let [choice, cuts, rest @ ..] = data else {
        return;
    };
    let (cuts, stream) = rest.split_at(usize::from(cuts % 16).min(rest.len()));
    let whole = run(&[stream.len()], stream, *choice);
    assert_eq!(run(cuts, stream, *choice), whole);
    assert_eq!(run(&[1usize], stream, *choice), whole);
});

/// What is heard when `stream` arrives in pieces of the given lengths, in turn; in one, if none. Pieces of a message
/// are put together.
fn run<L: Copy + Into<usize>>(lengths: &[L], stream: &[u8], choice: u8) -> (Vec<u8>, Vec<String>) {
    let masking = match choice & 1 {
        0 => Masking::Required,
        _ => Masking::Optional,
    };
    let mut decoder = Decoder::new(masking, choice & 2 != 0);
    let (mut bytes, mut events) = (Vec::new(), Vec::new());
    let mut lengths = lengths.iter().map(|&length| length.into()).cycle();
    let mut rest = stream;
    while !rest.is_empty() {
        let length = lengths.next().unwrap_or(rest.len()).clamp(1, rest.len());
        let (mut piece, behind) = rest.split_at(length);
        rest = behind;
        loop {
            match decoder.next(&mut piece, &mut bytes) {
                Ok(Event::Partial) => break,
                Ok(Event::Data {
                    is_compressed,
                    is_last,
                    ..
                }) => {
                    if is_last {
                        events.push(format!("message {is_compressed} {}", bytes.len()));
                    }
                }
                Ok(event) => {
                    let is_end = matches!(event, Event::Close(_));
                    events.push(format!("{event:?} {}", bytes.len()));
                    if is_end {
                        return (bytes, events);
                    }
                }
                Err(fault) => {
                    events.push(fault.to_string());
                    return (bytes, events);
                }
            }
        }
    }
    (bytes, events)
}
