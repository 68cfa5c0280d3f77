//! What the sockets of a host answer: the calls of a driver, made to the net.

use super::conn::{Conn, Dial, End, News, Packet};
use super::net::{ConnId, Due, Net, Socket, nanos};
use crate::{Event, Key};
use std::io::{self, ErrorKind, IoSlice};
use std::time::Duration;

/// How long a call takes, at most.
const CALL: Duration = Duration::from_micros(2);

/// How long room that a short write has withheld may remain untold.
const WITHHELD_MAX: Duration = Duration::from_micros(500);

impl Net {
    pub(super) fn stream(&self, host: usize, key: Key) -> (ConnId, usize) {
        match self.hosts[host].sockets.get(&key) {
            Some(Socket::Stream(id, side)) => (*id, *side),
            other => panic!("the loop used {key:?}, which is {other:?}"),
        }
    }

    pub(super) fn end(&mut self, id: ConnId, side: usize) -> &mut End {
        let conn = self.conns.get_mut(&id);
        &mut conn.expect("a connection with an open socket is kept").ends[side]
    }

    /// Every call begins here: it takes a moment.
    pub(super) fn call(&mut self) {
        self.creep(CALL);
    }

    /// A call has done something.
    pub(super) fn progress(
        &mut self,
        host: usize,
        key: Key,
        call: &'static str,
        amount: Option<u64>,
    ) {
        self.hosts[host].has_cause = true;
        self.note(host, key, call, amount);
    }

    pub(super) fn would_block<T>(
        &mut self,
        host: usize,
        key: Key,
        call: &'static str,
    ) -> io::Result<T> {
        self.note(host, key, call, None);
        Err(ErrorKind::WouldBlock.into())
    }

    pub(super) fn interrupts(&mut self) -> io::Result<()> {
        if self.rng.interrupt.chance(self.faults.interrupted) {
            return Err(ErrorKind::Interrupted.into());
        }
        Ok(())
    }

    pub(super) fn has_descriptors(&self, host: usize) -> bool {
        let host = &self.hosts[host];
        self.clock >= host.exhausted_until && host.sockets.len() < host.sockets_max
    }

    pub(super) fn poll(&mut self, host: usize, events: &mut Vec<Event>) {
        self.call();
        if std::mem::take(&mut self.hosts[host].cut_short) {
            return;
        }
        let rung = self.hosts[host].bell.take();
        let mut keys: Vec<Key> = self.hosts[host].ready.drain(..).collect();
        if self.rng.shuffle.chance(self.faults.shuffle) {
            self.rng.shuffle.shuffle(&mut keys);
        }
        if keys.len() > 1 && self.rng.batch.chance(self.faults.partial_batch) {
            let count = self.rng.batch.length(1, keys.len());
            self.hosts[host].ready.extend(keys.drain(count..));
        }
        let before = events.len();
        for key in keys {
            if let Some(event) = self.news(host, key) {
                events.push(event);
                if self.rng.duplicate.chance(self.faults.duplicate) {
                    let at = self.rng.duplicate.length(before, events.len());
                    events.insert(at, event);
                }
            }
        }
        for event in events.iter().skip(before) {
            if let Event::Ready {
                key,
                readable,
                writable,
                hangup,
            } = *event
            {
                let bits = u64::from(readable) | u64::from(writable) << 1 | u64::from(hangup) << 2;
                self.note(host, key, "ready", Some(bits));
            }
        }
        let signals = std::mem::take(&mut self.hosts[host].signals);
        events.extend(signals.into_iter().map(Event::Signal));
        self.hosts[host].has_cause |= rung || events.len() > before;
        if self.rng.spurious.chance(self.faults.spurious) {
            let sockets = &self.hosts[host].sockets;
            if let Some(last) = sockets.len().checked_sub(1) {
                let pick = self.rng.spurious.length(0, last);
                let bits = self.rng.spurious.up_to(3);
                if let Some(key) = sockets.keys().nth(pick).copied() {
                    events.push(Event::Ready {
                        key,
                        readable: bits & 1 > 0,
                        writable: bits & 2 > 0,
                        hangup: false,
                    });
                }
            }
        }
    }

