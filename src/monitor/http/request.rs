//! One request out of bytes: its head by `httparse`, its body measured and skipped.
//!
//! Pure: bytes in, a [`Request`] or a [`Refusal`] out. "Not yet" is a value.

use super::response::Refusal;
use crate::http::{self, Fault, has_word};

/// Most bytes of a body. No endpoint reads one, but some tools send one along.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What has been read.
#[derive(Debug, PartialEq)]
pub(in crate::monitor) enum Step {
    /// A request of `len` bytes, its body included.
    Whole {
        /// The request.
        request: Request,
        /// Bytes it took.
        len: usize,
    },
    /// It does not end here: call again when there are `need` bytes, or with more than now if that
    /// is 0.
    Partial {
        /// Bytes of the request, if its length is known.
        need: usize,
    },
}

/// How it is asked. All but these are taken for `GET`, as in nats-server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::monitor) enum Method {
    #[default]
    Get,
    Head,
    Post,
}

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::monitor) struct Request {
    pub(in crate::monitor) method: Method,
    /// Whether a browser has sent it from a page of another site.
    pub(in crate::monitor) is_cross_site: bool,
    /// As it was sent, without the query.
    pub(in crate::monitor) path: String,
    /// As it was sent, without the question mark.
    pub(in crate::monitor) query: String,
    /// Whether the connection stays open after the answer.
    pub(in crate::monitor) keep_alive: bool,
    /// HTTP/1.0 knows no chunks.
    pub(in crate::monitor) chunks: bool,
    /// The field `Authorization`.
    pub(in crate::monitor) authorization: Option<Vec<u8>>,
}

impl Request {
    /// Whether only the head of the answer is wanted.
    pub(in crate::monitor) fn is_head(&self) -> bool {
        self.method == Method::Head
    }
}

/// Reads the next request.
///
/// # Errors
/// What is to be answered before the connection closes: where this request ends is not known.
pub(in crate::monitor) fn next(input: &[u8]) -> Result<Step, Refusal> {
    match http::head(input, |head, len| whole(input, head, len)) {
        Ok(Some(step)) => step,
        Ok(None) => Ok(Step::Partial { need: 0 }),
        Err(Fault::TooLarge) => Err(Refusal::HeadTooLarge),
        Err(Fault::Version) => Err(Refusal::Version),
        Err(Fault::Malformed) => Err(Refusal::Malformed),
    }
}

/// Reads the rest of a request that has this head.
fn whole(input: &[u8], head: &httparse::Request<'_, '_>, head_len: usize) -> Result<Step, Refusal> {
    let mut body_len = None;
    let mut hosts = 0;
    let (mut host, mut origin_host) = (&b""[..], None);
    let mut request = Request {
        chunks: head.version == Some(1),
        keep_alive: head.version == Some(1),
        method: match head.method {
            Some("HEAD") => Method::Head,
            Some("POST") => Method::Post,
            _ => Method::Get,
        },
        ..Request::default()
    };
    for field in head.headers.iter() {
        let value = field.value;
        match field.name.to_ascii_lowercase().as_str() {
            "host" => (hosts, host) = (hosts + 1, value),
            "origin" => origin_host = Some(after_scheme(value)),
            "connection" if has_word(value, b"close") => request.keep_alive = false,
            "connection" if has_word(value, b"keep-alive") => request.keep_alive = true,
            "authorization" => request.authorization = Some(value.to_vec()),
            "content-length" => {
                let len = length(value).ok_or(Refusal::Malformed)?;
                // Two that differ: who is in front of us may have read the other one.
                if body_len.replace(len).is_some_and(|before| before != len) {
                    return Err(Refusal::Malformed);
                }
            }
            "transfer-encoding" => return Err(Refusal::BodyInChunks),
            _ => {}
        }
    }
    if hosts > 1 || (hosts == 0 && request.chunks) {
        return Err(Refusal::NoHost);
    }
    request.is_cross_site = origin_host.is_some_and(|origin| !origin.eq_ignore_ascii_case(host));
    let body_len = body_len.unwrap_or(0);
    if body_len > BODY_BYTES_MAX {
        return Err(Refusal::BodyTooLarge);
    }
    let len = head_len + body_len;
    if input.len() < len {
        return Ok(Step::Partial { need: len });
    }
    let target = http::origin_form(head.path.unwrap_or("/"));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (request.path, request.query) = (path.to_owned(), query.to_owned());
    Ok(Step::Whole { request, len })
}

/// Host and port of an origin; all of it where it has no scheme, as `null`.
fn after_scheme(origin: &[u8]) -> &[u8] {
    let at = memchr::memmem::find(origin, b"://");
    at.map_or(origin, |at| &origin[at + 3..])
}

