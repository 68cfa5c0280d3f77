//! The header of the PROXY protocol, by which a proxy tells for whom a connection is. It stands before all else, TLS
//! included. Versions 1 and 2.
//!
//! ```text
//! version 1    PROXY TCP4 192.0.2.7 198.51.100.1 51324 4222 CR LF        at most 107 bytes
//!              PROXY UNKNOWN ... CR LF
//!
//! version 2    0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A    2 and the command    family    length (2 bytes)
//!              source, destination, their ports    what else the proxy tells, which is skipped
//! ```
//!
//! Nothing is kept between two calls: the header is parsed from its beginning each time, which costs no more than its
//! length. Source: the specification of `HAProxy`, `proxy-protocol.txt`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header of version 1, with its CR LF.
pub const V1_BYTES_MAX: usize = 107;

/// Longest header of version 2 that is taken. The addresses take 52 bytes; the rest is for what else proxies tell.
pub const V2_BYTES_MAX: usize = 2048;

const V1: &[u8] = b"PROXY ";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The bytes of version 2 before the addresses.
const V2_HEAD_BYTES: usize = 16;

/// For whom a connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Header {
    /// For the proxy itself, as when it looks whether the server is there; or for one whose address it does not know.
    Local,
    /// For the client at this address.
    Client(SocketAddr),
}

/// Why what comes is no header. The connection can only be closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// It begins otherwise.
    Missing,
    /// It is longer than may be.
    TooLong,
    /// It begins as one and does not go on so.
    Malformed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Missing => "no PROXY protocol header",
            Fault::TooLong => "PROXY protocol header too long",
            Fault::Malformed => "malformed PROXY protocol header",
        })
    }
}

impl std::error::Error for Fault {}

/// Reads the header that `input` begins with; answers it and how many bytes it has. `None`: its end has not come yet.
///
/// # Errors
/// As soon as the bytes cannot become a header.
pub fn header(input: &[u8]) -> Result<Option<(Header, usize)>, Fault> {
    if begins(input, V1) {
        v1(input)
    } else if begins(input, V2) {
        v2(input)
    } else {
        Err(Fault::Missing)
    }
}

/// Whether one is the beginning of the other.
fn begins(input: &[u8], signature: &[u8]) -> bool {
    input.iter().zip(signature).all(|(one, other)| one == other)
}

fn v1(input: &[u8]) -> Result<Option<(Header, usize)>, Fault> {
    let first = &input[..input.len().min(V1_BYTES_MAX)];
    let Some(end) = memchr::memchr(b'\n', first) else {
        return match first.len() {
            V1_BYTES_MAX => Err(Fault::TooLong),
            _ => Ok(None),
        };
    };
    let line = first[..end].strip_suffix(b"\r").ok_or(Fault::Malformed)?;
    let line = str::from_utf8(line).map_err(|_| Fault::Malformed)?;
    let mut words = line.split(' ').skip(1);
    let mut word = || words.next().ok_or(Fault::Malformed);
    let is_v4 = match word()? {
        "UNKNOWN" => return Ok(Some((Header::Local, end + 1))),
        "TCP4" => true,
        "TCP6" => false,
        _ => return Err(Fault::Malformed),
    };
    let (source, destination) = (ip(word()?)?, ip(word()?)?);
    let (port, _) = (number(word()?)?, number(word()?)?);
    let is_whole = words.next().is_none();
    match source.is_ipv4() == is_v4 && destination.is_ipv4() == is_v4 && is_whole {
        true => Ok(Some((
            Header::Client(SocketAddr::new(source, port)),
            end + 1,
        ))),
        false => Err(Fault::Malformed),
    }
}

fn ip(word: &str) -> Result<IpAddr, Fault> {
    word.parse().map_err(|_| Fault::Malformed)
}

/// A port: digits alone, none of them a 0 that could be left out.
fn number(word: &str) -> Result<u16, Fault> {
    let is_digits = word.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = word == "0" || !word.starts_with('0');
    let port = word.parse().ok().filter(|_| is_digits && is_short);
    port.ok_or(Fault::Malformed)
}

fn v2(input: &[u8]) -> Result<Option<(Header, usize)>, Fault> {
    if input.len() < V2_HEAD_BYTES {
        return Ok(None);
    }
    let (head, rest) = input.split_at(V2_HEAD_BYTES);
    let is_local = match head[12] {
        0x20 => true,
        0x21 => false,
        _ => return Err(Fault::Malformed),
    };
    let len = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if V2_HEAD_BYTES + len > V2_BYTES_MAX {
        return Err(Fault::TooLong);
    }
    let Some(told) = rest.get(..len) else {
        return Ok(None);
    };
    let header = match (is_local, head[13]) {
        // Its own, whatever is told.
        (true, _) => Header::Local,
        // Of no family, and a Unix socket at the proxy: there is no address.
        (false, 0x00 | 0x31) => Header::Local,
        (false, 0x11) => client::<4>(told, |ip| Ipv4Addr::from(ip).into())?,
        (false, 0x21) => client::<16>(told, |ip| Ipv6Addr::from(ip).into())?,
        // Datagrams and what else there may be do not come over a stream.
        _ => return Err(Fault::Malformed),
    };
    Ok(Some((header, V2_HEAD_BYTES + len)))
}

