//! Inquiries: what must be worked out elsewhere before it is known who a client is.
//!
//! ```text
//! ask ──▶ waiting, the newest on top ──▶ at most JOBS_MAX at once, on other threads ──▶ the verdict
//! ```
//!
//! Today there is one kind: whether a password is what a bcrypt hash was made of.
//!
//! The newest inquiry is worked out first. When more come than can be worked out, some wait too long. If
//! these are the oldest, whose clients may have given up already, the others still get in; first come,
//! first served would keep all of them waiting too long. Inquiries of clients that have hung up come last.

use super::{Inquiry, Verdict};
use midge_reactor::Key;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a client may wait for the verdict. Clients give up after about two seconds; this is for
/// those that are patient, and for hashes that take long.
pub(crate) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Most inquiries on other threads at once: one fewer than the reactor has threads, so that its other
/// jobs need not wait for passwords.
const JOBS_MAX: usize = 3;

/// With fewer inquiries than this, a search for withdrawn ones is not worth its cost.
const WAITING_MIN: usize = 64;

/// Why it is asked who a client is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// It has sent a `CONNECT`, and is not read until the verdict.
    Connect,
    /// Settings have changed. It goes on meanwhile: a moment ago all was well.
    Reload,
}

/// Whose inquiry it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Inquirer {
    pub(crate) connection: Key,
    /// The version of what clients must present, against which this one is held.
    pub(crate) version: u32,
    pub(crate) purpose: Purpose,
}

/// The inquiry that a client waits for. Dropped, it is withdrawn.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) inquirer: Inquirer,
    _wanted: Arc<()>,
}

/// An inquiry that waits for a thread.
#[derive(Debug)]
struct Waiting {
    inquiry: Inquiry,
    inquirer: Inquirer,
    wanted: Weak<()>,
}

impl Waiting {
    fn is_wanted(&self) -> bool {
        self.wanted.strong_count() > 0
    }
}

/// Inquiries that wait for a thread, and how many are with one.
#[derive(Debug)]
pub(crate) struct Inquiries {
    waiting: Vec<Waiting>,
    /// At this length the withdrawn ones are dropped.
    waiting_max: usize,
    jobs: usize,
}

impl Inquiries {
    pub(crate) fn new() -> Inquiries {
        Inquiries {
            waiting: Vec::new(),
            waiting_max: WAITING_MIN,
            jobs: 0,
        }
    }

    /// Adds one. Costs a few nanoseconds on average, whatever waits already.
    pub(crate) fn ask(&mut self, inquiry: Inquiry, inquirer: Inquirer) -> Pending {
        if self.waiting.len() >= self.waiting_max {
            self.waiting.retain(Waiting::is_wanted);
            self.waiting_max = WAITING_MIN.max(2 * self.waiting.len());
        }
        let wanted = Arc::new(());
        self.waiting.push(Waiting {
            inquiry,
            inquirer,
            wanted: Arc::downgrade(&wanted),
        });
        Pending {
            inquirer,
            _wanted: wanted,
        }
    }

    /// The inquiry to work out next, if there is one and a thread for it: the newest that is not
    /// withdrawn, of clients that have not hung up if there are any. [`done`](Inquiries::done) has to
    /// follow. Costs a look at each that waits, at worst, which is little beside the work.
    pub(crate) fn start(
        &mut self,
        has_hung_up: impl Fn(Key) -> bool,
    ) -> Option<(Inquiry, Inquirer)> {
        if self.jobs >= JOBS_MAX {
            return None;
        }
        while self.waiting.pop_if(|newest| !newest.is_wanted()).is_some() {}
        let is_first = |one: &Waiting| one.is_wanted() && !has_hung_up(one.inquirer.connection);
        let place = match self.waiting.iter().rposition(is_first) {
            Some(place) => place,
            None => self.waiting.len().checked_sub(1)?,
        };
        let Waiting {
            inquiry, inquirer, ..
        } = self.waiting.remove(place);
        self.jobs += 1;
        Some((inquiry, inquirer))
    }

    /// One that was started has been worked out, or could not be.
    pub(crate) fn done(&mut self) {
        self.jobs -= 1;
    }
}

impl Inquiry {
    /// The verdict. Takes as long as the maker of the hash has chosen: some tenths of a second, mostly.
    pub(crate) fn work_out(self) -> Verdict {
        // bcrypt looks at 72 bytes; Go refuses longer passwords, so none was ever set.
        match self.guess.len() <= 72 && verify(&self.guess, &self.hash) {
            true => Verdict::Login(self.login),
            false => Verdict::Refused,
        }
    }
}

#[cfg(feature = "bcrypt")]
fn verify(guess: &str, hash: &str) -> bool {
    bcrypt::verify(guess, hash).unwrap_or(false)
}

/// No broker starts with a hash: the [check](crate::config::check::faults) of its settings refuses it.
#[cfg(not(feature = "bcrypt"))]
fn verify(_: &str, _: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::before_connect;
    use crate::config::{Config, Secret};
    use crate::door::Door;

    fn ask(inquiries: &mut Inquiries, client: usize) -> Pending {
        let login = before_connect(&Config::default(), Door::Main.into());
        let inquiry = Inquiry {
            hash: Secret::default(),
            guess: Secret::default(),
            login: login.expect("nothing is asked for"),
        };
        let inquirer = Inquirer {
            connection: Key::new(client, 1),
            version: 0,
            purpose: Purpose::Connect,
        };
        inquiries.ask(inquiry, inquirer)
    }

    /// The client whose turn it is, where those from 100 up have hung up.
    fn next(inquiries: &mut Inquiries) -> Option<usize> {
        let started = inquiries.start(|connection| connection.index() >= 100);
        started.map(|(_, inquirer)| inquirer.connection.index())
    }

    #[test]
    fn the_newest_comes_first_and_clients_that_hung_up_last() {
        let mut inquiries = Inquiries::new();
        let _pending = [101, 1, 2, 102].map(|client| ask(&mut inquiries, client));
        for expected in [2, 1, 102, 101] {
            assert_eq!(next(&mut inquiries), Some(expected));
            inquiries.done();
        }
        assert_eq!(next(&mut inquiries), None);
    }

    #[test]
    fn so_many_are_worked_out_at_once_and_no_more() {
        let mut inquiries = Inquiries::new();
        let _pending = [1; JOBS_MAX + 1].map(|client| ask(&mut inquiries, client));
        for _ in 0..JOBS_MAX {
            assert!(next(&mut inquiries).is_some());
        }
        assert!(next(&mut inquiries).is_none());
        inquiries.done();
        assert!(next(&mut inquiries).is_some());
    }

    #[test]
    fn a_withdrawn_inquiry_is_neither_worked_out_nor_kept() {
        let mut inquiries = Inquiries::new();
        let _stays = ask(&mut inquiries, 1);
        for _ in 0..10_000 {
            drop(ask(&mut inquiries, 2));
            assert!(inquiries.waiting.len() <= WAITING_MIN);
        }
        assert_eq!(next(&mut inquiries), Some(1));
        assert_eq!(next(&mut inquiries), None);
    }
}
