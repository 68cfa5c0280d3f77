//! What programs written against a common client library rely on: async-nats, as released, against
//! a broker in this process.

#[path = "../support/raw.rs"]
mod raw;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use async_nats::{
    Client, ConnectOptions, Event, HeaderMap, Message, PublishErrorKind, RequestErrorKind,
    ServerError, Subscriber,
};
use futures_util::StreamExt;
use midge::Config;
use raw::{PATIENCE, config, start};
use tokio::sync::mpsc;

/// Gives up on what hangs. Passing tests never wait for it.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.expect("it happens, and soon")
}

async fn join(addr: SocketAddr) -> Client {
    let client = soon(async_nats::connect(addr.to_string())).await;
    client.expect("the broker welcomes the client")
}

async fn subscribe(client: &Client, subject: &str) -> Subscriber {
    let subscriber = client.subscribe(subject.to_owned()).await;
    subscriber.expect("the client is connected")
}

async fn publish(client: &Client, subject: &str, payload: impl Into<Vec<u8>>) {
    let sent = client
        .publish(subject.to_owned(), payload.into().into())
        .await;
    sent.expect("the client is connected");
}

/// The broker has carried out all that `client` has asked for.
async fn settled(client: &Client) {
    soon(client.flush()).await.expect("the client is connected");
    // `flush` ends when the bytes have left; this comes back when they have been carried out.
    let inbox = client.new_inbox();
    let mut own = subscribe(client, &inbox).await;
    publish(client, &inbox, "").await;
    next(&mut own).await;
}

async fn next(subscriber: &mut Subscriber) -> Message {
    soon(subscriber.next()).await.expect("a message comes")
}

/// The payloads of the messages up to one that says `end`.
async fn up_to_end(subscriber: &mut Subscriber) -> Vec<String> {
    let mut payloads = Vec::new();
    loop {
        let message = next(subscriber).await;
        let payload = String::from_utf8(message.payload.to_vec()).expect("it was text");
        if payload == "end" {
            return payloads;
        }
        payloads.push(payload);
    }
}

#[tokio::test]
async fn a_client_learns_who_the_server_is() {
    let broker = start(Config {
        server_name: Some("little".to_owned()),
        payload_bytes_max: 4096,
        ..config()
    });
    let (one, other) = (join(broker.addr()).await, join(broker.addr()).await);
    let (info, others) = (one.server_info(), other.server_info());
    assert_eq!(info.server_name, "little");
    assert_eq!(info.port, broker.addr().port());
    assert_eq!(info.max_payload, 4096);
    assert_eq!(info.client_ip, "127.0.0.1");
    assert!(info.headers);
    assert_ne!(info.client_id, others.client_id);
    assert_eq!(info.server_id, others.server_id);
}

#[tokio::test]
async fn what_is_published_arrives_in_order_and_only_where_it_was_asked_for() {
    let broker = start(config());
    let (publisher, client) = (join(broker.addr()).await, join(broker.addr()).await);
    let mut wanted = subscribe(&client, "news.today").await;
    let mut unwanted = subscribe(&client, "news").await;
    settled(&client).await;
    for n in 0..1000 {
        publish(&publisher, "news.today", n.to_string()).await;
    }
    publish(&publisher, "news.today", "end").await;
    publish(&publisher, "news", "end").await;
    let expected: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    assert_eq!(up_to_end(&mut wanted).await, expected);
    assert!(up_to_end(&mut unwanted).await.is_empty());
}

