//! What is asked by a message, and what is answered.
//!
//! A question may say which servers it is for, and what it wants to know, in the JSON of its payload. Who is not meant
//! says nothing, as several servers may be asked at once.

use super::body::{failed, json, opened, statsz};
use super::deeds::Deed;
use super::subscribers::Subscribers;
use crate::core::requests::Request;
use crate::monitor::Pieces;
use crate::monitor::endpoints::{self, Asked, Endpoint};
use crate::monitor::query::Query;
use crate::monitor::view::View;
use crate::state::State;
use serde::Serialize;
use serde_json::{Map, Value};

/// What can be asked of a server, by its last token.
const OF_A_SERVER: &[(&str, What)] = &[
    ("STATSZ", What::Statsz),
    ("IDZ", What::Idz),
    ("VARZ", What::Data(Endpoint::Varz)),
    ("SUBSZ", What::Data(Endpoint::Subsz)),
    ("CONNZ", What::Data(Endpoint::Connz)),
    ("ROUTEZ", What::Data(Endpoint::Routez)),
    ("GATEWAYZ", What::Data(Endpoint::Gatewayz)),
    ("LEAFZ", What::Data(Endpoint::Leafz)),
    ("ACCOUNTZ", What::Data(Endpoint::Accountz)),
    ("JSZ", What::Data(Endpoint::Jsz)),
    ("HEALTHZ", What::Health),
    ("IPQUEUESZ", What::Data(Endpoint::Ipqueuesz)),
];

/// What can be asked of an account.
const OF_AN_ACCOUNT: &[(&str, What)] = &[
    ("CONNZ", What::Data(Endpoint::Connz)),
    ("SUBSZ", What::Data(Endpoint::Subsz)),
    ("LEAFZ", What::Data(Endpoint::Leafz)),
    ("INFO", What::Account),
    ("STATZ", What::Data(Endpoint::Accstatz)),
    ("CONNS", What::Connections),
];

/// What can be asked of this server alone, since it changes something.
const OF_THIS_SERVER: &[(&str, What)] = &[
    ("KICK", What::Kick),
    ("LDM", What::LameDuck),
    ("RELOAD", What::Reload),
];

/// How many subscriptions a subject has: of an account that the payload names, and of the service's own.
const SUBSCRIBERS: &str = "$SYS.REQ.ACCOUNT.NSUBS";
const OWN_SUBSCRIBERS: &str = "$SYS.DEBUG.SUBSCRIBERS";

const SERVERS: &str = "$SYS.REQ.SERVER.";
const ACCOUNTS: &str = "$SYS.REQ.ACCOUNT.";
/// In place of the name of a server, or of an account: all of them.
const ALL: &str = "PING";

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum What {
    /// Who this server is.
    Idz,
    /// The counters.
    Statsz,
    /// Whether clients may come.
    Health,
    /// What an account is.
    Account,
    /// How many connections an account has, as the event tells it.
    Connections,
    /// How many subscriptions of an account a subject has, and how many of the service's own.
    Subscribers,
    OwnSubscribers,
    /// A connection is to be closed.
    Kick,
    /// A client is to be told to go elsewhere.
    LameDuck,
    /// The configuration is to be read again.
    Reload,
    /// What an endpoint of HTTP says.
    Data(Endpoint),
}

/// What is asked, and of which account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Question {
    what: What,
    account: Option<String>,
}

impl Question {
    /// What is asked by a message to this subject.
    fn of(subject: &[u8]) -> Option<Question> {
        let subject = str::from_utf8(subject).ok()?;
        let plain = |what| {
            Some(Question {
                what,
                account: None,
            })
        };
        match subject {
            SUBSCRIBERS => return plain(What::Subscribers),
            OWN_SUBSCRIBERS => return plain(What::OwnSubscribers),
            _ => {}
        }
        let named = |rest: &'_ str, list: &[(&str, What)]| {
            let (whose, name) = rest.rsplit_once('.').unwrap_or((rest, "STATSZ"));
            let found = list.iter().find(|(known, _)| *known == name);
            found.map(|(_, what)| (whose.to_owned(), *what))
        };
        if let Some(rest) = subject.strip_prefix(SERVERS) {
            let (_, what) = named(rest, OF_A_SERVER).or_else(|| named(rest, OF_THIS_SERVER))?;
            return plain(what);
        }
        let (account, what) = named(subject.strip_prefix(ACCOUNTS)?, OF_AN_ACCOUNT)?;
        Some(Question {
            what,
            account: Some(account).filter(|account| account != ALL),
        })
    }

    /// Whether a message to this subject asks for the counters, which may be told to all.
    pub(super) fn is_of_counters(subject: &[u8]) -> bool {
        Question::of(subject).is_some_and(|question| question.what == What::Statsz)
    }

    /// All subjects by which this server is asked.
    pub(super) fn subjects(server_id: &str) -> Vec<String> {
        let mut subjects = vec![format!("{SERVERS}{ALL}")];
        for whose in [ALL, server_id] {
            subjects.extend(
                OF_A_SERVER
                    .iter()
                    .map(|(name, _)| format!("{SERVERS}{whose}.{name}")),
            );
        }
        subjects.extend(
            OF_THIS_SERVER
                .iter()
                .map(|(name, _)| format!("{SERVERS}{server_id}.{name}")),
        );
        subjects.extend([SUBSCRIBERS, OWN_SUBSCRIBERS].map(str::to_owned));
        subjects.extend(
            OF_AN_ACCOUNT
                .iter()
                .map(|(name, _)| format!("{ACCOUNTS}*.{name}")),
        );
        subjects
    }
}

