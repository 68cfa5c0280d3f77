//! TLS of dialogues: the papers of a server and of the clients that it is to know, and a client's side of a connection.

use crate::tls::papers::{Authority, NAME, Paper, pin};
use midge_reactor::tls::rustls::ClientConnection;
use midge_reactor::tls::rustls::pki_types::ServerName;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An authority and what it has signed, by name, for one dialogue.
pub(crate) struct Papers {
    authority: Authority,
    /// Nobody knows this one.
    other: Authority,
    made: Mutex<BTreeMap<String, Paper>>,
}

impl Papers {
    pub(crate) fn new() -> Papers {
        Papers {
            authority: Authority::new(),
            other: Authority::new(),
            made: Mutex::default(),
        }
    }

    /// The certificate called `name`: of a client with the address `name@acme.test`. `old` has ended, `server` is one of
    /// a server, and nobody knows who has signed `stranger`.
    fn paper(&self, name: &str) -> Paper {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || match name {
            "old" => self.authority.client_paper_until("old", 2001),
            "server" => self.authority.paper(NAME),
            "stranger" => self.other.client_mail("stranger@acme.test"),
            name => self.authority.client_mail(&format!("{name}@acme.test")),
        };
        made.entry(name.to_owned()).or_insert_with(make).clone()
    }

    /// The block `tls` of a file: `settings`, and the files of the server. There is time for a handshake, unless it is
    /// the matter.
    pub(crate) fn block(&self, settings: &str) -> String {
        let path = |name| self.authority.path(name);
        let mut settings = settings.to_owned();
        while let Some((before, rest)) = settings.split_once("{pin ") {
            let (name, after) = rest.split_once('}').expect("the brace is closed");
            settings = format!("{before}{}{after}", pin(&self.paper(name)));
        }
        if !settings.contains("timeout:") {
            settings = format!("timeout: 60, {settings}");
        }
        format!(
            "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, {} }}",
            path("cert.pem"),
            path("key.pem"),
            path("ca.pem"),
            settings.trim_end_matches([',', ' ']),
        )
    }

    /// Makes a client's handshake, which shows the certificate of this name.
    ///
    /// # Errors
    /// Why that is not possible, on either side.
    pub(crate) fn secure(&self, socket: &TcpStream, paper: Option<&str>) -> io::Result<Secured> {
        let paper = paper.map(|name| self.paper(name));
        let config = self.authority.client(paper.as_ref());
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        let mut session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut socket = socket.try_clone()?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(Secured {
            socket: Arc::new(socket),
            session: Arc::new(Mutex::new(session)),
        })
    }
}

/// A connection with TLS, as often as it is wanted: one thread reads, another one writes.
#[derive(Clone)]
pub(crate) struct Secured {
    socket: Arc<TcpStream>,
    session: Arc<Mutex<ClientConnection>>,
}

impl Secured {
    fn session(&self) -> MutexGuard<'_, ClientConnection> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self, session: &mut ClientConnection) -> io::Result<()> {
        while session.wants_write() {
            session.write_tls(&mut &*self.socket)?;
        }
        Ok(())
    }

    /// Sends bytes, in a packet of their own.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut session = self.session();
        session.writer().write_all(bytes)?;
        self.flush(&mut session)
    }

    /// Sends nothing more.
    pub(crate) fn half_close(&self) {
        let mut session = self.session();
        session.send_close_notify();
        // One that the broker has closed has nothing left to say.
        let _ = self.flush(&mut session);
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

impl Read for Secured {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session().reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            // Not with the session in hand, which the other thread may want.
            let mut wire = [0; 16 * 1024];
            let len = (&*self.socket).read(&mut wire)?;
            let mut session = self.session();
            let mut wire = &wire[..len];
            if len == 0 {
                session.read_tls(&mut wire)?;
            }
            while !wire.is_empty() {
                session.read_tls(&mut wire)?;
                let processed = session.process_new_packets();
                self.flush(&mut session)?;
                processed.map_err(io::Error::other)?;
            }
        }
    }
}
