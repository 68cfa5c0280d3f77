//! `CONNECT`: what a client says about itself, one JSON object, possibly more than once.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::secret::{REDACTED, Secret};
use crate::violation::Violation;

/// The options of a connection: the defaults, and every `CONNECT` so far decoded onto them.
///
/// `Debug` shows no secret.
#[derive(Clone, Eq, PartialEq)]
pub struct ConnectOptions {
    /// Answer each accepted op with `+OK`. On until the client says otherwise.
    pub verbose: bool,
    /// Warn about subjects that should not be published to. On until the client says otherwise.
    pub pedantic: bool,
    /// Said by clients; the server does not care.
    pub tls_required: bool,
    /// A token that is the whole credentials.
    pub auth_token: Secret,
    /// User name.
    pub user: String,
    /// Password.
    pub pass: Secret,
    /// User JWT.
    pub jwt: Secret,
    /// Public user nkey.
    pub nkey: String,
    /// Signature of the nonce.
    pub sig: Secret,
    /// The client's name for itself.
    pub name: String,
    /// The language of the client's library.
    pub lang: String,
    /// The version of the client's library.
    pub version: String,
    /// 1 wants `INFO` whenever it changes, 0 only at the start; nothing else is valid.
    pub protocol: i64,
    /// Deliver own messages to own subscriptions. On until the client says otherwise.
    pub echo: bool,
    /// The client takes `HMSG` and sends `HPUB`.
    pub headers: bool,
    /// The client wants to be told when no client took its request.
    pub no_responders: bool,
    /// From an older way of choosing accounts. Anything but empty is refused.
    pub account: String,
    /// From an older way of choosing accounts. `true` is refused.
    pub new_account: bool,
}

/// What holds before the first `CONNECT`: verbose, pedantic, echo; all else off or empty.
impl Default for ConnectOptions {
    fn default() -> Self {
        ConnectOptions {
            verbose: true,
            pedantic: true,
            tls_required: false,
            auth_token: Secret::default(),
            user: String::new(),
            pass: Secret::default(),
            jwt: Secret::default(),
            nkey: String::new(),
            sig: Secret::default(),
            name: String::new(),
            lang: String::new(),
            version: String::new(),
            protocol: 0,
            echo: true,
            headers: false,
            no_responders: false,
            account: String::new(),
            new_account: false,
        }
    }
}

