//! `Lookups`: accounts that are asked for elsewhere, by HTTP, and the clients that wait for them.
//!
//! ```text
//! login ──▶ account not known ──▶ one question for all who wait for it, on another thread ──▶ they are looked at again
//! ```
//!
//! A client can invent accounts, and each of them is a question. So there are few at once, each takes [`TIMEOUT`] at most, and
//! no more wait than may: past that a login is refused at once.

use crate::auth::inquiry::Inquirer;
use crate::config::AccountToken;
use std::collections::{HashMap, VecDeque};
#[cfg(feature = "nkeys")]
use std::time::Duration;

/// Time for one question, as in nats-server.
#[cfg(feature = "nkeys")]
const TIMEOUT: Duration = Duration::from_millis(1900);

/// Longest answer: no token is longer.
#[cfg(feature = "nkeys")]
const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// Questions at once: the reactor's other threads are for what else there is.
const ASKED_MAX: usize = 2;

/// Accounts that may wait for their question.
const WAITING_MAX: usize = 256;

/// Accounts that are asked for.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    clients: HashMap<Box<str>, Vec<Inquirer>>,
    waiting: VecDeque<Box<str>>,
    asked: usize,
}

impl Lookups {
    /// A client waits for an account; answers whether there is room.
    pub(crate) fn ask(&mut self, key: &str, client: Inquirer) -> bool {
        if let Some(clients) = self.clients.get_mut(key) {
            clients.push(client);
            return true;
        }
        let has_room = self.waiting.len() < WAITING_MAX;
        if has_room {
            self.clients.insert(key.into(), vec![client]);
            self.waiting.push_back(key.into());
        }
        has_room
    }

    /// The account to ask for next, if there is a thread for it. [`done`](Lookups::done) has to follow.
    pub(crate) fn start(&mut self) -> Option<Box<str>> {
        if self.asked >= ASKED_MAX {
            return None;
        }
        let key = self.waiting.pop_front()?;
        self.asked += 1;
        Some(key)
    }

    /// It is answered; those who wait for it.
    pub(crate) fn done(&mut self, key: &str) -> Vec<Inquirer> {
        self.asked -= 1;
        self.clients.remove(key).unwrap_or_default()
    }
}

/// Asks for an account. Waits.
///
/// # Errors
/// Why there is none, as nats-server tells it.
pub(crate) fn fetch(base: &str, key: &str) -> Result<AccountToken, String> {
    let text = get(&format!("{base}{key}"))?;
    let token = AccountToken::parse(text.trim()).map_err(|fault| fault.to_string())?;
    match token.key() == key {
        true => Ok(token),
        false => Err("account missing".to_owned()),
    }
}

/// The body at an address. Waits.
///
/// # Errors
/// As [`fetch`].
#[cfg(feature = "nkeys")]
pub(crate) fn get(url: &str) -> Result<String, String> {
    use ureq::Agent;

    let config = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .user_agent(concat!("midge/", env!("CARGO_PKG_VERSION")))
        .build();
    let said = |error: ureq::Error| format!("could not fetch <{url:?}>: {error}");
    let answer = Agent::new_with_config(config).get(url).call();
    let mut body = answer.map_err(said)?.into_body();
    let bounded = body.with_config().limit(BODY_BYTES_MAX);
    bounded.read_to_string().map_err(said)
}

/// No broker asks.
#[cfg(not(feature = "nkeys"))]
pub(crate) fn get(_: &str) -> Result<String, String> {
    Err("account missing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::inquiry::Purpose;
    use midge_reactor::Key;

    #[test]
    fn all_who_wait_for_an_account_share_a_question_and_few_are_asked_at_once() {
        let client = |number| Inquirer {
            connection: Key::new(number, 1),
            version: 0,
            purpose: Purpose::Connect,
        };
        let mut lookups = Lookups::default();
        for (number, key) in (0..).zip(["A", "B", "A", "C"]) {
            assert!(lookups.ask(key, client(number)));
        }
        let started: Vec<_> = std::iter::from_fn(|| lookups.start()).collect();
        assert_eq!(started.len(), ASKED_MAX);
        // One that comes while it is asked waits for the same answer.
        assert!(lookups.ask("A", client(9)));
        let of_a = lookups.done("A");
        assert_eq!(of_a.len(), 3);
        assert_eq!(lookups.start().as_deref(), Some("C"));
        assert_eq!(lookups.start(), None);
        for number in 0..WAITING_MAX {
            assert!(lookups.ask(&number.to_string(), client(1)));
        }
        assert!(!lookups.ask("one too many", client(1)));
        assert!(lookups.ask("B", client(1)));
    }
}
