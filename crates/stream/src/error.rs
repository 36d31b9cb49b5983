//! Stream errors (RFC 6120 §4.9).

use std::borrow::Cow;
use std::fmt;

use waxwing_xml::{XmlError, write};

pub(crate) const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";

/// A stream error: unrecoverable, sent once, and followed by the end of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// What went wrong.
    pub condition: Condition,
    /// For people, in English.
    pub text: Option<Cow<'static, str>>,
    /// An application-specific condition: one whole element.
    pub app: Option<String>,
    /// Where to go instead: the content of `see-other-host`.
    pub host: Option<String>,
}

macro_rules! conditions {
    ($($variant:ident $constructor:ident $name:literal $doc:literal;)*) => {
        /// The conditions of RFC 6120 §4.9.3.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Condition { $(#[doc = $doc] $variant,)* }

        impl Condition {
            /// Every condition, in the order of the RFC.
            pub const ALL: &'static [Condition] = &[$(Condition::$variant,)*];

            /// The name of the element.
            pub fn name(self) -> &'static str {
                match self { $(Condition::$variant => $name,)* }
            }
        }

        impl StreamError {
            $(
                #[doc = $doc]
                pub fn $constructor() -> StreamError { StreamError::new(Condition::$variant) }
            )*
        }
    };
}

conditions! {
    BadFormat bad_format "bad-format" "XML that cannot be processed.";
    BadNamespacePrefix bad_namespace_prefix "bad-namespace-prefix" "A prefix that is not declared.";
    Conflict conflict "conflict" "A newer stream has taken the place of this one.";
    ConnectionTimeout connection_timeout "connection-timeout" "The peer has been silent too long.";
    HostGone host_gone "host-gone" "The domain is no longer served here.";
    HostUnknown host_unknown "host-unknown" "The domain is not served here.";
    ImproperAddressing improper_addressing "improper-addressing" "A stanza lacks a needed address.";
    InternalServerError internal_server_error "internal-server-error" "The server failed.";
    InvalidFrom invalid_from "invalid-from" "`from` is not an address of the sender.";
    InvalidNamespace invalid_namespace "invalid-namespace" "Not the namespace of XMPP streams.";
    InvalidXml invalid_xml "invalid-xml" "XML that a schema forbids.";
    NotAuthorized not_authorized "not-authorized" "Not before authentication.";
    NotWellFormed not_well_formed "not-well-formed" "Not XML.";
    PolicyViolation policy_violation "policy-violation" "Against the policy of this server.";
    RemoteConnectionFailed remote_connection_failed "remote-connection-failed"
        "Another server that is needed cannot be reached.";
    Reset reset "reset" "The stream has to be negotiated anew.";
    ResourceConstraint resource_constraint "resource-constraint" "The server lacks the means.";
    RestrictedXml restricted_xml "restricted-xml" "XML that XMPP forbids.";
    SeeOtherHost see_other_host "see-other-host" "Connect elsewhere.";
    SystemShutdown system_shutdown "system-shutdown" "The server is going down.";
    UndefinedCondition undefined_condition "undefined-condition" "None of the other conditions.";
    UnsupportedEncoding unsupported_encoding "unsupported-encoding" "Not UTF-8.";
    UnsupportedFeature unsupported_feature "unsupported-feature" "A needed feature is missing.";
    UnsupportedStanzaType unsupported_stanza_type "unsupported-stanza-type"
        "A first-level element that nobody here understands.";
    UnsupportedVersion unsupported_version "unsupported-version" "Not XMPP 1.0.";
}

impl StreamError {
    /// The bare condition.
    pub fn new(condition: Condition) -> StreamError {
        StreamError { condition, text: None, app: None, host: None }
    }

    /// Adds words for people.
    pub fn text(mut self, text: impl Into<Cow<'static, str>>) -> StreamError {
        self.text = Some(text.into());
        self
    }

    /// Adds an application-specific condition: one element with its own `xmlns`.
    pub fn with(mut self, app: impl Into<String>) -> StreamError {
        self.app = Some(app.into());
        self
    }

    /// `see-other-host` with the place to go to: `host` or `host:port`.
    pub fn see_other(host: impl Into<String>) -> StreamError {
        StreamError { host: Some(host.into()), ..StreamError::see_other_host() }
    }

    /// Whether a session with stream management may outlive this error. It may not where the
    /// session has moved (`conflict`), is being ended on purpose (`host-gone`,
    /// `not-authorized`, `reset`, `policy-violation`), or cannot be replayed: counters that
    /// disagree (`undefined-condition`) and a full queue (`resource-constraint`).
    pub fn leaves_session(&self) -> bool {
        use Condition::{
            Conflict, HostGone, NotAuthorized, PolicyViolation, Reset, ResourceConstraint,
            UndefinedCondition,
        };
        !matches!(
            self.condition,
            Conflict
                | HostGone
                | NotAuthorized
                | Reset
                | PolicyViolation
                | ResourceConstraint
                | UndefinedCondition
        )
    }

    /// Writes the element. `declare` binds the prefix on the element itself, as WebSocket
    /// messages need it (RFC 7395 §3.3.3).
    pub(crate) fn write(&self, out: &mut String, declare: bool) {
        out.push_str("<stream:error");
        if declare {
            write::attribute(out, "xmlns:stream", crate::STREAM);
        }
        out.push_str("><");
        out.push_str(self.condition.name());
        write::attribute(out, "xmlns", STREAM_ERRORS);
        match &self.host {
            Some(host) => {
                out.push('>');
                write::text(out, host);
                out.push_str("</");
                out.push_str(self.condition.name());
                out.push('>');
            }
            None => out.push_str("/>"),
        }
        if let Some(text) = &self.text {
            out.push_str("<text");
            write::attribute(out, "xmlns", STREAM_ERRORS);
            write::attribute(out, "xml:lang", "en");
            out.push('>');
            write::text(out, text);
            out.push_str("</text>");
        }
        out.push_str(self.app.as_deref().unwrap_or_default());
        out.push_str("</stream:error>");
    }
}

impl From<XmlError> for StreamError {
    fn from(error: XmlError) -> Self {
        match error {
            XmlError::NotWellFormed(text) => StreamError::not_well_formed().text(text),
            XmlError::Restricted(text) => StreamError::restricted_xml().text(text),
            XmlError::BadPrefix(text) => StreamError::bad_namespace_prefix().text(text),
            XmlError::Encoding(text) => StreamError::unsupported_encoding().text(text),
            // RFC 6120 §13.12: "a server ... MUST ... policy-violation" for oversized elements.
            XmlError::TooLarge(text) => StreamError::policy_violation().text(text),
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.name())?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StreamError {}
