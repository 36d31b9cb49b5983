//! One HTTP connection: requests to routes, and the upgrade to WebSocket.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::time::timeout;
use waxwing_stream::Security;

use super::folder;
use super::forwarded::Client;
use super::opening::Peer;
use super::outgoing::{Outgoing, Pulse};
use super::route::{HttpRoute, Match, Reply, Request, find};
use super::{Site, streams};
use crate::bosh::Caller;
use crate::net::Net;
use crate::socket::Socket;

/// Set on every answer that does not set them itself. The pages load nothing from elsewhere.
const SECURITY_HEADERS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'",
    ),
];

pub(super) type HyperRequest = hyper::Request<Incoming>;
pub(super) type HyperReply = hyper::Response<Outgoing>;

/// What is known of the connection that requests come by.
pub(super) struct Visit {
    pub(super) net: Arc<Net>,
    pub(super) peer: SocketAddr,
    pub(super) security: Security,
    /// Beats while a file goes out.
    pulse: Arc<Pulse>,
}

/// Serves requests until the connection ends or `stop` changes; what is under way is finished,
/// unless the client takes nothing of it. HTTP/2 is spoken if that was agreed on.
pub(crate) async fn serve(
    net: Arc<Net>,
    socket: Socket,
    security: Security,
    (is_second, mut stop): (bool, watch::Receiver<bool>),
) {
    let (limits, clock, peer) = (net.limits(), net.clock().clone(), socket.peer());
    let pulse = Arc::new(Pulse::default());
    let visit = Arc::new(Visit { net, peer, security, pulse: Arc::clone(&pulse) });
    let service = service_fn(move |request| {
        let visit = visit.clone();
        async move { Ok::<_, Infallible>(visit.answer(request).await) }
    });
    if is_second {
        // Apart, so that connections of the first version do not keep its space.
        return Box::pin(streams::serve(socket, service, (clock, &limits), stop)).await;
    }
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(limits.header_seconds))
        .max_headers(limits.headers_max)
        .max_buf_size(limits.header_bytes_max);
    let patience = Duration::from_secs(limits.body_seconds);
    let connection = builder.serve_connection(TokioIo::new(socket), service).with_upgrades();
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        stop = pulse.stops(patience) => return stop.note(),
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = &mut connection => outcome,
                stop = pulse.stops(patience) => return stop.note(),
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

