//! UnifiedPush: apps on a phone get what their servers post, through a client of ours on the same
//! phone. The words are those of the provider `up` and of Conversations
//! (`http://gultsch.de/xmpp/drafts/unified-push`); the HTTP side is a push resource by RFC 8030 §5.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use waxwing_jid::Jid;
use waxwing_kernel::clock::{Clock, stamp_of};
use waxwing_kernel::http::{
    HeaderName, HeaderValue, HttpReply, HttpRequest, Intake, Method, StatusCode, header,
};
use waxwing_kernel::module::Module;
use waxwing_kernel::request::Request;
use waxwing_stanza::{Condition, Payload, StanzaError};
use waxwing_xml::{Child, write};

use super::Push;
use super::endpoint::{Endpoint, Kind};
use super::service::member;

pub(super) const NS: &str = "http://gultsch.de/xmpp/drafts/unified-push";

/// Where apps' servers post, below the module's folder.
const FOLDER: &str = "up";
/// Where the messages would be that RFC 8030 §5 wants an address for; none is kept.
const MESSAGES: &str = "message";
/// Bytes of randomness in the address of an app.
const TOKEN_BYTES: usize = 24;
/// Bytes of a name of an app or an installation: a hash (SHA-256).
const NAME_BYTES: usize = 32;
/// The longest message (bytes).
const MESSAGE_BYTES: usize = 4096;
/// How long a message may take to come.
const BODY: Duration = Duration::from_secs(30);
/// How long a client may take to say that it has given a message to its app.
const TIME: Duration = Duration::from_secs(20);
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

impl Push {
    /// "The client registers with the Push Provider", which "responds with the endpoint".
    pub(super) async fn register(
        self: Arc<Self>,
        ask: Request<Register>,
    ) -> Result<String, StanzaError> {
        let account = member(&ask)?;
        if ask.from.jid.resource().is_none() {
            return Err(StanzaError::bad_request().text("Only a client can register an app."));
        }
        let Register { application, instance } = ask.payload;
        let expires = self.now() + i64::from(self.config.endpoint_days) * DAY_MILLIS;
        let fresh = Endpoint {
            token: self.hub.clock().token(TOKEN_BYTES),
            owner: account.jid().to_string(),
            kind: Kind::Unified,
            secret: String::new(),
            address: ask.from.jid.to_string(),
            one: application,
            two: instance,
            expires,
        };
        let token = self.admit(&account, fresh).await?.token;
        let url = format!("{}{FOLDER}/{token}", ask.site.url_of(Self::ABOUT.name));
        let mut xml = format!("<registered xmlns='{NS}'");
        write::attribute(&mut xml, "expiration", &stamp_of(expires.cast_unsigned()));
        write::attribute(&mut xml, "endpoint", &url);
        Ok(xml + "/>")
    }

    /// Brings a message to the client in front of an app.
    async fn bring(&self, endpoint: &Endpoint, message: &[u8]) -> HttpReply {
        let Ok(client) = Jid::new(&endpoint.address) else { return nothing() };
        let mut xml = format!("<push xmlns='{NS}'");
        write::attribute(&mut xml, "application", &endpoint.one);
        write::attribute(&mut xml, "instance", &endpoint.two);
        xml += &format!(">{}</push>", STANDARD.encode(message));
        let error = match self.hub.inquire(&self.own, &client, &xml, TIME).await {
            Ok(_) => return self.taken(),
            Err(error) => error,
        };
        match error.condition {
            // "the Push Provider should consider the endpoint as revoked."
            Condition::ItemNotFound | Condition::FeatureNotImplemented => {
                match self.endpoints.remove(&endpoint.token).await {
                    Ok(()) => nothing(),
                    Err(error) => unreachable(&error),
                }
            }
            // It lies with a session whose client is away, or with one that is slow.
            Condition::RemoteServerTimeout => self.taken(),
            _ => {
                let text = "The app cannot be reached at the moment; try again later.\n";
                HttpReply::text(StatusCode::SERVICE_UNAVAILABLE, text)
                    .with(header::RETRY_AFTER, HeaderValue::from_static("60"))
            }
        }
    }

