//! TLS over real sockets: protocols, channel bindings, client certificates, certificate files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::support::*;
use aws_lc_rs::digest;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ED25519};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use waxwing_kernel::wire::Transport;
use waxwing_net::http::{HttpRoute, Reply, Site, StatusCode, WEBSOCKET_PATH};
use waxwing_net::{Certificate, Kind, Limits, Listener, Tls, TlsError, TlsOptions};

/// Options for `localhost` with a generated certificate.
pub(crate) fn generated(folder: &TempDir) -> TlsOptions {
    TlsOptions {
        domains: vec!["localhost".to_owned()],
        folder: folder.path().to_owned(),
        ..TlsOptions::default()
    }
}

fn site() -> Site {
    let hello = HttpRoute::get("/hello", |request| async move {
        Reply::text(StatusCode::OK, format!("secure {}", request.is_secure))
    });
    let websocket_paths = vec![WEBSOCKET_PATH.to_owned()];
    Site { routes: vec![hello], websocket_paths, ..Site::default() }
}

async fn start(options: TlsOptions, kind: Kind) -> Server {
    let tls = Tls::open(options).unwrap();
    Server::start(Limits::default(), Some(tls), site(), kind).await
}

fn leaf(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

pub(crate) const BOTH: &[&SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

/// A client's configuration that trusts `root` and offers `alpn`.
pub(crate) fn client(
    root: &Path,
    alpn: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(leaf(root)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

pub(crate) async fn connect(
    config: ClientConfig,
    name: &str,
    stream: TcpStream,
) -> TlsStream<TcpStream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

/// XEP-0368 §2: TLS from the first byte, and `xmpp-client` by ALPN.
#[tokio::test]
async fn one_port_speaks_xmpp_and_http_by_alpn() {
    for kind in [Kind::XmppTls, Kind::Https] {
        let folder = TempDir::new().unwrap();
        let mut server = start(generated(&folder), kind).await;
        let pem = folder.path().join("localhost.pem");
        let config = client(&pem, &["xmpp-client"], BOTH);
        let mut xmpp = connect(config, "localhost", server.connect().await).await;
        assert_eq!(xmpp.get_ref().1.alpn_protocol(), Some(&b"xmpp-client"[..]));
        xmpp.write_all(b"<stream>").await.unwrap();
        let mut session = server.session().await;
        assert_eq!(session.transport, Transport::DirectTls);
        session.heard_bytes("<stream>").await;
        let config = client(&pem, &["http/1.1"], BOTH);
        let mut http = connect(config, "localhost", server.connect().await).await;
        let ask = request("/hello", &["Connection: close"]);
        http.write_all(ask.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(http.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.ends_with("secure true"), "{answer}");
    }
}

#[tokio::test]
async fn the_kind_of_the_port_decides_without_alpn() {
    let folder = TempDir::new().unwrap();
    let mut server = start(generated(&folder), Kind::XmppTls).await;
    let config = client(&folder.path().join("localhost.pem"), &[], BOTH);
    let _client = connect(config, "localhost", server.connect().await).await;
    assert_eq!(server.session().await.transport, Transport::DirectTls);
    let config = client(&folder.path().join("localhost.pem"), &["xmpp-server"], BOTH);
    let _server = connect(config, "localhost", server.connect().await).await;
    assert_eq!(server.session().await.transport, Transport::ServerTls);
    let config = client(&folder.path().join("localhost.pem"), &["imap"], BOTH);
    let name = ServerName::try_from("localhost").unwrap();
    let stream = server.connect().await;
    assert!(TlsConnector::from(Arc::new(config)).connect(name, stream).await.is_err());
}

#[tokio::test]
async fn both_ends_find_the_same_channel_bindings() {
    for version in BOTH {
        let folder = TempDir::new().unwrap();
        let mut server = start(generated(&folder), Kind::XmppTls).await;
        let pem = folder.path().join("localhost.pem");
        let config = client(&pem, &["xmpp-client"], &[version]);
        let stream = connect(config, "localhost", server.connect().await).await;
        let session = server.session().await;
        let ours = stream
            .get_ref()
            .1
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]))
            .unwrap();
        assert!(session.security.tls);
        assert_eq!(session.security.exporter, Some(ours));
        let hash = digest::digest(&digest::SHA256, &leaf(&pem));
        assert_eq!(session.security.end_point.as_deref(), Some(hash.as_ref()));
        assert_eq!(session.security.peer_certificate, None);
    }
}

#[tokio::test]
async fn starttls_turns_a_plain_wire_into_a_secure_one() {
    let folder = TempDir::new().unwrap();
    let mut server = start(generated(&folder), Kind::Xmpp).await;
    let mut stream = server.connect().await;
    stream.write_all(b"<starttls/>").await.unwrap();
    let mut session = server.session().await;
    assert_eq!((session.transport, session.security.tls), (Transport::Tcp, false));
    session.heard_bytes("<starttls/>").await;
    session.send("<proceed/>");
    let mut proceed = [0; 10];
    stream.read_exact(&mut proceed).await.unwrap();
    session.order(Order::Upgrade);
    let config = client(&folder.path().join("localhost.pem"), &[], BOTH);
    let mut stream = connect(config, "localhost", stream).await;
    let mut session = server.upgraded().await;
    assert_eq!(session.transport, Transport::StartTls);
    assert!(session.security.tls && session.security.exporter.is_some());
    let long = "x".repeat(200_000);
    stream.write_all(long.as_bytes()).await.unwrap();
    session.heard_bytes(&long).await;
    session.send(&long);
    let mut echo = vec![0; long.len()];
    soon(stream.read_exact(&mut echo)).await.unwrap();
    assert!(echo == long.as_bytes());
    session.order(Order::Close);
    // close_notify came: no error about a truncated stream.
    assert_eq!(soon(stream.read(&mut [0; 1])).await.unwrap(), 0);
    assert_eq!(server.net.counts().open, 1);
}

#[tokio::test]
async fn a_websocket_under_tls_knows_its_channel_binding() {
    let folder = TempDir::new().unwrap();
    let mut server = start(generated(&folder), Kind::Https).await;
    let config = client(&folder.path().join("localhost.pem"), &["http/1.1"], BOTH);
    let mut stream = connect(config, "localhost", server.connect().await).await;
    assert!(open(&mut stream).await.starts_with("http/1.1 101"));
    let mut session = server.session().await;
    assert_eq!(session.transport, Transport::SecureWebSocket);
    assert!(session.security.tls && session.security.exporter.is_some());
    stream.write_all(&frame(0x81, b"<open/>")).await.unwrap();
    assert_eq!(session.heard().await, Heard::Message("<open/>".to_owned()));
    session.send("<open/>");
    assert_eq!(read_frame(&mut stream).await, Some((0x81, b"<open/>".to_vec())));
}

/// An authority, and a certificate that it issued, in PEM files of a folder.
fn issue(folder: &Path, authority: &str, name: &str) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, authority);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::from_params(&params, &key);
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let issued = params.signed_by(&key, &issuer).unwrap();
    fs::write(folder.join(format!("{authority}.pem")), root.pem()).unwrap();
    fs::write(folder.join(format!("{name}.crt")), issued.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

#[tokio::test]
async fn client_certificates_are_asked_for_and_judged_but_not_demanded() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    issue(path, "trusted", "juliet");
    issue(path, "stranger", "romeo");
    let client_authorities = Some(path.join("trusted.pem"));
    let tls = Tls::open(TlsOptions { client_authorities, ..generated(&folder) }).unwrap();
    let listener = Listener { asks_certificate: true, ..Listener::new(loopback(), Kind::XmppTls) };
    let mut server = Server::start_on(Limits::default(), Some(tls), site(), listener).await;
    for (name, is_verified) in [(None, false), (Some("juliet"), true), (Some("romeo"), false)] {
        let mut config = client(&path.join("localhost.pem"), &["xmpp-client"], BOTH);
        let mut expected = None;
        if let Some(name) = name {
            let chain = leaf(&path.join(format!("{name}.crt")));
            expected = Some(chain.to_vec());
            let key = PrivateKeyDer::from_pem_file(path.join(format!("{name}.key"))).unwrap();
            let provider = config.crypto_provider().clone();
            let key = rustls::sign::CertifiedKey::from_der(vec![chain], key, &provider).unwrap();
            config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(key));
        }
        let _stream = connect(config, "localhost", server.connect().await).await;
        let security = server.session().await.security;
        assert_eq!(security.peer_certificate, expected, "{name:?}");
        assert_eq!(security.peer_verified, is_verified, "{name:?}");
    }
}

