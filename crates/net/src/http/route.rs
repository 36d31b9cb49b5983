//! The table of routes: what the server crate registers, and how a request finds it.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

/// The largest body of a request, in bytes, where a route says nothing else.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A request with its whole body.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET also stands for HEAD.
    pub method: Method,
    /// As sent, percent-encoding untouched.
    pub path: String,
    /// Behind the `?`.
    pub query: Option<String>,
    /// All header fields.
    pub headers: HeaderMap,
    /// At most what the route allows.
    pub body: Bytes,
    /// The client, as the socket or a trusted proxy tells.
    pub client: IpAddr,
    /// TLS ends here or at a trusted proxy.
    pub is_secure: bool,
}

/// What a handler answers.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Header fields; security headers are added where they are not set here.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// An async function from request to reply.
pub type Handler =
    Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync>;

/// One row of the table.
#[derive(Clone)]
pub struct HttpRoute {
    /// Which method; a GET route answers HEAD too.
    pub method: Method,
    /// An exact path, or with `/*` at its end everything below.
    pub path: String,
    /// Larger bodies get 413.
    pub body_bytes_max: usize,
    /// What answers.
    pub handler: Handler,
}

impl fmt::Debug for HttpRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl HttpRoute {
    /// A route for `method` on `path`; bodies up to 64 KiB.
    pub fn new<F>(
        method: Method,
        path: impl Into<String>,
        handler: impl Fn(Request) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        Self { method, path: path.into(), body_bytes_max: BODY_BYTES_MAX, handler }
    }

    /// A GET route.
    pub fn get<F>(
        path: impl Into<String>,
        handler: impl Fn(Request) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::new(Method::GET, path, handler)
    }

    /// A POST route.
    pub fn post<F>(
        path: impl Into<String>,
        handler: impl Fn(Request) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::new(Method::POST, path, handler)
    }

    fn serves(&self, path: &str) -> bool {
        match self.path.strip_suffix('*') {
            Some(folder) => path.starts_with(folder),
            None => path == self.path,
        }
    }
}

/// Where a request leads.
pub(super) enum Match<'a> {
    Route(&'a HttpRoute),
    /// The path is known, but for these methods only.
    Method(String),
    None,
}

/// Finds the route of a request. An exact path wins over a longer folder, which wins over a
/// shorter one.
pub(super) fn find<'a>(routes: &'a [HttpRoute], method: &Method, path: &str) -> Match<'a> {
    let mut serving: Vec<&HttpRoute> = routes.iter().filter(|route| route.serves(path)).collect();
    serving.sort_by_key(|route| (route.path.ends_with('*'), usize::MAX - route.path.len()));
    let Some(best) = serving.first().map(|route| route.path.as_str()) else { return Match::None };
    serving.retain(|route| route.path == best);
    let asked = if method == Method::HEAD { &Method::GET } else { method };
    match serving.iter().find(|route| route.method == *asked) {
        Some(route) => Match::Route(route),
        None => {
            let methods: Vec<_> = serving.iter().map(|route| route.method.as_str()).collect();
            Match::Method(methods.join(", "))
        }
    }
}

impl Reply {
    /// An empty reply.
    pub fn status(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A body of the given content type.
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut reply = Self::status(status);
        reply.body = body.into();
        reply.with(CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// Plain text.
    pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    /// A page.
    pub fn html(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/html; charset=utf-8", body)
    }

    /// JSON.
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, "application/json", body)
    }

    /// Sets a header field.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: Method, path: &str) -> HttpRoute {
        HttpRoute::new(method, path, |_| async { Reply::status(StatusCode::OK) })
    }

    #[test]
    fn exact_paths_win_over_folders_and_methods_are_told() {
        let routes = [
            route(Method::GET, "/files/*"),
            route(Method::GET, "/files/special/*"),
            route(Method::GET, "/files/one"),
            route(Method::POST, "/files/one"),
        ];
        let ask = |method: Method, path: &str| match find(&routes, &method, path) {
            Match::Route(route) => format!("{route:?}"),
            Match::Method(methods) => methods,
            Match::None => "none".to_owned(),
        };
        assert_eq!(ask(Method::GET, "/files/one"), "GET /files/one");
        assert_eq!(ask(Method::HEAD, "/files/one"), "GET /files/one");
        assert_eq!(ask(Method::POST, "/files/one"), "POST /files/one");
        assert_eq!(ask(Method::DELETE, "/files/one"), "GET, POST");
        assert_eq!(ask(Method::GET, "/files/two"), "GET /files/*");
        assert_eq!(ask(Method::GET, "/files/special/x"), "GET /files/special/*");
        assert_eq!(ask(Method::POST, "/files/two"), "GET");
        assert_eq!(ask(Method::GET, "/other"), "none");
    }
}
