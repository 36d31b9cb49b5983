//! The stream over real sockets with small buffers, against tokio-rustls' client.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Client;

use super::*;
use crate::tls::accept::shake;
use crate::tls::{Asks, Manner, Tls, TlsOptions};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
const MEBIBYTE: usize = 1024 * 1024;

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.expect("this takes far less than 20 seconds")
}

/// Both ends of a connection whose sockets have the smallest buffers there are.
async fn pair(version: &'static SupportedProtocolVersion) -> (TlsStream, Client<TcpStream>) {
    let folder = TempDir::new().unwrap();
    let domains = vec!["localhost".to_owned()];
    let folder_path = folder.path().to_owned();
    let tls =
        Tls::open(TlsOptions { domains, folder: folder_path, ..TlsOptions::default() }).unwrap();
    let mut roots = RootCertStore::empty();
    let pem = folder.path().join("localhost.pem");
    roots.add(CertificateDer::from_pem_file(pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let small = || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4096).unwrap();
        socket.set_recv_buffer_size(2048).unwrap();
        socket
    };
    let listening = small();
    listening.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = listening.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let connecting = async {
        let tcp = small().connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
    };
    let accepting = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let manner = Manner { has_alpn: false, asks: Asks::Nobody };
        shake((&tls.store(), tls.proofs()), manner, tcp).await.unwrap().0
    };
    let (server, client) = soon(Box::pin(async { tokio::join!(accepting, connecting) })).await;
    (server, client)
}

/// A cheap sequence of numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }
}

fn text(seed: u64, length: usize) -> Vec<u8> {
    let mut dice = Dice(seed);
    (0..length).map(|_| dice.below(256) as u8).collect()
}

/// Writes all of `text` in pieces of any size up to `most`, flushing now and then.
async fn say(stream: &mut (impl AsyncWrite + Unpin), mut text: &[u8], most: usize) {
    let mut dice = Dice(text.len() as u64);
    while !text.is_empty() {
        let (piece, rest) = text.split_at((1 + dice.below(most)).min(text.len()));
        stream.write_all(piece).await.unwrap();
        if dice.below(3) == 0 {
            stream.flush().await.unwrap();
        }
        text = rest;
    }
    stream.flush().await.unwrap();
}

/// Reads `length` bytes into buffers of any size.
async fn hear(stream: &mut (impl AsyncRead + Unpin), length: usize, most: usize) -> Vec<u8> {
    let (mut dice, mut all) = (Dice(7), Vec::new());
    while all.len() < length {
        let mut buffer = vec![0; 1 + dice.below(most)];
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "ended after {} bytes", all.len());
        all.extend_from_slice(&buffer[..count]);
    }
    all
}

/// One reading the way a wire does it.
async fn lend(stream: &mut TlsStream) -> Vec<u8> {
    let mut all = Vec::new();
    soon(poll_fn(|cx| stream.poll_lend(cx, |bytes| all = bytes.to_vec()))).await;
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mebibyte_both_ways_at_once() {
    for (round, version) in VERSIONS.into_iter().cycle().take(4).enumerate() {
        let (server, client) = pair(version).await;
        let (ours, theirs) = (text(1, MEBIBYTE), text(2, MEBIBYTE));
        let (mut server_reader, mut server_writer) = split(server);
        let (mut client_reader, mut client_writer) = split(client);
        let most = [60_000, 900][round / 2];
        let all = async {
            tokio::join!(
                say(&mut server_writer, &ours, most),
                say(&mut client_writer, &theirs, most),
                hear(&mut server_reader, MEBIBYTE, most),
                hear(&mut client_reader, MEBIBYTE, most),
            )
        };
        let ((), (), heard, answer) = soon(all).await;
        assert!(heard == theirs && answer == ours);
    }
}

#[tokio::test]
async fn what_is_lent_is_whole_and_in_order() {
    for version in VERSIONS {
        let (mut server, mut client) = pair(version).await;
        let theirs = text(3, 300_000);
        let listening = async {
            let mut all = Vec::new();
            while all.len() < theirs.len() {
                all.extend(lend(&mut server).await);
            }
            all
        };
        let ((), heard) =
            soon(async { tokio::join!(say(&mut client, &theirs, 20_000), listening) }).await;
        assert!(heard == theirs);
        assert_eq!((server.rest.capacity(), server.outgoing.capacity()), (0, 0));
        assert_eq!(server.session.held(), 0);
    }
}

#[tokio::test]
async fn who_sends_all_before_reading_is_heard() {
    let (server, mut client) = pair(&TLS13).await;
    let (ours, theirs) = (text(5, MEBIBYTE), text(6, MEBIBYTE));
    let (mut reader, mut writer) = split(server);
    let visiting = async {
        say(&mut client, &theirs, 50_000).await;
        hear(&mut client, MEBIBYTE, 50_000).await
    };
    let all = async {
        tokio::join!(say(&mut writer, &ours, 50_000), hear(&mut reader, MEBIBYTE, 50_000), visiting)
    };
    let ((), heard, answer) = soon(all).await;
    assert!(heard == theirs && answer == ours);
}

#[tokio::test]
async fn a_goodbye_is_heard_and_answered() {
    for version in VERSIONS {
        let (mut server, mut client) = pair(version).await;
        client.write_all(b"</stream>").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(lend(&mut server).await, b"</stream>");
        assert_eq!(lend(&mut server).await, b"");
        assert_eq!(soon(server.read(&mut [0; 9])).await.unwrap(), 0);
        server.write_all(b"bye").await.unwrap();
        server.shutdown().await.unwrap();
        let mut heard = Vec::new();
        soon(client.read_to_end(&mut heard)).await.unwrap();
        assert_eq!(heard, b"bye");
    }
}

#[tokio::test]
async fn an_end_without_goodbye_is_no_proper_end() {
    for version in VERSIONS {
        let (mut server, mut client) = pair(version).await;
        client.write_all(b"half a sen").await.unwrap();
        client.flush().await.unwrap();
        drop(client);
        assert_eq!(lend(&mut server).await, b"half a sen");
        let error = soon(server.read(&mut [0; 9])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(lend(&mut server).await, b"");
    }
}

#[tokio::test]
async fn garbage_ends_the_connection_with_an_alert() {
    let (mut server, client) = pair(&TLS13).await;
    let (mut tcp, mut connection) = client.into_inner();
    tcp.write_all(&[23, 3, 3, 0, 32]).await.unwrap();
    tcp.write_all(&[0; 32]).await.unwrap();
    assert_eq!(lend(&mut server).await, b"");
    assert!(server.write_all(b"more").await.is_err());
    server.shutdown().await.unwrap();
    let mut answer = Vec::new();
    soon(tcp.read_to_end(&mut answer)).await.unwrap();
    connection.read_tls(&mut &answer[..]).unwrap();
    let error = connection.process_new_packets().unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_a_bounded_amount() {
    let (mut server, client) = pair(&TLS13).await;
    let large = text(4, MEBIBYTE);
    let writing = timeout(Duration::from_millis(200), server.write_all(&large));
    assert!(writing.await.is_err());
    assert!(server.outgoing.len() - server.sent > 0);
    assert!(server.outgoing.capacity() <= 2 * AHEAD_BYTES, "{}", server.outgoing.capacity());
    drop(client);
    assert!(soon(server.write_all(&large)).await.is_err());
    assert_eq!(server.outgoing.capacity(), 0);
}

#[test]
fn an_idle_stream_is_small() {
    assert!(size_of::<TlsStream>() <= 1400, "{}", size_of::<TlsStream>());
}
