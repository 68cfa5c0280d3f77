//! The sublist against what a loop over all subscriptions says.

use super::*;
use proptest::prelude::*;

/// Who is reached, as a sorted list of sids: what a naive loop can say as well.
fn reached(sublist: &mut Sublist, subject: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    sublist.matches(subject, &mut found);
    let mut sids = Vec::new();
    for set in found {
        let (set, subscriptions) = sublist.set(set);
        let queued = set.groups().iter().flat_map(|group| &group.members);
        for id in set.plain().iter().chain(queued) {
            sids.push(subscriptions[id.index()].sid.as_slice().to_vec());
        }
    }
    sids.sort();
    sids
}

fn check(subjects: &[&str], published: &str, expected: &[&str]) {
    let mut sublist = Sublist::default();
    for subject in subjects {
        sublist.insert(subject.as_bytes(), None, subject.as_bytes(), ReceiverId(0));
    }
    let mut expected: Vec<Vec<u8>> = expected.iter().map(|sid| sid.as_bytes().to_vec()).collect();
    expected.sort();
    assert_eq!(
        reached(&mut sublist, published.as_bytes()),
        expected,
        "published {published}"
    );
}

#[test]
fn literals_and_wildcards_are_found_together() {
    let all = [
        "c", "a.b", "a.*", "a.>", ">", "*", "*.b", "a.*.c", "*.*.>", "a.b>", "a.*x",
    ];
    check(&all, "a.b", &["a.b", "a.*", "a.>", ">", "*.b"]);
    check(&all, "a.x.c", &["a.>", ">", "a.*.c", "*.*.>"]);
    check(&all, "c", &["c", ">", "*"]);
    check(&all, "a", &[">", "*"]);
    check(&all, "a.b>", &["a.b>", "a.*", "a.>", ">"]);
    check(&all, "a.*x", &["a.*x", "a.*", "a.>", ">"]);
}

#[test]
fn wildcards_in_a_published_subject_are_ordinary_tokens() {
    let all = ["foo.*", "foo.>", ">", "foo.bar", "foo.*.x"];
    check(&all, "foo.*", &["foo.*", "foo.>", ">"]);
    check(&all, "foo.>", &["foo.*", "foo.>", ">"]);
}

#[test]
fn a_subject_with_an_empty_token_reaches_nothing() {
    for subject in ["", ".", "a..b", ".a", "a."] {
        check(&[">", "a.>", "*", "*.*", "a.*"], subject, &[]);
    }
}

#[test]
fn leaving_frees_every_place_and_every_name() {
    let mut sublist = Sublist::default();
    let subjects = ["a.b.c.*", "a.b.>", "*.*", "x", "a.b.c.*", ">"];
    let ids =
        subjects.map(|subject| sublist.insert(subject.as_bytes(), Some(b"q"), b"1", ReceiverId(0)));
    for id in ids {
        sublist.remove(id);
    }
    assert!(sublist.is_empty());
    assert_eq!(sublist.retained(), 0);
}

#[test]
fn members_of_one_group_stand_together_and_groups_apart() {
    let mut sublist = Sublist::default();
    for (queue, sid) in [("q", "1"), ("r", "2"), ("q", "3")] {
        sublist.insert(
            b"job",
            Some(queue.as_bytes()),
            sid.as_bytes(),
            ReceiverId(0),
        );
    }
    let mut found = Vec::new();
    sublist.matches(b"job", &mut found);
    let (set, _) = sublist.set(found[0]);
    let sizes: Vec<usize> = set
        .groups()
        .iter()
        .map(|group| group.members.len())
        .collect();
    assert_eq!((found.len(), sizes), (1, vec![2, 1]));
}

