//! Where a page comes from that opens a connection: the field `Origin`, which a browser sets and a page cannot change.

use midge_text::host_port;

/// A scheme, a host and a port, as `https://example.org:8443`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Origin {
    is_https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Reads an origin; `None` if it is none, as `null` is.
    pub(crate) fn parse(text: &str) -> Option<Origin> {
        let (scheme, rest) = text.split_once("://")?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        Origin::of_authority(is_https, authority)
    }

    /// That of a server which is asked as `host` or `host:port`.
    pub(crate) fn of_authority(is_https: bool, authority: &str) -> Option<Origin> {
        let (host, port) = match host_port::split(authority)? {
            (host, Some(port)) => (host, port.parse().ok()?),
            (host, None) if is_https => (host, 443),
            (host, None) => (host, 80),
        };
        (!host.is_empty()).then(|| Origin {
            is_https,
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// Whether it is the same host and port, whatever the scheme.
    pub(crate) fn is_same_place(&self, other: &Origin) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_the_port_of_its_scheme_unless_it_says_another() {
        let parse = |text| Origin::parse(text).map(|one| (one.is_https, one.host, one.port));
        let origin = |is_https, host: &str, port| Some((is_https, host.to_owned(), port));
        assert_eq!(
            parse("http://Example.org"),
            origin(false, "example.org", 80)
        );
        assert_eq!(
            parse("https://example.org/"),
            origin(true, "example.org", 443)
        );
        assert_eq!(parse("https://[::1]:8443"), origin(true, "::1", 8443));
        for text in [
            "null",
            "",
            "example.org",
            "ftp://a",
            "http://",
            "http://a:b",
            "http://:80",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
