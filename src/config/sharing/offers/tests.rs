//! Which export an import is held against, and activations against all that makes one no good.

use super::*;
use crate::config::{Export, ExportKind, Response, Service};
use std::time::Duration;

fn found(exports: &[Export], subject: &str) -> Result<Option<Duration>, String> {
    let account = Furnishing {
        exports,
        ..Furnishing::default()
    };
    let import = Import::service("A", subject).expect("it is right");
    let offers = Offers::of(account);
    let export = offers.offered(&import, "B", 0)?;
    let ExportKind::Service(service) = export.kind() else {
        panic!("{export}")
    };
    Ok(service.threshold)
}

#[test]
fn the_export_of_the_very_subject_decides_and_then_the_first_that_has_all_of_it() {
    let export = |subject: &str, seconds| {
        let service = Service {
            response: Response::Stream,
            threshold: Some(Duration::from_secs(seconds)),
            ..Service::default()
        };
        Export::new(subject, ExportKind::Service(service)).expect("it is right")
    };
    let exports = [
        Export::stream("a.b").expect("it is right"),
        export("a.*", 1),
        export("a.>", 2),
        export("a.b", 3),
    ];
    for (subject, seconds) in [("a.b", 3), ("a.c", 1), ("a.>", 2), ("a.b.c", 2)] {
        let expected = Ok(Some(Duration::from_secs(seconds)));
        assert_eq!(found(&exports, subject), expected, "{subject}");
    }
    assert!(found(&exports, "b").is_err());
}

#[cfg(feature = "nkeys")]
mod activations {
    use super::*;
    use crate::config::AccountToken;
    use crate::config::sharing::activation::Activation;
    use crate::jwt::fixtures::{Signer, account_body};
    use midge_protocol::nkey::Kind;
    use serde_json::{Value, json};

    fn exporter() -> Signer {
        Signer::new(Kind::Account, 2)
    }

    fn importer() -> Signer {
        Signer::new(Kind::Account, 3)
    }

    fn signing() -> Signer {
        Signer::new(Kind::Account, 4)
    }

    fn account(key: &Signer, change: impl Fn(&mut Value)) -> AccountToken {
        let mut nats = account_body();
        change(&mut nats);
        let claims = json!({"sub": key.public, "nats": nats});
        let token = Signer::new(Kind::Operator, 1).token(claims);
        AccountToken::parse(&token).expect("it is good")
    }

    /// The token of an exporter that has private services.
    fn offering(revocations: &Value) -> AccountToken {
        account(&exporter(), |nats| {
            nats["exports"] = json!([{"subject": "priv.*", "type": "service", "token_req": true,
                "revocations": revocations}]);
            nats["signing_keys"] = json!([signing().public]);
        })
    }

    /// An activation of `signer` for the importer.
    fn activation(signer: &Signer, change: impl Fn(&mut Value)) -> String {
        let mut claims = json!({"sub": importer().public, "iat": 50, "nats":
            {"type": "activation", "version": 2, "subject": "priv.>", "kind": "service"}});
        change(&mut claims);
        signer.token(claims)
    }

    /// Why an import of `priv.x` by an activation of `signer` is refused in the second 100.
    fn refused(
        signer: &Signer,
        revocations: &Value,
        change: impl Fn(&mut Value),
    ) -> Result<(), String> {
        let (exporter, importer) = (exporter(), importer());
        let offering = offering(revocations);
        let token = activation(signer, change);
        let import = json!({"account": exporter.public, "subject": "priv.x", "type": "service", "token": token});
        let taking = account(&importer, |nats| nats["imports"] = json!([import]));
        let offers = Offers::of(offering.furnishing());
        // One that is no good at any time is told when the token is pushed, and is never asked here.
        if !taking.issues().is_empty() {
            return Err(taking.issues()[0].to_string());
        }
        let import = &taking.furnishing().imports[0];
        offers.offered(import, &importer.public, 100).map(drop)
    }

    #[test]
    fn an_activation_lets_its_account_have_what_it_is_for() {
        let nothing = json!({});
        assert_eq!(refused(&exporter(), &nothing, |_| {}), Ok(()));
        let by_signing_key = refused(&signing(), &nothing, |claims| {
            claims["nats"]["issuer_account"] = json!(exporter().public);
        });
        assert_eq!(by_signing_key, Ok(()));
        for (revocations, changed) in [
            (json!({"*": 49}), json!({})),
            (json!({importer().public: 49}), json!({})),
            (json!({exporter().public: 90}), json!({})),
            (json!({}), json!({"exp": 101, "nbf": 100})),
        ] {
            let outcome = refused(&exporter(), &revocations, |claims| {
                for (name, value) in changed.as_object().expect("it is one") {
                    claims[name] = value.clone();
                }
            });
            assert_eq!(outcome, Ok(()), "{revocations} {changed}");
        }
    }

    #[test]
    fn an_activation_that_is_over_revoked_or_of_another_key_lets_nobody_have_anything() {
        type Change = fn(&mut Value);
        let nothing: Change = |_| {};
        let stranger = Signer::new(Kind::Account, 5);
        let cases: [(Signer, Value, Change, &str); 8] = [
            (exporter(), json!({"*": 50}), nothing, "revoked"),
            (
                exporter(),
                json!({importer().public: 51}),
                nothing,
                "revoked",
            ),
            (
                exporter(),
                json!({}),
                |one| one["exp"] = json!(100),
                "expired",
            ),
            (
                exporter(),
                json!({}),
                |one| one["nbf"] = json!(101),
                "not yet valid",
            ),
            (
                stranger,
                json!({}),
                |one| one["nats"]["issuer_account"] = json!(exporter().public),
                "no key of",
            ),
            (signing(), json!({}), nothing, "match account for import"),
            (
                exporter(),
                json!({}),
                |one| one["nats"]["subject"] = json!("priv.y"),
                "match import",
            ),
            (
                exporter(),
                json!({}),
                |one| one["sub"] = json!(exporter().public),
                "match account",
            ),
        ];
        for (signer, revocations, change, word) in cases {
            let why = refused(&signer, &revocations, change).expect_err(word);
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn what_an_activation_is_for_is_looked_at_also_where_nobody_has_read_the_importers_token() {
        type Change = fn(&mut Value);
        let cases: [(Signer, Change, &str); 5] = [
            (exporter(), |_| {}, ""),
            (
                exporter(),
                |one| one["sub"] = json!(exporter().public),
                "its activation is for A",
            ),
            (
                exporter(),
                |one| one["nats"]["kind"] = json!("stream"),
                "its activation is for a stream",
            ),
            // A signing key says whose it is.
            (signing(), |_| {}, "which is no key of"),
            (
                exporter(),
                |one| one["nats"]["subject"] = json!("priv.y"),
                "its activation is for \"priv.y\"",
            ),
        ];
        let offering = offering(&json!({}));
        let offers = Offers::of(offering.furnishing());
        for (signer, change, expected) in cases {
            let made = Import::service(&exporter().public, "priv.x").expect("it is right");
            let token = activation(&signer, change);
            let import = made.with_activation(Activation::parse(&token).expect("it is signed"));
            let outcome = offers.offered(&import, &importer().public, 100);
            let why = outcome.err().unwrap_or_default();
            assert!(why.contains(expected), "{expected}: {why}");
            assert_eq!(why.is_empty(), expected.is_empty(), "{why}");
        }
    }
}
