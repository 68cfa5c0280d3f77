//! Messages that are too much for one piece.

use super::*;

#[test]
fn a_message_to_very_many_goes_in_pieces_to_each_of_them_once() {
    let mut bench = Bench::new();
    let publisher = bench.client(false, true);
    let crowd = bench.crowd("a", None);
    let [workers, others] = ["a", "*"].map(|subject| bench.crowd(subject, Some("q")));
    let message = message("PUB a 1\r\nx\r\n");
    let mut publisher = bench.publisher(publisher);
    let published = bench.begin(&mut publisher, &message);
    assert_eq!(published, Published::InPieces);
    let quota = Quota {
        messages: 1,
        work: 100,
        bytes: usize::MAX,
    };
    let mut pieces = 0;
    let taken = loop {
        let before = bench.tally.work();
        match bench.go_on(&mut publisher, &message, quota) {
            Published::Taken { copies: taken, .. } => break taken,
            Published::InPieces => pieces += 1,
            Published::WaitFor(key) => panic!("nobody waits for {key:?}"),
        }
        assert!(bench.tally.work() - before < 400);
    };
    assert!(pieces > 10, "{pieces} pieces");
    assert_eq!(taken, crowd.len() + 1);
    for client in &crowd {
        assert_eq!(bench.got(*client), "MSG a 1 1\r\nx\r\n");
    }
    let queued = workers.iter().chain(&others);
    let got: usize = queued.map(|id| bench.got(*id).matches("MSG").count()).sum();
    assert_eq!(got, 1);
    let (received, sent) = bench.tally.traffic();
    assert_eq!((received.messages, received.bytes), (1, 1));
    assert_eq!(sent.messages, taken as u64);
    let got: u64 = bench
        .core
        .receivers
        .iter()
        .map(|(_, one)| one.sent.messages)
        .sum();
    assert_eq!(got, taken as u64);
}

#[test]
fn long_messages_to_several_go_in_pieces_of_their_bytes() {
    let mut bench = Bench::new();
    let clients: Vec<ReceiverId> = (0..8).map(|_| bench.client(false, true)).collect();
    for client in &clients {
        bench.subscribe(*client, "a", None, "1");
    }
    let payload = "x".repeat(PIECE_BYTES_MAX / 4);
    let frame = format!("PUB a {}\r\n{payload}\r\n", payload.len());
    let message = message(&frame);
    let mut publisher = bench.publisher(clients[0]);
    let published = bench.begin(&mut publisher, &message);
    assert_eq!(published, Published::InPieces);
    let quota = Quota {
        messages: 1,
        work: usize::MAX,
        bytes: 2 * payload.len(),
    };
    let pieces = (0..).find(|_| {
        let published = bench.go_on(&mut publisher, &message, quota);
        published == taken(clients.len())
    });
    assert!(pieces >= Some(3), "{pieces:?} pieces");
    for client in &clients {
        assert_eq!(bench.got(*client).matches("MSG").count(), 1);
    }
}

#[test]
fn in_pieces_too_a_publisher_waits_for_each_receiver_and_a_group_passes_a_message_on() {
    let mut bench = Bench::new();
    let from = bench.client(false, true);
    let crowd = bench.crowd("a", None);
    let members = bench.crowd("a", Some("q"));
    let slow = bench.key(crowd[700]);
    bench.out.congested.insert(slow);
    // Of the group, all but one are behind; that one has it.
    for member in &members[1..] {
        let key = bench.key(*member);
        bench.out.congested.insert(key);
    }
    let message = message("PUB a 0\r\n\r\n");
    let mut publisher = bench.publisher(from);
    let published = bench.begin(&mut publisher, &message);
    assert_eq!(published, Published::InPieces);
    let wait = bench.go_on(&mut publisher, &message, ALL);
    assert_eq!(wait, Published::WaitFor(slow));
    let again = bench.go_on(&mut publisher, &message, ALL);
    assert_eq!(again, Published::WaitFor(slow));
    bench.out.congested.remove(&slow);
    let all = bench.go_on(&mut publisher, &message, ALL);
    assert_eq!(all, taken(crowd.len() + 1));
    assert_eq!(bench.got(members[0]).matches("MSG").count(), 1);
    assert_eq!(bench.got(crowd[700]).matches("MSG").count(), 1);
    // When all are behind, one of them is waited for; a crowd that is not is given its copies first.
    let key = bench.key(members[0]);
    bench.out.congested.insert(key);
    let frame = "PUB a 0\r\n\r\n";
    let published = bench.try_to_publish(from, frame);
    assert!(matches!(published, Published::WaitFor(_)), "{published:?}");
    bench.out.stalled.insert(key);
    assert_eq!(bench.publish(from, frame), crowd.len() + 1);
}

