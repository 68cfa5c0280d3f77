//! TLS handshakes that are begun, and not ended.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use midge_reactor::tls::client_config;
use midge_reactor::tls::rustls::pki_types::ServerName;
use midge_reactor::tls::rustls::{ClientConnection, RootCertStore};

use crate::stage::Stage;
use crate::swarm::{Id, Reading};

/// What begins the server's answer, behind its `INFO`.
const ANSWER: &[u8] = b"\r\n\x16";

/// Settings of a broker that takes clients with TLS, and honest ones in clear.
pub(crate) fn settings() -> io::Result<String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-tls");
    fs::create_dir_all(&directory)?;
    let names = vec!["midge.test".to_owned()];
    let paper = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    let path = |name| directory.join(name);
    fs::write(path("cert.pem"), paper.cert.pem())?;
    fs::write(path("key.pem"), paper.signing_key.serialize_pem())?;
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
