//! Proxies that tell for whom a connection is, and from where they come.

use super::Network;
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
