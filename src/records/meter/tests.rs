use super::*;
use crate::records::fixtures::at;

fn meter() -> Meter {
    Meter::new(Time::ZERO, 5)
}

fn traffic(messages: u64, bytes: u64) -> Traffic {
    Traffic { messages, bytes }
}

/// A run of `messages` of 10 bytes each, with this number of copies.
fn publish(meter: &mut Meter, subject: &str, messages: u64, copies: u64) {
    let mut tally = Tally::of_test(messages, copies, 10);
    meter.count(subject.as_bytes(), &mut tally);
    meter.end_turn(1, traffic(messages, 10 * messages));
}

fn of(window: &Window, subject: &str) -> Counts {
    let mut entries = window.subjects.entries().iter();
    let entry = entries.find(|entry| entry.subject() == subject.as_bytes());
    entry.map(|entry| entry.counts).unwrap_or_default()
}

#[test]
fn a_run_counts_by_what_became_of_it() {
    let mut meter = meter();
    for (subject, messages, copies, unrouted) in [
        ("all", 5, 5, 0),
        ("fan.out", 5, 15, 0),
        ("nobody", 5, 0, 5),
        ("refused", 0, 0, 0),
    ] {
        meter.begin_turn(Time::ZERO, None);
        publish(&mut meter, subject, messages, copies);
        let expected = Counts {
            messages,
            bytes: 10 * messages,
            unrouted,
            estimated: 0,
        };
        assert_eq!(of(&meter.since_start(), subject), expected, "{subject}");
    }
    let window = meter.since_start();
    assert_eq!(window.received, traffic(15, 150));
    assert_eq!((window.seen.messages, window.seen.unrouted), (15, 5));
    assert_eq!(
        window.subjects.entries().len(),
        3,
        "nobody is kept for nothing"
    );
}

#[test]
fn lately_is_the_last_ten_to_twenty_seconds() {
    let mut meter = meter();
    let mut told = Vec::new();
    // When it is published, to what; when it is asked, what there is then, and since when.
    for (publish_at, subject, ask_at) in [
        (1, "a", 1),
        (9, "b", 10),
        (12, "c", 13),
        (25, "d", 25),
        (26, "e", 41),
        (70, "f", 79),
        (80, "g", 101),
    ] {
        meter.begin_turn(at(publish_at), None);
        publish(&mut meter, subject, 1, 1);
        let window = meter.lately(at(ask_at));
        let mut subjects: Vec<_> = window
            .subjects
            .entries()
            .iter()
            .map(Entry::subject)
            .collect();
        subjects.sort_unstable();
        let subjects = subjects.concat();
        told.push((
            String::from_utf8(subjects).expect("they are text"),
            (window.since - Time::ZERO).as_secs(),
            window.received.messages,
        ));
    }
    let expected = [
        ("a", 0, 1),
        ("ab", 0, 2),
        ("abc", 0, 3),
        ("cd", 12, 2),
        ("de", 25, 2),
        ("f", 60, 1),
        ("", 91, 0),
    ];
    let expected = expected.map(|(subjects, since, count)| (subjects.to_owned(), since, count));
    assert_eq!(told, expected);
    let all = meter.since_start();
    assert_eq!((all.received.messages, all.since), (7, Time::ZERO));
    assert_eq!(all.subjects.entries().len(), 7);
}

#[test]
fn what_is_sampled_is_estimated_without_bias_and_told_as_such() {
    let mut meter = meter();
    meter.begin_turn(Time::ZERO, None);
    let rounds = 100_000;
    for round in 0..rounds {
        // Two thirds of all to one subject; the others are used once.
        publish(&mut meter, "busy", 1, 0);
        publish(&mut meter, "busy", 1, 1);
        publish(&mut meter, &format!("_INBOX.{round}"), 1, 1);
    }
    let window = meter.since_start();
    assert_eq!(window.received.messages, 3 * rounds, "it is counted");
    let busy = of(&window, "busy");
    assert!(busy.estimated > 0 && busy.estimated < busy.messages);
    // The deviation is below the root of `SAMPLE_EVERY` times as many.
    for (estimate, exact) in [
        (busy.messages, 2 * rounds),
        (busy.bytes / 10, 2 * rounds),
        (busy.unrouted, rounds),
        (window.seen.unrouted, rounds),
    ] {
        let deviation = (SAMPLE_EVERY * exact).isqrt();
        assert!(
            estimate.abs_diff(exact) < 4 * deviation,
            "{estimate} for {exact}"
        );
    }
}

#[test]
fn it_is_small() {
    let mut meter = meter();
    for second in 0..40 {
        meter.begin_turn(at(second), None);
        for number in 0..100_000 {
            publish(&mut meter, &format!("{second}.{number}"), 40, 1);
        }
    }
    assert!(meter.bytes() < 1024 * 1024, "{}", meter.bytes());
}
