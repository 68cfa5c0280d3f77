use super::*;
use crate::config::{AccountToken, Auth, OperatorToken};
use crate::jwt::fixtures::{Signer, account_body, user_body};
use serde_json::{Value, json};

/// The keys, the operator's and the account's tokens, and the present.
struct World {
    operator: Signer,
    account: Signer,
    /// A signing key of the account, where it says so.
    signing: Signer,
    user: Signer,
    known: Known,
    now: Now,
}

const NOW: i64 = 1000;

impl World {
    fn new() -> World {
        World {
            operator: Signer::new(Kind::Operator, 1),
            account: Signer::new(Kind::Account, 2),
            signing: Signer::new(Kind::Account, 3),
            user: Signer::new(Kind::User, 4),
            known: Known::default(),
            now: Now {
                wall: Timestamp::from_second(NOW).expect("it is a date"),
                turn: Time::from_nanos(5),
            },
        }
    }

    /// Settings with an account that says this.
    fn config(&self, change: impl Fn(&mut Value)) -> Config {
        let strict = json!({"type": "operator", "version": 2});
        let operator = json!({"sub": self.operator.public, "nats": strict});
        let mut account =
            json!({"sub": self.account.public, "name": "acc", "nats": account_body()});
        change(&mut account);
        let account = AccountToken::parse(&self.operator.token(account)).expect("it is good");
        let operator = OperatorToken::parse(&self.operator.token(operator)).expect("it is good");
        let operators = Operators {
            tokens: vec![operator],
            preload: [account].into_iter().collect(),
            ..Operators::default()
        };
        Config {
            auth: Auth::Operators(Arc::new(operators)),
            ..Config::default()
        }
    }

    /// The token of the user, by the account's own key.
    fn token(&self, change: impl Fn(&mut Value)) -> String {
        self.token_by(&self.account, change)
    }

    fn token_by(&self, issuer: &Signer, change: impl Fn(&mut Value)) -> String {
        let mut claims =
            json!({"sub": self.user.public, "name": "joe", "iat": 500, "nats": user_body()});
        change(&mut claims);
        issuer.token(claims)
    }

    /// What becomes of a client that presents this token, and signs.
    fn check(&self, config: &Config, token: &str) -> Verdict {
        let nonce = Nonce::new().expect("there are random bytes");
        let options = ConnectOptions {
            jwt: token.into(),
            sig: self.user.signature(nonce.text().as_bytes()).as_str().into(),
            ..ConnectOptions::default()
        };
        self.look(config, &options, Some(&nonce))
    }

    fn look(&self, config: &Config, options: &ConnectOptions, nonce: Option<&Nonce>) -> Verdict {
        let shown = Shown {
            options,
            nonce,
            connection: ConnectionType::Standard,
            address: Some([127, 0, 0, 1].into()),
        };
        check(config, &self.known, &shown, &self.now)
    }

