//! What a layer keeps and answers, whatever a client sends and however it is cut.

use super::{KEPT_BYTES_MAX, RECORD_BYTES_MAX, TlsLayer};
use crate::Close;
use crate::layer::{After, Arrived, Attached, End, ROOM_BYTES};
use crate::outbound::{Outbound, Pool};
use crate::tls::{ClientCerts, Identity, Tls, TlsError, VerifyServer, server_config_with};
use bytes::Bytes;
use rustls::crypto::cipher::{MessageEncrypter, OutboundPlainMessage};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConnection, ConnectionTrafficSecrets, ContentType, InvalidMessage,
    PeerMisbehaved, ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion,
};
use std::io::{Read, Write};
use std::time::Duration;

const NAME: &str = "midge.test";

/// Longest record that there may be, in bytes, less one.
const PART_BYTES_MAX: usize = 5 + RECORD_BYTES_MAX + 2048 - 1;

/// A server's layer, and a client with buffers of its own.
struct Pair {
    layer: Attached,
    queue: Outbound,
    pool: Pool,
    buffer: Vec<u8>,
    /// What the layer has opened.
    plain: Vec<u8>,
    client: Option<ClientConnection>,
}

impl Pair {
    fn new(version: &'static SupportedProtocolVersion) -> Pair {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("ring makes keys");
        let key = made.signing_key.serialize_pem();
        let identity = Identity::from_pem(made.cert.pem().as_bytes(), key.as_bytes());
        let identity = identity.expect("it was made a moment ago");
        let server = server_config_with(identity, &ClientCerts::None, &[version], &[]);
        let tls = Tls::server(server.expect("all is in order"));
        let mut client = (*VerifyServer::new(|_, _| Ok(()))
            .into_config(None)
            .expect("no identity is wrong"))
        .clone();
        client.enable_secret_extraction = true;
        let name = ServerName::try_from(NAME).expect("it is a name");
        let mut client = ClientConnection::new(client.into(), name).expect("all is in order");
        client.set_buffer_limit(None);
        let mut queue = Outbound::default();
        let layer = Box::new(TlsLayer::new(tls.side).expect("all is in order"));
        Pair {
            layer: Attached::new(layer, Duration::ZERO, &mut queue),
            queue,
            pool: Pool::default(),
            buffer: Vec::new(),
            plain: Vec::new(),
            client: Some(client),
        }
    }

    /// One that has made its handshake, in pieces of `cut` bytes.
    fn settled(version: &'static SupportedProtocolVersion, cut: usize) -> Pair {
        let mut pair = Pair::new(version);
        while pair.client().is_handshaking() || pair.client().wants_write() {
            let words = pair.said();
            pair.hear_cut(&words, cut);
            pair.tell();
        }
        assert!(pair.layer.settle(), "the handshake is over");
        pair
    }

    fn client(&mut self) -> &mut ClientConnection {
        self.client.as_mut().expect("it has not become a forger")
    }

    fn tls(&mut self) -> &mut TlsLayer {
        self.layer.find_mut().expect("it is the only one")
    }

    /// What the client has to send.
    fn said(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.client().wants_write() {
            self.client()
                .write_tls(&mut out)
                .expect("a vector takes all");
        }
        out
    }

    /// The layer hears that, as if read from a socket.
    fn hear(&mut self, bytes: &[u8]) {
        self.buffer.resize(ROOM_BYTES, 0);
        self.buffer.extend_from_slice(bytes);
        let wire = Arrived::with_room(&mut self.buffer, ROOM_BYTES);
        self.layer.open(wire, &mut self.plain);
        let is_over = self.tls().info.is_some();
        let kept = self.tls().kept.capacity();
        let bound = if is_over {
            PART_BYTES_MAX
        } else {
            KEPT_BYTES_MAX
        };
        assert!(kept <= bound, "{kept} bytes of memory are kept");
    }

    fn hear_cut(&mut self, bytes: &[u8], cut: usize) {
        bytes.chunks(cut).for_each(|piece| self.hear(piece));
    }

