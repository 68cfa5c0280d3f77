//! The callbacks of a `Handler` that are not for input: each codec hands every one of them on.

use crate::certificates::Authority;
use crate::support::{Bench, Cx, Log};
use crate::tls::Far;
use midge_reactor::codec::{
    FrameError, Framing, Head, HeaderBody, LengthPrefixed, LineHandler, Lines, Mode, Prefix,
    RequestHandler, UnitHandler,
};
use midge_reactor::tls::{Tls, TlsInfo};
use midge_reactor::{Close, Eof, Handler, ProxyEnd, ProxyOptions, StreamEnd, StreamOptions};
use std::collections::BTreeSet;
use std::time::Duration;

/// Logs the name of each callback, and begins with TLS.
struct Names(Tls);

fn tell(cx: &Cx<'_>, call: &str) {
    cx.state.add(|| format!("on_{call}"));
}

macro_rules! names_the_rest {
    () => {
        fn on_open(&mut self, cx: &mut Cx<'_>) {
            tell(cx, "open");
            cx.start_tls(self.0.clone()).expect("it is open");
        }

        fn on_tls(&mut self, cx: &mut Cx<'_>, _: &TlsInfo) {
            tell(cx, "tls");
        }

        fn on_drain(&mut self, cx: &mut Cx<'_>) {
            tell(cx, "drain");
        }

        fn on_proxy(&mut self, cx: &mut Cx<'_>, _: ProxyEnd) {
            tell(cx, "proxy");
        }

        fn on_stream(&mut self, cx: &mut Cx<'_>, _: StreamEnd) {
            tell(cx, "stream");
        }

        fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
            tell(cx, "timer");
        }

        fn on_error(&mut self, _: &mut Cx<'_>, error: &FrameError) {
            panic!("{error}");
        }

        fn on_eof(&mut self, cx: &mut Cx<'_>) -> Eof {
            tell(cx, "eof");
            Eof::Close
        }

        fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
            tell(cx, "close");
        }
    };
}

impl LineHandler<Log> for Names {
    fn on_line(&mut self, cx: &mut Cx<'_>, line: &[u8], _: &mut Framing) {
        assert_eq!(line, b"unit");
        tell(cx, "input");
    }

    fn on_cut(&mut self, cx: &mut Cx<'_>, _: &[u8], _: Mode) {
        tell(cx, "cut");
    }

    names_the_rest!();
}

impl UnitHandler<Log> for Names {
    fn on_unit(&mut self, cx: &mut Cx<'_>, unit: &[u8]) {
        assert_eq!(unit, b"unit");
        tell(cx, "input");
    }

    fn on_cut(&mut self, cx: &mut Cx<'_>, _: &[u8]) {
        tell(cx, "cut");
    }

    names_the_rest!();
}

impl RequestHandler<Log> for Names {
    fn on_request(&mut self, cx: &mut Cx<'_>, head: Head<'_>, body: &[u8]) {
        assert!(head.lines().eq([b"Content-Length: 4"]) && body == b"unit");
        tell(cx, "input");
    }

    fn on_cut(&mut self, cx: &mut Cx<'_>, _: &[u8]) {
        tell(cx, "cut");
    }

    names_the_rest!();
}

/// The names of all callbacks of `Handler`, from its source: a new one is missed here at once.
fn callbacks() -> BTreeSet<&'static str> {
    let source = include_str!("../../src/handler.rs");
    let (_, begun) = source.split_once("pub trait Handler").expect("it is there");
    let (body, _) = begun.split_once("\n}\n").expect("it ends");
    let names = body.split("    fn ").skip(1);
    names
        .map(|rest| &rest[..rest.find('(').expect("it takes arguments")])
        .collect()
}

/// Everything happens to a connection whose peer sends `unit` whole and at last a part of it. Its
/// first `read` bytes count as read before it is whole.
fn check<H: Handler<Log> + 'static>(make: impl FnOnce(Names) -> H, unit: &[u8], read: usize) {
    let (authority, mut bench) = (Authority::new(), Bench::new());
    let names = Names(Tls::server(authority.server()));
    let mut seen = BTreeSet::new();
    let mut told = |bench: &mut Bench| {
        let told = bench.told();
        seen.extend(told.iter().cloned());
        told
    };
    let mut far = Far::new(&mut bench, &authority, make(names));
    far.talk(&mut bench);
    assert_eq!(told(&mut bench), ["on_open", "on_tls"]);
    let key = far.peer.key();

    far.say(unit);
    far.talk(&mut bench);
    assert_eq!(told(&mut bench), ["on_input"]);

    bench.with(|cx| cx.io.set_timer(key, Duration::ZERO, 1));
    bench.settle();
    assert_eq!(told(&mut bench), ["on_timer"]);

    bench.with(|cx| {
        cx.io.watermarks(key, 0, 1, 1_000);
        cx.io.send(key, b"drain me");
    });
    bench.settle();
    assert_eq!(told(&mut bench), ["on_drain"]);

    bench.with(|cx| {
        cx.io.watermarks(key, 500, 1_000, 1_000);
        let reader: &[u8] = b", streamed";
        let begun = cx.io.stream(key, reader, &StreamOptions::default());
        begun.expect("it is open");
    });
    bench.settle();
    assert_eq!(told(&mut bench), ["on_stream"]);

    // Amid a unit, of which the relay takes the rest: a new one begins behind it.
    far.say(&unit[..unit.len() - 2]);
    far.talk(&mut bench);
    bench.with(|cx| {
        let options = ProxyOptions {
            limit: Some((unit.len() - read) as u64),
            ..ProxyOptions::default()
        };
        let begun = cx.io.proxy(key, key, &options);
        begun.expect("it is open");
    });
    far.say(&unit[unit.len() - 2..]);
    far.say(unit);
    far.talk(&mut bench);
    assert_eq!(told(&mut bench), ["on_proxy", "on_input"]);

    // As above, with a relay that is ended from outside and tells nobody.
    far.say(&unit[..unit.len() - 2]);
    far.talk(&mut bench);
    bench
        .with(|cx| cx.io.proxy(key, key, &ProxyOptions::default()))
        .expect("it is open");
    bench.settle();
    assert!(bench.with(|cx| cx.io.unproxy(key)));
    told(&mut bench);
    far.say(b"x");
    far.talk(&mut bench);
    assert_eq!(told(&mut bench), [""; 0]);

    far.end();
    bench.settle();
    assert_eq!(told(&mut bench), ["on_cut", "on_eof", "on_close"]);

    seen.remove("on_cut");
    // Where `on_tls` is called from.
    seen.insert("on_handshake".to_owned());
    assert!(seen.into_iter().eq(callbacks()));
}

#[test]
fn lines_hand_on_every_callback() {
    check(Lines::new, b"unit\n", 0);
}

#[test]
fn units_behind_their_length_hand_on_every_callback() {
    check(
        |names| LengthPrefixed::new(names, Prefix::U32),
        b"\0\0\0\x04unit",
        4,
    );
}

#[test]
fn requests_hand_on_every_callback() {
    check(HeaderBody::new, b"Content-Length: 4\n\nunit", 0);
}
