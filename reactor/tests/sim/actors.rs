//! Handlers that check what they are told, and the hosts they live on.

use midge_reactor::sim::{Faults, HostId, Sim};
use midge_reactor::{Close, Context, Eof, Handler, Input, Key, Time};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const PORT: u16 = 7;

/// Long enough for everything that may hold a connection up.
pub(crate) const LONG: Duration = Duration::from_secs(900);

/// What the handlers of a host have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) opened: usize,
    pub(crate) closed: usize,
    pub(crate) refused: usize,
    pub(crate) ended: usize,
    pub(crate) drained: usize,
    pub(crate) heard: BTreeMap<Key, Vec<u8>>,
    pub(crate) fired: Vec<(Time, u64)>,
    pub(crate) why: Vec<String>,
    pub(crate) signals: Vec<i32>,
}

pub(crate) type Cx<'a> = Context<'a, Seen>;

/// The order in which a handler may be called, checked.
#[derive(Debug, Default)]
pub(crate) struct Order {
    opened: bool,
    ended: bool,
    closed: bool,
    told_to_close: bool,
}

impl Order {
    pub(crate) fn open(&mut self, cx: &mut Cx<'_>) {
        assert!(!self.closed, "opened after its close");
        assert!(!std::mem::replace(&mut self.opened, true), "opened twice");
        assert!(cx.local_addr().is_some(), "it is open and has no address");
        cx.state.opened += 1;
    }

    pub(crate) fn input(&self, cx: &Cx<'_>, input: &Input<'_>) {
        assert!(self.opened, "input before it is open");
        assert!(!self.ended, "input after the end");
        assert!(!self.closed, "input after the close");
        assert!(!self.told_to_close, "input after it was told to close");
        assert!(!cx.io.is_paused(cx.key()), "input in spite of a pause");
        assert!(!input.is_empty(), "input of nothing");
    }

    pub(crate) fn other(&self) {
        assert!(!self.closed, "called after its close");
    }

    pub(crate) fn close_after_write(&mut self, cx: &mut Cx<'_>) {
        self.told_to_close = true;
        cx.close_after_write();
    }

    pub(crate) fn eof(&mut self, cx: &mut Cx<'_>) {
        assert!(self.opened, "an end before it is open");
        assert!(!self.closed, "an end after the close");
        assert!(!std::mem::replace(&mut self.ended, true), "ended twice");
        cx.state.ended += 1;
    }

    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        assert!(!std::mem::replace(&mut self.closed, true), "closed twice");
        if self.opened {
            cx.state.closed += 1;
        } else {
            cx.state.refused += 1;
        }
        cx.state.why.push(why.to_string());
    }
}

/// How a server deals with what it is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Takes the input in pieces of so many bytes and leaves the rest; 0 takes all.
    pub(crate) piece: usize,
    /// Stops reading for a while after each input.
    pub(crate) pauses: bool,
    /// Leaves the last of several pieces for the next turn.
    pub(crate) yields: bool,
    /// Sends all back only when the peer has ended.
    pub(crate) at_end: bool,
}

/// Sends back what comes, and ends when the peer has.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    manner: Manner,
    order: Order,
    kept: Vec<u8>,
}

impl Echo {
    pub(crate) fn new(manner: Manner) -> Echo {
        Echo {
            manner,
            ..Echo::default()
        }
    }
}

const RESUME: u64 = 1;

impl Handler<Seen> for Echo {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.order.open(cx);
        let key = cx.key();
        cx.io.watermarks(key, 100, 1_000, 1 << 20);
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.order.input(cx, input);
        let mut bytes = input.peek();
        if self.manner.piece > 0 {
            // An odd byte waits for the next, as a line does for its end.
            bytes = &bytes[..bytes.len() - bytes.len() % self.manner.piece];
            if self.manner.yields && bytes.len() > self.manner.piece {
                bytes = &bytes[..self.manner.piece];
                cx.yield_now();
            } else {
                input.need(self.manner.piece);
            }
        }
        input.consume(bytes.len());
        if self.manner.at_end {
            self.kept.extend(bytes);
        } else {
            cx.send(bytes);
        }
        if self.manner.pauses {
            cx.pause();
            cx.set_timer(Duration::from_millis(3), RESUME);
        }
    }

    fn on_drain(&mut self, cx: &mut Cx<'_>) {
        self.order.other();
        assert!(cx.queued() <= 100, "drained to more than the low mark");
        cx.state.drained += 1;
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
        self.order.other();
        let key = cx.key();
        cx.io.resume(key);
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        self.order.eof(cx);
        cx.send(&self.kept);
        Eof::Close
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        self.order.close(cx, why);
    }
}

