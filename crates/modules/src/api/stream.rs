//! What happens, as it happens: server-sent events (WHATWG HTML §9.2).

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::events::{Event, Heard, Listener};
use waxwing_kernel::http::{
    Bytes, Content, HeaderValue, HttpReply, HttpRequest, StatusCode, header,
};

use super::Api;
use super::door::insufficient;
use super::problem::Problem;
use super::shares::Share;
use super::token::Token;
use super::values::pairs;

/// Pieces on their way to one client; what comes beyond waits among the events that are kept.
const PIECES: usize = 16;
/// How often a stream on which nothing happens says that it lives, and is asked whether it may. It
/// is less than what the network layer waits for a client that takes nothing.
const BEAT: Duration = Duration::from_secs(15);
/// How long browsers wait before they come back, in milliseconds.
const RETRY_MILLIS: u32 = 3000;

impl Api {
    /// Opens a stream of events.
    pub(super) fn listen(
        self: &Arc<Self>,
        token: &Token,
        request: HttpRequest,
    ) -> Result<HttpReply, Problem> {
        if !token.hears() {
            return Err(insufficient("events"));
        }
        let site = self.hub.site(self.domain.domain());
        let known: Vec<&str> =
            site.iter().flat_map(|site| site.router.events()).map(|about| about.name).collect();
        let types = types(request.query.as_deref(), &known)?;
        let last = match request.headers.get("last-event-id") {
            None => None,
            Some(id) => {
                let id = id.to_str().ok().and_then(|id| id.trim().parse().ok());
                let wrong = || Problem::bad("The Last-Event-ID is none that was sent from here.");
                Some(id.ok_or_else(wrong)?)
            }
        };
        let own = self.config.streams_per_token as usize;
        let share = self.listeners.take(token.id, own).ok_or_else(|| {
            Problem::too_many(format!("This token has {own} streams open; close one first."))
        })?;
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        let permit = permit.map_err(|_| Problem::busy("Too many streams are open."))?;
        let (pieces, content) = channel(PIECES);
        let listener = self.hub.listen(self.domain.domain(), last);
        let stream = Stream {
            api: Arc::clone(self),
            token: token.id,
            types,
            listener,
            pieces,
            _held: (share, permit),
        };
        self.hub.clock().spawn(stream.run());
        Ok(reply(content))
    }
}

fn reply(content: Receiver<Bytes>) -> HttpReply {
    let reply = HttpReply::status(StatusCode::OK)
        .with(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))
        // Understood by nginx: a proxy that gathers events delivers none.
        .with(header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    HttpReply { content: Content::Stream(content), ..reply }
}

/// Which kinds of events are asked for: all where nothing is said.
fn types(query: Option<&str>, known: &[&str]) -> Result<Vec<String>, Problem> {
    let mut types = Vec::new();
    for (name, value) in pairs(query)? {
        if name != "types" {
            let name: String = name.chars().take(60).collect();
            return Err(Problem::at(name, "only `types` can be said here"));
        }
        for one in value.split(',').filter(|one| !one.is_empty()) {
            if !known.contains(&one) {
                let one: String = one.chars().take(60).collect();
                let known = known.join(", ");
                return Err(Problem::at("types", format!("there is no {one:?}, but {known}")));
            }
            types.push(one.to_owned());
        }
    }
    Ok(types)
}

/// One client that listens.
struct Stream {
    api: Arc<Api>,
    token: i64,
    /// Empty for all.
    types: Vec<String>,
    listener: Listener,
    pieces: Sender<Bytes>,
    _held: (Share<i64>, OwnedSemaphorePermit),
}

impl Stream {
    async fn run(mut self) {
        let at = self.listener.at();
        let hello = json!({ "host": self.api.domain.as_str() });
        let hello = format!("retry: {RETRY_MILLIS}\nid: {at}\nevent: open\ndata: {hello}\n\n");
        if self.send(hello).await.is_err() {
            return;
        }
        let mut beat = self.next_beat();
        loop {
            let clock = self.api.hub.clock().clone();
            let heard = tokio::select! {
                () = self.pieces.closed() => return,
                () = clock.until(Some(beat)) => None,
                heard = self.listener.next() => Some(heard),
            };
            let sent = match heard {
                None => {
                    beat = self.next_beat();
                    match self.api.is_still_good(self.token).await {
                        Ok(false) => {
                            let text = "The token is not good any more.";
                            return self.end("revoked", text).await;
                        }
                        // One that cannot be looked up now is looked up again.
                        Ok(true) | Err(_) => self.send(": \n\n".to_owned()).await,
                    }
                }
                Some(Heard::Event(event)) if !self.wants(&event) => continue,
                Some(Heard::Event(event)) => self.send(write(&event)).await,
                Some(Heard::Gap) => {
                    let text = "What happened since the last event that you know is not all known.";
                    self.send(note("gap", json!({ "text": text }))).await
                }
                Some(Heard::TooSlow) => {
                    let text = "You took events more slowly than they came, and lost some.";
                    return self.end("too-slow", text).await;
                }
                Some(Heard::End) => {
                    return self.end("shutdown", "The server is about to end.").await;
                }
            };
            if sent.is_err() {
                return;
            }
        }
    }

    fn wants(&self, event: &Event) -> bool {
        self.types.is_empty() || self.types.iter().any(|wanted| wanted == event.about.name)
    }

    fn next_beat(&self) -> Instant {
        self.api.hub.clock().now() + BEAT
    }

    /// Waits while the client does not take what it has got. An error: it is gone.
    async fn send(&self, piece: String) -> Result<(), ()> {
        self.pieces.send(piece.into()).await.map_err(drop)
    }

    /// The last words.
    async fn end(self, reason: &str, text: &str) {
        let _ = self.send(note("end", json!({ "reason": reason, "text": text }))).await;
    }
}

/// An event as it goes over the wire. JSON has no line breaks in it.
fn write(event: &Event) -> String {
    let Event { id, at_millis, host, about, data } = event;
    let mut object = serde_json::Map::new();
    object.insert("type".to_owned(), Value::from(about.name));
    object.insert("at".to_owned(), Value::from(stamp_of(*at_millis)));
    object.insert("host".to_owned(), Value::from(&**host));
    object.extend(data.iter().map(|(name, value)| (name.clone(), value.clone())));
    format!("id: {id}\nevent: {}\ndata: {}\n\n", about.name, Value::Object(object))
}

/// Something about the stream itself, which does not count as the last event heard.
fn note(name: &str, data: Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_apart() {
        let known = ["session.opened", "session.closed"];
        let read = |query| types(query, &known).map_err(|problem| problem.status.as_u16());
        assert_eq!(read(None), Ok(vec![]));
        assert_eq!(read(Some("types=")), Ok(vec![]));
        let both = vec!["session.opened".to_owned(), "session.closed".to_owned()];
        assert_eq!(read(Some("types=session.opened,session.closed")), Ok(both.clone()));
        assert_eq!(read(Some("types=session.opened&types=session.closed")), Ok(both));
        assert_eq!(read(Some("types=session")), Err(400));
        assert_eq!(read(Some("type=session.opened")), Err(400));
    }
}