#[tokio::test]
async fn a_star_stands_for_one_token_and_a_greater_sign_for_the_rest() {
    let broker = start(config());
    let (publisher, client) = (join(broker.addr()).await, join(broker.addr()).await);
    let mut star = subscribe(&client, "a.*.c").await;
    let mut rest = subscribe(&client, "a.>").await;
    let mut all = subscribe(&client, ">").await;
    settled(&client).await;
    // That took a message to itself, which `>` has seen too.
    assert_eq!(next(&mut all).await.payload, "");
    for subject in ["a", "a.b", "a.b.c", "a.b.c.d", "a.x.c", "b.b.c"] {
        publish(&publisher, subject, subject).await;
    }
    for (subject, payload) in [("a.end.c", "end"), ("end", "end")] {
        publish(&publisher, subject, payload).await;
    }
    assert_eq!(up_to_end(&mut star).await, ["a.b.c", "a.x.c"]);
    let below_a = ["a.b", "a.b.c", "a.b.c.d", "a.x.c"];
    assert_eq!(up_to_end(&mut rest).await, below_a);
    let everything = ["a", "a.b", "a.b.c", "a.b.c.d", "a.x.c", "b.b.c"];
    assert_eq!(up_to_end(&mut all).await, everything);
}

#[tokio::test]
async fn a_queue_group_shares_the_messages_evenly_and_each_goes_to_one_member() {
    const MEMBERS: usize = 5;
    const MESSAGES: usize = 5000;
    let broker = start(config());
    let publisher = join(broker.addr()).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut clients = Vec::new();
    for member in 0..MEMBERS {
        let client = join(broker.addr()).await;
        let group = client.queue_subscribe("job.*", "workers".to_owned()).await;
        let mut group = group.expect("the client is connected");
        let mut everyone = subscribe(&client, "end").await;
        settled(&client).await;
        let tell = tell.clone();
        tokio::spawn(async move {
            // What comes last for the connection is last for all its subscriptions.
            let mut taken = Vec::new();
            let mut ended = false;
            while !ended {
                tokio::select! {
                    biased;
                    Some(message) = group.next() => taken.push(message.payload),
                    Some(_) = everyone.next() => ended = true,
                }
            }
            tell.send((member, taken)).expect("the test listens");
        });
        clients.push(client);
    }
    for n in 0..MESSAGES {
        publish(&publisher, &format!("job.{}", n % 7), n.to_string()).await;
    }
    publish(&publisher, "end", "").await;

    let mut seen = HashSet::new();
    for _ in 0..MEMBERS {
        let (member, taken) = soon(told.recv()).await.expect("each member tells");
        let share = MESSAGES / MEMBERS;
        assert!(
            (share / 2..share * 2).contains(&taken.len()),
            "member {member} took {} of {MESSAGES}",
            taken.len()
        );
        for payload in taken {
            assert!(seen.insert(payload.clone()), "{payload:?} came twice");
        }
    }
    assert_eq!(seen.len(), MESSAGES);
}

#[tokio::test]
async fn a_request_is_answered_by_one_of_the_responders() {
    let broker = start(config());
    let server = join(broker.addr()).await;
    let mut requests = subscribe(&server, "double").await;
    settled(&server).await;
    let answering = server.clone();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let text = std::str::from_utf8(&request.payload).expect("it was a number");
            let number: u64 = text.parse().expect("it was a number");
            let answer = (2 * number).to_string();
            let reply = request.reply.expect("a request has a reply subject");
            let sent = answering.publish(reply, answer.into()).await;
            sent.expect("the client is connected");
        }
    });
    let client = join(broker.addr()).await;
    for number in 0..200_u64 {
        let question = number.to_string();
        let answer = soon(client.request("double", question.into())).await;
        let answer = answer.expect("somebody answers").payload;
        assert_eq!(answer, (2 * number).to_string().as_bytes());
    }
}

#[tokio::test]
async fn many_requests_at_once_get_each_their_own_answer() {
    let broker = start(config());
    let server = join(broker.addr()).await;
    let mut requests = subscribe(&server, "echo").await;
    settled(&server).await;
    let answering = server.clone();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let reply = request.reply.expect("a request has a reply subject");
            let sent = answering.publish(reply, request.payload).await;
            sent.expect("the client is connected");
        }
    });
    let client = join(broker.addr()).await;
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..500_u32 {
        let client = client.clone();
        asked.spawn(async move {
            let question = number.to_string();
            let answer = client.request("echo", question.clone().into()).await;
            (question, answer.expect("somebody answers").payload)
        });
    }
    while let Some(pair) = soon(asked.join_next()).await {
        let (question, answer) = pair.expect("the request did not panic");
        assert_eq!(answer, question.as_bytes());
    }
}

