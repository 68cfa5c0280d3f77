//! A turn is for all, also where calls of handlers cost time: by seed, with a clock that goes on meanwhile.

use crate::actors::PORT;
use midge_reactor::sim::{self, Faults, Sim};
use midge_reactor::{Context, Handler, Input, Time};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

const MILLI: Duration = Duration::from_millis(1);

/// What a call costs, at most.
const COST: Duration = Duration::from_millis(2);

/// What a turn takes, at most: jobs, input of two lanes, timers, deferred work, the flush and closes, each of
/// them with a last call that came in time.
const TURN: Duration = Duration::from_millis(2 + 4 + 2 + 2 + 4 + 2 + 7 * 2);

/// In how many turns the server has called its handlers, and when the last of these began.
#[derive(Clone, Default)]
struct Record(Rc<Cell<(Time, usize)>>);

impl Record {
    fn turns(&self) -> usize {
        self.0.get().1
    }

    fn saw(&self, now: Time) {
        let (last, turns) = self.0.get();
        if last != now {
            self.0.set((now, turns + 1));
        }
    }
}

/// Answers all that comes, and defers some work for it.
struct Server(Record);

impl Handler for Server {
    fn on_input(&mut self, cx: &mut Context<'_>, input: &mut Input<'_>) {
        self.0.saw(cx.now());
        cx.send(input.take());
        let record = self.0.clone();
        cx.defer(move |cx| record.saw(cx.now()));
    }
}

/// Sends again whatever comes back.
struct Flood;

impl Handler for Flood {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        cx.send([b'f'; 64 * 1024]);
    }

    fn on_input(&mut self, cx: &mut Context<'_>, input: &mut Input<'_>) {
        cx.send(input.take());
    }
}

#[test]
fn no_turn_is_longer_than_its_bounds_however_many_flood_and_whatever_their_calls_cost() {
    sim::check(0..20, |sim| {
        let mut faults = Faults::none();
        (faults.call_cost, faults.call_cost_max) = (1.0, COST);
        sim.set_faults(faults);
        let record = Record::default();
        let of_server = record.clone();
        sim.host("server", (), |cx| {
            for _ in 0..10 {
                let record = of_server.clone();
                cx.every(MILLI, move |cx| record.saw(cx.now()));
            }
            let serve = move |_: &mut Context<'_>| Server(of_server.clone());
            cx.listen(("0.0.0.0", PORT), serve).map(drop)
        });
        let addr = SocketAddr::from(([10, 0, 0, 1], PORT));
        for _ in 0..20 + sim.size("floods", 40) {
            sim.host("client", (), |cx| {
                cx.connect(addr, Flood);
                Ok(())
            });
        }
        let end = sim.now() + Duration::from_secs(1);
        let mut longest = Duration::ZERO;
        while sim.now() < end {
            let (begun, turns) = (sim.now(), record.turns());
            assert!(sim.step(), "the server has timers");
            if record.turns() > turns {
                longest = longest.max(sim.now() - begun);
            }
        }
        // Each system call takes a moment, too.
        assert!(longest <= TURN + 2 * MILLI, "a turn took {longest:?}");
        assert!(longest >= 4 * MILLI, "there was more to do than fits");
    });
}

#[test]
fn what_calls_cost_is_drawn_from_the_seed_and_nothing_else_changes_by_it() {
    let play = |cost: f64, seed: u64| {
        let mut faults = Faults::none();
        (faults.call_cost, faults.call_cost_max) = (cost, COST);
        let mut sim = Sim::with_faults(seed, faults);
        let record = Record::default();
        let of_host = record.clone();
        sim.host("host", (), |cx| {
            cx.every(10 * MILLI, move |cx| of_host.saw(cx.now()));
            Ok(())
        });
        sim.run_for(Duration::from_secs(1));
        (record.turns(), sim.history_hash())
    };
    assert_eq!(play(1.0, 1), play(1.0, 1));
    assert_ne!(play(1.0, 1).1, play(1.0, 2).1);
    assert_ne!(play(1.0, 1).1, play(0.0, 1).1);
    assert_eq!(play(1.0, 1).0, play(0.0, 1).0);
}