#[derive(Serialize)]
struct Idz<'a> {
    name: &'a str,
    host: &'a str,
    id: &'a str,
}

/// As over HTTP, where the status says the same.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// What is said to a question.
pub(super) enum Answer {
    Whole(Vec<u8>),
    Pieces {
        /// What stands before the first.
        made: Vec<u8>,
        pieces: Box<dyn Pieces>,
        /// What stands behind the last.
        last: &'static [u8],
    },
    /// The event that tells how many connections this account has.
    Connections(String),
    /// This is to be done.
    Deed(Deed),
    /// Another server is meant.
    Silence,
}

/// Answers a request.
pub(super) fn answer(view: &View<'_>, request: &Request) -> Answer {
    let Some(question) = Question::of(&request.subject) else {
        return Answer::Silence;
    };
    let is_its_own = request.subject.starts_with(ACCOUNTS.as_bytes());
    answer_to(view, question, is_its_own, &request.payload)
}

/// Answers what an account is asked by its own clients, which says nothing of any other.
pub(super) fn answer_of_account(
    view: &View<'_>,
    endpoint: Endpoint,
    account: &str,
    payload: &[u8],
) -> Answer {
    let question = Question {
        what: What::Data(endpoint),
        account: Some(account.to_owned()),
    };
    answer_to(view, question, true, payload)
}

/// Answers a question with the options in a payload; `is_its_own` if without an account that of the service is meant.
fn answer_to(view: &View<'_>, question: Question, is_its_own: bool, payload: &[u8]) -> Answer {
    if question.what == What::OwnSubscribers {
        // A subject, and the name of a queue group may follow.
        let mut words = payload
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let account = own(view).unwrap_or_default();
        let (subject, queue) = (words.next().unwrap_or_default(), words.next());
        return counted(Subscribers::of(account, subject, queue));
    }
    let options = match options(payload) {
        Ok(options) => options,
        Err(error) => return failure(view, 400, &error),
    };
    if !is_meant(view, &options) {
        return Answer::Silence;
    }
    let info = &view.state.info;
    match question.what {
        What::Idz => Answer::Whole(json(&Idz {
            name: &info.server_name,
            host: &info.host,
            id: &info.server_id,
        })),
        What::Statsz => Answer::Whole(statsz(view)),
        What::Health => {
            let error = endpoints::not_ready(view);
            let (status, status_code) = match error {
                None => ("ok", 200),
                Some(_) => ("error", 500),
            };
            let health = Health {
                status,
                status_code,
                error,
            };
            data(view, Asked::Whole(json(&health)))
        }
        What::Account => {
            let name = question.account.or_else(|| own(view)).unwrap_or_default();
            match view.has_account(&name) {
                true => data(view, endpoints::account(name)),
                false => failure(view, 500, &format!("Account {name} does not exist")),
            }
        }
        What::Connections => match question.account.filter(|name| view.has_account(name)) {
            Some(account) => Answer::Connections(account),
            None => Answer::Silence,
        },
        What::Subscribers => {
            let text = |name: &str| options.get(name).and_then(Value::as_str);
            match (text("acc"), text("subject")) {
                (Some(account), Some(subject)) => {
                    let queue = text("queue")
                        .map(str::as_bytes)
                        .filter(|queue| !queue.is_empty());
                    let account = account.to_owned();
                    counted(Subscribers::of(account, subject.as_bytes(), queue))
                }
                _ => Answer::Silence,
            }
        }
        What::OwnSubscribers => Answer::Silence,
        What::Kick | What::LameDuck => match options.get("cid").map(Value::as_u64) {
            Some(Some(cid)) if question.what == What::Kick => Answer::Deed(Deed::Kick(cid)),
            Some(Some(cid)) => Answer::Deed(Deed::LameDuck(cid)),
            Some(None) => failure(view, 400, "cid must be the number of a connection"),
            None => failure(view, 400, "name a connection: {\"cid\": 5}"),
        },
        What::Reload => Answer::Deed(Deed::Reload),
        What::Data(endpoint) => {
            let text = as_query(
                &options,
                endpoint,
                question
                    .account
                    .or_else(|| own(view).filter(|_| is_its_own && endpoint == Endpoint::Connz)),
            );
            match endpoints::asked(endpoint, view, &Query::new(&text)) {
                Ok(asked) => data(view, asked),
                Err(mistake) => failure(view, 500, &mistake),
            }
        }
    }
}

fn counted(subscribers: Subscribers) -> Answer {
    Answer::Pieces {
        made: Vec::new(),
        pieces: Box::new(subscribers),
        last: b"",
    }
}