#[tokio::test]
async fn a_request_that_nobody_takes_fails_at_once() {
    let broker = start(config());
    let client = join(broker.addr()).await;
    for _ in 0..3 {
        let error = soon(client.request("nobody.home", "anyone?".into())).await;
        let kind = error.expect_err("nobody listens").kind();
        assert_eq!(kind, RequestErrorKind::NoResponders);
    }
}

#[tokio::test]
async fn headers_arrive_with_their_repeated_keys_in_order() {
    let broker = start(config());
    let (publisher, client) = (join(broker.addr()).await, join(broker.addr()).await);
    let mut subscriber = subscribe(&client, "with.headers").await;
    settled(&client).await;
    let mut headers = HeaderMap::new();
    headers.append("Colour", "red");
    headers.append("colour", "lower case is another key");
    headers.append("Colour", "green");
    headers.append("Colour", "gr\u{fc}n");
    headers.append("Empty", "");
    let sent = publisher
        .publish_with_headers("with.headers", headers.clone(), "payload".into())
        .await;
    sent.expect("the client is connected");
    let message = next(&mut subscriber).await;
    assert_eq!(message.payload, "payload");
    let got = message.headers.expect("it was sent with headers");
    let values: Vec<&str> = got
        .get_all("Colour")
        .map(async_nats::HeaderValue::as_str)
        .collect();
    assert_eq!(values, ["red", "green", "gr\u{fc}n"]);
    assert_eq!(got, headers);
}

#[tokio::test]
async fn a_drained_subscription_gets_what_was_sent_before_and_nothing_after() {
    let broker = start(config());
    let (publisher, client) = (join(broker.addr()).await, join(broker.addr()).await);
    let mut drained = subscribe(&client, "drain").await;
    let mut kept = subscribe(&client, "drain").await;
    settled(&client).await;
    for n in 0..100 {
        publish(&publisher, "drain", n.to_string()).await;
    }
    settled(&publisher).await;
    drained.drain().await.expect("the client is connected");
    settled(&client).await;
    publish(&publisher, "drain", "after").await;
    publish(&publisher, "drain", "end").await;
    assert_eq!(up_to_end(&mut kept).await.len(), 101);
    let mut count = 0;
    while soon(drained.next()).await.is_some() {
        count += 1;
    }
    assert_eq!(count, 100);
}

#[tokio::test]
async fn a_drained_client_delivers_what_it_has_and_closes() {
    let broker = start(config());
    let (publisher, client) = (join(broker.addr()).await, join(broker.addr()).await);
    let mut subscriber = subscribe(&client, "drain").await;
    settled(&client).await;
    for n in 0..100 {
        publish(&publisher, "drain", n.to_string()).await;
    }
    settled(&publisher).await;
    client.drain().await.expect("the client is connected");
    let mut count = 0;
    while soon(subscriber.next()).await.is_some() {
        count += 1;
    }
    assert_eq!(count, 100);
}

#[tokio::test]
async fn a_subscription_with_a_maximum_ends_by_itself() {
    let broker = start(config());
    let (publisher, client) = (join(broker.addr()).await, join(broker.addr()).await);
    let mut three = subscribe(&client, "some").await;
    three
        .unsubscribe_after(3)
        .await
        .expect("the client is connected");
    settled(&client).await;
    for n in 0..10 {
        publish(&publisher, "some", n.to_string()).await;
    }
    let mut payloads = Vec::new();
    while let Some(message) = soon(three.next()).await {
        payloads.push(message.payload);
    }
    assert_eq!(payloads, ["0", "1", "2"]);
    // The broker has forgotten it too: nobody is left who could take a request.
    settled(&publisher).await;
    let error = soon(publisher.request("some", "".into())).await;
    let kind = error.expect_err("nobody listens").kind();
    assert_eq!(kind, RequestErrorKind::NoResponders);
}

