//! Relays, as they are asked for.

use super::Io;
use crate::Key;
use crate::relay::{ProxyError, ProxyOptions, Relay};

impl Io<'_> {
    /// Sends what `from` receives on to `to`, inside the loop, until the limit, the end of either or
    /// [`unproxy`](Io::unproxy). Meanwhile `from` gets no `on_input`.
    ///
    /// What `from` has left unread goes first. Either may still be connecting. Both directions at
    /// once are two relays; a connection may also be relayed to itself, as an echo.
    ///
    /// * **Pressure.** While `to` has as many bytes queued as the high mark allows, `from` is not
    ///   read: a relay never brings a queue past that mark, and never makes `to` a slow consumer.
    ///   [`pause`](Io::pause) of `from` holds the relay up as well.
    /// * **The end.** `from`'s handler is told why by [`on_proxy`](crate::Handler::on_proxy). After
    ///   [`SourceEof`](crate::ProxyEnd::SourceEof) it is asked
    ///   [`on_eof`](crate::Handler::on_eof) as always: where the other direction is to go on, answer
    ///   [`KeepOpen`](crate::Eof::KeepOpen). A connection closes by itself when both its directions
    ///   have ended.
    /// * **What is not passed on.** If `from` closes before its peer's end, by a reset for example,
    ///   nothing happens to `to`: `from`'s `on_close` decides. If `to` closes, `from` stays open.
    ///
    /// Bytes that are queued for `to` by others go between those relayed. Cost: little at a time is copied
    /// once, from the read buffer to the queue. Where there is much, and nothing is queued for `to`, the
    /// system moves it from one socket to the other: on Linux, between TCP and Unix sockets
    /// without a [layer](crate::layer).
    ///
    /// For a plain proxy, [`Relayed`](crate::util::Relayed) is both handlers.
    ///
    /// # Errors
    /// Those of [`ProxyError`]; a target has one source at a time.
    #[doc(alias = "enable_proxy")]
    pub fn proxy(&mut self, from: Key, to: Key, options: &ProxyOptions) -> Result<(), ProxyError> {
        if !self.core.is_open(from) {
            return Err(ProxyError::NoSource);
        }
        match self.core.conn(to) {
            Some(target) if !target.takes_output() => return Err(ProxyError::NoTarget),
            Some(target) if target.fed_by.is_some_and(|source| source != from) => {
                return Err(ProxyError::TargetBusy);
            }
            Some(_) => {}
            None => return Err(ProxyError::NoTarget),
        }
        let source = self.core.conn_mut(from).ok_or(ProxyError::NoSource)?;
        if source.relay.is_some() {
            return Err(ProxyError::SourceBusy);
        }
        source.relay = Some(Box::new(Relay::new(to, options)));
        source.proxied = 0;
        if let Some(target) = self.core.conn_mut(to) {
            target.fed_by = Some(from);
        }
        // For what is unread already, of which no event will tell.
        self.core.enqueue(from);
        Ok(())
    }

    /// Ends the relay of `from` without a call to its handler, which gets all further input. `false`
    /// if there was none.
    #[doc(alias = "disable_proxy")]
    pub fn unproxy(&mut self, from: Key) -> bool {
        self.core.end_relay(from).is_some()
    }

    /// Bytes that the relay of `from` has handed over so far, or did in all if it has ended.
    #[doc(alias = "get_proxied_bytes")]
    #[must_use]
    pub fn proxied(&self, from: Key) -> u64 {
        self.core.conn(from).map_or(0, |conn| conn.proxied)
    }
}
