//! Listeners: ports that cannot be had, bounds on connections, and stopping. XMPP on plain TCP.

use std::net::SocketAddr;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use waxwing_kernel::clock::Clock;
use waxwing_kernel::wire::Transport;
use waxwing_net::http::{Proxies, Site};
use waxwing_net::{Kind, Limits, Listener, Net, Tls, TlsOptions};
use waxwing_stream::MarkKind;

use crate::support::*;

async fn plain(limits: Limits) -> Server {
    Server::start(limits, None, Site::default(), Kind::Xmpp).await
}

#[tokio::test]
async fn a_plain_wire_carries_bytes_both_ways() {
    let mut server = plain(Limits::default()).await;
    let mut stream = server.connect().await;
    let mut session = server.session().await;
    assert_eq!((session.transport, session.peer), (Transport::Tcp, stream.local_addr().unwrap()));
    stream.write_all(b"<stream>").await.unwrap();
    session.heard_bytes("<stream>").await;
    let long = "x".repeat(5_000_000);
    session.order(Order::Send(outbox(&[(&long, MarkKind::Text), ("<end/>", MarkKind::Text)])));
    let mut all = vec![0; long.len() + 6];
    soon(stream.read_exact(&mut all)).await.unwrap();
    assert!(all.ends_with(b"xx<end/>"));
    session.send("</stream>");
    session.order(Order::Close);
    // What the client still sends does not reset the connection before it has read our last words.
    stream.write_all(&vec![b'y'; 100_000]).await.unwrap();
    let mut last = String::new();
    soon(stream.read_to_string(&mut last)).await.unwrap();
    assert_eq!(last, "</stream>");
}

#[tokio::test]
async fn an_end_is_told_and_an_upgrade_without_tls_fails() {
    let mut server = plain(Limits::default()).await;
    let stream = server.connect().await;
    let mut session = server.session().await;
    drop(stream);
    assert_eq!(session.heard().await, Heard::End);
    let mut stream = server.connect().await;
    server.session().await.order(Order::Upgrade);
    assert_eq!(soon(stream.read(&mut [0; 1])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_remedy() {
    let holder = TcpListener::bind(loopback()).await.unwrap();
    let taken = holder.local_addr().unwrap();
    let error = |address: SocketAddr, kind: Kind| async move {
        let net = Net::new(
            Limits::default(),
            None,
            Site::default(),
            Arc::new(|_, _| {}),
            Clock::system(),
        );
        let listener = Listener::new(address, kind);
        net.listen(&[listener]).await.err().unwrap().to_string()
    };
    let text = error(taken, Kind::Http).await;
    assert!(text.contains(&taken.to_string()) && text.contains("HTTP:"), "{text}");
    assert!(text.contains("in use") && text.contains("choose another port"), "{text}");
    let text = error("192.0.2.1:0".parse().unwrap(), Kind::Xmpp).await;
    assert!(text.contains("no address 192.0.2.1"), "{text}");
    let text = error(loopback(), Kind::XmppTls).await;
    assert!(text.contains("TLS is not set up"), "{text}");
}

#[tokio::test]
async fn two_listeners_for_one_port_are_told_apart() {
    let free = TcpListener::bind("[::]:0").await.unwrap().local_addr().unwrap();
    let net =
        Net::new(Limits::default(), None, Site::default(), Arc::new(|_, _| {}), Clock::system());
    let four = SocketAddr::from(([0, 0, 0, 0], free.port()));
    let listeners = [free, four].map(|address| Listener::new(address, Kind::Http));
    let text = net.listen(&listeners).await.err().unwrap().to_string();
    assert!(text.contains(&format!("the listener on [::]:{}", free.port())), "{text}");
}

#[tokio::test]
async fn a_trusted_proxy_names_its_client_ahead_of_the_stream() {
    let listener = Listener { is_proxied: true, ..Listener::new(loopback(), Kind::Xmpp) };
    let networks = vec!["127.0.0.1".parse().unwrap()];
    let trusting = Site { proxies: Proxies { networks, ..Proxies::default() }, ..Site::default() };
    let mut server = Server::start_on(Limits::default(), None, trusting, listener).await;
    let mut stream = server.connect().await;
    let hello = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 5222\r\n<stream>";
    stream.write_all(hello).await.unwrap();
    let mut session = server.session().await;
    assert_eq!(session.peer, "192.0.2.1:56324".parse().unwrap());
    assert!(!session.security.is_encrypted());
    session.heard_bytes("<stream>").await;
    let mut silent = server.connect().await;
    silent.write_all(b"<stream:stream xmlns='jabber:client'>").await.unwrap();
    assert_eq!(soon(silent.read(&mut [0; 1])).await.unwrap_or(0), 0);
    server.net.replace_site(Site::default());
    let mut stranger = server.connect().await;
    stranger.write_all(hello).await.unwrap();
    assert_eq!(soon(stranger.read(&mut [0; 1])).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn client_certificates_need_an_authority() {
    let folder = TempDir::new().unwrap();
    let tls = Tls::open(TlsOptions {
        domains: vec!["localhost".to_owned()],
        folder: folder.path().to_owned(),
        ..TlsOptions::default()
    });
    let net = Net::new(
        Limits::default(),
        Some(tls.unwrap()),
        Site::default(),
        Arc::new(|_, _| {}),
        Clock::system(),
    );
    let listener = Listener { asks_certificate: true, ..Listener::new(loopback(), Kind::Xmpp) };
    let text = net.listen(&[listener]).await.err().unwrap().to_string();
    assert!(text.contains("authorities"), "{text}");
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_at_once() {
    let mut server = plain(Limits { connections_max: 2, ..Limits::default() }).await;
    let _first = (server.connect().await, server.session().await);
    let second = (server.connect().await, server.session().await);
    let mut third = server.connect().await;
    assert_eq!(soon(third.read(&mut [0; 1])).await.unwrap_or(0), 0);
    drop(second);
    while server.net.counts().open > 1 {
        tokio::task::yield_now().await;
    }
    let _fourth = (server.connect().await, server.session().await);
}

#[tokio::test]
async fn a_silent_tls_client_is_dropped_in_time() {
    let folder = TempDir::new().unwrap();
    let options = TlsOptions {
        domains: vec!["localhost".to_owned()],
        folder: folder.path().to_owned(),
        ..TlsOptions::default()
    };
    let limits = Limits { handshake_seconds: 1, ..Limits::default() };
    let tls = Tls::open(options).unwrap();
    let server = Server::start(limits, Some(tls), Site::default(), Kind::XmppTls).await;
    let mut silent = server.connect().await;
    let mut garbling = server.connect().await;
    garbling.write_all(b"<stream:stream>").await.unwrap();
    let mut rest = Vec::new();
    let _ = soon(garbling.read_to_end(&mut rest)).await;
    assert_eq!(soon(silent.read(&mut [0; 1])).await.unwrap_or(0), 0);
    let counts = server.net.counts();
    assert_eq!((counts.open, counts.tls_failed), (0, 2));
}

#[tokio::test]
async fn stopping_closes_the_port_and_leaves_the_clients() {
    let mut server = plain(Limits::default()).await;
    let mut stream = server.connect().await;
    let mut session = server.session().await;
    let address = server.address();
    soon(server.listening.stop()).await;
    assert!(TcpStream::connect(address).await.is_err());
    stream.write_all(b"<still/>").await.unwrap();
    session.heard_bytes("<still/>").await;
}