    /// RFC 8030 §5: "A 201 (Created) response indicates that the push message was accepted. A URI
    /// for the push message resource … is returned in the Location header field." It "can be used
    /// … with a TTL of 0": nothing is kept for later.
    fn taken(&self) -> HttpReply {
        let id = self.hub.clock().token(8);
        let place = self
            .hub
            .site(self.server.domain())
            .map(|site| format!("{}{MESSAGES}/{id}", site.url_of(Self::ABOUT.name)));
        let reply = HttpReply::status(StatusCode::CREATED).with(TTL, HeaderValue::from_static("0"));
        match place.and_then(|place| HeaderValue::from_str(&place).ok()) {
            Some(place) => reply.with(header::LOCATION, place),
            None => reply,
        }
    }
}

/// How many messages came in this minute, by endpoint. Only those that exist are counted, and
/// nothing is left of a minute that is over.
#[derive(Default)]
pub(super) struct Meter {
    minute: u64,
    counts: HashMap<String, u32>,
}

impl Meter {
    /// Counts a message to `token`; false when there were `most` already.
    fn admits(&mut self, token: &str, minute: u64, most: u32) -> bool {
        if self.minute != minute {
            *self = Self { minute, counts: HashMap::new() };
        }
        let count = self.counts.entry(token.to_owned()).or_default();
        *count += 1;
        *count <= most
    }
}

/// Answers a request for something in the module's folder.
pub(super) async fn answer(push: Arc<Push>, request: HttpRequest) -> HttpReply {
    let path = request.path.clone();
    let reply = match (&request.method, path.split_once('/')) {
        (&Method::OPTIONS, Some((FOLDER, _))) => HttpReply::status(StatusCode::NO_CONTENT)
            .with(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"))
            .with(header::ALLOW, HeaderValue::from_static(ALLOWED)),
        // How an app's server finds out what this is.
        (&(Method::GET | Method::HEAD), Some((FOLDER, _))) => {
            let json = HeaderValue::from_static("application/json");
            HttpReply::text(StatusCode::OK, "{\"unifiedpush\":{\"version\":1}}")
                .with(header::CONTENT_TYPE, json)
        }
        (&Method::POST, Some((FOLDER, token))) => post(&push, token, request).await,
        (_, Some((FOLDER, _))) => {
            HttpReply::text(StatusCode::METHOD_NOT_ALLOWED, "That cannot be done here.\n")
                .with(header::ALLOW, HeaderValue::from_static(ALLOWED))
        }
        // RFC 8030 §6.2: what has been delivered, or was not kept, is gone.
        (_, Some((MESSAGES, _))) => HttpReply::status(StatusCode::GONE),
        _ => nothing(),
    };
    dressed(reply)
}

async fn post(push: &Push, token: &str, mut request: HttpRequest) -> HttpReply {
    let found = match push.endpoints.find(token, push.now()).await {
        Ok(found) => found.filter(|endpoint| endpoint.kind == Kind::Unified),
        Err(error) => return unreachable(&error),
    };
    let Some(endpoint) = found else { return nothing() };
    let minute = push.hub.clock().wall_millis() / 60_000;
    if !push.meter.lock().admits(token, minute, push.config.per_minute) {
        let text = "Too many messages for this app; try again later.\n";
        return HttpReply::text(StatusCode::TOO_MANY_REQUESTS, text)
            .with(header::RETRY_AFTER, HeaderValue::from_static("60"));
    }
    match read(push.hub.clock(), &mut *request.body).await {
        Ok(message) => push.bring(&endpoint, &message).await,
        Err(refusal) => refusal,
    }
}

/// A message of a bounded size, in a bounded time.
async fn read(clock: &Clock, body: &mut dyn Intake) -> Result<Vec<u8>, HttpReply> {
    let too_long = || {
        let text = format!("A message may have {MESSAGE_BYTES} bytes.\n");
        HttpReply::text(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    let bad = |text: &'static str| HttpReply::text(StatusCode::BAD_REQUEST, text);
    if body.length().is_some_and(|length| length > MESSAGE_BYTES as u64) {
        return Err(too_long());
    }
    let deadline = clock.now() + BODY;
    let whole = async {
        let mut message = Vec::new();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|_| bad("The message broke off.\n"))?;
            if message.len() + piece.len() > MESSAGE_BYTES {
                return Err(too_long());
            }
            message.extend_from_slice(&piece);
        }
        if message.is_empty() { Err(bad("There is no message.\n")) } else { Ok(message) }
    };
    tokio::select! {
        message = whole => message,
        () = clock.until(Some(deadline)) => {
            let text = "The message did not come in time.\n";
            Err(HttpReply::text(StatusCode::REQUEST_TIMEOUT, text))
        }
    }
}

const TTL: HeaderName = HeaderName::from_static("ttl");
const ALLOWED: &str = "OPTIONS, HEAD, GET, POST";
/// Set on every answer: apps' servers may be web pages.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "Authorization, Content-Encoding, Content-Type, TTL, Topic, Urgency",
    ),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Location, Retry-After, TTL"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
];

