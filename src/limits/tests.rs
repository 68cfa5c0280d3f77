use super::*;
use crate::config::Network;
use proptest::prelude::*;

const START: Time = Time::from_nanos(1_000_000_000_000);

fn after(millis: u64) -> Time {
    START + Duration::from_millis(millis)
}

fn address(text: &str) -> Source {
    let address: IpAddr = text.parse().expect("it is an address");
    Source::Address(address.to_canonical())
}

fn limiter(limits: Limits) -> Limiter {
    let address_limits = AddressLimits {
        limits,
        except: vec![Network::parse("127.0.0.0/8").expect("it is a network")],
    };
    Limiter::new(&Config {
        address_limits,
        ..Config::default()
    })
}

fn rate(messages: u64, exceeded: Exceeded) -> Limits {
    Limits {
        messages_per_second_max: Some(messages),
        exceeded,
        ..Limits::default()
    }
}

fn key(number: u64) -> Key {
    Key::new(number as usize, 1)
}

/// A client with this number comes from an address, if it may.
fn come(limiter: &mut Limiter, number: u64, from: &str, now: Time) -> Result<(), Refusal> {
    limiter.admit_address(address(from), now)?;
    limiter.enter_address(key(number), number, ReceiverId(0), address(from));
    limiter.invariants();
    Ok(())
}

/// A client publishes all that it may, up to a number of messages; answers how many.
fn publish(limiter: &mut Limiter, number: u64, most: usize, now: Time) -> usize {
    let mut ration = limiter.ration(key(number), now).expect("it is limited");
    let messages = ration.messages_max(most);
    ration.spend(messages, 20 * messages);
    ration.is_drained = messages == most;
    limiter.settle(key(number), &mut ration, now);
    messages
}

#[test]
fn where_nothing_is_limited_nothing_is_kept() {
    let mut limiter = limiter(Limits::default());
    assert!(!limiter.is_on());
    assert_eq!(come(&mut limiter, 1, "10.0.0.1", START), Ok(()));
    assert_eq!(limiter.retained(), 0);
    assert!(limiter.ration(key(1), START).is_none());
    assert_eq!(limiter.payload_max(key(1)), usize::MAX);
}

#[test]
fn an_address_has_so_many_connections_and_others_have_their_own() {
    let mut limiter = limiter(Limits {
        connections_max: Some(2),
        ..Limits::default()
    });
    for (number, from, answer) in [
        (1, "10.0.0.1", Ok(())),
        (2, "10.0.0.1", Ok(())),
        (3, "10.0.0.1", Err(Refusal::Connections)),
        (4, "10.0.0.2", Ok(())),
        (5, "fd00::1", Ok(())),
        (6, "fd00::2", Ok(())),
        (7, "fd00::ffff:3", Err(Refusal::Connections)),
        (8, "fd00:0:0:1::3", Ok(())),
        (9, "127.0.0.1", Ok(())),
        (10, "127.0.0.1", Ok(())),
        (11, "127.0.0.1", Ok(())),
    ] {
        assert_eq!(come(&mut limiter, number, from, START), answer, "{number}");
    }
    let refused = limiter.counts(Scope::Address).of(Kind::Connections);
    assert_eq!(refused, 2);
    limiter.leave(key(1), START);
    assert_eq!(come(&mut limiter, 3, "10.0.0.1", START), Ok(()));
    for number in 1..=11 {
        limiter.leave(key(number), START);
    }
    assert_eq!(limiter.retained(), 0);
}

#[test]
fn so_many_may_come_in_a_second_also_where_they_leave_at_once() {
    let mut limiter = limiter(Limits {
        connections_per_second_max: Some(5),
        ..Limits::default()
    });
    let storm = |limiter: &mut Limiter, now| {
        let came = (0..100).filter(|number| {
            let came = come(limiter, *number, "10.0.0.1", now).is_ok();
            limiter.leave(key(*number), now);
            came
        });
        came.count()
    };
    assert_eq!(storm(&mut limiter, START), 5);
    assert_eq!(storm(&mut limiter, after(400)), 2);
    assert_eq!(storm(&mut limiter, after(60_000)), 5);
    assert_eq!(come(&mut limiter, 1, "10.0.0.2", START), Ok(()));
}