#[test]
fn who_comes_and_goes_while_a_message_is_on_its_way_changes_nothing_for_the_others() {
    for seed in 1..=20 {
        churn(seed);
    }
}

/// A fan-out in small pieces, while subscriptions to what it reaches come and go.
fn churn(seed: u64) {
    let mut random = Random::seeded(seed);
    let mut bench = Bench::new();
    let publisher = bench.client(false, true);
    let subjects = ["a.b", "a.*", "*.b", "*.*", "a.>", ">", "x.y", "a.*.c"];
    let clients: Vec<ReceiverId> = (0..40).map(|_| bench.client(false, true)).collect();
    // Sid, by client; each is used once.
    let mut present: Vec<(ReceiverId, String, bool)> = Vec::new();
    let mut sids = 0;
    let mut come = |bench: &mut Bench, random: &mut Random| {
        let client = clients[random.below(clients.len())];
        let subject = subjects[random.below(subjects.len())];
        let reached = subject::matches(subject.as_bytes(), b"a.b");
        sids += 1;
        let sid = format!("s{sids}");
        bench.subscribe(client, subject, None, &sid);
        (client, sid, reached)
    };
    for _ in 0..1500 {
        let one = come(&mut bench, &mut random);
        present.push(one);
    }
    let message = message("PUB a.b 0\r\n\r\n");
    let mut publisher = bench.publisher(publisher);
    let published = bench.begin(&mut publisher, &message);
    assert_eq!(published, Published::InPieces);
    // Who stays must get it; who was there and has gone may have; who came later must not.
    let mut stays = present.clone();
    let mut gone: Vec<(ReceiverId, String, bool)> = Vec::new();
    let mut young: Vec<(ReceiverId, String, bool)> = Vec::new();
    let taken = loop {
        let quota = Quota {
            messages: 1,
            work: 1 + random.below(60),
            bytes: usize::MAX,
        };
        if let Published::Taken { copies: taken, .. } = bench.go_on(&mut publisher, &message, quota)
        {
            break taken;
        }
        for _ in 0..random.below(40) {
            if random.below(2) == 0 {
                young.push(come(&mut bench, &mut random));
                continue;
            }
            let list = if random.below(3) == 0 {
                &mut young
            } else {
                &mut stays
            };
            if list.is_empty() {
                continue;
            }
            let place = random.below(list.len());
            let one = list.swap_remove(place);
            let id = bench.core.subscription_of(one.0, one.1.as_bytes());
            bench.core.unsubscribe(one.0, id.expect("it is there"));
            if present.contains(&one) {
                gone.push(one);
            }
        }
    };
    let mut got: Vec<(ReceiverId, String)> = Vec::new();
    for client in &clients {
        let lines = bench.got(*client);
        let sids = lines
            .lines()
            .filter_map(|line| line.strip_prefix("MSG a.b "));
        got.extend(sids.filter_map(|rest| Some((*client, rest.strip_suffix(" 0")?.to_owned()))));
    }
    assert_eq!(got.len(), taken, "seed {seed}");
    let mut once = got.clone();
    once.sort_unstable_by(|one, other| (one.0.0, &one.1).cmp(&(other.0.0, &other.1)));
    once.dedup();
    assert_eq!(once.len(), taken, "seed {seed}: somebody got it twice");
    for (client, sid, reached) in stays {
        let has = got.contains(&(client, sid));
        assert_eq!(has, reached, "seed {seed}");
    }
    assert!(
        young
            .iter()
            .all(|one| !got.contains(&(one.0, one.1.clone())))
    );
    let may = |one: &(ReceiverId, String)| {
        present
            .iter()
            .any(|(client, sid, reached)| (*client, sid) == (one.0, &one.1) && *reached)
    };
    assert!(got.iter().all(may), "seed {seed}: {} have gone", gone.len());
}

