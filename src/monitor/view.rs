//! `View`: the broker as the endpoints see it. Nothing in it can be changed.

use super::times::uptime;
use crate::config::AccountToken;
use crate::core::accounts::AccountId;
use crate::door::Door;
use crate::records::Records;
use crate::state::State;
use crate::tls::{Certificates, Shown, Tls};
use jiff::Timestamp;
use midge_reactor::{Io, Key, Memory, Stats, Time};
use std::time::Duration;

/// What the endpoints ask of the reactor.
pub(crate) trait Sockets {
    /// The instant this turn began.
    fn now(&self) -> Time;
    /// Bytes queued for a connection.
    fn queued(&self, key: Key) -> usize;
    /// The most that ever were, when the kernel took no more.
    fn queued_peak(&self, key: Key) -> usize;
    /// How long ago a byte last moved.
    fn idle_for(&self, key: Key) -> Duration;
    /// Bytes that were read and not understood yet.
    fn unread(&self, key: Key) -> usize;
    /// What the reactor holds for itself.
    fn memory(&self) -> Memory;
    /// What the reactor has done.
    fn stats(&self) -> Stats;
}

impl Sockets for Io<'_> {
    fn now(&self) -> Time {
        Io::now(self)
    }

    fn queued(&self, key: Key) -> usize {
        Io::queued(self, key)
    }

    fn queued_peak(&self, key: Key) -> usize {
        Io::queued_peak(self, key)
    }

    fn idle_for(&self, key: Key) -> Duration {
        Io::idle_for(self, key)
    }

    fn unread(&self, key: Key) -> usize {
        Io::unread(self, key)
    }

    fn memory(&self) -> Memory {
        Io::memory(self)
    }

    fn stats(&self) -> Stats {
        Io::stats(self)
    }
}

/// The broker at one moment.
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    pub(super) records: &'a Records,
    pub(super) sockets: &'a dyn Sockets,
}

impl<'a> View<'a> {
    /// The id of this server.
    pub(super) fn server_id(&self) -> &'a str {
        &self.state.info.server_id
    }

    /// The name of this server.
    pub(super) fn server_name(&self) -> &'a str {
        &self.state.info.server_name
    }

    /// Whether there is an account of this name: one that the settings have, whose token is known, or that is open still.
    pub(super) fn has_account(&self, name: &str) -> bool {
        let State {
            config,
            core,
            known,
            ..
        } = self.state;
        config.has_account(name)
            || known.has_account(config, name)
            || core.accounts.named(name).is_some()
    }

    /// The token of an account, if it has come by one.
    pub(super) fn token(&self, account: &str) -> Option<&'a AccountToken> {
        let State { config, known, .. } = self.state;
        known.find(config.operators()?, account)
    }

    /// What people call an account: its name, which is not what it is known by if that is a key.
    pub(super) fn title(&self, account: &'a str) -> &'a str {
        let token = self.token(account);
        let title = token.map_or("", |token| &token.claims().name);
        if title.is_empty() { account } else { title }
    }

    /// The names of all accounts, the global one first. Those that the settings have stand in their order.
    pub(super) fn account_names(&self) -> Vec<&'a str> {
        let State { config, core, .. } = self.state;
        let open = core.accounts.iter().map(|one| &*one.name);
        let only_open = open.filter(|name| !config.has_account(name));
        config.account_names().chain(only_open).collect()
    }

    /// The accounts of this name, or all without one, as far as they are open. There may be none.
    pub(super) fn accounts(&self, name: Option<&str>) -> Vec<AccountId> {
        let accounts = &self.state.core.accounts;
        match name {
            Some(name) => accounts.named(name).into_iter().collect(),
            None => accounts.ids().collect(),
        }
    }

    /// The name of an account.
    pub(super) fn account_name(&self, account: AccountId) -> &'a str {
        &self.state.core.accounts[account].name
    }

    /// The certificates that clients are shown who come in by this door.
    pub(super) fn certificates(&self, door: Door) -> &'a [Shown] {
        let tls = self.state.config.terms(door).tls;
        let certificates = tls.and_then(Tls::certificates);
        certificates.map_or(&[], Certificates::shown)
    }

    /// The date.
    pub(super) fn now(&self) -> Timestamp {
        self.wall_of(self.sockets.now())
    }

    /// The date of an instant.
    pub(super) fn wall_of(&self, time: Time) -> Timestamp {
        self.records.clock.wall_of(time)
    }

    /// The time since an instant, in words.
    pub(super) fn since(&self, time: Time) -> String {
        uptime(self.sockets.now() - time)
    }
}

#[cfg(test)]
pub(super) mod fake {
    //! A broker without sockets, to be looked at.

    use super::{Sockets, View};
    use crate::monitor::Pieces;
    use crate::records::{Budget, Records};
    use crate::state::State;
    use crate::{Config, Monitor};
    use midge_reactor::{Key, Memory, Stats, Time};
    use std::time::Duration;

    /// All queues are empty, and it is always the same moment.
    struct Silence;

    impl Sockets for Silence {
        fn now(&self) -> Time {
            Time::from_nanos(1_000_000_000)
        }

        fn queued(&self, _: Key) -> usize {
            0
        }

        fn queued_peak(&self, _: Key) -> usize {
            0
        }

        fn idle_for(&self, _: Key) -> Duration {
            Duration::ZERO
        }

        fn unread(&self, _: Key) -> usize {
            0
        }

        fn memory(&self) -> Memory {
            Memory::default()
        }

        fn stats(&self) -> Stats {
            Stats::default()
        }
    }

    /// A broker that is monitored, and its records.
    pub(crate) fn broker() -> (State, Records) {
        let config = Config {
            monitor: Some(Monitor::default()),
            ..Config::default()
        };
        let state = State::new(config).expect("the settings make sense");
        (state, Records::new(Time::ZERO, 8222, 10_000, 1))
    }

    pub(crate) fn view<'a>(state: &'a State, records: &'a Records) -> View<'a> {
        View {
            state,
            records,
            sockets: &Silence,
        }
    }

    /// All of an answer, and the bytes of its longest piece and how many pieces it took.
    pub(crate) fn all(view: &View<'_>, mut pieces: Box<dyn Pieces>) -> (String, usize, usize) {
        let (mut text, mut longest, mut count) = (String::new(), 0, 0);
        let mut more = true;
        while more {
            let mut out = Vec::new();
            more = pieces.next(view, &mut Budget::new(), &mut out);
            (longest, count) = (longest.max(out.len()), count + 1);
            text += std::str::from_utf8(&out).expect("it is text");
        }
        (text, longest, count)
    }
}
