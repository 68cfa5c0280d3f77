//! Clients that log in by the JWT of a user: who is let in, what they may, and when they have to go.

use crate::raw::{Raw, config, start};
use crate::tokens::{Signer, account_body, user_body};
use midge::{
    AccountToken, Auth, Broker, Config, OperatorToken, Operators, Resolver, Running, WebSocket,
};
use midge_protocol::ServerOp;
use midge_protocol::nkey::Kind;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{SystemTime, UNIX_EPOCH};

fn operator_key() -> Signer {
    Signer::new(Kind::Operator, 1)
}

fn account_key() -> Signer {
    Signer::new(Kind::Account, 2)
}

fn user_key() -> Signer {
    Signer::new(Kind::User, 3)
}

/// Settings with one account that says this.
fn settings(change: impl Fn(&mut Value)) -> Config {
    let (operator, account) = (operator_key(), account_key());
    let nats = json!({"type": "operator", "version": 2});
    let token = operator.token(json!({"sub": operator.public, "name": "OP", "nats": nats}));
    let mut claims = json!({"sub": account.public, "name": "A", "nats": account_body()});
    change(&mut claims);
    let account = AccountToken::parse(&operator.token(claims)).expect("it is good");
    let operators = Operators {
        tokens: vec![OperatorToken::parse(&token).expect("it is good")],
        preload: [account].into_iter().collect(),
        ..Operators::default()
    };
    Config {
        auth: Auth::Operators(Arc::new(operators)),
        ..config()
    }
}

/// The token of the user.
fn token(change: impl Fn(&mut Value)) -> String {
    let mut claims =
        json!({"sub": user_key().public, "name": "joe", "iat": 5, "nats": user_body()});
    change(&mut claims);
    account_key().token(claims)
}

/// A client that has sent this token, with a signature, and a `PING`.
fn join(broker: &Running, token: &str) -> Raw {
    let mut client = Raw::dial(broker.addr()).expect("the broker listens");
    let info = info(&mut client);
    assert_eq!(info["auth_required"], json!(true));
    let nonce = info["nonce"].as_str().expect("there is something to sign");
    let sig = user_key().signature(nonce.as_bytes());
    let connect = json!({"verbose": false, "protocol": 1, "jwt": token, "sig": sig});
    client.send(format!("CONNECT {connect}\r\nPING\r\n").as_bytes());
    client
}

/// The object of an `INFO`, which comes next.
#[track_caller]
fn info(client: &mut Raw) -> Value {
    let json = client.next(|op| match op {
        ServerOp::Info { json } => serde_json::from_slice(json).expect("it is JSON"),
        other => panic!("{other:?}"),
    });
    json.expect("the broker is there")
}

/// A client that has been let in.
#[track_caller]
fn joined(broker: &Running, token: &str) -> Raw {
    let mut client = join(broker, token);
    assert_eq!(client.line().as_deref(), Some("PONG"));
    client
}

#[track_caller]
fn is_told_and_closed(client: &mut Raw, text: &str) {
    assert_eq!(client.line(), Some(format!("-ERR '{text}'")));
    assert_eq!(client.line(), None);
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later than 1970").as_secs() as i64
}

fn reload(broker: &Running, config: Config) {
    let reloaded = broker.handle().reload(config);
    reloaded.expect("the settings are possible");
}

#[test]
fn a_user_with_a_token_and_its_key_comes_in_and_nobody_else() {
    let broker = start(settings(|_| {}));
    joined(&broker, &token(|_| {}));
    for no_good in ["", "a.b", &token(|user| user["exp"] = json!(7))] {
        is_told_and_closed(&mut join(&broker, no_good), "Authorization Violation");
    }
    // Neither a name, nor nothing at all.
    for words in [r#"{"user":"a","pass":"b"}"#, "{}"] {
        let mut client = Raw::connect(broker.addr());
        client.send(format!("CONNECT {words}\r\nPING\r\n").as_bytes());
        is_told_and_closed(&mut client, "Authorization Violation");
    }
    let mut silent = Raw::connect(broker.addr());
    silent.send(b"SUB a 1\r\n");
    is_told_and_closed(&mut silent, "Authorization Violation");
}

