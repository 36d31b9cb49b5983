//! What goes wrong with an authority, in words for the operator.

use std::fmt;

use instant_acme::{Error, Problem};
use waxwing_kernel::outgoing::FetchError;

use super::Challenge;
use super::line::Foreign;

/// What every type of error of ACME begins with (RFC 8555 §6.7).
const TYPES: &str = "urn:ietf:params:acme:error:";
/// The most that is kept of what an authority says (characters).
const DETAIL: usize = 500;

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// What happened.
    words: String,
    /// What to do; empty where waiting helps.
    advice: String,
    /// The authority does not know our account.
    pub(super) is_about_account: bool,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)?;
        if !self.advice.is_empty() {
            write!(f, " {}", self.advice)?;
        }
        Ok(())
    }
}

impl Trouble {
    pub(super) fn new(words: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { words: words.into(), advice: advice.into(), is_about_account: false }
    }

    /// The authority at `directory` could not be asked, or refused.
    pub(super) fn of(directory: &str, error: &Error) -> Self {
        match error {
            Error::Api(problem) => Self::refused(problem),
            Error::Timeout(_) => Self::late(),
            Error::Json(_) => Self::foreign(directory, "it speaks no ACME"),
            Error::Other(inner) => match (inner.downcast_ref(), inner.downcast_ref::<Foreign>()) {
                (Some(failed), _) => Self::unreached(directory, failed),
                (_, Some(foreign)) => Self::foreign(directory, &foreign.to_string()),
                _ => Self::foreign(directory, &inner.to_string()),
            },
            other => Self::foreign(directory, &other.to_string()),
        }
    }

    /// An order takes too long.
    pub(super) fn late() -> Self {
        Self::new("The authority did not finish the order in time.", "")
    }

    fn unreached(directory: &str, failed: &FetchError) -> Self {
        let advice = match failed {
            FetchError::Untrusted(_) => {
                "For an authority of your own network, name the certificate that vouches for it in \
                 acme.authorities."
            }
            FetchError::BadUrl(_) => "Mend acme.directory.",
            _ => "See that this machine may connect to it, and that its DNS works.",
        };
        Self::new(format!("The authority at {directory} could not be asked: {failed}."), advice)
    }

    fn foreign(directory: &str, what: &str) -> Self {
        let words = format!("The authority at {directory} did not answer as it should: {what}.");
        Self::new(words, "If it stays so, see whether acme.directory is right.")
    }

    /// The authority refused to serve us (RFC 8555 §6.7).
    fn refused(problem: &Problem) -> Self {
        let kind = problem.r#type.as_deref().unwrap_or_default();
        let kind = kind.strip_prefix(TYPES).unwrap_or(kind);
        let advice = match kind {
            "rateLimited" => {
                "It counts orders and failures; nothing but waiting helps. Try things out with the \
                 directory of its test system."
            }
            "caa" => "Mend the CAA records of the domain, so that they permit this authority.",
            "externalAccountRequired" => {
                "Make an account there, and write its name and key into acme.external_account and \
                 acme.external_key."
            }
            "userActionRequired" => "Read what it asks for, by the address that it names.",
            "invalidContact" | "unsupportedContact" => "Mend acme.contact.",
            "rejectedIdentifier" => {
                "Get the certificate of this domain elsewhere, and write acme = false below its \
                 [[host]] or name the files there."
            }
            "badCSR" | "badPublicKey" => "Choose another acme.key.",
            "unauthorized" | "malformed" | "accountDoesNotExist" | "serverInternal" => "",
            _ => "",
        };
        let mut trouble = Self::new(format!("The authority refused: {}.", told(problem)), advice);
        trouble.is_about_account = kind == "accountDoesNotExist"
            // RFC 8555 §7.3.6: a deactivated account gets "unauthorized".
            || (kind == "unauthorized" && told(problem).contains("account"));
        trouble
    }

    /// The authority looked for a proof for `name` and did not find it.
    pub(super) fn unproven(name: &str, challenge: Challenge, problem: Option<&Problem>) -> Self {
        let kind = problem.and_then(|problem| problem.r#type.as_deref()).unwrap_or_default();
        let (port, place) = match challenge {
            Challenge::Http01 => (
                80,
                "listen.challenges, or a proxy that passes \
                 /.well-known/acme-challenge/ on to the http port",
            ),
            Challenge::TlsAlpn01 => (
                443,
                "one of our ports with TLS, without a proxy that ends \
                 TLS itself",
            ),
        };
        let advice = match kind.strip_prefix(TYPES).unwrap_or(kind) {
            "dns" => format!("Add an A or AAAA record for {name} that leads to this server."),
            "caa" => format!("Mend the CAA records of {name}, so that they permit the authority."),
            _ => format!(
                "Port {port} of {name} must lead to {place}, from anywhere on the internet; see \
                 that no AAAA record leads elsewhere."
            ),
        };
        let told = problem.map_or_else(|| "it does not say why".to_owned(), told);
        Self::new(format!("The authority could not see that {name} leads here: {told}."), advice)
    }

    /// The authority has no way to look that we know.
    pub(super) fn unprovable(name: &str, challenge: Challenge) -> Self {
        let words = format!("The authority proves {name} in other ways than {challenge}.");
        Self::new(words, "Choose another acme.challenge.")
    }
}

/// What an authority says, on one line and not too long, without a point at its end.
fn told(problem: &Problem) -> String {
    let mut parts: Vec<&str> = problem.detail.as_deref().into_iter().collect();
    parts.extend(problem.subproblems.iter().filter_map(|part| part.detail.as_deref()));
    if parts.is_empty() {
        parts.extend(problem.r#type.as_deref());
    }
    let text = parts.join("; ");
    let fine = |letter: char| if letter.is_control() { ' ' } else { letter };
    let text: String = text.chars().map(fine).take(DETAIL).collect();
    text.trim_end_matches(['.', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> Problem {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn refusals_say_what_to_do() {
        let of = |json: &str| Trouble::of("https://ca.example/dir", &Error::Api(problem(json)));
        let limited = of(r#"{"type": "urn:ietf:params:acme:error:rateLimited",
            "detail": "too many certificates already issued.\n"}"#);
        let text = limited.to_string();
        assert!(
            text.starts_with("The authority refused: too many certificates already issued. It")
        );
        assert!(!limited.is_about_account && text.contains("waiting"), "{text}");
        let gone = of(r#"{"type": "urn:ietf:params:acme:error:accountDoesNotExist"}"#);
        assert!(gone.is_about_account, "{gone}");
        let caa = r#"{"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids"}"#;
        let caa = Trouble::unproven("a.example", Challenge::Http01, Some(&problem(caa)));
        assert!(
            caa.to_string().ends_with(
                "Mend the CAA records of a.example, so that they permit \
             the authority."
            ),
            "{caa}"
        );
        let none = Trouble::unproven("a.example", Challenge::TlsAlpn01, None).to_string();
        assert!(none.contains("Port 443 of a.example"), "{none}");
    }

    #[test]
    fn silence_is_told_with_its_place() {
        let of = |error: Error| Trouble::of("https://ca.example/dir", &error).to_string();
        let text = of(Error::Other(Box::new(FetchError::TimedOut)));
        assert!(text.starts_with("The authority at https://ca.example/dir could not be asked: no"));
        let text = of(Error::Other(Box::new(FetchError::Untrusted("UnknownIssuer".to_owned()))));
        assert!(text.contains("acme.authorities"), "{text}");
        let text = of(Error::Other(Box::new(Foreign(hyper::StatusCode::BAD_GATEWAY))));
        assert!(text.contains("502"), "{text}");
    }
}
