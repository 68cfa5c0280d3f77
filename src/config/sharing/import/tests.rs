//! Tables of what `to` and `prefix` come to, and of what is none.

use super::*;

/// An import of `subject` as it is written in a table: `to X`, `prefix X`, or nothing.
fn import(kind: &str, subject: &str, name: &str) -> Result<Import, InvalidImport> {
    let import = match kind {
        "stream" => Import::stream("A", subject)?,
        _ => Import::service("A", subject)?,
    };
    match name.split_once(' ') {
        Some(("to", to)) => import.to(to),
        Some((_, prefix)) => import.with_prefix(prefix),
        None => Ok(import),
    }
}

/// Kind, subject, name; the pattern in the importer; a subject, and what it goes to.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

#[test]
fn a_subject_goes_to_the_exporter_or_comes_from_there_with_its_tokens_in_their_places() {
    const TABLE: &[Row] = &[
        ("service", "svc", "", "svc", "svc", "svc"),
        (
            "service",
            "svc",
            "to local.svc",
            "local.svc",
            "local.svc",
            "svc",
        ),
        (
            "service",
            "tr.*.*",
            "to rt.$2.$1",
            "rt.*.*",
            "rt.two.one",
            "tr.one.two",
        ),
        (
            "service",
            "tr.*.*",
            "to tr.$2.$1",
            "tr.*.*",
            "tr.two.one",
            "tr.one.two",
        ),
        (
            "service",
            "tr.*.*",
            "to tr.$1.$2",
            "tr.*.*",
            "tr.a.b",
            "tr.a.b",
        ),
        ("service", "tr.*.*", "to *.x.*", "*.x.*", "a.x.b", "tr.a.b"),
        ("service", "tr.*.*", "to *.$2", "*.*", "a.b", "tr.a.b"),
        (
            "service",
            "a.*.b.*.>",
            "to x.{{wildcard(2)}}.{{Wildcard(1)}}.>",
            "x.*.*.>",
            "x.p.q.r.s",
            "a.q.b.p.r.s",
        ),
        ("service", ">", "to all.>", "all.>", "all.a.b", "a.b"),
        ("service", "svc", "to x.*.>", "x.*.>", "x.a.b.c", "svc"),
        // On the exporter's side it is text.
        ("service", "a.$1.*", "to x.*", "x.*", "x.b", "a.$1.b"),
        ("stream", "pub.>", "", "pub.>", "pub.a", "pub.a"),
        (
            "stream",
            "pub.>",
            "prefix fromA",
            "fromA.pub.>",
            "pub.a.b",
            "fromA.pub.a.b",
        ),
        (
            "stream",
            "pub.*",
            "prefix p.q.",
            "p.q.pub.*",
            "pub.a",
            "p.q.pub.a",
        ),
        ("stream", "pub", "to my.x", "my.x", "pub", "my.x"),
        (
            "stream",
            "a.*.*",
            "to x.$2.y.$1",
            "x.*.y.*",
            "a.1.2",
            "x.2.y.1",
        ),
        (
            "stream",
            "a.*.*",
            "to x.$1.$2.$1",
            "x.*.*.*",
            "a.1.2",
            "x.1.2.1",
        ),
        ("stream", "a.*.>", "to *.b.>", "*.b.>", "a.1.2.3", "1.b.2.3"),
        ("stream", "a.*", "to a.*", "a.*", "a.1", "a.1"),
    ];
    for (kind, subject, name, local, given, expected) in TABLE {
        let import = import(kind, subject, name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((import.local(), import.subject()), (*local, *subject));
        let mut out = Vec::new();
        match import.transform() {
            Some(transform) => transform.put(given.as_bytes(), &mut out),
            None => out.extend_from_slice(given.as_bytes()),
        }
        assert_eq!(String::from_utf8_lossy(&out), *expected, "{import}");
        assert_eq!(import.transform().is_none(), given == expected, "{import}");
    }
}

#[test]
fn an_import_is_shown_as_it_is_written() {
    for (kind, subject, name, expected) in [
        ("stream", "a", "", "{stream: {account: A, subject: a}}"),
        (
            "stream",
            "a.>",
            "prefix p.",
            "{stream: {account: A, subject: a.>}, prefix: p}",
        ),
        (
            "service",
            "a.*",
            "to b.$1",
            "{service: {account: A, subject: a.*}, to: b.$1}",
        ),
    ] {
        let import = import(kind, subject, name).expect("it is right");
        assert_eq!(import.to_string(), expected);
    }
    let shared = Import::service("A", "a")
        .and_then(Import::shared)
        .expect("it is right");
    assert_eq!(shared.kind(), ImportKind::Service { share: true });
    assert_eq!(
        shared.to_string(),
        "{service: {account: A, subject: a}, share: true}"
    );
}

#[test]
fn what_is_no_import_is_told_with_what_to_write() {
    const BAD: &str = "invalid mapping destination";
    for (kind, subject, name, expected) in [
        ("stream", "", "", "Expect an account name and a subject"),
        ("service", "a..b", "", "sublist: invalid subject; it has"),
        (
            "service",
            "a",
            "to b..c",
            "sublist: invalid subject; to has",
        ),
        ("service", "a", "to b c", "sublist: invalid subject; to has"),
        (
            "service",
            "a",
            "prefix b",
            "only streams have a prefix; use to",
        ),
        (
            "stream",
            "a",
            "prefix p.*",
            "stream import prefix can not contain wildcard tokens",
        ),
        ("stream", "a", "prefix .p", "invalid subject; a prefix has"),
        ("stream", "a", "prefix p q", "invalid subject; a prefix has"),
        (
            "stream",
            "a.*",
            "to x",
            "from \"a.*\" to \"x\": {BAD}: not using all of the token wildcard(s) in x;",
        ),
        (
            "service",
            "a.*",
            "to x",
            "from \"x\" to \"a.*\": {BAD}: not using all of the token wildcard(s) in x;",
        ),
        (
            "service",
            "a.*.*",
            "to x.$1.*",
            "{BAD}: not using all of the token wildcard(s) in x.$1.*;",
        ),
        (
            "service",
            "a.*.>",
            "to x.>",
            "{BAD}: not using all of the token wildcard(s) in x.>;",
        ),
        (
            "service",
            "a.*",
            "to x.$1.$1",
            "{BAD}: a wildcard is named twice in x.$1.$1;",
        ),
        (
            "service",
            "a.*",
            "to x.*.*",
            "{BAD}: wildcard index out of range in $2: [2];",
        ),
        (
            "stream",
            "a.*",
            "to x.$2",
            "{BAD}: wildcard index out of range in $2: [2];",
        ),
        (
            "stream",
            "a",
            "to x.*",
            "{BAD}: wildcard index out of range in $1; the source has no *",
        ),
        (
            "service",
            "a",
            "to x.$1",
            "{BAD}: wildcard index out of range in $1; the source has no *",
        ),
        (
            "service",
            "a.>",
            "to x",
            "invalid subject; to ends in > if the subject does",
        ),
        (
            "stream",
            "a",
            "to x.>",
            "invalid subject; to ends in > if the subject does",
        ),
        (
            "service",
            "a.*",
            "to x.>",
            "invalid subject; to ends in > if the subject does",
        ),
        (
            "stream",
            "a.*",
            "to x.{{partition(3,1)}}",
            "{BAD}: the only mapping function allowed for import transforms is {{Wildcard()}} in {{partition(3,1)}}",
        ),
        (
            "stream",
            "a.*",
            "to {{foo(1)}}",
            "{BAD}: unknown function in {{foo(1)}};",
        ),
    ] {
        let wrong = import(kind, subject, name)
            .expect_err("it is none")
            .to_string();
        let expected = expected.replace("{BAD}", BAD);
        assert!(wrong.contains(&expected), "{wrong}\n{expected}");
        let begin = format!("Error adding {kind} import {subject:?}: ");
        assert!(subject.is_empty() || wrong.starts_with(&begin), "{wrong}");
    }
    let stream = Import::stream("A", "a").and_then(Import::shared);
    assert!(
        stream
            .expect_err("nobody asks")
            .to_string()
            .contains("share")
    );
    assert_eq!(Import::stream("", "a"), Err(InvalidImport::NoName));
}