/// A length: digits and nothing else.
fn length(value: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(value.trim_ascii()).ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{FIELDS_MAX, HEAD_BYTES_MAX};
    use proptest::prelude::*;

    fn request(text: &str) -> (Request, usize) {
        match next(text.as_bytes()) {
            Ok(Step::Whole { request, len }) => (request, len),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_request_comes_out_the_same_wherever_it_is_cut() {
        let text = "GET /connz?limit=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyzGET";
        let (request, len) = request(text);
        assert_eq!(
            (request.path.as_str(), request.query.as_str()),
            ("/connz", "limit=1")
        );
        assert!(request.keep_alive && request.chunks && request.method == Method::Get);
        assert_eq!(&text[len..], "GET");
        for cut in 0..len {
            let step = next(&text.as_bytes()[..cut]);
            assert!(
                matches!(step, Ok(Step::Partial { .. })),
                "cut at {cut}: {step:?}"
            );
        }
    }

    #[test]
    fn the_connection_stays_open_as_the_version_and_the_field_say() {
        for (version, field, expected) in [
            ("1.1", "X: y", true),
            ("1.1", "Connection: close", false),
            ("1.1", "Connection: foo, Close", false),
            ("1.0", "X: y", false),
            ("1.0", "Connection: Keep-Alive", true),
        ] {
            let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{field}\r\n\r\n");
            assert_eq!(request(&text).0.keep_alive, expected, "{text}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_one_of_another_host_or_port() {
        for (origin, expected) in [
            ("X: y", false),
            ("Origin: http://a:1", false),
            ("Origin: https://A:1", false),
            ("Origin: http://a:2", true),
            ("Origin: http://a.b:1", true),
            ("Origin: null", true),
        ] {
            let text = format!("POST /kick HTTP/1.1\r\nHost: a:1\r\n{origin}\r\n\r\n");
            let (request, _) = request(&text);
            assert_eq!(request.method, Method::Post);
            assert_eq!(request.is_cross_site, expected, "{origin}");
        }
    }

    #[test]
    fn a_target_may_be_a_whole_url() {
        assert_eq!(
            request("HEAD http://a:1/varz HTTP/1.1\r\nHost: a\r\n\r\n")
                .0
                .path,
            "/varz"
        );
        assert_eq!(
            request("GET http://a:1 HTTP/1.1\r\nHost: a\r\n\r\n").0.path,
            "/"
        );
    }

    #[test]
    fn what_cannot_be_answered_is_refused_with_a_word() {
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(HEAD_BYTES_MAX));
        let fields = format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "a: b\r\n".repeat(FIELDS_MAX + 1)
        );
        for (text, expected) in [
            (long.as_str(), Refusal::HeadTooLarge),
            (fields.as_str(), Refusal::HeadTooLarge),
            ("GET / HTTP/2.0\r\n\r\n", Refusal::Version),
            ("CONNECT {}\r\n", Refusal::Malformed),
            ("\0", Refusal::Malformed),
            ("GET / HTTP/1.1\r\n\r\n", Refusal::NoHost),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                Refusal::NoHost,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                Refusal::Malformed,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
                Refusal::Malformed,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
                Refusal::BodyTooLarge,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                Refusal::BodyInChunks,
            ),
        ] {
            assert_eq!(next(text.as_bytes()), Err(expected), "{text:.60}");
        }
    }

    proptest! {
        #[test]
        fn what_is_decided_stays_so_whatever_comes_behind(
            parts in prop::collection::vec(prop::sample::select(PARTS), 0..12)
        ) {
            let text = parts.concat();
            let mut decided: Option<Result<Step, Refusal>> = None;
            for cut in 0..=text.len() {
                let step = next(&text.as_bytes()[..cut]);
                if let Ok(Step::Whole { len, .. }) = &step {
                    prop_assert!(*len <= cut);
                }
                match &decided {
                    Some(before) => prop_assert_eq!(before, &step, "{:?} cut at {}", &text, cut),
                    None if matches!(step, Ok(Step::Partial { .. })) => {}
                    None => decided = Some(step),
                }
            }
        }
    }

    /// What requests are made of, good ones and bad ones.
    const PARTS: &[&str] = &[
        "GET /varz HTTP/1.1\r\n",
        "POST /connz?a=b HTTP/1.0\r\n",
        "GET ",
        " HTTP/1.1",
        "Host: a\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "\r\n",
        "\n",
        "xyz",
        ": ",
        "\0",
        "\u{e9}",
    ];
}
