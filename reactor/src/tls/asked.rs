//! The name that a client has asked a server for.
//!
//! Without buffers of its own, rustls tells it to the certificate's resolver alone. So that resolver is overheard: it is made within the call that brings the first words of a handshake, on the same thread.

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::cell::Cell;
use std::sync::Arc;

thread_local! {
    static ASKED: Cell<Option<String>> = const { Cell::new(None) };
}

/// The same configuration, which also notes for what name it was asked.
pub(super) fn overheard(config: Arc<ServerConfig>) -> Arc<ServerConfig> {
    let mut config = Arc::unwrap_or_clone(config);
    config.cert_resolver = Arc::new(Overheard(config.cert_resolver));
    Arc::new(config)
}

/// The name that was asked for since the last call, on this thread.
pub(super) fn take() -> Option<String> {
    ASKED.take()
}

#[derive(Debug)]
struct Overheard(Arc<dyn ResolvesServerCert>);

impl ResolvesServerCert for Overheard {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        ASKED.set(hello.server_name().map(str::to_owned));
        self.0.resolve(hello)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.0.only_raw_public_keys()
    }
}
