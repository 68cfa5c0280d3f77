//! The request of HTTP that becomes a WebSocket: bytes in, the answer out.

use crate::config::Origin;
use crate::http::{self, Fault, has_word};
use data_encoding::BASE64;
use midge_protocol::Secret;
use midge_protocol::websocket::Masking;
use sha1::{Digest, Sha1};
use std::net::IpAddr;

/// What makes of the client's key the server's answer to it (RFC 6455).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What is answered of an offer to compress: each message by itself.
const DEFLATE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Paths of other protocols over WebSocket, which may not be taken for clients'.
const OTHERS: [(&str, &str); 2] = [("leafnode", "leaf nodes"), ("mqtt", "MQTT")];

/// What a server allows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// Whether it is reached by TLS: a client's `Host` without a port means another one then.
    pub(crate) is_https: bool,
    pub(crate) same_origin: bool,
    /// Any, if there are none.
    pub(crate) allowed_origins: Vec<Origin>,
    pub(crate) compression: bool,
    pub(crate) cookies: CookieNames,
}

/// The names of cookies that stand for fields of `CONNECT`.
#[derive(Clone, Debug, Default)]
pub(crate) struct CookieNames {
    pub(crate) jwt: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) pass: Option<String>,
    pub(crate) token: Option<String>,
}

/// What those cookies hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cookies {
    pub(crate) jwt: Option<Secret>,
    pub(crate) user: Option<String>,
    pub(crate) pass: Option<Secret>,
    pub(crate) token: Option<Secret>,
}

/// A request that was granted.
#[derive(Debug)]
pub(crate) struct Granted {
    /// What goes back.
    pub(crate) answer: Vec<u8>,
    pub(crate) compression: bool,
    pub(crate) masking: Masking,
    /// Browsers get short frames.
    pub(crate) is_browser: bool,
    /// Who a proxy says that it asks for.
    pub(crate) forwarded_for: Option<IpAddr>,
    pub(crate) cookies: Cookies,
}

/// A request that was not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refused {
    status: u16,
    phrase: &'static str,
    pub(crate) text: &'static str,
}

const fn refused(status: u16, phrase: &'static str, text: &'static str) -> Refused {
    Refused {
        status,
        phrase,
        text,
    }
}

const fn bad(text: &'static str) -> Refused {
    refused(400, "Bad Request", text)
}

const fn forbidden(text: &'static str) -> Refused {
    refused(403, "Forbidden", text)
}

impl Refused {
    /// What goes back.
    pub(crate) fn answer(&self) -> Vec<u8> {
        let Refused {
            status,
            phrase,
            text,
        } = self;
        let len = text.len() + 1;
        format!(
            "HTTP/1.1 {status} {phrase}\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {len}\r\n\
             Connection: close\r\n\r\n\
             {text}\n"
        )
        .into_bytes()
    }
}

/// Looks at the request with which `input` begins: grants it, and answers how many bytes it has. `None`: it does not
/// end there.
///
/// # Errors
/// Why it is refused. The connection is to end.
pub(crate) fn upgrade(input: &[u8], rules: &Rules) -> Result<Option<(Granted, usize)>, Refused> {
    let granted = http::head(input, |head, len| {
        let fields = Fields::of(head)?;
        Ok((grant(head, &fields, rules)?, len))
    });
    match granted {
        Ok(granted) => granted.transpose(),
        Err(Fault::TooLarge) => Err(refused(
            431,
            "Request Header Fields Too Large",
            "the head of a request may have 8192 bytes and 64 fields",
        )),
        Err(Fault::Version) => Err(refused(505, "HTTP Version Not Supported", "use HTTP/1.1")),
        Err(Fault::Malformed) => Err(bad(
            "this is no HTTP request; clients connect here by ws:// or wss://",
        )),
    }
}

