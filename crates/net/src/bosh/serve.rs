//! The HTTP side: requests find their sessions, and wait for their answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};
use tokio::time::{sleep, timeout};
use waxwing_stream::Security;

use super::body::{Answer, Request, Terminal};
use super::session::{Session, Sessions};
use super::state::{State, Turn};
use super::wire::BoshWire;
use crate::census::Permit;
use crate::http::Reply;
use crate::net::Net;
use crate::websocket::handshake::Origins;

/// What is known of whoever sends a request.
pub(crate) struct Caller {
    /// The client's address, as the socket or a trusted proxy tells it.
    pub(crate) peer: SocketAddr,
    /// Whether a trusted proxy told it.
    pub(crate) is_behind_proxy: bool,
    /// What TLS or the proxy know, but for what binds to one connection.
    pub(crate) security: Security,
}

/// Bytes of randomness in the id of a session.
const SID_BYTES: usize = 16;
const USUAL: &str = "text/xml; charset=utf-8";
const PAGE: &str = "This address is for chat programs: it speaks XMPP over BOSH (XEP-0206).\n";

/// Answers a request for [`super::BOSH_PATH`].
pub(crate) async fn answer(
    net: &Arc<Net>,
    origins: &Origins,
    caller: Caller,
    request: hyper::Request<Incoming>,
) -> Reply {
    let (head, incoming) = request.into_parts();
    let reply = match head.method {
        Method::POST if !origins.admit(&head.headers) => {
            Reply::text(StatusCode::FORBIDDEN, "Pages of this origin may not connect here.\n")
        }
        Method::POST => bind(net, caller, &head.headers, incoming).await,
        Method::OPTIONS => Reply::status(StatusCode::NO_CONTENT)
            .with(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200")),
        Method::GET | Method::HEAD => Reply::text(StatusCode::OK, PAGE),
        _ => Reply::status(StatusCode::METHOD_NOT_ALLOWED)
            .with(header::ALLOW, HeaderValue::from_static("POST, OPTIONS, GET, HEAD")),
    };
    // Who a client is shows in its session, never in what its browser sends along.
    reply
        .with(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))
        .with(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, OPTIONS"))
        .with(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type"))
        .with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

async fn bind(net: &Arc<Net>, caller: Caller, headers: &HeaderMap, incoming: Incoming) -> Reply {
    let limits = net.limits();
    let patience = Duration::from_secs(limits.body_seconds);
    let early = limits.early_message_bytes_max.min(limits.message_bytes_max);
    let room = |start: &[u8]| match session_in(&net.bosh, start) {
        Some(session) => session.body_bytes_max(),
        None => early,
    };
    let most = limits.farewell_bytes_max;
    let bytes = match timeout(patience, read(incoming, [early, most], room)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(terminal)) => return dress(terminal.answer("", "", false)).last(),
        Err(_) => return Reply::status(StatusCode::REQUEST_TIMEOUT).last(),
    };
    let request = match Request::read(&bytes, limits.message_bytes_max) {
        Ok(request) => request,
        Err(terminal) => return dress(terminal.answer("", "", false)),
    };
    drop(bytes);
    let rid = request.rid;
    let opened = match request.sid.as_deref() {
        None => open(net, caller, headers, request),
        Some(sid) => {
            let session = net.bosh.find(sid);
            let own = session.filter(|it| it.is_secure == caller.security.is_encrypted());
            match own {
                Some(session) => {
                    let turn = session.lock().take(net.clock().now(), request);
                    Ok((session, turn))
                }
                None => Err(Terminal::ItemNotFound),
            }
        }
    };
    match opened {
        Ok((session, turn)) => {
            let answer = wait(net, &session, rid, turn).await;
            dress(answer)
        }
        Err(terminal) => dress(terminal.answer("", "", false)),
    }
}

/// Reads a body of at most `early` bytes, or of as many as its beginning says. What is too long is
/// read on up to `most_read` bytes and forgotten: a client that is not heard out may not hear the
/// answer.
async fn read(
    mut incoming: Incoming,
    [early, most_read]: [usize; 2],
    room: impl Fn(&[u8]) -> usize,
) -> Result<Bytes, Terminal> {
    let (mut all, mut most, mut is_known) = (BytesMut::new(), early, false);
    let mut forgotten = 0;
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|_| Terminal::BadRequest)?;
        let Some(data) = frame.data_ref() else { continue };
        if forgotten > 0 {
            forgotten += data.len();
        } else {
            all.extend_from_slice(data);
        }
        if all.len() > most && !is_known {
            (most, is_known) = (room(&all), true);
        }
        if all.len() > most {
            forgotten = all.len();
            all = BytesMut::new();
        }
        if forgotten > most_read {
            break;
        }
    }
    if forgotten > 0 {
        return Err(Terminal::PolicyViolation);
    }
    Ok(all.freeze())
}

