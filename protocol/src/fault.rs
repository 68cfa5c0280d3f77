//! Where an op broke the protocol, as far as a log may show it.

use std::fmt;

use crate::encode::Sink;
use crate::quote;
use crate::violation::Pieces;

/// Most bytes that are shown of what is no op.
const NAME_BYTES_MAX: usize = 16;

/// Most bytes that are shown of what a peer calls an error.
const TOLD_BYTES_MAX: usize = 128;

/// Words that begin an op, or the greeting of another protocol. What stands here is no secret.
const KNOWN: [&[u8]; 34] = [
    b"CONNECT",
    b"PUB",
    b"HPUB",
    b"SUB",
    b"UNSUB",
    b"PING",
    b"PONG",
    b"INFO",
    b"MSG",
    b"HMSG",
    b"+OK",
    b"-ERR",
    b"RS+",
    b"RS-",
    b"RMSG",
    b"LS+",
    b"LS-",
    b"LMSG",
    b"AMQP",
    b"AUTH",
    b"AUTHORIZATION",
    b"EHLO",
    b"EXIT",
    b"HELLO",
    b"HELO",
    b"HELP",
    b"LOGIN",
    b"PASS",
    b"PROXY TCP",
    b"QUIT",
    b"STARTTLS",
    b"STATS",
    b"USER",
    b"VERSION",
];

/// Requests of HTTP. Of a target that is more than this a token may be part.
const HTTP: [&[u8]; 9] = [
    b"GET /",
    b"HEAD /",
    b"POST /",
    b"PUT /",
    b"DELETE /",
    b"PATCH /",
    b"OPTIONS /",
    b"OPTIONS *",
    b"PRI *",
];

/// What may stand behind one of them.
const HTTP_VERSIONS: [&[u8]; 3] = [b" HTTP/1.1", b" HTTP/1.0", b" HTTP/2.0"];

/// What an SSH client begins with. The name of its program is behind it.
const SSH: [&[u8]; 3] = [b"SSH-2.0-", b"SSH-1.99-", b"SSH-1.5-"];

/// What begins in a binary protocol. Of all else that begins with a control byte nothing is shown: it may be
/// the rest of a payload.
const BINARY: [&[u8]; 9] = [
    // TLS by its version.
    b"\x16\x03\x00",
    b"\x16\x03\x01",
    b"\x16\x03\x02",
    b"\x16\x03\x03",
    // RDP, SOCKS, a PostgreSQL client that asks for TLS.
    b"\x03\x00\x00",
    b"\x05\x01\x00",
    b"\x05\x02\x00",
    b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
    // SMB.
    b"\x00\x00\x00\x85\xffSMB",
];

/// The names of MQTT in its `CONNECT`, behind a byte `\x10` and a length of one to four bytes.
const MQTT: [&[u8]; 2] = [b"\x00\x04MQTT", b"\x00\x06MQIsdp"];

/// Most letters of a word that is shown although it is unknown: so few that no secret is behind a
/// `CONNECT` with a slip in it.
const WORD_BYTES_MAX: usize = 7;

/// What the parser stopped at: [`Parser::fault`](crate::Parser::fault).
///
/// `Display` is for a log. It is bounded, printable, and shows nothing of the arguments of an op or of what
/// stands for one: a secret may be there, in whatever way a `CONNECT` is misspelt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault<'a> {
    /// No op has this name: the bytes that stand in its place. Shown as far as they tell who knocks and are
    /// no secret: of HTTP the method and the first byte of the path, the known beginning of a binary
    /// protocol, a short word of capitals, of what is unknown nothing.
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

