//! Descriptors that the reactor watches and the test reads and writes.

use super::{Tell, Told, reactor, settle, until};
use midge_reactor::{Again, Close, Context, PanicPolicy, Reactor, Readiness, Watch};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

type Cx<'a> = Context<'a, Told>;

/// Reads `step` bytes at each call, keeps them, and tells what it was called for.
struct Reads {
    source: UnixStream,
    step: usize,
}

impl Watch<Told> for Reads {
    fn on_ready(&mut self, cx: &mut Cx<'_>, ready: Readiness) -> Again {
        cx.state.lines.push(format!(
            "r{} w{}",
            u8::from(ready.readable),
            u8::from(ready.writable)
        ));
        let mut piece = vec![0; self.step];
        match self.source.read(&mut piece) {
            Ok(0) => {
                cx.close();
                Again::No
            }
            Ok(len) => {
                cx.state.bytes.extend(&piece[..len]);
                Again::Yes
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                cx.state.lines.push("empty".to_owned());
                Again::No
            }
        }
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, timer: u64) {
        cx.state.lines.push(format!("timer {timer}"));
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        cx.state.lines.push(format!("close: {why}"));
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().expect("descriptors are free");
    near.set_nonblocking(true).expect("it is open");
    (near, far)
}

fn reads(source: &UnixStream, step: usize) -> Reads {
    let source = source.try_clone().expect("a descriptor is free");
    Reads { source, step }
}

#[test]
fn a_watch_is_called_until_it_says_that_nothing_is_left_and_again_at_the_next_change() {
    let (near, mut far) = pair();
    let mut reactor = reactor();
    let key = reactor.with(|cx| cx.watch(&near, Readiness::READABLE, reads(&near, 2)));
    key.expect("it can be watched");
    for expected in ["abcde", "abcdefghij"] {
        let new = &expected[expected.len() - 5..];
        far.write_all(new.as_bytes()).expect("the kernel takes it");
        until(&mut reactor, |told| told.has("empty"));
        settle(&mut reactor);
        assert_eq!(reactor.state.bytes, expected.as_bytes());
        // Two, two, one, and the one that found nothing.
        assert_eq!(
            reactor.state.lines,
            ["r1 w0", "r1 w0", "r1 w0", "r1 w0", "empty"]
        );
        reactor.state.lines.clear();
    }
    assert_eq!(reactor.connections(), 0);
    assert_eq!(reactor.with(|cx| cx.io.watches()), 1);
    drop(far);
    until(&mut reactor, |told| told.has("close: closed"));
    assert_eq!(reactor.with(|cx| cx.io.watches()), 0);
}

#[test]
fn a_watch_that_always_wants_more_leaves_the_others_their_turns() {
    /// Never done.
    struct Greedy;
    impl Watch<Told> for Greedy {
        fn on_ready(&mut self, cx: &mut Cx<'_>, _: Readiness) -> Again {
            cx.state.lines.push("greedy".to_owned());
            Again::Yes
        }
    }
    let (near, mut far) = pair();
    let mut reactor = reactor();
    let greedy = reactor.with(|cx| cx.watch(&near, Readiness::WRITABLE, Greedy));
    greedy.expect("it can be watched");
    let (other, mut other_far) = pair();
    reactor
        .with(|cx| cx.adopt(other, Tell("other")))
        .expect("it is connected");
    until(&mut reactor, |told| told.has("other open"));
    reactor.state.lines.clear();
    for turn in 1..=5 {
        other_far.write_all(b".").expect("the kernel takes it");
        reactor.turn(None).expect("polling does not fail");
        assert_eq!(reactor.state.lines.len(), turn, "once in a turn");
        assert_eq!(reactor.state.bytes.len(), turn, "and the other has its own");
    }
    far.write_all(b"x").expect("it is open");
}

#[test]
fn what_happens_while_nothing_is_wanted_is_told_when_it_is() {
    let (near, mut far) = pair();
    let mut reactor = reactor();
    let key = reactor.with(|cx| cx.watch(&near, Readiness::NONE, reads(&near, 100)));
    let key = key.expect("it can be watched");
    far.write_all(b"unheard").expect("the kernel takes it");
    reactor.turn(None).expect("polling does not fail");
    settle(&mut reactor);
    assert!(reactor.state.lines.is_empty(), "{:?}", reactor.state.lines);
    assert!(reactor.with(|cx| cx.io.watch_for(key, Readiness::READABLE)));
    until(&mut reactor, |told| told.bytes == b"unheard");
    settle(&mut reactor);
    reactor.state.lines.clear();
    reactor.with(|cx| cx.io.watch_for(key, Readiness::NONE));
    far.write_all(b"!").expect("the kernel takes it");
    reactor.turn(None).expect("polling does not fail");
    settle(&mut reactor);
    assert!(reactor.state.lines.is_empty(), "{:?}", reactor.state.lines);
    reactor.with(|cx| cx.io.watch_for(key, Readiness::BOTH));
    until(&mut reactor, |told| told.bytes == b"unheard!");
    assert_eq!(
        reactor.state.lines[0], "r1 w1",
        "it could be written to all along"
    );
    assert!(!reactor.with(|cx| { cx.io.watch_for(midge_reactor::Key::NONE, Readiness::BOTH) }));
}

#[test]
fn a_callback_that_ends_anothers_interest_prevents_its_call_in_the_same_turn() {
    /// The first to be called switches the other off.
    struct First(UnixStream);
    impl Watch<Vec<midge_reactor::Key>> for First {
        fn on_ready(
            &mut self,
            cx: &mut Context<'_, Vec<midge_reactor::Key>>,
            _: Readiness,
        ) -> Again {
            let me = cx.key();
            for key in std::mem::take(cx.state) {
                if key != me {
                    cx.io.watch_for(key, Readiness::NONE);
                }
            }
            cx.state.push(me);
            self.0.read_exact(&mut [0; 1]).expect("something has come");
            Again::Yes
        }
    }
    let mut reactor = Reactor::new(Vec::new()).expect("a selector is free");
    let mut fars = Vec::new();
    let keys = reactor.with(|cx| {
        let watch = |_| {
            let (near, mut far) = pair();
            far.write_all(b"x").expect("the kernel takes it");
            fars.push(far);
            let source = near.try_clone().expect("a descriptor is free");
            cx.watch(&near, Readiness::READABLE, First(source))
                .expect("it can be watched")
        };
        (0..2).map(watch).collect::<Vec<_>>()
    });
    reactor.state = keys;
    reactor
        .turn(Some(Duration::ZERO))
        .expect("polling does not fail");
    assert_eq!(reactor.state.len(), 1, "only one was called");
}

#[test]
fn a_source_outlives_its_watch_with_the_same_number() {
    let (near, mut far) = pair();
    let number = near.as_raw_fd();
    let mut reactor = reactor();
    let key = reactor.with(|cx| cx.watch(&near, Readiness::READABLE, reads(&near, 9)));
    let key = key.expect("it can be watched");
    assert!(reactor.with(|cx| cx.io.close(key)));
    assert!(!reactor.with(|cx| cx.io.close(key)), "it is closing");
    settle(&mut reactor);
    assert_eq!(reactor.state.lines, ["close: closed"]);
    far.write_all(b"to you").expect("it is open");
    settle(&mut reactor);
    let mut heard = [0; 6];
    (&near)
        .read_exact(&mut heard)
        .expect("it is open, and nobody else has read");
    assert_eq!((&heard, near.as_raw_fd()), (b"to you", number));
    assert_eq!(
        reactor.state.lines.len(),
        1,
        "a watch that has ended is not called"
    );
    let again = reactor.with(|cx| cx.watch(&near, Readiness::READABLE, reads(&near, 9)));
    again.expect("the kernel has forgotten the first watch");
}

#[test]
fn a_watch_whose_source_was_closed_meanwhile_disturbs_nobody() {
    let (near, far) = pair();
    let number = near.as_raw_fd();
    let mut reactor = reactor();
    let key = reactor.with(|cx| {
        // The watch keeps no descriptor of its own.
        struct Nothing;
        impl Watch<Told> for Nothing {
            fn on_ready(&mut self, cx: &mut Cx<'_>, _: Readiness) -> Again {
                cx.state.lines.push("watch".to_owned());
                Again::No
            }
        }
        cx.watch(&near, Readiness::READABLE, Nothing)
    });
    let key = key.expect("it can be watched");
    drop(near);
    // Most likely it gets the number that has become free.
    let (other, mut other_far) = pair();
    println!("{number} was closed, {} has come", other.as_raw_fd());
    reactor
        .with(|cx| cx.adopt(other, Tell("other")))
        .expect("it is connected");
    until(&mut reactor, |told| told.has("other open"));
    reactor.with(|cx| cx.io.close(key));
    settle(&mut reactor);
    other_far.write_all(b"heard").expect("it is open");
    until(&mut reactor, |told| told.bytes == b"heard");
    drop(far);
}

#[test]
fn a_watch_has_timers_and_learns_of_the_stop() {
    let (near, _far) = pair();
    let mut reactor = reactor();
    reactor.with(|cx| {
        let key = cx.watch(&near, Readiness::READABLE, reads(&near, 9));
        let key = key.expect("it can be watched");
        cx.io.set_timer(key, Duration::from_millis(1), 7);
        cx.io.set_interval(key, Duration::from_millis(1), 8);
    });
    until(&mut reactor, |told| {
        told.has("timer 7") && told.has("timer 8")
    });
    reactor.with(|cx| cx.io.stop());
    reactor.run().expect("polling does not fail");
    let last = reactor.state.lines.last().map(String::as_str);
    assert_eq!(last, Some("close: reactor stopped"));
}

#[test]
fn a_watch_does_not_keep_a_shutdown_waiting() {
    let (near, _far) = pair();
    let mut reactor = reactor();
    reactor.with(|cx| {
        let key = cx.watch(&near, Readiness::READABLE, reads(&near, 9));
        key.expect("it can be watched");
        cx.io.shutdown(super::PATIENCE);
    });
    until(&mut reactor, |_| true);
    reactor.run().expect("polling does not fail");
    assert_eq!(reactor.state.lines, ["close: reactor stopped"]);
}

#[test]
fn a_file_cannot_be_watched() {
    let file = File::open(std::env::current_exe().expect("it runs")).expect("it is there");
    let (near, _far) = pair();
    let mut reactor = reactor();
    let watched = reactor.with(|cx| cx.watch(&file, Readiness::READABLE, reads(&near, 1)));
    watched.expect_err("files are always ready, so they cannot be watched");
    assert_eq!(reactor.with(|cx| cx.io.watches()), 0);
}

/// Closes once more while it is being closed, or panics.
struct ClosesAgain {
    panics: bool,
}

impl Watch<Told> for ClosesAgain {
    fn on_ready(&mut self, _: &mut Cx<'_>, _: Readiness) -> Again {
        Again::No
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
        assert!(!self.panics, "on purpose");
        cx.close();
    }
}

#[test]
fn a_watch_is_closed_once_and_what_takes_its_place_afterwards_stays() {
    for panics in [false, true] {
        let (near, _far) = pair();
        let mut reactor = Reactor::builder()
            .on_panic(PanicPolicy::CloseConnection)
            .build(Told::default())
            .expect("a selector is free");
        reactor.with(|cx| {
            let first = cx.watch(&near, Readiness::READABLE, ClosesAgain { panics });
            cx.io.close(first.expect("it can be watched"));
        });
        let turn = |reactor: &mut Reactor<Told>| {
            let done = reactor.turn(Some(Duration::ZERO));
            done.expect("it can be polled");
            reactor.with(|cx| cx.io.watches())
        };
        assert_eq!(turn(&mut reactor), 0);
        let next = reactor.with(|cx| cx.watch(&near, Readiness::READABLE, reads(&near, 1)));
        next.expect("it can be watched");
        assert_eq!(turn(&mut reactor), 1, "panics: {panics}");
    }
}

#[test]
fn a_watch_that_cannot_go_on_says_why_and_is_told_so() {
    /// Gives up at the first sight of its descriptor.
    struct GivesUp;
    impl Watch<Told> for GivesUp {
        fn on_ready(&mut self, cx: &mut Cx<'_>, _: Readiness) -> Again {
            cx.fail("no use");
            Again::No
        }

        fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
            cx.state.lines.push(format!("close: {why}"));
        }
    }
    let (near, far) = pair();
    let mut reactor = reactor();
    let key = reactor.with(|cx| cx.watch(&near, Readiness::WRITABLE, GivesUp));
    let key = key.expect("it can be watched");
    until(&mut reactor, |told| told.has("close: no use"));
    assert!(!reactor.with(|cx| cx.io.fail(key, "too late")));
    let key = reactor.with(|cx| cx.watch(&near, Readiness::NONE, GivesUp));
    let key = key.expect("it can be watched");
    assert!(reactor.with(|cx| cx.io.fail_after_write(key, "from outside")));
    until(&mut reactor, |told| told.has("close: from outside"));
    assert_eq!(reactor.with(|cx| cx.io.watches()), 0);
    drop(far);
}
