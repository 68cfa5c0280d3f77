//! TLS handshakes that are begun, and not ended: to a broker with a key of P-256, and to one with RSA, whose signature
//! takes twenty times as long. That key is in a file here and in no use, since nothing at hand makes one.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use midge_reactor::tls::client_config;
use midge_reactor::tls::rustls::pki_types::ServerName;
use midge_reactor::tls::rustls::{ClientConnection, RootCertStore};
use rcgen::{CertificateParams, KeyPair};

use crate::stage::Stage;
use crate::swarm::{Id, Reading};

/// What begins the server's answer, behind its `INFO`.
const ANSWER: &[u8] = b"\r\n\x16";

/// Settings of a broker that takes clients with TLS, and honest ones in clear; its key is of P-256.
pub(crate) fn settings() -> io::Result<String> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    settings_with("hostile-tls", &key)
}

/// The same with a key of RSA, of 2048 bits.
pub(super) fn settings_rsa() -> io::Result<String> {
    let key = KeyPair::from_pem(include_str!("../rsa.pem")).map_err(io::Error::other)?;
    settings_with("hostile-tls-rsa", &key)
}

fn settings_with(directory: &str, key: &KeyPair) -> io::Result<String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(directory);
    fs::create_dir_all(&directory)?;
    let names = vec!["midge.test".to_owned()];
    let params = CertificateParams::new(names).map_err(io::Error::other)?;
    let certificate = params.self_signed(key).map_err(io::Error::other)?;
    let path = |name| directory.join(name);
    fs::write(path("cert.pem"), certificate.pem())?;
    fs::write(path("key.pem"), key.serialize_pem())?;
    Ok(format!(
        "allow_non_tls: true\ntls {{cert_file: {:?}, key_file: {:?}}}\n",
        path("cert.pem"),
        path("key.pem")
    ))
}

/// The first words of a client: a key, which costs the server an exchange and a signature, and costs those who say it
/// again and again nothing.
pub(crate) fn hello() -> io::Result<Vec<u8>> {
    let config = client_config(RootCertStore::empty(), None).map_err(io::Error::other)?;
    let name = ServerName::try_from("midge.test").map_err(io::Error::other)?;
    let mut client = ClientConnection::new(Arc::clone(&config), name).map_err(io::Error::other)?;
    let mut words = Vec::new();
    client.write_tls(&mut words)?;
    Ok(words)
}

pub(super) fn storm(stage: &mut Stage) -> io::Result<()> {
    let hello = hello()?;
    let begin = |stage: &mut Stage| stage.swarm.dial(&hello, Reading::Keep);
    let count = stage.size(200, 1_000);
    let mut open: Vec<Id> = (0..count).map(|_| begin(stage)).collect::<Result<_, _>>()?;
    let mut answered = 0;
    stage.play(|stage| {
        stage.swarm.take_ended();
        for id in &mut open {
            let heard = stage.swarm.heard(*id);
            let is_over = heard.is_none_or(|heard| heard.windows(3).any(|three| three == ANSWER));
            if is_over {
                answered += 1;
                stage.swarm.close(*id);
                *id = begin(stage)?;
            }
        }
        Ok(())
    })?;
    stage.note = format!("{:.0} handshakes a second", answered as f64 / stage.seconds);
    Ok(())
}
