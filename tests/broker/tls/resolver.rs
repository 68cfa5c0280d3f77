//! A resolver that is asked for accounts by HTTPS: who vouches for it, and what it is shown.

use super::papers::{Authority, Paper};
use crate::raw::{Raw, config, start};
use crate::tokens::{Signer, account_body, user_body};
use midge::{Auth, Broker, Config, OperatorToken, Operators, Resolver, Tls};
use midge_protocol::nkey::Kind;
use midge_reactor::tls;
use midge_reactor::tls::rustls::crypto::ring::default_provider;
use midge_reactor::tls::rustls::pki_types::pem::PemObject;
use midge_reactor::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use midge_reactor::tls::rustls::server::WebPkiClientVerifier;
use midge_reactor::tls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// A server of HTTPS that asks for a client's certificate and answers this to everybody; its address.
fn serve(authority: &Authority, shown: &Paper, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it listens").port();
    let roots = tls::roots(authority.pem.as_bytes()).expect("it was made a moment ago");
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let chain = CertificateDer::pem_slice_iter(shown.certificate.as_bytes());
    let chain = chain.collect::<Result<_, _>>().expect("it is one");
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).expect("it is one");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_client_cert_verifier(verifier.build().expect("it has an authority"))
        .with_single_cert(chain, key)
        .expect("they belong together");
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("it is accepted");
            // Who does not trust it hangs up.
            let _ = answer(stream, Arc::clone(&config), &body);
        }
    });
    format!("https://localhost:{port}/")
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>, body: &str) -> std::io::Result<()> {
    let session = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(session, stream));
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let len = body.len();
    let text =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}");
    stream.get_mut().write_all(text.as_bytes())
}

/// Settings of a broker that asks there, and the token of a user of the account that is known there.
fn settings(url: String, tls: Option<Tls>) -> Config {
    let operator = Signer::new(Kind::Operator, 1);
    let nats = json!({"type": "operator", "version": 2});
    let token = operator.token(json!({"sub": operator.public, "nats": nats}));
    let operators = Operators {
        tokens: vec![OperatorToken::parse(&token).expect("it is good")],
        resolver: Resolver::Url(url),
        resolver_tls: tls,
        ..Operators::default()
    };
    Config {
        auth: Auth::Operators(Arc::new(operators)),
        ..config()
    }
}

#[test]
fn a_resolver_is_asked_by_https_if_it_is_vouched_for_and_trusts_what_it_is_shown() {
    let (authority, other) = (Authority::new(), Authority::new());
    let account = Signer::new(Kind::Account, 2);
    let claims = json!({"sub": account.public, "iat": 5, "nats": account_body()});
    let body = Signer::new(Kind::Operator, 1).token(claims);
    let url = serve(&authority, &authority.paper("localhost"), body.clone());
    authority.show(&authority.client_paper("client.test"));
    let good = Tls {
        certs: vec![authority.files()],
        ca_file: Some(authority.path("ca.pem")),
        ..Tls::default()
    };
    let broker = start(settings(url.clone(), Some(good.clone())));
    let mut nats = user_body();
    nats["bearer_token"] = json!(true);
    let user = Signer::new(Kind::User, 3).public;
    let token = account.token(json!({"sub": user, "iat": 5, "nats": nats}));
    let connect = json!({"verbose": false, "jwt": token});
    let mut client = Raw::connect(broker.addr());
    client.send(format!("CONNECT {connect}\r\nPING\r\n").as_bytes());
    assert_eq!(client.line().as_deref(), Some("PONG"));

    let refused = |url: &str, tls: Option<Tls>| {
        let told = Broker::spawn(settings(url.to_owned(), tls));
        let told = told.expect_err("it is not asked").to_string();
        assert!(
            told.starts_with(&format!("could not fetch <{url:?}>: ")),
            "{told}"
        );
        told
    };
    // No authority that the system trusts vouches for it; or no other one; or for another name.
    let told = refused(&url, None);
    assert!(told.contains("UnknownIssuer"), "{told}");
    let ca_file = Some(other.path("ca.pem"));
    let told = refused(
        &url,
        Some(Tls {
            ca_file,
            ..good.clone()
        }),
    );
    assert!(told.contains("BadSignature"), "{told}");
    let elsewhere = serve(&authority, &authority.paper("elsewhere.test"), body);
    let told = refused(&elsewhere, Some(good.clone()));
    assert!(told.contains("not valid for name"), "{told}");
    // It is shown nothing.
    refused(
        &url,
        Some(Tls {
            certs: Vec::new(),
            ..good.clone()
        }),
    );
    // What is not there is named before anybody is asked.
    let ca_file = Some(other.path("nothing.pem"));
    let told = Broker::spawn(settings(url, Some(Tls { ca_file, ..good })));
    let told = told.expect_err("there is no such file").to_string();
    assert!(told.contains("nothing.pem: no such file"), "{told}");
}
