//! The WebSocket to another server, as its client (XEP-0468 0.1.0: "Everything mentioned in RFC
//! 7395 should be followed", over TLS only).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header, upgrade};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::links::dial::UnreachedKind;

use super::call::Setback;
use crate::limits::Limits;
use crate::names::Target;
use crate::socket::Socket;
use crate::websocket::handshake::{SUBPROTOCOL, judge_answer};
use crate::websocket::wire::WebSocketWire;

/// HTTP/1.1: with HTTP/2 one stream of a connection would be all that is used of it.
pub(super) const ALPN: &[u8] = b"http/1.1";
/// The port that a URL need not name.
const HTTPS: u16 = 443;

/// Opens the WebSocket of `path` at `target` on a connection that is under TLS.
pub(super) async fn open(
    socket: Socket,
    (target, path): (&Target, &str),
    (limits, clock): (&Limits, &Clock),
) -> Result<WebSocketWire, Setback> {
    let mut key = [0; 16];
    clock.random(&mut key);
    let key = STANDARD.encode(key);
    let request = request(target, path, &key)?;
    let opening = Box::pin(exchange(socket, request, &key, (limits, clock)));
    let late = |_| Setback::new(UnreachedKind::Timeout, "its web server does not answer");
    let (socket, early) = timeout(limits.handshake(), opening).await.map_err(late)??;
    let wire = WebSocketWire::new(socket, early, limits);
    Ok(wire.called(limits, clock.clone()))
}

fn request(target: &Target, path: &str, key: &str) -> Result<Request<Empty<Bytes>>, Setback> {
    let host = match target.port {
        HTTPS => target.host.to_string(),
        port => format!("{}:{port}", target.host),
    };
    Request::get(path)
        .header(header::HOST, host)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, key)
        .header(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
        .body(Empty::new())
        .map_err(|error| refused(error.to_string()))
}

/// Asks, and takes the connection back when the answer was right: with what came behind it.
async fn exchange(
    socket: Socket,
    request: Request<Empty<Bytes>>,
    key: &str,
    (limits, clock): (&Limits, &Clock),
) -> Result<(Socket, Bytes), Setback> {
    let broken =
        |error: hyper::Error| refused(format!("its web server is not understood: {error}"));
    let mut builder = http1::Builder::new();
    builder.max_headers(limits.headers_max).max_buf_size(limits.header_bytes_max);
    let (mut sender, connection) = builder.handshake(TokioIo::new(socket)).await.map_err(broken)?;
    clock.spawn(async move {
        let _ = connection.with_upgrades().await; // who asked is told
    });
    let reply = sender.send_request(request).await.map_err(broken)?;
    if let Err(why) = judge_answer(reply.status(), reply.headers(), key) {
        let status = match reply.status() {
            StatusCode::SWITCHING_PROTOCOLS => String::new(),
            status => format!(" (it says {status})"),
        };
        return Err(refused(format!("its web server is no help: {why}{status}")));
    }
    let upgraded = upgrade::on(reply).await.map_err(broken)?;
    let parts = upgraded.downcast::<TokioIo<Socket>>();
    let parts = parts.map_err(|_| refused("its connection was lost".to_owned()))?;
    Ok((parts.io.into_inner(), parts.read_buf))
}

fn refused(words: String) -> Setback {
    Setback::new(UnreachedKind::Refused, words)
}