/// Source and destination of `N` bytes each, and then their ports.
fn client<const N: usize>(told: &[u8], ip: fn([u8; N]) -> IpAddr) -> Result<Header, Fault> {
    let source = told.first_chunk::<N>();
    let ports = told.get(2 * N..).and_then(<[u8]>::first_chunk::<4>);
    let (Some(source), Some([high, low, ..])) = (source, ports) else {
        return Err(Fault::Malformed);
    };
    let port = u16::from_be_bytes([*high, *low]);
    Ok(Header::Client(SocketAddr::new(ip(*source), port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> Header {
        Header::Client(text.parse().expect("an address"))
    }

    /// A header of version 2.
    fn binary(command: u8, family: u8, told: &[u8]) -> Vec<u8> {
        let len = u16::try_from(told.len()).expect("short").to_be_bytes();
        [V2, &[command, family], &len, told].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0xc8, 0x7c, 0x10, 0x7e];

    fn good() -> Vec<(Vec<u8>, Header)> {
        let mut v6 = [0; 36];
        (v6[0], v6[15], v6[33]) = (0xfd, 9, 80);
        let with_more = [&V4[..], &[0x04, 0, 1, 0]].concat();
        vec![
            (
                b"PROXY TCP4 192.0.2.7 198.51.100.1 51324 4222\r\n".to_vec(),
                addr("192.0.2.7:51324"),
            ),
            (
                b"PROXY TCP6 fd00::9 ::1 80 0\r\n".to_vec(),
                addr("[fd00::9]:80"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Header::Local),
            (b"PROXY UNKNOWN any words 1\r\n".to_vec(), Header::Local),
            (binary(0x21, 0x11, &V4), addr("192.0.2.7:51324")),
            (binary(0x21, 0x11, &with_more), addr("192.0.2.7:51324")),
            (binary(0x21, 0x21, &v6), addr("[fd00::9]:80")),
            (binary(0x20, 0x11, &V4), Header::Local),
            (binary(0x20, 0x00, &[]), Header::Local),
            (binary(0x21, 0x00, b"tlv"), Header::Local),
            (binary(0x21, 0x31, &[0; 216]), Header::Local),
        ]
    }

    #[test]
    fn a_header_tells_the_client_and_ends_where_the_rest_begins() {
        for (bytes, told) in good() {
            let with_more = [&bytes[..], b"CONNECT {}\r\n"].concat();
            assert_eq!(header(&with_more), Ok(Some((told, bytes.len()))));
        }
    }

    #[test]
    fn a_header_that_is_not_whole_is_waited_for_byte_by_byte() {
        for (bytes, told) in good() {
            for end in 0..bytes.len() {
                assert_eq!(header(&bytes[..end]), Ok(None), "{told:?}, {end} bytes");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused_at_the_first_byte_that_shows_it() {
        let cases: [(&[u8], Fault); 14] = [
            (b"C", Fault::Missing),
            (b"PRX", Fault::Missing),
            (b"\x16\x03\x01", Fault::Missing),
            (b"\r\n\r\nGET", Fault::Missing),
            (b"PROXY \n", Fault::Malformed),
            (b"PROXY TCP4\r\n", Fault::Malformed),
            (b"PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n", Fault::Malformed),
            (b"PROXY TCP4 ::1 ::1 1 1\r\n", Fault::Malformed),
            (b"PROXY TCP6 1.2.3.4 ::1 1 1\r\n", Fault::Malformed),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n", Fault::Malformed),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", Fault::Malformed),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n", Fault::Malformed),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n", Fault::Malformed),
            (b"PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n", Fault::Malformed),
        ];
        for (bytes, fault) in cases {
            let text = bytes.escape_ascii();
            assert_eq!(header(bytes), Err(fault), "{text}");
        }
        for (command, family, told, fault) in [
            (0x11, 0x11, &V4[..], Fault::Malformed),
            (0x22, 0x11, &V4, Fault::Malformed),
            (0x21, 0x12, &V4, Fault::Malformed),
            (0x21, 0x41, &V4, Fault::Malformed),
            (0x21, 0x11, &V4[..11], Fault::Malformed),
            (0x21, 0x21, &V4, Fault::Malformed),
            (0x20, 0x00, &[0; V2_BYTES_MAX], Fault::TooLong),
        ] {
            let bytes = binary(command, family, told);
            assert_eq!(header(&bytes), Err(fault), "{command:x} {family:x}");
        }
        let long = [V1, &[b'x'; V1_BYTES_MAX]].concat();
        assert_eq!(header(&long), Err(Fault::TooLong));
        assert_eq!(header(&long[..V1_BYTES_MAX - 1]), Ok(None));
    }
}
