use super::*;
use crate::auth::Verdict;
use crate::auth::tokens::Now;
use crate::core::outbox::fake::FakeOutbox;
use crate::door::Door;
use crate::{Auth, Config};
use midge_reactor::Time;

fn config(pass: &str, payload_bytes_max: usize) -> Config {
    Config {
        auth: Auth::User {
            user: "ann".to_owned(),
            pass: pass.into(),
        },
        payload_bytes_max,
        ..Config::default()
    }
}

/// What the session says to settings that come now.
fn reload(session: &mut Session, state: &mut State, config: Config) -> Option<Verdict> {
    let former = std::mem::replace(&mut state.config, config);
    let credentials = !auth::is_same(&former, &state.config);
    state.auth_version += u32::from(credentials);
    session.reloaded(credentials, state, &Now::at(Time::ZERO))
}

const HASH: &str = "$2a$04$abcdefghijklmnopqrstuuxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// A session whose client has presented the password `a`.
fn session(state: &mut State) -> Session {
    let label = Label {
        peer: ([127, 0, 0, 1], 1).into(),
        cid: 1,
        door: Door::Main,
    };
    let mut session = Session::new(state, Key::NONE, label);
    assert!(session.is_awaited());
    let json = br#"{"user":"ann","pass":"a"}"#;
    session.introduce(json).expect("it is JSON");
    session
}

#[test]
fn limits_alone_do_not_have_a_client_looked_at_again() {
    let mut state = State::announcing(config(HASH, 1000), Info::default());
    let mut session = session(&mut state);
    let Verdict::Pending(inquiry) = session.check(&state, &Now::at(Time::ZERO)) else {
        panic!("there is a hash");
    };
    let asked = state.auth_version;
    // Its `CONNECT` is still looked at, and what is found then is good under these settings too.
    assert!(reload(&mut session, &mut state, config(HASH, 500)).is_none());
    assert_eq!(asked, state.auth_version);
    let login = inquiry.into_login();
    session
        .log_in(login, &mut state, &mut FakeOutbox::default())
        .expect("the account is there");
    assert_eq!(session.rules().payload_bytes_max, 500);
    assert!(reload(&mut session, &mut state, config(HASH, 200)).is_none());
    assert_eq!(session.rules().payload_bytes_max, 200);
}

#[test]
fn what_a_client_has_proved_it_need_not_prove_again_and_the_proof_is_not_kept() {
    let mut state = State::announcing(config("a", 1000), Info::default());
    let mut session = session(&mut state);
    let log_in = |session: &mut Session, state: &mut State| {
        let Verdict::Login(login) = session.check(state, &Now::at(Time::ZERO)) else {
            return false;
        };
        let out = &mut FakeOutbox::default();
        session
            .log_in(login, state, out)
            .expect("the account is there");
        true
    };
    assert!(log_in(&mut session, &mut state));
    assert!(!session.options.has_secret());
    for (json, expected) in [
        (r#"{"name":"n"}"#, true),
        (r#"{"user":"ann"}"#, true),
        (r#"{"user":"ann","pass":"a"}"#, true),
        (r#"{"pass":"x"}"#, false),
        (r#"{"name":"n"}"#, false),
        (r#"{"pass":"a"}"#, true),
        (r#"{"user":"bob"}"#, false),
    ] {
        session.introduce(json.as_bytes()).expect("it is JSON");
        assert_eq!(log_in(&mut session, &mut state), expected, "{json}");
    }
}

#[test]
fn a_client_whose_new_password_is_being_looked_at_is_not_let_in_by_the_next_reload() {
    let mut state = State::announcing(config("a", 1000), Info::default());
    let mut session = session(&mut state);
    let Verdict::Login(login) = session.check(&state, &Now::at(Time::ZERO)) else {
        panic!("the password is right");
    };
    session
        .log_in(login, &mut state, &mut FakeOutbox::default())
        .expect("the account is there");
    let verdict = reload(&mut session, &mut state, config(HASH, 1000));
    assert!(matches!(verdict, Some(Verdict::Pending(_))));
    let verdict = reload(&mut session, &mut state, config(HASH, 500));
    assert!(verdict.is_none(), "it is looked at already");
    assert_eq!(session.rules().payload_bytes_max, 500);
    // Its credentials have not changed since, and have not been found good either.
    let config = Config {
        no_auth_user: Some("ann".to_owned()),
        ..config(HASH, 500)
    };
    let verdict = reload(&mut session, &mut state, config);
    assert!(matches!(verdict, Some(Verdict::Pending(_))));
}
