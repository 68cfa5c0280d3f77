//! What the tests of these files begin with.

use crate::core::receiver::Label;
use crate::door::{Door, Peer};
use midge_reactor::Time;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(super) const PEER: Peer = Peer::Internet(ADDR);

const ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

pub(super) const LABEL: Label = Label {
    peer: PEER,
    cid: 1,
    door: Door::Main,
};

/// So many seconds after the start.
pub(super) const fn at(seconds: u64) -> Time {
    Time::from_nanos(seconds * 1_000_000_000)
}