    #[track_caller]
    fn login(&self, config: &Config, token: &str) -> Login {
        match self.check(config, token) {
            Verdict::Login(login) => login,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn refused(&self, config: &Config, token: &str) -> Refusal {
        match self.check(config, token) {
            Verdict::Denied(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }

    /// What becomes of a client, let in by this token under these settings, under others.
    fn again(&self, before: &Config, after: &Config, token: &str) -> Verdict {
        check_again(after, &self.known, &self.login(before, token), &self.now)
    }
}

#[test]
fn a_login_is_of_the_account_and_the_user_by_their_keys_with_the_smaller_limits() {
    let world = World::new();
    let config = world.config(|account| {
        let limits = &mut account["nats"]["limits"];
        (limits["payload"], limits["subs"]) = (json!(100), json!(7));
    });
    let login = world.login(
        &config,
        &world.token(|user| user["nats"]["subs"] = json!(5)),
    );
    assert_eq!(
        (&*login.account, &*login.user),
        (&*world.account.public, &*world.user.public)
    );
    assert_eq!(
        (
            login.limits.payload_bytes_max,
            login.limits.subscriptions_max
        ),
        (100, Some(5))
    );
    assert_eq!(
        (login.until, login.permissions.are_everything()),
        (None, true)
    );
    assert_eq!(login.proved_user(), Some(&*world.user.public));
    // The settings' own limits count as well, and do so when they change.
    let mut login = login;
    login.limit(&Config {
        payload_bytes_max: 50,
        ..config
    });
    assert_eq!(login.limits.payload_bytes_max, 50);
}

#[test]
fn who_has_no_signature_of_the_nonce_comes_in_as_a_bearer_alone() {
    let world = World::new();
    let config = world.config(|_| {});
    let bearer = world.token(|user| user["nats"]["bearer_token"] = json!(true));
    let plain = world.token(|_| {});
    let nonce = Nonce::new().expect("there are random bytes");
    let look = |token: &str, sig: &str, nonce: Option<&Nonce>| {
        let options = ConnectOptions {
            jwt: token.into(),
            sig: sig.into(),
            ..ConnectOptions::default()
        };
        match world.look(&config, &options, nonce) {
            Verdict::Login(_) => None,
            Verdict::Denied(refusal) => Some(refusal),
            other => panic!("{other:?}"),
        }
    };
    let good = world.user.signature(nonce.text().as_bytes());
    let other = world.user.signature(b"another nonce..");
    assert_eq!(look(&plain, &good, Some(&nonce)), None);
    assert_eq!(look(&plain, &other, Some(&nonce)), Some(Refusal::Signature));
    assert_eq!(look(&plain, &good, None), Some(Refusal::Signature));
    assert_eq!(look(&plain, "", Some(&nonce)), Some(Refusal::NoSignature));
    assert_eq!(
        look(&plain, "*", Some(&nonce)),
        Some(Refusal::SignatureForm)
    );
    assert_eq!(look(&bearer, "", None), None);
    assert_eq!(look("", &good, Some(&nonce)), Some(Refusal::NoToken));
    let config = world.config(|account| account["nats"]["limits"]["disallow_bearer"] = json!(true));
    assert_eq!(world.refused(&config, &bearer), Refusal::NoBearer);
}

#[test]
fn a_chain_that_is_broken_anywhere_lets_nobody_in() {
    let world = World::new();
    let config = world.config(|_| {});
    let stranger = Signer::new(Kind::Account, 9);
    // An account that is not known, by its own key and by a signing key.
    let token = world.token_by(&stranger, |_| {});
    let missing = Refusal::AccountMissing(stranger.public.as_str().into());
    assert_eq!(world.refused(&config, &token), missing);
    assert_eq!(
        world.refused(&config, &world.token_by(&world.signing, |_| {})),
        Refusal::AccountMissing(world.signing.public.as_str().into())
    );
    // A key that is none of the account's.
    let claim = |user: &mut Value| user["nats"]["issuer_account"] = json!(world.account.public);
    assert_eq!(
        world.refused(&config, &world.token_by(&stranger, claim)),
        Refusal::IssuerUnknown
    );
    // It is one of those.
    let with_key =
        world.config(|account| account["nats"]["signing_keys"] = json!([world.signing.public]));
    let token = world.token_by(&world.signing, claim);
    assert_eq!(
        &*world.login(&with_key, &token).account,
        &*world.account.public
    );
    // An account that another operator has signed.
    let other = Signer::new(Kind::Operator, 8);
    let account = json!({"sub": world.account.public, "nats": account_body()});
    let account = AccountToken::parse(&other.token(account)).expect("it is good");
    let mut operators = config.operators().expect("there are some").clone();
    operators.preload = [account].into_iter().collect();
    let foreign = Config {
        auth: Auth::Operators(Arc::new(operators)),
        ..Config::default()
    };
    assert_eq!(
        world.refused(&foreign, &world.token(|_| {})),
        Refusal::AccountInvalid
    );
    // One that contradicts itself.
    let wrong = world.config(|account| account["nats"]["signing_keys"] = json!(["x"]));
    assert_eq!(
        world.refused(&wrong, &world.token(|_| {})),
        Refusal::AccountInvalid
    );
    // Without operators a token is nothing.
    let open = Config::default();
    assert!(matches!(
        world.check(&open, &world.token(|_| {})),
        Verdict::Refused
    ));
}

#[test]
fn under_a_strict_operator_users_come_in_by_signing_keys_alone() {
    let world = World::new();
    let operator_signing = Signer::new(Kind::Operator, 6);
    let operator = json!({"sub": world.operator.public, "nats": {"type": "operator", "version": 2,
        "strict_signing_key_usage": true, "signing_keys": [operator_signing.public]}});
    let operator = OperatorToken::parse(&world.operator.token(operator)).expect("it is good");
    let config = |issuer: &Signer| {
        let mut nats = account_body();
        nats["signing_keys"] = json!([world.signing.public]);
        let account = issuer.token(json!({"sub": world.account.public, "nats": nats}));
        let operators = Operators {
            tokens: vec![operator.clone()],
            preload: [AccountToken::parse(&account).expect("it is good")]
                .into_iter()
                .collect(),
            ..Operators::default()
        };
        Config {
            auth: Auth::Operators(Arc::new(operators)),
            ..Config::default()
        }
    };
    let own = world.token(|_| {});
    let signed = world.token_by(&world.signing, |user| {
        user["nats"]["issuer_account"] = json!(world.account.public);
    });
    let good = config(&operator_signing);
    assert_eq!(world.refused(&good, &own), Refusal::IssuerUnknown);
    world.login(&good, &signed);
    assert_eq!(
        world.refused(&config(&world.operator), &signed),
        Refusal::AccountInvalid
    );
}

#[test]
fn a_scope_says_everything_and_its_users_say_nothing() {
    let world = World::new();
    let template = json!({
        "pub": {"allow": ["u.{{name()}}.>", "t.{{tag(team)}}"]}, "subs": -1, "payload": 1024,
        "allowed_connection_types": ["standard"],
    });
    let scope = json!({"kind": "user_scope", "key": world.signing.public, "role": "r", "template": template});
    let config = world.config(|account| account["nats"]["signing_keys"] = json!([scope]));
    let token = |nats: Value| {
        let account = world.account.public.clone();
        world.token_by(&world.signing, move |user| {
            user["nats"] = nats.clone();
            user["nats"]["issuer_account"] = json!(account);
        })
    };
    let bare = token(json!({"type": "user", "version": 2, "tags": ["team:red"]}));
    let login = world.login(&config, &bare);
    assert_eq!(login.limits.payload_bytes_max, 1024);
    let Ground::Jwt(proven) = &login.ground else {
        panic!("{login:?}")
    };
    let permissions = proven.permissions.as_ref().map(ToString::to_string);
    assert_eq!(
        permissions.as_deref(),
        Some("{publish: {allow: [t.red, u.joe.>]}}")
    );
    assert_eq!(
        world.refused(&config, &token(user_body())),
        Refusal::ScopedWithTerms
    );
    let wild = token(json!({"type": "user", "version": 2, "tags": ["team:>"]}));
    assert_eq!(world.refused(&config, &wild), Refusal::InvalidPermissions);
    // The scope's connection types count, and an unknown one is none.
    for (types, expected) in [
        (json!(["WEBSOCKET"]), Refusal::Connection),
        (
            json!(["FOO"]),
            Refusal::ConnectionTypes(vec!["FOO".to_owned()]),
        ),
    ] {
        let mut scope = scope.clone();
        scope["template"]["allowed_connection_types"] = types;
        let config = world.config(|account| account["nats"]["signing_keys"] = json!([scope]));
        assert_eq!(world.refused(&config, &bare), expected);
    }
}

#[test]
fn time_ends_a_login_and_what_ends_first_is_told() {
    let world = World::new();
    let config = world.config(|account| account["exp"] = json!(NOW + 20));
    let refused = |at: &str, second: i64| {
        let refusal = world.refused(&config, &world.token(|user| user[at] = json!(second)));
        refusal.to_string()
    };
    assert_eq!(
        refused("exp", NOW - 1),
        "User JWT no longer valid: &{Issues:[claim is expired]}"
    );
    assert_eq!(
        refused("nbf", NOW + 1),
        "User JWT no longer valid: &{Issues:[claim is not yet valid]}"
    );
    let ends = |second: i64| {
        let login = world.login(&config, &world.token(|user| user["exp"] = json!(second)));
        let until = login.until.expect("it ends") - world.now.turn;
        (until.as_secs(), login.expiry().to_string())
    };
    assert_eq!(ends(NOW), (0, "User Authentication Expired".to_owned()));
    assert_eq!(
        ends(NOW + 10),
        (10, "User Authentication Expired".to_owned())
    );
    assert_eq!(
        ends(NOW + 30),
        (20, "Account Authentication Expired".to_owned())
    );
    assert_eq!(ends(0), (20, "Account Authentication Expired".to_owned()));
    // From midnight on, in 1000 seconds and 16 minutes.
    let by_day = world.token(|user| {
        user["nats"]["times"] = json!([{"start": "00:16:40", "end": "00:16:45"}]);
        user["nats"]["times_location"] = json!("UTC");
    });
    let login = world.login(&config, &by_day);
    assert_eq!(
        login.until.expect("it ends") - world.now.turn,
        Duration::from_secs(5)
    );
    let zone = world.token(|user| user["nats"]["times_location"] = json!("X/Y"));
    assert_eq!(world.refused(&config, &zone), Refusal::Zone("X/Y".into()));
    let over = world.config(|account| account["exp"] = json!(NOW - 1));
    assert_eq!(
        world.refused(&over, &world.token(|_| {})),
        Refusal::AccountExpired(world.account.public.as_str().into())
    );
    let early = world.config(|account| account["nbf"] = json!(NOW + 1));
    assert_eq!(
        world.refused(&early, &world.token(|_| {})),
        Refusal::AccountInvalid
    );
}

#[test]
fn a_user_comes_from_its_networks_and_if_it_is_not_revoked() {
    let world = World::new();
    let config = world.config(|_| {});
    let from = |network: &str| world.token(|user| user["nats"]["src"] = json!(network));
    world.login(&config, &from("10.0.0.0/8,127.0.0.0/8"));
    let refusal = world.refused(&config, &from("10.0.0.0/8"));
    assert_eq!(
        (refusal.to_string().as_str(), refusal.is_error()),
        ("Bad src Ip 127.0.0.1", true)
    );
    // It was made in the second 500.
    for (key, second, is_in) in [
        (world.user.public.as_str(), 499, true),
        (&world.user.public, 500, false),
        ("*", 500, false),
        ("UOTHER", 900, true),
    ] {
        let revoking =
            world.config(|account| account["nats"]["revocations"] = json!({key: second}));
        let verdict = world.check(&revoking, &world.token(|_| {}));
        assert_eq!(
            matches!(verdict, Verdict::Login(_)),
            is_in,
            "{key} {second}"
        );
        let later = world.again(&config, &revoking, &world.token(|_| {}));
        assert_eq!(matches!(later, Verdict::Login(_)), is_in, "{key} {second}");
        assert_eq!(matches!(later, Verdict::Over(Over::Revoked)), !is_in);
    }
}

#[test]
fn about_users_that_an_account_does_not_name_somebody_else_is_asked_once_their_token_is_good() {
    let world = World::new();
    let with = |user: &str| {
        let users = json!({"auth_users": [user]});
        world.config(move |account| account["nats"]["authorization"] = users.clone())
    };
    let login = world.login(&with(&world.user.public), &world.token(|_| {}));
    // It may answer, and not ask.
    let denied = login.permissions.of_user().expect("there are some");
    assert_eq!(
        denied.to_string(),
        "{publish: {deny: [$SYS.REQ.USER.AUTH]}}"
    );
    let other = Signer::new(Kind::User, 9).public;
    let tagged = world.token(|user| user["nats"]["tags"] = json!(["a:b"]));
    let Verdict::CallOut(about) = world.check(&with(&other), &tagged) else {
        panic!("somebody else decides");
    };
    let expected = CallOut {
        account: world.account.public.as_str().into(),
        user: world.user.public.as_str().into(),
        issued_at: 500,
        name: "joe".into(),
        tags: vec!["a:b".to_owned()],
    };
    assert_eq!(*about, expected);
    let expired = world.token(|user| user["exp"] = json!(NOW - 1));
    assert!(matches!(
        world.refused(&with(&other), &expired),
        Refusal::NotGood(_)
    ));
}

#[test]
fn what_a_client_has_proved_is_held_against_another_token_of_its_account() {
    let world = World::new();
    let plain = world.config(|_| {});
    let token = world.token(|user| user["nats"]["bearer_token"] = json!(true));
    let Verdict::Login(login) = world.again(
        &plain,
        &world.config(|account| {
            account["nats"]["limits"]["payload"] = json!(9);
            account["nats"]["default_permissions"] = json!({"pub": {"allow": ["a"]}});
            account["exp"] = json!(NOW + 5);
        }),
        &token,
    ) else {
        panic!("it stays")
    };
    assert_eq!(
        (
            login.limits.payload_bytes_max,
            login.permissions.are_everything()
        ),
        (9, false)
    );
    assert_eq!(
        login.until.map(|until| (until - world.now.turn).as_secs()),
        Some(5)
    );
    let over =
        |change: &dyn Fn(&mut Value)| match world.again(&plain, &world.config(change), &token) {
            Verdict::Over(over) => Ok(over),
            Verdict::Denied(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        };
    let bearer = |account: &mut Value| account["nats"]["limits"]["disallow_bearer"] = json!(true);
    assert_eq!(over(&bearer), Err(Refusal::NoBearer));
    assert_eq!(
        over(&|account| account["exp"] = json!(NOW - 1)),
        Ok(Over::Account)
    );
    // The account is gone, or others may log in.
    let mut operators = plain.operators().expect("there are some").clone();
    operators.pinned = vec!["AOTHER".to_owned()];
    let after = |operators: Operators| Config {
        auth: Auth::Operators(Arc::new(operators)),
        ..Config::default()
    };
    let pinned = world.again(&plain, &after(operators.clone()), &token);
    assert!(matches!(pinned, Verdict::Denied(Refusal::NotPinned(_))));
    (operators.pinned, operators.preload) = (Vec::new(), Default::default());
    assert!(matches!(
        world.again(&plain, &after(operators), &token),
        Verdict::Over(Over::Account)
    ));
    // A signing key is gone, or has a scope, or another one.
    let key = |scope: Option<i64>| {
        let key = world.signing.public.clone();
        let key = match scope {
            None => json!(key),
            Some(subs) => json!({"kind": "user_scope", "key": key, "template": {"subs": subs}}),
        };
        world.config(move |account| account["nats"]["signing_keys"] = json!([key]))
    };
    let account = world.account.public.clone();
    let by_key = world.token_by(&world.signing, |user| {
        user["nats"] = json!({
        "type": "user", "version": 2, "issuer_account": account});
    });
    let stays = |before: &Config, after: &Config| match world.again(before, after, &by_key) {
        Verdict::Login(_) => true,
        Verdict::Over(Over::Unsigned) => false,
        other => panic!("{other:?}"),
    };
    assert!(stays(&key(None), &key(None)) && stays(&key(Some(3)), &key(Some(3))));
    assert!(!stays(&key(None), &plain) && !stays(&key(None), &key(Some(3))));
    assert!(!stays(&key(Some(3)), &key(Some(4))));
    // Where tokens are not asked for, one is nothing.
    let login = world.login(&plain, &token);
    let users = Config {
        auth: Auth::Token("t".into()),
        ..Config::default()
    };
    let by = crate::door::Door::Main.into();
    let verdict = crate::auth::check_again(&users, &login, None, by);
    assert!(matches!(verdict, Verdict::Refused));
}
