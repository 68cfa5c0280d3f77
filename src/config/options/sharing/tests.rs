//! Tables of exports and imports, and what each must come to.

use super::super::tests::check;

#[test]
fn exports_are_read_in_all_forms() {
    check(&[
        ("accounts {A {exports: [], imports: []}}", "accounts=[A]"),
        (
            "accounts {A {exports: [{stream: \"pub.>\"}, {stream: p, accounts: [B]}, {service: svc}]}, B {}}",
            "accounts=[A {exports: [{stream: pub.>}, {stream: p, accounts: [B]}, {service: svc}]}, B]",
        ),
        (
            "accounts {A {exports: [{service: a, response: Stream}, {service: b, response_type: CHUNK}, \
             {service: c, response: single}, {service: d, response: chunked}]}}",
            "accounts=[A {exports: [{service: a, response_type: stream}, {service: b, response_type: chunked}, \
             {service: c}, {service: d, response_type: chunked}]}]",
        ),
        (
            "accounts {A {exports: [{threshold: 5s, service: a}, {service: b, response_time: \"1m30s\"}, \
             {service: c, response_max_time: \"0s\"}, {service: d, response_threshold: 400ms}]}}",
            "accounts=[A {exports: [{service: a, response_threshold: 5s}, {service: b, response_threshold: 1m30s}, \
             {service: c}, {service: d, response_threshold: 400ms}]}]",
        ),
        (
            "accounts {A {exports: [{service: a, latency: l}, {service: b, latency: {sampling: 50%, subject: m}}, \
             {service: c, latency: {subject: n}}, {service: d, latency: {sampling: HEADERS, subject: o}}, \
             {service: e, latency: {sampling: 7, subject: p}}]}}",
            "accounts=[A {exports: [{service: a, latency: {sampling: 100%, subject: l}}, \
             {service: b, latency: {sampling: 50%, subject: m}}, {service: c, latency: {sampling: 100%, subject: n}}, \
             {service: d, latency: {sampling: headers, subject: o}}, \
             {service: e, latency: {sampling: 7%, subject: p}}]}]",
        ),
        (
            "accounts {A {exports: [{service: \"a.*\", account_token_position: 2}, \
             {stream: b, account_token_position: 0}], EXPORTS: [{stream: c}]}}",
            "accounts=[A {exports: [{service: a.*, account_token_position: 2}, {stream: b}, {stream: c}]}]",
        ),
        (
            "accounts {A {exports: [{service: a, allow_trace: true}]}}",
            "accounts=[A {exports: [{service: a}]}] ~f:1:37: \"allow_trace\" has no effect: messages are not traced \
             from broker to broker",
        ),
    ]);
}

#[test]
fn imports_are_read_in_all_forms() {
    const A: &str = "A {exports: [{stream: \"p.>\"}, {service: \"s.*.*\"}]}";
    for (imports, expected) in [
        (
            "{stream: {account: A, subject: \"p.>\"}}",
            "{stream: {account: A, subject: p.>}}",
        ),
        (
            "{prefix: fromA, stream: {subject: \"p.*\", account: A}}",
            "{stream: {account: A, subject: p.*}, prefix: fromA}",
        ),
        (
            "{stream: {account: A, subject: p.x}, to: my.x, prefix: \"\"}",
            "{stream: {account: A, subject: p.x}, to: my.x}",
        ),
        (
            "{Service: {account: A, subject: \"s.*.*\"}, to: \"t.$2.$1\", share: false}",
            "{service: {account: A, subject: s.*.*}, to: t.$2.$1}",
        ),
        (
            "{service: {account: A, subject: s.a.b}, to: \"\", share: off}",
            "{service: {account: A, subject: s.a.b}}",
        ),
    ] {
        let text = format!("accounts {{{A}, B {{imports: [{imports}]}}}}");
        let expected = format!(
            "accounts=[A {{exports: [{{stream: p.>}}, {{service: s.*.*}}]}}, B {{imports: [{expected}]}}]"
        );
        check(&[(&text, &expected)]);
    }
    check(&[(
        "accounts {A {exports: [{service: s, accounts: [B]}, {stream: s}, {service: s, accounts: [C]}]}, B {}, C {}}",
        "accounts=[A {exports: [{service: s, accounts: [B, C]}, {stream: s}]}, B, C]",
    )]);
    check(&[(
        "accounts {A {exports: [{service: s}]}, B {imports: [{service: {account: A, subject: s}, share: true}]}}",
        "accounts=[A {exports: [{service: s}]}, B {imports: [{service: {account: A, subject: s}, share: true}]}]",
    )]);
    check(&[(
        "accounts {A {exports: [{stream: p}, {service: s}]}, B {imports: [{service: {account: A, subject: s}, prefix: x}, \
         {stream: {account: A, subject: p}, share: true, allow_trace: true}]}}",
        "accounts=[A {exports: [{stream: p}, {service: s}]}, B {imports: [{service: {account: A, subject: s}}, \
         {stream: {account: A, subject: p}}]}] \
         ~f:1:102: \"prefix\" has no effect: only streams have a prefix; use to \
         ~f:1:149: \"share\" has no effect: only services are told who asks \
         ~f:1:162: \"allow_trace\" has no effect: messages are not traced from broker to broker",
    )]);
}