impl ConnectOptions {
    /// Decodes the object of a `CONNECT` onto these options.
    ///
    /// A field that is absent or `null` keeps its value. Letter case of keys does not matter,
    /// unknown ones are ignored, of duplicates the last wins. `null` in place of the object
    /// changes nothing. Bytes that are not UTF-8 are replaced by U+FFFD.
    ///
    /// # Errors
    ///
    /// [`Violation::Parse`] for malformed JSON, trailing text, anything but an object, or a field
    /// of the wrong type. These options are then as before.
    ///
    /// ```
    /// use midge_protocol::ConnectOptions;
    ///
    /// let mut options = ConnectOptions::default();
    /// options.merge(br#"{"verbose":false,"user":"joe"}"#)?;
    /// assert!(!options.verbose && options.pedantic);
    /// # Ok::<(), midge_protocol::Violation<'static>>(())
    /// ```
    pub fn merge(&mut self, json: &[u8]) -> Result<(), Violation<'static>> {
        let text = lossy(json);
        // The second pass takes strings as bytes, for the sake of lone surrogates, and so does not
        // see control characters in them. The first one does.
        if serde_json::from_str::<IgnoredAny>(&text).is_err() {
            return Err(Violation::Parse);
        }
        let mut merged = self.clone();
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        deserializer
            .deserialize_any(Merge(&mut merged))
            .map_err(|_| Violation::Parse)?;
        *self = merged;
        Ok(())
    }

    /// Whether a password, a token, a JWT or a signature is there.
    pub fn has_secret(&self) -> bool {
        let secrets = [&self.auth_token, &self.pass, &self.jwt, &self.sig];
        secrets.iter().any(|secret| !secret.is_empty())
    }

    /// Forgets them.
    pub fn forget_secrets(&mut self) {
        for secret in [
            &mut self.auth_token,
            &mut self.pass,
            &mut self.jwt,
            &mut self.sig,
        ] {
            *secret = Secret::default();
        }
    }

    /// Whether the account fields are unused, as they must be.
    ///
    /// # Errors
    ///
    /// [`Violation::Authorization`].
    pub fn check_account(&self) -> Result<(), Violation<'static>> {
        if self.account.is_empty() && !self.new_account {
            Ok(())
        } else {
            Err(Violation::Authorization)
        }
    }

    /// Whether the protocol number is one we speak.
    ///
    /// # Errors
    ///
    /// [`Violation::InvalidClientProtocol`].
    pub fn check_protocol(&self) -> Result<(), Violation<'static>> {
        if matches!(self.protocol, 0 | 1) {
            Ok(())
        } else {
            Err(Violation::InvalidClientProtocol)
        }
    }

    /// Whether 503 messages, if wanted, can be sent. `server_headers` is whether the server has
    /// headers at all.
    ///
    /// # Errors
    ///
    /// [`Violation::NoRespondersNeedsHeaders`].
    pub fn check_no_responders(&self, server_headers: bool) -> Result<(), Violation<'static>> {
        if self.no_responders && !(self.headers && server_headers) {
            Err(Violation::NoRespondersNeedsHeaders)
        } else {
            Ok(())
        }
    }

    /// Sets the field called `key`, if there is one, to the next value of `map`.
    fn set<'de, A: MapAccess<'de>>(&mut self, key: &[u8], map: &mut A) -> Result<(), A::Error> {
        match key.to_ascii_lowercase().as_slice() {
            b"verbose" => set(&mut self.verbose, map),
            b"pedantic" => set(&mut self.pedantic, map),
            b"tls_required" => set(&mut self.tls_required, map),
            b"auth_token" => set_text(&mut self.auth_token, map),
            b"user" => set_text(&mut self.user, map),
            b"pass" => set_text(&mut self.pass, map),
            b"jwt" => set_text(&mut self.jwt, map),
            b"nkey" => set_text(&mut self.nkey, map),
            b"sig" => set_text(&mut self.sig, map),
            b"name" => set_text(&mut self.name, map),
            b"lang" => set_text(&mut self.lang, map),
            b"version" => set_text(&mut self.version, map),
            b"protocol" => set(&mut self.protocol, map),
            b"echo" => set(&mut self.echo, map),
            b"headers" => set(&mut self.headers, map),
            b"no_responders" => set(&mut self.no_responders, map),
            b"account" => set_text(&mut self.account, map),
            b"new_account" => set(&mut self.new_account, map),
            _ => map.next_value::<IgnoredAny>().map(|_| ()),
        }
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("verbose", &self.verbose)
            .field("pedantic", &self.pedantic)
            .field("tls_required", &self.tls_required)
            .field("auth_token", &self.auth_token)
            .field("user", &self.user)
            .field("pass", &self.pass)
            .field("jwt", &self.jwt)
            .field("nkey", &self.nkey)
            .field("sig", &self.sig)
            .field("name", &self.name)
            .field("lang", &self.lang)
            .field("version", &self.version)
            .field("protocol", &self.protocol)
            .field("echo", &self.echo)
            .field("headers", &self.headers)
            .field("no_responders", &self.no_responders)
            .field("account", &self.account)
            .field("new_account", &self.new_account)
            .finish()
    }
}

/// The argument of a `CONNECT` as a log may show it: without the secrets, wherever they are nested
/// and whatever the letter case of their keys. Keys come out sorted.
///
/// What does not parse is never repeated, as it is not known where its secrets are; its length is.
pub fn redacted(json: &[u8]) -> String {
    match serde_json::from_str(&lossy(json)) {
        Ok(mut value @ serde_json::Value::Object(_)) => {
            redact(&mut value);
            value.to_string()
        }
        _ => format!("[{} bytes that are no JSON object]", json.len()),
    }
}

fn redact(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                if is_secret(key) {
                    *value = REDACTED.into();
                } else {
                    redact(value);
                }
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(redact),
        _ => {}
    }
}

fn is_secret(key: &str) -> bool {
    ["pass", "password", "auth_token", "token", "jwt", "sig"]
        .iter()
        .any(|secret| key.eq_ignore_ascii_case(secret))
}

/// Whether `json` is one JSON object, or `null`, and nothing else.
pub(crate) fn is_object_or_null(json: &[u8]) -> bool {
    let starts_well = matches!(json.trim_ascii_start().first(), Some(b'{' | b'n'));
    starts_well && serde_json::from_str::<IgnoredAny>(&lossy(json)).is_ok()
}

/// `bytes` as text, with U+FFFD for each byte that is not UTF-8, as Go's decoder has it.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

/// Sets `field` unless the value is `null`.
fn set<'de, T, A>(field: &mut T, map: &mut A) -> Result<(), A::Error>
where
    T: Deserialize<'de>,
    A: MapAccess<'de>,
{
    if let Some(value) = map.next_value()? {
        *field = value;
    }
    Ok(())
}

fn set_text<'de, T, A>(field: &mut T, map: &mut A) -> Result<(), A::Error>
where
    T: From<String>,
    A: MapAccess<'de>,
{
    if let Some(Text(text)) = map.next_value()? {
        *field = text.into();
    }
    Ok(())
}

/// Decodes the fields of an object onto options, in the order they come.
struct Merge<'a>(&'a mut ConnectOptions);

