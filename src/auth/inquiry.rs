//! Inquiries that take too long for the loop: whether passwords are what hashes were made of.
//!
//! ```text
//! ask ──▶ waiting, the newest on top ──▶ at most JOBS_MAX at once, on other threads ──▶ the answer
//! ```
//!
//! The newest is answered first. When more come than can be answered, somebody has to wait too long;
//! if it is those who have waited the longest, who may have given up already, the others still get
//! in. First come, first served would keep everybody waiting equally long, which is too long. Whoever
//! has hung up meanwhile comes last of all.

use crate::auth::Inquiry;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a client may wait for the answer. Clients give up after about two seconds; this is for
/// those that are patient, and for hashes that take long.
pub(crate) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Most inquiries on other threads at once: one fewer than the reactor has threads, so that what else
/// is given to them need not wait for passwords.
const JOBS_MAX: usize = 3;

/// Below so many inquiries it is not worth looking for those whose askers have gone.
const WAITING_MIN: usize = 64;

/// Whoever asks. While it is there, so are its inquiries.
#[derive(Debug, Default)]
pub(crate) struct Inquirer {
    alive: Arc<()>,
}

/// An inquiry, and what to do with the answer.
#[derive(Debug)]
struct Asked<T> {
    inquiry: Inquiry,
    then: T,
    inquirer: Weak<()>,
}

impl<T> Asked<T> {
    fn is_wanted(&self) -> bool {
        self.inquirer.strong_count() > 0
    }
}

/// Inquiries that wait for a thread, each with a `T` that says what to do with the answer.
#[derive(Debug)]
pub(crate) struct Inquiries<T> {
    waiting: Vec<Asked<T>>,
    /// As many as this, and those that nobody wants answered any more are dropped.
    waiting_max: usize,
    jobs: usize,
}

impl<T> Inquiries<T> {
    pub(crate) fn new() -> Inquiries<T> {
        Inquiries {
            waiting: Vec::new(),
            waiting_max: WAITING_MIN,
            jobs: 0,
        }
    }

    /// Adds one. Costs a few nanoseconds on average, whatever waits already.
    pub(crate) fn ask(&mut self, inquirer: &Inquirer, inquiry: Inquiry, then: T) {
        if self.waiting.len() >= self.waiting_max {
            self.waiting.retain(Asked::is_wanted);
            self.waiting_max = WAITING_MIN.max(2 * self.waiting.len());
        }
        self.waiting.push(Asked {
            inquiry,
            then,
            inquirer: Arc::downgrade(&inquirer.alive),
        });
    }

    /// The inquiry to answer next, if there is one and a thread for it: the newest whose inquirer is
    /// still there, of those who have not hung up if there are any. [`done`](Inquiries::done) has to
    /// follow. Costs a look at each that waits, at worst, which is little beside the answer.
    pub(crate) fn start(&mut self, has_hung_up: impl Fn(&T) -> bool) -> Option<(Inquiry, T)> {
        if self.jobs >= JOBS_MAX {
            return None;
        }
        while self.waiting.pop_if(|newest| !newest.is_wanted()).is_some() {}
        let is_first = |asked: &Asked<T>| asked.is_wanted() && !has_hung_up(&asked.then);
        let place = match self.waiting.iter().rposition(is_first) {
            Some(place) => place,
            None => self.waiting.len().checked_sub(1)?,
        };
        let Asked { inquiry, then, .. } = self.waiting.remove(place);
        self.jobs += 1;
        Some((inquiry, then))
    }

    /// One that was started has been answered, or could not be.
    pub(crate) fn done(&mut self) {
        self.jobs -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inquiries<'a>(
        asked: impl IntoIterator<Item = (&'a Inquirer, &'static str)>,
    ) -> Inquiries<&'static str> {
        let mut inquiries = Inquiries::new();
        for (inquirer, then) in asked {
            let inquiry = Inquiry::new(String::new(), String::new());
            inquiries.ask(inquirer, inquiry, then);
        }
        inquiries
    }

    fn next(inquiries: &mut Inquiries<&'static str>) -> Option<&'static str> {
        let hung_up = |then: &&str| then.starts_with("hung up");
        inquiries.start(hung_up).map(|(_, then)| then)
    }

    #[test]
    fn the_newest_comes_first_and_who_hung_up_last() {
        let inquirer = Inquirer::default();
        let all = ["hung up 1", "old", "new", "hung up 2"];
        let mut inquiries = inquiries(all.map(|then| (&inquirer, then)));
        for expected in ["new", "old", "hung up 2", "hung up 1"] {
            assert_eq!(next(&mut inquiries), Some(expected));
            inquiries.done();
        }
        assert_eq!(next(&mut inquiries), None);
    }

    #[test]
    fn so_many_are_answered_at_once_and_no_more() {
        let inquirer = Inquirer::default();
        let mut inquiries = inquiries([(&inquirer, "one"); JOBS_MAX + 1]);
        for _ in 0..JOBS_MAX {
            assert!(next(&mut inquiries).is_some());
        }
        assert!(next(&mut inquiries).is_none());
        inquiries.done();
        assert!(next(&mut inquiries).is_some());
    }

    #[test]
    fn what_nobody_wants_to_know_is_neither_answered_nor_kept() {
        let stays = Inquirer::default();
        let mut inquiries = inquiries([(&stays, "stays")]);
        for _ in 0..10_000 {
            let inquiry = Inquiry::new(String::new(), String::new());
            inquiries.ask(&Inquirer::default(), inquiry, "gone");
            assert!(inquiries.waiting.len() <= WAITING_MIN);
        }
        assert_eq!(next(&mut inquiries), Some("stays"));
        assert_eq!(next(&mut inquiries), None);
    }
}
