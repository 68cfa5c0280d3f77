//! The driver over the world: what the loop may ask, with a line in the log for each call.

use super::EMFILE;
use super::world::{Found, Link, Outcome, Socket, World, nanos};
use midge_reactor::{
    ConnectOptions, Driver, Event, Key, ListenOptions, OffloadJob, Spliced, Time, UdpOptions, Wake,
};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct ScriptedDriver(pub(super) World);

/// A key as the log shows it: without its generation, so that a test can know it beforehand.
pub(super) struct Name(pub(super) Key);

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "k{}", self.0.index())
    }
}

impl Driver for ScriptedDriver {
    fn now(&mut self) -> Time {
        self.0.now()
    }

    fn worked(&mut self) -> Time {
        let net = self.0.0.borrow();
        Time::from_nanos(net.now - net.interrupted)
    }

    fn seed(&mut self) -> u64 {
        1
    }

    fn poll(&mut self, events: &mut Vec<Event>, wait: Option<Duration>) -> io::Result<()> {
        let mut net = self.0.0.borrow_mut();
        net.polls += 1;
        net.log.add(|| match wait {
            None => "poll for ever".to_owned(),
            Some(wait) => format!("poll {wait:?}"),
        });
        if let Some(errno) = net.poll_errors.pop_front() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        net.take_events(events);
        if !events.is_empty() || net.waker.take() || wait == Some(Duration::ZERO) {
            return Ok(());
        }
        let until = wait.map(|wait| net.now.saturating_add(nanos(wait)));
        net.asleep = until.is_none_or(|until| until > net.limit);
        if let Some(now) = until.or((net.limit < u64::MAX).then_some(net.limit)) {
            net.now = now.min(net.limit).max(net.now);
        }
        if net.asleep && net.waits_for_wakes {
            let bell = Arc::clone(&net.waker);
            drop(net);
            bell.sleep();
        }
        Ok(())
    }

    fn events_left(&self) -> bool {
        self.0.0.borrow().events_left
    }

    fn listen(&mut self, key: Key, addr: SocketAddr, _: &ListenOptions) -> io::Result<SocketAddr> {
        let mut net = self.0.0.borrow_mut();
        let taken = net
            .sockets
            .values()
            .any(|socket| matches!(socket, Socket::Listener { addr: bound, .. } if *bound == addr));
        if taken {
            return Err(ErrorKind::AddrInUse.into());
        }
        let socket = Socket::Listener {
            addr,
            backlog: VecDeque::new(),
            armed: true,
            ready: false,
        };
        net.open(key, socket);
        Ok(addr)
    }

