//! `Pushes`: what is done to the tokens of accounts, one after the other: each waits for the disk.
//!
//! ```text
//! request, answer, reload ──▶ waiting ──▶ read and written on other threads ──▶ known, and brought to the account's clients
//! ```

use crate::config::{AccountToken, PushFault};
use crate::core::requests::Request;
use crate::state::State;
use jiff::Timestamp;
use midge_reactor::Context;
use std::collections::VecDeque;

/// Most that waits of what others bring, and most bytes of that.
const WAITING_MAX: usize = 1024;
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Work {
    /// What a request wants.
    Request(Request),
    /// A token that was asked for has come: whose it is to be, and its text.
    Come(Box<str>, Box<[u8]>),
    /// The directory may hold others.
    ReadAgain,
    /// Files of these accounts are to go.
    Remove(Vec<Box<str>>),
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Work::Request(request) => request.payload.len(),
            Work::Come(_, text) => text.len(),
            Work::ReadAgain | Work::Remove(_) => 0,
        }
    }
}

/// Does something about an account.
type Deed = fn(&mut Context<'_, State>, account: &str);

/// Tells those who wait for an account why it has not come, if it has not.
type Tell = fn(&mut Context<'_, State>, account: &str, failure: Option<&str>);

/// Does what is to be done of imports: see [`Sharing`](crate::state::sharing::Sharing).
type Attend = fn(&mut Context<'_, State>);

/// What is done to the tokens of accounts.
#[derive(Debug)]
pub(crate) struct Pushes {
    waiting: VecDeque<Work>,
    bytes: usize,
    /// Whether something is under way.
    pub(crate) is_busy: bool,
    /// Brings another token of an account to its clients. Monitoring hears of one and knows no clients, so the server leaves its
    /// function here, and its own for clients that wait.
    pub(crate) bring: Deed,
    pub(crate) tell: Tell,
    /// Asks others for an account. Clients want it, and monitoring can.
    pub(crate) ask: Deed,
    pub(crate) attend: Attend,
}

impl Default for Pushes {
    fn default() -> Pushes {
        Pushes {
            waiting: VecDeque::new(),
            bytes: 0,
            is_busy: false,
            bring: |_, _| {},
            tell: |_, _, _| {},
            ask: |_, _| {},
            attend: |_| {},
        }
    }
}

impl Pushes {
    /// Keeps what somebody brings; answers whether there is room.
    pub(crate) fn keep(&mut self, work: Work) -> bool {
        let bytes = self.bytes + work.bytes();
        let has_room = self.waiting.len() < WAITING_MAX && bytes <= BYTES_MAX;
        if has_room {
            self.bytes = bytes;
            self.waiting.push_back(work);
        }
        has_room
    }

    /// The directory is to be read, once for all that want it.
    pub(crate) fn read_again(&mut self) {
        if !matches!(self.waiting.back(), Some(Work::ReadAgain)) {
            self.waiting.push_back(Work::ReadAgain);
        }
    }

    /// Files are to go.
    pub(crate) fn remove(&mut self, keys: Vec<Box<str>>) {
        self.waiting.push_back(Work::Remove(keys));
    }

    /// What is to be done next.
    pub(crate) fn next(&mut self) -> Option<Work> {
        let work = self.waiting.pop_front()?;
        self.bytes -= work.bytes();
        Some(work)
    }
}

impl State {
    /// Whether a token may take the place of what is known of its account, or of the account of this key.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn admit_account(
        &self,
        key: Option<&str>,
        token: &AccountToken,
    ) -> Result<(), PushFault> {
        let Some(operators) = self.config.operators() else {
            return Err(PushFault::Stranger);
        };
        if key.is_some_and(|key| key != token.key()) {
            return Err(PushFault::Subject);
        }
        let known = self.known.find(operators, token.key());
        let second = Timestamp::now().as_second();
        operators.admit_push(token, known, second)?;
        let max = operators.store().and_then(|store| store.accounts_max);
        let is_full = || max.is_some_and(|max| self.known.from("").count() >= max);
        match known.is_none() && is_full() {
            true => Err(PushFault::Full),
            false => Ok(()),
        }
    }

    /// Whether this is what is known of its account.
    pub(crate) fn knows(&self, token: &AccountToken) -> bool {
        let operators = self.config.operators();
        let known = operators.and_then(|operators| self.known.find(operators, token.key()));
        known == Some(token)
    }
}
