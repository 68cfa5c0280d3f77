//! Handlers that panic, each in a call that the seed has chosen: what was queued for the others is
//! not lost, and at the end all who are left are told.

use crate::actors::{LONG, PORT, bytes, no_losses};
use midge_reactor::sim::{self, HostId, Sim};
use midge_reactor::{Close, Context, Eof, Handler, Input, Key, PanicPolicy, Reactor};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const CALLERS: usize = 6;

/// What each caller says, and how often.
const SAID_BYTES: usize = 700;
const TIMES: u64 = 5;

/// What the handlers of the server share.
#[derive(Debug, Default)]
struct Room {
    /// Everyone who is here. What one says, all the others hear.
    members: BTreeMap<Key, SocketAddr>,
    /// Bytes that were queued for each caller.
    queued: BTreeMap<SocketAddr, usize>,
    /// Calls of members so far, and those that panic.
    calls: u64,
    doomed: Vec<u64>,
    /// Who was lost to a panic, as the hook was told.
    lost: Vec<SocketAddr>,
    /// Members that were told of the end; one of them panics in that call.
    told: usize,
    /// Closures for the end that have run.
    hooks: Vec<&'static str>,
}

type Cx<'a> = Context<'a, Room>;

/// Counts a call of a member; the last thing each of them does, and for some the very last.
fn step(cx: &mut Cx<'_>) {
    cx.state.calls += 1;
    let calls = cx.state.calls;
    assert!(!cx.state.doomed.contains(&calls), "doomed");
}

/// Tells all others what its peer says.
struct Member;

impl Handler<Room> for Member {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        let (key, peer) = (cx.key(), cx.peer_addr().expect("it is open"));
        cx.state.members.insert(key, peer);
        cx.set_timer(Duration::from_millis(5), TIMES);
        step(cx);
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        let (me, said) = (cx.key(), input.take());
        for (key, peer) in &cx.state.members {
            if *key != me && cx.io.send(*key, said) {
                *cx.state.queued.entry(*peer).or_default() += said.len();
            }
        }
        step(cx);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, timer: u64) {
        if timer > 0 {
            cx.set_timer(Duration::from_millis(5), timer - 1);
        }
        step(cx);
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        // The others may still have something to say.
        step(cx);
        Eof::KeepOpen
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        assert!(matches!(why, Close::Shutdown), "{why}");
        cx.state.told += 1;
        assert!(cx.state.told != 2, "doomed at the end");
    }
}

/// What the callers have seen.
#[derive(Debug, Default)]
struct Seen {
    heard: BTreeMap<SocketAddr, usize>,
    closed: usize,
}

/// Speaks a few times, ends its direction, and listens to the others.
struct Caller;

impl Handler<Seen> for Caller {
    fn on_open(&mut self, cx: &mut Context<'_, Seen>) {
        cx.set_timer(Duration::ZERO, TIMES);
    }

    fn on_timer(&mut self, cx: &mut Context<'_, Seen>, left: u64) {
        if left == 0 {
            let key = cx.key();
            return cx.io.shutdown_write(key);
        }
        cx.send(bytes(left, SAID_BYTES));
        let pause = Duration::from_micros(cx.io.random() % 10_000);
        cx.set_timer(pause, left - 1);
    }

    fn on_input(&mut self, cx: &mut Context<'_, Seen>, input: &mut Input<'_>) {
        let me = cx.local_addr().expect("it is open");
        *cx.state.heard.entry(me).or_default() += input.take().len();
    }

    fn on_close(&mut self, cx: &mut Context<'_, Seen>, _: &Close) {
        cx.state.closed += 1;
    }
}

fn room(sim: &mut Sim, doomed: Vec<u64>) -> HostId<Room> {
    let settings = Reactor::builder()
        .on_panic(PanicPolicy::CloseConnection)
        .on_handler_panic(|cx: &mut Cx<'_>, key, message| {
            assert!(message.starts_with("doomed"), "{message}");
            let gone = cx.state.members.remove(&key);
            cx.state.lost.extend(gone);
        });
    let room = Room {
        doomed,
        ..Room::default()
    };
    sim.host_with("room", settings, room, |cx| {
        cx.on_shutdown(|cx| cx.state.hooks.push("first, which runs last"));
        cx.on_shutdown(|cx| {
            cx.state.hooks.push("second");
            panic!("doomed closure");
        });
        cx.on_shutdown(|cx| cx.state.hooks.push("third"));
        let anywhere = SocketAddr::from(([0, 0, 0, 0], PORT));
        cx.listen(anywhere, |_: &mut Cx<'_>| Member).map(drop)
    })
}

#[test]
fn a_handler_that_panics_takes_nothing_with_it_that_was_queued_for_others() {
    let lost_in_all = Cell::new(0);
    sim::check(0..300, |sim| {
        no_losses(sim);
        let spread = sim.seed().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let doomed: Vec<u64> = (0..3)
            .map(|part| 1 + (spread >> (part * 20)) % 60)
            .collect();
        let server = room(sim, doomed);
        let clients = sim.host("clients", Seen::default(), |_| Ok(()));
        let addr = sim.addr(server, PORT);
        for _ in 0..CALLERS {
            sim.with(clients, |cx| cx.connect(addr, Caller));
        }
        sim.run_for(LONG);
        let (queued, lost, here) = sim.with(server, |cx| {
            let here: Vec<SocketAddr> = cx.state.members.values().copied().collect();
            (cx.state.queued.clone(), cx.state.lost.clone(), here)
        });
        assert_eq!(here.len() + lost.len(), CALLERS);
        assert_eq!(sim.connections(server), here.len());
        sim.with(clients, |cx| {
            assert_eq!(cx.state.closed, lost.len(), "only those learn of it");
            for member in &here {
                let heard = cx.state.heard.get(member);
                assert_eq!(heard, queued.get(member), "{member} was not lost");
            }
        });
        lost_in_all.set(lost_in_all.get() + lost.len());

        sim.with(server, |cx| cx.io.stop());
        sim.run_for(LONG);
        sim.with(server, |cx| {
            assert_eq!(cx.state.told, here.len());
            let hooks = ["third", "second", "first, which runs last"];
            assert_eq!(cx.state.hooks, hooks);
        });
        assert_eq!((sim.connections(server), sim.timers(server)), (0, 0));
        sim.with(clients, |cx| assert_eq!(cx.state.closed, CALLERS));
    });
    // A seed alone may doom calls that never come.
    assert!(lost_in_all.get() > 0 || std::env::var_os("SIM_SEED").is_some());
}