#[test]
fn who_leaves_and_comes_again_has_no_second_burst() {
    let mut limiter = limiter(rate(100, Exceeded::Error));
    for millis in 0..10 {
        come(&mut limiter, 1, "10.0.0.1", after(millis)).expect("it may come");
        let expected = if millis == 0 { 100 } else { 0 };
        assert_eq!(publish(&mut limiter, 1, 1000, after(millis)), expected);
        limiter.leave(key(1), after(millis));
    }
    come(&mut limiter, 1, "10.0.0.1", after(500)).expect("it may come");
    assert_eq!(publish(&mut limiter, 1, 1000, after(500)), 50);
}

/// When clients that publish without end have had their turns, and how much each has published by then.
fn play(limiter: &mut Limiter, clients: u64, millis: u64) -> Vec<usize> {
    let mut published = vec![0; clients as usize];
    let mut wakes = vec![START; clients as usize];
    for now in (0..millis).map(after) {
        for number in 0..clients {
            let place = number as usize;
            if wakes[place] > now {
                continue;
            }
            // A read has so many of them.
            let messages = publish(limiter, number, 50, now);
            published[place] += messages;
            if messages < 50 {
                wakes[place] = now + limiter.reserve(key(number), now);
            }
        }
        limiter.invariants();
    }
    published
}

#[test]
fn clients_of_one_address_share_its_rate_and_each_has_its_part() {
    for (clients, max) in [(1, 1000), (2, 100_000), (10, 1000), (100, 50), (7, 3)] {
        let mut limiter = limiter(rate(max, Exceeded::Slow));
        for number in 0..clients {
            come(&mut limiter, number, "10.0.0.1", START).expect("it may come");
        }
        let published = play(&mut limiter, clients, 10_000);
        let all: usize = published.iter().sum();
        // The burst, ten seconds, and what was reserved.
        let expected = 11 * max as usize;
        let slack = expected / 10 + clients as usize;
        assert!(all <= expected + slack, "{clients}, {max}: {all}");
        assert!(all >= expected - slack, "{clients}, {max}: {all}");
        let least = published.iter().min().copied().unwrap_or_default();
        let fair = 10 * max as usize / clients as usize;
        assert!(least >= fair / 2, "{clients}, {max}: {published:?}");
    }
}

#[test]
fn what_one_has_reserved_and_does_not_use_is_for_the_others() {
    let mut limiter = limiter(rate(1000, Exceeded::Slow));
    for number in [1, 2] {
        come(&mut limiter, number, "10.0.0.1", START).expect("it may come");
    }
    assert_eq!(publish(&mut limiter, 1, 2000, START), 1000);
    let wait = limiter.reserve(key(1), START);
    assert_eq!(wait, Duration::from_millis(100));
    // It has one more, and that was all.
    assert_eq!(publish(&mut limiter, 1, 1, after(100)), 1);
    assert_eq!(publish(&mut limiter, 2, 2000, after(100)), 99);
    // One that leaves gives back as well.
    let _ = limiter.reserve(key(2), after(100));
    limiter.leave(key(2), after(100));
    assert_eq!(publish(&mut limiter, 1, 2000, after(150)), 50);
}

