//! Real threads: who does offloaded work, how many at once, and when they end.

use midge_reactor::{Close, Context, Handler, Input, Panic, Reactor};
use std::cell::RefCell;
use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Barrier};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// How long a test waits for what must come before it fails. Never waited for in a good run.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs until it is stopped; fails where that would be never.
fn run<S>(reactor: &mut Reactor<S>) {
    reactor.with(|cx| cx.after(PATIENCE, |_| panic!("something never came")));
    reactor.run().expect("polling does not fail");
}

#[derive(Debug, Default)]
struct Results {
    good: Vec<u64>,
    bad: Vec<u64>,
    left: usize,
    stops: bool,
}

type Cx<'a> = Context<'a, Results>;

impl Results {
    /// Results that must come before the reactor stops.
    fn wanted(count: usize) -> Results {
        Results {
            left: count,
            stops: true,
            ..Results::default()
        }
    }
}

/// Takes a result, and stops with the last one.
fn note(cx: &mut Cx<'_>, result: Result<u64, Panic>) {
    match result {
        Ok(number) => cx.state.good.push(number),
        Err(panic) => cx
            .state
            .bad
            .push(panic.message().parse().expect("it panics with a number")),
    }
    cx.state.left -= 1;
    if cx.state.left == 0 && cx.state.stops {
        cx.stop();
    }
}

#[test]
fn every_job_runs_on_another_thread_and_every_result_comes_to_this_one() {
    let mut reactor = Reactor::new(Results::wanted(1_000)).expect("there are descriptors");
    let here = thread::current().id();
    reactor.with(|cx| {
        for number in 0..1_000 {
            let work = move || {
                assert_ne!(thread::current().id(), here);
                // An odd one fails, without a word on the standard error.
                if number % 2 == 1 {
                    std::panic::resume_unwind(Box::new(number.to_string()));
                }
                number
            };
            let then = move |cx: &mut Cx<'_>, result| {
                assert_eq!(thread::current().id(), here);
                note(cx, result);
            };
            cx.offload(work, then).expect("there is room");
        }
    });
    run(&mut reactor);
    let Results { good, bad, .. } = &mut reactor.state;
    good.sort_unstable();
    bad.sort_unstable();
    assert!(good.iter().copied().eq((0..1_000).step_by(2)));
    assert!(bad.iter().copied().eq((1..1_000).step_by(2)));
    assert_eq!(reactor.offloaded(), 0);
}

#[test]
fn as_many_jobs_run_at_once_as_there_may_be_threads_and_no_more() {
    let builder = Reactor::builder().offload_threads(3);
    let built = builder.build(Results::wanted(300));
    let mut reactor = built.expect("there are descriptors");
    let (together, running) = (Arc::new(Barrier::new(3)), Arc::new(AtomicUsize::new(0)));
    reactor.with(|cx| {
        for _ in 0..300 {
            let (together, running) = (Arc::clone(&together), Arc::clone(&running));
            let work = move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                assert!(now <= 3, "{now} at once");
                // Nobody gets past it who is alone.
                together.wait();
                running.fetch_sub(1, Ordering::SeqCst);
                0
            };
            cx.offload(work, note).expect("there is room");
        }
    });
    run(&mut reactor);
    assert_eq!(reactor.state.good.len(), 300);
}

thread_local! {
    /// Dropped when the thread ends.
    static ALIVE: RefCell<Option<Sender<ThreadId>>> = const { RefCell::new(None) };
}

fn until_all_came(reactor: &mut Reactor<Results>) {
    let timer = reactor.with(|cx| cx.after(PATIENCE, |_| panic!("something never came")));
    while reactor.state.left > 0 {
        reactor.turn(None).expect("polling does not fail");
    }
    reactor.with(|cx| cx.io.cancel(timer));
}

/// Occupies `count` threads at once. The receiver is disconnected when all of them have ended.
fn occupy(reactor: &mut Reactor<Results>, count: usize) -> Receiver<ThreadId> {
    let (alive, ended) = mpsc::channel();
    let together = Arc::new(Barrier::new(count));
    reactor.state.left = count;
    reactor.with(|cx| {
        for _ in 0..count {
            let (alive, together) = (alive.clone(), Arc::clone(&together));
            let work = move || {
                ALIVE.with_borrow_mut(|here| *here = Some(alive));
                together.wait();
                0
            };
            cx.offload(work, note).expect("there is room");
        }
    });
    until_all_came(reactor);
    ended
}

#[test]
fn threads_stay_for_the_next_job_and_end_with_the_reactor() {
    let mut reactor = Reactor::new(Results::default()).expect("there are descriptors");
    let ended = occupy(&mut reactor, 4);
    assert_eq!(
        ended.try_recv(),
        Err(mpsc::TryRecvError::Empty),
        "a thread has ended early"
    );
    drop(reactor);
    assert_eq!(
        ended.recv_timeout(PATIENCE),
        Err(RecvTimeoutError::Disconnected)
    );
}