/// The fields of a request that say something here.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a str>,
    is_upgrade: bool,
    is_connection_upgrade: bool,
    key: &'a [u8],
    version: &'a [u8],
    origin: Option<&'a str>,
    offers_deflate: bool,
    no_masking: bool,
    is_browser: bool,
    forwarded_for: Option<IpAddr>,
    cookies: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    fn of(head: &'a httparse::Request<'_, '_>) -> Result<Fields<'a>, Refused> {
        let (mut fields, mut hosts) = (Fields::default(), 0);
        for field in head.headers.iter() {
            let value = field.value.trim_ascii();
            let text = || str::from_utf8(value).map_err(|_| bad("a field is not UTF-8"));
            match field.name.to_ascii_lowercase().as_str() {
                "host" => {
                    hosts += 1;
                    fields.host = Some(text()?);
                }
                "upgrade" => fields.is_upgrade |= has_word(value, b"websocket"),
                "connection" => fields.is_connection_upgrade |= has_word(value, b"upgrade"),
                "sec-websocket-key" => fields.key = value,
                "sec-websocket-version" => fields.version = value,
                "origin" => fields.origin = Some(text()?),
                "sec-websocket-extensions" => fields.offers_deflate |= offers_deflate(text()?),
                "nats-no-masking" => fields.no_masking = value == b"true",
                "user-agent" => fields.is_browser = value.starts_with(b"Mozilla/"),
                "x-forwarded-for" => {
                    let first = text()?.split(',').next().unwrap_or_default();
                    fields.forwarded_for = first.trim().parse().ok();
                }
                "cookie" => fields.cookies.push(text()?),
                _ => {}
            }
        }
        match hosts {
            0 | 1 => Ok(fields),
            _ => Err(bad("one field Host is required")),
        }
    }
}

fn grant(
    head: &httparse::Request<'_, '_>,
    fields: &Fields<'_>,
    rules: &Rules,
) -> Result<Granted, Refused> {
    if head.method != Some("GET") {
        return Err(refused(405, "Method Not Allowed", "use GET"));
    }
    let target = http::origin_form(head.path.unwrap_or("/"));
    let path = target.split('?').next().unwrap_or(target);
    if OTHERS.iter().any(|(name, _)| is_of(path, name)) {
        return Err(refused(
            501,
            "Not Implemented",
            "leaf nodes and MQTT over WebSocket are not implemented; clients use another path",
        ));
    }
    if head.version != Some(1) {
        return Err(bad("use HTTP/1.1"));
    }
    let Some(host) = fields.host.filter(|host| !host.is_empty()) else {
        return Err(bad("one field Host is required"));
    };
    if !fields.is_upgrade {
        return Err(bad("the field Upgrade must be websocket"));
    }
    if !fields.is_connection_upgrade {
        return Err(bad("the field Connection must be Upgrade"));
    }
    if fields.key.is_empty() {
        return Err(bad("the field Sec-WebSocket-Key is missing"));
    }
    if fields.version != b"13" {
        return Err(bad("the field Sec-WebSocket-Version must be 13"));
    }
    check_origin(fields.origin, host, rules)?;
    let compression = rules.compression && fields.offers_deflate;
    let masking = match fields.no_masking {
        true => Masking::Optional,
        false => Masking::Required,
    };
    Ok(Granted {
        answer: answer(fields.key, compression, fields.no_masking),
        compression,
        masking,
        is_browser: fields.is_browser,
        forwarded_for: fields.forwarded_for,
        cookies: cookies(&fields.cookies, &rules.cookies),
    })
}

/// Whether a path is that of another protocol: it begins or ends with its name.
fn is_of(path: &str, name: &str) -> bool {
    let path = path.trim_matches('/');
    let first = path.split('/').next().unwrap_or(path);
    let last = path.rsplit('/').next().unwrap_or(path);
    first == name || last == name
}

/// A program that is no browser tells no origin, and may come.
fn check_origin(origin: Option<&str>, host: &str, rules: &Rules) -> Result<(), Refused> {
    let Some(origin) = origin else { return Ok(()) };
    if !rules.same_origin && rules.allowed_origins.is_empty() {
        return Ok(());
    }
    let Some(origin) = Origin::parse(origin) else {
        return Err(forbidden("the field Origin is no origin"));
    };
    let own = Origin::of_authority(rules.is_https, host);
    if rules.same_origin && !own.is_some_and(|own| own.is_same_place(&origin)) {
        return Err(forbidden("the origin is not the same as the host"));
    }
    if !rules.allowed_origins.is_empty() && !rules.allowed_origins.contains(&origin) {
        return Err(forbidden("the origin is not allowed"));
    }
    Ok(())
}

