//! What a person sees who opens the WebSocket's address in a browser.

use hyper::StatusCode;
use hyper::header::{ACCEPT, HeaderMap, HeaderValue, UPGRADE};

use super::route::Reply;
use crate::websocket::handshake::Refusal;

const PAGE: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>XMPP over WebSocket</title></head>
<body>
<h1>It works</h1>
<p>This address is for chat programs: it speaks XMPP over WebSocket (RFC 7395).</p>
<p>To chat, enter your address (like <code>you@example.org</code>) in an XMPP client. A web client
such as Converse.js takes this page's address, with <code>wss://</code> in front, as its
WebSocket URL.</p>
</body></html>
";

/// The answer to a request that does not become a WebSocket.
pub(super) fn refusal(refusal: Refusal, headers: &HeaderMap) -> Reply {
    if refusal == Refusal::Visit && accepts_html(headers) {
        return Reply::html(StatusCode::OK, PAGE);
    }
    let status = StatusCode::from_u16(refusal.status()).expect("refusals have known statuses");
    let reply = Reply::text(status, format!("{refusal}\n"));
    match refusal {
        Refusal::Method => reply.with(hyper::header::ALLOW, HeaderValue::from_static("GET")),
        // RFC 9110 §15.5.22: a 426 response names the protocol in Upgrade.
        Refusal::Visit => reply.with(UPGRADE, HeaderValue::from_static("websocket")),
        Refusal::Version => reply
            .with(UPGRADE, HeaderValue::from_static("websocket"))
            .with(hyper::header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        _ => reply,
    }
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accepted| accepted.contains("text/html"))
}
