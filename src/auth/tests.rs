//! Who a client is by the settings, and by settings that come later.

use super::login::Limits;
use super::*;
use crate::config::{ConnectionType, GLOBAL};

fn users(users: &[(&str, &str)], no_auth_user: Option<&str>) -> Config {
    let users = users.iter().map(|(name, pass)| User {
        name: (*name).to_owned(),
        proof: (*pass).into(),
        ..User::default()
    });
    Config {
        auth: Auth::Users {
            users: users.collect(),
            token: None,
        },
        no_auth_user: no_auth_user.map(str::to_owned),
        ..Config::default()
    }
}

fn presents(user: &str, pass: &str) -> ConnectOptions {
    ConnectOptions {
        user: user.to_owned(),
        pass: pass.into(),
        ..ConnectOptions::default()
    }
}

fn look(config: &Config, options: &ConnectOptions) -> Verdict {
    let presented = Presented {
        options,
        nonce: None,
        certificate: None,
        by: Door::Main.into(),
    };
    check(config, presented)
}

#[track_caller]
fn login(verdict: Verdict) -> Login {
    let Verdict::Login(login) = verdict else {
        panic!("{verdict:?}");
    };
    login
}

/// A hash of some password, in form.
const HASH: &str = "$2a$04$abcdefghijklmnopqrstuuxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
const OTHER_HASH: &str = "$2a$04$abcdefghijklmnopqrstuuyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";

#[test]
fn beside_a_callout_the_settings_decide_about_its_users_by_the_name_that_they_look_at() {
    let config = |no_auth_user: Option<&str>| Config {
        auth_callout: Some(crate::config::AuthCallout {
            auth_users: vec!["auth".to_owned()],
            ..Default::default()
        }),
        ..users(&[("auth", "a"), ("ann", "b")], no_auth_user)
    };
    let plain = config(None);
    assert_eq!(*login(look(&plain, &presents("auth", "a"))).user, *"auth");
    assert!(matches!(
        look(&plain, &presents("auth", "b")),
        Verdict::Refused
    ));
    let as_another = ConnectOptions {
        nkey: "auth".to_owned(),
        ..presents("ann", "b")
    };
    for options in [
        presents("ann", "b"),
        presents("joe", ""),
        presents("", "a"),
        ConnectOptions::default(),
        as_another,
    ] {
        for config in [&plain, &config(Some("ann"))] {
            let verdict = look(config, &options);
            assert!(matches!(verdict, Verdict::CallOut(_)), "{options:?}");
            assert!(before_connect(config, Door::Main.into()).is_none());
            assert!(config.terms(Door::Main).want_credentials());
        }
    }
    let default = config(Some("auth"));
    let nothing = ConnectOptions::default();
    assert_eq!(*login(look(&default, &nothing)).user, *"auth");
    assert!(before_connect(&default, Door::Main.into()).is_some());
    assert!(!default.terms(Door::Main).want_credentials());
    // One whom nothing was asked is none of them, whatever it calls itself.
    let open = Login::named(&Config::default(), "auth", Ground::Open);
    let again = |config: &Config| check_again(config, &open, None, Door::Main.into());
    assert!(matches!(again(&plain), Verdict::Refused));
    let with_ann = config(Some("ann"));
    assert!(matches!(again(&with_ann), Verdict::Refused));
    assert_eq!(*login(again(&default)).user, *"auth");
}

#[test]
fn the_settings_and_the_core_call_the_global_account_the_same() {
    assert_eq!(GLOBAL, crate::core::accounts::Accounts::GLOBAL);
}

#[test]
fn a_login_names_the_account_the_user_and_the_limits_of_the_settings() {
    let config = Config {
        payload_bytes_max: 1000,
        subscriptions_max: Some(7),
        ..users(&[("ann", "a")], None)
    };
    let ann = login(look(&config, &presents("ann", "a")));
    let limits = Limits {
        payload_bytes_max: 1000,
        subscriptions_max: Some(7),
    };
    assert_eq!((&*ann.account, &*ann.user), ("$G", "ann"));
    assert_eq!(ann.limits, limits);
    assert_eq!(before_connect(&config, Door::Main.into()), None);
    let open = before_connect(&Config::default(), Door::Main.into());
    assert_eq!(open.map(|login| login.user), Some("".into()));
}

#[test]
fn who_presents_nothing_is_the_user_for_such_clients() {
    let config = users(&[("ann", "a"), ("bob", "b")], Some("bob"));
    let without = login(look(&config, &ConnectOptions::default()));
    assert_eq!(&*without.user, "bob");
    assert_eq!(before_connect(&config, Door::Main.into()), Some(without));
    for options in [presents("bob", ""), presents("", "b"), presents("eve", "b")] {
        let verdict = look(&config, &options);
        assert!(matches!(verdict, Verdict::Refused), "{options:?}");
    }
}