/// A self-signed certificate in `<name>.crt` and `<name>.key`.
fn certify(folder: &Path, file: &str, names: &[&str], change: impl Fn(&mut CertificateParams)) {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(folder.join(format!("{file}.crt")), certificate.pem()).unwrap();
    fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
}

fn pair(folder: &Path, chain: &str, key: &str) -> Certificate {
    Certificate { chain: folder.join(chain), key: folder.join(key) }
}

#[tokio::test]
async fn the_certificate_is_chosen_by_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    certify(path, "one", &["one.example"], |_| {});
    certify(path, "two", &["two.example", "*.two.example"], |_| {});
    let certificates = vec![pair(path, "one.crt", "one.key"), pair(path, "two.crt", "two.key")];
    let domains = vec!["two.example".to_owned(), "one.example".to_owned()];
    let options = TlsOptions { certificates, domains, ..generated(&folder) };
    let mut server = start(options, Kind::XmppTls).await;
    for (name, file) in [
        ("one.example", "one.crt"),
        ("ONE.example", "one.crt"),
        ("two.example", "two.crt"),
        ("chat.two.example", "two.crt"),
    ] {
        let config = client(&path.join(file), &[], BOTH);
        let _stream = connect(config, name, server.connect().await).await;
        let hash = digest::digest(&digest::SHA256, &leaf(&path.join(file)));
        let security = server.session().await.security;
        assert_eq!(security.end_point.as_deref(), Some(hash.as_ref()), "{name}");
    }
    assert!(!path.join("one.example.pem").exists());
}

