//! `Network`: addresses that begin alike, as settings name them. What a network is comes from the crate ipnet; that one
//! of IPv4 may be written as IPv6, or be a single address, is added here.

use ipnet::{IpNet, Ipv4Net};
use std::fmt;
use std::net::IpAddr;

/// Bits in front of an address of IPv4 that is written as one of IPv6.
const MAPPED_BITS: u8 = 96;

/// A network, by an address of it and the number of bits that all its addresses begin with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network(IpNet);

impl Network {
    /// Reads `10.0.0.0/8`, or `10.1.2.3` for a single address; of IPv6 likewise.
    pub fn parse(text: &str) -> Option<Network> {
        let alone = || text.trim().parse::<IpAddr>().ok().map(IpNet::from);
        let network: IpNet = text.trim().parse().ok().or_else(alone)?;
        // Clients of IPv4 are looked for as such.
        let mapped = match (network.addr().to_canonical(), network.addr()) {
            (IpAddr::V4(ip), IpAddr::V6(_)) => {
                let bits = network.prefix_len().checked_sub(MAPPED_BITS);
                bits.and_then(|bits| Ipv4Net::new(ip, bits).ok())
            }
            _ => None,
        };
        Some(Network(mapped.map_or(network, IpNet::from)))
    }

    /// Whether this address is of it. One of IPv4 is one, also where it stands in one of IPv6.
    pub fn has(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip.to_canonical())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_as_it_does() {
        for (network, ip, has) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.2", false),
            ("10.1.2.3/31", "10.1.2.2", true),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "fe80::1", true),
            ("::1", "::1", true),
            ("::ffff:10.0.0.0/104", "10.9.9.9", true),
            ("::ffff:10.0.0.0/104", "11.0.0.1", false),
        ] {
            let of = Network::parse(network).expect("a network");
            let ip = ip.parse().expect("an address");
            assert_eq!(of.has(ip), has, "{ip} of {network}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::1/129", "ten", "10.0.0.0/"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