/// What a cache could get wrong: long sequences over few subjects, which come, go, and are asked
/// for before and after.
fn play(seed: u64, changes: usize) {
    let mut random = seed;
    let mut below = move |bound: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize % bound
    };
    let mut sublist = Sublist::seeded(seed);
    let mut naive: Vec<(SubId, String)> = Vec::new();
    for change in 0..changes {
        // Now and then all leave, and with them the last wildcard.
        let leaving = change / 200 % 3 == 2;
        if naive.is_empty() || !leaving && below(2) == 0 {
            let subject = pattern(&mut below);
            let sid = naive_sid(&subject);
            let queue = (below(4) == 0).then_some(&b"q"[..]);
            let id = sublist.insert(subject.as_bytes(), queue, &sid, ReceiverId(0));
            naive.push((id, subject));
        } else {
            let (id, subject) = naive.swap_remove(below(naive.len()));
            assert_eq!(sublist.subject(id), subject.as_bytes());
            sublist.remove(id);
        }
        for _ in 0..4 {
            let published = published(&mut below);
            let mut expected: Vec<Vec<u8>> = naive
                .iter()
                .filter(|(_, pattern)| subject::matches(pattern.as_bytes(), published.as_bytes()))
                .map(|(_, pattern)| naive_sid(pattern))
                .collect();
            expected.sort();
            for asked in 1..=3 {
                let got = reached(&mut sublist, published.as_bytes());
                assert_eq!(
                    got, expected,
                    "seed {seed}, change {change}, published {published}, asked {asked} times"
                );
            }
        }
    }
}

fn naive_sid(subject: &str) -> Vec<u8> {
    [b"sid of ", subject.as_bytes()].concat()
}

fn pattern(below: &mut impl FnMut(usize) -> usize) -> String {
    let mut tokens: Vec<&str> = (0..1 + below(3))
        .map(|_| ["a", "b", "*"][below(3)])
        .collect();
    if below(4) == 0 {
        tokens.push(">");
    }
    tokens.join(".")
}

fn published(below: &mut impl FnMut(usize) -> usize) -> String {
    let tokens: Vec<&str> = (0..1 + below(4))
        .map(|_| ["a", "b", "a", "b", "c", "*", ""][below(7)])
        .collect();
    tokens.join(".")
}

#[test]
fn the_cache_never_answers_with_what_was() {
    for seed in 1..=20 {
        play(seed, 2000);
    }
}

#[test]
fn with_one_seed_the_cost_of_a_search_is_the_same_in_each_run() {
    let costs = || {
        let mut sublist = Sublist::seeded(3);
        for number in 0..3000 {
            let subject = format!("{}.*", number % 1500);
            sublist.insert(subject.as_bytes(), None, b"1", ReceiverId(0));
        }
        let mut found = Vec::new();
        let mut cost = |number| {
            let subject = format!("{}.x", number * number % 1700);
            sublist.matches(subject.as_bytes(), &mut found)
        };
        (0..10_000).map(&mut cost).collect::<Vec<usize>>()
    };
    let first = costs();
    assert!(first.contains(&1), "nothing was cached");
    assert_eq!(costs(), first);
}

fn token() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "*", ">", "b>", ""]).prop_map(str::to_owned)
}

fn subject() -> impl Strategy<Value = String> {
    prop::collection::vec(token(), 1..5).prop_map(|tokens| tokens.join("."))
}