    /// Takes what is new of a socket.
    fn news(&mut self, host: usize, key: Key) -> Option<Event> {
        let news = match self.hosts[host].sockets.get_mut(&key)? {
            Socket::Listener(listener) => match std::mem::take(&mut listener.news) {
                true => News::READABLE,
                false => News::default(),
            },
            Socket::Stream(id, side) => {
                let (id, side) = (*id, *side);
                std::mem::take(&mut self.end(id, side).news)
            }
            Socket::Udp(udp) => std::mem::take(&mut udp.news),
        };
        (!news.is_none()).then_some(Event::Ready {
            key,
            readable: news.readable,
            writable: news.writable,
            hangup: news.hangup,
        })
    }

    pub(super) fn open(&mut self, host: usize, key: Key, socket: Socket) {
        let sockets = &mut self.hosts[host].sockets;
        assert!(
            sockets.keys().all(|other| other.index() != key.index()),
            "{key:?} shares its index"
        );
        sockets.insert(key, socket);
    }

    pub(super) fn read(&mut self, host: usize, key: Key, buf: &mut [u8]) -> io::Result<usize> {
        assert!(!buf.is_empty(), "an end could not be told from no room");
        self.call();
        self.interrupts()?;
        let (id, side) = self.stream(host, key);
        let drains = self.faults.short_read_drains;
        let short = !drains && self.rng.short_read.chance(self.faults.short_read);
        let end = self.end(id, side);
        let mut len = end.inbox.len().min(buf.len());
        if len > 0 {
            if short {
                len = self.rng.short_read.length(1, len);
            }
            let end = self.end(id, side);
            for (byte, arrived) in buf.iter_mut().zip(end.inbox.drain(..len)) {
                *byte = arrived;
            }
            end.read_armed |= drains && len < buf.len();
            self.progress(host, key, "read", Some(len as u64));
            self.send(id, 1 - side, Packet::Room(len));
            return Ok(len);
        }
        if end.reset && !std::mem::replace(&mut end.reset_told, true) {
            self.progress(host, key, "read: reset", None);
            return Err(ErrorKind::ConnectionReset.into());
        }
        if end.reset || end.peer_ended {
            self.progress(host, key, "read: end", None);
            return Ok(0);
        }
        end.read_armed = true;
        self.would_block(host, key, "read would block")
    }

    pub(super) fn write(
        &mut self,
        host: usize,
        key: Key,
        pieces: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        self.call();
        self.interrupts()?;
        let (id, side) = self.stream(host, key);
        let short = self.rng.short_write.chance(self.faults.short_write);
        let segments = self.rng.segment.chance(self.faults.segments);
        let end = self.end(id, side);
        assert!(!end.ended, "{key:?} is written to after its end");
        if end.reset {
            let told = std::mem::replace(&mut end.reset_told, true);
            self.progress(host, key, "write: reset", None);
            return Err(match told {
                true => ErrorKind::BrokenPipe.into(),
                false => ErrorKind::ConnectionReset.into(),
            });
        }
        let offered: usize = pieces.iter().map(|piece| piece.len()).sum();
        assert!(offered > 0, "{key:?} is given nothing to write");
        let mut len = offered.min(end.room);
        if len == 0 {
            end.write_armed = true;
            return self.would_block(host, key, "write would block");
        }
        if short {
            len = self.rng.short_write.length(1, len);
        }
        let end = self.end(id, side);
        end.room -= len;
        // A short write means that there is no more room: an edge tells when there is some again.
        end.write_armed |= len < offered;
        let withheld = len < offered && end.room > 0;
        let mut bytes = Vec::with_capacity(len);
        for piece in pieces {
            let part = piece.len().min(len - bytes.len());
            bytes.extend_from_slice(&piece[..part]);
        }
        self.history.mix_bytes(&bytes);
        self.progress(host, key, "write", Some(len as u64));
        if withheld {
            let at = self.clock + self.rng.short_write.up_to(nanos(WITHHELD_MAX));
            self.schedule(at, Due::Room(id, side));
        }
        let mut cuts = 0;
        while segments && cuts < 8 && bytes.len() > 1 {
            let rest = bytes.split_off(self.rng.segment.length(1, bytes.len() - 1));
            self.send(id, 1 - side, Packet::Data(bytes));
            bytes = rest;
            cuts += 1;
        }
        self.send(id, 1 - side, Packet::Data(bytes));
        Ok(len)
    }

