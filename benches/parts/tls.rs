//! Bytes per second through rustls alone: sealed by one connection and opened by another, in memory. The suite is
//! AES-128-GCM of TLS 1.3.
//!
//! That is what the broker has rustls do with a message for one subscriber: it opens it once and seals it once. So the
//! broker's messages per second of its processor time (`midge bench versus --only tls-`) are a share of these, and
//! what is missing is reading, writing, parsing and matching. Small messages come and leave in batches, and so in
//! records of 16 KiB; a message of 64 KiB takes five records, of which one holds its control line.
//!
//! Before anything is measured each batch is sealed and opened once and must be the same.

use criterion::{Criterion, Throughput};
use midge_reactor::tls::{ClientCerts, Identity, VerifyServer, rustls, server_config_with};
use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// As much as the broker seals at once.
const BATCH_BYTES: usize = 64 * 1024;

/// More than what the records of a batch are longer than their content.
const OVERHEAD_BYTES: usize = 1024;

/// Messages of one size, as they are sealed: each piece by itself.
struct Case {
    name: &'static str,
    messages: usize,
    pieces: Vec<Vec<u8>>,
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut group = criterion.benchmark_group("tls");
    let (mut server, mut client) = settled();
    let mut wire = Vec::new();
    let mut plain = Vec::new();
    for case in cases() {
        pass(&case, &mut client, &mut server, &mut wire, &mut plain);
        assert!(plain == case.pieces.concat(), "{}", case.name);

        group.throughput(Throughput::ElementsAndBytes {
            elements: case.messages as u64,
            bytes: plain.len() as u64,
        });
        group.bench_function(case.name, |bencher| {
            bencher.iter(|| {
                let case = black_box(&case);
                pass(case, &mut client, &mut server, &mut wire, &mut plain);
            });
        });
    }
    group.finish();
    criterion.final_summary();
}

fn cases() -> Vec<Case> {
    let frame = |payload: usize| {
        let head = format!("MSG bench.wire 1 {payload}\r\n").into_bytes();
        [&head[..], &vec![b'x'; payload], b"\r\n"].concat()
    };
    let batch = |name, payload| {
        let frame = frame(payload);
        let messages = BATCH_BYTES / frame.len();
        Case {
            name,
            messages,
            pieces: vec![frame.repeat(messages)],
        }
    };
    let long = frame(64 * 1024);
    let (head, payload) = long.split_at(long.len() - 64 * 1024 - 2);
    vec![
        batch("16 bytes", 16),
        batch("1 KiB", 1024),
        Case {
            name: "64 KiB",
            messages: 1,
            // The end of a payload is in one record with the control line behind it.
            pieces: vec![
                [&payload[..2], head].concat(),
                payload[..64 * 1024].to_vec(),
            ],
        },
        Case {
            name: "16 bytes, one message a record",
            messages: 1,
            pieces: vec![frame(16)],
        },
    ]
}

/// Seals the pieces of `case` by one side, and opens them by the other.
fn pass(
    case: &Case,
    client: &mut UnbufferedClientConnection,
    server: &mut UnbufferedServerConnection,
    wire: &mut Vec<u8>,
    plain: &mut Vec<u8>,
) {
    let UnbufferedStatus {
        state: Ok(ConnectionState::WriteTraffic(mut traffic)),
        ..
    } = client.process_tls_records(&mut [])
    else {
        panic!("the handshake is over");
    };
    // It keeps its length, so nothing is cleared.
    wire.resize(2 * BATCH_BYTES + OVERHEAD_BYTES, 0);
    let mut len = 0;
    for piece in &case.pieces {
        let sealed = traffic.encrypt(piece, &mut wire[len..]);
        len += sealed.expect("there is room");
    }
    plain.clear();
    let mut at = 0;
    while at < len {
        let UnbufferedStatus { discard, state } = server.process_tls_records(&mut wire[at..len]);
        at += discard;
        match state.expect("the client is right") {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record.expect("it is whole");
                    plain.extend_from_slice(record.payload);
                    at += record.discard;
                }
            }
            state => panic!("{state:?}"),
        }
    }
}

/// Both sides, behind their handshake.
fn settled() -> (UnbufferedServerConnection, UnbufferedClientConnection) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("ring makes keys");
    let key = made.signing_key.serialize_pem();
    let identity = Identity::from_pem(made.cert.pem().as_bytes(), key.as_bytes());
    let identity = identity.expect("it was made a moment ago");
    let versions = &[&rustls::version::TLS13];
    let config = server_config_with(identity, &ClientCerts::None, versions, &[]);
    let server = UnbufferedServerConnection::new(config.expect("all is in order"));
    let provider = CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
        ..default_provider()
    };
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .expect("the suite is of that version")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(VerifyServer::new(|_, _| Ok(()))))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("it is a name");
    let client = UnbufferedClientConnection::new(Arc::new(config), name);
    let (mut server, mut client) = (
        server.expect("all is in order"),
        client.expect("all is in order"),
    );
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    loop {
        let (discard, said) = step(client.process_tls_records(&mut to_client));
        to_client.drain(..discard);
        to_server.extend_from_slice(&said);
        let (discard, heard) = step(server.process_tls_records(&mut to_server));
        to_server.drain(..discard);
        to_client.extend_from_slice(&heard);
        let is_quiet = said.is_empty() && heard.is_empty() && discard == 0;
        if is_quiet && to_client.is_empty() && !server.is_handshaking() {
            return (server, client);
        }
    }
}

/// What one side says next in the handshake, and how much of what it has heard is done with.
fn step<D>(status: UnbufferedStatus<'_, '_, D>) -> (usize, Vec<u8>) {
    let mut said = Vec::new();
    match status.state.expect("both are right") {
        ConnectionState::EncodeTlsData(mut data) => {
            if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
                said.resize(size.required_size, 0);
            }
            data.encode(&mut said).expect("there is room");
        }
        ConnectionState::TransmitTlsData(data) => data.done(),
        _ => {}
    }
    (status.discard, said)
}
