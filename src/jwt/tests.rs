use super::fixtures::{Signer, account_body, user_body};
use super::*;
use data_encoding::BASE64URL_NOPAD;
use midge_protocol::nkey::Kind;
use serde_json::{Value, json};

fn operator_key() -> Signer {
    Signer::new(Kind::Operator, 1)
}

fn account_key() -> Signer {
    Signer::new(Kind::Account, 2)
}

fn user_key() -> Signer {
    Signer::new(Kind::User, 3)
}

/// The token of version 1 of these claims.
fn token_1(issuer: &Signer, mut claims: Value) -> String {
    claims["iss"] = json!(issuer.public);
    let header = BASE64URL_NOPAD.encode(br#"{"typ":"jwt","alg":"ed25519"}"#);
    let body = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
    let signature = issuer.signature(body.as_bytes());
    format!("{header}.{body}.{signature}")
}

/// Claims about a subject with this in `nats`.
fn about(subject: &Signer, nats: &Value) -> Value {
    json!({"jti": "J", "iat": 7, "name": "n", "sub": subject.public, "nats": nats})
}

#[test]
fn each_kind_of_token_is_read_with_what_all_have() {
    let (o, a, u) = (operator_key(), account_key(), user_key());
    let mut claims = about(
        &o,
        &json!({"type": "operator", "version": 2, "tags": ["a:b"],
        "signing_keys": [o.public], "system_account": a.public, "strict_signing_key_usage": true}),
    );
    (claims["exp"], claims["nbf"]) = (json!(9), json!(8));
    let read = operator(&o.token(claims)).expect("it is good");
    assert_eq!((&read.issuer, &read.subject), (&o.public, &o.public));
    assert_eq!((read.id.as_str(), read.name.as_str()), ("J", "n"));
    assert_eq!((read.issued_at, read.expires, read.not_before), (7, 9, 8));
    assert_eq!(read.tagged("A").collect::<Vec<_>>(), ["b"]);
    assert!(read.body.strict_signing_key_usage && read.body.system_account == a.public);
    let by_account = account(&a.token(about(&a, &account_body())));
    assert_eq!(by_account.expect("it is good").body.limits.conn, -1);
    let read = user(&a.token(about(&u, &user_body()))).expect("it is good");
    assert_eq!((read.body.subs, read.subject), (-1, u.public.clone()));
    let nats = json!({"type": "activation", "version": 2, "subject": "s", "kind": "stream"});
    let read = activation(&a.token(about(&a, &nats))).expect("it is good");
    assert_eq!(
        (read.body.subject.as_str(), read.body.kind.as_str()),
        ("s", "stream")
    );
    let read = generic(&o.token(about(&o, &json!({"accounts": ["x"], "version": 2}))));
    assert_eq!(read.expect("it is good").body["accounts"], json!(["x"]));
    assert_eq!(
        account(&a.token(about(&u, &user_body()))),
        Err(Fault::NotA("account"))
    );
}

#[test]
fn a_number_that_is_missing_is_nothing_in_version_2_and_no_limit_for_users_of_version_1() {
    let (a, u) = (account_key(), user_key());
    let second = user(&a.token(about(&u, &json!({"type": "user", "version": 2}))));
    let second = second.expect("it is good").body;
    assert_eq!((second.subs, second.payload), (0, 0));
    let mut claims = about(
        &u,
        &json!({"pub": {}, "sub": {"allow": ["a"]}, "payload": 7}),
    );
    claims["type"] = json!("user");
    claims["issuer_account"] = json!(a.public);
    claims["tags"] = json!(["x:y"]);
    let first = user(&token_1(&a, claims.clone())).expect("it is good");
    assert_eq!((first.body.subs, first.body.payload), (-1, 7));
    assert_eq!(
        (&first.body.issuer_account, first.tags.len()),
        (&a.public, 1)
    );
    assert_eq!(first.body.permissions.subscribe.allow, ["a"]);
    // Its signature is over other text than that of version 2.
    assert_eq!(user(&a.token(claims.clone())), Err(Fault::Signature(1)));
    claims["nats"]["max"] = json!(5);
    assert_eq!(user(&token_1(&a, claims)), Err(Fault::DeprecatedLimits));
    let second = token_1(&a, about(&u, &user_body()));
    assert_eq!(user(&second), Err(Fault::Signature(2)));
}

#[test]
fn what_is_no_token_is_told_as_nats_server_tells_it() {
    let (a, u) = (account_key(), user_key());
    let good = about(&u, &user_body()).to_string();
    let header = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;
    let told = |text: &str| match read(text) {
        Ok(claims) => format!("{:?}", claims.body),
        Err(fault) => fault.to_string(),
    };
    for text in ["", "a.b", "a.b.c.d"] {
        assert_eq!(told(text), "expected 3 chunks", "{text}");
    }
    assert_eq!(told("e!.b.c"), "illegal base64 data at input byte 1");
    for (header, expected) in [
        (
            r#"{"typ":"JWT","alg":"HS256"}"#,
            "unexpected \"HS256\" algorithm",
        ),
        (
            r#"{"typ":"JWT","alg":"none"}"#,
            "unexpected \"none\" algorithm",
        ),
        (r#"{"typ":"JWT"}"#, "unexpected \"\" algorithm"),
        (r#"{"alg":"ed25519-nkey"}"#, "not supported type \"\""),
    ] {
        assert_eq!(told(&a.signed(header, &good)), expected);
    }
    for header in [
        r#"{"typ":"jwt","alg":"ED25519-NKEY","x":1}"#,
        r#"{"typ":"JWT","alg":"ed25519"}"#,
    ] {
        let mut claims = about(&u, &user_body());
        claims["iss"] = json!(a.public);
        assert!(
            user(&a.signed(header, &claims.to_string())).is_ok(),
            "{header}"
        );
    }
    for (nats, expected) in [
        (
            json!({"type": "user", "version": 3}),
            "JWT was generated by a newer version ",
        ),
        (
            json!({"type": "user"}),
            "library supports version 2 or less - received 0",
        ),
        (
            json!({"type": "server", "version": 2}),
            "ServerClaims are not supported",
        ),
    ] {
        assert_eq!(told(&a.token(about(&u, &nats))), expected);
    }
    let wrong = told(&a.token(about(
        &u,
        &json!({"type": "user", "version": 2, "subs": "x"}),
    )));
    assert!(wrong.contains("invalid type"), "{wrong}");
    // Padding, and a line end in the midst of it.
    let token = a.token(about(&u, &user_body()));
    assert!(read(&format!("{token}\r\n")).is_ok());
    assert!(read(&format!("{token}=")).is_err() && read(&format!(" {token}")).is_err());
    let (one, other) = token.split_at(100);
    assert!(read(&format!("{one}\n{other}")).is_err());
    assert_eq!(read(&"a".repeat(TOKEN_BYTES_MAX + 1)), Err(Fault::TooLong));
    let _ = header;
}

#[test]
fn a_token_is_good_by_the_signature_of_its_issuer_and_of_nobody_else() {
    let (a, u) = (account_key(), user_key());
    let claims = about(&u, &user_body());
    let token = a.token(claims.clone());
    let (text, signature) = token.rsplit_once('.').expect("it has dots");
    for other in [Signer::new(Kind::Account, 9), operator_key()] {
        let forged = format!("{text}.{}", other.signature(text.as_bytes()));
        assert_eq!(user(&forged), Err(Fault::Signature(2)));
    }
    assert_eq!(user(&format!("{text}.")), Err(Fault::Signature(2)));
    let mut other = claims.clone();
    other["nats"]["subs"] = json!(100);
    other["iss"] = json!(a.public);
    let other = a.signed(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#, &other.to_string());
    let (other, _) = other.rsplit_once('.').expect("it has dots");
    assert_eq!(
        user(&format!("{other}.{signature}")),
        Err(Fault::Signature(2))
    );
    // A key of a kind that signs no such thing.
    assert_eq!(
        user(&operator_key().token(claims.clone())),
        Err(Fault::Issuer)
    );
    assert_eq!(user(&u.token(claims)), Err(Fault::Issuer));
    let nats = json!({"type": "operator", "version": 2});
    assert_eq!(operator(&a.token(about(&a, &nats))), Err(Fault::Issuer));
    // No key at all.
    let nobody = r#"{"iss":"","sub":"","nats":{"version":2}}"#;
    let token = a.signed(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#, nobody);
    assert_eq!(generic(&token), Err(Fault::Signature(1)));
}

#[test]
fn a_signing_key_is_plain_or_has_a_scope_and_null_is_nothing() {
    let (o, a) = (operator_key(), account_key());
    let mut nats = account_body();
    nats["signing_keys"] = json!([
        a.public,
        {"kind": "user_scope", "key": a.public, "role": "r", "template": {"pub": {"allow": ["x"]}, "subs": 7, "src": "10.0.0.0/8, 10.1.0.0/16"}, "description": ""},
    ]);
    (nats["revocations"], nats["imports"]) = (json!({"*": 5}), Value::Null);
    let read = account(&o.token(about(&a, &nats)))
        .expect("it is good")
        .body;
    assert_eq!(
        read.signing_keys[0],
        SigningKey {
            key: a.public.clone(),
            scope: None
        }
    );
    let scope = read.signing_keys[1].scope.as_ref().expect("it has one");
    assert_eq!((scope.role.as_str(), scope.template.subs), ("r", 7));
    assert_eq!(scope.template.permissions.publish.allow, ["x"]);
    assert_eq!(scope.template.src, ["10.0.0.0/8", "10.1.0.0/16"]);
    assert_eq!(read.revocations["*"], 5);
    nats["signing_keys"] = json!([{"kind": "other", "key": a.public, "template": {}}]);
    assert!(matches!(
        account(&o.token(about(&a, &nats))),
        Err(Fault::Json(_))
    ));
}

#[test]
fn a_user_is_bare_that_says_nothing_of_what_it_may_do() {
    let bare = |nats: Value| {
        let mut claims =
            json!({"type": "user", "version": 2, "issuer_account": account_key().public});
        claims
            .as_object_mut()
            .expect("it is one")
            .extend(nats.as_object().expect("it is one").clone());
        user(&account_key().token(about(&user_key(), &claims)))
            .expect("it is good")
            .body
            .is_bare()
    };
    assert!(bare(json!({})) && bare(json!({"pub": {}, "sub": {}, "tags": ["a"], "subs": 0})));
    for nats in [
        json!({"subs": -1}),
        json!({"payload": 1}),
        json!({"data": -1}),
        json!({"pub": {"deny": ["a"]}}),
        json!({"resp": {}}),
        json!({"bearer_token": true}),
        json!({"src": ["10.0.0.0/8"]}),
        json!({"times": [{"start": "01:00:00", "end": "02:00:00"}]}),
        json!({"allowed_connection_types": ["MQTT"]}),
    ] {
        assert!(!bare(nats.clone()), "{nats}");
    }
}

#[test]
fn time_has_no_tolerance_and_the_last_second_counts() {
    let claims = Claims {
        expires: 10,
        not_before: 5,
        ..Claims::<()>::default()
    };
    let told = |now| claims.is_timely(now).err().map(|issue| issue.to_string());
    assert_eq!(told(4).as_deref(), Some("claim is not yet valid"));
    assert_eq!([told(5), told(10)], [None, None]);
    assert_eq!(told(11).as_deref(), Some("claim is expired"));
    assert_eq!(Claims::<()>::default().is_timely(i64::MAX), Ok(()));
}

#[test]
fn what_is_wrong_with_a_user_is_told() {
    let issues = |nats: Value| {
        let mut body = user_body();
        body.as_object_mut()
            .expect("it is one")
            .extend(nats.as_object().expect("it is one").clone());
        let claims = user(&account_key().token(about(&user_key(), &body))).expect("it is good");
        claims
            .issues()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        issues(json!({"sub": {"allow": ["a.>", "b q"]}, "src": "10.0.0.0/8"})),
        [""; 0]
    );
    for (nats, expected) in [
        (
            json!({"src": ["127.0.0.1"]}),
            "invalid cidr \"127.0.0.1\" in user src limits",
        ),
        (
            json!({"times": [{"start": "1:00", "end": "02:00:00"}]}),
            "start in time range is invalid \"1:00\"",
        ),
        (
            json!({"times": [{"start": "23:59:59", "end": "24:00:00"}]}),
            "end in time range is invalid \"24:00:00\"",
        ),
        (
            json!({"issuer_account": "x"}),
            "account_id is not an account public key",
        ),
        (
            json!({"pub": {"allow": ["a b"]}}),
            "subject \"a b\" cannot have spaces",
        ),
        (
            json!({"sub": {"deny": [""]}}),
            "subject \"\" cannot have spaces",
        ),
        (
            json!({"pub": {"deny": ["a..b"]}}),
            "subject \"a..b\" is not valid",
        ),
    ] {
        assert_eq!(issues(nats), [expected]);
    }
}

#[test]
fn what_is_wrong_with_an_account_is_told() {
    let (o, a, other) = (operator_key(), account_key(), Signer::new(Kind::Account, 9));
    let issues = |change: &dyn Fn(&mut Value)| {
        let mut nats = account_body();
        change(&mut nats);
        let claims = account(&o.token(about(&a, &nats))).expect("it is good");
        claims
            .issues()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let activation = |issuer: &Signer, subject: &Signer, what: &str, kind: &str| {
        let nats = json!({"type": "activation", "version": 2, "subject": what, "kind": kind});
        issuer.token(about(subject, &nats))
    };
    let with = |token: String| {
        let import = json!({"name": "priv", "subject": "priv", "account": other.public, "token": token, "type": "service"});
        issues(&|nats| nats["imports"] = json!([import]))
    };
    assert_eq!(issues(&|_| {}), [""; 0]);
    assert_eq!(with(activation(&other, &a, "priv", "service")), [""; 0]);
    let of = |account: &str| {
        let import = json!({"subject": "s", "account": account, "type": "stream"});
        issues(&|nats| nats["imports"] = json!([import]))
    };
    assert_eq!(of(""), ["account to import from is not specified"]);
    assert_eq!(
        of("x 1\r\n"),
        ["account to import from \"x 1\\r\\n\" is no key of an account"]
    );
    assert_eq!(with(activation(&other, &a, ">", "service")), [""; 0]);
    assert_eq!(
        with("x".into()),
        ["import \"priv\" contains an invalid activation token"]
    );
    assert_eq!(
        with(activation(&other, &other, "priv", "service")),
        ["activation token doesn't match account it is being included in, \"priv\""]
    );
    assert_eq!(
        with(activation(&other, &a, "other", "service")),
        ["activation token import subject \"other\" doesn't match import \"priv\""]
    );
    assert_eq!(
        with(activation(&other, &a, "priv", "stream")),
        ["mismatch between token import type stream and type of import service"]
    );
    assert_eq!(
        with(activation(&a, &a, "priv", "service")),
        ["activation token doesn't match account for import \"priv\""]
    );
    let export = |subject: &str| json!({"subject": subject, "type": "service"});
    assert_eq!(
        issues(&|nats| nats["exports"] = json!([export("x.y"), export("x.*")])),
        ["service export subject \"x.*\" already exports \"x.y\""]
    );
    let limited = |nats: &mut Value| {
        (nats["limits"]["exports"], nats["limits"]["wildcards"]) = (json!(1), json!(false));
        nats["exports"] = json!([export("a.*"), export("b")]);
        nats["limits"]["imports"] = json!(0);
        nats["imports"] = json!([{"subject": "s", "account": other.public, "type": "stream"}]);
    };
    let more = "the account contains more imports than allowed by the operator";
    assert_eq!(
        issues(&limited),
        [
            more,
            more,
            "the account contains more exports than allowed by the operator",
            "the account contains wildcard exports that are not allowed by the operator",
        ]
    );
    assert_eq!(
        issues(&|nats| nats["signing_keys"] = json!(["x"])),
        ["x is not an account public key"]
    );
}

#[test]
fn exports_and_imports_are_read_in_both_forms() {
    let (o, a) = (operator_key(), account_key());
    let mut nats = account_body();
    nats["exports"] = json!([{
        "name": "n", "subject": "s.*", "type": "service", "token_req": true, "response_type": "Stream",
        "response_threshold": 5, "account_token_position": 2, "revocations": {"*": 7},
        "service_latency": {"sampling": "headers", "results": "l"},
    }]);
    nats["imports"] = json!([
        {"subject": "mine", "to": "theirs", "account": a.public, "type": "service"},
        {"subject": "s", "to": "before", "account": a.public, "type": "stream", "share": true},
    ]);
    let body = account(&o.token(about(&a, &nats)))
        .expect("it is good")
        .body;
    let export = &body.exports[0];
    assert!(export.token_req && export.account_token_position == 2);
    let latency = export.service_latency.as_ref().expect("it has one");
    assert_eq!((latency.sampling, latency.results.as_str()), (0, "l"));
    let exported: Vec<&str> = body.imports.iter().map(Import::exported).collect();
    assert_eq!(exported, ["theirs", "s"]);
    assert!(body.imports[1].share);
}

#[test]
fn a_token_is_found_between_two_fences_or_alone() {
    let file = "-----BEGIN NATS USER JWT-----\r\neyJ.a-_=.c\r\n------END NATS USER JWT------\r\n\n***\n\
                -----BEGIN USER NKEY SEED-----\nSU\n------END USER NKEY SEED------\n";
    assert_eq!(find(file), Some("eyJ.a-_=.c"));
    assert_eq!(find("  eyJ.a.b\n"), Some("eyJ.a.b"));
    for none in [
        "",
        "\n",
        "eyJ a",
        "-----BEGIN-----\n\n-----END-----\n",
        "-----BEGIN-----\neyJ\n",
    ] {
        assert_eq!(find(none), None, "{none:?}");
    }
}
