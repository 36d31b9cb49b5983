//! Requests that become WebSockets: the upgrade of HTTP/1.1 (RFC 6455), and the extended CONNECT of
//! HTTP/2 (RFC 8441).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::ext::Protocol;
use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode, Version};
use hyper_util::rt::TokioIo;
use waxwing_kernel::metrics::Deflated;
use waxwing_stream::Security;

use super::forwarded::Client;
use super::route::Reply;
use super::serve::{HyperRequest, Visit, not_allowed};
use super::{Site, page};
use crate::census::{Full, Permit};
use crate::socket::Socket;
use crate::websocket::extension::Agreed;
use crate::websocket::handshake::{self, Origins, Refusal, SUBPROTOCOL};
use crate::websocket::wire::WebSocketWire;

/// What speaks on a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// A client (RFC 7395).
    Client,
    /// Another server (XEP-0468).
    Server,
}

/// Who opens a WebSocket, and how.
struct Newcomer {
    kind: Peer,
    client: Option<Client>,
    origin: Option<Arc<str>>,
    deflate: Option<(Agreed, Arc<Deflated>)>,
}

impl Peer {
    /// Which web pages may open it: for servers none, since no page is one.
    fn origins(self, site: &Site) -> &Origins {
        const NONE: &Origins = &Origins::Only(Vec::new());
        match self {
            Self::Client => &site.origins,
            Self::Server => NONE,
        }
    }
}

impl Newcomer {
    /// What an answer says to both kinds of handshake.
    fn dress(&self, reply: Reply) -> Reply {
        let subprotocol = HeaderValue::from_static(SUBPROTOCOL);
        let reply = reply.with(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
        match &self.deflate {
            Some((agreed, _)) => {
                reply.with(header::SEC_WEBSOCKET_EXTENSIONS, value(&agreed.to_header()))
            }
            None => reply,
        }
    }
}

impl Visit {
    /// Answers the opening handshake.
    pub(super) fn open_websocket(
        self: Arc<Self>,
        site: &Site,
        request: HyperRequest,
        kind: Peer,
    ) -> Reply {
        // XEP-0468 §2: "wss (TLS) upgraded to a MUST be used".
        if kind == Peer::Server && !self.known(site, &request).is_secure {
            return Reply::text(StatusCode::FORBIDDEN, "Servers speak here over TLS only.\n");
        }
        match (request.version(), request.method()) {
            (Version::HTTP_2, &Method::CONNECT) => self.open_on_stream(site, request, kind),
            _ => self.open_on_connection(site, request, kind),
        }
    }

    /// The connection is handed over once the answer is sent.
    fn open_on_connection(
        self: Arc<Self>,
        site: &Site,
        mut request: HyperRequest,
        kind: Peer,
    ) -> Reply {
        let (method, version, origins) = (request.method(), request.version(), kind.origins(site));
        let opening = match handshake::judge(method, version, request.headers(), origins) {
            Ok(opening) => opening,
            Err(Refusal::Method) if method == Method::OPTIONS => {
                return not_allowed("GET").but(StatusCode::NO_CONTENT);
            }
            Err(refusal) => return page::refusal(refusal, request.headers()),
        };
        let newcomer = self.newcomer(site, &request, (kind, opening.deflate));
        let client = newcomer.client;
        let permit = match client.map(|client| self.net.admit_behind(client.ip)).transpose() {
            Ok(permit) => permit,
            Err(full) => return refuse(full),
        };
        let reply = Reply::status(StatusCode::SWITCHING_PROTOCOLS)
            .with(header::CONNECTION, HeaderValue::from_static("Upgrade"))
            .with(header::UPGRADE, HeaderValue::from_static("websocket"))
            .with(header::SEC_WEBSOCKET_ACCEPT, value(&opening.accept));
        let reply = newcomer.dress(reply);
        let upgrading = hyper::upgrade::on(&mut request);
        let net = self.net.clone();
        net.clock().spawn(async move {
            let upgraded = match upgrading.await {
                Ok(upgraded) => upgraded,
                Err(error) => return tracing::debug!(%error, "a WebSocket did not open"),
            };
            let parts = upgraded
                .downcast::<TokioIo<Socket>>()
                .expect("every HTTP/1.1 connection is served on a Socket");
            let mut socket = parts.io.into_inner();
            if let (Some(client), Some(permit)) = (client, permit) {
                socket.speak_for(SocketAddr::new(client.ip, 0), permit);
            }
            self.enter(newcomer, socket, parts.read_buf);
        });
        reply
    }

    /// The stream is a WebSocket from the answer on. It counts as a connection of its client.
    fn open_on_stream(
        self: Arc<Self>,
        site: &Site,
        mut request: HyperRequest,
        kind: Peer,
    ) -> Reply {
        let protocol = request.extensions().get::<Protocol>();
        if protocol.is_none_or(|protocol| protocol.as_str() != "websocket") {
            return not_allowed("GET");
        }
        let agreed = match handshake::judge_stream(request.headers(), kind.origins(site)) {
            Ok(agreed) => agreed,
            Err(refusal) => return page::refusal(refusal, request.headers()),
        };
        let newcomer = self.newcomer(site, &request, (kind, agreed));
        let (peer, permit) = match newcomer.client {
            Some(client) => (SocketAddr::new(client.ip, 0), self.net.admit_behind(client.ip)),
            None => (self.peer, self.net.admit(self.peer.ip())),
        };
        let permit: Permit = match permit {
            Ok(permit) => permit,
            Err(full) => return refuse(full),
        };
        let reply = newcomer.dress(Reply::status(StatusCode::OK));
        let upgrading = hyper::upgrade::on(&mut request);
        let net = self.net.clone();
        net.clock().spawn(async move {
            match upgrading.await {
                Ok(stream) => {
                    self.enter(newcomer, Socket::stream(stream, peer, permit), Bytes::new());
                }
                Err(error) => tracing::debug!(%error, "a WebSocket did not open"),
            }
        });
        reply
    }

    fn newcomer(
        &self,
        site: &Site,
        request: &HyperRequest,
        (kind, agreed): (Peer, Option<Agreed>),
    ) -> Newcomer {
        let origin = request.headers().get(header::ORIGIN);
        // Servers say the same to many, and are many to one: what is saved is not worth the memory.
        let agreed = agreed.filter(|_| kind == Peer::Client);
        Newcomer {
            kind,
            client: self.client(site, request),
            origin: origin.map(|origin| String::from_utf8_lossy(origin.as_bytes()).into()),
            deflate: agreed.zip(site.deflate.clone()),
        }
    }

    /// Hands the client to the kernel.
    fn enter(&self, newcomer: Newcomer, socket: Socket, early: Bytes) {
        let Newcomer { kind, client, origin, deflate } = newcomer;
        let limits = self.net.limits();
        let mut wire = WebSocketWire::new(socket, early, &limits);
        if kind == Peer::Server {
            wire = wire.of_server();
        }
        if let Some((agreed, counts)) = deflate {
            wire.deflate(agreed, counts, &limits);
        }
        let security = Security { origin, ..self.security_of(client) };
        self.net.enter(Box::new(wire), security);
    }
}

fn refuse(full: Full) -> Reply {
    Reply::text(StatusCode::TOO_MANY_REQUESTS, format!("{full}\n"))
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("our own words are ASCII")
}
