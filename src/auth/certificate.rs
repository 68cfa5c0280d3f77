//! Certificates: the user that a client is by its certificate (`verify_and_map` in `tls`).
//!
//! ```text
//! e-mail, DNS, URI of the alternative names    is the name of the user, byte for byte
//! subject, as a distinguished name             has the parts that the name of the user has, in any order
//! ```
//!
//! In this order, and of several of a kind in that of the certificate. Of two users whose names have the parts of the
//! subject, the one with the same order is meant.
//!
//! A name of a user is read as RFC 2253 and 4514 have it, with blanks around the parts. Attributes are called by
//! their names in any letter case or by their numbers; values count byte for byte, domain components among them.
//! nats-server takes `DC=a,DC=a` for `DC=a,DC=b`; here each part has to be there as often. It refuses, up to 2.10, a
//! certificate with a DNS name and no subject; here that name counts, as in later ones.

use crate::config::{ConnectionType, Proof, User};
use std::fmt::{self, Write as _};
use std::str::Chars;

/// The names in a certificate that may be that of a user.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Names {
    /// Alternative names that are e-mail addresses.
    pub(crate) emails: Vec<String>,
    /// Alternative names that are host names.
    pub(crate) hosts: Vec<String>,
    /// Alternative names that are URIs.
    pub(crate) uris: Vec<String>,
    pub(crate) subject: DistinguishedName,
}

/// Most names of a certificate that the log tells, and most characters of each.
const TOLD_MAX: usize = 4;
const TOLD_CHARS_MAX: usize = 200;

impl Names {
    /// The names that a user is looked for by, in this order, as the log tells them: quoted, and bounded, since the
    /// client has written them.
    pub(crate) fn told(&self) -> String {
        let subject = Some(self.subject.to_string()).filter(|subject| !subject.is_empty());
        let alternative = self.emails.iter().chain(&self.hosts).chain(&self.uris);
        let all: Vec<&String> = alternative.chain(&subject).collect();
        let quoted = |name: &&String| match name.char_indices().nth(TOLD_CHARS_MAX) {
            Some((end, _)) => format!("{:?}...", &name[..end]),
            None => format!("{name:?}"),
        };
        let told: Vec<String> = all.iter().take(TOLD_MAX).map(quoted).collect();
        match all.len() - told.len() {
            0 => told.join(", "),
            more => format!("{} and {more} more", told.join(", ")),
        }
    }
}

/// Parts, the most specific first, and of each its attributes: most have one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct DistinguishedName(Vec<Vec<Attribute>>);

/// Type and value.
type Attribute = (String, String);

/// The short names of attributes that have one. The others go by their numbers.
const TYPES: [(&str, &str); 11] = [
    ("CN", "2.5.4.3"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("POSTALCODE", "2.5.4.17"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("DC", "0.9.2342.19200300.100.1.25"),
];

/// The user that a certificate with these names is of, if it may come in this way.
pub(crate) fn user<'a>(
    users: &'a [User],
    names: &Names,
    connection: ConnectionType,
) -> Option<&'a User> {
    let is_possible = |user: &&User| {
        let is_allowed = user.connections.is_empty() || user.connections.contains(&connection);
        is_allowed && matches!(user.proof, Proof::Password(_))
    };
    let called = |name: &String| {
        let mut users = users.iter().filter(is_possible);
        users.find(|user| user.name == *name)
    };
    let Names {
        emails,
        hosts,
        uris,
        subject,
    } = names;
    let mut alternative = emails.iter().chain(hosts).chain(uris);
    if let Some(user) = alternative.find_map(called) {
        return Some(user);
    }
    if subject.0.is_empty() {
        return None;
    }
    let sorted = subject.sorted();
    let of_subject = |user: &&User| {
        let name = DistinguishedName::parse(&user.name);
        name.is_some_and(|name| name.sorted() == sorted)
    };
    let mut found = users.iter().filter(is_possible).filter(of_subject);
    let first = found.next()?;
    let in_order =
        |user: &&User| DistinguishedName::parse(&user.name).is_some_and(|name| name == *subject);
    let exact = std::iter::once(first).chain(found).find(in_order);
    Some(exact.unwrap_or(first))
}

