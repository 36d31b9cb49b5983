//! XEP-0468: a server calls another one over a WebSocket, which its host-meta names.

use waxwing_stream::{Mark, MarkKind};

use super::*;
use crate::http::SERVER_WEBSOCKET_PATH;
use crate::names::{Meta, Target, Way};

/// Host-meta of `peer.example` with a WebSocket at `path`; SRV records do not exist.
fn host_meta(port: u16, path: &str) -> Table {
    let meta = Meta {
        sni: "peer.example".into(),
        ips: vec!["127.0.0.1".parse().unwrap()],
        pins: Vec::new(),
    };
    let target = Target {
        host: "web.example".into(),
        port,
        priority: 0,
        way: Way::WebSocket { path: path.into() },
        found_by: FoundBy::HostMeta,
        is_signed: false,
        meta: Some(Arc::new(meta)),
    };
    Table::default().other("peer.example", target)
}

impl World {
    async fn serve_web(&self, kind: Kind) -> Peer {
        let (told, arrivals) = mpsc::unbounded_channel();
        let entry = move |wire: Box<dyn Wire>, security: Security| {
            let _ = told.send((wire, security));
        };
        let server_websocket_paths = vec![SERVER_WEBSOCKET_PATH.to_owned()];
        // Pages may open WebSockets, and those for servers all the same not.
        let site = Site { server_websocket_paths, ..Site::default() };
        let (tls, clock) = (Some(self.peer.clone()), Clock::system());
        let net = Net::new(Limits::default(), tls, site, Arc::new(entry), clock);
        let listener = Listener::new(SocketAddr::from(([127, 0, 0, 1], 0)), kind);
        Peer { listening: net.listen(&[listener]).await.unwrap(), arrivals }
    }
}

async fn tell(wire: &mut Box<dyn Wire>, text: &str, kind: MarkKind) {
    let mut out = Outbox::default();
    out.text.push_str(text);
    out.marks.push(Mark { end: text.len(), kind });
    soon(poll_fn(|cx| wire.poll_write(cx, &mut out))).await.unwrap();
}

/// The next message; None at the end.
async fn told(wire: &mut Box<dyn Wire>) -> Option<String> {
    let mut heard = None;
    while heard.is_none() {
        soon(poll_fn(|cx| {
            wire.poll_read(cx, &mut |input| match input {
                Input::Message(text) => heard = Some(Some(String::from_utf8_lossy(text).into())),
                Input::Alive => {}
                Input::End => heard = Some(None),
                input => panic!("{input:?}"),
            })
        }))
        .await;
    }
    heard.unwrap()
}

#[tokio::test]
async fn servers_talk_over_a_websocket() {
    let world = World::new();
    let mut peer = world.serve_web(Kind::Https).await;
    let dialler = world.dialer(host_meta(peer.port(), SERVER_WEBSOCKET_PATH));
    let dialled = dial(&dialler).await.unwrap_or_else(|unreached| panic!("{unreached:?}"));
    let Dialled { mut wire, security, place } = dialled;
    assert_eq!(wire.transport(), Transport::ServerWebSocket);
    assert_eq!((place.transport, place.found_by), (wire.transport(), FoundBy::HostMeta));
    assert_eq!(security.peer_trust, Some(PeerTrust::Certificate));
    let (mut arrival, theirs) = peer.arrival().await;
    assert_eq!(arrival.transport(), Transport::ServerWebSocket);
    assert!(theirs.is_encrypted() && theirs.origin.is_none());

    let long = "x".repeat(200_000);
    for end in [&mut wire, &mut arrival] {
        end.trust(262_144);
    }
    for text in ["<open/>", "", long.as_str(), "ü"] {
        let text = &format!("<a>{text}</a>");
        let (sent, heard) = tokio::join!(tell(&mut wire, text, MarkKind::Text), told(&mut arrival));
        assert_eq!((sent, heard.as_ref()), ((), Some(text)));
        let (sent, heard) = tokio::join!(tell(&mut arrival, text, MarkKind::Text), told(&mut wire));
        assert_eq!((sent, heard.as_ref()), ((), Some(text)));
    }
    // A ping of either side is answered, and masks are as they have to be, or this would end it.
    tell(&mut wire, "", MarkKind::Ping).await;
    tell(&mut wire, "<a/>", MarkKind::Text).await;
    assert_eq!(told(&mut arrival).await.as_deref(), Some("<a/>"));
    tell(&mut arrival, "", MarkKind::Ping).await;
    tell(&mut arrival, "<b/>", MarkKind::Text).await;
    assert_eq!(told(&mut wire).await.as_deref(), Some("<b/>"));
    tell(&mut wire, "", MarkKind::Close(1000)).await;
    assert_eq!(told(&mut arrival).await, None);
    let closing = async {
        tokio::join!(poll_fn(|cx| wire.poll_close(cx)), poll_fn(|cx| arrival.poll_close(cx)))
    };
    soon(closing).await;
}

#[tokio::test]
async fn what_is_no_websocket_for_servers_is_told_of() {
    let world = World::new();
    let mut peer = world.serve_web(Kind::Https).await;
    let unreached = dial(&world.dialer(host_meta(peer.port(), "/other"))).await.err().unwrap();
    let words = "it does not open a WebSocket (it says 404 Not Found)";
    assert!(unreached.words.contains(words), "{}", unreached.words);
    // The certificate is judged before a word is said.
    let mut strict = ask(Duration::from_secs(8));
    strict.demand.certificate_required = true;
    let strangers = World::with("other.example", |_, params| Issued::itself(params));
    let other = strangers.serve_web(Kind::Https).await;
    let dialler = world.dialer(host_meta(other.port(), SERVER_WEBSOCKET_PATH));
    let unreached = soon(dialler.dial(strict)).await.err().unwrap();
    assert_eq!(unreached.kind, UnreachedKind::Untrusted, "{}", unreached.words);
    assert!(peer.arrivals.try_recv().is_err());
}

/// XEP-0468 §2: over TLS only; and no page is a server.
#[tokio::test]
async fn nobody_else_opens_a_websocket_for_servers() {
    let world = World::new();
    let mut peer = world.serve_web(Kind::Http).await;
    let mut socket = TcpStream::connect(peer.listening.addresses()[0].1).await.unwrap();
    let request = format!(
        "GET {SERVER_WEBSOCKET_PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    soon(socket.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403");
    assert!(peer.arrivals.try_recv().is_err());
}