#[derive(Clone, Debug)]
enum Step {
    Subscribe(String, Option<u8>),
    Unsubscribe(prop::sample::Index),
    Detach(prop::sample::Index),
    Publish(String),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (subject(), prop::option::of(0..3u8)).prop_map(|(s, q)| Step::Subscribe(s, q)),
        2 => any::<prop::sample::Index>().prop_map(Step::Unsubscribe),
        1 => any::<prop::sample::Index>().prop_map(Step::Detach),
        3 => subject().prop_map(Step::Publish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_sublist_answers_as_a_loop_over_all_subscriptions(
        steps in prop::collection::vec(step(), 1..120)
    ) {
        let mut sublist = Sublist::default();
        let mut naive: Vec<(SubId, Vec<u8>, Vec<u8>)> = Vec::new();
        let mut detached: Vec<SubId> = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Subscribe(subject, queue) => {
                    let subject = subject.as_bytes();
                    if !subject::is_subscribable(subject) {
                        continue;
                    }
                    let sid = format!("{number:04}").into_bytes();
                    let queue = queue.map(|queue| [queue]);
                    let queue = queue.as_ref().map(<[u8; 1]>::as_slice);
                    let id = sublist.insert(subject, queue, &sid, ReceiverId(7));
                    naive.push((id, subject.to_vec(), sid));
                }
                Step::Unsubscribe(which) if !naive.is_empty() => {
                    let (id, subject, sid) = naive.remove(which.index(naive.len()));
                    prop_assert_eq!(sublist.subject(id), &subject[..]);
                    let ended = sublist.remove(id);
                    prop_assert_eq!(ended.sid.as_slice(), &sid[..]);
                    detached.retain(|one| *one != id);
                }
                Step::Detach(which) if !naive.is_empty() => {
                    let id = naive[which.index(naive.len())].0;
                    sublist.detach(id);
                    detached.push(id);
                }
                Step::Unsubscribe(_) | Step::Detach(_) => {}
                Step::Publish(published) => {
                    let mut expected: Vec<Vec<u8>> = naive
                        .iter()
                        .filter(|(id, ..)| !detached.contains(id))
                        .filter(|(_, subject, _)| subject::matches(subject, published.as_bytes()))
                        .map(|(_, _, sid)| sid.clone())
                        .collect();
                    expected.sort();
                    prop_assert_eq!(reached(&mut sublist, published.as_bytes()), expected);
                }
            }
            prop_assert_eq!(sublist.len(), naive.len());
            sublist.invariants();
        }
        for (id, ..) in naive {
            sublist.remove(id);
        }
        prop_assert_eq!(sublist.retained(), 0);
    }
}

#[test]
fn a_search_goes_in_pieces_and_finds_the_same_while_others_come_and_go() {
    for seed in 1..=30_u64 {
        let mut random = seed;
        let mut below = move |bound: usize| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) as usize % bound
        };
        let mut sublist = Sublist::seeded(seed);
        let mut present: Vec<(SubId, String)> = Vec::new();
        let mut sids = 0_usize;
        let mut come = |sublist: &mut Sublist, below: &mut dyn FnMut(usize) -> usize| {
            let tokens: Vec<&str> = (0..4).map(|_| ["a", "*"][below(2)]).collect();
            let end = ["", ".>", ".a", ".*"][below(4)];
            let subject = tokens.join(".") + end;
            sids += 1;
            let sid = sids.to_string();
            let id = sublist.insert(subject.as_bytes(), None, sid.as_bytes(), ReceiverId(0));
            (id, sid, subject)
        };
        for _ in 0..60 {
            let (id, _, subject) = come(&mut sublist, &mut below);
            present.push((id, subject));
        }
        let published = ["a.a.a.a", "a.a.a.a.a", "a.b.a.a.c"][below(3)].as_bytes();
        let mut search = sublist.search(published);
        let moment = search.moment();
        let mut pieces = 0;
        while !search.is_over() {
            pieces += 1;
            let places_max = 1 + below(5);
            let places = sublist.go_on(&mut search, published, places_max);
            assert!(places <= places_max);
            for _ in 0..below(12) {
                if below(2) == 0 {
                    come(&mut sublist, &mut below);
                } else if !present.is_empty() {
                    let (id, _) = present.swap_remove(below(present.len()));
                    sublist.remove(id);
                }
            }
        }
        assert!(pieces > 1);
        // Those who stayed are reached, once each, and of the others only younger ones may be.
        let mut reached: Vec<SubId> = search
            .found()
            .iter()
            .filter_map(|set| sublist.set_of(*set))
            .flat_map(Set::plain)
            .copied()
            .filter(|id| sublist.was_there(*id, moment))
            .collect();
        let matching = present
            .iter()
            .filter(|(_, subject)| subject::matches(subject.as_bytes(), published));
        let mut expected: Vec<SubId> = matching.map(|(id, _)| *id).collect();
        reached.sort_unstable_by_key(|id| id.0);
        expected.sort_unstable_by_key(|id| id.0);
        assert_eq!(reached, expected, "seed {seed}");
    }
}