#[test]
fn a_pool_that_is_made_smaller_still_does_all_its_work() {
    let mut reactor = Reactor::new(Results::default()).expect("there are descriptors");
    let ended = occupy(&mut reactor, 4);
    reactor.with(|cx| cx.set_offload_threads(1));
    reactor.state.left = 100;
    let running = Arc::new(AtomicUsize::new(0));
    reactor.with(|cx| {
        for _ in 0..100 {
            let running = Arc::clone(&running);
            let work = move || {
                let before = running.fetch_add(1, Ordering::SeqCst);
                running.fetch_sub(1, Ordering::SeqCst);
                before as u64
            };
            cx.offload(work, note).expect("there is room");
        }
    });
    until_all_came(&mut reactor);
    assert!(
        reactor.state.good[4..].iter().all(|others| *others == 0),
        "two at once"
    );
    drop(reactor);
    assert_eq!(
        ended.recv_timeout(PATIENCE),
        Err(RecvTimeoutError::Disconnected)
    );
}

#[test]
fn the_end_waits_for_no_job_and_drops_those_that_have_not_begun() {
    let builder = Reactor::builder().offload_threads(1);
    let built = builder.build(Results::default());
    let mut reactor = built.expect("there are descriptors");
    let (begun, begins) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let (owned, dropped) = mpsc::channel::<()>();
    reactor.with(|cx| {
        let work = move || {
            begun.send(()).expect("the test waits for it");
            goes_on.recv().expect("the test tells it");
            0
        };
        cx.offload(work, |_, _| panic!("the reactor has ended"))
            .expect("there is room");
        let work = move || drop(owned);
        cx.offload(work, |_, _| panic!("the reactor has ended"))
            .expect("there is room");
    });
    begins.recv().expect("it begins");
    // While the first one runs; what is waited for is the drop of the second.
    drop(reactor);
    assert_eq!(
        dropped.recv_timeout(PATIENCE),
        Err(RecvTimeoutError::Disconnected)
    );
    go_on.send(()).expect("it still runs");
}

#[test]
fn a_name_is_looked_up_by_the_system() {
    let mut reactor = Reactor::new(Vec::new()).expect("there are descriptors");
    reactor.with(|cx| {
        cx.resolve("localhost", 4222, |cx, found| {
            *cx.state = found.expect("every system knows it");
            cx.stop();
        });
    });
    run(&mut reactor);
    assert!(!reactor.state.is_empty());
    assert!(
        reactor
            .state
            .iter()
            .all(|addr| addr.ip().is_loopback() && addr.port() == 4222)
    );
}

#[test]
fn a_name_that_the_system_refuses_is_told() {
    let mut reactor = Reactor::new(String::new()).expect("there are descriptors");
    reactor.with(|cx| {
        // No server is asked: no name has a zero byte.
        cx.resolve("no\0body", 4222, |cx, found: io::Result<_>| {
            *cx.state = found.expect_err("it is no name").to_string();
            cx.stop();
        });
    });
    run(&mut reactor);
    assert!(
        reactor.state.starts_with("cannot resolve \"no\0body\": "),
        "{}",
        reactor.state
    );
}

/// Tells what it gets, and how it ends.
#[derive(Debug)]
struct Teller;

impl Handler<Vec<String>> for Teller {
    fn on_open(&mut self, cx: &mut Context<'_, Vec<String>>) {
        cx.state.push("open".to_owned());
        cx.close_after_write();
    }

    fn on_input(&mut self, _: &mut Context<'_, Vec<String>>, input: &mut Input<'_>) {
        input.take();
    }

    fn on_close(&mut self, cx: &mut Context<'_, Vec<String>>, why: &Close) {
        cx.state.push(why.to_string());
        cx.stop();
    }
}

#[test]
fn a_connection_to_a_name_finds_the_one_address_where_somebody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let mut reactor = Reactor::new(Vec::new()).expect("there are descriptors");
    reactor.with(|cx| {
        let key = cx.connect_host(&format!("localhost:{port}"), Teller);
        assert!(cx.io.send(key, b"early"));
    });
    let accepting = thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        io::read_to_string(&mut stream)
    });
    run(&mut reactor);
    assert_eq!(reactor.state, ["open", "closed"]);
    let heard = accepting.join().expect("accepting does not panic");
    assert_eq!(heard.expect("it is not reset"), "early");
}

#[test]
fn a_connection_to_a_name_where_nobody_listens_tells_name_address_and_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    let mut reactor = Reactor::new(Vec::new()).expect("there are descriptors");
    let host = format!("localhost:{port}");
    reactor.with(|cx| cx.connect_host(&host, Teller));
    run(&mut reactor);
    let told = &reactor.state[0];
    let begin = format!("connect failed: {host} (");
    assert!(
        reactor.state.len() == 1 && told.starts_with(&begin),
        "{told}"
    );
    assert!(told.to_lowercase().contains("refused"), "{told}");
}
