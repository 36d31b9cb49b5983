//! What a token says, and whether it counts here.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::{Header, Validation, decode};
use serde_json::{Map, Value};
use waxwing_jid::BareJid;
use waxwing_kernel::config::Template;
use waxwing_stream::AuthFailure;

use super::JwtConfig;
use super::keys::Key;

/// Why a token is refused. Its owner is told less, the log this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// It is no token, or has parts that are not understood.
    Malformed,
    /// No key that is known has signed it.
    Unsigned,
    /// `exp` is missing or over.
    Expired,
    /// `nbf` is yet to come.
    Early,
    /// Somebody else gave it out.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// It lacks the scope.
    Scope,
    /// It does not name an account that there can be here.
    Nameless,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is malformed",
            Self::Unsigned => "no known key has signed it",
            Self::Expired => "it has expired",
            Self::Early => "it is not good yet",
            Self::Issuer => "somebody else gave it out",
            Self::Audience => "it was given out for somebody else",
            Self::Scope => "it lacks the scope",
            Self::Nameless => "it names no account of this domain",
        })
    }
}

impl From<Denied> for AuthFailure {
    fn from(why: Denied) -> Self {
        match why {
            Denied::Scope => Self::OutOfScope,
            _ => Self::NotAuthorized,
        }
    }
}

/// What must hold of every token.
pub(super) struct Rules {
    domain: String,
    issuer: Option<String>,
    audience: Vec<String>,
    scope: Option<String>,
    account: Template,
    leeway: i64,
}

impl Rules {
    pub(super) fn new(config: &JwtConfig, domain: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            scope: config.scope.clone(),
            account: config.account.clone(),
            leeway: config.leeway_seconds.into(),
        }
    }

    /// Whose token this is, at `now` in seconds since 1970. `keys` are those that may have signed
    /// what has this header.
    ///
    /// # Errors
    /// Why it does not count.
    pub(super) fn judge(
        &self,
        token: &str,
        header: &Header,
        keys: &[Arc<Key>],
        now: i64,
    ) -> Result<BareJid, Denied> {
        let signed = keys.iter().find_map(|key| claims(token, header, key));
        let claims = signed.ok_or(Denied::Unsigned)?;
        // RFC 7519 §4.1.4: "MUST NOT be accepted for processing" on or after it.
        let expiry = claims.get("exp").and_then(instant).ok_or(Denied::Expired)?;
        if now >= expiry.saturating_add(self.leeway) {
            return Err(Denied::Expired);
        }
        if let Some(begin) = claims.get("nbf") {
            let begin = instant(begin).ok_or(Denied::Early)?;
            if now.saturating_add(self.leeway) < begin {
                return Err(Denied::Early);
            }
        }
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
        if self.issuer.as_deref().is_some_and(|issuer| text("iss") != Some(issuer)) {
            return Err(Denied::Issuer);
        }
        self.check_audience(claims.get("aud"))?;
        if self.scope.as_ref().is_some_and(|wanted| !has_scope(&claims, wanted)) {
            return Err(Denied::Scope);
        }
        // OpenID Connect Core §5.1: not verified, it is what anybody wrote down.
        let is_written = claims.get("email_verified").is_some_and(|it| !is_true(it));
        let known = |claim: &&str| !(is_written && *claim == "email");
        let claim = |claim: &str| Some(claim).filter(known).and_then(text).map(str::to_owned);
        let name = self.account.fill(claim);
        self.address(&name.ok_or(Denied::Nameless)?).ok_or(Denied::Nameless)
    }

    /// RFC 7519 §4.1.3: "If the principal processing the claim does not identify itself with a
    /// value in the "aud" claim when this claim is present, then the JWT MUST be rejected."
    fn check_audience(&self, claim: Option<&Value>) -> Result<(), Denied> {
        let is_meant = |name: &Value| {
            name.as_str().is_some_and(|name| self.audience.iter().any(|own| own == name))
        };
        match claim {
            None | Some(Value::Null) if self.audience.is_empty() => Ok(()),
            Some(Value::Array(names)) if names.iter().any(is_meant) => Ok(()),
            Some(name) if is_meant(name) => Ok(()),
            _ => Err(Denied::Audience),
        }
    }

    /// A local part, or a whole address of this domain.
    fn address(&self, name: &str) -> Option<BareJid> {
        let local = match name.split_once('@') {
            Some((local, domain)) => {
                let domain = BareJid::new(domain).ok()?;
                (domain.is_domain() && domain.domain() == self.domain).then_some(local)?
            }
            None => name,
        };
        BareJid::from_parts(Some(local), &self.domain).ok()
    }
}

/// The claims of a token, if this key has signed it by the algorithm of its header. Times and
/// names are judged elsewhere, by our own clock.
fn claims(token: &str, header: &Header, key: &Key) -> Option<Map<String, Value>> {
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    decode(token, &key.key, &validation).ok().map(|data| data.claims)
}

/// A truth; some write it as text.
fn is_true(claim: &Value) -> bool {
    claim.as_bool().unwrap_or(false) || claim.as_str() == Some("true")
}

/// RFC 7519 §2: a NumericDate, which may have a fraction.
fn instant(claim: &Value) -> Option<i64> {
    let seconds = claim.as_i64().or_else(|| claim.as_f64().map(|seconds| seconds as i64));
    seconds.filter(|seconds| *seconds >= 0)
}

/// RFC 8693 §4.2: "a JSON string containing a space-separated list of scopes"; others write lists,
/// or call it `scp`.
fn has_scope(claims: &Map<String, Value>, wanted: &str) -> bool {
    ["scope", "scp"].into_iter().filter_map(|claim| claims.get(claim)).any(|claim| match claim {
        Value::String(all) => all.split(' ').any(|scope| scope == wanted),
        Value::Array(all) => all.iter().any(|scope| scope.as_str() == Some(wanted)),
        _ => false,
    })
}
