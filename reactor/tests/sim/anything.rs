//! Handlers that ask for anything at any moment, of themselves and of others, over a network on
//! which everything goes wrong: the contract holds, and nothing is left behind.

use midge_reactor::sim::{self, HostId, Sim};
use midge_reactor::{
    Close, Context, Datagram, Eof, Handler, Input, Key, ProxyEnd, ProxyOptions, StreamEnd,
    StreamOptions, UdpOptions,
};
use std::cell::Cell;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

const PORT: u16 = 7;

/// Most handlers of a host, over the whole of a run.
const MADE_MAX: usize = 60;

/// Longer than every delay that is asked for, and every patience of the loop.
const LONG: Duration = Duration::from_secs(200);

#[derive(Debug, Default)]
struct World {
    hosts: Vec<SocketAddr>,
    /// Keys that have been there, most of them gone.
    keys: Vec<Key>,
    /// What may still be asked for.
    asks: usize,
    made: usize,
    closed: usize,
    /// Jobs and closures that are to come.
    awaited: usize,
    dropped: Rc<Cell<usize>>,
}

type Cx<'a> = Context<'a, World>;

fn below(cx: &mut Cx<'_>, count: usize) -> usize {
    (cx.io.random() % count.max(1) as u64) as usize
}

fn some_key(cx: &mut Cx<'_>) -> Key {
    if cx.state.keys.is_empty() || below(cx, 4) == 0 {
        return cx.key();
    }
    let at = below(cx, cx.state.keys.len());
    cx.state.keys[at]
}

fn soon(cx: &mut Cx<'_>) -> Duration {
    let shift = below(cx, 10);
    Duration::from_micros((cx.io.random() % 200_000) >> shift)
}

/// A reader of `len` bytes that are all the same, which may fail instead of ending.
struct Reader {
    len: usize,
    fails: bool,
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(self.len).min(1_000);
        self.len -= len;
        match len {
            0 if self.fails && !buf.is_empty() => Err(io::Error::other("no more")),
            len => Ok(len),
        }
    }
}

/// Asks for a few things.
fn act(cx: &mut Cx<'_>) {
    for _ in 0..below(cx, 4) {
        if cx.state.asks == 0 {
            return;
        }
        cx.state.asks -= 1;
        ask(cx);
    }
}

