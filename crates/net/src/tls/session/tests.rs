//! A session against rustls' own client, in memory, with the bytes cut anywhere.

use proptest::prelude::*;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, default_provider};
use rustls::crypto::cipher::{Iv, OutboundPlainMessage};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType,
    HandshakeKind, ProtocolVersion, RootCertStore, SupportedCipherSuite, SupportedProtocolVersion,
};
use std::io::{Read, Write};
use std::sync::LazyLock;
use tempfile::TempDir;

use super::*;
use crate::tls::exporter::{self, Material};
use crate::tls::{Asks, Manner, Tls, TlsOptions};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

struct Server {
    config: Arc<ServerConfig>,
    roots: Arc<RootCertStore>,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let folder = TempDir::new().unwrap();
    let options = TlsOptions {
        domains: vec!["localhost".to_owned()],
        folder: folder.path().to_owned(),
        ..TlsOptions::default()
    };
    let tls = Tls::open(options).unwrap();
    let manner = Manner { has_alpn: false, asks: Asks::Nobody };
    let mut roots = RootCertStore::empty();
    let pem = folder.path().join("localhost.pem");
    roots.add(CertificateDer::from_pem_file(pem).unwrap()).unwrap();
    let config = tls.store().stand(None).config(manner).unwrap();
    Server { config, roots: Arc::new(roots) }
});

fn client_config(version: &'static SupportedProtocolVersion) -> ClientConfig {
    suite_config(version, ALL_CIPHER_SUITES.to_vec())
}

fn suite_config(
    version: &'static SupportedProtocolVersion,
    cipher_suites: Vec<SupportedCipherSuite>,
) -> ClientConfig {
    let provider = rustls::crypto::CryptoProvider { cipher_suites, ..default_provider() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(SERVER.roots.clone())
        .with_no_client_auth();
    config.enable_secret_extraction = true;
    config
}

/// Both ends, in memory.
struct Pair {
    client: ClientConnection,
    server: Session,
    material: Material,
    plain: Vec<u8>,
    out: Vec<u8>,
}

impl Pair {
    fn new(config: ClientConfig) -> Self {
        Self::of(Arc::new(config))
    }

    fn of(config: Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(config, name).unwrap();
        client.set_buffer_limit(None);
        let server = Session::new(SERVER.config.clone()).unwrap();
        let (plain, out) = (Vec::new(), Vec::new());
        Self { client, server, material: Material::default(), plain, out }
    }

    /// Finishes the handshake, the client's bytes in pieces of `size`.
    fn shake(mut self, size: usize) -> Self {
        for _ in 0..10 {
            let bytes = self.records();
            bytes.chunks(size).for_each(|bytes| self.feed(bytes));
            self.deliver().unwrap();
        }
        assert!(!self.server.is_handshaking() && !self.client.is_handshaking());
        assert!(self.plain.is_empty() && self.server.held() == 0);
        self
    }

    fn records(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    fn feed(&mut self, bytes: &[u8]) {
        let mut incoming = vec![0; self.server.held()];
        incoming.extend_from_slice(bytes);
        exporter::forget();
        self.server.receive(&mut incoming, &mut self.plain, &mut self.out);
        self.material.hear(&self.out);
    }

    /// What the client hears.
    fn deliver(&mut self) -> Result<Vec<u8>, Error> {
        let (mut heard, out) = (Vec::new(), std::mem::take(&mut self.out));
        let mut bytes = &out[..];
        while !bytes.is_empty() {
            self.client.read_tls(&mut bytes).unwrap();
            self.client.process_new_packets()?;
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = self.client.reader().read(&mut chunk) {
                heard.extend_from_slice(&chunk[..count]);
            }
        }
        Ok(heard)
    }

    fn says(&mut self, text: &[u8]) -> Vec<u8> {
        self.client.writer().write_all(text).unwrap();
        self.records()
    }

    fn expect_to_hear(&mut self, text: &[u8]) {
        assert!(std::mem::take(&mut self.plain) == text, "{:?}", self.server.hearing());
    }

    fn expect_to_say(&mut self, text: &[u8]) {
        self.server.seal(text, &mut self.out).unwrap();
        assert!(self.deliver().unwrap() == text);
    }
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place * 31 % 251) as u8).collect()
}