#[test]
fn a_user_comes_in_by_the_connections_that_it_may_have_and_by_no_other() {
    let mut config = users(&[("ann", "a")], Some("ann"));
    let options = presents("ann", "a");
    let is_in = |config: &Config, door: Door| {
        let presented = Presented {
            options: &options,
            nonce: None,
            certificate: None,
            by: door.into(),
        };
        let ways = [
            matches!(check(config, presented), Verdict::Login(_)),
            before_connect(config, door.into()).is_some(),
        ];
        assert_eq!(ways[0], ways[1], "{door:?}");
        ways[0]
    };
    assert!(is_in(&config, Door::Main) && is_in(&config, Door::WebSocket));
    let Auth::Users { users, .. } = &mut config.auth else {
        unreachable!("made above");
    };
    let only = User {
        connections: vec![ConnectionType::Mqtt, ConnectionType::WebSocket],
        ..users[0].clone()
    };
    *users = vec![only].into();
    assert!(!is_in(&config, Door::Main) && is_in(&config, Door::WebSocket));
}

#[test]
fn a_certificate_tells_which_user_a_client_is_and_a_password_counts_beside_it() {
    let config = users(&[("ann@acme.test", ""), ("bob@acme.test", "b")], None);
    let is_in = |email: &str, options: &ConnectOptions| {
        let names = Names {
            emails: vec![email.to_owned()],
            ..Names::default()
        };
        let presented = Presented {
            options,
            nonce: None,
            certificate: Some(&names),
            by: Door::Main.into(),
        };
        match check(&config, presented) {
            Verdict::Login(login) => Some(login.user),
            _ => None,
        }
    };
    let (ann, bob) = ("ann@acme.test", "bob@acme.test");
    assert_eq!(is_in(ann, &presents("eve", "")).as_deref(), Some(ann));
    assert_eq!(is_in(ann, &presents("", "x")), None);
    assert_eq!(is_in(bob, &presents("", "b")).as_deref(), Some(bob));
    assert_eq!(is_in(bob, &presents("", "")), None);
    assert_eq!(is_in("eve@acme.test", &presents(ann, "")), None);
}

/// Settings where certificates tell which of these users a client is.
fn mapping(of: &[(&str, &str)]) -> Config {
    let mut config = users(of, None);
    config.tls.get_or_insert_default().verify_and_map = true;
    config
}

#[test]
fn a_name_is_no_proof_of_a_user_that_is_known_by_its_certificate() {
    let config = mapping(&[("ann", ""), ("bob", "b")]);
    let is_in = |config: &Config, user: &str, pass: &str| {
        let presented = Presented {
            options: &presents(user, pass),
            nonce: None,
            certificate: None,
            by: Door::WebSocket.into(),
        };
        matches!(check(config, presented), Verdict::Login(_))
    };
    assert!(!is_in(&config, "ann", "") && is_in(&config, "bob", "b"));
    // Where certificates tell nothing anywhere, it is as much as such a user has.
    assert!(is_in(&users(&[("ann", "")], None), "ann", ""));
}

#[test]
fn whoever_came_before_certificates_counted_is_who_its_certificate_says_or_goes() {
    let mail = |name: &str| Names {
        emails: vec![format!("{name}@acme.test")],
        ..Names::default()
    };
    let former = users(
        &[("ann@acme.test", ""), ("bob@acme.test", "b"), ("eve", "e")],
        Some("eve"),
    );
    let options = [
        presents("ann@acme.test", ""),
        presents("bob@acme.test", "b"),
        presents("eve", "e"),
        ConnectOptions::default(),
    ];
    let logins = options.map(|options| login(look(&former, &options)));
    let open = login(look(&Config::default(), &presents("eve", "e")));
    let config = Config {
        no_auth_user: Some("eve".to_owned()),
        ..mapping(&[("ann@acme.test", ""), ("bob@acme.test", "b"), ("eve", "e")])
    };
    let again = |login: &Login, names: &Names| {
        let verdict = check_again(&config, login, Some(names), Door::Main.into());
        match verdict {
            Verdict::Login(login) => login.user.into_string(),
            _ => String::new(),
        }
    };
    let (ann, bob) = ("ann@acme.test", "bob@acme.test");
    let seen = |names: &Names| logins.each_ref().map(|login| again(login, names));
    assert_eq!(seen(&Names::default()), ["", "", "", ""]);
    // A password that is not that of the user counts against it, and none at all is what a user without one has.
    assert_eq!(seen(&mail("ann")), [ann, "", "", ann]);
    assert_eq!(seen(&mail("bob")), ["", bob, "", ""]);
    assert_eq!(
        [again(&open, &mail("ann")), again(&open, &mail("bob"))],
        [ann, ""]
    );
    // By its certificate, and then certificates count no longer.
    let by_certificate = |names: &Names, options: &ConnectOptions| {
        let presented = Presented {
            options,
            nonce: None,
            certificate: Some(names),
            by: Door::Main.into(),
        };
        login(check(&config, presented))
    };
    let ann = by_certificate(&mail("ann"), &ConnectOptions::default());
    let bob = by_certificate(&mail("bob"), &presents("", "b"));
    let after = |login| {
        matches!(
            check_again(&former, login, None, Door::Main.into()),
            Verdict::Login(_)
        )
    };
    assert_eq!([after(&ann), after(&bob)], [true, true]);
    assert!(!is_same(&former, &config));
}