/// The beginning of `bytes` that is known to be no secret:
///
/// * of HTTP the method and the `/` or `*` behind it, and the version where the path ends there;
/// * of SSH the version and the program;
/// * of a binary protocol its known beginning, and of other bytes nothing;
/// * a short word of capitals, if a blank or the end of its line is behind it;
/// * of all else only as much as a known word begins with.
///
/// So of a `CONNECT` with a slip in it no more is seen than its name, whatever stands behind that.
fn shown(bytes: &[u8]) -> &[u8] {
    let start = &bytes[..bytes.len().min(NAME_BYTES_MAX)];
    let until = |ends: fn(&u8) -> bool| {
        let end = start.iter().position(ends).unwrap_or(start.len());
        &start[..end]
    };
    if let Some(request) = HTTP.iter().find(|request| start.starts_with(request)) {
        let rest = &start[request.len()..];
        let version = HTTP_VERSIONS.iter().map(|version| common(version, rest));
        // A blank says nothing.
        let version = version.max().filter(|len| *len > 1).unwrap_or(0);
        return &start[..request.len() + version];
    }
    if SSH.iter().any(|version| start.starts_with(version)) {
        return until(|byte| !byte.is_ascii_alphanumeric() && !b"-._".contains(byte));
    }
    if start
        .first()
        .is_some_and(|&byte| byte.is_ascii_control() && !byte.is_ascii_whitespace())
    {
        let known = BINARY.iter().find(|known| start.starts_with(known));
        let known = known.map_or_else(|| mqtt(start), |known| known.len());
        return &start[..known];
    }
    let word = until(|byte| !byte.is_ascii_uppercase());
    let is_whole = match bytes.get(word.len()) {
        Some(b' ' | b'\t' | b'{') => true,
        // What stands for `CONNECT` may be a secret to its end.
        Some(b'\r' | b'\n') | None => word.first() != Some(&b'C'),
        Some(_) => false,
    };
    if word.len() <= WORD_BYTES_MAX && is_whole {
        return word;
    }
    let known = KNOWN.iter().map(|known| common(known, start)).max();
    &start[..known.unwrap_or(0)]
}

/// How far `bytes` begin as `known` does, in any case.
fn common(known: &[u8], bytes: &[u8]) -> usize {
    let pairs = known.iter().zip(bytes);
    pairs
        .take_while(|(known, byte)| known.eq_ignore_ascii_case(byte))
        .count()
}

