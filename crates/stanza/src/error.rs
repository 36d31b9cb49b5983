//! A stanza error: why a stanza was refused (RFC 6120 §8.3).

use std::borrow::Cow;
use std::fmt;

use waxwing_jid::{Jid, JidError};
use waxwing_xml::{Child, Content, write};

use crate::body::OWN;
use crate::{CLIENT, Condition, ErrorKind, STANZA_ERRORS, is_content};

/// The `<error/>` of a stanza of type `error`. Made with the constructor named after its
/// condition: `StanzaError::not_allowed().text("…")`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender may do about it.
    pub kind: ErrorKind,
    /// What is wrong.
    pub condition: Condition,
    /// What is wrong, for people, in English.
    pub text: Option<Cow<'static, str>>,
    /// An application-specific condition: one element with its own `xmlns`.
    pub app: Option<String>,
    /// Who detected the error.
    pub by: Option<Jid>,
    /// What stands in front of the error in the stanza: one element with its own `xmlns`.
    pub beside: Option<Box<str>>,
    /// The new address that goes with `gone` and `redirect` (RFC 6120 §8.3.3.5, §8.3.3.14).
    pub uri: Option<Box<str>>,
}

impl StanzaError {
    /// An error with the type that RFC 6120 §8.3.3 gives to its condition.
    pub fn new(condition: Condition) -> StanzaError {
        let kind = condition.kind();
        StanzaError { kind, condition, text: None, app: None, by: None, beside: None, uri: None }
    }

    /// Says in English what is wrong.
    pub fn text(mut self, text: impl Into<Cow<'static, str>>) -> StanzaError {
        self.text = Some(text.into());
        self
    }

    /// Adds an application-specific condition: one element with its own `xmlns`.
    pub fn with(mut self, app: impl Into<String>) -> StanzaError {
        self.app = Some(app.into());
        self
    }

    /// Replaces the type.
    pub fn kind(mut self, kind: ErrorKind) -> StanzaError {
        self.kind = kind;
        self
    }

    /// Says who detected the error.
    pub fn by(mut self, by: impl Into<Jid>) -> StanzaError {
        self.by = Some(by.into());
        self
    }

    /// Puts an element in front of the error: what of a request was not done, where its answer is
    /// to tell that.
    pub fn beside(mut self, xml: impl Into<Box<str>>) -> StanzaError {
        self.beside = Some(xml.into());
        self
    }

    /// Says where to go instead, for `gone` and `redirect`.
    pub fn uri(mut self, uri: impl Into<Box<str>>) -> StanzaError {
        self.uri = Some(uri.into());
        self
    }

    /// Appends the `<error/>` element.
    pub fn write(&self, out: &mut String) {
        out.push_str("<error");
        if let Some(by) = &self.by {
            write::attribute(out, "by", by.as_str());
        }
        write::attribute(out, "type", self.kind.name());
        out.push('>');
        self.write_condition(out);
        if let Some(text) = &self.text {
            out.push_str("<text");
            write::attribute(out, "xmlns", STANZA_ERRORS);
            out.push_str(" xml:lang='en'>");
            write::text(out, text);
            out.push_str("</text>");
        }
        out.push_str(self.app.as_deref().unwrap_or_default());
        out.push_str("</error>");
    }

    fn write_condition(&self, out: &mut String) {
        let name = self.condition.name();
        out.push('<');
        out.push_str(name);
        write::attribute(out, "xmlns", STANZA_ERRORS);
        match &self.uri {
            None => out.push_str("/>"),
            Some(uri) => {
                out.push('>');
                write::text(out, uri);
                out.push_str("</");
                out.push_str(name);
                out.push('>');
            }
        }
    }

    /// Reads an `<error/>`; `None` when it is something else. What is missing or unknown is
    /// read as `undefined-condition` and as the type that goes with the condition.
    pub fn read(child: Child<'_>) -> Option<StanzaError> {
        if child.name() != "error" || !is_content(child.namespace()) {
            return None;
        }
        let mut error = StanzaError::undefined_condition();
        for part in child.children() {
            if part.namespace() != STANZA_ERRORS {
                error.app = error.app.or_else(|| alone(part));
            } else if part.name() == "text" {
                error.text = Some(part.text().into_owned().into());
            } else if let Some(condition) = Condition::read(part.name()) {
                error.condition = condition;
                let uri = part.text();
                error.uri = Some(uri.trim()).filter(|uri| !uri.is_empty()).map(Box::from);
            }
        }
        let kind = child.attribute("type");
        error.kind = kind.and_then(|it| ErrorKind::read(&it)).unwrap_or(error.condition.kind());
        error.by = child.attribute("by").and_then(|by| Jid::new(&by).ok());
        Some(error)
    }
}

/// An element as it can stand in an error of ours. What uses a prefix that the `<error/>` around it
/// declares cannot: in another stream it would be no XML.
fn alone(part: Child<'_>) -> Option<String> {
    let xml = part.as_str();
    let content = Content::parse(xml, &OWN, CLIENT).ok()?;
    content.child(part.name(), part.namespace()).map(|_| xml.to_owned())
}

impl fmt::Display for StanzaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.name())?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StanzaError {}

impl From<JidError> for StanzaError {
    fn from(error: JidError) -> StanzaError {
        StanzaError::jid_malformed().text(error.to_string())
    }
}