fn ask(cx: &mut Cx<'_>) {
    let (key, other) = (some_key(cx), some_key(cx));
    let shift = below(cx, 14);
    let len = below(cx, 20_000) >> shift;
    let soon = soon(cx);
    match below(cx, 34) {
        0..=4 => _ = cx.io.send(key, vec![1; len]),
        5 => _ = cx.io.send_bytes(key, vec![2; len].into()),
        6 => _ = cx.io.close(key),
        7 => _ = cx.io.close_after_write(key),
        8 => _ = cx.io.fail(key, "enough"),
        9 => _ = cx.io.fail_after_write(key, "enough"),
        10 => cx.io.pause(key),
        11..=13 => cx.io.resume(key),
        14 => cx.io.shutdown_write(key),
        15 => _ = cx.io.set_timer(key, soon, 1),
        16 => {
            let timer = cx.io.set_interval(key, soon + Duration::from_millis(1), 2);
            if len.is_multiple_of(2) {
                cx.after(soon, move |cx| _ = cx.io.cancel(timer));
            }
        }
        17 => cx
            .io
            .idle_timeout(key, (!len.is_multiple_of(4)).then_some(soon)),
        18 => cx
            .io
            .write_timeout(key, (!len.is_multiple_of(4)).then_some(soon)),
        19 => cx.io.watermarks(key, len / 4, len, 3 * len + 1),
        20 => _ = cx.io.flush_now(key),
        21 => _ = cx.call(key, |_: &mut Actor, cx| act(cx)),
        22 => {
            let options = ProxyOptions {
                limit: len.is_multiple_of(3).then_some(len as u64),
                high: len.is_multiple_of(5).then_some(len),
                half_close: !len.is_multiple_of(7),
            };
            let _ = cx.proxy(key, other, &options);
        }
        23 => _ = cx.unproxy(key),
        24 => {
            let options = StreamOptions {
                piece: 1 + len / 10,
                low: len.is_multiple_of(3).then_some(len),
            };
            let fails = len.is_multiple_of(4);
            let _ = cx.io.stream(key, Reader { len, fails }, &options);
        }
        25 => _ = cx.io.stop_stream(key),
        26 => {
            let to = below(cx, cx.state.hosts.len());
            let to = cx.state.hosts[to];
            if let Some(actor) = Actor::make(cx) {
                let key = cx.connect(to, actor);
                cx.state.keys.push(key);
            }
        }
        27 => {
            if let Some(actor) = Actor::make(cx) {
                let host = ["one:7", "two:7", "nobody:7", "10.0.0.2:7", "7"][len % 5];
                let key = cx.connect_host(host, actor);
                cx.state.keys.push(key);
            }
        }
        28 => {
            cx.state.awaited += 1;
            cx.defer(|cx| {
                cx.state.awaited -= 1;
                act(cx);
            });
        }
        29 => {
            cx.state.awaited += 1;
            let timer = cx.after(soon, |cx| {
                cx.state.awaited -= 1;
                act(cx);
            });
            if len.is_multiple_of(5) && cx.io.cancel(timer) {
                cx.state.awaited -= 1;
            }
        }
        30 => {
            let given = cx.offload(
                || 1,
                |cx, one| {
                    assert_eq!(one, Ok(1));
                    cx.state.awaited -= 1;
                    act(cx);
                },
            );
            given.expect("few jobs wait");
            cx.state.awaited += 1;
        }
        31 => {
            let to = below(cx, cx.state.hosts.len());
            let to = cx.state.hosts[to];
            cx.io.send_to(key, to, &vec![3; len]);
            cx.reply(&vec![4; len]);
        }
        32 => {
            if let Some(actor) = Actor::make(cx) {
                let mut options = UdpOptions::default();
                options.queued_bytes_max = 1 + 10 * len;
                options.queued_packets_max = 1 + len / 100;
                match cx.udp_with("0.0.0.0:0", &options, actor) {
                    Ok(key) => cx.state.keys.push(key),
                    Err(_) => cx.state.closed += 1,
                }
            }
        }
        _ => cx.yield_now(),
    }
}

/// Checks the order in which it is called, and asks for something each time.
#[derive(Debug)]
struct Actor {
    opened: bool,
    ended: bool,
    closed: bool,
    dropped: Rc<Cell<usize>>,
}

impl Actor {
    fn make(cx: &mut Cx<'_>) -> Option<Actor> {
        if cx.state.made == MADE_MAX {
            return None;
        }
        cx.state.made += 1;
        Some(Actor {
            opened: false,
            ended: false,
            closed: false,
            dropped: Rc::clone(&cx.state.dropped),
        })
    }

    fn open(&mut self, cx: &mut Cx<'_>) {
        assert!(!self.closed, "called after on_close");
        assert!(!std::mem::replace(&mut self.opened, true), "opened twice");
        act(cx);
    }

    fn called(&self, cx: &mut Cx<'_>) {
        assert!(self.opened && !self.closed);
        act(cx);
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        assert!(!std::mem::replace(&mut self.closed, true), "closed twice");
        assert!(!cx.io.is_open(cx.key()));
        cx.state.closed += 1;
        act(cx);
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.dropped.set(self.dropped.get() + 1);
    }
}

