//! The sorts of hostile clients that a soak mixes: what each says step by step, how often, and what comes after.
//!
//! The counts are those of ten thousand clients. Periods are such that all together keep a broker busy and do not fill it:
//! some thousands of connects and some tens of thousands of steps a second. What fills it alone is in the other kinds.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use midge_protocol::websocket::Opcode;

use crate::kinds::handshakes;
use crate::kinds::websocket::{REQUEST, bomb, frame};
use crate::stage::{HELLO, message};
use crate::swarm::Reading;

/// What a message says that inflates.
const BOMB_BYTES: usize = 1 << 20;

/// What a client does when it has said all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Then {
    /// It says all but the first step again.
    Again,
    /// It vanishes, and another comes.
    Vanish,
    /// It stays, and says nothing.
    Stay,
}

/// A sort of hostile clients.
pub(super) struct Sort {
    /// Of ten thousand.
    pub(super) count: usize,
    /// Between two steps of one of them.
    pub(super) period: Duration,
    pub(super) reading: Reading,
    pub(super) is_websocket: bool,
    /// What it says; the first as it connects.
    pub(super) steps: Vec<Arc<[u8]>>,
    pub(super) then: Then,
}

/// What the broker's configuration says besides: TLS beside clients in clear, and a password to guess.
pub(super) fn settings() -> io::Result<String> {
    let users = "no_auth_user: guest\n\
                 authorization { users: [ {user: guest}, {user: admin, password: \"a-long-password\"} ] }\n";
    Ok(handshakes::settings()? + users)
}

/// Each byte by itself.
fn bytes(words: &[u8]) -> Vec<Arc<[u8]>> {
    words.chunks(1).map(Arc::from).collect()
}

fn sort(count: usize, millis: u64, steps: Vec<Arc<[u8]>>, then: Then) -> Sort {
    Sort {
        count,
        period: Duration::from_millis(millis),
        reading: Reading::All,
        is_websocket: false,
        steps,
        then,
    }
}

fn framed(sort: Sort) -> Sort {
    Sort {
        is_websocket: true,
        ..sort
    }
}

/// All of them.
pub(super) fn sorts() -> io::Result<Vec<Sort>> {
    use Then::{Again, Stay, Vanish};
    let hello: Arc<[u8]> = HELLO.as_bytes().into();
    let request: Arc<[u8]> = REQUEST.into();
    let tls = handshakes::hello()?;
    let half: Arc<[u8]> = tls[..tls.len() / 2].into();
    let after = |first: &Arc<[u8]>, rest: Vec<Arc<[u8]>>| {
        let mut steps = vec![Arc::clone(first)];
        steps.extend(rest);
        steps
    };
    let one = |words: Vec<u8>| vec![Arc::<[u8]>::from(words)];
    let guess = "CONNECT {\"user\":\"admin\",\"pass\":\"guess\",\"verbose\":false}\r\nPING\r\n";
    let long = "l".repeat(3_900);
    let endless = [
        frame(Opcode::Binary, false, b"")[..1].to_vec(),
        vec![0xff; 9],
    ]
    .concat();
    let pings = frame(Opcode::Ping, false, &[7; 125]).repeat(50);
    let drops = b"PUB soak.drops 6\r\nPING\r\n\r\n";
    let framed_drops: Vec<Arc<[u8]>> = drops
        .chunks(1)
        .map(|byte| frame(Opcode::Binary, false, byte).into())
        .collect();
    Ok(vec![
        // TLS handshakes: half of the first message and no more, and all of it and no answer to what comes.
        sort(1_500, 1_000, vec![half], Stay),
        sort(500, 2_000, one(tls), Vanish),
        // A request for a WebSocket that does not come to its end.
        framed(sort(1_000, 250, bytes(&REQUEST[..REQUEST.len() - 2]), Stay)),
        // Frames: pings whose answers are not read, one that is endless, messages that inflate, bytes one by one.
        Sort {
            reading: Reading::Never,
            ..framed(sort(500, 1_000, after(&request, one(pings)), Again))
        },
        framed(sort(500, 2_000, after(&request, one(endless)), Vanish)),
        framed(sort(
            500,
            10_000,
            after(&request, one(bomb(BOMB_BYTES)?)),
            Again,
        )),
        framed(sort(500, 250, after(&request, framed_drops), Again)),
        // Logins that fail, and connections that come and are killed.
        sort(1_500, 3_000, one(guess.into()), Vanish),
        sort(
            200,
            500,
            after(&hello, one(b"SUB soak.churn.* 1\r\n".to_vec())),
            Vanish,
        ),
        // One byte at a time.
        sort(1_500, 250, after(&hello, bytes(drops)), Again),
        // Lines as long as may be, lines without end, what is no operation and more behind it.
        sort(
            500,
            1_000,
            after(&hello, one(message(&long, 0).repeat(4))),
            Again,
        ),
        sort(500, 1_000, after(&hello, one(vec![b'x'; 8_192])), Vanish),
        sort(
            300,
            2_000,
            after(
                &hello,
                one([b"NO SUCH OP\r\n".to_vec(), message("soak.err", 60_000)].concat()),
            ),
            Vanish,
        ),
        // Subscribers that never read, and what is sent to them.
        Sort {
            reading: Reading::Never,
            ..sort(
                192,
                1_000,
                after(&hello, one(b"SUB soak.bulk 1\r\n".to_vec())),
                Stay,
            )
        },
        sort(
            8,
            1_000,
            after(&hello, one(message("soak.bulk", 16_384))),
            Again,
        ),
        // Floods.
        sort(
            300,
            1_000,
            after(&hello, one(b"PING\r\n".repeat(512))),
            Again,
        ),
    ])
}