#[test]
fn permissions_and_limits_are_those_of_the_token_and_of_the_account() {
    let broker = start(settings(|account| {
        account["nats"]["limits"]["conn"] = json!(2);
        account["nats"]["limits"]["payload"] = json!(100);
    }));
    let mut client = joined(
        &broker,
        &token(|user| user["nats"]["pub"] = json!({"allow": ["ok.>"]})),
    );
    assert_eq!(info(&mut client)["max_payload"], json!(100));
    client.send(b"PUB no 1\r\na\r\nPUB ok.a 1\r\na\r\nPING\r\n");
    let denied = "-ERR 'Permissions Violation for Publish to \"no\"'";
    assert_eq!(client.line().as_deref(), Some(denied));
    assert_eq!(client.line().as_deref(), Some("PONG"));
    let mut second = joined(&broker, &token(|_| {}));
    let mut third = join(&broker, &token(|_| {}));
    is_told_and_closed(&mut third, "maximum account active connections exceeded");
    assert_eq!(info(&mut second)["max_payload"], json!(100));
    second.send(b"PUB a 101\r\n");
    is_told_and_closed(&mut second, "Maximum Payload Violation");
    // No subscription at all is fewer than a client has.
    let mut bare = join(&broker, &token(|user| user["nats"]["subs"] = json!(0)));
    is_told_and_closed(&mut bare, "maximum subscriptions exceeded");
}

#[test]
fn a_client_goes_in_the_second_in_which_its_token_or_its_account_is_over() {
    let broker = start(settings(|_| {}));
    let mut client = joined(&broker, &token(|user| user["exp"] = json!(now() + 1)));
    is_told_and_closed(&mut client, "User Authentication Expired");
    let broker = start(settings(|account| account["exp"] = json!(now() + 2)));
    let mut client = joined(&broker, &token(|_| {}));
    is_told_and_closed(&mut client, "Account Authentication Expired");
    let mut late = join(&broker, &token(|user| user["exp"] = json!(now() + 100)));
    is_told_and_closed(&mut late, "Authorization Violation");
}

#[test]
fn a_reload_with_another_token_of_the_account_reaches_its_clients() {
    let plain = || settings(|_| {});
    let broker = start(plain());
    let bearer = token(|user| user["nats"]["bearer_token"] = json!(true));
    let revocations = |account: &mut Value| account["nats"]["revocations"] = json!({"*": 5});
    let few = |account: &mut Value| account["nats"]["limits"]["subs"] = json!(1);
    let no_bearer =
        |account: &mut Value| account["nats"]["limits"]["disallow_bearer"] = json!(true);
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 3] = [
        (revocations, "User Authentication Revoked"),
        (few, "maximum subscriptions exceeded"),
        (no_bearer, "Authorization Violation"),
    ];
    for (change, text) in cases {
        let mut client = joined(&broker, &bearer);
        client.send(b"SUB a 1\r\nPING\r\n");
        assert_eq!(client.line().as_deref(), Some("PONG"));
        reload(&broker, settings(change));
        is_told_and_closed(&mut client, text);
        reload(&broker, plain());
    }
    // The same token is good again, and other permissions hold at once.
    let mut client = joined(&broker, &bearer);
    reload(
        &broker,
        settings(|account| {
            account["nats"]["default_permissions"] = json!({"pub": {"deny": ["a"]}});
        }),
    );
    client.send(b"PUB a 1\r\na\r\nPING\r\n");
    let denied = "-ERR 'Permissions Violation for Publish to \"a\"'";
    assert_eq!(client.line().as_deref(), Some(denied));
    assert_eq!(client.line().as_deref(), Some("PONG"));
}

/// A server of HTTP with these accounts, by key; tells each path that is asked for.
pub(crate) fn resolver(accounts: HashMap<String, String>) -> (String, Receiver<String>) {
    let (sender, asked) = channel();
    let find = move |key: &str| accounts.get(key).cloned();
    let url = serve(find, |_| true, move |path| sender.send(path).is_ok());
    (url, asked)
}

/// A server of HTTP that finds accounts by their keys. It answers when `before` has returned, and ends when that or `after`
/// says so; both are told the path that was asked for.
pub(crate) fn serve(
    find: impl Fn(&str) -> Option<String> + Send + 'static,
    before: impl Fn(&str) -> bool + Send + 'static,
    after: impl Fn(String) -> bool + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let url = format!(
        "http://{}/accounts/",
        listener.local_addr().expect("it listens")
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("it is accepted");
            let mut lines = BufReader::new(stream.try_clone().expect("it is open")).lines();
            let first = lines.next().expect("a request").expect("it is text");
            let end = lines.find(|line| line.as_ref().is_ok_and(String::is_empty));
            end.expect("it has an end").expect("it is text");
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            if !before(&path) {
                return;
            }
            let key = path.trim_start_matches("/accounts/");
            let found = match key {
                "" => Some(String::new()),
                key => find(key),
            };
            let status = if found.is_some() {
                "200 OK"
            } else {
                "404 Not Found"
            };
            let body = found.unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            // The broker may have given up.
            let _ = stream.write_all(answer.as_bytes());
            if !after(path) {
                return;
            }
        }
    });
    url
}

