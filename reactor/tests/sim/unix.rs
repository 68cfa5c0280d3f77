//! Unix sockets of a simulated host, and connecting from an address of one's choice.

use crate::actors::{LONG, PORT, Seen, bytes, echo_host, idle_host, no_losses};
use midge_reactor::sim::{self, HostId, Sim};
use midge_reactor::{
    Close, ConnectOptions, Context, Credentials, Handler, Input, ListenOptions, SocketOption,
};
use std::io::ErrorKind;
use std::net::SocketAddr;

type Cx<'a> = Context<'a, Seen>;

const PATH: &str = "/run/service";

/// Sends back what comes, and has no address.
struct Echo;

impl Handler<Seen> for Echo {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        assert_eq!((cx.peer_addr(), cx.local_addr()), (None, None));
        cx.state.opened += 1;
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        cx.send(input.take());
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, _: &Close) {
        cx.state.closed += 1;
    }
}

/// Sends all at once, ends, and keeps what comes back.
struct Caller(Vec<u8>);

impl Handler<Seen> for Caller {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        assert_eq!((cx.peer_addr(), cx.local_addr()), (None, None));
        cx.state.opened += 1;
        cx.send(&self.0);
        let key = cx.key();
        cx.io.shutdown_write(key);
    }

    fn on_input(&mut self, cx: &mut Cx<'_>, input: &mut Input<'_>) {
        let key = cx.key();
        cx.state.heard.entry(key).or_default().extend(input.take());
    }

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        match why {
            Close::ConnectFailed(_) | Close::ConnectTimeout => cx.state.refused += 1,
            _ => cx.state.closed += 1,
        }
        cx.state.why.push(why.to_string());
    }
}

/// A host with a service at [`PATH`].
fn host(sim: &mut Sim) -> HostId<Seen> {
    let listen = |cx: &mut Cx<'_>| cx.listen_unix(PATH, |_: &mut Cx<'_>| Echo).map(drop);
    sim.host("host", Seen::default(), listen)
}

#[test]
fn what_goes_through_a_unix_socket_comes_back_whole_whatever_the_pieces() {
    sim::check(0..200, |sim| {
        no_losses(sim);
        let host = host(sim);
        let sent = bytes(sim.seed(), 5_000);
        let caller = Caller(sent.clone());
        let key = sim.with(host, |cx| cx.connect_unix(PATH, caller));
        sim.eventually(LONG, |sim| sim.with(host, |cx| cx.state.closed == 2));
        let heard = sim.with(host, |cx| cx.state.heard.remove(&key));
        assert!(heard == Some(sent), "something was lost");
        assert_eq!(sim.connections(host), 0);
    });
}

#[test]
fn a_path_belongs_to_its_host() {
    let mut sim = Sim::new(1);
    host(&mut sim);
    let other = idle_host(&mut sim, "other");
    sim.with(other, |cx| cx.connect_unix(PATH, Caller(Vec::new())));
    sim.eventually(LONG, |sim| sim.with(other, |cx| cx.state.refused == 1));
    let why = sim.with(other, |cx| cx.state.why.remove(0));
    assert_eq!(why, format!("connect failed: {PATH}: entity not found"));
}

#[test]
fn a_path_stays_when_its_host_has_crashed_and_is_taken_over_on_request() {
    let mut sim = Sim::new(1);
    let host = host(&mut sim);
    let accept = |_: &mut Cx<'_>| Echo;
    let options = ListenOptions::default().unlink_stale(true);
    let live = sim.with(host, |cx| cx.listen_unix_with(PATH, &options, accept));
    assert_eq!(live.expect_err("it lives").kind(), ErrorKind::AddrInUse);
    sim.restart(host, Seen::default(), |cx| {
        let stale = cx.listen_unix(PATH, accept);
        assert_eq!(
            stale.expect_err("it stands there").kind(),
            ErrorKind::AddrInUse
        );
        cx.connect_unix(PATH, Caller(Vec::new()));
        Ok(())
    });
    sim.eventually(LONG, |sim| sim.with(host, |cx| cx.state.refused == 1));
    sim.with(host, |cx| {
        let told = format!("connect failed: {PATH}: connection refused");
        assert_eq!(cx.state.why, [told]);
        let taken = cx.listen_unix_with(PATH, &options, accept);
        taken.expect("nobody listens there any more");
        cx.connect_unix(PATH, Caller(b"again".to_vec()));
    });
    sim.eventually(LONG, |sim| sim.with(host, |cx| cx.state.closed == 2));
    let heard = sim.with(host, |cx| cx.state.heard.pop_first());
    assert_eq!(heard.map(|(_, heard)| heard), Some(b"again".to_vec()));
}

