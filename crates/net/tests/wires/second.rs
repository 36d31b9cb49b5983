//! HTTP/2 over real sockets, with hyper's client: WebSockets on streams (RFC 8441), and streams
//! that get on independently.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::ext::Protocol;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use waxwing_kernel::clock::Clock;
use waxwing_kernel::http::{Content, HttpReply, HttpRequest, HttpRoute};
use waxwing_kernel::wire::Transport;
use waxwing_net::http::{Folder, HttpRoute as Route, Reply, Site, WEBSOCKET_PATH};
use waxwing_net::{Kind, Limits, Tls};

use crate::support::*;
use crate::tls::{BOTH, client, connect, generated};

type Client = SendRequest<Empty<Bytes>>;

/// A server with files, and a client of it that has asked once.
async fn start(limits: Limits) -> (Server, Client) {
    let place = TempDir::new().unwrap();
    let tls = Tls::open(generated(&place)).unwrap();
    let file = tempfile::tempfile().unwrap();
    file.set_len(16 << 20).unwrap();
    let route: HttpRoute = Arc::new(move |_: HttpRequest| {
        let content = Content::File { file: file.try_clone().unwrap(), length: 16 << 20 };
        Box::pin(async { HttpReply { content, ..HttpReply::status(StatusCode::OK) } })
    });
    let site = Site {
        routes: vec![
            Route::get("/hello", |_| async { Reply::text(StatusCode::OK, "hello") }),
            Route::get("/long", |_| async { Reply::text(StatusCode::OK, vec![b'x'; 4 << 20]) }),
        ],
        folders: vec![Folder { path: "/files/".to_owned(), route }],
        websocket_paths: vec![WEBSOCKET_PATH.to_owned()],
        ..Site::default()
    };
    let server = Server::start(limits, Some(tls), site, Kind::Https).await;
    let config = client(&place.path().join("localhost.pem"), &["h2"], BOTH);
    let stream = connect(config, "localhost", server.connect().await).await;
    let shaking = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut client, connection) = Box::pin(shaking).await.unwrap();
    Clock::system().spawn(async move { drop(connection.await) });
    let hello = client.send_request(get("/hello")).await.unwrap();
    assert_eq!(hello.into_body().collect().await.unwrap().to_bytes(), "hello");
    (server, client)
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("https://localhost{path}")).body(Empty::new()).unwrap()
}

fn extended_connect() -> Request<Empty<Bytes>> {
    Request::builder()
        .method(Method::CONNECT)
        .uri(format!("https://localhost{WEBSOCKET_PATH}"))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "xmpp")
        .body(Empty::new())
        .unwrap()
}

#[tokio::test]
async fn a_stream_is_a_websocket_and_counts_as_a_connection() {
    let (mut server, mut client) = start(Limits::default()).await;
    let mut answer = client.send_request(extended_connect()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "xmpp");
    let mut stream = TokioIo::new(hyper::upgrade::on(&mut answer).await.unwrap());
    let mut session = server.session().await;
    assert_eq!(session.transport, Transport::SecureWebSocket);
    assert!(session.security.is_encrypted() && session.peer.ip().is_loopback());
    assert_eq!(server.net.counts().open, 2, "the connection, and what is on it");
    stream.write_all(&frame(0x81, b"<open/>")).await.unwrap();
    stream.write_all(&frame(0x89, b"there?")).await.unwrap();
    assert_eq!(session.heard().await, Heard::Message("<open/>".to_owned()));
    assert_eq!(read_frame(&mut stream).await, Some((0x8A, b"there?".to_vec())));
    let long = "x".repeat(1_000_000);
    session.send(&long);
    assert_eq!(read_frame(&mut stream).await, Some((0x81, long.into_bytes())));
    // The closing handshake, and then the end of the stream alone.
    stream.write_all(&frame(0x88, &[3, 232])).await.unwrap();
    loop {
        match session.heard().await {
            Heard::Alive => {}
            heard => break assert_eq!(heard, Heard::End),
        }
    }
    session.order(Order::Close);
    assert_eq!(read_frame(&mut stream).await, Some((0x88, vec![3, 232])));
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"");
    let hello = client.send_request(get("/hello")).await.unwrap();
    assert_eq!(hello.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_answer_that_has_no_room_ends_with_its_stream() {
    let (_server, mut client) = start(Limits { body_seconds: 1, ..Limits::default() }).await;
    // Two of these answers fill the client's window, which it does not open again.
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(client.send_request(get("/long")).await.unwrap().into_body());
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut count = 0;
    for body in answers {
        count += usize::from(soon(body.collect()).await.is_err());
    }
    assert!(count > 0, "all of them waited");
    assert_eq!(client.send_request(get("/hello")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_download_that_nobody_takes_ends_and_no_other_stream() {
    let (mut server, mut client) = start(Limits { body_seconds: 1, ..Limits::default() }).await;
    let mut answer = client.send_request(extended_connect()).await.unwrap();
    let mut stream = TokioIo::new(hyper::upgrade::on(&mut answer).await.unwrap());
    let mut session = server.session().await;
    let file = client.send_request(get("/files/film")).await.unwrap();
    assert_eq!(file.headers()["content-length"], "16777216");
    let mut body = file.into_body();
    soon(body.frame()).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let end = loop {
        match soon(body.frame()).await {
            Some(Ok(_)) => {}
            end => break end,
        }
    };
    assert!(end.is_some_and(|end| end.is_err()), "it should have been reset");
    stream.write_all(&frame(0x81, b"<still-here/>")).await.unwrap();
    assert_eq!(session.heard().await, Heard::Message("<still-here/>".to_owned()));
}

#[tokio::test]
async fn a_websocket_that_is_silent_keeps_its_connection() {
    let (mut server, mut client) = start(Limits { header_seconds: 1, ..Limits::default() }).await;
    let mut answer = client.send_request(extended_connect()).await.unwrap();
    let mut stream = TokioIo::new(hyper::upgrade::on(&mut answer).await.unwrap());
    let mut session = server.session().await;
    // Nobody else uses the connection, which without any stream would be closed and then cut.
    tokio::time::sleep(Duration::from_secs(5)).await;
    stream.write_all(&frame(0x81, b"<still-here/>")).await.unwrap();
    assert_eq!(session.heard().await, Heard::Message("<still-here/>".to_owned()));
    drop(stream);
    while session.heard().await != Heard::End {}
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(client.is_closed(), "nobody uses it any more");
}