/// The session that a body is for, found in its beginning before it is parsed: only somebody who
/// has signed in may send much.
fn session_in(sessions: &Sessions, start: &[u8]) -> Option<Arc<Session>> {
    let text = String::from_utf8_lossy(start);
    let (_, rest) = text.split_once(" sid=")?;
    let quote = rest.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    let sid = rest[1..].split(quote).next()?;
    sessions.find(sid)
}

/// Begins a session.
fn open(
    net: &Arc<Net>,
    caller: Caller,
    headers: &HeaderMap,
    request: Request,
) -> Result<(Arc<Session>, Turn), Terminal> {
    if request.header.to.is_none() {
        return Err(Terminal::ImproperAddressing);
    }
    // §7.1 lets the client choose; what a browser would render is not for it to choose.
    let content = request.terms.content.as_deref().unwrap_or(USUAL);
    let essence = content.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("text/xml") {
        return Err(Terminal::BadRequest);
    }
    let permit = admit(net, &caller).ok_or(Terminal::PolicyViolation)?;
    let (limits, clock) = (net.limits(), net.clock());
    let sid = clock.token(SID_BYTES);
    let (state, turn) = State::new(clock.now(), &sid, &request, &limits);
    let is_secure = caller.security.is_encrypted();
    let early = limits.early_message_bytes_max.min(limits.message_bytes_max);
    let session = Arc::new(Session::new(sid, is_secure, early, state));
    net.bosh.add(&session);
    clock.spawn(net.bosh.clone().watch(Arc::clone(&session), clock.clone()));
    let wire = BoshWire {
        session: Arc::clone(&session),
        sessions: net.bosh.clone(),
        clock: clock.clone(),
        peer: caller.peer,
        message_bytes_max: limits.message_bytes_max,
        _permit: permit,
        is_told: false,
    };
    let origin = headers.get(header::ORIGIN);
    let origin = origin.map(|origin| String::from_utf8_lossy(origin.as_bytes()).into());
    net.enter(Box::new(wire), Security { origin, ..caller.security });
    Ok((session, turn))
}

fn admit(net: &Net, caller: &Caller) -> Option<Permit> {
    let ip = caller.peer.ip();
    let permit = if caller.is_behind_proxy { net.admit_behind(ip) } else { net.admit(ip) };
    permit.inspect_err(|full| tracing::debug!(%ip, "no BOSH session: {full}")).ok()
}

/// Waits for the answer for as long as the session says.
async fn wait(net: &Net, session: &Session, rid: u64, turn: Turn) -> Answer {
    let mut answer = match turn {
        Turn::Now(answer) => return answer,
        Turn::Later(answer) => answer,
    };
    let longest = session.lock().wait();
    let answered = tokio::select! {
        answered = &mut answer => answered.ok(),
        () = sleep(longest) => {
            session.lock().time_out(net.clock().now(), rid);
            answer.await.ok()
        }
    };
    answered.unwrap_or_else(|| Terminal::ItemNotFound.answer("", "", false))
}

fn dress(answer: Answer) -> Reply {
    Reply::new(answer.status, USUAL, answer.body)
}