#[test]
fn what_is_wrong_in_an_export_is_told_where_it_stands() {
    let exports = |cases: &[(&str, &str)]| {
        for (text, expected) in cases {
            check(&[(&format!("accounts {{A {{exports: {text}}}}}"), expected)]);
        }
    };
    exports(&[
        (
            "5",
            "f:1:14: Exports should be an array, got int64; write exports: [ {stream: SUBJECT} ]",
        ),
        (
            "[5, {}, {accounts: [B]}]",
            "f:1:24: Export Items should be a map with type entry, got int64; write [ {stream: SUBJECT} ]\n\
             f:1:27: the export names neither a stream nor a service; write {stream: SUBJECT} or {service: SUBJECT}\n\
             f:1:31: the export names neither a stream nor a service; write {stream: SUBJECT} or {service: SUBJECT}",
        ),
        (
            "[{stream: a, service: b}, {service: [a]}]",
            "f:1:36: Detected service \"b\" but already saw a stream; make them two entries\n\
             f:1:50: Expected service name to be string, got []interface {}; write service: SUBJECT",
        ),
        (
            "[{stream: a..b, foo: 1}, {stream: c, respons: d}]",
            "f:1:39: unknown field \"foo\"\nf:1:60: unknown field \"respons\"; did you mean response?",
        ),
        (
            "[{service: \"a..b\"}]",
            "f:1:25: Error adding service export \"a..b\": sublist: invalid subject; it has no blanks, no empty token, \
             and > at its end only",
        ),
        (
            "[{service: a, response: foo, response_type: stream, threshold: 5, response_time: -5s}]",
            "f:1:37: Unknown response type: \"foo\"; use singleton, stream or chunked\n\
             f:1:52: Duplicate response type definition\n\
             f:1:75: Expected response threshold to be a parseable time duration, got int64; write \"2m\"\n\
             f:1:89: Duplicate response threshold detected\n\
             f:1:89: response_time is -5s, so no answer could be in time; it must be longer than 0",
        ),
        (
            "[{stream: a, response: stream}, {threshold: 5s, stream: b}, {latency: l, stream: c}, \
             {stream: d, allow_trace: true}]",
            "f:1:36: Detected response directive on non-service; remove it\n\
             f:1:56: Detected response directive on non-service; remove it\n\
             f:1:84: Detected latency directive on non-service; remove it\n\
             f:1:120: Detected allow_trace directive on non-service; remove it",
        ),
        (
            "[{service: a, latency: 5}, {service: b, latency: {sampling: 101, subject: []}}, \
             {service: c, latency: {sampling: foo, subject: l}}, {service: d, latency: {sampling: 5.5}}]",
            "f:1:37: Expected latency entry to be a map/struct or string, got int64; write latency: SUBJECT\n\
             f:1:73: bad sampling percentage, should be 1-100\n\
             f:1:88: Expected latency subject to be a string, got []interface {}\n\
             f:1:126: Failed to parse latency sample: \"foo\"; write 10% or headers\n\
             f:1:178: Expected latency sample to be a string or map/struct, got float64; write 10% or headers",
        ),
        (
            "[{service: a, latency: {sampling: 5}}, {service: b, latency: \"l.*\"}, \
             {service: c, response: stream, latency: l}]",
            "f:1:37: Latency subject required, but missing; add subject: SUBJECT\n\
             f:1:63: Error adding service latency sampling for \"b\" on subject \"l.*\": invalid publish subject; it has \
             no wildcards, no blanks and no empty token\n\
             f:1:93: Error adding service latency sampling for \"c\" on subject \"l\": bad service response type; only \
             that of one answer, singleton, is measured",
        ),
        (
            "[{service: \"a.*\", account_token_position: 1}, {stream: b, account_token_position: -1}]",
            "f:1:25: Error adding service export \"a.*\": sublist: invalid subject; account_token_position tells the \
             place of a * in it, counted from 1\n\
             f:1:81: account_token_position is -1; tokens are counted from 1",
        ),
        (
            "[{stream: a, accounts: []}, {stream: b, accounts: [Z]}]",
            "f:1:25: Error adding stream export \"a\": the list of accounts is empty; leave it out for all accounts, or \
             name one",
        ),
    ]);
}