#[test]
fn the_smaller_limit_counts_and_the_stricter_answer_where_both_are_spent() {
    let mut limiter = limiter(rate(100, Exceeded::Slow));
    come(&mut limiter, 1, "10.0.0.1", START).expect("it may come");
    let user = rate(10, Exceeded::Disconnect);
    limiter
        .admit_member(Scope::User, "ann", &user, START)
        .expect("it may come");
    limiter.enter_member(Scope::User, "ann", &user, key(1), 1, ReceiverId(0));
    limiter.invariants();
    assert_eq!(limiter.member_of(key(1), Scope::User), Some("ann"));
    assert_eq!(publish(&mut limiter, 1, 50, START), 10);
    let ration = limiter.ration(key(1), START).expect("it is limited");
    assert_eq!(ration.refuses(true), Some(Exceeded::Disconnect));
    assert_eq!(ration.refuses(false), None);
    // As another user it has the rest of its address.
    limiter.leave_member(key(1), Scope::User, START);
    assert_eq!(publish(&mut limiter, 1, 500, START), 90);
    let ration = limiter.ration(key(1), START).expect("it is limited");
    assert_eq!(ration.refuses(true), Some(Exceeded::Slow));
}

#[test]
fn a_message_longer_than_what_a_second_brings_is_taken_and_owed() {
    let mut limiter = limiter(Limits {
        bytes_per_second_max: Some(1000),
        ..Limits::default()
    });
    come(&mut limiter, 1, "10.0.0.1", START).expect("it may come");
    let mut ration = limiter.ration(key(1), START).expect("it is limited");
    ration.spend(1, 10_000);
    assert_eq!(ration.refuses(false), Some(Exceeded::Slow));
    ration.must_wait = true;
    limiter.settle(key(1), &mut ration, START);
    let wait = limiter.reserve(key(1), START);
    assert_eq!(wait, Duration::from_millis(9_100));
}

#[test]
fn the_newest_of_each_are_too_many_under_a_lower_limit() {
    let mut limiter = limiter(rate(1, Exceeded::Slow));
    for (number, from) in [
        (1, "10.0.0.1"),
        (2, "10.0.0.2"),
        (3, "10.0.0.1"),
        (4, "10.0.0.1"),
    ] {
        come(&mut limiter, number, from, START).expect("it may come");
    }
    assert!(limiter.surplus().is_empty());
    limiter.configure(&Config {
        user_limits: rate(1, Exceeded::Slow),
        ..Config::default()
    });
    let user = Limits {
        connections_max: Some(1),
        ..Limits::default()
    };
    for number in 1..=4 {
        limiter.leave(key(number), START);
        let user_of = if number == 2 { "bob" } else { "ann" };
        limiter.enter_member(
            Scope::User,
            user_of,
            &user,
            key(number),
            number,
            ReceiverId(0),
        );
    }
    limiter.invariants();
    let keys: Vec<Key> = limiter.surplus().iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, [key(3), key(4)]);
}

proptest! {
    #[test]
    fn whoever_comes_waits_and_leaves_all_is_kept_in_order(
        steps in prop::collection::vec((0..6_u8, 0..8_u64, 0..3_u8, 0..500_u64), 1..200)
    ) {
        let mut limiter = limiter(rate(10, Exceeded::Slow));
        let user = rate(7, Exceeded::Slow);
        let mut now = START;
        for (step, number, whose, millis) in steps {
            now = now + Duration::from_millis(millis);
            let (key, name) = (key(number), format!("10.0.0.{whose}"));
            match step {
                0 if !limiter.clients.contains_key(&key) => {
                    prop_assert!(come(&mut limiter, number, &name, now).is_ok());
                }
                1 if limiter.clients.contains_key(&key) => {
                    limiter.leave_member(key, Scope::User, now);
                    limiter.enter_member(Scope::User, &name, &user, key, number, ReceiverId(0));
                }
                2 if limiter.clients.contains_key(&key) => {
                    let published = publish(&mut limiter, number, 20, now);
                    prop_assert!(published <= 20);
                }
                3 if limiter.clients.get(&key).is_some_and(|one| one.timer.is_none()) => {
                    limiter.reserve(key, now);
                    limiter.waits(key, TimerId::NONE);
                }
                4 => _ = limiter.go_on(key),
                5 => _ = limiter.leave(key, now),
                _ => {}
            }
            limiter.invariants();
        }
        for number in 0..8 {
            limiter.leave(key(number), now);
        }
        prop_assert_eq!(limiter.retained(), 0);
    }
}