#[test]
fn a_search_that_nearly_matches_stops_after_so_many_places() {
    let mut sublist = Sublist::seeded(1);
    for number in 0..1 << 12 {
        let tokens = (0..12).map(|bit| ["a", "*"][number >> bit & 1]);
        let subject = tokens.collect::<Vec<_>>().join(".") + ".z";
        sublist.insert(subject.as_bytes(), None, b"1", ReceiverId(0));
    }
    let subject = ["a"; 12].join(".") + ".y";
    let mut found = Vec::new();
    let places = sublist.matches_within(subject.as_bytes(), 1000, &mut found);
    assert_eq!((places, found.len()), (Err(1001), 0));
    let mut search = sublist.search(subject.as_bytes());
    let mut pieces = 0;
    while !search.is_over() {
        assert!(sublist.go_on(&mut search, subject.as_bytes(), 1000) <= 1000);
        pieces += 1;
    }
    assert_eq!((pieces, search.found()), (9, &[][..]));
    // As it was looked for twice, and nothing has changed, it is known now.
    let mut search = sublist.search(subject.as_bytes());
    sublist.go_on(&mut search, subject.as_bytes(), usize::MAX);
    assert_eq!(
        sublist.matches_within(subject.as_bytes(), 1, &mut found),
        Ok(1)
    );
}

#[test]
fn subjects_of_a_hundred_thousand_tokens_take_no_stack() {
    let work = || {
        let mut sublist = Sublist::seeded(1);
        let subject = vec!["*"; 100_000].join(".");
        let id = sublist.insert(subject.as_bytes(), None, b"1", ReceiverId(0));
        let published = vec!["a"; 100_000].join(".");
        let mut found = Vec::new();
        sublist.matches(published.as_bytes(), &mut found);
        assert_eq!(found.len(), 1);
        assert!(subject::matches(subject.as_bytes(), published.as_bytes()));
        sublist.remove(id);
        assert_eq!(sublist.retained(), 0);
    };
    let thread = std::thread::Builder::new().stack_size(64 * 1024);
    let thread = thread.spawn(work).expect("a thread starts");
    thread.join().expect("it ends well");
}

#[test]
fn a_search_that_was_given_up_goes_on_where_it_was() {
    let mut sublist = Sublist::seeded(1);
    for number in 0..1 << 8 {
        let token = |place: usize| if number >> place & 1 == 1 { "*" } else { "a" };
        let tokens: Vec<&str> = (0..8).map(token).collect();
        for end in ["", ".z"] {
            let subject = tokens.join(".") + end;
            sublist.insert(subject.as_bytes(), None, subject.as_bytes(), ReceiverId(0));
        }
    }
    for (published, reached) in [
        ("a.a.a.a.a.a.a.a", 256),
        ("a.a.a.a.a.a.a.a.z", 256),
        ("a..a", 0),
    ] {
        let published = published.as_bytes();
        let mut all = Vec::new();
        let places = sublist.search(published);
        let places = {
            let mut search = places;
            sublist.go_on(&mut search, published, usize::MAX)
        };
        for places_max in [1, 7, 100] {
            all.clear();
            let Err(first) = sublist.matches_within(published, places_max, &mut all) else {
                assert_eq!(reached, 0);
                continue;
            };
            assert_eq!((all.len(), first), (0, 1 + places_max));
            let mut search = sublist.search_on(published);
            let rest = sublist.go_on(&mut search, published, usize::MAX);
            if reached > 0 {
                assert_eq!(places_max + rest, places);
            }
            let mut found = search.found().to_vec();
            found.sort_unstable();
            found.dedup();
            assert_eq!((found.len(), search.found().len()), (reached, reached));
        }
    }
}