#[test]
fn bytes_may_be_cut_anywhere() {
    for version in VERSIONS {
        let mut pair = Pair::new(client_config(version)).shake(1);
        let two = |pair: &mut Pair| [pair.says(b"one"), pair.says(&text(300))].concat();
        let all = [b"one".to_vec(), text(300)].concat();
        let bytes = two(&mut pair);
        pair.feed(&bytes);
        pair.expect_to_hear(&all);
        for cut in 0..bytes.len() {
            let bytes = two(&mut pair);
            let (head, tail) = bytes.split_at(cut);
            pair.feed(head);
            // Writing in between disturbs nothing.
            pair.expect_to_say(b"meanwhile");
            pair.feed(tail);
            pair.expect_to_hear(&all);
            assert_eq!(pair.server.held(), 0);
        }
        let large = text(100_000);
        let bytes = pair.says(&large);
        bytes.chunks(777).for_each(|bytes| pair.feed(bytes));
        pair.expect_to_hear(&large);
        pair.expect_to_say(&large);
    }
}

#[test]
fn a_handshake_may_be_cut_anywhere() {
    for version in VERSIONS {
        for size in [2, 3, 7, 100, 1000, 1_000_000] {
            let mut pair = Pair::new(client_config(version)).shake(size);
            pair.expect_to_say(b"hello");
            let bytes = pair.says(b"hi");
            pair.feed(&bytes);
            pair.expect_to_hear(b"hi");
        }
    }
}

#[test]
fn what_follows_the_handshake_at_once_is_heard() {
    for version in VERSIONS {
        let mut pair = Pair::new(client_config(version));
        pair.client.writer().write_all(b"<stream>").unwrap();
        for _ in 0..4 {
            let bytes = pair.records();
            pair.feed(&bytes);
            pair.deliver().unwrap();
        }
        pair.expect_to_hear(b"<stream>");
    }
}

#[test]
fn every_suite_exports_what_the_client_does() {
    for &suite in ALL_CIPHER_SUITES {
        let version = match suite {
            SupportedCipherSuite::Tls13(_) => &TLS13,
            SupportedCipherSuite::Tls12(_) => &TLS12,
        };
        if format!("{:?}", suite.suite()).contains("RSA") {
            continue; // the certificate is an ECDSA one
        }
        let mut pair = Pair::new(suite_config(version, vec![suite])).shake(1_000_000);
        let label = b"EXPORTER-Channel-Binding";
        let theirs = pair.client.export_keying_material([0; 32], label, Some(&[])).unwrap();
        let agreed = pair.server.facts().negotiated_cipher_suite().unwrap();
        assert_eq!(agreed, suite);
        assert_eq!(pair.material.export(agreed, label), Some(theirs), "{suite:?}");
        pair.expect_to_say(&text(40_000));
    }
}

#[test]
fn a_client_resumes_with_its_ticket() {
    for version in VERSIONS {
        let mut config = client_config(version);
        config.resumption = Resumption::in_memory_sessions(4);
        let config = Arc::new(config);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let mut pair = Pair::of(config.clone()).shake(1_000_000);
            assert_eq!(pair.server.facts().handshake_kind(), Some(kind));
            let label = b"EXPORTER-Channel-Binding";
            let theirs = pair.client.export_keying_material([0; 32], label, Some(&[])).unwrap();
            let suite = pair.server.facts().negotiated_cipher_suite().unwrap();
            assert_eq!(pair.material.export(suite, label), Some(theirs));
            pair.expect_to_say(b"hello");
        }
    }
}

#[test]
fn keys_may_change_at_any_time() {
    let mut pair = Pair::new(client_config(&TLS13)).shake(1_000_000);
    for round in 0..20 {
        pair.client.refresh_traffic_keys().unwrap();
        let bytes = pair.says(&text(round));
        for byte in bytes {
            pair.feed(&[byte]);
        }
        pair.expect_to_hear(&text(round));
        pair.expect_to_say(b"after the change");
    }
}

#[test]
fn both_ends_say_goodbye() {
    for version in VERSIONS {
        let mut pair = Pair::new(client_config(version)).shake(1_000_000);
        let mut bytes = pair.says(b"last words");
        pair.client.send_close_notify();
        bytes.extend(pair.records());
        bytes.extend(b"anything");
        pair.feed(&bytes);
        pair.expect_to_hear(b"last words");
        assert!(matches!(pair.server.hearing(), Hearing::Closed));
        pair.expect_to_say(b"we may still speak");
        pair.server.cut();
        assert!(matches!(pair.server.hearing(), Hearing::Closed));
        pair.server.close(&mut pair.out);
        let out = std::mem::take(&mut pair.out);
        pair.client.read_tls(&mut &out[..]).unwrap();
        assert!(pair.client.process_new_packets().unwrap().peer_has_closed());
    }
}