/// Whether a list of extensions has the one that compresses. What it says about contexts does not matter: none is
/// kept on either side. A window that a client wants of this side cannot be promised.
fn offers_deflate(extensions: &str) -> bool {
    extensions.split(',').any(|offer| {
        let mut parts = offer.split(';').map(str::trim);
        let is_it = parts.next() == Some("permessage-deflate");
        is_it && !parts.any(|part| part.starts_with("server_max_window_bits"))
    })
}

fn answer(key: &[u8], compression: bool, no_masking: bool) -> Vec<u8> {
    let mut digest = Sha1::new();
    digest.update(key);
    digest.update(GUID);
    let accept = BASE64.encode(&digest.finalize());
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    );
    if compression {
        answer.extend(["Sec-WebSocket-Extensions: ", DEFLATE, "\r\n"]);
    }
    if no_masking {
        answer.push_str("Nats-No-Masking: true\r\n");
    }
    answer.push_str("\r\n");
    answer.into_bytes()
}

/// What the cookies of these names hold; the first of each counts.
fn cookies(lists: &[&str], names: &CookieNames) -> Cookies {
    let find = |name: &Option<String>| {
        let name = name.as_deref()?;
        let pairs = lists.iter().flat_map(|list| list.split(';'));
        let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(its, _)| *its == name)?;
        let bare = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        Some(bare.unwrap_or(value).to_owned()).filter(|value| !value.is_empty())
    };
    Cookies {
        jwt: find(&names.jwt).map(Secret::from),
        user: find(&names.user),
        pass: find(&names.pass).map(Secret::from),
        token: find(&names.token).map(Secret::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Host: h:80\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

    fn ask(line: &str, fields: &str, rules: &Rules) -> Result<Granted, Refused> {
        let text = format!("{line} HTTP/1.1\r\n{fields}\r\nrest");
        let (granted, len) = upgrade(text.as_bytes(), rules)?.expect("it is whole");
        assert_eq!(&text[len..], "rest");
        Ok(granted)
    }

    /// With one more field than a good request.
    fn with(field: &str, rules: &Rules) -> Result<Granted, Refused> {
        ask("GET /", &format!("{GOOD}{field}\r\n"), rules)
    }

    fn status(answer: Result<Granted, Refused>) -> u16 {
        answer.map_or_else(|refused| refused.status, |_| 101)
    }

    #[test]
    fn a_good_request_is_granted_with_the_answer_to_its_key_on_any_path() {
        for path in [
            "/",
            "/any/path?leafnode",
            "http://h/",
            "/leafnodes",
            "/x/mqtt5",
        ] {
            let granted = ask(&format!("GET {path}"), GOOD, &Rules::default()).expect(path);
            let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                          Connection: Upgrade\r\n\
                          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
            assert_eq!(granted.answer, answer.as_bytes());
            assert_eq!(granted.masking, Masking::Required);
            assert!(!granted.compression && !granted.is_browser);
        }
    }

    #[test]
    fn what_is_not_as_it_must_be_is_refused() {
        let rules = Rules::default();
        let without = |name: &str| {
            let fields = GOOD.split_inclusive("\r\n");
            let fields = fields.filter(|field| !field.starts_with(name));
            status(ask("GET /", &fields.collect::<String>(), &rules))
        };
        for name in [
            "Host",
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
        ] {
            assert_eq!(without(name), 400, "without {name}");
        }
        let version = GOOD.replace("Version: 13", "Version: 8");
        for (line, fields, expected) in [
            ("POST /", GOOD, 405),
            ("GET /leafnode", GOOD, 501),
            ("GET /a/leafnode", GOOD, 501),
            ("GET /mqtt?x", GOOD, 501),
            ("GET /", &version, 400),
        ] {
            assert_eq!(status(ask(line, fields, &rules)), expected, "{line}");
        }
        for (text, expected) in [
            ("CONNECT {}\r\n", 400),
            ("GET / HTTP/1.0\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\n\r\n", 505),
        ] {
            let refused = upgrade(text.as_bytes(), &rules).expect_err(text);
            assert_eq!(refused.status, expected, "{text}");
        }
        let long = format!("GET /{}", "x".repeat(9000));
        let refused = upgrade(long.as_bytes(), &rules).expect_err("it is long");
        assert_eq!(refused.status, 431);
        let answer = String::from_utf8(refused.answer()).expect("text");
        assert!(
            answer.contains("\r\nSec-WebSocket-Version: 13\r\n"),
            "{answer}"
        );
    }

    #[test]
    fn a_request_is_granted_when_it_is_whole_and_not_before() {
        let text = format!("GET / HTTP/1.1\r\n{GOOD}\r\n");
        for cut in 0..text.len() {
            let step = upgrade(&text.as_bytes()[..cut], &Rules::default());
            assert!(step.expect("nothing is wrong").is_none(), "cut at {cut}");
        }
    }

    #[test]
    fn an_origin_must_be_the_host_or_listed_where_that_is_asked_and_may_be_absent() {
        let rules = |same_origin, allowed: &[&str]| Rules {
            same_origin,
            allowed_origins: allowed
                .iter()
                .filter_map(|one| Origin::parse(one))
                .collect(),
            ..Rules::default()
        };
        let listed: &[&str] = &["https://a.org", "http://b.org:8080"];
        for (origin, same_origin, allowed, expected) in [
            ("X: y", true, listed, 101),
            ("Origin: http://any.org", false, &[][..], 101),
            ("Origin: http://h", true, &[], 101),
            ("Origin: http://h:81", true, &[], 403),
            ("Origin: http://other", true, &[], 403),
            ("Origin: null", true, &[], 403),
            ("Origin: https://a.org", false, listed, 101),
            ("Origin: https://A.org:443", false, listed, 101),
            ("Origin: http://a.org", false, listed, 403),
            ("Origin: http://b.org", false, listed, 403),
            ("Origin: http://h", true, listed, 403),
        ] {
            let answer = with(origin, &rules(same_origin, allowed));
            assert_eq!(
                status(answer),
                expected,
                "{origin} {same_origin} {allowed:?}"
            );
        }
    }

    #[test]
    fn compression_is_granted_where_it_is_allowed_and_offered() {
        let allowed = Rules {
            compression: true,
            ..Rules::default()
        };
        let offer = "Sec-WebSocket-Extensions: foo, permessage-deflate; client_max_window_bits";
        let granted = with(offer, &allowed).expect("good");
        let answer = String::from_utf8(granted.answer).expect("text");
        assert!(granted.compression && answer.contains(DEFLATE), "{answer}");
        let window = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9";
        for (field, rules) in [
            ("X: y", &allowed),
            (offer, &Rules::default()),
            (window, &allowed),
        ] {
            let granted = with(field, rules).expect("good");
            assert!(!granted.compression, "{field}");
            assert!(!granted.answer.windows(9).any(|part| part == b"Extension"));
        }
    }

    #[test]
    fn what_else_a_request_says_is_kept() {
        let rules = Rules {
            cookies: CookieNames {
                jwt: Some("j".to_owned()),
                user: Some("u".to_owned()),
                pass: Some("p".to_owned()),
                token: None,
            },
            ..Rules::default()
        };
        let fields = "Nats-No-Masking: true\r\nUser-Agent: Mozilla/5.0\r\n\
                      X-Forwarded-For: 10.1.2.3, 10.0.0.1\r\nCookie: a=b; j=abc.d=; u=ann\r\n\
                      Cookie: p=\"se;cret";
        let granted = with(fields, &rules).expect("good");
        assert_eq!(granted.masking, Masking::Optional);
        assert!(granted.is_browser);
        assert_eq!(granted.forwarded_for, "10.1.2.3".parse().ok());
        let cookies = granted.cookies;
        assert!(cookies.jwt.as_ref().is_some_and(|jwt| jwt.is("abc.d=")));
        assert_eq!(cookies.user.as_deref(), Some("ann"));
        assert!(cookies.token.is_none());
        assert!(!format!("{cookies:?}").contains("abc"));
        let answer = String::from_utf8(granted.answer).expect("text");
        assert!(
            answer.ends_with("\r\nNats-No-Masking: true\r\n\r\n"),
            "{answer}"
        );
    }
}