#[tokio::test]
async fn subscriptions_come_back_when_the_broker_does() {
    let mut broker = start(config());
    let addr = broker.addr();
    let (tell, mut told) = mpsc::unbounded_channel();
    let client = ConnectOptions::new()
        .event_callback(move |event| {
            let tell = tell.clone();
            async move {
                // The test may have ended.
                let _ = tell.send(event);
            }
        })
        .reconnect_delay_callback(|_| Duration::from_millis(1))
        .connect(addr.to_string());
    let client = soon(client).await.expect("the broker welcomes the client");
    let mut plain = subscribe(&client, "plain.*").await;
    let queue = client.queue_subscribe("queue", "group".to_owned()).await;
    let mut queue = queue.expect("the client is connected");
    let mut five = subscribe(&client, "five").await;
    five.unsubscribe_after(5)
        .await
        .expect("the client is connected");
    settled(&client).await;
    publish(&client, "five", "0").await;
    publish(&client, "five", "1").await;
    for payload in ["0", "1"] {
        assert_eq!(next(&mut five).await.payload, payload);
    }

    for round in 2..5 {
        broker.shutdown().expect("the broker ends well");
        until(&mut told, |event| matches!(event, Event::Disconnected)).await;
        broker = start(Config {
            port: addr.port(),
            ..config()
        });
        until(&mut told, |event| matches!(event, Event::Connected)).await;
        settled(&client).await;
        let publisher = join(addr).await;
        for subject in ["plain.again", "queue", "five"] {
            publish(&publisher, subject, round.to_string()).await;
        }
        for subscriber in [&mut plain, &mut queue, &mut five] {
            let payload = next(subscriber).await.payload;
            assert_eq!(payload, round.to_string().as_bytes());
        }
    }
    // Two before the first end and one after each: it has had its five.
    assert!(soon(five.next()).await.is_none());
}

#[tokio::test]
async fn who_is_sent_away_goes_to_another_server_and_has_lost_nothing() {
    let duck = Config {
        lame_duck_duration: Duration::from_millis(400),
        lame_duck_grace_period: Duration::from_millis(50),
        ..config()
    };
    let (one, other) = (start(duck), start(config()));
    let (tell, mut told) = mpsc::unbounded_channel();
    let options = ConnectOptions::new()
        .event_callback(move |event| {
            let tell = tell.clone();
            async move {
                // The test may have ended.
                let _ = tell.send(event);
            }
        })
        .retain_servers_order()
        .reconnect_delay_callback(|_| Duration::from_millis(1));
    let servers = [one.addr(), other.addr()].map(|addr| {
        let server = addr.to_string().parse::<async_nats::ServerAddr>();
        server.expect("an address")
    });
    let client = soon(options.connect(&servers[..])).await;
    let client = client.expect("the broker welcomes the client");
    let mut numbers = subscribe(&client, "number").await;
    for number in 0..1000 {
        publish(&client, "number", number.to_string()).await;
    }
    settled(&client).await;
    one.handle().lame_duck();
    until(&mut told, |event| matches!(event, Event::LameDuckMode)).await;
    for number in 0..1000 {
        let payload = next(&mut numbers).await.payload;
        assert_eq!(payload, number.to_string().as_bytes());
    }
    until(&mut told, |event| matches!(event, Event::Disconnected)).await;
    until(&mut told, |event| matches!(event, Event::Connected)).await;
    assert_eq!(client.server_info().port, other.addr().port());
    settled(&client).await;
    publish(&client, "number", "1000").await;
    assert_eq!(next(&mut numbers).await.payload, "1000");
    // It ends by itself, now that nobody is left.
    let stop = one.join().expect("the broker ends well");
    assert_eq!(stop, midge::Stop::LameDuck);
    other.shutdown().expect("the broker ends well");
}

async fn until(told: &mut mpsc::UnboundedReceiver<Event>, wanted: impl Fn(&Event) -> bool) {
    loop {
        let event = soon(told.recv()).await.expect("the client tells");
        if wanted(&event) {
            return;
        }
    }
}