/// How long the beginning of an MQTT `CONNECT` is, with its name; 0 if `bytes` begin with none.
fn mqtt(bytes: &[u8]) -> usize {
    let Some((b'\x10', rest)) = bytes.split_first() else {
        return 0;
    };
    let more = rest.iter().take_while(|byte| **byte >= 0x80).count();
    let Some(rest) = rest.get(more + 1..).filter(|_| more < 4) else {
        return 0;
    };
    let name = MQTT.iter().find(|name| rest.starts_with(name));
    name.map_or(0, |name| 1 + more + 1 + name.len())
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
        check(b"POST /a/long/path HTTP/1.1\r\n", "proto='\"POST /\"...'");
        check(b"PRI * HTTP/2.0\r\n", "proto='\"PRI * HTTP/2.0\"...'");
        check(b"OPTIONS / HTTP/1.1\r\n", "proto='\"OPTIONS / HTTP/1\"...'");
        check(
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            "proto='\"SSH-2.0-OpenSSH_\"...'",
        );
        check(
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\xe1\xe2\xe3\xe4\xe5\xe6",
            r#"proto='"\x16\x03\x01"...'"#,
        );
        check(
            b"\x10\x1a\x00\x04MQTT\x04\xc2\x00\x3c\x00\x06s3cret",
            r#"proto='"\x10\x1a\x00\x04MQTT"...'"#,
        );
        check(
            b"\x10\xb1\x01\x00\x06MQIsdp\x03s3cret",
            r#"proto='"\x10\xb1\x01\x00\x06MQIsdp"...'"#,
        );
        check(b"PUBX\r\n", "proto='\"PUBX\"...'");
        check(b"ZZZ", "proto='\"ZZZ\"...'");
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
        check(b"auth_token=s3cret\r\n", "proto='\"auth\"...'");
        check(b"GET /?k=s3cret HTTP/1.1\r\n", "proto='\"GET /\"...'");
        check(b"GET http://u:s3c@h/ HTTP/1.1\r\n", "proto='\"GET\"...'");
        check(b"GET s3cret\r\n", "proto='\"GET\"...'");
        check(b"POST /s3cret/Ab3 HTTP/1.1\r\n", "proto='\"POST /\"...'");
        check(b"GET /s3cret HTTP/1.1\r\n", "proto='\"GET /\"...'");
        check(b"GET / s3cret\r\n", "proto='\"GET /\"...'");
        check(b"SSH-s3cret\r\n", "proto='\"S\"...'");
        for rest in [
            b"\x01\x8f\x02\xe3\x9a\x11\xfe\x80s3cret".as_slice(),
            b"\x16\x8f\x02\xe3\x9a\x11\xfe\x80",
            b"\x10\x1a\x00\x04MQTs3cret",
            b"\x10\xff\xff\xff\xff\xff\xff\xff",
            b"\x10\x80",
            b"\x7f\x00\x00\x00",
        ] {
            let input = [b"PUB a 0\r\n\r\n", rest].concat();
            check(&input, "proto='\"\"...'");
        }
        let connect = "in the arguments of CONNECT";
        check(b"CONNECT {\"pass\":\"s3cret\",\r\nX", "proto='\"X\"...'");
        // The rest of a payload that is longer than was announced, or a secret alone on a line.
        check(b"PUB a 2\r\nhi\r\ns3cret\r\n", "proto='\"s\"...'");
        check("PUB a 2\r\nhi\r\nпароль\r\n".as_bytes(), "proto='\"\"...'");
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

    /// `word`, and with one letter lost, doubled, swapped with the next, or replaced.
    fn slips(word: &str) -> Vec<String> {
        let mut slips = vec![word.to_owned()];
        for at in 0..word.len() {
            let (before, letter, after) = (&word[..at], &word[at..=at], &word[at + 1..]);
            slips.push(format!("{before}{after}"));
            slips.push(format!("{before}{letter}{letter}{after}"));
            slips.push(format!("{before}X{after}"));
            if let Some(next) = after.get(..1) {
                slips.push(format!("{before}{next}{letter}{}", &after[1..]));
            }
        }
        slips
    }

    /// What a log shows of the first op in `input` that is none; nothing if there is none such.
    fn told(input: &str) -> String {
        let (mut parser, rules) = (Parser::default(), Rules::default());
        let mut rest = input.as_bytes();
        loop {
            match parser.next(rest, &rules) {
                Ok(crate::Step::Op { len, .. } | crate::Step::Skip { len }) => rest = &rest[len..],
                Ok(crate::Step::Warning(_)) => {}
                Ok(crate::Step::Partial { .. }) => return String::new(),
                Err(_) => return parser.fault(rest).to_string(),
            }
        }
    }

    #[test]
    fn of_a_connect_no_secret_is_shown_however_it_is_misspelt_and_wherever_it_stands() {
        let twice = slips("CONNECT").into_iter().flat_map(|once| slips(&once));
        let begun = (3..7).map(|len| "CONNECT"[..len].to_owned());
        let mut refused = 0;
        for name in twice.chain(begun) {
            for name in [name.to_lowercase(), name] {
                for before in ["", "x", "PING", "PING\r\n", "{", "\"", "\0", "\u{1}\u{2}"] {
                    for between in [
                        "",
                        "{",
                        "{\"pass\":\"",
                        "\"",
                        ":",
                        "=",
                        "_",
                        "-",
                        "\0",
                        "\r\n",
                    ] {
                        for secret in ["zzz", "ZZZ", "zZ9zz", "zzzzzzzzzzzzzzzzzzzz"] {
                            for end in ["", "\r\n", "\"}\r\n"] {
                                let input = format!("{before}{name}{between}{secret}{end}");
                                let told = told(&input);
                                // On a line of its own it is an unknown op.
                                if between == "\r\n" && secret == "ZZZ" {
                                    continue;
                                }
                                assert!(!told.contains(['z', 'Z']), "{input:?}: {told}");
                                refused += usize::from(!told.is_empty());
                            }
                        }
                    }
                }
            }
        }
        assert!(refused > 100_000, "{refused}");
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
