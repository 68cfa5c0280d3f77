//! TLS in simulated worlds: what the broker shows, and how a client goes on behind `INFO`.
//!
//! Keys come from the system, so the bytes differ between two runs of a seed. How many there are, and when they move, does
//! not: signatures of Ed25519 have one length, and no session is taken up again.

use midge::{CertFiles, Tls};
use midge_reactor::Context;
use midge_reactor::tls::rustls::client::Resumption;
use midge_reactor::tls::rustls::pki_types::ServerName;
use midge_reactor::tls::rustls::{ClientConfig, ClientConnection};
use midge_reactor::tls::{self, client_config, roots};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const NAME: &str = "broker.test";

/// What becomes of those that are late is not what this is about.
const TIMEOUT: Duration = Duration::from_secs(100 * 60);

struct Papers {
    files: CertFiles,
    client: Arc<ClientConfig>,
}

fn papers() -> &'static Papers {
    static PAPERS: OnceLock<Papers> = OnceLock::new();
    PAPERS.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulation-tls");
        std::fs::create_dir_all(&directory).expect("a directory of this test");
        let path = |name: &str| directory.join(format!("{}-{name}", std::process::id()));
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("ring makes keys");
        let params = CertificateParams::new(vec![NAME.to_owned()]).expect("it is a name");
        let pem = params.self_signed(&key).expect("the key signs").pem();
        let files = CertFiles {
            cert_file: path("cert.pem"),
            key_file: path("key.pem"),
        };
        std::fs::write(&files.cert_file, &pem).expect("a file of this test");
        std::fs::write(&files.key_file, key.serialize_pem()).expect("a file of this test");
        let roots = roots(pem.as_bytes()).expect("it was made a moment ago");
        let mut client = (*client_config(roots, None).expect("all is in order")).clone();
        client.resumption = Resumption::disabled();
        Papers {
            files,
            client: Arc::new(client),
        }
    })
}

/// What the broker shows.
pub(crate) fn settings() -> Tls {
    Tls {
        certs: vec![papers().files.clone()],
        timeout: TIMEOUT,
        ..Tls::default()
    }
}

/// A client's side of a handshake, for one that moves the bytes itself.
pub(crate) fn session() -> ClientConnection {
    let name = ServerName::try_from(NAME).expect("it is a name");
    ClientConnection::new(Arc::clone(&papers().client), name).expect("all is in order")
}

/// The handshake of a client that has read `INFO`.
pub(crate) fn start<S>(cx: &mut Context<'_, S>) {
    let name = ServerName::try_from(NAME).expect("it is a name");
    let tls = tls::Tls::client(Arc::clone(&papers().client), name).handshake_timeout(TIMEOUT);
    let _ = cx.start_tls(tls);
}
