//! Proxies that tell for whom a connection is, and from where they come.

use std::fmt;
use std::net::IpAddr;

/// Which proxies are believed when they tell for whom a connection is, by the PROXY protocol (`proxy_protocol`).
///
/// ```
/// let trusted = vec![midge::Network::parse("10.0.0.0/8").expect("it is one")];
/// let proxy_protocol = Some(midge::ProxyProtocol { trusted, ..midge::ProxyProtocol::default() });
/// let config = midge::Config { proxy_protocol, ..midge::Config::default() };
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProxyProtocol {
    /// From where proxies come. What comes from there must begin with a header of version 1 or 2.
    pub trusted: Vec<Network>,
    /// Whether others may come too, without a header (`others: direct`). Default false: they are refused.
    pub others_may_come: bool,
}

impl ProxyProtocol {
    /// Whether what comes from this address must begin with a header, which is believed.
    pub(crate) fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.has(ip))
    }
}

/// A network, by an address of it and the number of bits that all its addresses begin with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    ip: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, or `10.1.2.3` for a single address; of IPv6 likewise.
    pub fn parse(text: &str) -> Option<Network> {
        let (ip, bits) = match text.split_once('/') {
            Some((ip, bits)) => (ip, Some(bits)),
            None => (text, None),
        };
        let ip: IpAddr = ip.trim().parse().ok()?;
        let max = if ip.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.trim().parse().ok().filter(|bits| *bits <= max)?,
            None => max,
        };
        // Clients of IPv4 are looked for as such.
        Some(match ip.to_canonical() {
            canonical if bits >= 96 && canonical.is_ipv4() && ip.is_ipv6() => Network {
                ip: canonical,
                bits: bits - 96,
            },
            _ => Network { ip, bits },
        })
    }

    /// Whether this address is of it. One of IPv4 is one, also where it stands in one of IPv6.
    pub fn has(&self, ip: IpAddr) -> bool {
        match (self.ip, ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let differs = u64::from(own.to_bits() ^ ip.to_bits());
                differs >> (32 - u32::from(self.bits)) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let differs = own.to_bits() ^ ip.to_bits();
                self.bits == 0 || differs >> (128 - u32::from(self.bits)) == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.bits)
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