    pub(super) fn shutdown_write(&mut self, host: usize, key: Key) -> io::Result<()> {
        self.call();
        let (id, side) = self.stream(host, key);
        let end = self.end(id, side);
        if end.reset || end.dial != Dial::Done {
            return Err(ErrorKind::NotConnected.into());
        }
        assert!(
            !std::mem::replace(&mut end.ended, true),
            "{key:?} ends twice"
        );
        self.send(id, 1 - side, Packet::End);
        self.progress(host, key, "end", None);
        Ok(())
    }

    pub(super) fn close(&mut self, host: usize, key: Key) {
        self.call();
        match self.hosts[host].sockets.remove(&key) {
            None => return,
            Some(Socket::Listener(listener)) => {
                for id in listener.waiting {
                    self.close_end(id, 1, true);
                }
            }
            Some(Socket::Stream(id, side)) => self.close_end(id, side, false),
            Some(Socket::Udp(_)) => {}
        }
        self.hosts[host].ready.retain(|ready| *ready != key);
        self.progress(host, key, "close", None);
    }

    /// A close with unread bytes, like one that is forced, resets the connection.
    fn close_end(&mut self, id: ConnId, side: usize, force: bool) {
        let end = self.end(id, side);
        end.closed = true;
        end.key = None;
        let unread = !std::mem::take(&mut end.inbox).is_empty();
        let (reset, ended) = (end.reset, end.ended);
        if reset {
            // Both know.
        } else if force || unread || end.dial != Dial::Done {
            self.lose(id, 1 - side);
            self.send(id, 1 - side, Packet::Reset);
        } else if !ended {
            self.end(id, side).ended = true;
            self.send(id, 1 - side, Packet::End);
        }
        self.sweep(id);
    }

    /// A reset may overtake some of what was sent before it.
    fn lose(&mut self, id: ConnId, side: usize) {
        if !self.rng.reset.chance(self.faults.reset_discards) {
            return;
        }
        if let Some(conn) = self.conns.get_mut(&id) {
            let packets = &mut conn.wires[side].packets;
            let keep = self.rng.reset.length(0, packets.len());
            // What opens the connection has to arrive for the rest to mean anything.
            let opening = packets
                .iter()
                .take_while(|(_, packet)| matches!(packet, Packet::Open | Packet::Opened))
                .count();
            packets.truncate(keep.max(opening));
        }
    }

    /// The process on a host is gone: the system closes what it had open, or it stays open.
    pub(super) fn close_all(&mut self, host: usize) {
        let keys: Vec<Key> = self.hosts[host].sockets.keys().copied().collect();
        if self.hosts[host].up {
            for key in keys {
                self.close(host, key);
            }
            if let Some(id) = self.hosts[host].accepted.take() {
                self.close_end(id, 1, true);
            }
        } else {
            for conn in self.conns.values_mut() {
                // A connect that has not arrived yet may still find the host alive again.
                let on_its_way = conn.wires[1]
                    .packets
                    .iter()
                    .any(|(_, packet)| matches!(packet, Packet::Open));
                for (side, end) in conn.ends.iter_mut().enumerate() {
                    if end.host == host && !(side == 1 && on_its_way) {
                        end.closed = true;
                        end.key = None;
                        end.inbox.clear();
                    }
                }
            }
            self.conns.retain(|_, conn| !Conn::is_over(conn));
        }
        let host = &mut self.hosts[host];
        host.sockets.clear();
        host.ready.clear();
        host.signals.clear();
        host.watched.clear();
        host.accepted = None;
    }
}
