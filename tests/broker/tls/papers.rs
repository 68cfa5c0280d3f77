//! Certificates made for one run of the tests, and clients that show them.

use midge::{CertFiles, Config, Tls};
use midge_reactor::tls::rustls::pki_types::pem::PemObject;
use midge_reactor::tls::rustls::pki_types::{CertificateDer, ServerName};
use midge_reactor::tls::rustls::server::ParsedCertificate;
use midge_reactor::tls::rustls::{ClientConfig, ClientConnection, StreamOwned};
use midge_reactor::tls::{self, Identity};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::raw::{PATIENCE, config};

/// The name of the server.
pub(crate) const NAME: &str = "midge.test";

/// An authority, and a directory with its certificate and those of the server.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    directory: PathBuf,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Paper {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Authority {
    pub(crate) fn new() -> Authority {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("tls-{}-{number}", std::process::id());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&directory).expect("a directory of this test");
        let key = KeyPair::generate().expect("ring makes keys");
        let mut params = CertificateParams::new(Vec::new()).expect("no name is wrong");
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("the key signs").pem();
        let authority = Authority {
            issuer: Issuer::new(params, key),
            pem,
            directory,
        };
        authority.write("ca.pem", &authority.pem);
        authority.show(&authority.paper(NAME));
        authority
    }

    /// A certificate for this name, of a server.
    pub(crate) fn paper(&self, name: &str) -> Paper {
        self.paper_until(name, 2500)
    }

    pub(crate) fn paper_until(&self, name: &str, year: i32) -> Paper {
        self.sign(host(name), ExtendedKeyUsagePurpose::ServerAuth, year)
    }

    /// A certificate of a client.
    pub(crate) fn client_paper(&self, name: &str) -> Paper {
        self.client_paper_until(name, 2500)
    }

    pub(crate) fn client_paper_until(&self, name: &str, year: i32) -> Paper {
        self.sign(host(name), ExtendedKeyUsagePurpose::ClientAuth, year)
    }

    /// A certificate of a client with this address.
    pub(crate) fn client_mail(&self, address: &str) -> Paper {
        let address = address.try_into().expect("an address is ASCII");
        let names = vec![SanType::Rfc822Name(address)];
        self.sign(names, ExtendedKeyUsagePurpose::ClientAuth, 2500)
    }

    fn sign(&self, names: Vec<SanType>, usage: ExtendedKeyUsagePurpose, year: i32) -> Paper {
        let key = KeyPair::generate().expect("ring makes keys");
        let mut params = CertificateParams::new(Vec::new()).expect("no name is wrong");
        params.subject_alt_names = names;
        params
            .distinguished_name
            .push(DnType::CommonName, "somebody");
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Acme");
        params.extended_key_usages = vec![usage];
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("it signs");
        Paper {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file of this test");
        path
    }

    /// Has the server show this certificate.
    pub(crate) fn show(&self, paper: &Paper) {
        self.write("cert.pem", &paper.certificate);
        self.write("key.pem", &paper.key);
    }

    pub(crate) fn files(&self) -> CertFiles {
        CertFiles {
            cert_file: self.path("cert.pem"),
            key_file: self.path("key.pem"),
        }
    }

    /// Settings with the server's certificate, which patience is made for.
    pub(crate) fn tls(&self) -> Tls {
        Tls {
            certs: vec![self.files()],
            timeout: PATIENCE,
            ..Tls::default()
        }
    }

    /// The same, where clients must show a certificate of this authority.
    pub(crate) fn mutual(&self) -> Tls {
        Tls {
            ca_file: Some(self.path("ca.pem")),
            verify: true,
            ..self.tls()
        }
    }

    /// A client's side of a handshake: it trusts this authority, and shows `paper` if there is one.
    pub(crate) fn client(&self, paper: Option<&Paper>) -> Arc<ClientConfig> {
        let identity = paper.map(|paper| {
            let read = Identity::from_pem(paper.certificate.as_bytes(), paper.key.as_bytes());
            read.expect("it was made a moment ago")
        });
        let roots = tls::roots(self.pem.as_bytes()).expect("it was made a moment ago");
        tls::client_config(roots, identity).expect("all is in order")
    }
}

/// The digest of the key in a certificate.
pub(crate) fn pin(paper: &Paper) -> String {
    let der = CertificateDer::from_pem_slice(paper.certificate.as_bytes()).expect("it is one");
    let parsed = ParsedCertificate::try_from(&der).expect("it is one");
    let info = parsed.subject_public_key_info();
    data_encoding::HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, &info).as_ref())
}

/// The name of a host, as a certificate has it.
fn host(name: &str) -> Vec<SanType> {
    vec![SanType::DnsName(name.try_into().expect("a name is ASCII"))]
}

/// Settings of a broker with TLS, on a free port of this machine.
pub(crate) fn with(tls: Tls) -> Config {
    Config {
        tls: Some(tls),
        ..config()
    }
}

/// A connection in clear, whose bytes are still to be read.
pub(crate) fn dial(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE).expect("the broker listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("some time");
    stream
}

/// A line in clear, byte by byte: what follows belongs to the handshake. Empty at the end of the stream.
pub(crate) fn clear_line(mut stream: &TcpStream) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while !line.ends_with(b"\n") && stream.read(&mut byte).expect("the broker says something") > 0 {
        line.extend(byte);
    }
    String::from_utf8(line)
        .expect("it is text")
        .trim_end()
        .to_owned()
}

/// A client with TLS.
pub(crate) struct Secure {
    pub(crate) stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl Secure {
    /// Makes the handshake on a connection, for a server called `name`.
    pub(crate) fn over(
        mut stream: TcpStream,
        config: &Arc<ClientConfig>,
        name: &str,
    ) -> io::Result<Secure> {
        let name = ServerName::try_from(name.to_owned()).expect("it is a name");
        let session = ClientConnection::new(Arc::clone(config), name);
        let mut session = session.map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(Secure {
            stream: BufReader::new(StreamOwned::new(session, stream)),
        })
    }

    /// Connects, reads `INFO` in clear, and makes the handshake.
    pub(crate) fn connect(addr: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Secure> {
        let stream = dial(addr);
        let info = clear_line(&stream);
        assert!(info.starts_with("INFO "), "{info}");
        Secure::over(stream, config, NAME)
    }

    pub(crate) fn session(&self) -> &ClientConnection {
        &self.stream.get_ref().conn
    }

    pub(crate) fn say(&mut self, text: &str) {
        let stream = self.stream.get_mut();
        stream.write_all(text.as_bytes()).expect("the broker reads");
    }

    /// The next line. A `PING` is passed over: one comes to a client that is there for two seconds.
    ///
    /// # Errors
    /// The end of the stream, by whatever.
    pub(crate) fn try_line(&mut self) -> io::Result<String> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line != "PING\r\n" {
                return Ok(line.trim_end().to_owned());
            }
        }
    }

    pub(crate) fn line(&mut self) -> String {
        self.try_line().expect("the broker says something")
    }

    /// Says `CONNECT`, with these fields besides, and has been answered.
    pub(crate) fn introduce(&mut self, fields: &str) {
        self.say(&format!(
            "CONNECT {{\"verbose\":false{fields}}}\r\nPING\r\n"
        ));
        assert_eq!(self.line(), "PONG");
    }
}