#[test]
fn a_forged_record_ends_all_with_an_alert() {
    for version in VERSIONS {
        let mut pair = Pair::new(client_config(version)).shake(1_000_000);
        let mut bytes = pair.says(b"genuine");
        bytes.extend(pair.says(b"forged"));
        *bytes.last_mut().unwrap() ^= 1;
        pair.feed(&bytes);
        pair.expect_to_hear(b"genuine");
        assert!(matches!(pair.server.hearing(), Hearing::Broken(Error::DecryptError)));
        let alert = Error::AlertReceived(AlertDescription::BadRecordMac);
        assert_eq!(pair.deliver(), Err(alert));
        assert!(pair.server.seal(b"no more", &mut pair.out).is_err());
        pair.server.close(&mut pair.out);
        assert!(pair.out.is_empty() && pair.server.held() == 0);
    }
}

#[test]
fn a_record_too_long_or_no_record_at_all_is_refused() {
    for version in VERSIONS {
        for bytes in [&[23, 3, 3, 0xFF, 0xFF][..], b"GET / HTTP/1.1\r\n\r\n", &[99, 3, 3, 0, 1, 0]]
        {
            let mut pair = Pair::new(client_config(version)).shake(1_000_000);
            pair.feed(bytes);
            assert!(matches!(pair.server.hearing(), Hearing::Broken(_)), "{bytes:?}");
            assert!(pair.deliver().is_err());
        }
        let mut pair = Pair::new(client_config(version));
        pair.feed(b"GET / HTTP/1.1\r\n\r\n");
        assert!(matches!(pair.server.hearing(), Hearing::Broken(_)));
    }
}

#[test]
fn an_end_without_goodbye_is_a_cut() {
    let mut pair = Pair::new(client_config(&TLS13)).shake(1_000_000);
    let bytes = pair.says(b"<message/>");
    pair.feed(&bytes[..bytes.len() - 1]);
    pair.server.cut();
    pair.expect_to_hear(b"");
    assert!(matches!(pair.server.hearing(), Hearing::Cut) && pair.server.held() == 0);
}

/// A record of the client's that its library would not make.
fn craft(pair: Pair, typ: ContentType, payloads: &[&[u8]]) -> (Vec<u8>, Session) {
    let SupportedCipherSuite::Tls12(suite) = pair.client.negotiated_cipher_suite().unwrap() else {
        panic!("TLS 1.2 is wanted");
    };
    let (mut seq, secrets) = pair.client.dangerous_extract_secrets().unwrap().tx;
    let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else {
        panic!("this suite is wanted");
    };
    let mut encrypter = suite.aead_alg.encrypter(key, Iv::as_ref(&iv), &[]);
    let mut bytes = Vec::new();
    for payload in payloads {
        let version = ProtocolVersion::TLSv1_2;
        let message = OutboundPlainMessage { typ, version, payload: (*payload).into() };
        bytes.extend(encrypter.encrypt(message, seq).unwrap().encode());
        seq += 1;
    }
    (bytes, pair.server)
}

#[test]
fn a_renegotiation_is_refused() {
    let chacha: Vec<_> = ALL_CIPHER_SUITES
        .iter()
        .filter(|suite| format!("{suite:?}").contains("ECDHE_ECDSA_WITH_CHACHA20"))
        .copied()
        .collect();
    let mut hello = ClientConnection::new(
        Arc::new(suite_config(&TLS12, chacha.clone())),
        ServerName::try_from("localhost").unwrap(),
    )
    .unwrap();
    let mut bytes = Vec::new();
    hello.write_tls(&mut bytes).unwrap();
    let hello = &bytes[5..];
    for (count, is_open) in [(1, true), (2, false), (40, false)] {
        let pair = Pair::new(suite_config(&TLS12, chacha.clone())).shake(1_000_000);
        let (bytes, mut server) = craft(pair, ContentType::Handshake, &vec![hello; count]);
        let (mut plain, mut out) = (Vec::new(), Vec::new());
        let mut bytes = bytes;
        server.receive(&mut bytes, &mut plain, &mut out);
        assert_eq!(server.is_open(), is_open, "{count}: {:?}", server.hearing());
        assert!(plain.is_empty());
        // A warning alert, encrypted: `no_renegotiation`.
        assert_eq!(out[0], 21);
        assert!(out.len() < 200);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn talk_in_any_pieces(
        is_13: bool,
        turns in prop::collection::vec((any::<bool>(), 1usize..40_000, 1usize..20_000), 1..12),
    ) {
        let version = if is_13 { &TLS13 } else { &TLS12 };
        let mut pair = Pair::new(client_config(version)).shake(1_000_000);
        for (is_server, length, piece) in turns {
            let text = text(length);
            if is_server {
                text.chunks(piece).for_each(|part| pair.expect_to_say(part));
            } else {
                pair.says(&text).chunks(piece).for_each(|bytes| pair.feed(bytes));
                pair.expect_to_hear(&text);
                prop_assert_eq!(pair.server.held(), 0);
            }
        }
    }
}
