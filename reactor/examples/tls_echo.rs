//! A TLS echo server: `cargo run --features tls --example tls_echo -- 127.0.0.1:8443 cert.pem key.pem`,
//! then `openssl s_client -connect 127.0.0.1:8443`. The handler is that of a plain echo.
//!
//! A certificate to try it with: `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256
//! -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem`.

use midge_reactor::tls::{self, ClientCerts, Identity, TlsInfo};
use midge_reactor::{Context, Handler, Input, run};
use std::error::Error;

struct Echo;

impl Handler for Echo {
    fn on_tls(&mut self, _: &mut Context<'_>, info: &TlsInfo) {
        println!("{:?}, {:?}", info.version, info.cipher_suite);
    }

    fn on_input(&mut self, cx: &mut Context<'_>, input: &mut Input<'_>) {
        cx.send(input.take());
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(addr), Some(cert), Some(key)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: tls_echo <address> <certificate file> <key file>".into());
    };
    let config = tls::server_config(Identity::from_files(cert, key)?, &ClientCerts::None)?;
    run(|cx| {
        let listener = cx.listen_tls(addr, config, |_| Echo)?;
        println!("listening on {:?}", cx.listening_on(listener));
        Ok(())
    })?;
    Ok(())
}