impl<'de> Visitor<'de> for Merge<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the object of a CONNECT")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            self.0.set(key.as_bytes(), &mut map)?;
        }
        Ok(())
    }
}

/// A JSON string in which a lone surrogate (`\ud800`) is U+FFFD, for each of the three bytes it
/// decodes to, and not an error.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text, E> {
        Ok(Text(lossy(bytes).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Merges each of `jsons` in turn; all must be accepted.
    #[track_caller]
    fn merged(jsons: &[&[u8]]) -> ConnectOptions {
        let mut options = ConnectOptions::default();
        for json in jsons {
            assert_eq!(options.merge(json), Ok(()), "{}", json.escape_ascii());
        }
        options
    }

    #[test]
    fn every_field_is_taken() {
        let json = br#"{"verbose":false,"pedantic":false,"tls_required":true,"auth_token":"t",
            "user":"u","pass":"p","jwt":"j","nkey":"k","sig":"s","name":"n","lang":"l",
            "version":"v","protocol":1,"echo":false,"headers":true,"no_responders":true,
            "account":"a","new_account":true}"#;
        let expected = ConnectOptions {
            verbose: false,
            pedantic: false,
            tls_required: true,
            auth_token: "t".into(),
            user: "u".into(),
            pass: "p".into(),
            jwt: "j".into(),
            nkey: "k".into(),
            sig: "s".into(),
            name: "n".into(),
            lang: "l".into(),
            version: "v".into(),
            protocol: 1,
            echo: false,
            headers: true,
            no_responders: true,
            account: "a".into(),
            new_account: true,
        };
        assert_eq!(merged(&[json]), expected);
        assert_eq!(merged(&[json, b"{}"]), expected);
        assert_eq!(merged(&[json, b"null"]), expected);
    }

    #[test]
    fn nothing_said_changes_nothing() {
        let nulls = br#"{"verbose":null,"name":null,"protocol":null}"#;
        for json in [b"{}".as_slice(), b" {} \t", b"null", nulls] {
            assert_eq!(merged(&[json]), ConnectOptions::default());
        }
    }

    #[test]
    fn later_values_win_whatever_the_letter_case() {
        let json = br#"{"Verbose":false,"NAME":"a","name":"b","nAmE":"c"}"#;
        let options = merged(&[json, br#"{"verbose":true}"#]);
        assert!(options.verbose);
        assert_eq!(options.name, "c");
        assert_eq!(merged(&[br#"{"n\u0061me":"x"}"#]).name, "x");
    }

    #[test]
    fn unknown_fields_are_ignored_whatever_they_hold() {
        let deep = [b"{\"x\":".as_slice(), &[b'['; 300], &[b']'; 300], b"}"].concat();
        let odd = br#"{"":[],"x":1e9999,"y":{"user":"z"},"z":"\ud800","w":null}"#;
        for json in [deep.as_slice(), odd] {
            assert_eq!(merged(&[json]), ConnectOptions::default());
        }
    }

    #[test]
    fn text_that_is_no_text_is_replaced() {
        assert_eq!(
            merged(&[b"{\"name\":\"a\xff\xe2\x82b\"}"]).name,
            "a\u{fffd}\u{fffd}\u{fffd}b"
        );
        assert_eq!(
            merged(&[br#"{"name":"\ud800x"}"#]).name,
            "\u{fffd}\u{fffd}\u{fffd}x"
        );
        assert_eq!(
            merged(&[br#"{"name":"\ud83d\ude00\n\u0001"}"#]).name,
            "\u{1f600}\n\u{1}"
        );
    }

    #[test]
    fn what_is_wrong_is_refused_and_leaves_no_trace() {
        let jsons: &[&[u8]] = &[
            b"",
            b"x",
            b"{",
            b"[]",
            b"5",
            b"true",
            b"\"x\"",
            b"nul",
            b"{} x",
            b"{}{}",
            b"null null",
            b"{\"name\":\"x\",}",
            b"{\"name\":\"x\"} ,",
            b"{\"name\":\"x\",\"protocol\":\"1\"}",
            b"{\"name\":\"x\",\"protocol\":1.0}",
            b"{\"name\":\"x\",\"protocol\":1e0}",
            b"{\"name\":\"x\",\"protocol\":9223372036854775808}",
            b"{\"name\":\"x\",\"verbose\":1}",
            b"{\"name\":\"x\",\"verbose\":\"true\"}",
            b"{\"name\":\"x\",\"user\":5}",
            b"{\"name\":\"x\",\"user\":[]}",
            b"{\"name\":\"x\",\"user\":[112]}",
            b"{\"name\":\"x\",\"user\":{}}",
            b"{\"name\":\"x\",\"user\":\"a\x01b\"}",
            b"{\"name\":\"x\",\xff}",
            b"\x0b{}",
        ];
        for json in jsons {
            let mut options = merged(&[br#"{"name":"before"}"#]);
            let before = options.clone();
            assert_eq!(
                options.merge(json),
                Err(Violation::Parse),
                "{}",
                json.escape_ascii()
            );
            assert_eq!(options, before, "{}", json.escape_ascii());
        }
    }

    #[test]
    fn checks_say_which_rule_was_broken() {
        let check = |json: &str| {
            let options = merged(&[json.as_bytes()]);
            options
                .check_account()
                .and(options.check_protocol())
                .and(options.check_no_responders(true))
        };
        assert_eq!(check("{}"), Ok(()));
        assert_eq!(check(r#"{"protocol":1}"#), Ok(()));
        assert_eq!(
            check(r#"{"protocol":2}"#),
            Err(Violation::InvalidClientProtocol)
        );
        assert_eq!(
            check(r#"{"protocol":-1}"#),
            Err(Violation::InvalidClientProtocol)
        );
        assert_eq!(
            check(r#"{"account":"a","protocol":2}"#),
            Err(Violation::Authorization)
        );
        assert_eq!(
            check(r#"{"new_account":true}"#),
            Err(Violation::Authorization)
        );
        assert_eq!(check(r#"{"no_responders":true,"headers":true}"#), Ok(()));
        assert_eq!(
            check(r#"{"no_responders":true}"#),
            Err(Violation::NoRespondersNeedsHeaders)
        );
        let both = merged(&[br#"{"no_responders":true,"headers":true}"#]);
        assert_eq!(
            both.check_no_responders(false),
            Err(Violation::NoRespondersNeedsHeaders)
        );
    }

    #[test]
    fn secrets_can_be_forgotten_and_nothing_else_is() {
        let others = merged(&[br#"{"user":"joe","nkey":"U","name":"n"}"#]);
        assert!(!others.has_secret());
        for field in ["auth_token", "pass", "jwt", "sig"] {
            let json = format!(r#"{{"user":"joe","nkey":"U","name":"n","{field}":"s"}}"#);
            let mut options = merged(&[json.as_bytes()]);
            assert!(options.has_secret(), "{field}");
            options.forget_secrets();
            assert_eq!(options, others, "{field}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let json = br#"{"user":"joe","PASS":"hunter2","a":[{"Jwt":"hunter2"}],
            "auth_token":{"deep":"hunter2"},"sig":["hunter2"],"pa\u0073s":"hunter2"}"#;
        let shown = redacted(json);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains(r#""user":"joe""#) && shown.contains(r#""PASS":"[REDACTED]""#));

        let options = br#"{"user":"joe","pass":"hunter2","jwt":"hunter2","sig":"hunter2",
            "auth_token":"hunter2"}"#;
        let shown = format!("{:?}", merged(&[options]));
        assert!(
            !shown.contains("hunter2") && shown.contains("joe"),
            "{shown}"
        );
    }

    #[test]
    fn no_depth_of_an_object_takes_more_stack_than_there_is() {
        let deep = || {
            const LEVELS: usize = 1_000_000;
            let object = |open: &str, close: &str| {
                format!("{{\"x\":{}1{}}}", open.repeat(LEVELS), close.repeat(LEVELS))
            };
            for json in [
                object("[", "]"),
                object("{\"a\":", "}"),
                object("[{\"a\":", "}]"),
                "[".repeat(LEVELS),
                "{\"pass\":".repeat(LEVELS),
                object("[", ""),
            ] {
                let mut options = ConnectOptions::default();
                // Whatever it is found to be.
                let _ = options.merge(json.as_bytes());
                assert_eq!(options, ConnectOptions::default());
                let _ = is_object_or_null(json.as_bytes());
                let len = json.len();
                let shown = redacted(json.as_bytes());
                assert_eq!(shown, format!("[{len} bytes that are no JSON object]"));
            }
            // As deep as a log shows it.
            let json = format!("{{\"x\":{}1{}}}", "[".repeat(100), "]".repeat(100));
            assert_eq!(redacted(json.as_bytes()), json);
        };
        let thread = std::thread::Builder::new().stack_size(256 * 1024);
        let thread = thread.spawn(deep).expect("a thread");
        thread.join().expect("it does not panic");
    }

    #[test]
    fn what_does_not_parse_is_not_repeated() {
        for json in [r#"{"pass":"hunter2""#, r#"{"pass":"hunter2"} x"#, "hunter2"] {
            let expected = format!("[{} bytes that are no JSON object]", json.len());
            assert_eq!(redacted(json.as_bytes()), expected);
        }
        let deep = [b"{\"x\":".as_slice(), &[b'['; 3000], &[b']'; 3000], b"}"].concat();
        assert_eq!(redacted(&deep), "[6006 bytes that are no JSON object]");
    }
}