#[test]
fn a_token_is_not_shown_as_a_user_name() {
    let options = ConnectOptions {
        auth_token: "secret".into(),
        ..ConnectOptions::default()
    };
    assert_eq!(claimed_user(&options), TOKEN);
    let config = Config {
        auth: Auth::Token("secret".into()),
        ..Config::default()
    };
    assert_eq!(&*login(look(&config, &options)).user, TOKEN);
}

#[test]
fn a_client_is_touched_by_a_change_of_what_it_was_let_in_by_and_of_nothing_else() {
    let former = users(&[("ann", "a"), ("bob", "b")], Some("bob"));
    let ann = login(look(&former, &presents("ann", "a")));
    let without = login(look(&former, &ConnectOptions::default()));
    for (config, expected) in [
        (former.clone(), [Some("ann"), Some("bob")]),
        (users(&[("ann", "a")], None), [Some("ann"), None]),
        (
            users(&[("ann", "a2"), ("bob", "b2")], Some("bob")),
            [None, Some("bob")],
        ),
        (
            users(&[("bob", "b"), ("ann", "a")], Some("ann")),
            [Some("ann"), Some("ann")],
        ),
        (users(&[("bob", "b")], None), [None, None]),
        (Config::default(), [Some("ann"), Some("bob")]),
    ] {
        let again = |login| match check_again(&config, login, None, Door::Main.into()) {
            Verdict::Login(login) => Some(login.user),
            _ => None,
        };
        let found = [again(&ann), again(&without)];
        assert_eq!(
            found.each_ref().map(Option::as_deref),
            expected,
            "{config:?}"
        );
    }
    // What was proved counts after a time in which nothing was asked for.
    let meanwhile = login(check_again(
        &Config::default(),
        &ann,
        None,
        Door::Main.into(),
    ));
    let verdict = check_again(
        &users(&[("ann", "a")], None),
        &meanwhile,
        None,
        Door::Main.into(),
    );
    assert_eq!(&*login(verdict).user, "ann");
    // One that had to present nothing has nothing to show when it must.
    let open = login(look(&Config::default(), &presents("ann", "a")));
    let verdict = check_again(&former, &open, None, Door::Main.into());
    assert_eq!(&*login(verdict).user, "bob");
    let verdict = check_again(
        &users(&[("ann", "a")], None),
        &open,
        None,
        Door::Main.into(),
    );
    assert!(matches!(verdict, Verdict::Refused));
}

#[test]
fn a_hash_is_computed_where_it_takes_the_place_of_a_password_or_leaves_it_and_nowhere_else() {
    let of = |pass: &str| users(&[("ann", pass)], None);
    let known = |pass: &str| {
        let ground = Ground::Password(pass.into());
        Login::named(&of(pass), "ann", ground)
    };
    let again = |from, to| check_again(&of(to), &known(from), None, Door::Main.into());
    assert!(matches!(again(HASH, HASH), Verdict::Login(_)));
    assert!(matches!(again("a", "b"), Verdict::Refused));
    assert!(matches!(again(HASH, OTHER_HASH), Verdict::Refused));
    for (from, to) in [("a", HASH), (HASH, "a")] {
        let Verdict::Pending(inquiry) = again(from, to) else {
            panic!("{from} {to}");
        };
        assert!(inquiry.hash.is(HASH) && inquiry.guess.is("a"));
        // The next time it is held against what stands in the settings now.
        let after = check_again(&of(to), &inquiry.login, None, Door::Main.into());
        assert!(matches!(after, Verdict::Login(_)));
    }
}