    fn accept(&mut self, listener: Key) -> io::Result<SocketAddr> {
        let mut net = self.0.0.borrow_mut();
        let net = &mut *net;
        let Some(Socket::Listener { backlog, armed, .. }) = net.sockets.get_mut(&listener) else {
            panic!("the loop accepts on {listener:?}, which does not listen");
        };
        let name = Name(listener);
        if backlog.is_empty() {
            *armed = true;
            net.log.add(|| format!("accept {name} would block"));
            return Err(ErrorKind::WouldBlock.into());
        }
        if let Some(kind) = net.accept_errors.pop_front() {
            backlog.pop_front();
            net.log.add(|| format!("accept {name} {kind:?}"));
            return Err(kind.into());
        }
        if net.descriptors == 0 {
            net.log.add(|| format!("accept {name} no descriptors"));
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        net.descriptors -= 1;
        let link = backlog.pop_front().expect("it is not empty");
        net.log.add(|| format!("accept {name}"));
        net.accepted = Some(link);
        Ok(net.links[link].far)
    }

    fn adopt(&mut self, key: Key) -> io::Result<SocketAddr> {
        let mut net = self.0.0.borrow_mut();
        let link = net.accepted.take().expect("nothing was accepted");
        net.links[link].key = Some(key);
        net.open(key, Socket::Stream(link));
        Ok(net.links[link].near)
    }

    fn connect(&mut self, key: Key, addr: SocketAddr, options: &ConnectOptions) -> io::Result<()> {
        let mut net = self.0.0.borrow_mut();
        net.log.add(|| match options.local_addr {
            Some(local) => format!("connect {} from {local}", Name(key)),
            None => format!("connect {}", Name(key)),
        });
        let outcome = *net.outcomes.get(&addr).unwrap_or(&Outcome::Refused);
        if outcome == Outcome::FailsAtOnce {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        net.next_port += 1;
        let near = SocketAddr::from(([10, 0, 0, 1], net.next_port));
        let mut link = Link::new(options.local_addr.unwrap_or(near), addr);
        link.key = Some(key);
        link.connecting = Some(outcome);
        link.writable = outcome != Outcome::Silence;
        let id = net.links.len();
        net.links.push(link);
        net.open(key, Socket::Stream(id));
        Ok(())
    }

    fn offload(&mut self, job: OffloadJob, _: usize) -> io::Result<()> {
        let mut net = self.0.0.borrow_mut();
        if !net.has_threads {
            return Err(ErrorKind::Unsupported.into());
        }
        net.jobs.push_back(job);
        Ok(())
    }

    fn resolve(&mut self, name: &str, _: u16, answer: Found, _: usize) -> io::Result<()> {
        let mut net = self.0.0.borrow_mut();
        if !net.has_threads {
            return Err(ErrorKind::Unsupported.into());
        }
        net.log.add(|| format!("lookup {name}"));
        net.lookups.push_back((name.to_owned(), answer));
        Ok(())
    }

    fn finish_connect(&mut self, key: Key) -> io::Result<SocketAddr> {
        let mut net = self.0.0.borrow_mut();
        let link = net.link(key);
        match link.connecting {
            Some(Outcome::Open) => {
                link.connecting = None;
                Ok(link.near)
            }
            Some(Outcome::Silence) => Err(ErrorKind::WouldBlock.into()),
            _ => Err(ErrorKind::ConnectionRefused.into()),
        }
    }

    fn read(&mut self, key: Key, buf: &mut [u8]) -> io::Result<usize> {
        assert!(!buf.is_empty(), "an end could not be told from no room");
        let mut net = self.0.0.borrow_mut();
        let (read_max, drains, log) = (net.read_max, net.short_read_drains, net.log.clone());
        let link = net.link(key);
        let name = Name(key);
        if link.reset {
            log.add(|| format!("read {name} reset"));
            return Err(ErrorKind::ConnectionReset.into());
        }
        if let Some(errno) = link.read_errors.pop_front() {
            log.add(|| format!("read {name} errno {errno}"));
            return Err(io::Error::from_raw_os_error(errno));
        }
        if link.arrived.is_empty() {
            if link.hung_up {
                log.add(|| format!("read {name} reset"));
                return Err(ErrorKind::ConnectionReset.into());
            }
            if link.far_ended {
                log.add(|| format!("read {name} end"));
                return Ok(0);
            }
            link.read_armed = true;
            log.add(|| format!("read {name} would block"));
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = buf.len().min(link.arrived.len()).min(read_max);
        for (byte, arrived) in buf.iter_mut().zip(link.arrived.drain(..len)) {
            *byte = arrived;
        }
        link.read_armed |= drains && len < buf.len();
        assert!(
            !drains || len == buf.len() || link.arrived.is_empty(),
            "a short read that leaves something contradicts short_read_drains"
        );
        log.add(|| format!("read {name} {len}"));
        Ok(len)
    }

    fn short_read_drains(&self) -> bool {
        self.0.0.borrow().short_read_drains
    }

    fn write(&mut self, key: Key, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut net = self.0.0.borrow_mut();
        let (write_max, log) = (net.write_max, net.log.clone());
        net.now += net.write_takes;
        let link = net.link(key);
        let name = Name(key);
        assert!(!link.near_ended, "written after the end");
        if link.reset || link.hung_up {
            log.add(|| format!("write {name} reset"));
            return Err(ErrorKind::BrokenPipe.into());
        }
        if let Some(errno) = link.write_errors.pop_front() {
            log.add(|| format!("write {name} errno {errno}"));
            return Err(io::Error::from_raw_os_error(errno));
        }
        let offered: usize = pieces.iter().map(|piece| piece.len()).sum();
        assert!(offered > 0, "a write of nothing");
        let len = offered.min(link.room).min(write_max);
        link.room -= if link.room == usize::MAX { 0 } else { len };
        if len < offered {
            // The edge comes with room; room that was only withheld makes one at once.
            link.write_armed = link.room == 0;
            link.writable |= link.room > 0;
        }
        if len == 0 {
            log.add(|| format!("write {name} would block"));
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut left = len;
        for piece in pieces {
            let part = &piece[..left.min(piece.len())];
            link.taken.extend_from_slice(part);
            left -= part.len();
        }
        log.add(|| format!("write {name} {len}"));
        Ok(len)
    }

    fn send_file(&mut self, key: Key, file: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
        let mut net = self.0.0.borrow_mut();
        if !net.sends_files {
            return Err(ErrorKind::Unsupported.into());
        }
        let log = net.log.clone();
        net.now += net.write_takes;
        let link = net.link(key);
        let name = Name(key);
        if link.room == 0 {
            link.write_armed = true;
            log.add(|| format!("file {name} would block"));
            return Err(ErrorKind::WouldBlock.into());
        }
        // A duplicate stands where the file stands.
        let file = File::from(file.try_clone_to_owned()?);
        let len = file
            .take(max.min(link.room) as u64)
            .read_to_end(&mut link.taken)?;
        link.room -= if link.room == usize::MAX { 0 } else { len };
        link.write_armed |= link.room == 0;
        log.add(|| format!("file {name} {len}"));
        Ok(len)
    }

    fn splice(&mut self, from: Key, to: Key, max: usize, rest: &mut [u8]) -> io::Result<Spliced> {
        let mut net = self.0.0.borrow_mut();
        if !net.splices {
            return Err(ErrorKind::Unsupported.into());
        }
        let log = net.log.clone();
        let (names, room) = ((Name(from), Name(to)), net.link(to).room);
        let source = net.link(from);
        if source.arrived.is_empty() {
            if source.far_ended {
                log.add(|| format!("splice {} end", names.0));
                return Ok(Spliced::default());
            }
            source.read_armed = true;
            log.add(|| format!("splice {} would block", names.0));
            return Err(ErrorKind::WouldBlock.into());
        }
        let taken = source
            .arrived
            .len()
            .min(max)
            .min(room.saturating_add(rest.len()));
        let bytes: Vec<u8> = source.arrived.drain(..taken).collect();
        let moved = taken.min(room);
        let target = net.link(to);
        target.taken.extend_from_slice(&bytes[..moved]);
        target.room -= if room == usize::MAX { 0 } else { moved };
        rest[..taken - moved].copy_from_slice(&bytes[moved..]);
        log.add(|| format!("splice {} {} {moved}", names.0, names.1));
        Ok(Spliced {
            moved,
            left: taken - moved,
        })
    }

    fn shutdown_write(&mut self, key: Key) -> io::Result<()> {
        let mut net = self.0.0.borrow_mut();
        net.log.add(|| format!("end {}", Name(key)));
        net.link(key).near_ended = true;
        Ok(())
    }

    fn udp(&mut self, key: Key, addr: SocketAddr, options: &UdpOptions) -> io::Result<SocketAddr> {
        self.0.0.borrow_mut().open_udp(key, addr, options)
    }

    fn receive(&mut self, key: Key, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.0.borrow_mut().receive(key, buf)
    }

    fn send_packet(&mut self, key: Key, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        self.0.0.borrow_mut().send_packet(key, to, packet)
    }

    fn close(&mut self, key: Key) {
        let mut net = self.0.0.borrow_mut();
        match net.sockets.remove(&key) {
            Some(Socket::Stream(link)) => net.links[link].closed = true,
            Some(Socket::Listener { .. } | Socket::Udp(_)) => {}
            None => return,
        }
        net.log.add(|| format!("close {}", Name(key)));
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.0.0.borrow().waker) as Arc<dyn Wake>
    }

    fn watch_signals(&mut self, _: &[i32]) -> io::Result<()> {
        Ok(())
    }
}
