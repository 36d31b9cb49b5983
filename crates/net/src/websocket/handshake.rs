//! The opening handshake of a WebSocket that speaks XMPP (RFC 6455 §4.2, RFC 7395 §3.1).

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, StatusCode, Version};

use super::extension::Agreed;

/// RFC 6455 §1.3.
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// RFC 7395 §3.1.
pub const SUBPROTOCOL: &str = "xmpp";

/// Which web pages may connect. Clients that are not browsers send no `Origin` and always may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Every page: right where each login proves itself with SASL.
    #[default]
    Any,
    /// Only pages of these origins, such as `https://chat.example.org`.
    Only(Vec<String>),
}

impl Origins {
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        let Self::Only(listed) = self else { return true };
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        listed.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    }
}

/// Why a request does not become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a GET: 405.
    Method,
    /// A plain visit, with no sign of a WebSocket in it: a page for people.
    Visit,
    /// `Upgrade` came without `Connection: Upgrade` or in HTTP/1.0, as a proxy does that is not
    /// set up for it: 400.
    Connection,
    /// `Sec-WebSocket-Version` is not 13: 426.
    Version,
    /// `Sec-WebSocket-Key` is missing or not 16 bytes in base64: 400.
    Key,
    /// The client did not offer `xmpp`: 400.
    Subprotocol,
    /// `Sec-WebSocket-Extensions` does not follow its grammar: 400.
    Extensions,
    /// The page's origin is not listed: 403.
    Origin,
}

impl Refusal {
    /// The HTTP status that says it.
    pub fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::Visit | Self::Version => 426,
            Self::Connection | Self::Key | Self::Subprotocol | Self::Extensions => 400,
            Self::Origin => 403,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "Only GET opens a WebSocket.",
            Self::Visit => "This address speaks XMPP over WebSocket (RFC 7395).",
            Self::Connection => {
                "The request asks for a WebSocket but lacks 'Connection: Upgrade' over HTTP/1.1. \
                 If a proxy stands in between, let it forward upgrades (nginx: \
                 proxy_http_version 1.1 and the Upgrade and Connection headers)."
            }
            Self::Version => "Only WebSocket version 13 (RFC 6455) is spoken here.",
            Self::Key => "Sec-WebSocket-Key must be 16 bytes in base64.",
            Self::Subprotocol => {
                "XMPP clients offer the subprotocol 'xmpp' in Sec-WebSocket-Protocol (RFC 7395)."
            }
            Self::Extensions => "Sec-WebSocket-Extensions is malformed (RFC 6455 §9.1).",
            Self::Origin => "Pages of this origin may not connect here.",
        })
    }
}

/// What the answer to a good request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: String,
    /// What the client offers, as far as we speak it.
    pub deflate: Option<Agreed>,
}

/// Judges a request.
///
/// # Errors
/// The first reason why no WebSocket is opened.
pub fn judge(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    origins: &Origins,
) -> Result<Opening, Refusal> {
    if method != Method::GET {
        return Err(Refusal::Method);
    }
    if !lists(headers, header::UPGRADE, "websocket") {
        return Err(Refusal::Visit);
    }
    if version < Version::HTTP_11 || !lists(headers, header::CONNECTION, "upgrade") {
        return Err(Refusal::Connection);
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::Version);
    }
    let key = single(headers, header::SEC_WEBSOCKET_KEY).ok_or(Refusal::Key)?;
    if STANDARD.decode(key).map_or(0, |bytes| bytes.len()) != 16 {
        return Err(Refusal::Key);
    }
    let deflate = agree(headers, origins)?;
    Ok(Opening { accept: accept_key(key.as_bytes()), deflate })
}

/// Judges an extended CONNECT of HTTP/2. RFC 8441 §5: "The :protocol pseudo-header field MUST be
/// included …, and it MUST have a value of websocket"; `Upgrade`, `Connection` and the key have no
/// place there.
///
/// # Errors
/// The first reason why no WebSocket is opened.
pub fn judge_stream(headers: &HeaderMap, origins: &Origins) -> Result<Option<Agreed>, Refusal> {
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::Version);
    }
    agree(headers, origins)
}

/// What both kinds of handshake have in common.
fn agree(headers: &HeaderMap, origins: &Origins) -> Result<Option<Agreed>, Refusal> {
    // RFC 7395 §3.1 "the client MUST include the value 'xmpp' in the list of protocols". Naming it
    // to a client that did not offer it would make a browser drop the connection.
    if !lists(headers, header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err(Refusal::Subprotocol);
    }
    if !origins.admit(headers) {
        return Err(Refusal::Origin);
    }
    Agreed::to(headers).map_err(|_| Refusal::Extensions)
}

/// What a client that sent `key` thinks of the answer (RFC 6455 §4.1). Nothing but the subprotocol
/// was offered.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn judge_answer(
    status: StatusCode,
    headers: &HeaderMap,
    key: &str,
) -> Result<(), &'static str> {
    let accept = single(headers, header::SEC_WEBSOCKET_ACCEPT);
    match status {
        StatusCode::SWITCHING_PROTOCOLS => {}
        _ => return Err("it does not open a WebSocket"),
    }
    if !lists(headers, header::UPGRADE, "websocket")
        || !lists(headers, header::CONNECTION, "upgrade")
        || accept != Some(accept_key(key.as_bytes()).as_str())
    {
        return Err("its answer is not that of a WebSocket");
    }
    // "the client MUST _Fail the WebSocket Connection_" for extensions that it did not ask for.
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return Err("it uses an extension that was not offered");
    }
    // RFC 7395 §3.1: "If a client receives a handshake response that does not include 'xmpp' in the
    // 'Sec-WebSocket-Protocol' header, then an XMPP subprotocol WebSocket connection was not
    // established and the client MUST close the WebSocket connection."
    match single(headers, header::SEC_WEBSOCKET_PROTOCOL) {
        Some(SUBPROTOCOL) => Ok(()),
        _ => Err("its WebSocket does not speak XMPP"),
    }
}