/// The account that the service is in.
fn own(view: &View<'_>) -> Option<String> {
    view.state.config.system_account_name().map(str::to_owned)
}

fn data(view: &View<'_>, asked: Asked) -> Answer {
    let mut made = opened(view, "data");
    match asked {
        Asked::Whole(body) => {
            made.extend(body);
            made.push(b'}');
            Answer::Whole(made)
        }
        Asked::Pieces(pieces) => Answer::Pieces {
            made,
            pieces,
            last: b"}",
        },
    }
}

fn failure(view: &View<'_>, code: u16, description: &str) -> Answer {
    Answer::Whole(failed(view, code, description))
}

/// What a payload asks for: an object, or nothing.
fn options(payload: &[u8]) -> Result<Map<String, Value>, String> {
    if payload.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(payload).map_err(|error| error.to_string())
}

/// Whether this server is one of those that are asked.
fn is_meant(view: &View<'_>, options: &Map<String, Value>) -> bool {
    let State { config, info, .. } = view.state;
    let text = |name: &str| options.get(name).and_then(Value::as_str).unwrap_or("");
    let tags = options.get("tags").and_then(Value::as_array);
    let mut tags = tags.into_iter().flatten().filter_map(Value::as_str);
    let has_tag = |tag: &str| {
        config
            .server_tags
            .iter()
            .any(|own| own.eq_ignore_ascii_case(tag))
    };
    info.server_name.contains(text("server_name"))
        && info.host.contains(text("host"))
        && config
            .cluster_name
            .as_deref()
            .unwrap_or("")
            .contains(text("cluster"))
        && text("domain").is_empty()
        && tags.all(has_tag)
}

/// What is asked for, as HTTP has it.
fn as_query(options: &Map<String, Value>, endpoint: Endpoint, account: Option<String>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let is_of_account = account.is_some();
    for (name, value) in options {
        let value = match (name.as_str(), value) {
            ("state", Value::Number(number)) => match number.as_u64() {
                Some(1) => "closed".to_owned(),
                Some(2) => "all".to_owned(),
                _ => "open".to_owned(),
            },
            ("subscriptions_detail", Value::Bool(true)) => "detail".to_owned(),
            (_, Value::String(text)) => text.clone(),
            (_, Value::Bool(_) | Value::Number(_)) => value.to_string(),
            _ => continue,
        };
        let name = match name.as_str() {
            "subscriptions" | "subscriptions_detail" => "subs",
            "account" => "acc",
            name => name,
        };
        if !(is_of_account && name == "acc") {
            query.append_pair(name, &value);
        }
    }
    if let Some(account) = account {
        query.append_pair("acc", &account);
        if endpoint == Endpoint::Subsz {
            query.append_pair("subs", "1");
        }
        if endpoint == Endpoint::Accstatz {
            query.append_pair("unused", "1");
        }
    }
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(subject: &str) -> Option<(What, Option<String>)> {
        Question::of(subject.as_bytes()).map(|question| (question.what, question.account))
    }

    #[test]
    fn each_subject_of_the_service_asks_something_and_no_other_does() {
        for subject in Question::subjects("NSERVER") {
            let subject = subject.replace('*', "A");
            assert!(asked(&subject).is_some(), "{subject}");
        }
        for subject in ["$SYS.REQ.SERVER.PING.NOPE", "$SYS.REQ.ACCOUNT.A.VARZ", "a"] {
            assert_eq!(asked(subject), None, "{subject}");
        }
        let (connz, of_a) = (What::Data(Endpoint::Connz), Some("A".to_owned()));
        assert_eq!(asked("$SYS.REQ.SERVER.PING"), Some((What::Statsz, None)));
        assert_eq!(asked("$SYS.REQ.SERVER.PING.CONNZ"), Some((connz, None)));
        assert_eq!(asked("$SYS.REQ.ACCOUNT.A.CONNZ"), Some((connz, of_a)));
        assert_eq!(asked("$SYS.REQ.ACCOUNT.PING.CONNZ"), Some((connz, None)));
    }

    #[test]
    fn options_are_what_http_has_in_its_query_and_the_account_of_the_subject_counts() {
        let query = |text: &str, endpoint, account: Option<&str>| {
            let options = options(text.as_bytes()).expect("it is an object");
            let query = as_query(&options, endpoint, account.map(str::to_owned));
            let mut pairs: Vec<&str> = query.split('&').collect();
            pairs.sort_unstable();
            pairs.join("&")
        };
        let text = r#"{"limit":5,"subscriptions":true,"state":1,"acc":"B","tags":[]}"#;
        for (account, expected) in [(None, "B"), (Some("A"), "A")] {
            assert_eq!(
                query(text, Endpoint::Connz, account),
                format!("acc={expected}&limit=5&state=closed&subs=true")
            );
        }
        assert_eq!(
            query(r#"{"account":"A"}"#, Endpoint::Accountz, None),
            "acc=A"
        );
        assert_eq!(query("", Endpoint::Subsz, Some("A")), "acc=A&subs=1");
        assert!(options(b"[]").is_err() && options(b" ").is_ok_and(|none| none.is_empty()));
    }
}
