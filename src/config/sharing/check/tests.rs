//! Tables of accounts, and what is told of them.

use super::*;
use crate::config::Service;
use crate::config::sharing::{Export, ExportKind, Import};

/// Accounts as a table has them: `A: service a.* for B C token 2; B: import service A a.x to y`.
pub(in crate::config::sharing) fn accounts(text: &str) -> BTreeMap<String, Account> {
    let mut accounts = BTreeMap::new();
    for account in text.split(';') {
        let (name, items) = account.split_once(':').expect("NAME: ITEMS");
        let mut made = Account::default();
        for item in items
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let words: Vec<&str> = item.split(' ').collect();
            match words[..] {
                ["import", kind, exporter, subject, ref name @ ..] => {
                    let import = match kind {
                        "stream" => Import::stream(exporter, subject),
                        _ => Import::service(exporter, subject),
                    };
                    let import = import.and_then(|import| match name {
                        ["to", to] => import.to(to),
                        ["prefix", prefix] => import.with_prefix(prefix),
                        _ => Ok(import),
                    });
                    made.imports.push(import.expect("it is right"));
                }
                [kind, subject, ref more @ ..] => {
                    let kind = match kind {
                        "stream" => ExportKind::Stream,
                        _ => ExportKind::Service(Service::default()),
                    };
                    let mut export = Export::new(subject, kind).expect("it is right");
                    let mut more = more.iter();
                    while let (Some(word), Some(value)) = (more.next(), more.next()) {
                        let made = match *word {
                            "for" => export.only_for(value.split('+')),
                            _ => export.with_account_token(value.parse().expect("a number")),
                        };
                        export = made.expect("it is right");
                    }
                    made.exports.push(export);
                }
                _ => panic!("{item}"),
            }
        }
        accounts.insert(name.trim().to_owned(), made);
    }
    accounts
}

/// What is told, a line for each: whose, which, and the text.
pub(in crate::config::sharing) fn told(text: &str) -> String {
    let faults = faults(&accounts(text)).into_iter();
    let lines = faults.map(|fault| match fault.place {
        Place::Export(place) => format!("{} export {place}: {}", fault.account, fault.text),
        Place::Import(place) => format!("{} import {place}: {}", fault.account, fault.text),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(told(text), *expected, "{text}");
    }
}

#[test]
fn what_is_exported_may_be_imported_whole_or_in_part() {
    for text in [
        "A: stream a.*, service s.>; B: import stream A a.*, import stream A a.b, import service A s.x.> to t.>",
        "A: service a; B: import service A a, import service A a to b, import service A a to c",
        "A: service a; A2: service a; B: import service A a, import service A2 a",
        "A: service a.*, service a.b for B; B: import service A a.b",
        "A: service a.* for B, service a.b; C: import service A a.b; B:",
        "A: service x.* token 2; B: import service A x.B to y",
        "A: stream x.*.* token 2 for B+C; B: import stream A x.B.*; C:",
        "A: stream a, service a; B: import stream A a, import service A a",
        "A: service s.*.*; B: import service A s.*.* to x.$1.$2, import service A s.*.* to x.$2.$1",
    ] {
        assert_eq!(told(text), "", "{text}");
    }
}

#[test]
fn what_is_not_exported_or_to_others_or_wider_is_not_authorized() {
    check(&[
        (
            "A: service a; B: import stream A a",
            "B import 0: Error adding stream import \"a\": stream import not authorized; \"A\" exports no stream that \
             has all of it",
        ),
        (
            "A: service a.*; B: import service A a.x, import service A a.>",
            "B import 1: Error adding service import \"a.>\": service import not authorized; \"A\" exports no service \
             that has all of it",
        ),
        (
            "A: stream a for C; B: import stream A a; C: import stream A a",
            "B import 0: Error adding stream import \"a\": stream import not authorized; \"A\" exports \"a\" to other \
             accounts only",
        ),
        (
            "A: service a.*, service a.b for C; B: import service A a.b; C:",
            "B import 0: Error adding service import \"a.b\": service import not authorized; \"A\" exports \"a.b\" to \
             other accounts only",
        ),
        (
            "A: stream a for B, import stream A a; B:",
            "A import 0: Error adding stream import \"a\": stream import not authorized; \"A\" exports \"a\" to other \
             accounts only",
        ),
        (
            "A: service x.* token 2; B: import service A x.C, import service A x.*",
            "B import 0: Error adding service import \"x.C\": service import not authorized; \"A\" exports \"x.*\" to \
             each account under its own name, so token 2 must be B\n\
             B import 1: Error adding service import \"x.*\": service import not authorized; \"A\" exports \"x.*\" to \
             each account under its own name, so token 2 must be B",
        ),
        // nats-server forgets the list.
        (
            "A: stream x.* token 2 for C; B: import stream A x.B; C:",
            "B import 0: Error adding stream import \"x.B\": stream import not authorized; \"A\" exports \"x.*\" to \
             other accounts only",
        ),
        // nats-server asks one of the two at random.
        (
            "A: service a.*.c for C, service a.>; B: import service A a.b.c; C: import service A a.b.c",
            "B import 0: Error adding service import \"a.b.c\": service import not authorized; \"A\" exports \"a.*.c\" \
             to other accounts only",
        ),
    ]);
}

#[test]
fn accounts_that_are_not_there_and_what_is_there_twice_are_told() {
    check(&[
        (
            "B: stream a for Z, service b for B+Y, import stream X c, import service $G d",
            "B export 0: \"Z\" account not defined for stream export\n\
             B export 1: \"Y\" account not defined for service export\n\
             B import 0: \"X\" account not defined for stream import\n\
             B import 1: \"$G\" account not defined for service import",
        ),
        (
            "A: service s.*; B: import service A s.a to x, import service A s.b to x",
            "B import 1: Duplicate service import subject \"x\", previously used in import for account \"A\", subject \
             \"s.a\"",
        ),
        (
            "A: stream s.*; B: import stream A s.a to x, import stream A s.a to y",
            "B import 1: Error adding stream import \"s.a\": stream import already exists",
        ),
        (
            "A: stream a, service a, stream a for A",
            "A export 2: Error adding stream export \"a\": it is exported twice; name all accounts in one list",
        ),
    ]);
}
