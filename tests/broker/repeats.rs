//! A publish whose control line is that of the last one is carried out in a short way, and comes to
//! the same as any other.

use crate::raw::{Raw, config, start};
use midge::{Config, Permission, Permissions, Responses, Subjects};

/// Frames with one control line, in one write: with payloads this long, each but the first repeats.
fn repeated(control_line: &str, count: usize) -> Vec<u8> {
    let payload = "p".repeat(100);
    format!("{control_line} 100\r\n{payload}\r\n")
        .repeat(count)
        .into_bytes()
}

/// The subjects of `count` messages.
fn subjects(client: &mut Raw, count: usize) -> Vec<String> {
    let subject = |client: &mut Raw| {
        client.message(|message| String::from_utf8_lossy(message.subject).into_owned())
    };
    (0..count).filter_map(|_| subject(client)).collect()
}

#[test]
fn what_is_refused_once_is_refused_each_time() {
    let broker = start(config());
    let mut client = Raw::join(broker.addr());
    client.sub(">", None, "1");
    client.send(&repeated("PUB _GR_.x", 3));
    client.send(&repeated("PUB a _R_.x", 3));
    client.send(&repeated("PUB a", 2));
    for text in ["Publish to \"_GR_.x\"", "Publish with Reply of \"_R_.x\""] {
        for _ in 0..3 {
            let line = client.line().expect("it stays");
            assert_eq!(line, format!("-ERR 'Permissions Violation for {text}'"));
        }
    }
    assert_eq!(subjects(&mut client, 2), ["a", "a"]);
    client.leave();
}

#[test]
fn who_comes_and_goes_between_repetitions_is_noticed() {
    let broker = start(config());
    let addr = broker.addr();
    let [mut publisher, mut first, mut second] = [(); 3].map(|()| Raw::join(addr));
    // How many of `count` messages each of the two has got.
    let mut got = |count, first: &mut Raw, second: &mut Raw| {
        publisher.send(&repeated("PUB a.b", count));
        publisher.sync();
        [first, second].map(|client| client.sync_counting().expect("it is open"))
    };
    assert_eq!(got(3, &mut first, &mut second), [0, 0]);
    first.sub("a.b", None, "1");
    first.sync();
    assert_eq!(got(3, &mut first, &mut second), [3, 0]);
    second.sub("a.*", None, "9");
    second.sync();
    assert_eq!(got(3, &mut first, &mut second), [3, 3]);
    first.send(b"UNSUB 1\r\n");
    first.sync();
    assert_eq!(got(3, &mut first, &mut second), [0, 3]);
    first.sub("a.b", Some("q"), "2");
    first.sync();
    assert_eq!(got(3, &mut first, &mut second), [3, 3]);
    first.sub("a.b", None, "3");
    first.send(b"UNSUB 3 2\r\n");
    first.sync();
    assert_eq!(got(5, &mut first, &mut second), [5 + 2, 5]);
    second.leave();
    assert_eq!(got(2, &mut first, &mut Raw::join(addr)), [2, 0]);
}

#[test]
fn a_line_that_was_read_under_other_rules_does_not_repeat() {
    let broker = start(config());
    let mut client = Raw::join_with(broker.addr(), r#"{"verbose":false,"echo":true}"#);
    client.sub("a", None, "1");
    client.send(&repeated("PUB a", 2));
    client.send(b"CONNECT {\"verbose\":false,\"echo\":false}\r\n");
    client.send(&repeated("PUB a", 2));
    client.send(b"CONNECT {\"verbose\":false,\"echo\":true}\r\n");
    client.send(&repeated("PUB a", 1));
    client.sub("b", None, "2");
    client.send(&repeated("PUB b", 1));
    assert_eq!(subjects(&mut client, 4), ["a", "a", "a", "b"]);
    client.leave();
}

#[test]
fn a_response_that_repeats_is_counted_each_time() {
    let permissions = Permissions {
        publish: Permission {
            allow: Some(Subjects::new(["a"])),
            ..Permission::default()
        },
        responses: Some(Responses {
            max: Some(3),
            ..Responses::default()
        }),
        ..Permissions::default()
    };
    let broker = start(Config {
        default_permissions: Some(permissions.into()),
        ..config()
    });
    let mut client = Raw::join(broker.addr());
    client.sub(">", None, "1");
    client.send(b"PUB a r 0\r\n\r\n");
    client.send(&repeated("PUB r", 5));
    client.send(&repeated("PUB a", 2));
    assert_eq!(subjects(&mut client, 4), ["a", "r", "r", "r"]);
    for _ in 0..2 {
        let line = client.line();
        assert_eq!(
            line.as_deref(),
            Some("-ERR 'Permissions Violation for Publish to \"r\"'")
        );
    }
    assert_eq!(subjects(&mut client, 2), ["a", "a"]);
    client.leave();
}