    /// What leaves now.
    fn sent(&mut self) -> Vec<u8> {
        let (queue, pool) = (&mut self.queue, &mut self.pool);
        self.layer.begin_turn();
        self.layer.seal(queue, pool, After::Nothing);
        let sent = self.layer.wire.to_vec();
        self.layer.wire.clear(pool);
        sent
    }

    /// The client hears what leaves. Answers what it makes of that, and how many records it was.
    fn tell(&mut self) -> (Vec<u8>, usize) {
        let sent = self.sent();
        let (mut rest, mut records) = (&sent[..], 0);
        while let [_, _, _, high, low, behind @ ..] = rest {
            rest = &behind[usize::from(*high) << 8 | usize::from(*low)..];
            records += 1;
        }
        let (mut wire, mut heard) = (&sent[..], Vec::new());
        while !wire.is_empty() {
            let client = self.client();
            client.read_tls(&mut wire).expect("its buffer is emptied");
            client.process_new_packets().expect("the layer is right");
            let mut chunk = [0; 20_000];
            while let Ok(len @ 1..) = client.reader().read(&mut chunk) {
                heard.extend_from_slice(&chunk[..len]);
            }
        }
        (heard, records)
    }

    /// Why the layer believes nothing any more.
    fn failure(&mut self) -> TlsError {
        match self.layer.end.take() {
            Some(End::Error(Close::Tls(error))) => error,
            end => panic!("it has ended with {end:?}"),
        }
    }

    /// What the client has agreed on goes to one that sends what no client would.
    fn forger(&mut self) -> Forger {
        let client = self.client.take().expect("there is one forger");
        let Some(SupportedCipherSuite::Tls13(suite)) = client.negotiated_cipher_suite() else {
            panic!("TLS is 1.3");
        };
        let secrets = client.dangerous_extract_secrets().expect("it is allowed");
        let (number, keys) = secrets.tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = keys
        else {
            panic!("the cipher is AES");
        };
        let encrypter = suite.aead_alg.encrypter(key, iv);
        Forger { encrypter, number }
    }
}

struct Forger {
    encrypter: Box<dyn MessageEncrypter>,
    number: u64,
}

impl Forger {
    fn record(&mut self, typ: ContentType, payload: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_2,
            payload: payload.into(),
        };
        let sealed = self.encrypter.encrypt(message, self.number);
        self.number += 1;
        sealed.expect("it is short").encode()
    }
}

/// A message of the handshake in the clear, of which `len` bytes are announced, in records of `part` bytes.
fn endless(len: usize, part: usize) -> Vec<u8> {
    let [.., high, middle, low] = len.to_be_bytes();
    let mut message = vec![1, high, middle, low];
    message.resize(4 + len, 0);
    let record = |part: &[u8]| {
        let [.., high, low] = part.len().to_be_bytes();
        [&[22, 3, 1, high, low], part].concat()
    };
    message.chunks(part).flat_map(record).collect()
}

#[test]
fn a_conversation_is_the_same_wherever_it_is_cut_and_leaves_nothing_behind() {
    for version in [&TLS12, &TLS13] {
        for cut in [1, 2, 3, 7, 100, 1_000, 5_000, 16_400, 200_000] {
            let mut pair = Pair::settled(version, cut);
            assert_eq!(pair.tls().kept.capacity(), 0);
            let info = pair.tls().info.clone().expect("it is settled");
            assert_eq!(info.server_name.as_deref(), Some(NAME));
            let mut wanted = Vec::new();
            for len in [1, 100, 16_383, 16_384, 16_385, 40_000] {
                let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
                pair.client().writer().write_all(&bytes).expect("no limit");
                wanted.extend(bytes);
                let words = pair.said();
                pair.hear_cut(&words, cut);
                assert!(pair.plain == wanted, "{len} bytes, cut at {cut}");
                assert_eq!(pair.tls().kept.capacity(), 0, "all is opened");
            }
            pair.client().send_close_notify();
            let words = pair.said();
            pair.hear_cut(&words, cut);
            assert!(matches!(pair.layer.end, Some(End::Orderly)));
        }
    }
}

