//! `Pushes`: requests to change accounts, one after the other: each waits for the disk.
//!
//! ```text
//! request ──▶ waiting ──▶ read and written on other threads ──▶ known, and brought to the account's clients
//! ```

use crate::core::requests::Request;
use crate::state::State;
use midge_reactor::Context;
use std::collections::VecDeque;

/// Most requests that wait, and most bytes of them.
const WAITING_MAX: usize = 1024;
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Brings another token of an account to its clients. Monitoring hears of one and knows no clients, so the server leaves
/// its function here.
pub(crate) type Bring = fn(&mut Context<'_, State>, account: &str);

/// Requests to change accounts.
#[derive(Debug)]
pub(crate) struct Pushes {
    waiting: VecDeque<Request>,
    bytes: usize,
    /// Whether one is under way.
    pub(crate) is_busy: bool,
    pub(crate) bring: Bring,
}

impl Default for Pushes {
    fn default() -> Pushes {
        Pushes {
            waiting: VecDeque::new(),
            bytes: 0,
            is_busy: false,
            bring: |_, _| {},
        }
    }
}

impl Pushes {
    /// Keeps one; answers whether there is room.
    pub(crate) fn keep(&mut self, request: Request) -> bool {
        let bytes = self.bytes + request.payload.len();
        let has_room = self.waiting.len() < WAITING_MAX && bytes <= BYTES_MAX;
        if has_room {
            self.bytes = bytes;
            self.waiting.push_back(request);
        }
        has_room
    }

    /// The one whose turn it is.
    pub(crate) fn next(&mut self) -> Option<Request> {
        let request = self.waiting.pop_front()?;
        self.bytes -= request.payload.len();
        Some(request)
    }
}
