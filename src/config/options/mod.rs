//! From a tree of values to settings: every option of nats-server's core, by all its names.
//!
//! What midge does is set. What midge has not yet (clusters, leaf nodes) is checked and then refused by
//! name, since to leave it out in silence would be worse; JetStream and MQTT, which clients of the core
//! do not miss, and a cluster of one are accepted with a notice. An unknown name is an error,
//! unless a `$NAME` has used it. All errors are told at once.
//!
//! * `table`: the options at the top, and what each sets; `authorization`: who may connect; `accounts`: in which
//!   space of subjects; `permissions`: what a user may do then; `limits`: what clients may have together; `tls`: TLS
//! * `callout`: who decides about clients instead
//! * `operators`: who vouches for accounts, whose tokens then say all this
//! * `mappings`: where else what is published goes; `sharing`: what accounts let each other have
//! * `listeners`: where else clients come in; `unix`: who may use a Unix socket, and as whom
//! * `unsupported`: the blocks that midge has not yet
//! * `reader`: types: text, switches, numbers, ports, addresses, durations
//! * `report`: what is told; `nearest`: what may have been meant

mod accounts;
mod authorization;
mod callout;
mod limits;
mod listeners;
mod mappings;
mod monitoring;
pub(crate) mod nearest;
mod operators;
mod permissions;
pub(crate) mod reader;
mod report;
mod sharing;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod unix;
mod unsupported;
mod websocket;

pub use report::{Refused, Report};

use crate::config::Monitor;
use crate::config::Options;
use crate::config::language::{Document, Error, Kind, Origin, Pair, Position, Value};
use authorization::Credentials;
pub(crate) use authorization::LONE_PASSWORD;
use operators::Operated;
use reader::Reader;
use sharing::Places;
use std::collections::BTreeMap;
use std::path::PathBuf;
use table::TABLE;
use unix::People;
use unsupported::UNSUPPORTED;

/// Where a setting that a file sets came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// Where its key stands.
    pub at: Position,
    /// Where its value is not simply written there: each `$NAME` that is, or is in, the value.
    pub origins: Vec<Origin>,
}

/// What a file comes to.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The defaults, and over them what the file says.
    pub options: Options,
    /// By the names of [`settings`](crate::config::settings): those the file sets, and where.
    pub written: BTreeMap<&'static str, Written>,
    /// What it says of monitoring beside the port, which a flag may bring.
    pub(crate) monitor: Monitor,
    /// What is wrong, and what is worth telling. With errors, `options` are of no use.
    pub report: Report,
}

/// Reads the options of a file.
///
/// ```
/// use midge::config::{language, options};
///
/// let text = b"port: 5222\nmax_paylod: 2MB";
/// let document = language::parse("a.conf".as_ref(), text, &language::System).expect("it is right");
/// let settings = options::settings(&document);
/// assert_eq!(settings.options.config.port, 5222);
/// assert_eq!(
///     settings.report.errors[0].to_string(),
///     "a.conf:2:1: unknown field \"max_paylod\"; did you mean max_payload?"
/// );
/// ```
pub fn settings(document: &Document) -> Settings {
    settings_among(document, &unix::System)
}

/// As [`settings`], on a machine with these users and groups.
fn settings_among(document: &Document, people: &dyn People) -> Settings {
    let mut settings = Settings::default();
    let mut written = BTreeMap::new();
    let mut reader = Reader {
        options: &mut settings.options,
        report: &mut settings.report,
        credentials: &mut Credentials::default(),
        operated: &mut Operated::default(),
        sharing: &mut Places::default(),
        monitor: &mut settings.monitor,
        people,
        trace_verbose: &mut false,
    };
    for pair in document.root.iter() {
        let is = |names: &[&str]| {
            names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&pair.key))
        };
        if let Some(entry) = TABLE.iter().find(|entry| is(entry.names)) {
            (entry.apply)(&mut reader, pair);
            note(&mut written, entry.sets, pair);
            if entry.names[0] == "authorization"
                && let Some(callout) = callout::pair_of(pair)
            {
                note(&mut written, &["auth_callout"], callout);
            }
        } else if let Some(option) = UNSUPPORTED.iter().find(|option| is(option.names)) {
            reader.refuse_option(pair, option);
            if option.names[0] == "cluster"
                && let Some(name) = unsupported::cluster_name(pair)
            {
                note(&mut written, &["cluster_name"], name);
            }
        } else if !pair.used {
            let names = TABLE.iter().map(|entry| entry.names);
            let known = names.chain(UNSUPPORTED.iter().map(|option| option.names));
            reader.unknown(pair, "", known.flatten().copied());
        }
    }
    if !reader.credentials_are() {
        written.remove("authorization timeout");
    }
    if reader.options.config.auth_callout.is_none() {
        written.remove("auth_callout");
    }
    let system_account = reader.options.config.system_account.clone();
    reader.operators_are();
    if reader.options.config.system_account != system_account
        && let Some(at) = written.get("operator").cloned()
    {
        written.insert("system_account", at);
    }
    if reader.options.config.operators().is_some()
        && let Some(by) = written
            .get("operator")
            .or(written.get("trusted_keys"))
            .cloned()
    {
        // Users and accounts come with their tokens.
        written.entry("authorization").or_insert(by.clone());
        written.entry("accounts").or_insert(by);
    }
    if reader.options.config.default_permissions.is_none() {
        written.remove("default_permissions");
    }
    reader.sharing_is();
    reader.monitor_is();
    let unix = reader.options.config.unix.as_ref();
    if unix.is_some_and(|unix| !unix.path.as_os_str().is_empty())
        && let Some(port) = document.root.iter().find(|pair| listeners::is_port(pair))
    {
        reader.report.error(&port.at, listeners::TWO_PLACES);
    }
    if reader.options.config.unix.is_some()
        && let Some(at) = written.get("host").cloned()
    {
        written.entry("unix").or_insert(at);
    }
    if document.root.is_empty() {
        let at = Position {
            file: document
                .files
                .first()
                .map_or("".into(), |file| file.display().to_string().into()),
            line: 1,
            column: 1,
        };
        let text = "config has no values or is empty";
        reader.report.warning(&at, text);
    }
    settings.written = written;
    settings
        .report
        .notices
        .extend(document.notices.iter().cloned());
    // As they stand in the files.
    let place = |error: &Error| {
        let at = error.at.as_ref()?;
        let of_file = |file: &PathBuf| *file.as_os_str() == *at.file;
        let file = document.files.iter().position(of_file);
        Some((file, at.line, at.column))
    };
    settings.report.errors.sort_by_key(place);
    settings.report.warnings.sort_by_key(place);
    settings
}

fn note(written: &mut BTreeMap<&'static str, Written>, sets: &'static [&'static str], pair: &Pair) {
    for name in sets {
        let mut origins = Vec::new();
        find_origins(&pair.value, &mut origins);
        let at = pair.at.clone();
        written.insert(name, Written { at, origins });
    }
}

fn find_origins(value: &Value, found: &mut Vec<Origin>) {
    if value.origin != Origin::Written && !found.contains(&value.origin) {
        found.push(value.origin.clone());
    }
    match &value.kind {
        Kind::List(list) => list.iter().for_each(|value| find_origins(value, found)),
        Kind::Map(map) => map.iter().for_each(|pair| find_origins(&pair.value, found)),
        _ => {}
    }
}