impl Handler<World> for Actor {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        let key = cx.key();
        cx.state.keys.push(key);
        self.open(cx);
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        assert!(self.opened && !self.ended && !input.is_empty());
        assert!(cx.io.is_open(cx.key()) && !cx.io.is_paused(cx.key()));
        let len = input.len();
        match below(cx, 4) {
            0 => _ = input.consume(below(cx, len + 1)),
            1 => input.need(len + below(cx, 3)),
            _ => _ = input.take(),
        }
        self.called(cx);
    }

    fn on_drain(&mut self, cx: &mut Cx<'_>) {
        assert!(!cx.io.congested(cx.key()));
        self.called(cx);
    }

    fn on_proxy(&mut self, cx: &mut Cx<'_>, _: ProxyEnd) {
        assert!(!self.closed);
        act(cx);
    }

    fn on_stream(&mut self, cx: &mut Cx<'_>, _: StreamEnd) {
        self.called(cx);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
        assert!(!self.closed);
        act(cx);
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        assert!(!std::mem::replace(&mut self.ended, true), "ended twice");
        self.called(cx);
        [Eof::Close, Eof::KeepOpen][below(cx, 2)]
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
        self.close(cx);
    }
}

impl Datagram<World> for Actor {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        self.open(cx);
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, _: SocketAddr, _: &[u8]) {
        assert!(cx.io.is_open(cx.key()) && !cx.io.is_paused(cx.key()));
        self.called(cx);
    }

    fn on_error(&mut self, cx: &mut Cx<'_>, _: &io::Error) {
        self.called(cx);
    }

    fn on_drain(&mut self, cx: &mut Cx<'_>) {
        self.called(cx);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
        self.called(cx);
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
        self.close(cx);
    }
}

fn host(sim: &mut Sim, name: &str) -> HostId<World> {
    sim.host(name, World::default(), |cx| {
        let addr = SocketAddr::from(([0, 0, 0, 0], PORT));
        // One that comes when there are enough is closed as it comes.
        cx.listen(addr, |cx: &mut Cx<'_>| match Actor::make(cx) {
            Some(actor) => actor,
            None => {
                cx.state.made += 1;
                cx.close();
                Actor {
                    opened: false,
                    ended: false,
                    closed: false,
                    dropped: Rc::clone(&cx.state.dropped),
                }
            }
        })?;
        let socket = Actor::make(cx).expect("it is the first");
        let key = cx.udp(addr, socket)?;
        cx.state.keys.push(key);
        Ok(())
    })
}

#[test]
fn whatever_is_asked_for_at_whatever_moment_the_contract_holds_and_nothing_is_left() {
    sim::check(0..150, |sim| {
        let hosts = ["one", "two"].map(|name| host(sim, name));
        let addrs: Vec<SocketAddr> = hosts.iter().map(|host| sim.addr(*host, PORT)).collect();
        let asks = sim.size("asks", 2_000);
        for host in hosts {
            sim.with(host, |cx| {
                cx.state.hosts.clone_from(&addrs);
                cx.state.asks = asks;
                // Something goes on, whatever closes.
                cx.every(Duration::from_millis(20), act);
            });
        }
        sim.run_for(Duration::from_secs(20));
        sim.calm();
        // Twice: a connect that was under way on one side is open on the other by then.
        for _ in 0..2 {
            for host in hosts {
                sim.with(host, |cx| {
                    cx.state.asks = 0;
                    for key in cx.state.keys.clone() {
                        cx.io.close(key);
                    }
                });
            }
            sim.run_for(LONG);
        }
        for host in hosts {
            let left = sim.connections(host);
            assert_eq!(sim.timers(host), 1, "and {left} connections");
            sim.with(host, |cx| {
                let counts = cx.io.counts();
                assert_eq!((counts.connections, counts.udp_sockets), (0, 0));
                assert_eq!(cx.io.congested_count(), 0);
                assert_eq!(cx.offloaded(), 0);
                let state = &*cx.state;
                assert_eq!((state.closed, state.awaited), (state.made, 0));
                assert_eq!(state.dropped.get(), state.made);
            });
        }
    });
}
