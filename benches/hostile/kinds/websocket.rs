//! Frames: little that says much, and much that says little.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use flate2::{Compress, Compression, FlushCompress};
use midge_protocol::websocket::{Header, Opcode, mask};

use crate::stage::{FOREVER, Stage};
use crate::swarm::{Reading, Swarm};

pub(crate) const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
      Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// Clients of each sort.
const CLIENTS: usize = 16;

/// What a bomb says: the most that midge opens of one message.
const BOMB_BYTES: usize = 8 << 20;

pub(crate) fn frame(opcode: Opcode, is_compressed: bool, payload: &[u8]) -> Vec<u8> {
    let key = [1, 2, 3, 4];
    let header = Header {
        is_compressed,
        mask: Some(key),
        ..Header::of(opcode, payload.len())
    };
    let mut payload = payload.to_vec();
    mask(&mut payload, key, 0);
    [header.head().bytes(), &payload].concat()
}

/// A message of few bytes that inflates to this many. `PONG` has no answer.
pub(crate) fn bomb(bytes: usize) -> io::Result<Vec<u8>> {
    let plain = b"PONG\r\n".repeat(bytes / 6);
    let mut message = Vec::with_capacity(plain.len());
    let mut compress = Compress::new(Compression::best(), false);
    compress.compress_vec(&plain, &mut message, FlushCompress::Sync)?;
    message.truncate(message.len() - 4);
    Ok(frame(Opcode::Binary, true, &message))
}

pub(super) fn frames(stage: &mut Stage) -> io::Result<()> {
    let Some(websocket) = stage.websocket else {
        stage.note = "no --websocket".to_owned();
        return Ok(());
    };
    let sorts: [(Arc<[u8]>, Reading); 3] = [
        (bomb(BOMB_BYTES)?.into(), Reading::All),
        (
            frame(Opcode::Ping, false, &[7; 125]).repeat(100).into(),
            Reading::Never,
        ),
        (
            b"PING\r\n"
                .map(|byte| frame(Opcode::Binary, false, &[byte]))
                .concat()
                .into(),
            Reading::All,
        ),
    ];
    let mut swarm = Swarm::new(websocket)?;
    let enter = |swarm: &mut Swarm, number: usize| {
        let (words, reading) = &sorts[number % sorts.len()];
        let id = swarm.dial(REQUEST, *reading)?;
        swarm.repeat(id, words, FOREVER);
        io::Result::Ok(())
    };
    let mut number = 0;
    while number < CLIENTS * sorts.len() {
        enter(&mut swarm, number)?;
        number += 1;
    }
    stage.play(|_| {
        swarm.turn(Duration::ZERO)?;
        for _ in swarm.take_ended() {
            enter(&mut swarm, number)?;
            number += 1;
        }
        Ok(())
    })?;
    stage.note = format!("{} by WebSocket closed", swarm.closed);
    Ok(())
}
