//! Where an op broke the protocol, as far as a log may show it.

use std::fmt;

use crate::encode::Sink;
use crate::quote;
use crate::violation::Pieces;

/// Most bytes that are shown of what is no op.
const NAME_BYTES_MAX: usize = 16;

/// Most bytes that are shown of what a peer calls an error.
const TOLD_BYTES_MAX: usize = 128;

/// What the parser stopped at: [`Parser::fault`](crate::Parser::fault).
///
/// `Display` is for a log. It is bounded, printable, and shows nothing of the arguments of an op, of a
/// `CONNECT` with a slip in it, or of a payload that is where it should be. A payload that is longer than
/// was announced looks like an op behind its CR LF: its first word is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault<'a> {
    /// No op has this name: the bytes that stand in its place. Shown up to the first blank, or to a sign
    /// that a value may stand behind; of HTTP up to the query.
    Name(&'a [u8]),
    /// The arguments of this op.
    Arguments {
        /// Its name.
        name: &'static str,
        /// Bytes of header and payload, where that many are announced.
        announced: Option<usize>,
    },
    /// No CR LF stands behind a payload.
    PayloadEnd,
    /// The peer has said `-ERR`, with this text.
    Told(&'a [u8]),
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Pieces::new(f);
        match *self {
            Fault::Name(bytes) => {
                out.put(b"proto='");
                quote::put(&mut out, shown(bytes));
                out.put(b"...'");
            }
            Fault::Arguments { name, .. } => {
                out.put(b"in the arguments of ");
                out.put(name.as_bytes());
            }
            Fault::PayloadEnd => out.put(b"where a payload must end in CR LF"),
            Fault::Told(text) => {
                quote::put_bare(&mut out, &text[..text.len().min(TOLD_BYTES_MAX)]);
            }
        }
        out.end()
    }
}

/// The beginning of `bytes` in which no secret stands, wherever a credential is usually written: behind a
/// word (`AUTH x`), in an object (`{"pass":"x"}`), or behind a name (`token=x`, `Authorization: x`).
fn shown(bytes: &[u8]) -> &[u8] {
    let start = &bytes[..bytes.len().min(NAME_BYTES_MAX)];
    let is_http = [
        b"GET ".as_slice(),
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"PRI ",
        b"OPTIONS ",
    ]
    .iter()
    .any(|method| start.starts_with(method));
    let ends_it = |byte: &u8| match byte {
        b'\r' | b'\n' | b'{' | b'"' | b'=' | b'?' | b'@' | b':' => true,
        b' ' | b'\t' => !is_http,
        _ => false,
    };
    let end = start.iter().position(ends_it).unwrap_or(start.len());
    &start[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parser, Rules};

    /// What a log shows of the first op in `input` that is none.
    #[track_caller]
    fn check(input: &[u8], expected: &str) {
        let (mut parser, mut rest) = (Parser::default(), input);
        let rules = Rules {
            headers: true,
            ..Rules::default()
        };
        loop {
            match parser.next(rest, &rules) {
                Ok(crate::Step::Op { len, .. } | crate::Step::Skip { len }) => rest = &rest[len..],
                Ok(crate::Step::Warning(_)) => {}
                Ok(crate::Step::Partial { .. }) => panic!("nothing is wrong with {input:?}"),
                Err(_) => break,
            }
        }
        assert_eq!(parser.fault(rest).to_string(), expected);
    }

    #[test]
    fn who_knocks_is_seen_from_the_first_bytes() {
        check(b"FOO bar\r\n", "proto='\"FOO\"...'");
        check(b"PING\r\nFOO\r\n", "proto='\"FOO\"...'");
        check(
            b"GET / HTTP/1.1\r\nHost: x\r\n",
            "proto='\"GET / HTTP/1.1\"...'",
        );
        check(
            b"POST /a/long/path HTTP/1.1\r\n",
            "proto='\"POST /a/long/pat\"...'",
        );
        check(
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            "proto='\"SSH-2.0-OpenSSH_\"...'",
        );
        check(
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\xe1\xe2\xe3\xe4\xe5\xe6",
            r#"proto='"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\xe1\xe2\xe3\xe4\xe5"...'"#,
        );
        check(b"PUBX\r\n", "proto='\"PUBX\"...'");
        check(b"\r\n", "proto='\"\"...'");
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        check(br#"CONNEKT {"pass":"s3cret"}"#, "proto='\"CONNEKT\"...'");
        check(br#"CONECT {"pass":"s3cret"}"#, "proto='\"CONECT\"...'");
        check(br#"connec{"pass":"s3cret"}"#, "proto='\"connec\"...'");
        check(b"CONECT\ts3cret", "proto='\"CONECT\"...'");
        check(br#"{"pass":"s3cret"}"#, "proto='\"\"...'");
        check(b"AUTH s3cret\r\n", "proto='\"AUTH\"...'");
        check(b"Authorization: s3cret\r\n", "proto='\"Authorization\"...'");
        check(b"auth_token=s3cret\r\n", "proto='\"auth_token\"...'");
        check(b"GET /?k=s3cret HTTP/1.1\r\n", "proto='\"GET /\"...'");
        check(
            b"GET http://u:s3c@h/ HTTP/1.1\r\n",
            "proto='\"GET http\"...'",
        );
        let connect = "in the arguments of CONNECT";
        check(b"CONNECT {\"pass\":\"s3cret\",\r\nX", "proto='\"X\"...'");
        check(
            &[b"CONNECT ", b"s".repeat(5000).as_slice()].concat(),
            connect,
        );
        check(b"INFO s3cret\r\n", "in the arguments of INFO");
        check(
            b"PUB a 2\r\ns3cret\r\n",
            "where a payload must end in CR LF",
        );
    }

    #[test]
    fn arguments_are_told_by_their_op() {
        for (input, name) in [
            ("PUB a b\r\n", "PUB"),
            ("hpub a 9 2\r\n", "HPUB"),
            ("SUB a\r\n", "SUB"),
            ("UNSUB 1 2 3\r\n", "UNSUB"),
        ] {
            check(input.as_bytes(), &format!("in the arguments of {name}"));
        }
    }

    #[test]
    fn an_error_that_the_peer_tells_is_shown_escaped_and_cut() {
        check(b"-ERR 'foo'\r\n", "'foo'");
        check(b"-ERR a\x1b[2Jb\r\n", r"a\x1b[2Jb");
        let long = [b"-ERR ", b"x".repeat(4000).as_slice(), b"\r\n"].concat();
        check(&long, &"x".repeat(TOLD_BYTES_MAX));
    }

    #[test]
    fn a_payload_that_is_too_large_is_told_with_its_size() {
        let rules = Rules::default();
        for (input, announced) in [
            ("PUB a 2000000\r\n", Some(2_000_000)),
            ("PUB a b 999999999\r\n", Some(999_999_999)),
            ("PUB a x\r\n", None),
        ] {
            let mut parser = Parser::default();
            parser.next(input.as_bytes(), &rules).expect_err(input);
            let name = "PUB";
            let fault = Fault::Arguments { name, announced };
            assert_eq!(parser.fault(input.as_bytes()), fault);
        }
    }
}