/// Sends bytes in several goes, ends its direction when told to, and keeps what comes back.
#[derive(Debug)]
pub(crate) struct Caller {
    order: Order,
    goes: Vec<Vec<u8>>,
    /// Ends its direction after the last go; otherwise closes when all has come back.
    ends: bool,
    length: usize,
}

impl Caller {
    pub(crate) fn new(goes: Vec<Vec<u8>>, ends: bool) -> Caller {
        let length = goes.iter().map(Vec::len).sum();
        Caller {
            order: Order::default(),
            goes,
            ends,
            length,
        }
    }

    fn go(&mut self, cx: &mut Cx<'_>) {
        let key = cx.key();
        if self.goes.is_empty() {
            if self.ends {
                cx.io.shutdown_write(key);
            }
            return;
        }
        let bytes = self.goes.remove(0);
        cx.send(&bytes);
        let delay = Duration::from_micros(cx.io.random() % 5_000);
        cx.set_timer(delay, 1);
    }
}

impl Handler<Seen> for Caller {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.order.open(cx);
        self.go(cx);
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        self.order.input(cx, input);
        let key = cx.key();
        let heard = cx.state.heard.entry(key).or_default();
        heard.extend(input.take());
        if heard.len() == self.length && !self.ends {
            self.order.close_after_write(cx);
        }
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
        self.order.other();
        self.go(cx);
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        self.order.eof(cx);
        Eof::Close
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        self.order.close(cx, why);
    }
}

/// A host that echoes.
pub(crate) fn echo_host(sim: &mut Sim, manner: Manner) -> HostId<Seen> {
    sim.host("server", Seen::default(), |cx| listen(cx, manner))
}

pub(crate) fn listen(cx: &mut Cx<'_>, manner: Manner) -> std::io::Result<()> {
    let addr = SocketAddr::from(([0, 0, 0, 0], PORT));
    cx.listen(addr, move |_: &mut Cx<'_>| Echo::new(manner))
        .map(drop)
}

/// A host that does nothing yet.
pub(crate) fn idle_host(sim: &mut Sim, name: &str) -> HostId<Seen> {
    sim.host(name, Seen::default(), |_| Ok(()))
}

/// Bytes in which a gap, a doubling or a swap shows.
pub(crate) fn bytes(from: u64, len: usize) -> Vec<u8> {
    (from..from + len as u64)
        .map(|number| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}

/// As many goes as `count`, with lengths that depend on `seed`.
pub(crate) fn goes(seed: u64, count: u64) -> Vec<Vec<u8>> {
    let length = |go| ((seed + 1) * (go + 3) * 7919 % 3_001) as usize;
    (0..count).map(|go| bytes(go, 1 + length(go))).collect()
}

/// Takes out what loses connections, and what takes too long to wait for.
pub(crate) fn no_losses(sim: &mut Sim) -> Faults {
    let mut faults = sim.faults();
    (faults.reset, faults.accept_aborted) = (0.0, 0.0);
    (faults.connect_refused, faults.connect_lost) = (0.0, 0.0);
    faults.connect_late = 0.0;
    // Through smaller windows a queue does not leave within `LINGER`, and the rest of it is lost.
    faults.window_bytes_min = faults.window_bytes_min.max(100);
    faults.window_bytes_max = faults.window_bytes_max.max(100);
    sim.set_faults(faults.clone());
    faults
}

/// All is over: nothing is left of any connection, and each that was opened was closed.
pub(crate) fn assert_released(sim: &mut Sim, hosts: &[HostId<Seen>]) {
    for host in hosts {
        assert_eq!(sim.connections(*host), 0, "{host:?} has connections left");
        sim.with(*host, |cx| {
            assert_eq!(cx.state.opened, cx.state.closed, "{host:?}");
        });
    }
}
