//! SCRAM bound to the TLS channel by an exporter (RFC 9266), from a client's rustls to ours: what
//! a client in the middle would export is not let in.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::connection;
use waxwing_modules::MODULES;
use waxwing_net::http::Site;
use waxwing_net::{Kind, Limits, Listener, Listening, Net, Tls, TlsOptions};
use waxwing_testkit::world::PASSWORD;
use waxwing_testkit::{Plan, World};

const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";
const SASL: &str = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const PATIENCE: Duration = Duration::from_secs(10);

/// A server with direct TLS, and its certificate.
struct Server {
    world: World,
    listening: Listening,
    folder: TempDir,
}

impl Server {
    async fn start() -> Self {
        let plan = Plan { clock: Clock::system(), ..Plan::in_memory(MODULES) };
        let world = World::start(plan).await.expect("a world");
        world.add_account("juliet@localhost").await.expect("an account");
        let folder = TempDir::new().expect("a folder");
        let domains = vec!["localhost".to_owned()];
        let place = folder.path().to_owned();
        let options = TlsOptions { domains, folder: place, ..TlsOptions::default() };
        let tls = Tls::open(options).expect("a certificate");
        let (hub, clock) = (world.hub().clone(), world.hub().clock().clone());
        let entry = move |wire, security| connection::accept(&hub, wire, security);
        let net = Net::new(Limits::default(), Some(tls), Site::default(), Arc::new(entry), clock);
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listening = net.listen(&[Listener::new(loopback, Kind::XmppTls)]).await;
        Self { world, listening: listening.expect("a port"), folder }
    }

    async fn connect(&self, version: &'static SupportedProtocolVersion) -> Client {
        let file = self.folder.path().join("localhost.pem");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(file).expect("a file")).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let address = self.listening.addresses()[0].1;
        let stream = TcpStream::connect(address).await.expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        Client { stream: stream.expect("a handshake"), heard: String::new() }
    }

    async fn stop(self) {
        self.listening.stop().await;
        self.world.stop().await.expect("an end");
    }
}

struct Client {
    stream: TlsStream<TcpStream>,
    heard: String,
}

impl Client {
    /// RFC 9266 §2.
    fn exporter(&self) -> [u8; 32] {
        let label = b"EXPORTER-Channel-Binding";
        let (_, connection) = self.stream.get_ref();
        connection.export_keying_material([0; 32], label, Some(&[])).expect("after the handshake")
    }

    /// Says something, and returns what comes up to and including `end`.
    async fn ask(&mut self, text: &str, end: &str) -> String {
        self.stream.write_all(text.as_bytes()).await.expect("taken");
        let heard = async {
            loop {
                if let Some(at) = self.heard.find(end) {
                    let rest = self.heard.split_off(at + end.len());
                    return std::mem::replace(&mut self.heard, rest);
                }
                let mut bytes = vec![0; 4096];
                let count = self.stream.read(&mut bytes).await.expect("more");
                assert_ne!(count, 0, "ended after {}", self.heard);
                self.heard.push_str(std::str::from_utf8(&bytes[..count]).expect("text"));
            }
        };
        timeout(PATIENCE, heard).await.expect("in time")
    }

    /// Signs in with SCRAM-SHA-256-PLUS; what the server says of it in the end.
    async fn sign_in(&mut self, binding: &[u8]) -> String {
        let features = self.ask(HEADER, "</stream:features>").await;
        assert!(features.contains("<mechanism>SCRAM-SHA-256-PLUS</mechanism>"), "{features}");
        assert!(features.contains("<channel-binding type='tls-exporter'/>"), "{features}");
        let flag = "p=tls-exporter,,";
        let bare = format!("n=juliet,r={NONCE}");
        let first = BASE64.encode(format!("{flag}{bare}"));
        let auth = format!("<auth {SASL} mechanism='SCRAM-SHA-256-PLUS'>{first}</auth>");
        let challenge = self.ask(&auth, "</challenge>").await;
        let text = challenge.rsplit('>').nth(1).and_then(|text| text.split('<').next());
        let text = BASE64.decode(text.expect("a text")).expect("base64");
        let challenge = String::from_utf8(text).expect("text");
        let bound = BASE64.encode([flag.as_bytes(), binding].concat());
        let last = format!("c={bound},r={}", field(&challenge, "r="));
        let proof = proof(&challenge, &format!("{bare},{challenge},{last}"));
        let last = BASE64.encode(format!("{last},p={proof}"));
        self.ask(&format!("<response {SASL}>{last}</response>"), "</").await
    }
}

fn field<'a>(challenge: &'a str, name: &str) -> &'a str {
    challenge.split(',').find_map(|field| field.strip_prefix(name)).expect("a field")
}

/// RFC 5802 §3: ClientProof.
fn proof(challenge: &str, signed: &str) -> String {
    let salt = BASE64.decode(field(challenge, "s=")).expect("base64");
    let rounds: NonZeroU32 = field(challenge, "i=").parse().expect("a number");
    let mut salted = [0; 32];
    let hash = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(hash, rounds, &salt, PASSWORD.as_bytes(), &mut salted);
    let client_key = sign(&salted, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let signature = sign(stored_key.as_ref(), signed.as_bytes());
    let keys = client_key.as_ref().iter().zip(signature.as_ref());
    BASE64.encode(keys.map(|(key, mark)| key ^ mark).collect::<Vec<u8>>())
}

fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

#[tokio::test]
async fn the_exporter_of_this_very_connection_is_accepted() {
    let server = Server::start().await;
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let mut client = server.connect(version).await;
        let binding = client.exporter();
        let said = client.sign_in(&binding).await;
        assert!(said.starts_with("<success "), "{version:?}: {said}");
        let features = client.ask(HEADER, "</stream:features>").await;
        assert!(features.contains("urn:ietf:params:xml:ns:xmpp-bind"), "{features}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_exporter_of_another_connection_is_refused() {
    let server = Server::start().await;
    let elsewhere = server.connect(&rustls::version::TLS13).await.exporter();
    for binding in [&elsewhere[..], &[0; 32], b""] {
        let mut client = server.connect(&rustls::version::TLS13).await;
        let said = client.sign_in(binding).await;
        assert!(said.starts_with("<failure ") && said.contains("<not-authorized/>"), "{said}");
    }
    server.stop().await;
}