#[test]
fn data_directly_behind_the_handshake_and_the_end_behind_it_come_in_one_piece() {
    for cut in [usize::MAX, 1, 30_000] {
        let mut pair = Pair::new(&TLS13);
        let words = pair.said();
        pair.hear(&words);
        pair.tell();
        let bytes = vec![7; 50_000];
        pair.client().writer().write_all(&bytes).expect("no limit");
        pair.client().send_close_notify();
        let words = [pair.said(), b"what is behind the end".to_vec()].concat();
        pair.hear_cut(&words, cut);
        assert!(pair.layer.settle(), "the handshake is over");
        assert!(pair.plain == bytes, "{} bytes came", pair.plain.len());
        assert!(matches!(pair.layer.end, Some(End::Orderly)));
        assert_eq!(pair.tls().kept.capacity(), 0);
        assert!(!pair.sent().is_empty(), "the ticket leaves all the same");
    }
}

#[test]
fn an_end_without_close_notify_is_a_truncation() {
    let mut pair = Pair::settled(&TLS13, usize::MAX);
    pair.client().writer().write_all(b"last").expect("no limit");
    let words = pair.said();
    pair.hear(&words[..words.len() - 1]);
    pair.layer.at_eof();
    assert_eq!(pair.failure(), TlsError::Truncated);
}

#[test]
fn a_message_of_the_handshake_is_64_kib_at_most_however_it_is_cut() {
    for (part, cut) in [(1, 1_000), (1, 17), (1_000, 1), (16_384, 20)] {
        let mut pair = Pair::new(&TLS13);
        let words = endless(0xffff, part);
        assert!(words.len() > KEPT_BYTES_MAX);
        let mut pieces = words.chunks(cut);
        while pair.layer.end.is_none() {
            pair.hear(pieces.next().expect("it is too long"));
        }
        let error = "a message of the handshake is too large".to_owned();
        let error = TlsError::Protocol(rustls::Error::General(error));
        assert_eq!(pair.failure(), error);
        assert_eq!(pair.tls().kept.capacity(), 0);
    }
    // One that says so is not waited for.
    let mut pair = Pair::new(&TLS13);
    pair.hear(&endless(0x10000, 100)[..105]);
    let error = rustls::Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge);
    assert_eq!(pair.failure(), TlsError::Protocol(error));
}

#[test]
fn records_without_content_come_to_an_end() {
    let mut pair = Pair::settled(&TLS13, usize::MAX);
    pair.sent();
    let mut forger = pair.forger();
    let words: Vec<u8> = (0..1_000)
        .flat_map(|_| forger.record(ContentType::ApplicationData, b""))
        .collect();
    pair.hear(&words);
    let error = rustls::Error::PeerMisbehaved(PeerMisbehaved::TooManyEmptyFragments);
    assert_eq!(pair.failure(), TlsError::Protocol(error));
    assert!(pair.sent().len() < 100);
    // Content between them makes them harmless.
    let mut pair = Pair::settled(&TLS13, usize::MAX);
    let mut forger = pair.forger();
    for number in 1..=1_000 {
        let empty = forger.record(ContentType::ApplicationData, b"");
        pair.hear(&empty);
        let full = forger.record(ContentType::ApplicationData, b"x");
        pair.hear(&full);
        assert_eq!(pair.plain.len(), number);
    }
}

#[test]
fn wishes_for_other_keys_are_answered_once_and_come_to_an_end() {
    let mut pair = Pair::settled(&TLS13, usize::MAX);
    let mut wishes = 0;
    while pair.layer.end.is_none() {
        pair.client().refresh_traffic_keys().expect("TLS is 1.3");
        let words = pair.said();
        pair.hear(&words);
        wishes += 1;
    }
    assert_eq!(wishes, 33);
    let error = rustls::Error::PeerMisbehaved(PeerMisbehaved::TooManyKeyUpdateRequests);
    assert_eq!(pair.failure(), TlsError::Protocol(error));
    assert!(pair.sent().len() < 100);
    // Who says something between them, and reads nothing, has one answer waiting.
    let mut pair = Pair::settled(&TLS13, usize::MAX);
    for _ in 0..1_000 {
        pair.client().refresh_traffic_keys().expect("TLS is 1.3");
        pair.client().writer().write_all(b"x").expect("no limit");
        let words = pair.said();
        pair.hear(&words);
        assert!(!pair.layer.wants_write(), "it leaves with the next data");
    }
    assert_eq!(pair.plain.len(), 1_000);
    pair.queue.push_shared(Bytes::from_static(b"answer"));
    assert_eq!(pair.tell(), (b"answer".to_vec(), 2));
}

