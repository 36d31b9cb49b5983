//! What the tests share: a network layer with a kernel of strings, and a raw WebSocket client.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::wire::{Transport, Wire};
use waxwing_net::http::Site;
use waxwing_net::{Kind, Limits, Listener, Listening, Net, Tls};
use waxwing_stream::{Input, Mark, MarkKind, Outbox, Security, Violation};

/// What a wire told, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Bytes(String),
    Message(String),
    Alive,
    End,
    Violation(Violation),
    Closed,
}

pub(crate) enum Order {
    /// Bytes, and marks by length of each message.
    Send(Outbox),
    Close,
    Upgrade,
    /// The client has signed in.
    Trust(usize),
}

/// A client as the kernel has it.
pub(crate) struct Session {
    pub(crate) security: Security,
    pub(crate) transport: Transport,
    pub(crate) peer: SocketAddr,
    heard: mpsc::UnboundedReceiver<Heard>,
    orders: mpsc::UnboundedSender<Order>,
}

pub(crate) struct Server {
    pub(crate) net: Arc<Net>,
    pub(crate) listening: Listening,
    sessions: mpsc::UnboundedReceiver<Session>,
    upgraded: mpsc::UnboundedReceiver<Session>,
}

/// Waits, but not for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(5), future).await.expect("this takes far less than 5 seconds")
}

impl Server {
    pub(crate) async fn start(
        limits: Limits,
        tls: Option<Arc<Tls>>,
        site: Site,
        kind: Kind,
    ) -> Self {
        let listener = Listener::new(loopback(), kind);
        Self::start_on(limits, tls, site, listener).await
    }

    pub(crate) async fn start_on(
        limits: Limits,
        tls: Option<Arc<Tls>>,
        site: Site,
        listener: Listener,
    ) -> Self {
        let (told, sessions) = mpsc::unbounded_channel();
        let (told_upgraded, upgraded) = mpsc::unbounded_channel();
        let entry = move |wire: Box<dyn Wire>, security: Security| {
            let _ = told.send(begin(wire, security, told_upgraded.clone()));
        };
        let net = Net::new(limits, tls, site, Arc::new(entry), Clock::system());
        let listening = net.listen(&[listener]).await.unwrap();
        Self { net, listening, sessions, upgraded }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listening.addresses()[0].1
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        soon(TcpStream::connect(self.address())).await.unwrap()
    }

    /// The next client that came in.
    pub(crate) async fn session(&mut self) -> Session {
        soon(self.sessions.recv()).await.unwrap()
    }

    /// The next client whose upgrade is done.
    pub(crate) async fn upgraded(&mut self) -> Session {
        soon(self.upgraded.recv()).await.unwrap()
    }
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

impl Session {
    pub(crate) async fn heard(&mut self) -> Heard {
        soon(self.heard.recv()).await.unwrap_or(Heard::Closed)
    }

    /// The bytes of the next inputs, until there are as many as in `expected`.
    pub(crate) async fn heard_bytes(&mut self, expected: &str) {
        let mut all = String::new();
        while all.len() < expected.len() {
            match self.heard().await {
                Heard::Bytes(bytes) => all += &bytes,
                other => panic!("{other:?} after {all:?}"),
            }
        }
        assert_eq!(all, expected);
    }

    pub(crate) fn send(&self, text: &str) {
        self.order(Order::Send(outbox(&[(text, MarkKind::Text)])));
    }

    pub(crate) fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}

pub(crate) fn outbox(parts: &[(&str, MarkKind)]) -> Outbox {
    let mut out = Outbox::default();
    for (text, kind) in parts {
        out.text.push_str(text);
        out.marks.push(Mark { end: out.text.len(), kind: *kind });
    }
    out
}

fn begin(
    wire: Box<dyn Wire>,
    security: Security,
    upgraded: mpsc::UnboundedSender<Session>,
) -> Session {
    let (told, heard) = mpsc::unbounded_channel();
    let (orders, ordered) = mpsc::unbounded_channel();
    let (transport, peer) = (wire.transport(), wire.peer());
    Clock::system().spawn(drive(wire, told, ordered, upgraded));
    Session { security, transport, peer, heard, orders }
}

/// Polls a wire the way a session does.
async fn drive(
    mut wire: Box<dyn Wire>,
    told: mpsc::UnboundedSender<Heard>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    upgraded: mpsc::UnboundedSender<Session>,
) {
    let mut is_ended = false;
    loop {
        let mut inputs = Vec::new();
        let order = tokio::select! {
            () = poll_fn(|cx| wire.poll_read(cx, &mut |input| inputs.push(own(input)))),
                if !is_ended => None,
            order = orders.recv() => Some(order),
        };
        is_ended |= inputs.contains(&Heard::End);
        inputs.into_iter().for_each(|input| drop(told.send(input)));
        match order {
            None => {}
            Some(Some(Order::Send(mut out))) => {
                let _ = poll_fn(|cx| wire.poll_write(cx, &mut out)).await;
                assert!(out.is_empty());
            }
            Some(Some(Order::Trust(bytes))) => wire.trust(bytes),
            Some(Some(Order::Upgrade)) => {
                if let Ok((wire, security)) = wire.upgrade().await {
                    let _ = upgraded.send(begin(wire, security, upgraded.clone()));
                }
                return;
            }
            Some(Some(Order::Close) | None) => {
                poll_fn(|cx| wire.poll_close(cx)).await;
                return;
            }
        }
    }
}

fn own(input: Input<'_>) -> Heard {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match input {
        Input::Bytes(bytes) => Heard::Bytes(text(bytes)),
        Input::Message(message) => Heard::Message(text(message)),
        Input::Alive => Heard::Alive,
        Input::End => Heard::End,
        Input::Violation(violation) => Heard::Violation(violation),
    }
}

/// A GET with the header lines given.
pub(crate) fn request(path: &str, headers: &[&str]) -> String {
    let mut text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n");
    for line in headers {
        text += &format!("{line}\r\n");
    }
    text + "\r\n"
}

/// The header lines of a good opening handshake.
pub(crate) const UPGRADE: &[&str] = &[
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: xmpp",
];

/// Reads an HTTP head, in lower case, up to its empty line.
pub(crate) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        match soon(stream.read_u8()).await {
            Ok(byte) => text.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(text).unwrap().to_ascii_lowercase()
}

/// Sends a whole request on a new connection, and reads all until the server closes.
pub(crate) async fn ask(server: &Server, request: &str) -> String {
    let mut stream = server.connect().await;
    let request = request.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// A client's frame, masked.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0xF2, 0x03, 0x84];
    let mut out = vec![first];
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// Reads a server's frame: first byte and payload. None at the end of the connection.
pub(crate) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let first = soon(stream.read_u8()).await.ok()?;
    let length = match stream.read_u8().await.unwrap() {
        126 => u64::from(stream.read_u16().await.unwrap()),
        127 => stream.read_u64().await.unwrap(),
        // A mask bit would make this larger than 127.
        length => u64::from(length),
    };
    assert!(length < 1 << 32, "server frames are not masked");
    let mut payload = vec![0; length as usize];
    soon(stream.read_exact(&mut payload)).await.unwrap();
    Some((first, payload))
}

/// Opens a WebSocket on a connection.
pub(crate) async fn open(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    stream.write_all(request("/xmpp-websocket", UPGRADE).as_bytes()).await.unwrap();
    head(stream).await
}