/// As the name of a user is written that fits it.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.0.iter().enumerate() {
            for (nth, (kind, value)) in part.iter().enumerate() {
                f.write_str(match (place, nth) {
                    (0, 0) => "",
                    (_, 0) => ",",
                    _ => "+",
                })?;
                write!(f, "{kind}=")?;
                let last = value.chars().count().saturating_sub(1);
                for (at, c) in value.chars().enumerate() {
                    let is_edge = at == 0 || at == last;
                    if ",;+\"\\".contains(c) || c == ' ' && is_edge {
                        f.write_str("\\")?;
                    }
                    f.write_char(c)?;
                }
            }
        }
        Ok(())
    }
}

impl DistinguishedName {
    /// One with these parts, the most general first, as a certificate has them: types by number.
    pub(crate) fn of_certificate(parts: Vec<Vec<Attribute>>) -> DistinguishedName {
        let named = |part: Vec<Attribute>| {
            let part = part.into_iter();
            part.map(|(number, value)| (short(&number), value))
                .collect()
        };
        DistinguishedName(parts.into_iter().rev().map(named).collect())
    }

    /// Reads `CN=ann,OU=Dev+OU=Ops,O=Acme`; `None` if it is none.
    fn parse(text: &str) -> Option<DistinguishedName> {
        let (mut parts, mut part) = (Vec::new(), Vec::new());
        let mut rest = text.chars();
        loop {
            let (number, after) = rest.as_str().split_once('=')?;
            let number = number.trim();
            let is_type = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
            if number.is_empty() || !number.chars().all(is_type) {
                return None;
            }
            rest = after.chars();
            let (value, end) = value(&mut rest)?;
            part.push((short(number), value));
            if end == Some('+') {
                continue;
            }
            parts.push(std::mem::take(&mut part));
            if end.is_none() {
                return Some(DistinguishedName(parts));
            }
        }
    }

    /// The parts in an order of their own, so that those of two can be compared.
    fn sorted(&self) -> Vec<Vec<Attribute>> {
        let mut parts = self.0.clone();
        parts.iter_mut().for_each(|part| part.sort());
        parts.sort();
        parts
    }
}

/// A type as it is compared.
fn short(number: &str) -> String {
    let name = number.to_ascii_uppercase();
    let number = name.strip_prefix("OID.").unwrap_or(&name);
    let known = TYPES.iter().find(|(_, known)| *known == number);
    known.map_or(number, |(short, _)| short).to_owned()
}

/// A value without the blanks around it, and what ends it: `,`, `;` or `+`, or nothing.
fn value(rest: &mut Chars<'_>) -> Option<(String, Option<char>)> {
    let trimmed = rest.as_str().trim_start_matches(' ');
    *rest = trimmed.chars();
    if trimmed.starts_with('"') {
        return quoted(rest);
    }
    let (mut bytes, mut kept) = (Vec::new(), 0);
    let end = loop {
        match rest.next() {
            end @ (None | Some(',' | ';' | '+')) => break end,
            Some('\\') => {
                bytes.push(escaped(rest)?);
                kept = bytes.len();
            }
            Some('"') => return None,
            Some(c) => {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                if c != ' ' {
                    kept = bytes.len();
                }
            }
        }
    };
    bytes.truncate(kept);
    Some((String::from_utf8(bytes).ok()?, end))
}

