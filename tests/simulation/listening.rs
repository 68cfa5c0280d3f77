//! A broker on a name with several addresses, and on a machine with one family.

use super::PORT;
use midge::{Broker, Config, Monitor, State};
use midge_reactor::sim::{HostId, Sim};
use midge_reactor::{Context, Handler, Input};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Keeps what it hears.
struct Ear;

impl Handler<String> for Ear {
    fn on_input(&mut self, cx: &mut Context<'_, String>, input: &mut Input<'_>) {
        cx.state.push_str(&String::from_utf8_lossy(input.take()));
    }
}

/// Says a line first.
struct Asker;

impl Handler<String> for Asker {
    fn on_open(&mut self, cx: &mut Context<'_, String>) {
        cx.send(b"GET /healthz HTTP/1.0\r\n\r\n");
    }

    fn on_input(&mut self, cx: &mut Context<'_, String>, input: &mut Input<'_>) {
        cx.state.push_str(&String::from_utf8_lossy(input.take()));
    }
}

fn broker(sim: &mut Sim, host: &str) -> HostId<State> {
    let config = Config {
        host: host.to_owned(),
        port: PORT,
        monitor: Some(Monitor {
            port: 8222,
            ..Monitor::default()
        }),
        lame_duck_grace_period: Duration::from_secs(100),
        ..Config::default()
    };
    let state = State::new(config).expect("the settings make sense");
    sim.host("broker", state, |cx| {
        Broker::listen(cx).map(drop).map_err(std::io::Error::other)
    })
}

/// What a client, and one who asks for health, hears at `ip`.
fn heard(sim: &mut Sim, client: HostId<String>, ip: IpAddr) -> (String, String) {
    let second = Duration::from_secs(1);
    let hear = |sim: &mut Sim| {
        sim.run_for(second);
        sim.with(client, |cx| std::mem::take(cx.state))
    };
    sim.with(client, |cx| cx.connect(SocketAddr::new(ip, PORT), Ear));
    let info = hear(sim);
    sim.with(client, |cx| cx.connect(SocketAddr::new(ip, 8222), Asker));
    (info, hear(sim))
}

#[test]
fn a_name_is_served_at_each_address_that_it_has_here_until_lame_duck_mode() {
    let mut sim = Sim::new(1);
    let ips = ["10.0.0.1", "fd00::1", "fd00::99"].map(|ip| ip.parse::<IpAddr>().expect("one"));
    sim.name("nats.example", &ips);
    let broker = broker(&mut sim, "nats.example");
    let client = sim.host("client", String::new(), |_| Ok(()));
    for (ip, own) in [(ips[0], "10.0.0.2"), (ips[1], "fd00::2")] {
        let (info, health) = heard(&mut sim, client, ip);
        assert!(info.contains(&format!("\"client_ip\":\"{own}\"")), "{info}");
        assert!(info.contains("\"host\":\"nats.example\""), "{info}");
        assert!(health.contains("200 OK"), "{health}");
    }
    sim.with(broker, Broker::lame_duck);
    for ip in &ips[..2] {
        let (info, health) = heard(&mut sim, client, *ip);
        assert!(!info.contains("client_ip"), "{info}");
        assert!(
            health.starts_with("HTTP/1."),
            "monitoring goes on: {health}"
        );
    }
}

#[test]
fn without_ipv6_the_default_is_ipv4() {
    for host in ["0.0.0.0", "", "::"] {
        for (on, ip) in [(false, "10.0.0.1"), (true, "10.0.0.1"), (true, "fd00::1")] {
            let mut sim = Sim::new(1);
            sim.set_ipv6(on);
            broker(&mut sim, host);
            let client = sim.host("client", String::new(), |_| Ok(()));
            let (info, health) = heard(&mut sim, client, ip.parse().expect("one"));
            assert!(info.starts_with("INFO "), "{host} at {ip}: {info}");
            assert!(health.contains("200 OK"), "{host} at {ip}: {health}");
        }
    }
}
