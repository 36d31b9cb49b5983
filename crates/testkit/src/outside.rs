//! The rest of the web, simulated: what the server asks of others over HTTP, and what others ask of
//! it (`web < POST https://…`, `web > POST https://… text`).

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use waxwing_kernel::Hub;
use waxwing_kernel::http::{Content, HttpReply, HttpRequest, Intake, Method};
use waxwing_kernel::outgoing::{
    Bytes, Fetch, FetchError, FetchReply, FetchRequest, HeaderMap, StatusCode,
};
use waxwing_kernel::request::Answer;

/// What a scenario does on the web.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebAct {
    /// `web answers 200 text`: to everything from now on; 201 with nothing before.
    Answers(StatusCode, String),
    /// `web < POST https://push.example/1`: the server asks this next.
    Asked(String),
    /// `web > POST https://localhost/push/… text`: somebody asks the server this.
    Ask(String),
    /// `web < 201`: the server answers so.
    Answered(StatusCode),
    /// `web <<`: the server asks nothing more.
    Silence,
}

impl WebAct {
    /// Reads what stands behind `web`; None when it has the shape of no line.
    pub(crate) fn read(text: &str) -> Option<Result<Self, String>> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        let status = || rest.parse::<StatusCode>().map_err(|_| "a status is a number".to_owned());
        Some(match (verb, rest) {
            ("answers", _) => {
                let (status, body) = rest.split_once(' ').unwrap_or((rest, ""));
                let status = status.parse().map_err(|_| "a status is a number".to_owned());
                status.map(|status| Self::Answers(status, body.to_owned()))
            }
            ("<", _) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
                status().map(Self::Answered)
            }
            ("<", _) => Ok(Self::Asked(rest.to_owned())),
            (">", _) => Ok(Self::Ask(rest.to_owned())),
            ("<<", "") => Ok(Self::Silence),
            _ => return None,
        })
    }
}

/// How long something may take that must happen.
const PATIENCE: Duration = Duration::from_secs(2);

/// Everybody outside: answers every request alike, and remembers it.
#[derive(Clone, Default)]
pub struct Outside(Arc<Shared>);

#[derive(Default)]
struct Shared {
    memory: Mutex<Memory>,
    more: Notify,
}

struct Memory {
    answer: (StatusCode, Bytes),
    is_silent: bool,
    asked: VecDeque<FetchRequest>,
}

impl Default for Memory {
    fn default() -> Self {
        let answer = (StatusCode::CREATED, Bytes::new());
        Self { answer, is_silent: false, asked: VecDeque::new() }
    }
}

impl Outside {
    /// What everybody answers from now on.
    pub fn answer(&self, status: StatusCode, body: &str) {
        let mut memory = self.memory();
        (memory.answer, memory.is_silent) = ((status, body.to_owned().into()), false);
    }

    /// Nobody answers from now on, until [`Outside::answer`] says what: what is asked meanwhile is
    /// never answered.
    pub fn hang(&self) {
        self.memory().is_silent = true;
    }

    /// What the server asked first, of what nobody has looked at. Waits a little.
    pub async fn next(&self) -> Option<FetchRequest> {
        let waiting = async {
            loop {
                if let Some(request) = self.memory().asked.pop_front() {
                    return request;
                }
                self.0.more.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.ok()
    }

    /// Nothing was asked that nobody has looked at.
    ///
    /// # Errors
    /// What was.
    pub fn silent(&self) -> Result<(), String> {
        match self.memory().asked.front() {
            Some(request) => Err(format!("the server asked {} {}", request.method, request.url)),
            None => Ok(()),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetch for Outside {
    fn fetch(&self, request: FetchRequest) -> Answer<'static, Result<FetchReply, FetchError>> {
        let mut memory = self.memory();
        memory.asked.push_back(request);
        let (is_silent, (status, body)) = (memory.is_silent, memory.answer.clone());
        drop(memory);
        self.0.more.notify_one();
        if is_silent {
            return Box::pin(std::future::pending());
        }
        let reply = FetchReply { status, headers: HeaderMap::new(), body };
        Box::pin(async move { Ok(reply) })
    }
}

/// An answer of the server to somebody outside, when it comes.
pub(crate) type Pending = oneshot::Receiver<HttpReply>;

/// Asks the server `METHOD URL BODY`, over no socket, in a task of its own.
///
/// # Errors
/// When nothing of the server is at that address.
pub(crate) fn ask(hub: &Hub, words: &str) -> Result<Pending, String> {
    let mut words = words.splitn(3, ' ');
    let method = words.next().unwrap_or_default();
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
    let url = words.next().ok_or("an address is missing")?;
    let body = words.next().unwrap_or_default().to_owned();
    let sites = hub.sites();
    let mut folders = sites
        .iter()
        .flat_map(|site| site.router.https().map(|(module, route)| (site.url_of(module), route)));
    let found = folders.find_map(|(folder, route)| Some((url.strip_prefix(&folder)?, route)));
    let (path, route) = found.ok_or_else(|| format!("nothing answers at {url}"))?;
    let request = HttpRequest {
        method,
        path: path.to_owned(),
        query: None,
        headers: HeaderMap::new(),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        is_secure: true,
        body: Box::new(Whole(Some(body.into()))),
    };
    let (tell, told) = oneshot::channel();
    hub.clock().spawn(async move {
        let _ = tell.send(route(request).await);
    });
    Ok(told)
}

/// Checks the status of an answer. Waits a little for it.
///
/// # Errors
/// What came instead.
pub(crate) async fn check(pending: Pending, status: StatusCode) -> Result<(), String> {
    let reply = tokio::time::timeout(PATIENCE, pending).await.ok().and_then(Result::ok);
    let reply = reply.ok_or("the server has not answered")?;
    if reply.status == status {
        return Ok(());
    }
    let text = match &reply.content {
        Content::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => "something longer".to_owned(),
    };
    Err(format!("expected {status}, got {}: {text}", reply.status))
}

/// A body that is there at once.
struct Whole(Option<Bytes>);

impl Intake for Whole {
    fn length(&self) -> Option<u64> {
        self.0.as_ref().map(|bytes| bytes.len() as u64)
    }

    fn next(&mut self) -> Answer<'_, Option<std::io::Result<Bytes>>> {
        let bytes = self.0.take().filter(|bytes| !bytes.is_empty());
        Box::pin(async move { bytes.map(Ok) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        let read = |text| WebAct::read(text).map(|act| act.unwrap());
        let gone = WebAct::Answers(StatusCode::GONE, String::new());
        assert_eq!(read("answers 410"), Some(gone));
        let told = WebAct::Answers(StatusCode::OK, "{\"ok\": true}".to_owned());
        assert_eq!(read("answers 200 {\"ok\": true}"), Some(told));
        assert_eq!(read("< 201"), Some(WebAct::Answered(StatusCode::CREATED)));
        assert_eq!(read("< POST https://a/"), Some(WebAct::Asked("POST https://a/".to_owned())));
        assert_eq!(read("> GET https://a/"), Some(WebAct::Ask("GET https://a/".to_owned())));
        assert_eq!(read("<<"), Some(WebAct::Silence));
        assert_eq!(read("says hello"), None);
        assert!(WebAct::read("answers well").unwrap().is_err());
    }
}