#[test]
fn what_is_wrong_in_an_import_is_told_where_it_stands() {
    let imports = |cases: &[(&str, &str)]| {
        for (text, expected) in cases {
            check(&[(
                &format!("accounts {{A {{}}, B {{imports: {text}}}}}"),
                expected,
            )]);
        }
    };
    imports(&[
        (
            "5",
            "f:1:20: Imports should be an array, got int64; write imports: [ {stream: {account: NAME, subject: SUBJECT}} ]",
        ),
        (
            "[a, {to: b}, {stream: c}]",
            "f:1:30: Import Items should be a map with type entry, got string; write [ {stream: {account: NAME, subject: \
             SUBJECT}} ]\n\
             f:1:33: the import names neither a stream nor a service; write {stream: {account: NAME, subject: SUBJECT}}\n\
             f:1:43: Stream entry should be an account map, got string; write stream: {account: NAME, subject: SUBJECT}",
        ),
        (
            "[{service: {}}, {stream: {account: A}}, {stream: {account: \"\", subject: a}}, {stream: {acount: A}}]",
            "f:1:31: Expect an account name and a subject; write {account: NAME, subject: SUBJECT}\n\
             f:1:46: Expect an account name and a subject; write {account: NAME, subject: SUBJECT}\n\
             f:1:70: Expect an account name and a subject; write {account: NAME, subject: SUBJECT}\n\
             f:1:116: unknown field \"acount\"; did you mean account?",
        ),
        (
            "[{stream: {account: A, subject: a}, service: {account: A, subject: b}}]",
            "f:1:65: Detected service but already saw a stream; make them two entries",
        ),
        (
            "[{stream: {account: A, subject: a}, to: x, prefix: y}, {service: {account: A, subject: b}, allow_trace: on, \
             foo: 1}]",
            "f:1:72: Stream import can not have a 'prefix' and a 'to' property; remove one of them\n\
             f:1:120: Detected allow_trace directive on a non-stream; remove it\n\
             f:1:137: unknown field \"foo\"",
        ),
        (
            "[{stream: {account: A, subject: \"a.*\"}, to: x}, {stream: {account: A, subject: b}, prefix: \"p.*\"}]",
            "f:1:31: Error adding stream import \"a.*\": failed to create mapping transform for stream import subject \
             from \"a.*\" to \"x\": invalid mapping destination: not using all of the token wildcard(s) in x; name each * \
             of \"a.*\": $1\n\
             f:1:78: Error adding stream import \"b\": stream import prefix can not contain wildcard tokens",
        ),
    ]);
}

#[test]
fn what_is_wrong_between_accounts_is_told_at_the_export_or_the_import() {
    check(&[
        (
            "accounts {\nB {imports: [{stream: {account: A, subject: p}},\n {service: {account: Z, subject: s}}]}\n\
             A {exports: [{service: p},\n {service: s, accounts: [Y]}]}\n}",
            "f:2:15: Error adding stream import \"p\": stream import not authorized; \"A\" exports no stream that has all \
             of it\n\
             f:3:3: \"Z\" account not defined for service import\n\
             f:5:3: \"Y\" account not defined for service export",
        ),
        (
            "accounts {A {exports: [{service: a}], imports: [{service: {account: B, subject: b}, to: a}]},\n\
             B {exports: [{service: b}], imports: [{service: {account: A, subject: a}, to: b}]}}",
            "f:1:50: Error adding service import \"b\": import forms a cycle; the way is A -> B -> A",
        ),
        // Of two blocks the last counts, whole.
        (
            "accounts {A {imports: [{stream: {account: Z, subject: s}}]}}\naccounts {B {exports: [{stream: a}]}}",
            "accounts=[B {exports: [{stream: a}]}]",
        ),
    ]);
}
