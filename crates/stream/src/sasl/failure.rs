//! Why an authentication fails (RFC 6120 §6.5).

use std::borrow::Cow;
use std::fmt;

use waxwing_xml::write;

use crate::event::AuthFailure;
use crate::{SASL, SASL2};

/// How SASL is put into XML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// RFC 6120 §6.
    Sasl1,
    /// XEP-0388.
    Sasl2,
}

impl Profile {
    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Profile::Sasl1 => SASL,
            Profile::Sasl2 => SASL2,
        }
    }
}

/// `<failure/>`: a condition and words for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub condition: FailureCondition,
    /// For people.
    pub text: Option<Cow<'static, str>>,
}

/// The conditions of RFC 6120 §6.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureCondition {
    /// §6.5.1: the client gave up.
    Aborted,
    /// §6.5.2.
    AccountDisabled,
    /// §6.5.3.
    CredentialsExpired,
    /// §6.5.4: TLS first.
    EncryptionRequired,
    /// §6.5.5: not base64.
    IncorrectEncoding,
    /// §6.5.6.
    InvalidAuthzid,
    /// §6.5.7.
    InvalidMechanism,
    /// §6.5.8.
    MalformedRequest,
    /// §6.5.9.
    MechanismTooWeak,
    /// §6.5.10.
    NotAuthorized,
    /// §6.5.11.
    TemporaryAuthFailure,
}

impl FailureCondition {
    /// The name of the element.
    pub fn name(self) -> &'static str {
        match self {
            FailureCondition::Aborted => "aborted",
            FailureCondition::AccountDisabled => "account-disabled",
            FailureCondition::CredentialsExpired => "credentials-expired",
            FailureCondition::EncryptionRequired => "encryption-required",
            FailureCondition::IncorrectEncoding => "incorrect-encoding",
            FailureCondition::InvalidAuthzid => "invalid-authzid",
            FailureCondition::InvalidMechanism => "invalid-mechanism",
            FailureCondition::MalformedRequest => "malformed-request",
            FailureCondition::MechanismTooWeak => "mechanism-too-weak",
            FailureCondition::NotAuthorized => "not-authorized",
            FailureCondition::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }
}

impl Failure {
    pub(crate) fn new(condition: FailureCondition) -> Failure {
        Failure { condition, text: None }
    }

    pub(crate) fn text(mut self, text: impl Into<Cow<'static, str>>) -> Failure {
        self.text = Some(text.into());
        self
    }

    /// Writes the whole element in the words of a profile. In that of XEP-0388 the condition has
    /// its namespace from RFC 6120 (§2.6.2), and what goes with the failure stands behind it.
    pub(crate) fn write(&self, profile: Profile, app: &str, out: &mut String) {
        out.push_str("<failure");
        write::attribute(out, "xmlns", profile.namespace());
        out.push_str("><");
        out.push_str(self.condition.name());
        if profile == Profile::Sasl2 {
            write::attribute(out, "xmlns", SASL);
        }
        out.push_str("/>");
        out.push_str(app);
        if let Some(text) = &self.text {
            out.push_str("<text xml:lang='en'>");
            write::text(out, text);
            out.push_str("</text>");
        }
        out.push_str("</failure>");
    }
}

impl From<AuthFailure> for Failure {
    fn from(failure: AuthFailure) -> Self {
        let (condition, text) = match failure {
            AuthFailure::NotAuthorized => (FailureCondition::NotAuthorized, None),
            AuthFailure::OutOfScope => {
                let text = "this token was not given out for chatting here";
                (FailureCondition::NotAuthorized, Some(text.to_owned()))
            }
            AuthFailure::AccountDisabled(text) => (FailureCondition::AccountDisabled, text),
            AuthFailure::CredentialsExpired => (FailureCondition::CredentialsExpired, None),
            AuthFailure::InvalidAuthzid => (FailureCondition::InvalidAuthzid, None),
            AuthFailure::Temporary(text) => (FailureCondition::TemporaryAuthFailure, text),
        };
        Failure { condition, text: text.map(Cow::Owned) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.name())?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}
