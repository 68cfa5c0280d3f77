//! Who is let in, by a token, as one user or as one of many, in the open or by a hash; and that looking
//! at a hash holds nobody else up.

use crate::raw::{Raw, config, start};
use midge::{Auth, Broker, Config, Monitor, Running, User};

fn broker(auth: Auth, no_auth_user: Option<&str>) -> Running {
    start(Config {
        auth,
        no_auth_user: no_auth_user.map(str::to_owned),
        ..config()
    })
}

fn hash(secret: &str) -> String {
    bcrypt::hash_with_salt(secret, 4, *b"sixteen bytes...")
        .expect("it can be hashed")
        .to_string()
}

fn users(users: &[(&str, &str)]) -> Auth {
    let user = |&(name, pass): &(&str, &str)| User {
        name: name.to_owned(),
        proof: pass.into(),
        ..User::default()
    };
    Auth::Users {
        users: users.iter().map(user).collect(),
        token: None,
    }
}

/// What the broker says to a `CONNECT` with a `PING` right behind it.
fn answer(broker: &Running, credentials: &str) -> String {
    let mut client = Raw::connect(broker.addr());
    let connect = format!("CONNECT {{\"verbose\":false,{credentials}}}\r\nPING\r\n");
    client.send(connect.as_bytes());
    client.line().expect("it answers")
}

fn check(broker: &Running, cases: &[(&str, bool)]) {
    for (credentials, welcome) in cases {
        let expected = if *welcome {
            "PONG"
        } else {
            "-ERR 'Authorization Violation'"
        };
        assert_eq!(answer(broker, credentials), expected, "{credentials}");
    }
}

const NOTHING: &str = r#""name":"nobody""#;
const ANN: &str = r#""user":"ann","pass":"secret""#;
const BOB: &str = r#""user":"bob","pass":"hidden""#;
const TOKEN: &str = r#""auth_token":"secret""#;

#[test]
fn each_of_many_users_has_a_password_of_its_own() {
    let broker = broker(users(&[("ann", "secret"), ("bob", &hash("hidden"))]), None);
    check(
        &broker,
        &[
            (ANN, true),
            (BOB, true),
            (r#""user":"ann","pass":"hidden""#, false),
            (r#""user":"bob","pass":"secret""#, false),
            (r#""user":"eve","pass":"secret""#, false),
            (r#""user":"ann""#, false),
            (TOKEN, false),
            (NOTHING, false),
        ],
    );
    // Nor does the hash itself open the door.
    let guess = format!(r#""user":"bob","pass":"{}""#, hash("hidden"));
    check(&broker, &[(&guess, false)]);
}

#[test]
fn one_user_and_a_token_may_be_hashes_too() {
    let one = Auth::User {
        user: "bob".to_owned(),
        pass: hash("hidden").into(),
    };
    check(
        &broker(one, None),
        &[(BOB, true), (ANN, false), (NOTHING, false)],
    );
    let token = Auth::Token(hash("secret").into());
    check(
        &broker(token, None),
        &[(TOKEN, true), (ANN, false), (NOTHING, false)],
    );
}

#[test]
fn a_token_may_stand_beside_users() {
    let mut auth = users(&[("ann", "secret")]);
    if let Auth::Users { token, .. } = &mut auth {
        *token = Some("secret".into());
    }
    let broker = broker(auth, None);
    check(&broker, &[(ANN, true), (TOKEN, true), (NOTHING, false)]);
}

#[test]
fn who_presents_nothing_may_be_a_user_by_default() {
    let broker = broker(users(&[("ann", "secret")]), Some("ann"));
    check(
        &broker,
        &[
            (NOTHING, true),
            (ANN, true),
            (r#""user":"ann""#, false),
            (r#""pass":"secret""#, false),
            (TOKEN, false),
        ],
    );
    // Nor need it send `CONNECT` at all, as where nothing is asked for.
    let mut client = Raw::connect(broker.addr());
    client.send(b"PING\r\n");
    assert_eq!(client.line().as_deref(), Some("PONG"));
}

#[test]
fn what_stands_behind_a_connect_waits_for_its_answer_and_is_not_lost() {
    let broker = broker(users(&[("bob", &hash("hidden"))]), None);
    let mut client = Raw::connect(broker.addr());
    client.send(
        format!(
            "CONNECT {{\"verbose\":false,{BOB}}}\r\nSUB a 1\r\nPUB a 2\r\nhi\r\nPING\r\nPUB a 2\r\nho\r\n"
        )
        .as_bytes(),
    );
    let lines: Vec<_> = (0..3).map(|_| client.line().expect("it answers")).collect();
    assert_eq!(lines, ["MSG a: hi", "PONG", "MSG a: ho"]);
}

#[test]
fn a_hash_does_not_guard_the_monitoring() {
    let auth = Auth::User {
        user: "ann".to_owned(),
        pass: hash("secret").into(),
    };
    let monitor = Some(Monitor {
        auth,
        ..Monitor::default()
    });
    let refused = Broker::bind(Config {
        monitor,
        ..config()
    });
    let error = refused.expect_err("a hash would be the password");
    assert!(
        error
            .to_string()
            .contains("compares passwords as they stand")
    );
}

#[test]
fn many_that_come_at_once_are_all_let_in() {
    let broker = broker(users(&[("bob", &hash("hidden"))]), None);
    let mut clients: Vec<Raw> = (0..200)
        .map(|_| {
            let mut client = Raw::connect(broker.addr());
            client.send(format!("CONNECT {{\"verbose\":false,{BOB}}}\r\nPING\r\n").as_bytes());
            client
        })
        .collect();
    for client in &mut clients {
        assert_eq!(client.line().as_deref(), Some("PONG"));
    }
}

#[test]
fn a_hash_that_takes_for_ever_holds_nobody_else_up() {
    // The highest cost there is takes days. The threads that work on it end with this process.
    let endless = "$2a$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzabcdefg";
    let broker = broker(users(&[("ann", "secret"), ("bob", endless)]), None);
    let mut waiting = Raw::connect(broker.addr());
    waiting.send(format!("CONNECT {{{BOB}}}\r\nPING\r\n").as_bytes());
    for _ in 0..50 {
        assert_eq!(answer(&broker, ANN), "PONG");
    }
    // One that has gone meanwhile leaves nothing behind, and the broker still ends in good order.
    waiting.vanish();
    broker.shutdown().expect("it ends well");
}
