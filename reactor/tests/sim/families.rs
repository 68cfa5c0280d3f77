//! Addresses of both families, and names with several addresses.

use crate::actors::{Caller, Cx, Echo, LONG, Manner, PORT, Seen, idle_host};
use midge_reactor::sim::{HostId, Sim};
use midge_reactor::{Context, Endpoint, Handler, Input, Key, ListenOptions};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

/// Tells each peer its address, as the listener's side knows it.
struct Teller;

impl Handler<Seen> for Teller {
    fn on_open(&mut self, cx: &mut Context<'_, Seen>) {
        let peer = cx.peer_addr().expect("it was accepted");
        cx.send(peer.ip().to_string().as_bytes());
        cx.close_after_write();
    }

    fn on_input(&mut self, _: &mut Context<'_, Seen>, _: &mut Input<'_>) {}
}

fn both() -> ListenOptions {
    ListenOptions::default().both_families(true)
}

fn tell(
    sim: &mut Sim,
    host: HostId<Seen>,
    addr: impl Endpoint,
    options: &ListenOptions,
) -> io::Result<Key> {
    sim.with(host, |cx| {
        cx.listen_with(addr, options, |_: &mut Cx<'_>| Teller)
    })
}

/// What a client on `host` hears at `addr`; nothing if it is refused.
fn heard(sim: &mut Sim, host: HostId<Seen>, addr: &str) -> String {
    let addr: SocketAddr = addr.parse().expect("an address");
    let before = sim.with(host, |cx| cx.state.closed + cx.state.refused);
    let key = sim.with(host, |cx| cx.connect(addr, Caller::new(vec![], true)));
    sim.eventually(LONG, |sim| {
        sim.with(host, |cx| cx.state.closed + cx.state.refused > before)
    });
    let bytes = sim.with(host, |cx| cx.state.heard.remove(&key));
    String::from_utf8(bytes.unwrap_or_default()).expect("text")
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    let parsed = texts.iter().map(|text| text.parse().expect("an address"));
    parsed.collect()
}

#[test]
fn an_unspecified_address_of_both_families_takes_both_and_tells_each_as_it_is() {
    for addr in ["0.0.0.0:7", "[::]:7"] {
        let mut sim = Sim::new(1);
        let server = idle_host(&mut sim, "server");
        let client = idle_host(&mut sim, "client");
        tell(&mut sim, server, addr, &both()).expect("the port is free");
        assert_eq!(heard(&mut sim, client, "10.0.0.1:7"), "10.0.0.2", "{addr}");
        assert_eq!(heard(&mut sim, client, "[fd00::1]:7"), "fd00::2", "{addr}");
        assert_eq!(
            heard(&mut sim, server, "127.0.0.1:7"),
            "127.0.0.1",
            "{addr}"
        );
        assert_eq!(heard(&mut sim, server, "[::1]:7"), "::1", "{addr}");
        let taken = tell(&mut sim, server, "127.0.0.1:7", &both());
        assert_eq!(taken.expect_err("it is").kind(), ErrorKind::AddrInUse);
    }
}

#[test]
fn both_unspecified_addresses_at_once_are_one_listener_of_both_families() {
    let orders = [["0.0.0.0", "[::]"], ["[::]", "0.0.0.0"]];
    for (order, (port, has_v6)) in
        orders
            .iter()
            .cycle()
            .zip([(7, true), (0, true), (7, false), (0, false)])
    {
        let mut sim = Sim::new(1);
        sim.set_ipv6(has_v6);
        let server = idle_host(&mut sim, "server");
        let client = idle_host(&mut sim, "client");
        let addrs = order.map(|ip| format!("{ip}:{port}").parse::<SocketAddr>());
        let addrs = addrs.map(|addr| addr.expect("an address"));
        let listener = tell(&mut sim, server, addrs, &both()).expect("the port is free");
        let bound = sim.with(server, |cx| cx.listening_on(listener));
        let port = bound.expect("it listens").port();
        let v4 = heard(&mut sim, client, &format!("10.0.0.1:{port}"));
        assert_eq!(v4, "10.0.0.2", "{order:?}");
        let v6 = if has_v6 { "fd00::2" } else { "" };
        assert_eq!(heard(&mut sim, client, &format!("[fd00::1]:{port}")), v6);
    }
}

#[test]
fn where_there_is_no_ipv6_the_other_family_is_taken_alone() {
    for addr in ["0.0.0.0:0", "[::]:0"] {
        let mut sim = Sim::new(1);
        sim.set_ipv6(false);
        let server = idle_host(&mut sim, "server");
        let listener = tell(&mut sim, server, addr, &both()).expect("there is a port");
        let bound = sim.with(server, |cx| cx.listening_on_all(listener).to_vec());
        let port = bound[0].port();
        assert_eq!(bound, [SocketAddr::from(([0, 0, 0, 0], port))]);
        let here = format!("127.0.0.1:{port}");
        assert_eq!(heard(&mut sim, server, &here), "127.0.0.1");
    }
}

#[test]
fn without_being_asked_an_address_of_ipv4_is_of_ipv4_alone() {
    let mut sim = Sim::new(1);
    let server = idle_host(&mut sim, "server");
    let options = ListenOptions::default();
    tell(&mut sim, server, "0.0.0.0:7", &options).expect("the port is free");
    assert_eq!(heard(&mut sim, server, "[::1]:7"), "");
    assert_eq!(heard(&mut sim, server, "127.0.0.1:7"), "127.0.0.1");
    tell(&mut sim, server, "[::]:7", &options.only_v6(true)).expect("the other family is free");
    assert_eq!(heard(&mut sim, server, "[::1]:7"), "::1");
}

#[test]
fn a_name_is_listened_on_at_each_of_its_addresses_with_one_port() {
    let mut sim = Sim::new(1);
    sim.name("localhost", &ips(&["127.0.0.1", "::1", "127.0.0.1"]));
    let server = idle_host(&mut sim, "server");
    // The first port that is picked is taken in the other family.
    tell(&mut sim, server, "[::1]:49152", &both()).expect("the port is free");
    let listener = tell(&mut sim, server, ("localhost", 0), &both()).expect("there is a port");
    let bound = sim.with(server, |cx| cx.listening_on_all(listener).to_vec());
    let port = bound[0].port();
    let wanted = [format!("127.0.0.1:{port}"), format!("[::1]:{port}")];
    assert_eq!(
        bound.iter().map(SocketAddr::to_string).collect::<Vec<_>>(),
        wanted
    );
    assert_eq!(heard(&mut sim, server, &wanted[0]), "127.0.0.1");
    assert_eq!(heard(&mut sim, server, &wanted[1]), "::1");
    assert_eq!(heard(&mut sim, server, &format!("10.0.0.1:{port}")), "");
    // It is one listener.
    sim.with(server, |cx| assert!(cx.io.close(listener)));
    sim.run_for(std::time::Duration::from_secs(1));
    for addr in wanted {
        assert_eq!(heard(&mut sim, server, &addr), "");
        tell(&mut sim, server, &*addr, &both()).expect("it is free again");
    }
}

#[test]
fn what_a_name_has_and_the_machine_has_not_is_left_out_and_a_port_in_use_is_an_error() {
    let mut sim = Sim::new(1);
    sim.name("here", &ips(&["fd00::99", "::1", "10.0.0.1"]));
    sim.name("elsewhere", &ips(&["10.9.9.9", "fd00::99"]));
    let server = idle_host(&mut sim, "server");
    let listener = tell(&mut sim, server, "here:7", &both()).expect("two of them are here");
    let bound = sim.with(server, |cx| cx.listening_on_all(listener).to_vec());
    assert_eq!(bound.len(), 2, "{bound:?}");
    let error = tell(&mut sim, server, "elsewhere:7", &both()).expect_err("it is not here");
    let text = error.to_string();
    assert!(
        text.starts_with("listen on elsewhere:7 ([fd00::99]:7): "),
        "{text}"
    );
    sim.name("half", &ips(&["127.0.0.1", "::1"]));
    let error = tell(&mut sim, server, "half:7", &both()).expect_err("half of it is taken");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(
        error
            .to_string()
            .starts_with("listen on half:7 ([::1]:7): "),
        "{error}"
    );
    assert_eq!(
        heard(&mut sim, server, "127.0.0.1:7"),
        "",
        "nothing is left behind"
    );
}

#[test]
fn what_was_asked_is_in_every_error_of_listening_and_connecting() {
    let mut sim = Sim::new(1);
    let host = idle_host(&mut sim, "host");
    let echo = |_: &mut Cx<'_>| Echo::new(Manner::default());
    sim.with(host, |cx| {
        for (asked, told) in [
            ("256.1.1.1:80", "256.1.1.1:80: nobody knows"),
            ("nowhere:80", "nowhere:80: nobody knows"),
            ("nowhere", "nowhere: no port"),
            (":80", ":80: no name"),
            ("::1:80", "::1:80: an IPv6 address stands in brackets"),
            ("10.9.9.9:80", "10.9.9.9:80: "),
        ] {
            let error = cx
                .listen(asked, echo)
                .expect_err("it cannot be")
                .to_string();
            assert!(error.starts_with(&format!("listen on {told}")), "{error}");
            struct Deaf;
            impl midge_reactor::Datagram<Seen> for Deaf {
                fn on_packet(&mut self, _: &mut Cx<'_>, _: SocketAddr, _: &[u8]) {}
            }
            let error = cx.udp(asked, Deaf).expect_err("it cannot be").to_string();
            assert!(error.starts_with(&format!("udp on {told}")), "{error}");
        }
        let error = cx.listen(("256.1.1.1", 80), echo).expect_err("no address");
        assert!(error.to_string().starts_with("listen on 256.1.1.1:80: "));
        cx.connect_unix("/no/where", Caller::new(vec![], true));
        cx.connect(
            SocketAddr::from(([10, 0, 0, 1], PORT)),
            Caller::new(vec![], true),
        );
    });
    sim.eventually(LONG, |sim| sim.with(host, |cx| cx.state.refused == 2));
    sim.with(host, |cx| {
        let [unix, refused] = &cx.state.why[..] else {
            panic!("{:?}", cx.state.why)
        };
        assert!(unix.starts_with("connect failed: /no/where: "), "{unix}");
        assert!(
            refused.starts_with("connect failed: 10.0.0.1:7: "),
            "{refused}"
        );
    });
}
