//! The handler of most scripts.

use super::{Cx, Inside, Log};
use midge_reactor::{Close, Eof, Handler, Input, ProxyEnd, StreamEnd};

type OnInput = Box<dyn FnMut(&mut Cx<'_>, &mut Input<'_>)>;
type OnEof = Box<dyn FnMut(&mut Cx<'_>) -> Eof>;
type OnTimer = Box<dyn FnMut(&mut Cx<'_>, u64)>;
type OnOther = Box<dyn FnMut(&mut Cx<'_>)>;

/// A handler that logs each call, checks the order of calls, and does what it was made with.
#[derive(Default)]
pub(crate) struct Probe {
    name: &'static str,
    open: Option<OnOther>,
    handshake: Option<OnOther>,
    input: Option<OnInput>,
    drain: Option<OnOther>,
    timer: Option<OnTimer>,
    stream: Option<OnOther>,
    eof: Option<OnEof>,
    close: Option<OnOther>,
    opened: bool,
    ended: bool,
    closed: bool,
}

impl Probe {
    pub(crate) fn new(name: &'static str) -> Probe {
        Probe {
            name,
            ..Probe::default()
        }
    }

    /// Sends back what comes.
    pub(crate) fn echo(name: &'static str) -> Probe {
        Probe::new(name).on_input(|cx, input| {
            cx.send(input.take());
        })
    }

    pub(crate) fn on_open(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Probe {
        self.open = Some(Box::new(work));
        self
    }

    /// Does so at the end of a handshake, which is logged only then.
    pub(crate) fn on_handshake(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Probe {
        self.handshake = Some(Box::new(work));
        self
    }

    pub(crate) fn on_input(
        mut self,
        work: impl FnMut(&mut Cx<'_>, &mut Input<'_>) + 'static,
    ) -> Probe {
        self.input = Some(Box::new(work));
        self
    }

    pub(crate) fn on_drain(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Probe {
        self.drain = Some(Box::new(work));
        self
    }

    pub(crate) fn on_timer(mut self, work: impl FnMut(&mut Cx<'_>, u64) + 'static) -> Probe {
        self.timer = Some(Box::new(work));
        self
    }

    pub(crate) fn on_stream(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Probe {
        self.stream = Some(Box::new(work));
        self
    }

    pub(crate) fn on_eof(mut self, work: impl FnMut(&mut Cx<'_>) -> Eof + 'static) -> Probe {
        self.eof = Some(Box::new(work));
        self
    }

    pub(crate) fn on_close(mut self, work: impl FnMut(&mut Cx<'_>) + 'static) -> Probe {
        self.close = Some(Box::new(work));
        self
    }

    fn enter(&self, cx: &Cx<'_>, call: impl FnOnce() -> String) -> Inside {
        assert!(!self.closed, "{}: called after on_close", self.name);
        let name = self.name;
        cx.state.add(|| format!("{name} {}", call()));
        cx.state.enter()
    }
}

pub(super) fn shown(bytes: &[u8]) -> String {
    if bytes.len() <= 40 {
        bytes.escape_ascii().to_string()
    } else {
        format!("{} bytes", bytes.len())
    }
}

impl Handler<Log> for Probe {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        let _inside = self.enter(cx, || "open".to_owned());
        assert!(!std::mem::replace(&mut self.opened, true), "opened twice");
        if let Some(work) = &mut self.open {
            work(cx);
        }
    }

    fn on_handshake(&mut self, cx: &mut Cx<'_>) {
        if self.handshake.is_none() {
            return;
        }
        let _inside = self.enter(cx, || "handshake".to_owned());
        if let Some(work) = &mut self.handshake {
            work(cx);
        }
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        let _inside = self.enter(cx, || format!("input {}", shown(input.peek())));
        assert!(self.opened, "input before on_open");
        assert!(!self.ended, "input after on_eof");
        assert!(cx.io.is_open(cx.key()), "input after a close");
        assert!(!cx.io.is_paused(cx.key()), "input in spite of a pause");
        match &mut self.input {
            Some(work) => work(cx, input),
            None => {
                input.take();
            }
        }
    }

    fn on_drain(&mut self, cx: &mut Cx<'_>) {
        let _inside = self.enter(cx, || "drain".to_owned());
        if let Some(work) = &mut self.drain {
            work(cx);
        }
    }

    fn on_proxy(&mut self, cx: &mut Cx<'_>, end: ProxyEnd) {
        let _inside = self.enter(cx, || format!("proxy {end:?}"));
    }

    fn on_stream(&mut self, cx: &mut Cx<'_>, end: StreamEnd) {
        let _inside = self.enter(cx, || match &end {
            StreamEnd::Complete { bytes } => format!("stream of {bytes} complete"),
            StreamEnd::Failed { bytes, error } => format!("stream of {bytes} failed: {error}"),
        });
        if let Some(work) = &mut self.stream {
            work(cx);
        }
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, timer: u64) {
        let _inside = self.enter(cx, || format!("timer {timer}"));
        if let Some(work) = &mut self.timer {
            work(cx, timer);
        }
    }

    fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
        let _inside = self.enter(cx, || "eof".to_owned());
        assert!(self.opened, "an end before on_open");
        assert!(!std::mem::replace(&mut self.ended, true), "ended twice");
        self.eof.as_mut().map_or(Eof::Close, |work| work(cx))
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        let queued = cx.queued();
        let _inside = self.enter(cx, || match (why, queued) {
            (why, 0) => format!("close: {why}"),
            (why, queued) => format!("close: {why}, {queued} unsent"),
        });
        self.closed = true;
        if let Some(work) = &mut self.close {
            work(cx);
        }
    }
}