#[test]
fn a_message_in_parts_waits_for_its_rest_while_the_other_direction_goes_on() {
    let mut pair = Pair::settled(&TLS13, usize::MAX);
    let mut forger = pair.forger();
    // Other keys from here on, without a wish for any.
    for part in [&[24][..], &[0, 0], &[1]] {
        let words = forger.record(ContentType::Handshake, part);
        pair.hear_cut(&words, 10);
        assert!(!pair.tls().kept.is_empty(), "the message lacks a part");
        pair.queue.push_shared(Bytes::from_static(b"meanwhile"));
        assert!(!pair.sent().is_empty());
    }
    let words = forger.record(ContentType::Handshake, &[0]);
    pair.hear_cut(&words, 10);
    assert!(pair.layer.end.is_none());
    assert_eq!(pair.tls().kept.capacity(), 0);
    // Nothing else may stand between the parts.
    let mut pair = Pair::settled(&TLS13, usize::MAX);
    let mut forger = pair.forger();
    let words = [
        forger.record(ContentType::Handshake, &[24]),
        forger.record(ContentType::ApplicationData, b"x"),
    ];
    pair.hear(&words.concat());
    let error =
        rustls::Error::PeerMisbehaved(PeerMisbehaved::MessageInterleavedWithHandshakeMessage);
    assert_eq!(pair.failure(), TlsError::Protocol(error));
}

#[test]
fn who_breaks_a_rule_is_told_by_one_alert_and_who_speaks_no_tls_by_none() {
    let mut pair = Pair::settled(&TLS13, usize::MAX);
    let mut forged = vec![23, 3, 3, 0, 40];
    forged.extend([9; 40]);
    pair.hear(&[&forged[..], &forged].concat());
    assert_eq!(
        pair.failure(),
        TlsError::Protocol(rustls::Error::DecryptError)
    );
    let sent = pair.sent();
    let client = pair.client();
    client.read_tls(&mut &sent[..]).expect("it is short");
    let error = client.process_new_packets().expect_err("an alert");
    let alert = rustls::Error::AlertReceived(AlertDescription::BadRecordMac);
    assert_eq!(error, alert);
    assert!(pair.sent().is_empty());
    // Within the handshake, in the clear.
    let mut pair = Pair::new(&TLS13);
    pair.hear(&[22, 3, 1, 0, 5, 99, 0, 0, 1, 0]);
    assert!(matches!(pair.failure(), TlsError::Protocol(_)));
    assert!(matches!(pair.sent()[..], [21, 3, _, 0, 2, 2, _]));
    for cut in [1, 100] {
        let mut pair = Pair::new(&TLS13);
        pair.hear_cut(b"GET / HTTP/1.1\r\n\r\n", cut);
        assert_eq!(pair.failure(), TlsError::NotTls);
        assert!(pair.sent().is_empty());
    }
}

#[test]
fn short_pieces_are_sealed_together_and_long_ones_as_they_are() {
    for version in [&TLS12, &TLS13] {
        let mut pair = Pair::settled(version, usize::MAX);
        let lengths = [20, 65_538, 3, 1, 1, 70_000, 5, 1_023, 1_024, 16_384, 9];
        let mut wanted = Vec::new();
        for (number, len) in lengths.into_iter().enumerate() {
            let piece = vec![number as u8; len];
            wanted.extend_from_slice(&piece);
            pair.queue.push_shared(Bytes::from(piece));
        }
        let (heard, records) = pair.tell();
        assert!(heard == wanted, "{} bytes came", heard.len());
        // Four and four long ones, two of the rests, and what stands between.
        assert_eq!(records, 15);
    }
}