impl Visit {
    async fn answer(self: Arc<Self>, request: HyperRequest) -> HyperReply {
        let site = self.net.site();
        let mut answer = self.find_answer(&site, request).await;
        // On a stream, an answer that nobody takes would wait for as long as the connection lives.
        let _ = streams::PULSE.try_with(|pulse| pulse.begin());
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            for (name, value) in SECURITY_HEADERS {
                answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
            }
        }
        answer
    }

    async fn find_answer(self: Arc<Self>, site: &Site, request: HyperRequest) -> HyperReply {
        // RFC 9112 §3.2 "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1
        // request message that lacks a Host header field and to any request message that contains
        // more than one Host header field line".
        let hosts = request.headers().get_all(header::HOST).iter().count();
        if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
            let reply = Reply::text(StatusCode::BAD_REQUEST, "One Host header is needed.\n");
            return reply.last().into();
        }
        // HTTP/1.1 has counted them while it read them.
        if request.headers().len() > self.net.limits().headers_max {
            return Reply::status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE).last().into();
        }
        if let Some(folder) = folder::find(&site.folders, request.uri().path()) {
            let client = self.known(site, &request);
            let pulse = streams::PULSE.try_with(Arc::clone);
            let pulse = pulse.unwrap_or_else(|_| Arc::clone(&self.pulse));
            return folder.answer(request, client, &self.net, &pulse).await;
        }
        if site.bosh_paths.iter().any(|known| known == request.uri().path()) {
            return Box::pin(self.bind(site, request)).await.into();
        }
        self.find_page(site, request).await.into()
    }

    /// A request of a BOSH session. What binds to one connection says nothing about a session that
    /// uses many.
    async fn bind(&self, site: &Site, request: HyperRequest) -> Reply {
        let client = self.client(site, &request);
        let security = Security {
            exporter: None,
            end_point: None,
            peer_certificate: None,
            peer_verified: false,
            ..self.security_of(client)
        };
        let peer = client.map_or(self.peer, |client| SocketAddr::new(client.ip, 0));
        let caller = Caller { peer, is_behind_proxy: client.is_some(), security };
        crate::bosh::answer(&self.net, &site.origins, caller, request).await
    }

    async fn find_page(self: Arc<Self>, site: &Site, request: HyperRequest) -> Reply {
        let path = request.uri().path();
        if site.websocket_paths.iter().any(|known| known == path) {
            return self.open_websocket(site, request, Peer::Client);
        }
        if site.server_websocket_paths.iter().any(|known| known == path) {
            return self.open_websocket(site, request, Peer::Server);
        }
        if let Some(discovery) = &site.discovery
            && let Some(reply) = discovery.answer(path, request.headers())
        {
            return match *request.method() {
                Method::GET | Method::HEAD => reply,
                _ => not_allowed("GET"),
            };
        }
        match find(&site.routes, request.method(), path) {
            Match::Route(route) => self.call(site, route, request).await,
            Match::Method(methods) if request.method() == Method::OPTIONS => {
                not_allowed(&methods).but(StatusCode::NO_CONTENT)
            }
            Match::Method(methods) => not_allowed(&methods),
            Match::None => Reply::text(StatusCode::NOT_FOUND, "There is nothing here.\n"),
        }
    }

    async fn call(&self, site: &Site, route: &HttpRoute, request: HyperRequest) -> Reply {
        let client = self.known(site, &request);
        let (head, body) = request.into_parts();
        let seconds = Duration::from_secs(self.net.limits().body_seconds);
        let body = match timeout(seconds, read(body, route.body_bytes_max)).await {
            Ok(Ok(body)) => body,
            Ok(Err(refusal)) => return refusal,
            Err(_) => return Reply::status(StatusCode::REQUEST_TIMEOUT).last(),
        };
        let request = Request {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: head.headers,
            body,
            client: client.ip,
            is_secure: client.is_secure,
        };
        (route.handler)(request).await
    }

    pub(super) fn client(&self, site: &Site, request: &HyperRequest) -> Option<Client> {
        site.proxies.client(self.peer.ip(), request.headers())
    }

    /// The client, as the socket or a trusted proxy tells.
    pub(super) fn known(&self, site: &Site, request: &HyperRequest) -> Client {
        let is_secure = self.security.is_encrypted();
        match self.client(site, request) {
            Some(client) => Client { is_secure: client.is_secure || is_secure, ..client },
            None => Client { ip: self.peer.ip(), is_secure },
        }
    }

    /// Behind a proxy the TLS that we see is the proxy's: nothing of it binds to the client.
    pub(super) fn security_of(&self, client: Option<Client>) -> Security {
        match client {
            None => self.security.clone(),
            Some(client) => Security { trusted_proxy: client.is_secure, ..Security::default() },
        }
    }
}

/// The whole body, or the answer to one that is too long or breaks off.
async fn read(body: Incoming, bytes_max: usize) -> Result<Bytes, Reply> {
    let too_large = || Reply::status(StatusCode::PAYLOAD_TOO_LARGE).last();
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Reply::status(StatusCode::BAD_REQUEST).last()),
    }
}

pub(super) fn not_allowed(methods: &str) -> Reply {
    let allow = HeaderValue::from_str(methods).expect("methods are tokens");
    Reply::status(StatusCode::METHOD_NOT_ALLOWED).with(header::ALLOW, allow)
}

impl Reply {
    /// With another status.
    pub(super) fn but(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Ends the connection: what the client still sends is not read.
    pub(crate) fn last(self) -> Self {
        self.with(header::CONNECTION, HeaderValue::from_static("close"))
    }
}