#[test]
fn an_account_that_is_not_known_is_asked_for_at_the_resolvers_address() {
    let config = settings(|_| {});
    let Auth::Operators(operators) = &config.auth else {
        unreachable!("made so")
    };
    let (key, account) = operators.preload.iter().next().expect("there is one");
    let (url, asked) = resolver([(key.to_owned(), account.text().to_owned())].into());
    let operators = Operators {
        preload: Vec::<AccountToken>::new().into_iter().collect(),
        resolver: Resolver::Url(url),
        ..(**operators).clone()
    };
    let broker = start(Config {
        auth: Auth::Operators(Arc::new(operators)),
        ..config
    });
    assert_eq!(asked.recv().as_deref(), Ok("/accounts/"));
    let good = token(|_| {});
    for _ in 0..2 {
        let mut client = joined(&broker, &good);
        client.send(b"PING\r\n");
        assert_eq!(client.line().as_deref(), Some("PONG"));
    }
    let stranger = Signer::new(Kind::Account, 9);
    let claims = json!({"sub": user_key().public, "iat": 5, "nats": user_body()});
    let mut client = join(&broker, &stranger.token(claims));
    is_told_and_closed(&mut client, "Authorization Violation");
    // It was asked for each account once.
    let keys: Vec<String> = asked.try_iter().collect();
    let path = |key: &str| format!("/accounts/{key}");
    assert_eq!(keys, [path(key), path(&stranger.public)]);
}

#[test]
fn a_resolver_that_does_not_answer_ends_the_start() {
    let config = settings(|_| {});
    let Auth::Operators(operators) = &config.auth else {
        unreachable!("made so")
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let addr = listener.local_addr().expect("it listens");
    drop(listener);
    let operators = Operators {
        preload: Vec::<AccountToken>::new().into_iter().collect(),
        resolver: Resolver::Url(format!("http://{addr}/")),
        ..(**operators).clone()
    };
    let told = Broker::spawn(Config {
        auth: Auth::Operators(Arc::new(operators)),
        ..config
    });
    let told = told.expect_err("nobody listens there").to_string();
    assert!(
        told.starts_with(&format!("could not fetch <\"http://{addr}/\">: ")),
        "{told}"
    );
}

#[test]
fn accounts_of_tokens_keep_their_subjects_apart_and_their_users_together() {
    let broker = start(settings(|_| {}));
    let mut subscriber = joined(&broker, &token(|_| {}));
    subscriber.send(b"SUB a 1\r\nPING\r\n");
    assert_eq!(subscriber.line().as_deref(), Some("PONG"));
    let mut publisher = joined(&broker, &token(|_| {}));
    publisher.send(b"PUB a 1\r\nx\r\nPING\r\n");
    assert_eq!(publisher.line().as_deref(), Some("PONG"));
    assert_eq!(subscriber.line().as_deref(), Some("MSG a: x"));
}

#[test]
fn a_cookie_may_hold_the_token_of_a_bearer() {
    let websocket = WebSocket {
        host: "127.0.0.1".to_owned(),
        port: 0,
        no_tls: true,
        jwt_cookie: Some("jwt".to_owned()),
        ..WebSocket::default()
    };
    let broker = start(Config {
        websocket: Some(websocket),
        ..settings(|_| {})
    });
    let addr = broker.websocket_addr().expect("it listens");
    let bearer = token(|user| user["nats"]["bearer_token"] = json!(true));
    let plain = token(|_| {});
    for (cookie, expected) in [
        (&bearer, "PONG"),
        (&plain, "-ERR 'Authorization Violation'"),
    ] {
        let mut stream = TcpStream::connect(addr).expect("it listens");
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nCookie: jwt={cookie}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        // A frame with a mask of zeros.
        let words = b"CONNECT {\"verbose\":false}\r\nPING\r\n";
        let head = [0x82, 0x80 | words.len() as u8, 0, 0, 0, 0];
        stream
            .write_all(&[&head[..], words].concat())
            .expect("it reads");
        let mut heard = String::new();
        let mut bytes = [0; 1024];
        while !heard.contains("PONG") && !heard.contains("-ERR") {
            let count = stream.read(&mut bytes).expect("it answers");
            assert!(count > 0, "{heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        assert!(heard.contains(expected), "{heard}");
    }
}
