//! Streams and descriptors that only the system has: Unix sockets, pipes, what others have opened,
//! child processes, and the options of sockets.

use midge_reactor::{Close, Context, Eof, Handler, Input, Key, Reactor};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

mod adopting;
mod detaching;
mod options;
mod processes;
mod unix;
mod watching;

/// How long a test waits for what must come before it fails. Never waited for in a good run.
const PATIENCE: Duration = Duration::from_secs(60);

/// What handlers have seen: the shared state of every reactor here.
#[derive(Debug, Default)]
struct Told {
    lines: Vec<String>,
    bytes: Vec<u8>,
    status: Option<ExitStatus>,
}

impl Told {
    fn has(&self, line: &str) -> bool {
        self.lines.iter().any(|told| told == line)
    }
}

type Cx<'a> = Context<'a, Told>;

fn reactor() -> Reactor<Told> {
    Reactor::new(Told::default()).expect("a selector is free")
}

/// Turns until `wanted` holds.
fn until<S: 'static>(reactor: &mut Reactor<S>, mut wanted: impl FnMut(&S) -> bool) {
    let late = |_: &mut Context<'_, S>| panic!("what was waited for has not come");
    let late = reactor.with(|cx| cx.after(PATIENCE, late));
    while !wanted(&reactor.state) {
        reactor.turn(None).expect("polling does not fail");
    }
    reactor.with(|cx| cx.io.cancel(late));
}

/// Turns until nothing is left to do at once.
fn settle(reactor: &mut Reactor<Told>) {
    loop {
        let turned = reactor.turn(Some(Duration::ZERO));
        turned.expect("polling does not fail");
        if !reactor.has_work() {
            return;
        }
    }
}

/// Keeps what comes and tells the rest.
struct Tell(&'static str);

impl Handler<Told> for Tell {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        cx.state.lines.push(format!("{} open", self.0));
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        cx.state.bytes.extend(input.take());
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        cx.state.lines.push(format!("{} eof", self.0));
        Eof::Close
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        cx.state.lines.push(format!("{} close: {why}", self.0));
        if let Some(status) = cx.exit_status() {
            cx.state.status = Some(status);
        }
    }
}

/// Sends back what comes.
struct Echo;

impl Handler<Told> for Echo {
    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        cx.send(input.take());
    }
}

/// Bytes in which every misplaced piece shows.
fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}

/// A folder of one test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("midge-reactor-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("the name is new");
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Listens at a path with echoes.
fn echo_at(reactor: &mut Reactor<Told>, path: &Path) -> Key {
    let listener = reactor.with(|cx| cx.listen_unix(path, |_: &mut Cx<'_>| Echo));
    listener.expect("the path is free")
}
