//! The `<body/>` around everything: read from a request, written around an answer.

use bytes::Bytes;
use hyper::StatusCode;
use waxwing_xml::{Child, Element, Limits, write};

/// The namespace of `<body/>`.
pub(super) const NS: &str = "http://jabber.org/protocol/httpbind";
const STREAM: &str = "http://etherx.jabber.org/streams";
const CLIENT: &str = "jabber:client";
/// §14.1 "The client MUST take care to choose an initial 'rid' that will never be incremented above
/// 9007199254740991".
const RID_MAX: u64 = 9_007_199_254_740_991;

/// What a client sends in one request.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// Its number.
    pub(super) rid: u64,
    /// The session; None asks for a new one.
    pub(super) sid: Option<String>,
    /// The stream begins anew after authentication (XEP-0206 §5).
    pub(super) is_restart: bool,
    /// The client leaves.
    pub(super) is_last: bool,
    /// For how long the client will be silent, in seconds.
    pub(super) pause: Option<u32>,
    /// Whole elements that can stand alone.
    pub(super) payloads: Vec<String>,
    /// What the request says of a stream that it opens.
    pub(super) header: Header,
    /// What it asks of a new session.
    pub(super) terms: Terms,
}

/// What goes into the header of a stream.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) to: Option<String>,
    from: Option<String>,
    lang: Option<String>,
}

/// What a client wants of a session (§7.1).
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// Seconds.
    pub(super) wait: Option<u32>,
    pub(super) hold: Option<u32>,
    /// The minor version of BOSH 1.
    pub(super) minor: Option<u32>,
    pub(super) acks: bool,
    pub(super) content: Option<String>,
}

/// Why a session ends (§17.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terminal {
    /// Because the client or the stream wants it.
    Clean,
    BadRequest,
    ImproperAddressing,
    ItemNotFound,
    PolicyViolation,
    RemoteStreamError,
    SystemShutdown,
}

/// An answer, as often as it has to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Request {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// What the client hears.
    pub(super) fn read(bytes: &[u8], bytes_max: usize) -> Result<Self, Terminal> {
        let limits = Limits { element_bytes: bytes_max, ..Limits::default() };
        let bytes = bytes.trim_ascii();
        let body = waxwing_xml::parse(bytes, &limits, "", true);
        let body = body.map_err(|_| Terminal::BadRequest)?;
        // §6 "The <body/> wrapper MUST NOT contain any XML character data".
        if !body.is("body", NS) || !body.text().trim().is_empty() {
            return Err(Terminal::BadRequest);
        }
        let text = |name: &str| body.attribute(name).map(|value| value.into_owned());
        let rid: Option<u64> = number(&body, "rid")?;
        Ok(Self {
            rid: rid.filter(|rid| (1..=RID_MAX).contains(rid)).ok_or(Terminal::BadRequest)?,
            sid: text("sid"),
            is_restart: is_restart(&body),
            is_last: body.attribute("type").is_some_and(|kind| kind == "terminate"),
            pause: number(&body, "pause")?,
            payloads: body.children().map(alone).collect(),
            header: Header {
                to: text("to").filter(|to| !to.is_empty()),
                from: text("from").filter(|from| !from.is_empty()),
                lang: body.lang().map(|lang| lang.into_owned()),
            },
            terms: Terms {
                wait: number(&body, "wait")?,
                hold: number(&body, "hold")?,
                minor: minor(&body),
                acks: body.attribute("ack").is_some(),
                content: text("content"),
            },
        })
    }

    /// Whether it brings nothing and wants nothing but an answer.
    pub(super) fn is_empty(&self) -> bool {
        self.payloads.is_empty() && !self.is_restart && !self.is_last && self.pause.is_none()
    }
}

impl Header {
    /// `<open/>`, as RFC 7395 §3.4 has it.
    pub(super) fn open(&self) -> String {
        let mut out = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'".to_owned();
        for (name, value) in [("to", &self.to), ("from", &self.from), ("xml:lang", &self.lang)] {
            if let Some(value) = value {
                write::attribute(&mut out, name, value);
            }
        }
        out + " version='1.0'/>"
    }
}

/// A number without sign; absent is None, anything else is a mistake.
fn number<N: std::str::FromStr>(body: &Element, name: &str) -> Result<Option<N>, Terminal> {
    let Some(text) = body.attribute(name) else { return Ok(None) };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number.map(Some).ok_or(Terminal::BadRequest)
}

/// `xmpp:restart='true'`, whatever the prefix.
fn is_restart(body: &Element) -> bool {
    let mut attributes = body.attributes();
    attributes.any(|(name, value)| name.ends_with(":restart") && (value == "true" || value == "1"))
}

/// The minor number of `ver='1.N'`.
fn minor(body: &Element) -> Option<u32> {
    let version = body.attribute("ver")?;
    version.split_once('.')?.1.parse().ok()
}

/// A payload out of its wrapper. XEP-0206 §2: existing clients "do not specify the namespace of
/// <message/>, <presence/>, or <iq/> elements", and "simply assume that the full content of the
/// 'jabber:client' namespace is a subset of the 'http://jabber.org/protocol/httpbind' namespace".
fn alone(child: Child<'_>) -> String {
    match child.namespace() {
        NS => child.as_str().replacen(NS, CLIENT, 1),
        _ => child.as_str().to_owned(),
    }
}

