//! Accepts client sockets. When files run out, those that come wait until there are some again.

use crate::client::Client;
use crate::door::Door;
use crate::link::log_accept_error;
use crate::state::State;
use midge_reactor::{Accept, Context, Handler, ListenOptions, ListenerAddr, SocketOption};
use std::net::IpAddr;
use std::{fs, io};

/// What takes the place of a congestion control that paces. Every Linux has it.
const UNPACED: &str = "reno";

/// The listener for clients.
///
/// On loopback nothing is congested: there the system's congestion control is replaced if it is BBR,
/// which paces what is sent and so costs half of the throughput.
#[derive(Debug)]
pub(crate) struct Clients {
    /// Whether it is to be replaced for those that come over loopback.
    paced: bool,
    /// Where they come in.
    door: Door,
}

impl Clients {
    /// The listener on `host`, and how it is to listen: it accepts a number of them in a turn.
    pub(crate) fn of(host: &str, accepts_max: usize, door: Door) -> (ListenOptions, Clients) {
        let default = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control");
        let paced = default.is_ok_and(|name| name.starts_with("bbr"));
        // Best from the first packet on; where others may come too, one by one.
        let options = ListenOptions::default().both_families(true);
        let options = options.accepts_max(accepts_max);
        if paced && is_loopback(host) {
            let options = options.congestion_control(UNPACED);
            let paced = false;
            return (options, Clients { paced, door });
        }
        (options, Clients { paced, door })
    }
}

/// Whether this is an address that only this machine reaches. What a name stands for is found out
/// when it is listened on.
fn is_loopback(host: &str) -> bool {
    host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

impl Accept<State> for Clients {
    fn accept(&mut self, cx: &mut Context<'_, State>) -> Box<dyn Handler<State>> {
        let is_local = || cx.peer_addr().is_some_and(|peer| peer.ip().is_loopback());
        if self.paced && is_local() {
            // If it fails, messages go all the same.
            let _ = cx.set_option(SocketOption::CongestionControl(UNPACED));
        }
        Box::new(Client::accept(cx, self.door))
    }

    fn on_error(&mut self, _: &mut Context<'_, State>, listener: &ListenerAddr, error: &io::Error) {
        log_accept_error(listener, error);
    }
}
