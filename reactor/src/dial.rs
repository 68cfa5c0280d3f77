//! Connecting to a name: one connection, from the lookup to the first address that answers.
//!
//! ```text
//! connect_host ──▶ lookup ──▶ address 1 ──▶ address 2 ──▶ … ──▶ open
//!                    │           │ failed, or its share of the time is over
//!                    ▼           ▼ the last one, too
//!                 on_close(ConnectFailed or ConnectTimeout)
//! ```
//!
//! All of it happens in [`Phase::Connecting`], with one key and within one timeout. An address gets
//! an equal share of the time that is left, so that a first one that never answers does not use it
//! all up; what it leaves goes to those behind it.

use crate::annotated::annotated;
use crate::core::{Phase, Target};
use crate::{Close, ConnectOptions, Io, Key, Time};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

/// What a connection to a name has yet to try.
#[derive(Debug)]
pub(crate) struct Dial {
    host: String,
    options: ConnectOptions,
    /// When all of it must be over.
    deadline: Time,
    rest: std::vec::IntoIter<SocketAddr>,
    /// The address being tried. `None` while the name is looked up.
    pub(crate) addr: Option<SocketAddr>,
    /// Why the address before it has failed.
    failure: Option<io::Error>,
}

impl Dial {
    pub(crate) fn new(host: &str, options: &ConnectOptions, deadline: Time) -> Dial {
        Dial {
            host: host.to_owned(),
            options: options.clone(),
            deadline,
            rest: Vec::new().into_iter(),
            addr: None,
            failure: None,
        }
    }

    /// An error that names who was to be reached, and the address that was tried last unless that
    /// was the name.
    fn named(&self, cause: io::Error) -> io::Error {
        match self.addr.filter(|addr| addr.to_string() != self.host) {
            Some(addr) => annotated(format!("{} ({addr})", self.host), cause),
            None => annotated(self.host.as_str(), cause),
        }
    }
}

/// The name and the port of `"name:port"`; an IPv6 address stands in brackets.
///
/// # Errors
/// `InvalidInput` that tells what is missing.
pub(crate) fn split(host: &str) -> io::Result<(&str, u16)> {
    let invalid = |text| io::Error::new(ErrorKind::InvalidInput, text);
    let (name, port) = host
        .rsplit_once(':')
        .ok_or_else(|| invalid("no port; \"name:port\" is wanted"))?;
    let port = port
        .parse()
        .map_err(|_| invalid("the port is not a number below 65536"))?;
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match bare.unwrap_or(name) {
        "" => Err(invalid("no name before the port")),
        name if bare.is_none() && name.contains(':') => {
            Err(invalid("an IPv6 address stands in brackets: \"[::1]:80\""))
        }
        name => Ok((name, port)),
    }
}

/// The address that `name` is, if it is one: then nothing is to be looked up.
pub(crate) fn literal(name: &str, port: u16) -> Option<SocketAddr> {
    let ip = name.parse::<IpAddr>().ok()?;
    Some(SocketAddr::new(ip, port))
}

impl Io<'_> {
    /// The lookup is over: tries the first address. Nothing if the connection has gone meanwhile.
    pub(crate) fn dial_found(&mut self, key: Key, found: io::Result<Vec<SocketAddr>>) {
        let Some(dial) = self.dial(key) else {
            return;
        };
        match found {
            Ok(addrs) => dial.rest = addrs.into_iter(),
            Err(error) => dial.failure = Some(error),
        }
        self.dial_next(key);
    }

    /// The address being tried has failed: tries the next. Gives the error back if the connection
    /// is none to a name: the caller has to close it.
    pub(crate) fn dial_failed(&mut self, key: Key, error: io::Error) -> Result<(), io::Error> {
        let Some(dial) = self.dial(key) else {
            return Err(error);
        };
        dial.failure = Some(error);
        self.driver.close(key);
        self.dial_next(key);
        Ok(())
    }

    /// The time of the address being tried is over, or that of the lookup.
    pub(crate) fn dial_timed_out(&mut self, key: Key) {
        let now = self.core.now;
        let has_next = self
            .dial(key)
            .is_some_and(|dial| now < dial.deadline && !dial.rest.as_slice().is_empty());
        if has_next {
            let too_late = ErrorKind::TimedOut.into();
            let _ = self.dial_failed(key, too_late);
        } else {
            self.core.close(key, Close::ConnectTimeout);
        }
    }

    fn dial_next(&mut self, key: Key) {
        let now = self.read_clock();
        loop {
            let Some(conn) = self.core.conn_mut(key) else {
                return;
            };
            let conn = &mut *conn.rest;
            let Some(dial) = &mut conn.dial else {
                return;
            };
            let tries = u32::try_from(dial.rest.len()).unwrap_or(u32::MAX);
            let Some(addr) = dial.rest.next() else {
                let failure = dial.failure.take();
                let failure = failure.unwrap_or_else(|| ErrorKind::NotFound.into());
                let failure = dial.named(failure);
                self.core.close(key, Close::ConnectFailed(failure));
                return;
            };
            dial.addr = Some(addr);
            let share = dial.deadline.since(now) / tries;
            // What was known of the socket before does not hold for the next one.
            (conn.readable, conn.writable, conn.hangup) = (false, false, false);
            (conn.peer, conn.is_tcp) = (Some(addr), true);
            match self.driver.connect(key, addr, &dial.options) {
                Ok(()) => {
                    let target = Target::ConnectDeadline(key);
                    return self.core.arm_phase_timer(key, share, target);
                }
                Err(error) => {
                    if let Some(dial) = self.dial(key) {
                        dial.failure = Some(error);
                    }
                }
            }
        }
    }

    fn dial(&mut self, key: Key) -> Option<&mut Dial> {
        let conn = self.core.conn_mut(key)?;
        match conn.phase {
            Phase::Connecting => conn.dial.as_deref_mut(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_port_stand_on_both_sides_of_the_last_colon() {
        assert_eq!(split("db:4222").ok(), Some(("db", 4222)));
        assert_eq!(split("db.example.org:1").ok(), Some(("db.example.org", 1)));
        assert_eq!(split("127.0.0.1:0").ok(), Some(("127.0.0.1", 0)));
        assert_eq!(split("[::1]:80").ok(), Some(("::1", 80)));
    }

    #[test]
    fn what_is_missing_is_told() {
        let told = |host| split(host).expect_err("it is wrong").to_string();
        assert!(told("db").contains("no port"));
        assert!(told("db:").contains("port is not a number"));
        assert!(told("db:65536").contains("port is not a number"));
        assert!(told(":80").contains("no name"));
        assert!(told("[]:80").contains("no name"));
        assert!(told("::1:80").contains("brackets"));
    }
}