impl Terminal {
    fn condition(self) -> Option<&'static str> {
        Some(match self {
            Self::Clean => return None,
            Self::BadRequest => "bad-request",
            Self::ImproperAddressing => "improper-addressing",
            Self::ItemNotFound => "item-not-found",
            Self::PolicyViolation => "policy-violation",
            Self::RemoteStreamError => "remote-stream-error",
            Self::SystemShutdown => "system-shutdown",
        })
    }

    /// §17.1: clients that name no version know errors by their HTTP status only.
    fn status(self, is_legacy: bool) -> StatusCode {
        match self {
            Self::BadRequest if is_legacy => StatusCode::BAD_REQUEST,
            Self::PolicyViolation if is_legacy => StatusCode::FORBIDDEN,
            Self::ItemNotFound if is_legacy => StatusCode::NOT_FOUND,
            _ => StatusCode::OK,
        }
    }

    /// The answer that ends a session, with what is still to be said.
    pub(super) fn answer(self, attributes: &str, payload: &str, is_legacy: bool) -> Answer {
        let mut all = attributes.to_owned();
        write::attribute(&mut all, "type", "terminate");
        if let Some(condition) = self.condition() {
            write::attribute(&mut all, "condition", condition);
        }
        Answer { status: self.status(is_legacy), body: wrap(&all, payload) }
    }
}

impl Answer {
    /// `<body/>` with attributes, each with a space in front, and whole elements.
    pub(super) fn of(attributes: &str, payload: &str) -> Self {
        Self { status: StatusCode::OK, body: wrap(attributes, payload) }
    }

    /// §17.3: the client should send again what has not been answered.
    pub(super) fn again() -> Self {
        Self::of(" type='error'", "")
    }
}

fn wrap(attributes: &str, payload: &str) -> Bytes {
    let mut out = format!("<body xmlns='{NS}'{attributes}");
    if payload.is_empty() {
        return Bytes::from(out + "/>");
    }
    // XEP-0206 §2: around features and errors the wrapper "MUST include the namespace
    // xmlns:stream".
    if payload.contains("<stream:") {
        write::attribute(&mut out, "xmlns:stream", STREAM);
    }
    Bytes::from(out + ">" + payload + "</body>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, Terminal> {
        Request::read(text.as_bytes(), 1000)
    }

    #[test]
    fn payloads_can_stand_alone_and_belong_to_clients() {
        let request = read(
            "<body xmlns='http://jabber.org/protocol/httpbind' rid='7' sid='s' xmlns:p='urn:p'>\
             <message id='1'><body>Hi</body></message> \
             <iq xmlns='jabber:client'/><p:x/></body>",
        )
        .unwrap();
        assert_eq!((request.rid, request.sid.as_deref()), (7, Some("s")));
        let parsed = |text: &str| {
            let limits = Limits::default();
            let element = waxwing_xml::parse(text.as_bytes(), &limits, "", false).unwrap();
            let body = element.children().next().map(|child| child.namespace().to_owned());
            (element.name().to_owned(), element.namespace().to_owned(), body)
        };
        let client = || CLIENT.to_owned();
        let all: Vec<_> = request.payloads.iter().map(|text| parsed(text)).collect();
        assert_eq!(
            all,
            [
                ("message".to_owned(), client(), Some(client())),
                ("iq".to_owned(), client(), None),
                ("x".to_owned(), "urn:p".to_owned(), None),
            ]
        );
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let body = |inside: &str| format!("<body xmlns='{NS}' {inside}");
        for wrong in [
            "",
            "x",
            "<body rid='1'/>",
            "<stream xmlns='http://jabber.org/protocol/httpbind' rid='1'/>",
            &body("/>"),
            &body("rid='0'/>"),
            &body("rid='-1'/>"),
            &body("rid='+1'/>"),
            &body("rid='9007199254740992'/>"),
            &body("rid='1' wait='soon'/>"),
            &body("rid='1'>text</body>"),
            &body("rid='1'><a></body>"),
            &body("rid='1'/><body/>"),
            &body(&format!("rid='1'>{}</body>", "<a/>".repeat(300))),
        ] {
            assert_eq!(read(wrong).unwrap_err(), Terminal::BadRequest, "{wrong}");
        }
    }

    #[test]
    fn a_restart_is_seen_under_any_prefix() {
        let request = |attribute: &str| {
            let text = format!("<body xmlns='{NS}' xmlns:x='urn:xmpp:xbosh' rid='1' {attribute}/>");
            read(&text).unwrap().is_restart
        };
        assert!(request("x:restart='true'"));
        assert!(request("x:restart='1'"));
        assert!(!request("x:restart='false'"));
        assert!(!request(""));
    }

    #[test]
    fn what_opens_a_stream_is_escaped() {
        let text = format!("<body xmlns='{NS}' rid='1' to='a&apos;/&gt;&lt;b' xml:lang='de'/>");
        let open = read(&text).unwrap().header.open();
        let limits = Limits::default();
        let element = waxwing_xml::parse(open.as_bytes(), &limits, "", false).unwrap();
        assert_eq!(element.attribute("to").unwrap(), "a'/><b");
        assert_eq!(element.lang().unwrap(), "de");
    }
}