#[tokio::test]
async fn changed_files_are_loaded_and_broken_ones_are_not() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    certify(path, "a", &["localhost"], |_| {});
    let certificates = vec![pair(path, "a.crt", "a.key")];
    let tls = Tls::open(TlsOptions { certificates, ..generated(&folder) }).unwrap();
    let mut server =
        Server::start(Limits::default(), Some(tls.clone()), site(), Kind::XmppTls).await;
    assert!(!tls.reload().unwrap());
    let old = fs::read(path.join("a.crt")).unwrap();
    fs::write(path.join("a.crt"), "garbage").unwrap();
    let error = tls.reload().unwrap_err().to_string();
    assert!(error.contains("a.crt"), "{error}");
    fs::write(path.join("a.crt"), old).unwrap();
    let config = client(&path.join("a.crt"), &[], BOTH);
    connect(config, "localhost", server.connect().await).await;
    server.session().await;
    certify(path, "a", &["localhost", "second.example"], |_| {});
    assert!(tls.reload().unwrap());
    let config = client(&path.join("a.crt"), &[], BOTH);
    connect(config, "second.example", server.connect().await).await;
}

#[tokio::test]
async fn files_change_while_the_server_watches() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    certify(path, "a", &["localhost"], |_| {});
    let certificates = vec![pair(path, "a.crt", "a.key")];
    let tls = Tls::open(TlsOptions { certificates, ..generated(&folder) }).unwrap();
    let limits = Limits { certificate_check_seconds: 1, ..Limits::default() };
    let server = Server::start(limits, Some(tls), site(), Kind::XmppTls).await;
    certify(path, "a", &["localhost", "second.example"], |_| {});
    for _ in 0..100 {
        let config = client(&path.join("a.crt"), &[], BOTH);
        let name = ServerName::try_from("second.example").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        if connector.connect(name, server.connect().await).await.is_ok() {
            return soon(server.listening.stop()).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the new certificate was not noticed");
}

#[test]
fn a_generated_certificate_is_kept_private_and_kept() {
    let folder = TempDir::new().unwrap();
    let mut options = generated(&folder);
    options.domains = vec!["münchen.example".to_owned(), "127.0.0.1".to_owned()];
    Tls::open(options.clone()).unwrap();
    let path = folder.path().join("xn--mnchen-3ya.example.pem");
    let first = fs::read(&path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let in_use = Tls::open(options.clone()).unwrap().in_use();
    assert_eq!(fs::read(&path).unwrap(), first);
    assert_eq!(in_use[0].names, ["xn--mnchen-3ya.example", "localhost"]);
    assert!(in_use[0].is_generated && in_use[0].chain == path && in_use[0].days_left > 300);
    assert_eq!(in_use[0].fingerprint.len(), 32 * 3 - 1);
    fs::write(&path, "cut short").unwrap();
    Tls::open(options).unwrap();
    assert_ne!(fs::read(&path).unwrap(), b"cut short");
}

#[test]
fn a_generated_certificate_near_its_end_is_made_anew() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let soon = |params: &mut CertificateParams| {
        let now = x509_parser::time::ASN1Time::now().to_datetime();
        params.not_after = now + std::time::Duration::from_secs(86_400 * 20);
    };
    certify(path, "old", &["localhost"], soon);
    let [chain, key] = ["old.crt", "old.key"].map(|file| fs::read(path.join(file)).unwrap());
    fs::write(path.join("localhost.pem"), [chain.clone(), key].concat()).unwrap();
    Tls::open(generated(&folder)).unwrap();
    assert!(!fs::read(path.join("localhost.pem")).unwrap().starts_with(&chain));
}

#[test]
fn errors_name_the_file_and_the_remedy() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    certify(path, "a", &["localhost"], |_| {});
    certify(path, "b", &["localhost"], |_| {});
    certify(path, "old", &["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    fs::write(path.join("empty.crt"), "").unwrap();
    let open = |chain: &str, key: &str| {
        let certificates = vec![pair(path, chain, key)];
        let error = Tls::open(TlsOptions { certificates, ..generated(&folder) }).err().unwrap();
        (error.to_string(), error)
    };
    for (chain, key, words) in [
        ("none.crt", "a.key", &["none.crt", "exists"][..]),
        ("a.crt", "none.key", &["none.key", "exists"]),
        ("a.crt", "b.key", &["a.crt", "b.key", "does not belong"]),
        ("old.crt", "old.key", &["old.crt", "2021", "Renew"]),
        ("empty.crt", "a.key", &["empty.crt", "certificate"]),
        ("a.crt", "a.crt", &["a.crt", "private key"]),
    ] {
        let (text, _) = open(chain, key);
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    assert!(matches!(open("a.crt", "b.key").1, TlsError::Mismatch { .. }));
    let options = TlsOptions { folder: path.join("a.crt/x"), ..generated(&folder) };
    assert!(Tls::open(options).err().unwrap().to_string().contains("localhost.pem"));
    assert!(matches!(Tls::open(TlsOptions::default()), Err(TlsError::NoDomain)));
}

#[tokio::test]
async fn a_certificate_without_a_single_hash_has_no_end_point() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    fs::write(path.join("ed.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(path.join("ed.key"), key.serialize_pem()).unwrap();
    let certificates = vec![pair(path, "ed.crt", "ed.key")];
    let mut server = start(TlsOptions { certificates, ..generated(&folder) }, Kind::XmppTls).await;
    let config = client(&path.join("ed.crt"), &[], BOTH);
    let _stream = connect(config, "localhost", server.connect().await).await;
    let security = server.session().await.security;
    assert_eq!(security.end_point, None);
    assert!(security.exporter.is_some());
}