fn dressed(mut reply: HttpReply) -> HttpReply {
    for (name, value) in HEADERS {
        reply.headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    reply
}

/// RFC 8030 §7.3: an expired or unknown subscription is answered with 404.
fn nothing() -> HttpReply {
    HttpReply::text(StatusCode::NOT_FOUND, "There is no such app here, or not any more.\n")
}

fn unreachable(error: &waxwing_store::StoreError) -> HttpReply {
    tracing::error!(%error, "endpoints");
    let text = "Apps cannot be looked up at the moment; try again later.\n";
    HttpReply::text(StatusCode::SERVICE_UNAVAILABLE, text)
}

/// `<register/>`.
pub(super) struct Register {
    application: String,
    instance: String,
}

impl Payload for Register {
    const NAME: &'static str = "register";
    const NS: &'static str = NS;

    /// Both are "base64 encoded SHA256 hashes", and "It is RECOMMENDED that the Push Provider
    /// enforces this convention."
    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        let hash = |name: &str| {
            let text = child.attribute(name).unwrap_or_default().into_owned();
            let is_hash = STANDARD.decode(&text).is_ok_and(|hash| hash.len() == NAME_BYTES);
            let bad = || format!("`{name}` must be a SHA-256 hash as base64.");
            is_hash.then_some(text).ok_or_else(|| StanzaError::bad_request().text(bad()))
        };
        Ok(Self { application: hash("application")?, instance: hash("instance")? })
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use waxwing_kernel::http::Bytes;
    use waxwing_kernel::request::Answer;

    use super::*;

    /// Sends a byte every ten seconds.
    struct Trickle(Clock);

    impl Intake for Trickle {
        fn length(&self) -> Option<u64> {
            None
        }

        fn next(&mut self) -> Answer<'_, Option<io::Result<Bytes>>> {
            Box::pin(async move {
                self.0.until(Some(self.0.now() + Duration::from_secs(10))).await;
                Some(Ok(Bytes::from_static(b"x")))
            })
        }
    }

    #[tokio::test]
    async fn a_message_has_its_time() {
        let clock = Clock::simulated(0, 1);
        let mut body = Trickle(clock.clone());
        let passing = async {
            loop {
                tokio::task::yield_now().await;
                clock.advance(Duration::from_secs(5));
            }
        };
        let refusal = tokio::select! {
            read = read(&clock, &mut body) => read.unwrap_err(),
            () = passing => unreachable!(),
        };
        assert_eq!(refusal.status, StatusCode::REQUEST_TIMEOUT);
    }

    #[test]
    fn a_minute_has_its_share() {
        let mut meter = Meter::default();
        assert!(meter.admits("a", 1, 2) && meter.admits("a", 1, 2));
        assert!(!meter.admits("a", 1, 2));
        assert!(meter.admits("b", 1, 2));
        assert!(meter.admits("a", 2, 2));
        assert_eq!(meter.counts.len(), 1);
    }
}