/// Tells from where it was called.
struct From;

impl Handler<Seen> for From {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        cx.set_option(SocketOption::NoDelay(false))
            .expect("it does nothing here");
        assert!(cx.take_error().is_none() && cx.as_fd().is_none());
        let local = cx.local_addr().expect("it is open");
        cx.state.why.push(local.to_string());
    }

    fn on_input(&mut self, _: &mut Cx<'_>, _: &mut Input<'_>) {}

    fn on_close(&mut self, cx: &mut Cx<'_>, why: &Close) {
        cx.state.why.push(why.to_string());
    }
}

#[test]
fn a_connect_comes_from_the_address_that_was_asked_for_if_it_is_the_hosts() {
    let mut sim = Sim::new(1);
    let server = echo_host(&mut sim, crate::actors::Manner::default());
    let client = idle_host(&mut sim, "client");
    let to = sim.addr(server, PORT);
    for (from, told) in [
        (sim.addr(client, 1234), "10.0.0.2:1234"),
        (
            sim.addr(server, 1234),
            "connect failed: 10.0.0.1:7 from 10.0.0.1:1234: address not available",
        ),
    ] {
        let options = ConnectOptions::default().local_addr(from);
        sim.with(client, |cx| cx.connect_with(to, &options, From));
        sim.eventually(LONG, |sim| sim.with(client, |cx| !cx.state.why.is_empty()));
        let why = sim.with(client, |cx| std::mem::take(&mut cx.state.why));
        assert_eq!(why, [told]);
    }
}

#[test]
fn what_only_the_system_has_is_an_error_here() {
    let mut sim = Sim::new(1);
    let host = idle_host(&mut sim, "host");
    let (input, _output) = std::io::pipe().expect("descriptors are free");
    sim.with(host, |cx| {
        let adopted = cx.adopt(input, Echo);
        assert_eq!(
            adopted.expect_err("it is foreign").kind(),
            ErrorKind::Unsupported
        );
        let spawned = cx.spawn(&mut std::process::Command::new("true"), Echo);
        assert_eq!(
            spawned.expect_err("there are none").kind(),
            ErrorKind::Unsupported
        );
        let addr = SocketAddr::from(([10, 0, 0, 9], 1));
        let key = cx.connect(addr, Echo);
        assert_eq!(
            cx.io.detach(key).expect_err("it is none").kind(),
            ErrorKind::Unsupported
        );
        assert!(cx.io.is_open(key), "it is as it was");
        assert_eq!(cx.io.connections(), 1);
    });
}

#[test]
fn a_unix_socket_tells_who_is_at_its_far_end_and_tcp_does_not() {
    /// Writes down who is there.
    struct Asked;

    impl Handler<Vec<Option<Credentials>>> for Asked {
        fn on_open(&mut self, cx: &mut Context<'_, Vec<Option<Credentials>>>) {
            let there = cx.peer_credentials();
            cx.state.push(there);
        }

        fn on_input(&mut self, _: &mut Context<'_, Vec<Option<Credentials>>>, _: &mut Input<'_>) {}
    }

    let mut sim = Sim::new(1);
    let host = sim.host("host", Vec::new(), |cx| {
        let accept = |_: &mut Context<'_, Vec<Option<Credentials>>>| Asked;
        cx.listen(("127.0.0.1", PORT), accept)?;
        cx.listen_unix(PATH, accept).map(drop)
    });
    let ann = Credentials {
        pid: None,
        uid: 7,
        gid: 8,
    };
    sim.set_credentials(host, ann);
    sim.with(host, |cx| cx.connect_unix(PATH, Asked));
    let both = |sim: &mut Sim, count| sim.with(host, |cx| cx.state.len() == count);
    sim.eventually(LONG, |sim| both(sim, 2));
    sim.with(host, |cx| {
        cx.connect(([127, 0, 0, 1], PORT).into(), Asked);
    });
    sim.eventually(LONG, |sim| both(sim, 4));
    let told = sim.with(host, |cx| std::mem::take(cx.state));
    assert_eq!(told, [Some(ann), Some(ann), None, None]);
}
