//! A port for authorities only: pages of challenges, and nothing else.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Proofs;
use crate::limits::Limits;
use crate::socket::Socket;

/// Answers one connection until it ends, `stop` changes, or its time is over.
pub(crate) async fn serve(
    proofs: Arc<Proofs>,
    socket: Socket,
    limits: Arc<Limits>,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let reply = answer(&proofs, request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(reply) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(Duration::from_secs(limits.header_seconds))
        .max_headers(limits.headers_max)
        .max_buf_size(limits.header_bytes_max);
    let connection = pin!(builder.serve_connection(TokioIo::new(socket), service));
    let time = Duration::from_secs(limits.header_seconds + limits.body_seconds);
    tokio::select! {
        // Who looks is not told what went wrong with the looking.
        _ = timeout(time, connection) => {}
        _ = stop.changed() => {}
    }
}

fn answer(proofs: &Proofs, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let page = proofs.page(path).filter(|_| [Method::GET, Method::HEAD].contains(method));
    let (status, text) = match page {
        Some(page) => (StatusCode::OK, page),
        None => (StatusCode::NOT_FOUND, "There is nothing here.\n".to_owned()),
    };
    let mut reply = Response::new(Full::new(Bytes::from(text)));
    *reply.status_mut() = status;
    // RFC 8555 §8.3 shows this type; nobody is to take the page for anything else.
    let kind = HeaderValue::from_static("application/octet-stream");
    reply.headers_mut().insert(header::CONTENT_TYPE, kind);
    let sniff = HeaderValue::from_static("nosniff");
    reply.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, sniff);
    reply
}
