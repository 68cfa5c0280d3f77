//! Whatever is cut, held back, paused and yielded: what went in comes out, in order.

use crate::support::{Bench, Cx, Log, Peer};
use midge_reactor::{Close, Handler, Input};
use proptest::prelude::*;

/// One thing that happens to the connection.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The peer sends so many bytes.
    Send(usize),
    /// The kernel takes no more than so many.
    Room(usize),
    /// One read gives no more than so many.
    ReadMax(usize),
    /// One write takes no more than so many.
    WriteMax(usize),
    Pause,
    Resume,
    Turn,
    Settle,
}

/// How the echo treats its input.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// Takes no more than so many bytes in one call.
    take: usize,
    /// Leaves it at that, and yields, or loops on.
    yields: bool,
    /// Pauses after each call; the script resumes.
    pauses: bool,
    /// Waits for messages of so many bytes, or takes what comes.
    need: usize,
}

/// Echoes in its own manner, and never an incomplete message.
struct Echo(Manner);

impl Handler<Log> for Echo {
    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        let Manner {
            take,
            yields,
            pauses,
            need,
        } = self.0;
        assert!(!input.is_empty(), "called without a byte");
        while input.len() >= need.max(1) {
            cx.send(input.consume(take.max(need)));
            if yields {
                break;
            }
        }
        if input.len() < need {
            input.need(need);
        } else if yields {
            cx.yield_now();
        }
        if pauses {
            cx.pause();
        }
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        cx.state.add(|| format!("{why}"));
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![0..10usize, 0..5000usize, 60_000..300_000usize];
    let limit = prop_oneof![1..10usize, 1..5000usize, 60_000..300_000usize];
    let step = prop_oneof![
        4 => size.clone().prop_map(Step::Send),
        2 => size.prop_map(Step::Room),
        1 => limit.clone().prop_map(Step::ReadMax),
        1 => limit.prop_map(Step::WriteMax),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        4 => Just(Step::Turn),
        1 => Just(Step::Settle),
    ];
    prop::collection::vec(step, 0..40)
}

fn manner() -> impl Strategy<Value = Manner> {
    let take = prop_oneof![1..10usize, 1000..100_000usize, Just(usize::MAX)];
    let need = prop_oneof![Just(0usize), 1..10usize, 1000..200_000usize];
    (take, any::<bool>(), any::<bool>(), need).prop_map(|(take, yields, pauses, need)| Manner {
        // Endless calls for endless bytes would only take long.
        take: if yields || pauses {
            take.max(500)
        } else {
            take
        },
        yields,
        pauses,
        need,
    })
}

/// How little the kernel gives and takes at a time.
struct Limits {
    read: usize,
    write: usize,
}

impl Limits {
    /// Applies them, as far as `total` bytes then still take no more than some thousand turns.
    fn apply(&self, bench: &Bench, total: usize) {
        let least = 1 + total / 1000;
        bench.world.read_max(self.read.max(least));
        bench.world.write_max(self.write.max(least));
    }
}

fn apply(bench: &mut Bench, peer: &Peer, sent: &mut Vec<u8>, limits: &mut Limits, step: Step) {
    let key = peer.key();
    match step {
        Step::Send(len) => {
            let from = sent.len();
            sent.extend((from..from + len).map(|at| (at * 7 + at / 251) as u8));
            peer.send(&sent[from..]);
        }
        Step::Room(bytes) => peer.set_room(bytes),
        Step::ReadMax(bytes) => limits.read = bytes,
        Step::WriteMax(bytes) => limits.write = bytes,
        Step::Pause => bench.with(|cx| cx.io.pause(key)),
        Step::Resume => bench.with(|cx| cx.io.resume(key)),
        Step::Turn => bench.turn(),
        Step::Settle => bench.settle(),
    }
    limits.apply(bench, sent.len());
}

/// Runs the script, then lets everything flow; answers what was sent and what came back.
fn run(steps: &[Step], manner: Manner, drains: bool) -> (Vec<u8>, Vec<u8>) {
    let mut bench = Bench::new();
    let peer = bench.client(Echo(manner));
    bench.reactor.state.quiet();
    if drains {
        bench.world.short_read_drains();
    }
    let (read, write) = (usize::MAX, usize::MAX);
    let (mut sent, mut limits) = (Vec::new(), Limits { read, write });
    for step in steps {
        if drains && matches!(step, Step::ReadMax(_)) {
            continue;
        }
        apply(&mut bench, &peer, &mut sent, &mut limits, *step);
    }
    Limits { read, write }.apply(&bench, 0);
    let key = peer.key();
    peer.set_room(usize::MAX);
    // A handler that pauses is resumed as long as that brings anything.
    let mut before = None;
    while before != Some((peer.unread(), peer.received_len())) {
        before = Some((peer.unread(), peer.received_len()));
        bench.with(|cx| cx.io.resume(key));
        bench.settle();
    }
    (sent, peer.received())
}

proptest! {
    #[test]
    fn what_goes_in_comes_out_in_order(steps in steps(), manner in manner(), drains: bool) {
        let (sent, received) = run(&steps, manner, drains);
        prop_assert!(sent.starts_with(&received), "other bytes came out than went in");
        let missing = sent.len() - received.len();
        prop_assert!(missing < manner.need.max(1), "{} bytes did not come out", missing);
    }
}