#[test]
fn the_requester_is_told_on_its_own_subscription_however_many_others_match() {
    for (others, own) in [(0, 1), (5000, 1), (5000, 3000), (3, 3000), (5000, 0)] {
        let mut bench = Bench::new();
        let [requester, other] = [true; 2].map(|echo| bench.client(false, echo));
        for number in 0..others {
            bench.subscribe(other, "r", None, &format!("o{number}"));
        }
        for number in 0..own {
            let subject = if number == own / 2 {
                "r".to_owned()
            } else {
                format!("x.{number}")
            };
            bench.subscribe(requester, &subject, None, &format!("own{number}"));
        }
        let origin = bench.core.receiver(requester).origin(requester);
        let mut asked = find_own(&mut bench.core, &origin, b"r", &mut bench.tally);
        let quota = Quota {
            messages: 1,
            work: 10,
            bytes: 0,
        };
        let mut pieces = 0;
        while let Own::Among(asking) = asked {
            let before = bench.tally.work();
            asked = asking.go_on(&mut bench.core, &origin, b"r", quota, &mut bench.tally);
            assert!(bench.tally.work() - before <= PIECE_SUBSCRIPTIONS_MAX);
            pieces += 1;
        }
        let sid = match asked {
            Own::Found(id) => Some(bench.core.global_sublist().subscription(id).sid.clone()),
            _ => None,
        };
        let sid = sid.map(|sid| String::from_utf8_lossy(sid.as_slice()).into_owned());
        let expected = (own > 0).then(|| format!("own{}", own / 2));
        assert_eq!(sid, expected, "{own} of its own, {others} of others");
        assert_eq!(pieces > 0, own.min(others) > PIECE_SUBSCRIPTIONS_MAX);
    }
}

#[test]
fn to_compare_long_subjects_is_more_work_and_goes_in_more_pieces() {
    let mut bench = Bench::new();
    let requester = bench.client(false, true);
    let long = "a.".repeat(1000);
    for number in 0..200 {
        bench.subscribe(
            requester,
            &format!("{long}{number}"),
            None,
            &number.to_string(),
        );
        // The trie is of no help: to search it takes more than one piece.
        bench.subscribe(
            requester,
            &format!("{}*.{long}{number}", "*.".repeat(number)),
            None,
            &format!("x{number}"),
        );
    }
    let reply = format!("{long}{long}a");
    let origin = bench.core.receiver(requester).origin(requester);
    let mut asked = find_own(&mut bench.core, &origin, reply.as_bytes(), &mut bench.tally);
    let quota = Quota {
        messages: 1,
        work: 500,
        bytes: 0,
    };
    let (mut pieces, mut all) = (0, 0);
    while let Own::Among(asking) = asked {
        let before = bench.tally.work();
        asked = asking.go_on(
            &mut bench.core,
            &origin,
            reply.as_bytes(),
            quota,
            &mut bench.tally,
        );
        let work = bench.tally.work() - before;
        assert!(work < 700, "{work}");
        (pieces, all) = (pieces + 1, all + work);
    }
    assert!(matches!(asked, Own::None));
    assert!(all > 400 * 60, "{all} in {pieces} pieces");
}

#[test]
fn the_members_of_a_group_that_has_very_many_subjects_are_listed_in_pieces_too() {
    const TOKENS: usize = 12;
    let mut bench = Bench::new();
    let [publisher, member] = [true; 2].map(|echo| bench.client(false, echo));
    for number in 0..1 << TOKENS {
        let token = |place: usize| if number >> place & 1 == 1 { "*" } else { "a" };
        let subject: Vec<&str> = (0..TOKENS).map(token).collect();
        bench.subscribe(member, &subject.join("."), Some("q"), &number.to_string());
    }
    let frame = format!("PUB {} 0\r\n\r\n", ["a"; TOKENS].join("."));
    let message = message(&frame);
    let mut publisher = bench.publisher(publisher);
    let published = bench.begin(&mut publisher, &message);
    assert_eq!(published, Published::InPieces);
    let quota = Quota {
        messages: 1,
        work: 50,
        bytes: usize::MAX,
    };
    let mut pieces = 0;
    let taken = loop {
        let before = bench.tally.work();
        let published = bench.go_on(&mut publisher, &message, quota);
        let work = bench.tally.work() - before;
        assert!(work < 400, "{work} in piece {pieces}");
        pieces += 1;
        if let Published::Taken { copies: taken, .. } = published {
            break taken;
        }
    };
    assert_eq!(taken, 1);
    assert_eq!(bench.got(member).matches("MSG").count(), 1);
    assert!(pieces > 100, "{pieces}");
}