/// Whether one of the comma-separated values of all `name` headers is `wanted`, in any case.
fn lists(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(wanted))
}

fn single(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then(|| value.trim())
}

/// RFC 6455 §4.2.2: SHA-1 of the key and a fixed text, in base64.
fn accept_key(key: &[u8]) -> String {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(ACCEPT_GUID);
    STANDARD.encode(hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[(&str, &str)] = &[
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "xmpp"),
    ];

    /// The good request with one header replaced, or removed when the value is empty.
    fn with(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (key, value) in GOOD.iter().filter(|(key, _)| *key != name) {
            headers.insert(*key, value.parse().unwrap());
        }
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn answer(headers: &HeaderMap) -> Result<String, Refusal> {
        judge(&Method::GET, Version::HTTP_11, headers, &Origins::Any).map(|good| good.accept)
    }

    #[test]
    fn accept_key_is_that_of_rfc_6455_section_1_3() {
        assert_eq!(answer(&with("none", &[])), Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned()));
    }

    #[test]
    fn each_rule_of_the_request_is_judged() {
        type Row = (&'static str, &'static [&'static str], Option<Refusal>);
        let table: &[Row] = &[
            ("upgrade", &["WebSocket"], None),
            ("upgrade", &["h2c, websocket"], None),
            ("upgrade", &[], Some(Refusal::Visit)),
            ("upgrade", &["h2c"], Some(Refusal::Visit)),
            ("connection", &["keep-alive, Upgrade"], None),
            ("connection", &["keep-alive", "upgrade"], None),
            ("connection", &["close"], Some(Refusal::Connection)),
            ("sec-websocket-version", &["8"], Some(Refusal::Version)),
            ("sec-websocket-version", &[], Some(Refusal::Version)),
            ("sec-websocket-key", &[], Some(Refusal::Key)),
            ("sec-websocket-key", &["c2hvcnQ="], Some(Refusal::Key)),
            ("sec-websocket-key", &["!!"], Some(Refusal::Key)),
            ("sec-websocket-protocol", &["foo, xmpp"], None),
            ("sec-websocket-protocol", &["foo", "xmpp"], None),
            ("sec-websocket-protocol", &[], Some(Refusal::Subprotocol)),
            ("sec-websocket-protocol", &["xmpp2"], Some(Refusal::Subprotocol)),
            ("sec-websocket-extensions", &["permessage-deflate; x=1"], None),
            ("sec-websocket-extensions", &["permessage-deflate; ="], Some(Refusal::Extensions)),
        ];
        for (name, values, refusal) in table {
            assert_eq!(answer(&with(name, values)).err(), *refusal, "{name}: {values:?}");
        }
    }

    #[test]
    fn method_and_http_version_are_judged() {
        let headers = with("none", &[]);
        let post = judge(&Method::POST, Version::HTTP_11, &headers, &Origins::Any);
        assert_eq!(post, Err(Refusal::Method));
        let old = judge(&Method::GET, Version::HTTP_10, &headers, &Origins::Any);
        assert_eq!(old, Err(Refusal::Connection));
    }

    #[test]
    fn an_answer_is_judged() {
        let good = [
            ("upgrade", "WebSocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("sec-websocket-protocol", "xmpp"),
        ];
        let judged = |name: &'static str, value: &str, status: u16| {
            let mut headers = HeaderMap::new();
            for (key, value) in good.iter().filter(|(key, _)| *key != name) {
                headers.insert(*key, value.parse().unwrap());
            }
            if !value.is_empty() {
                headers.insert(name, value.parse().unwrap());
            }
            let status = StatusCode::from_u16(status).unwrap();
            judge_answer(status, &headers, "dGhlIHNhbXBsZSBub25jZQ==")
        };
        assert_eq!(judged("none", "", 101), Ok(()));
        for (name, value, status) in [
            ("none", "", 200),
            ("none", "", 404),
            ("upgrade", "", 101),
            ("connection", "close", 101),
            ("sec-websocket-accept", "", 101),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOp=", 101),
            ("sec-websocket-protocol", "", 101),
            ("sec-websocket-protocol", "mqtt", 101),
            ("sec-websocket-extensions", "permessage-deflate", 101),
        ] {
            assert!(judged(name, value, status).is_err(), "{name} {value} {status}");
        }
    }

    #[test]
    fn only_listed_origins_are_admitted() {
        let listed = Origins::Only(vec!["https://chat.example".to_owned()]);
        let ask = |origin: &[&str]| {
            judge(&Method::GET, Version::HTTP_11, &with("origin", origin), &listed).err()
        };
        assert_eq!(ask(&["https://chat.example"]), None);
        assert_eq!(ask(&[]), None);
        assert_eq!(ask(&["https://evil.example"]), Some(Refusal::Origin));
        assert_eq!(ask(&["null"]), Some(Refusal::Origin));
    }
}
