//! What is asked for by HTTP, and how a command is given.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use waxwing_kernel::Site;
use waxwing_kernel::command::{Caller, Command, Commands, Refusal, Said, Values};
use waxwing_kernel::http::{
    Bytes, Content, HeaderMap, HeaderValue, HttpReply, HttpRequest, Method, StatusCode, header,
};

use super::door::insufficient;
use super::problem::Problem;
use super::scope::Scope;
use super::token::Token;
use super::{Api, NAME, openapi, values};

/// The version of all that stands here; what is asked for stands below it.
const VERSION: &str = "v1/";
/// Where the description of all that is.
pub(super) const OPENAPI: &str = "openapi.json";
/// Where it is told what happens.
pub(super) const EVENTS: &str = "events";
/// How long the body of a request may take to come.
const BODY: Duration = Duration::from_secs(30);

const READS: &str = "GET, HEAD";

/// Answers a request for something in the module's folder.
pub(super) async fn answer(api: Arc<Api>, request: HttpRequest) -> HttpReply {
    let origin = api.origin(&request.headers);
    let answer = if request.method == Method::OPTIONS {
        Ok(preflight(origin.is_some()))
    } else {
        // On the heap: the answer of a command is large and most requests are none.
        Box::pin(api.handle(request)).await
    };
    dressed(answer.unwrap_or_else(Problem::reply), origin)
}

impl Api {
    async fn handle(self: &Arc<Self>, request: HttpRequest) -> Result<HttpReply, Problem> {
        let token = self.admit(&request.headers, request.client, request.is_secure).await?;
        let site = self.hub.site(self.domain.domain());
        let site =
            site.ok_or_else(|| Problem::busy("The server does not serve this domain now."))?;
        let path = request.path.clone();
        let Some(path) = path.strip_prefix(VERSION) else {
            return Err(Problem::not_found(format!("There is {VERSION} here and nothing else.")));
        };
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        match path {
            OPENAPI if is_read => Ok(json(openapi::document(&site, &self.address()).to_string())),
            EVENTS if is_read => self.listen(&token, request),
            OPENAPI | EVENTS => Err(Problem::method(READS)),
            path => self.order(site, token, path, request).await,
        }
    }

    /// Gives a command: by GET if it only tells, else by POST.
    async fn order(
        self: &Arc<Self>,
        site: Arc<Site>,
        token: Token,
        path: &str,
        request: HttpRequest,
    ) -> Result<HttpReply, Problem> {
        let command = find(&site, path)?;
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        match (command.is_read, is_read) {
            (true, false) => return Err(Problem::method(READS)),
            (false, _) if request.method != Method::POST => return Err(Problem::method("POST")),
            _ => {}
        }
        if !token.allows(command.about()) {
            return Err(insufficient(&Scope::of(command.about()).to_string()));
        }
        let filled = if is_read {
            values::from_query(command.about(), request.query.as_deref())?
        } else {
            let body = self.body(request).await?;
            values::from_json(command.about(), &body)?
        };
        let caller = Caller::Token { everywhere: token.is_everywhere(), name: token.name };
        let said = self.run(site, command, caller, filled).await?;
        Ok(json(said.to_json().to_string()))
    }

    /// Runs a command to its end, whether the client waits for that or not: what was done is noted.
    async fn run(
        &self,
        site: Arc<Site>,
        command: Command,
        caller: Caller,
        filled: Values,
    ) -> Result<Said, Problem> {
        let permit = Arc::clone(&self.running).try_acquire_owned();
        let permit = permit.map_err(|_| Problem::busy("Too many commands are running."))?;
        let (done, answer) = oneshot::channel();
        self.hub.clock().spawn(async move {
            let _permit = permit;
            let said = site.run(&command, caller, true, filled).await;
            // Nobody is there to hear it when the client has left.
            let _ = done.send(said);
        });
        match answer.await {
            Ok(said) => said.map_err(Problem::from),
            Err(_) => Err(Refusal::failed("something broke; the server's log says what").into()),
        }
    }

    /// The body of a request: JSON of a bounded size, in a bounded time.
    async fn body(&self, mut request: HttpRequest) -> Result<Vec<u8>, Problem> {
        check_kind(&request.headers)?;
        let most = self.config.body_size.0;
        let too_large = || {
            let detail = format!("A request has {most} bytes at most.");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "not-acceptable", detail)
        };
        if request.body.length().is_some_and(|length| length > most) {
            return Err(too_large());
        }
        let clock = self.hub.clock();
        let deadline = clock.now() + BODY;
        let read = async {
            let mut body = Vec::new();
            while let Some(piece) = request.body.next().await {
                let piece: Bytes = piece.map_err(|_| Problem::bad("The request broke off."))?;
                if (body.len() + piece.len()) as u64 > most {
                    return Err(too_large());
                }
                body.extend_from_slice(&piece);
            }
            Ok(body)
        };
        tokio::select! {
            body = read => body,
            () = clock.until(Some(deadline)) => {
                let detail = "The request did not come in time.";
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "remote-server-timeout", detail))
            }
        }
    }

    /// The page that asks, if it is one that may.
    fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let is_listed = |known: &String| known.as_bytes() == origin.as_bytes();
        self.config.origins.iter().any(is_listed).then(|| origin.clone())
    }

    /// Where all this stands.
    pub(super) fn address(&self) -> String {
        let site = self.hub.site(self.domain.domain());
        let url = site.map(|site| site.url_of(NAME)).unwrap_or_default();
        url + VERSION
    }
}

/// The command whose words are the parts of `path`.
fn find(site: &Site, path: &str) -> Result<Command, Problem> {
    let words: Vec<&str> = path.split('/').collect();
    let mut commands = site.router.commands();
    if let Some(command) = commands.find(|command| command.words == words) {
        return Ok(command.clone());
    }
    let words: Vec<String> = words.iter().map(|word| word.chars().take(40).collect()).collect();
    let all = Commands::new(site.router.commands().cloned()).map_err(Problem::failed)?;
    match all.by_words(&words) {
        Ok(command) => Ok(command.clone()),
        Err(refusal) => Err(refusal.into()),
    }
}

/// JSON, or nothing at all.
fn check_kind(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    let essence = kind.unwrap_or(b"application/json").split(|byte| *byte == b';').next();
    if essence.is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(b"application/json")) {
        return Ok(());
    }
    let detail = "A request is of the type application/json.";
    let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-acceptable", detail);
    Err(problem.with(header::ACCEPT, HeaderValue::from_static("application/json")))
}

pub(super) fn json(text: String) -> HttpReply {
    let reply = HttpReply::status(StatusCode::OK)
        .with(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    HttpReply { content: Content::Bytes(text.into()), ..reply }
}

/// What a browser asks before it lets a page ask.
fn preflight(is_listed: bool) -> HttpReply {
    let reply = HttpReply::status(StatusCode::NO_CONTENT)
        .with(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST, OPTIONS"));
    if !is_listed {
        return reply;
    }
    reply
        .with(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST"))
        .with(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("Authorization, Content-Type, Last-Event-ID"),
        )
        .with(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"))
}

/// Nothing of this is for caches, and nothing of it is a page.
fn dressed(reply: HttpReply, origin: Option<HeaderValue>) -> HttpReply {
    let reply = reply
        .with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .with(header::VARY, HeaderValue::from_static("Origin"))
        .with(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
        );
    match origin {
        Some(origin) => reply.with(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin).with(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("Retry-After, WWW-Authenticate"),
        ),
        None => reply,
    }
}
