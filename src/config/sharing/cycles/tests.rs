//! Tables of accounts and ways, and very many accounts.

use super::*;
use crate::config::sharing::check::tests::told;

#[track_caller]
fn leads_back(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let told = told(text);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(
            lines.len(),
            usize::from(!expected.is_empty()),
            "{text}: {told}"
        );
        assert!(told.ends_with(expected), "{text}: {told}");
    }
}

#[test]
fn imports_that_lead_back_are_refused_over_any_number_of_accounts() {
    leads_back(&[
        (
            "A: service a, import service B b to a; B: service b, import service A a to b",
            "A import 0: Error adding service import \"b\": import forms a cycle; the way is A -> B -> A",
        ),
        (
            "A: stream a, import stream B b to a; B: stream b, import stream A a to b",
            "A import 0: Error adding stream import \"b\": import forms a cycle; the way is B -> A -> B",
        ),
        (
            "A: service a.>, import service B b.*.x to a.*.x; B: service b.>, import service A a.y.* to b.y.*",
            "the way is A -> B -> A",
        ),
        (
            "A: service a.*, import service B b.* to a.*; B: service b.*, import service C c.* to b.*; \
             C: service c.*, import service A a.* to c.*",
            "the way is A -> B -> C -> A",
        ),
        (
            "A: stream >, import stream B > prefix x; B: stream >, import stream A > prefix y",
            "the way is B -> A -> B",
        ),
        (
            "A: service a.*, import service A a.b to a.c, import service A a.c to a.b",
            "the way is A -> A -> A",
        ),
    ]);
}

#[test]
fn imports_whose_subjects_do_not_meet_go_both_ways() {
    leads_back(&[
        (
            "A: service a, import service B b; B: service b, import service A a",
            "",
        ),
        // nats-server takes this one for a cycle.
        (
            "A: service a, import service B b to x; B: service b, import service A a to b",
            "",
        ),
        (
            "A: service a.*, import service B b to a.x; B: service b, import service A a.y to b",
            "",
        ),
        (
            "A: stream a.>, import stream B b.> prefix x; B: stream b.>, import stream A a.> prefix y",
            "",
        ),
        (
            "A: stream a, service a, import stream B b to a; B: stream b, import service A a to b",
            "",
        ),
        // Each meets the next one, and no subject gets through all of them.
        (
            "A: service a.*.*, import service B b.3.* to a.2.*; B: service b.*.*, import service C c.*.* to b.*.*; \
             C: service c.*.*, import service D d.5.* to c.4.*; D: service d.*.*, import service A a.*.* to d.*.*",
            "",
        ),
    ]);
}

#[test]
fn an_account_may_import_from_itself() {
    leads_back(&[
        ("A: service a.*, import service A a.b to x", ""),
        ("A: service a.*, import service A a.b", ""),
        (
            "A: stream a.*, import stream A a.b, import stream A a.c to a.d",
            "",
        ),
        ("A: service s.>, import service A s.a.> to s.>", ""),
    ]);
}

/// Accounts of which each imports from the one before.
fn chain(count: usize) -> String {
    let first = "A00: service s".to_owned();
    let others = (1..count).map(|number| {
        format!(
            "A{number:02}: service s, import service A{:02} s",
            number - 1
        )
    });
    [first]
        .into_iter()
        .chain(others)
        .collect::<Vec<_>>()
        .join(";")
}

#[test]
fn a_request_goes_through_sixteen_accounts_and_no_more() {
    assert_eq!(told(&chain(CHAIN_ACCOUNTS_MAX)), "");
    let told = told(&chain(CHAIN_ACCOUNTS_MAX + 1));
    assert!(
        told.contains(
            "A16 import 0: Error adding service import \"s\": a request would go through"
        ),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1);
}

#[test]
fn a_long_line_of_streams_is_no_cycle() {
    assert_eq!(told(&chain(50).replace("service", "stream")), "");
}

#[test]
fn ways_that_are_too_many_to_be_walked_are_refused() {
    // Two imports of each account meet two of the next one, and what gets through one half of the round is not for the
    // other half.
    let count = 40;
    let accounts = (0..count).map(|number| {
        let before = (number + count - 1) % count;
        let imports = match number {
            0 => format!("import stream L{before} 2.* to 3.*"),
            20 => format!("import stream L{before} 4.* to 5.*"),
            _ => format!("import stream L{before} *.*, import stream L{before} *.a"),
        };
        format!("L{number}: stream >, {imports}")
    });
    let told = told(&accounts.collect::<Vec<_>>().join(";"));
    assert!(
        told.starts_with("L0 import 0: ") && told.contains("1000000 ways on"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
}