#[tokio::test]
async fn a_payload_may_be_as_large_as_announced_and_no_larger() {
    let broker = start(Config {
        payload_bytes_max: 1000,
        ..config()
    });
    let (publisher, client) = (join(broker.addr()).await, join(broker.addr()).await);
    let mut subscriber = subscribe(&client, "size").await;
    settled(&client).await;
    publish(&publisher, "size", vec![b'x'; 1000]).await;
    assert_eq!(next(&mut subscriber).await.payload.len(), 1000);
    let refused = publisher.publish("size", vec![b'x'; 1001].into()).await;
    let kind = refused.expect_err("it is too large").kind();
    assert_eq!(kind, PublishErrorKind::MaxPayloadExceeded);
}

#[tokio::test]
async fn a_client_is_told_when_it_is_turned_away() {
    let broker = start(Config {
        auth: midge::Auth::Token("secret".into()),
        ..config()
    });
    let addr = broker.addr().to_string();
    let refused = ConnectOptions::with_token("guess".to_owned())
        .connect(&addr)
        .await;
    let kind = refused.expect_err("the token is wrong").kind();
    assert_eq!(kind, async_nats::ConnectErrorKind::AuthorizationViolation);
    let (tell, mut told) = mpsc::unbounded_channel();
    let client = ConnectOptions::with_token("secret".to_owned())
        .event_callback(move |event| {
            let tell = tell.clone();
            async move {
                // The test may have ended.
                let _ = tell.send(event);
            }
        })
        .connect(&addr);
    let client = soon(client).await.expect("the token is right");
    settled(&client).await;
    until(&mut told, |event| {
        assert!(!matches!(
            event,
            Event::ServerError(ServerError::AuthorizationViolation)
        ));
        matches!(event, Event::Connected)
    })
    .await;
}

#[tokio::test]
async fn a_mebibyte_arrives_as_it_was_sent() {
    let broker = start(config());
    let (publisher, client) = (join(broker.addr()).await, join(broker.addr()).await);
    let mut subscriber = subscribe(&client, "large.*").await;
    settled(&client).await;
    for n in 0..16_u32 {
        let payload = pattern(n);
        publish(&publisher, &format!("large.{n}"), payload).await;
    }
    for n in 0..16_u32 {
        let message = next(&mut subscriber).await;
        assert_eq!(message.subject.as_str(), format!("large.{n}"));
        assert!(message.payload == pattern(n), "payload {n} was altered");
    }
}

/// A mebibyte that no other `n` gives, and that does not repeat at a power of two.
fn pattern(n: u32) -> Vec<u8> {
    let byte = |at: u32| (at.wrapping_mul(2_654_435_761).wrapping_add(n * 977) >> 13) as u8;
    (0..1024 * 1024).map(byte).collect()
}

#[tokio::test]
async fn ten_thousand_subscriptions_on_one_connection_get_each_its_own() {
    const SUBSCRIPTIONS: usize = 10_000;
    let broker = start(config());
    let (publisher, client) = (join(broker.addr()).await, join(broker.addr()).await);
    let mut subscribers = Vec::new();
    for n in 0..SUBSCRIPTIONS {
        subscribers.push(subscribe(&client, &format!("many.{n}.x")).await);
    }
    let mut all = subscribe(&client, "many.>").await;
    settled(&client).await;
    for n in 0..SUBSCRIPTIONS {
        publish(&publisher, &format!("many.{n}.x"), n.to_string()).await;
    }
    let mut counts = HashMap::new();
    for (n, subscriber) in subscribers.iter_mut().enumerate() {
        let message = next(subscriber).await;
        assert_eq!(message.payload, n.to_string().as_bytes());
        let message = next(&mut all).await;
        *counts.entry(message.subject.to_string()).or_insert(0) += 1;
    }
    assert!(counts.len() == SUBSCRIPTIONS && counts.values().all(|count| *count == 1));
    drop(subscribers);
    for n in 0..SUBSCRIPTIONS {
        publish(&publisher, &format!("many.{n}.x"), "again").await;
    }
    for _ in 0..SUBSCRIPTIONS {
        assert_eq!(next(&mut all).await.payload, "again");
    }
}
