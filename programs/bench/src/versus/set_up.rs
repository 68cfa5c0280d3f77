//! What a broker is set up with beside its flags: a configuration file, and a certificate, for as long as `versus` runs.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use midge_dial::{Certificates, Encryption, Server, WebSocket};
use midge_protocol::Credentials;

use crate::suite::Setup;

/// The user with permissions, or the one who serves, and its password.
const USER: &str = "bench";

/// The user who asks from another account, and its password.
const REQUESTER: &str = "requester";

/// A folder of this user's own, which goes when this is dropped.
#[derive(Debug)]
pub(super) struct Files(PathBuf);

impl Files {
    /// Makes the folder, and in it a certificate for this machine with its key: ECDSA over P-256, signed by itself.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new() -> io::Result<Files> {
        let number = getrandom::u32().map_err(io::Error::from)?;
        let folder = std::env::temp_dir().join(format!("midge-bench-{number:08x}"));
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let files = Files(folder);
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        fs::write(files.certificate(), made.cert.pem())?;
        fs::write(files.key(), made.signing_key.serialize_pem())?;
        Ok(files)
    }

    fn certificate(&self) -> PathBuf {
        self.0.join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    /// The file that sets a broker up, if one is needed, with the port for clients by WebSocket.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn configuration(
        &self,
        setup: Setup,
        websocket: u16,
    ) -> io::Result<Option<PathBuf>> {
        let quoted = |path: &Path| format!("\"{}\"", path.display());
        let text = match setup {
            Setup::Plain => return Ok(None),
            // The time that both give a handshake by themselves is short where many come at once.
            Setup::Tls => format!(
                "tls {{\n  cert_file: {}\n  key_file: {}\n  timeout: 10\n}}\n",
                quoted(&self.certificate()),
                quoted(&self.key())
            ),
            Setup::WebSocket => format!(
                "websocket {{\n  host: \"127.0.0.1\"\n  port: {websocket}\n  no_tls: true\n}}\n"
            ),
            Setup::Permissions => format!(
                "authorization {{\n  users: [{{\n    user: {USER}, password: {USER}\n    \
                 permissions: {{ publish: [\"bench.>\"], subscribe: [\"bench.>\"] }}\n  }}]\n}}\n"
            ),
            Setup::Accounts => format!(
                "accounts {{\n  server {{\n    users: [{{user: {USER}, password: {USER}}}]\n    \
                 exports: [{{service: \"bench.>\"}}]\n  }}\n  requester {{\n    \
                 users: [{{user: {REQUESTER}, password: {REQUESTER}}}]\n    \
                 imports: [{{service: {{account: server, subject: \"bench.>\"}}}}]\n  }}\n}}\n"
            ),
        };
        let path = self.0.join("broker.conf");
        fs::write(&path, text)?;
        Ok(Some(path))
    }

    /// How to come to a broker that is set up so, and listens there.
    pub(super) fn server(&self, setup: Setup, clients: SocketAddr, websocket: u16) -> Server {
        let mut server = Server {
            address: clients.to_string(),
            ..Server::default()
        };
        match setup {
            Setup::Plain => {}
            Setup::Tls => {
                server.encryption = Encryption::Required;
                server.certificates = Certificates::of_authorities(&self.certificate());
            }
            Setup::WebSocket => {
                server.address = SocketAddr::new(clients.ip(), websocket).to_string();
                server.websocket = Some(WebSocket {
                    target: "/".to_owned(),
                    compression: false,
                });
            }
            Setup::Permissions | Setup::Accounts => {
                server.credentials = Credentials::of_user(USER, Some(USER));
            }
        }
        server
    }

    /// As whom requesters come to it, if that is another user.
    pub(super) fn requesters(&self, setup: Setup) -> Option<Credentials> {
        let user = || Credentials::of_user(REQUESTER, Some(REQUESTER));
        (setup == Setup::Accounts).then(user)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sets_a_broker_up_is_there_and_goes() {
        let files = Files::new().expect("a folder can be made");
        let folder = files.0.clone();
        for (setup, word) in [
            (Setup::Tls, "cert_file"),
            (Setup::WebSocket, "port: 8080"),
            (Setup::Permissions, "subscribe"),
            (Setup::Accounts, "imports"),
        ] {
            let path = files.configuration(setup, 8080).expect("it is written");
            let text = fs::read_to_string(path.expect("there is one")).expect("text");
            assert!(text.contains(word), "{text}");
        }
        assert!(matches!(files.configuration(Setup::Plain, 8080), Ok(None)));
        let clients = SocketAddr::from(([127, 0, 0, 1], 4222));
        let server = files.server(Setup::Tls, clients, 8080);
        assert!(server.certificates.config().is_ok());
        drop(files);
        assert!(!folder.exists());
    }
}
