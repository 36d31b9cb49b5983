//! What a module answers over HTTP. Sockets and the protocol itself belong to the network layer;
//! here are only the words that both sides speak.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

pub use bytes::Bytes;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use tokio::sync::mpsc::Receiver;

use crate::request::Answer;
use crate::site::Site;

/// A request for something in the folder of a module. Its body has not been read.
pub struct HttpRequest {
    /// Any method: the module refuses those that it does not know.
    pub method: Method,
    /// What stands behind the folder, percent-encoding untouched, without a `/` in front.
    pub path: String,
    /// What stands behind the `?`, percent-encoding untouched.
    pub query: Option<String>,
    /// All header fields.
    pub headers: HeaderMap,
    /// The client, as the socket or a trusted proxy tells.
    pub client: IpAddr,
    /// TLS ends here or at a trusted proxy.
    pub is_secure: bool,
    /// What the client sends.
    pub body: Box<dyn Intake>,
}

/// The body of a request, piece by piece: whoever reads slowly makes the client send slowly.
pub trait Intake: Send {
    /// The length that the client announced, in bytes; None when it did not.
    fn length(&self) -> Option<u64>;

    /// The next piece; None at the end.
    ///
    /// # Errors
    /// The client went away, sent less than it announced, or nothing for too long
    /// (`ErrorKind::TimedOut`).
    fn next(&mut self) -> Answer<'_, Option<io::Result<Bytes>>>;
}

/// What a module answers.
#[derive(Debug)]
pub struct HttpReply {
    /// The status.
    pub status: StatusCode,
    /// Header fields; the length is added.
    pub headers: HeaderMap,
    /// The body.
    pub content: Content,
}

/// The body of an answer.
#[derive(Debug)]
pub enum Content {
    /// A few bytes.
    Bytes(Bytes),
    /// So many bytes of a file, from where it stands. They are read as the client takes them.
    File {
        /// Open for reading, at the first byte.
        file: File,
        /// How many bytes follow.
        length: u64,
    },
    /// Pieces as they come, until there will be none. Whoever makes them waits while the client
    /// takes none, and finds the channel closed when it is gone. Those who live on have to end by
    /// themselves when the server does, and to say something at least every 20 seconds: a client
    /// that takes nothing for long is let go.
    Stream(Receiver<Bytes>),
}

impl HttpReply {
    /// An empty answer.
    pub fn status(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), content: Content::Bytes(Bytes::new()) }
    }

    /// A sentence for people.
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        let reply = Self::status(status).with(header::CONTENT_TYPE, plain);
        Self { content: Content::Bytes(text.into()), ..reply }
    }

    /// Sets a header field.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// How a module is asked.
pub type HttpRoute = Arc<dyn Fn(HttpRequest) -> Answer<'static, HttpReply> + Send + Sync>;

impl Site {
    /// Says where browsers reach this host: `https://chat.example.org`, without a `/` at its end.
    /// The first word counts.
    pub fn appear(&self, url: String) {
        let _ = self.web.set(url);
    }

    /// Where browsers reach the folder of `module` on this host, a `/` at its end.
    pub fn url_of(&self, module: &str) -> String {
        let url = self.web.get_or_init(|| format!("https://{}", self.domain()));
        format!("{url}{}", self.folder_of(module))
    }

    /// The path of that folder: the module, and which host is meant, because what a request calls
    /// the host is up to proxies and clients.
    pub fn folder_of(&self, module: &str) -> String {
        format!("/{module}/{}/", percent_encoded(self.domain()))
    }
}

/// Everything but the unreserved characters of RFC 3986 §2.3 percent-encoded, as UTF-8.
pub fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

/// The bytes that a percent-encoded text stands for; None when an escape is broken or they are no
/// UTF-8.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        rest = others;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, others @ ..] = rest else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
        rest = others;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_their_way_through_a_url() {
        for (plain, encoded) in [
            ("très cool.jpg", "tr%C3%A8s%20cool.jpg"),
            ("a/b?c#d%e&f", "a%2Fb%3Fc%23d%25e%26f"),
            ("plain-._~", "plain-._~"),
            ("münchen.example", "m%C3%BCnchen.example"),
        ] {
            assert_eq!(percent_encoded(plain), encoded);
            assert_eq!(percent_decoded(encoded).as_deref(), Some(plain));
        }
        for broken in ["%", "%2", "%zz", "%+1", "%ff"] {
            assert_eq!(percent_decoded(broken), None, "{broken}");
        }
    }
}