/// As [`value`], for one in quotes.
fn quoted(rest: &mut Chars<'_>) -> Option<(String, Option<char>)> {
    rest.next();
    let mut bytes = Vec::new();
    loop {
        match rest.next()? {
            '"' => break,
            '\\' => bytes.push(escaped(rest)?),
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    let trimmed = rest.as_str().trim_start_matches(' ');
    *rest = trimmed.chars();
    let end = rest.next();
    matches!(end, None | Some(',' | ';' | '+')).then_some(())?;
    Some((String::from_utf8(bytes).ok()?, end))
}

/// What stands behind a backslash: two digits of a byte, or a character that stands for itself.
fn escaped(rest: &mut Chars<'_>) -> Option<u8> {
    let text = rest.as_str();
    if let Some(byte) = text
        .get(..2)
        .filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|two| u8::from_str_radix(two, 16).ok())
    {
        *rest = text[2..].chars();
        return Some(byte);
    }
    let c = rest.next()?;
    matches!(
        c,
        ' ' | '"' | '#' | '+' | ',' | ';' | '<' | '=' | '>' | '\\'
    )
    .then_some(c as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: ConnectionType = ConnectionType::Standard;

    fn users(names: &[&str]) -> Vec<User> {
        let user = |name: &&str| User {
            name: (*name).to_owned(),
            ..User::default()
        };
        names.iter().map(user).collect()
    }

    #[test]
    fn the_log_tells_the_first_names_in_quotes_and_bounded() {
        let part = |value: &str| vec![("2.5.4.3".to_owned(), value.to_owned())];
        let subject = DistinguishedName::of_certificate(vec![part("Acme, Inc\n"), part(" ann")]);
        let text = subject.to_string();
        assert_eq!(text, "CN=\\ ann,CN=Acme\\, Inc\n");
        assert_eq!(DistinguishedName::parse(&text), Some(subject.clone()));
        let names = |emails: Vec<String>| Names {
            emails,
            subject: subject.clone(),
            ..Names::default()
        };
        assert_eq!(Names::default().told(), "");
        let told = names(vec!["a@b".to_owned()]).told();
        assert_eq!(told, r#""a@b", "CN=\\ ann,CN=Acme\\, Inc\n""#);
        let told = names(vec!["x".repeat(1000); 100]).told();
        let one = format!("{:?}...", "x".repeat(TOLD_CHARS_MAX));
        assert_eq!(told, format!("{one}, {one}, {one}, {one} and 97 more"));
    }

    /// The subject `CN=carl,OU=Dev,O=Acme`, as a certificate has it.
    fn carl() -> Names {
        let part = |number: &str, value: &str| vec![(number.to_owned(), value.to_owned())];
        Names {
            subject: DistinguishedName::of_certificate(vec![
                part("2.5.4.10", "Acme"),
                part("2.5.4.11", "Dev"),
                part("2.5.4.3", "carl"),
            ]),
            ..Names::default()
        }
    }

    fn found(names: &Names, users: &[User]) -> Option<String> {
        user(users, names, STANDARD).map(|user| user.name.clone())
    }

    #[test]
    fn a_subject_is_matched_by_all_of_its_parts_in_any_order() {
        for (name, expected) in [
            ("CN=carl,OU=Dev,O=Acme", true),
            ("O=Acme,OU=Dev,CN=carl", true),
            ("CN=carl, OU=Dev , O = Acme", true),
            ("cn=carl,ou=Dev,o=Acme", true),
            ("2.5.4.3=carl,OID.2.5.4.11=Dev,O=Acme", true),
            ("CN=\"carl\";OU=\\44ev;O=Acme", true),
            (r"CN=\+6carl,OU=Dev,O=Acme", false),
            ("CN=Carl,OU=Dev,O=Acme", false),
            ("CN=carl,OU=dev,O=Acme", false),
            ("CN=carl,OU=Dev", false),
            ("CN=carl,OU=Dev,O=Acme,C=DE", false),
            ("CN=carl,OU=Dev,OU=Dev,O=Acme", false),
            ("CN=carl+OU=Dev,O=Acme", false),
            ("carl", false),
            ("", false),
            ("CN=carl,OU=Dev,O=Acme,", false),
        ] {
            let users = users(&["other", name]);
            assert_eq!(found(&carl(), &users).is_some(), expected, "{name}");
        }
    }

    #[test]
    fn the_same_order_counts_more_than_another() {
        let users = users(&["O=Acme,OU=Dev,CN=carl", "CN=carl,OU=Dev,O=Acme"]);
        assert_eq!(
            found(&carl(), &users).as_deref(),
            Some("CN=carl,OU=Dev,O=Acme")
        );
    }

    #[test]
    fn alternative_names_come_first_in_the_order_of_their_kinds() {
        let mut names = Names {
            emails: vec!["x@acme.test".to_owned(), "carl@acme.test".to_owned()],
            hosts: vec!["carl.acme.test".to_owned()],
            uris: vec!["urn:carl".to_owned()],
            ..carl()
        };
        let users = users(&[
            "CN=carl,OU=Dev,O=Acme",
            "urn:carl",
            "carl.acme.test",
            "carl@acme.test",
        ]);
        for expected in users.iter().rev().map(|user| Some(user.name.clone())) {
            assert_eq!(found(&names, &users), expected);
            for kind in [&mut names.uris, &mut names.hosts, &mut names.emails] {
                if expected.as_ref().is_some_and(|name| kind.contains(name)) {
                    kind.clear();
                }
            }
        }
        let only_host = Names {
            hosts: vec!["carl.acme.test".to_owned()],
            ..Names::default()
        };
        assert_eq!(found(&only_host, &users).as_deref(), Some("carl.acme.test"));
        assert_eq!(found(&Names::default(), &users), None);
    }

    #[test]
    fn domain_components_are_parts_and_count_as_often_as_they_are_there() {
        let part = |number: &str, value: &str| vec![(number.to_owned(), value.to_owned())];
        let dc = "0.9.2342.19200300.100.1.25";
        let names = Names {
            subject: DistinguishedName::of_certificate(vec![
                part(dc, "com"),
                part(dc, "acme"),
                vec![
                    ("2.5.4.3".to_owned(), "a, b".to_owned()),
                    ("1.2.3".to_owned(), "x".to_owned()),
                ],
            ]),
            ..Names::default()
        };
        for (name, expected) in [
            ("CN=a\\, b+1.2.3=x,DC=acme,DC=com", true),
            ("DC=com,DC=acme,1.2.3=x+CN=\"a, b\"", true),
            ("CN=a\\, b+1.2.3=x,DC=acme,DC=acme", false),
            ("CN=a\\, b,1.2.3=x,DC=acme,DC=com", false),
            ("CN=a\\, b+1.2.3=x", false),
        ] {
            assert_eq!(found(&names, &users(&[name])).is_some(), expected, "{name}");
        }
    }

    #[test]
    fn a_user_that_may_not_come_in_so_or_has_a_key_is_not_found() {
        let mut users = users(&["CN=carl,OU=Dev,O=Acme"]);
        users[0].connections = vec![ConnectionType::WebSocket];
        assert_eq!(found(&carl(), &users), None);
        assert!(user(&users, &carl(), ConnectionType::WebSocket).is_some());
        (users[0].connections, users[0].proof) = (Vec::new(), Proof::Signature);
        assert_eq!(found(&carl(), &users), None);
    }

    #[test]
    fn what_is_no_distinguished_name_is_none_whatever_is_in_it() {
        for text in [
            "",
            "=",
            "CN",
            "=x",
            "CN=\"x",
            "CN=\"x\"y",
            "CN=x\\",
            "CN=x\\q",
            "CN=x\\ff",
            "C N=x",
            "CN=x,,O=y",
            "CN=x\"y",
        ] {
            assert_eq!(DistinguishedName::parse(text), None, "{text}");
        }
        let parsed = DistinguishedName::parse("CN= \\ x y\\  ,O=");
        let expected = vec![
            vec![("CN".to_owned(), " x y ".to_owned())],
            vec![("O".to_owned(), String::new())],
        ];
        assert_eq!(parsed, Some(DistinguishedName(expected)));
    }
}