#[test]
fn a_long_subject_makes_a_message_large_as_a_long_payload_does() {
    let mut bench = Bench::new();
    let [publisher, reader] = [true; 2].map(|echo| bench.client(false, echo));
    for number in 0..300 {
        bench.subscribe(reader, ">", None, &number.to_string());
    }
    let long = "s".repeat(100_000);
    let line = format!("PUB {long} 0\r\n\r\n");
    let message = message(&line);
    let mut publisher = bench.publisher(publisher);
    assert_eq!(bench.begin(&mut publisher, &message), Published::InPieces);
    let mut pieces = 1;
    let quota = Quota {
        messages: 1,
        work: usize::MAX,
        bytes: 1_000_000,
    };
    while bench.go_on(&mut publisher, &message, quota) == Published::InPieces {
        pieces += 1;
    }
    assert_eq!(pieces, 31, "thirty of a megabyte each, and the end");
}

#[test]
fn what_large_fan_outs_keep_is_bounded_and_slow_receivers_do_not_keep_others_from_room() {
    const MANY: usize = room::KEPT_MAX + 1000;
    let mut bench = Bench::new();
    bench.core.scratch.room.max = MANY + 2 * room::KEPT_MAX;
    let [crowd, slow, one, two] = [true; 4].map(|echo| bench.client(false, echo));
    for number in 0..MANY {
        let owner = if number == 7 { slow } else { crowd };
        bench.subscribe(owner, "a", None, &number.to_string());
    }
    let slow_key = bench.key(slow);
    bench.out.congested.insert(slow_key);
    let message = message("PUB a 0\r\n\r\n");
    let begun = |bench: &mut Bench, from: ReceiverId| {
        let mut publisher = bench.publisher(from);
        let published = bench.begin(&mut publisher, &message);
        assert_eq!(published, Published::InPieces);
        publisher
    };
    let go_on = |bench: &mut Bench, publisher: &mut Publisher| {
        let published = bench.go_on(publisher, &message, ALL);
        (published, bench.core.scratch.has_freed_room())
    };
    let (mut first, mut second) = (begun(&mut bench, one), begun(&mut bench, two));
    let (waits, no_room) = (
        Published::WaitFor(slow_key),
        Published::WaitFor(crate::core::backpressure::room()),
    );
    // Nobody waits for room yet: a slow receiver is waited for, however often.
    for _ in 0..fanout::WAITS_MAX + 10 {
        assert_eq!(go_on(&mut bench, &mut first), (waits, false));
    }
    assert_eq!(go_on(&mut bench, &mut second), (no_room, false));
    assert_eq!(go_on(&mut bench, &mut first), (taken(MANY), true));
    // It is the second now, for which nobody waits.
    assert_eq!(go_on(&mut bench, &mut second), (waits, false));
    // One that ends early gives back what it has too.
    let mut third = begun(&mut bench, one);
    assert_eq!(go_on(&mut bench, &mut third), (no_room, false));
    second.abandon(&mut bench.core, &mut bench.tally);
    assert_eq!(go_on(&mut bench, &mut third), (waits, true));
}

#[test]
fn what_is_left_of_one_that_has_gone_is_walked_over_once() {
    const MANY: usize = 20_000;
    for queue in [None, Some("q")] {
        let mut bench = Bench::new();
        let [publisher, gone, other] = [true; 3].map(|echo| bench.client(false, echo));
        for number in 0..MANY {
            bench.subscribe(gone, "a", queue, &number.to_string());
        }
        bench.subscribe(other, "a", queue, "1");
        bench.core.leave(gone);
        let work_of = |bench: &mut Bench| {
            let before = bench.tally.work();
            assert_eq!(bench.publish(publisher, "PUB a 0\r\n\r\n"), 1);
            bench.tally.work() - before
        };
        // A group is walked over up to the member that takes the message, so not all of it at once.
        let work = [(); 40].map(|()| work_of(&mut bench));
        let all: usize = work.iter().sum();
        assert!((MANY..3 * MANY).contains(&all), "{work:?}");
        // What is not too much for one piece may stay until it is removed.
        let max = if queue.is_some() {
            PIECE_SUBSCRIPTIONS_MAX
        } else {
            20
        };
        assert!(work[39] <= max, "{work:?}");
        // More may be subscribed to it meanwhile, and all goes in the end.
        bench.subscribe(other, "a", queue, "2");
        let both = if queue.is_some() { 1 } else { 2 };
        assert_eq!(bench.publish(publisher, "PUB a 0\r\n\r\n"), both);
        while bench.core.clear_a_piece() {}
        assert_eq!(bench.publish(publisher, "PUB a 0\r\n\r\n"), both);
        bench.core.leave(other);
        assert_eq!(bench.core.global_sublist().retained(), 0);
    }
}
