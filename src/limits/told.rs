//! What is told of limits that were passed: counted by kind, and in the log a line a minute for each who passes one.

use super::Scope;
use midge_reactor::Time;
use std::fmt;
use std::time::Duration;

/// Time between two lines about one kind of one address or user.
const QUIET: Duration = Duration::from_secs(60);

/// Lines in a second about all of them: addresses may come by the thousand.
const LINES_MAX: u32 = 20;

/// What a limit has done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A connection was refused: there were as many as may be.
    Connections,
    /// A connection was refused: as many had come in this second as may.
    Arrivals,
    /// A subscription was refused.
    Subscriptions,
    /// A client was closed for a message that was too long.
    Payload,
    /// A client was not read for a time.
    Waits,
    /// A message was dropped.
    Dropped,
    /// A client was closed for sending too much.
    Disconnects,
}

impl Kind {
    pub(crate) const ALL: [Kind; 7] = [
        Kind::Connections,
        Kind::Arrivals,
        Kind::Subscriptions,
        Kind::Payload,
        Kind::Waits,
        Kind::Dropped,
        Kind::Disconnects,
    ];

    /// What monitoring calls it, and what it says of it.
    pub(crate) fn name(self) -> (&'static str, &'static str) {
        match self {
            Kind::Connections => (
                "refused_connections",
                "connections refused, too many at once",
            ),
            Kind::Arrivals => (
                "throttled_connections",
                "connections refused, too many in a second",
            ),
            Kind::Subscriptions => ("refused_subscriptions", "subscriptions refused"),
            Kind::Payload => ("refused_payloads", "clients closed for a message too long"),
            Kind::Waits => ("waits", "times a client was not read for sending too much"),
            Kind::Dropped => ("dropped_messages", "messages dropped"),
            Kind::Disconnects => ("disconnects", "clients closed for sending too much"),
        }
    }

    fn said(self) -> &'static str {
        match self {
            Kind::Connections | Kind::Arrivals => "connection refused",
            Kind::Subscriptions => "subscription refused",
            Kind::Payload => "client closed",
            Kind::Waits => "client slowed down",
            Kind::Dropped => "message dropped",
            Kind::Disconnects => "client disconnected",
        }
    }
}

/// How often each kind was, of addresses or of users.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts([u64; Kind::ALL.len()]);

impl Counts {
    pub(crate) fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    pub(super) fn is_any(&self) -> bool {
        self.0 != [0; Kind::ALL.len()]
    }

    pub(super) fn add(&mut self, kind: Kind, times: u64) {
        self.0[kind as usize] += times;
    }
}

/// What the log was told about one address or user.
#[derive(Debug, Default)]
pub(super) struct Told {
    last: [Option<Time>; Kind::ALL.len()],
    /// Since then.
    untold: [u64; Kind::ALL.len()],
}

/// The lines of this second, about all.
#[derive(Debug, Default)]
pub(super) struct Lines {
    since: Time,
    told: u32,
}

impl Lines {
    /// Whether one more may be told, which counts then.
    fn may_tell(&mut self, now: Time) -> bool {
        if now - self.since >= Duration::from_secs(1) {
            *self = Lines {
                since: now,
                told: 0,
            };
        }
        let may = self.told < LINES_MAX;
        self.told += u32::from(may);
        may
    }
}

/// Something that a limit has done, for the log.
#[derive(Debug)]
pub(super) struct Event<'a> {
    pub(super) scope: Scope,
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    /// The setting, and its value.
    pub(super) limit: (&'static str, u64),
    /// Of how many connections, messages or such.
    pub(super) times: u64,
}

impl Told {
    /// The line for what has happened, if there is to be one.
    pub(super) fn line(
        &mut self,
        event: &Event<'_>,
        lines: &mut Lines,
        now: Time,
    ) -> Option<String> {
        let place = event.kind as usize;
        let is_quiet = self.last[place].is_some_and(|last| now - last < QUIET);
        if is_quiet || !lines.may_tell(now) {
            self.untold[place] += event.times;
            return None;
        }
        self.last[place] = Some(now);
        let more = std::mem::take(&mut self.untold[place]) + event.times - 1;
        let (said, (setting, limit)) = (event.kind.said(), event.limit);
        let (scope, name) = (event.scope, event.name);
        let line = format!("{scope} {name:?} - {said}: {setting} {limit}");
        Some(match more {
            0 => line,
            more => format!("{line}; {more} more since the last line"),
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, kind: Kind, times: u64) -> Event<'_> {
        Event {
            scope: Scope::User,
            name,
            kind,
            limit: ("max_connections", 3),
            times,
        }
    }

    #[test]
    fn each_who_passes_a_limit_has_a_line_a_minute_for_each_kind() {
        let (mut told, mut lines) = (Told::default(), Lines::default());
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        let mut line = |kind, times, seconds| {
            let event = event("ann", kind, times);
            told.line(&event, &mut lines, at(seconds))
        };
        let first = line(Kind::Connections, 1, 1);
        let text = "user \"ann\" - connection refused: max_connections 3";
        assert_eq!(first.as_deref(), Some(text));
        assert_eq!(line(Kind::Connections, 5, 1), None);
        assert_eq!(line(Kind::Connections, 1, 60), None);
        let other = line(Kind::Dropped, 4, 2).expect("it is of another kind");
        assert!(other.ends_with("; 3 more since the last line"), "{other}");
        let next = line(Kind::Connections, 1, 61);
        let text = format!("{text}; 6 more since the last line");
        assert_eq!(next, Some(text));
    }

    #[test]
    fn very_many_who_pass_limits_fill_no_log() {
        let mut lines = Lines::default();
        let told = (0..10_000).filter(|_| {
            let event = event("ann", Kind::Waits, 1);
            let line = Told::default().line(&event, &mut lines, Time::ZERO);
            line.is_some()
        });
        assert_eq!(told.count(), LINES_MAX as usize);
    }
}
