//! What is published goes to other subjects by the mappings of the configuration: by chance, and after a reload.
//! `dialogue/mappings.txt` has what is said on the wire.

use crate::raw::{Raw, config, start};
use midge::{Config, Destination, Mapping, Running};
use std::collections::BTreeMap;

fn mapped(mappings: Vec<Mapping>) -> Config {
    Config {
        mappings,
        ..config()
    }
}

fn to(source: &str, destination: &str) -> Mapping {
    Mapping::to(source, destination).expect("it is right")
}

fn reload(broker: &Running, mappings: Vec<Mapping>) {
    let reloaded = broker.handle().reload(mapped(mappings));
    reloaded.expect("they are good");
}

/// How many of `count` messages to `subject` come to which subject. With long payloads, all but the first repeat.
fn spread(client: &mut Raw, subject: &str, count: usize) -> BTreeMap<String, usize> {
    let payload = "p".repeat(100);
    let frames = format!("PUB {subject} 100\r\n{payload}\r\n").repeat(count);
    client.send(frames.as_bytes());
    let mut spread = BTreeMap::new();
    for _ in 0..count {
        let subject = client.message(|message| {
            assert_eq!(message.payload, payload.as_bytes());
            String::from_utf8_lossy(message.subject).into_owned()
        });
        *spread.entry(subject.expect("it stays")).or_default() += 1;
    }
    spread
}

#[test]
fn messages_are_spread_by_weight_and_the_rest_stays() {
    let share = |subject: &str, weight| Destination {
        weight,
        ..Destination::to(subject)
    };
    let mapping = Mapping::new("a", [share("b", 20), share("c", 50)]).expect("it is right");
    let broker = start(mapped(vec![mapping]));
    let mut client = Raw::join(broker.addr());
    client.sub(">", None, "1");
    let spread = spread(&mut client, "a", 10_000);
    // Six standard deviations are 300 at most.
    for (subject, expected) in [("a", 3_000_usize), ("b", 2_000), ("c", 5_000)] {
        let count = spread.get(subject).copied().unwrap_or_default();
        assert!(expected.abs_diff(count) < 300, "{spread:?}");
    }
    assert_eq!(spread.len(), 3, "{spread:?}");
    client.leave();
}

#[test]
fn a_reload_holds_for_the_next_message_of_who_is_connected() {
    let broker = start(mapped(vec![]));
    let mut client = Raw::join(broker.addr());
    client.sub(">", None, "1");
    let mut all_to = |expected: &str| {
        let expected = BTreeMap::from([(expected.to_owned(), 3)]);
        assert_eq!(spread(&mut client, "a", 3), expected);
    };
    all_to("a");
    reload(&broker, vec![to("a", "b")]);
    all_to("b");
    reload(&broker, vec![to("x", "a"), to("*", "c.$1")]);
    all_to("c.a");
    reload(&broker, vec![to("x", "a")]);
    all_to("a");
    reload(&broker, vec![to("a", "b")]);
    all_to("b");
    let mut in_west = Mapping::new(
        "a",
        [Destination {
            cluster: Some("west".to_owned()),
            ..Destination::to("w")
        }],
    );
    reload(&broker, vec![in_west.clone().expect("it is right")]);
    all_to("a");
    let config = Config {
        cluster_name: Some("west".to_owned()),
        ..mapped(vec![in_west.clone().expect("it is right")])
    };
    broker.handle().reload(config).expect("they are good");
    all_to("w");
    in_west = Mapping::to("b", "a");
    reload(&broker, vec![in_west.expect("it is right")]);
    all_to("a");
    client.leave();
}

#[test]
fn a_message_in_pieces_goes_all_the_way_to_where_it_was_mapped_to() {
    const SUBSCRIPTIONS: usize = 5_000;
    let share = |subject: &str, weight| Destination {
        weight,
        ..Destination::to(subject)
    };
    let mapping = Mapping::new("a", [share("b", 50), share("c", 50)]).expect("it is right");
    let broker = start(mapped(vec![mapping]));
    let [mut publisher, mut subscriber] = [(); 2].map(|()| Raw::join(broker.addr()));
    for sid in 0..SUBSCRIPTIONS {
        subscriber.sub("*", None, &sid.to_string());
    }
    subscriber.sync();
    for number in 0..20_u32 {
        publisher.publish("a", &number.to_le_bytes());
        let mut subjects = (0..SUBSCRIPTIONS).map(|_| {
            let seen = |message: &midge_protocol::Delivery<'_>| {
                assert_eq!(message.payload, number.to_le_bytes());
                message.subject.to_vec()
            };
            subscriber.message(seen).expect("it stays")
        });
        let first = subjects.next().expect("there are some");
        assert!(first == b"b" || first == b"c");
        assert!(subjects.all(|subject| subject == first));
    }
    publisher.leave();
    subscriber.leave();
}
